/*
 * Approvers as policies write them: which relying parties and origins are taken, and why others are
 * not.
 */
#include "daemon/approval.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "test/common/stamps.h"

#include <stdio.h>

static char why[QR_ERR_TEXT_MAX];
static struct stamper alice, bob;

static int
setup(void **state)
{
    (void)state;
    if (qr_stamp_init() != QR_OK) {
        return -1;
    }
    stamper_new(&alice, QR_SCHEME_P256); /* with a passkey */
    stamper_new(&bob, QR_SCHEME_ED25519);
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    stamper_free(&alice);
    stamper_free(&bob);
    return 0;
}

/* The template with `value` in the place of its '@'. */
static void
fill(char *out, size_t cap, const char *template, const char *value)
{
    const char *at = strchr(template, '@');
    int n = snprintf(out, cap, "%.*s%s%s", (int)(at ? at - template : (ptrdiff_t)strlen(template)),
                     template, at ? value : "", at ? at + 1 : "");
    assert_true(n >= 0 && (size_t)n < cap);
}

static qr_err
read_approver(const char *text, int insecure, struct qr_approver *ret)
{
    struct qr_json j;
    qr_err e = qr_json_parse(&j, qr_view_str(text), 64, why, sizeof why);
    if (e == QR_OK) {
        struct qr_json_at root = qr_json_root(&j);
        e = qr_approver_read(&root, insecure, ret);
        qr_json_clear(&j);
    }
    return e;
}

static void
passkey_text(char *out, size_t cap, const char *rp, const char *origins)
{
    (void)snprintf(out, cap,
                   "{\"name\":\"alice\",\"scheme\":\"webauthn\",\"key\":\"%s\",\"rp_id\":\"%s\","
                   "\"origins\":[%s]}",
                   alice.hex, rp, origins);
}

static void
test_approvers(void **state)
{
    static const struct {
        const char *rp, *origins;
        int insecure;
        const char *why; /* NULL: good */
    } cases[] = {
        {"example.org", "\"https://example.org\"", 0, NULL},
        {"example.org", "\"https://approve.example.org:8443\",\"https://example.org\"", 0, NULL},
        {"localhost", "\"http://localhost:8080\"", 1, NULL},
        {"localhost", "\"https://localhost\"", 1, NULL},
        {"example.org", "\"http://example.org\"", 0, "must be https"},
        {"example.org", "\"http://example.org\"", 1, "must be https"},
        {"localhost", "\"http://localhost:8080\"", 0, "rp_id \"localhost\" is not a domain"},
        {"example.org", "", 0, "0 elements"},
        {"example.org", "\"https://example.org/\"", 0, "nothing behind"},
        {"example.org", "\"https://example.org/a\"", 0, "nothing behind"},
        {"example.org", "\"https://example.org?\"", 0, "nothing behind"},
        {"example.org", "\"https://a@example.org\"", 0, "nothing behind"},
        {"example.org", "\"https://Example.org\"", 0, "lower case"},
        {"example.org", "\"https://example.org.\"", 0, "nothing behind"},
        {"example.org", "\"https://*.example.org\"", 0, "nothing behind"},
        {"example.org", "\"https://example.org:443\"", 0, "scheme's own is left out"},
        {"localhost", "\"http://localhost:80\"", 1, "scheme's own is left out"},
        {"example.org", "\"https://example.org:08443\"", 0, "a port is"},
        {"example.org", "\"https://example.org:65536\"", 0, "a port is"},
        {"example.org", "\"https://example.org:0\"", 0, "a port is"},
        {"example.org", "\"https://example.org:\"", 0, "a port is"},
        {"example.org", "\"https://example.org:1:2\"", 0, "a port is"},
        {"example.org", "\"https://evilexample.org\"", 0, "not at or below the rp_id"},
        {"example.org", "\"https://example.org.evil.net\"", 0, "not at or below the rp_id"},
        {"example.org", "\"https://org\"", 0, "nothing behind"},
        {"a.example.org", "\"https://example.org\"", 0, "not at or below the rp_id"},
        {"example.org", "\"ftp://example.org\"", 0, "does not begin with https://"},
        {"example.org", "\"https://\"", 0, "does not begin with https://"},
        {"example.org", "\"https://example.org\",\"https://example.org\"", 0, "listed twice"},
        {"example.org", "\"\"", 0, "at least 1"},
        {"example.org", "1", 0, "must be text"},
        {"org", "\"https://example.org\"", 0, "is not a domain"},
        {"192.168.0.1", "\"https://192.168.0.1\"", 0, "is not a domain"},
        {"ex_ample.org", "\"https://example.org\"", 0, "is not a domain"},
        {"-a.org", "\"https://-a.org\"", 0, "is not a domain"},
        {"a..org", "\"https://a..org\"", 0, "is not a domain"},
        {".org", "\"https://a.org\"", 0, "is not a domain"},
        {"", "\"https://a.org\"", 0, "at least 1"},
    };
    char text[1024];
    struct qr_approver a = {0};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        passkey_text(text, sizeof text, cases[i].rp, cases[i].origins);
        why[0] = 0;
        qr_err e = read_approver(text, cases[i].insecure, &a);
        if (!cases[i].why) {
            assert_int_equal(e, QR_OK);
            assert_true(a.webauthn && a.pub && a.key.scheme == QR_SCHEME_P256);
            assert_string_equal(a.name, "alice");
            assert_string_equal(a.rp_id, cases[i].rp);
            qr_pubkey_free(a.pub);
        } else if (e == QR_OK || !strstr(why, cases[i].why)) {
            fail_msg("%s at %s: %d, \"%s\"", cases[i].origins, cases[i].rp, (int)e, why);
        }
    }
    for (unsigned n = 1; n <= QR_ORIGINS_MAX + 1; n++) {
        char many[600] = "";
        size_t len = 0;
        for (unsigned i = 0; i < n; i++) {
            len += (size_t)snprintf(many + len, sizeof many - len, "%s\"https://a%u.b.org\"",
                                    i ? "," : "", i);
        }
        passkey_text(text, sizeof text, "b.org", many);
        qr_err e = read_approver(text, 0, &a);
        assert_int_equal(e, n <= QR_ORIGINS_MAX ? QR_OK : QR_ERR_TOO_LARGE);
        if (e == QR_OK) {
            assert_int_equal(a.n_origins, n);
            qr_pubkey_free(a.pub);
        }
    }
}

