/* Administrator commands: form, authority, cluster, time; and that no other stamped bytes are one. */
#include "daemon/command.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/policy.h"
#include "daemon/request.h"
#include "daemon/roster.h"
#include "protocol/base/hash.h"
#include "test/common/documents.h"

#include <stdio.h>

#define HEAD                                                                                       \
    "{\"v\":1,\"type\":\"quorate/command\",\"cluster\":\"" DOC_CLUSTER "\","                       \
    "\"id\":\"0123456789abcdef\",\"issued_ms\":1000000,\"expires_ms\":1060000,"
#define KEYGEN HEAD "\"cmd\":\"keygen\",\"t\":2}"

static char why[256];
static struct stamper who[2];
static struct qr_roster *roster;

static int
setup(void **state)
{
    static char text[8192], admins[2048];

    (void)state;
    if (qr_stamp_init() != QR_OK) {
        return -1;
    }
    stamper_new(&who[0], QR_SCHEME_P256);
    stamper_new(&who[1], QR_SCHEME_ED25519);
    doc_admins(admins, sizeof admins, 2, who, 2);
    doc_roster(text, sizeof text, 1, 3, admins, "party");
    return qr_roster_parse(qr_view_str(text), &roster, why, sizeof why) == QR_OK ? 0 : -1;
}

static int
teardown(void **state)
{
    (void)state;
    qr_roster_free(roster);
    stamper_free(&who[0]);
    stamper_free(&who[1]);
    return 0;
}

static void
test_parse(void **state)
{
    struct qr_command c;
    uint8_t h[32];

    (void)state;
    assert_int_equal(qr_command_parse(qr_view_str(KEYGEN), &c, why, sizeof why), QR_OK);
    assert_true(c.cmd == QR_CMD_KEYGEN && c.t == 2 && c.window.issued_ms == 1000000);
    assert_string_equal(c.id, "0123456789abcdef");
    qr_th(QR_TAG_DOC, QR_FIELDS(qr_view_str("command"), qr_view_str(KEYGEN)), h);
    assert_memory_equal(c.hash, h, 32);
    assert_int_equal(qr_command_parse(qr_view_str(HEAD "\"cmd\":\"retire\",\"pair\":[1,16]}"), &c,
                                      why, sizeof why),
                     QR_OK);
    assert_true(c.cmd == QR_CMD_RETIRE && c.pair[0] == 1 && c.pair[1] == 16 && c.t == 0);
    assert_int_equal(qr_command_parse(qr_view_str(HEAD "\"pair\":[2,3],\"cmd\":\"readmit\"}"), &c,
                                      why, sizeof why),
                     QR_OK);
    assert_true(c.cmd == QR_CMD_READMIT && c.pair[0] == 2 && c.pair[1] == 3);
    for (int i = QR_CMD_KEYGEN; i <= QR_CMD_READMIT; i++) {
        assert_string_not_equal(qr_cmd_name((enum qr_cmd)i), "unknown");
    }
    assert_string_equal(qr_cmd_name((enum qr_cmd)0), "unknown");
    assert_string_equal(qr_cmd_name((enum qr_cmd)99), "unknown");
}

static void
test_refused(void **state)
{
    static const struct {
        const char *text;
        qr_err e;
        const char *why;
    } bad[] = {
        {HEAD "\"cmd\":\"drop\"}", QR_ERR_MALFORMED, "unknown cmd \"drop\""},
        {HEAD "\"cmd\":\"keygen\"}", QR_ERR_MALFORMED,
         "cmd \"keygen\" takes \"t\" and nothing else"},
        {HEAD "\"cmd\":\"keygen\",\"t\":2,\"pair\":[1,2]}", QR_ERR_MALFORMED,
         "cmd \"keygen\" takes \"t\" and nothing else"},
        {HEAD "\"cmd\":\"retire\",\"t\":2}", QR_ERR_MALFORMED,
         "cmd \"retire\" takes \"pair\" and nothing else"},
        {HEAD "\"cmd\":\"retire\"}", QR_ERR_MALFORMED,
         "cmd \"retire\" takes \"pair\" and nothing else"},
        {HEAD "\"cmd\":\"keygen\",\"t\":1}", QR_ERR_MALFORMED, "t: 1 is not between 2 and 16"},
        {HEAD "\"cmd\":\"keygen\",\"t\":17}", QR_ERR_TOO_LARGE, "t: 17 is not between 2 and 16"},
        {HEAD "\"cmd\":\"retire\",\"pair\":[2,1]}", QR_ERR_SET,
         "pair: two different parties, the lower index first"},
        {HEAD "\"cmd\":\"retire\",\"pair\":[1,1]}", QR_ERR_SET, NULL},
        {HEAD "\"cmd\":\"retire\",\"pair\":[0,1]}", QR_ERR_MALFORMED, NULL},
        {HEAD "\"cmd\":\"retire\",\"pair\":[1]}", QR_ERR_MALFORMED, NULL},
        {HEAD "\"cmd\":\"retire\",\"pair\":[1,2,3]}", QR_ERR_TOO_LARGE, NULL},
        {HEAD "\"cmd\":\"keygen\",\"t\":2,\"force\":true}", QR_ERR_UNKNOWN_FIELD,
         "unknown member \"force\""},
        {HEAD "\"t\":2}", QR_ERR_MALFORMED, "member \"cmd\" is missing"},
        {"{\"v\":1,\"type\":\"quorate/policy\"}", QR_ERR_MALFORMED,
         "this is a \"quorate/policy\", not a \"quorate/command\""},
        {"", QR_ERR_MALFORMED, NULL},
    };
    struct qr_command c;
    char big[5000];

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        why[0] = 0;
        qr_err e = qr_command_parse(qr_view_str(bad[i].text), &c, why, sizeof why);
        if (e != bad[i].e || !why[0] || (bad[i].why && strcmp(why, bad[i].why) != 0)) {
            fail_msg("%s: %s, \"%s\"", bad[i].text, qr_err_name(e), why);
        }
    }
    memset(big, ' ', sizeof big);
    assert_int_equal(qr_command_parse(qr_view_of(big, sizeof big), &c, why, sizeof why),
                     QR_ERR_TOO_LARGE);
}