static void
test_approver_members(void **state)
{
    static const struct {
        const char *text;
        qr_err e;
    } cases[] = {
        {"{\"name\":\"bob\",\"scheme\":\"ed25519\",\"key\":\"@\"}", QR_OK},
        {"{\"name\":\"bob\",\"scheme\":\"ed25519\",\"key\":\"@\",\"rp_id\":\"a.org\"}",
         QR_ERR_UNKNOWN_FIELD},
        {"{\"name\":\"bob\",\"scheme\":\"ed25519\"}", QR_ERR_MALFORMED},
        {"{\"name\":\"bob\",\"scheme\":\"webauthn\",\"key\":\"@\"}", QR_ERR_MALFORMED},
        {"{\"name\":\"bob\",\"scheme\":1,\"key\":\"@\"}", QR_ERR_MALFORMED},
        {"{\"name\":\"bob\",\"scheme\":\"rsa\",\"key\":\"@\"}", QR_ERR_MALFORMED},
        {"{\"name\":\"b b\",\"scheme\":\"ed25519\",\"key\":\"@\"}", QR_ERR_MALFORMED},
        {"{\"name\":\"bob\",\"scheme\":\"webauthn\",\"key\":"
         "\"02ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff\","
         "\"rp_id\":\"a.org\",\"origins\":[\"https://a.org\"]}",
         QR_ERR_POINT},
        {"{\"name\":\"bob\",\"scheme\":\"webauthn\",\"key\":\"02\",\"rp_id\":\"a.org\","
         "\"origins\":[\"https://a.org\"]}",
         QR_ERR_MALFORMED},
        {"{\"name\":\"bob\",\"scheme\":\"webauthn\",\"key\":\"02\",\"rp_id\":\"a.org\","
         "\"origins\":[\"https://a.org\"],\"more\":1}",
         QR_ERR_UNKNOWN_FIELD},
        {"[]", QR_ERR_MALFORMED},
        {"1", QR_ERR_MALFORMED},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[512];
        struct qr_approver a = {0};
        fill(text, sizeof text, cases[i].text, bob.hex);
        assert_int_equal(read_approver(text, 0, &a), cases[i].e);
        assert_true(cases[i].e == QR_OK || (why[0] != 0 && !a.pub));
        qr_pubkey_free(a.pub);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_approvers),
        cmocka_unit_test(test_approver_members),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