static qr_err
check(const char *text, size_t n_stamps, uint64_t now, uint64_t start)
{
    static char mem[2 * QR_STAMP_MAX];
    struct qr_command c;
    qr_view st[2];
    uint8_t cluster[32];

    memset(cluster, 0xc1, sizeof cluster);
    doc_stamps(who, 2, qr_view_str(text), mem, st);
    return qr_command_check(&roster->admins, cluster, now, start, qr_view_str(text), st, n_stamps,
                            &c, why, sizeof why);
}

static void
test_check(void **state)
{
    char text[1024];

    (void)state;
    assert_int_equal(check(KEYGEN, 2, 1000500, 1000000), QR_OK);
    assert_int_equal(check(KEYGEN, 1, 1000500, 1000000), QR_ERR_ADMIN);
    assert_int_equal(check(KEYGEN, 0, 1000500, 1000000), QR_ERR_STAMP_MISSING);
    assert_int_equal(check(KEYGEN, 2, 1090000, 1000000), QR_ERR_EXPIRED);
    assert_int_equal(check(KEYGEN, 2, 1000500, 1000001), QR_ERR_EXPIRED);
    assert_int_equal(check(KEYGEN, 2, 900000, 0), QR_ERR_NOT_YET_VALID);
    (void)snprintf(text, sizeof text, "%s", KEYGEN);
    doc_replace(text, sizeof text, "c1c1", "c1c2");
    assert_int_equal(check(text, 2, 1000500, 1000000), QR_ERR_CLUSTER);
    assert_string_equal(why, "command is for another cluster");
    /* authority first: a stranger learns nothing of the form */
    assert_int_equal(check("{", 1, 1000500, 1000000), QR_ERR_ADMIN);
    assert_int_equal(check("{", 2, 1000500, 1000000), QR_ERR_MALFORMED);
}

/* A stamp over one kind of document can never serve as one over another. */
static void
test_kinds_apart(void **state)
{
    static const char *const documents[] = {
        KEYGEN,
        "{\"v\":1,\"cluster\":\"" DOC_CLUSTER "\",\"key\":\"0279be667ef9dcbbac55a06295ce870b07029bf"
        "cdb2dce28d959f2815b16f81798\",\"id\":\"0123456789abcdef\",\"issued_ms\":1000000,"
        "\"expires_ms\":1060000,\"path\":[],\"items\":[{\"kind\":\"sha256\",\"preimage\":\"\"}]}",
        "{\"v\":1,\"type\":\"quorate/policy\",\"cluster\":\"" DOC_CLUSTER "\",\"serial\":1,"
        "\"peers\":{},\"requests\":{\"clients\":[],\"rules\":[]}}",
        NULL, /* a roster */
    };
    static char text[8192], admins[2048];
    static struct qr_request req;

    (void)state;
    doc_admins(admins, sizeof admins, 2, who, 2);
    doc_roster(text, sizeof text, 1, 3, admins, "party");
    for (size_t i = 0; i < 4; i++) {
        qr_view v = qr_view_str(documents[i] ? documents[i] : text);
        struct qr_command c;
        struct qr_policy *p = NULL;
        struct qr_roster *r = NULL;
        assert_int_equal(qr_command_parse(v, &c, why, sizeof why) == QR_OK, i == 0);
        assert_int_equal(qr_request_parse(v, &req, why, sizeof why) == QR_OK, i == 1);
        assert_int_equal(qr_policy_parse(v, &p, why, sizeof why) == QR_OK, i == 2);
        assert_int_equal(qr_roster_parse(v, &r, why, sizeof why) == QR_OK, i == 3);
        qr_policy_free(p);
        qr_roster_free(r);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_check),
        cmocka_unit_test(test_kinds_apart),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
