/*
 * quorate approve: an approver reads, approves what he has read and nothing else; a client and a policy
 * that do not fit are named; approvals are checked as a party checks them.
 */
#include "daemon/approval.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/config.h"
#include "daemon/jsonw.h"
#include "daemon/request.h"
#include "protocol/base/enc.h"
#include "protocol/base/hash.h"
#include "protocol/group.h"
#include "test/common/ctlkit.h"
#include "test/common/documents.h"
#include "test/common/stamps.h"

#include <openssl/pem.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct stamper ops, alice, bob;
static char body[8192], hash[65];

static void
write_key(const char *name, const struct stamper *s)
{
    BIO *b = BIO_new(BIO_s_mem());
    char *pem = NULL;

    assert_int_equal(PEM_write_bio_PrivateKey(b, s->key, NULL, NULL, 0, NULL, NULL), 1);
    long n = BIO_get_mem_data(b, &pem);
    ctl_write(name, pem, (size_t)n);
    assert_int_equal(chmod(ctl_path(name), 0600), 0);
    BIO_free(b);
}

/* {"body","stamp"} as `quorate request` writes it; `stamped`: the bytes the stamp is over. */
static void
write_request(const char *name, const char *text, const char *stamped, const char *more)
{
    struct qr_dbuf d;
    char stamp[QR_STAMP_MAX];

    qr_dbuf_init(&d, 65536);
    struct qr_jsonw w = qr_jsonw_to(&d);
    qr_jsonw_raw(&w, "{\"body\":");
    qr_jsonw_str(&w, qr_view_str(text));
    if (stamped) {
        qr_jsonw_raw(&w, ",\"stamp\":\"");
        (void)stamper_stamp(&ops, qr_view_str(stamped), stamp);
        qr_jsonw_raw(&w, stamp);
        qr_jsonw_raw(&w, "\"");
    }
    qr_jsonw_raw(&w, more);
    qr_jsonw_raw(&w, "}\n");
    assert_int_equal(w.err, QR_OK);
    ctl_write(name, d.p, d.len);
    qr_dbuf_free(&d);
}

static void
write_policy(const char *name, const char *rules)
{
    char text[4096];
    int n = snprintf(text, sizeof text,
                     "{\"v\":1,\"type\":\"quorate/policy\",\"cluster\":\"" DOC_CLUSTER
                     "\",\"serial\":1,\"peers\":{\"insecure_sim\":true},\"requests\":{"
                     "\"clients\":[{\"name\":\"ops-1\",\"scheme\":\"p256\",\"key\":\"%s\"}],"
                     "\"approvers\":[{\"name\":\"alice\",\"scheme\":\"ed25519\",\"key\":\"%s\"},"
                     "{\"name\":\"bob\",\"scheme\":\"p256\",\"key\":\"%s\"}],\"rules\":[%s]}}",
                     ops.hex, alice.hex, bob.hex, rules);
    assert_true(n > 0 && (size_t)n < sizeof text);
    ctl_write(name, text, (size_t)n);
}

#define RULE                                                                                       \
    "{\"id\":\"hot-1\",\"effect\":\"allow\",\"clients\":[\"*\"],\"keys\":[\"*\"],"                 \
    "\"kinds\":[\"eth_tx\"]"

static int
setup(void **state)
{
    struct qr_rng rng = qr_rng_system();
    uint8_t h[32];

    (void)state;
    (void)snprintf(ctl_home, sizeof ctl_home, "/tmp/test_ctl_approve_XXXXXX");
    assert_non_null(mkdtemp(ctl_home));
    assert_true(sodium_init() >= 0);
    assert_int_equal(qr_hash_init(), QR_OK);
    assert_int_equal(qr_group_init(&rng), QR_OK);
    assert_int_equal(qr_stamp_init(), QR_OK);
    stamper_new(&ops, QR_SCHEME_P256);
    stamper_new(&alice, QR_SCHEME_ED25519);
    stamper_new(&bob, QR_SCHEME_P256);
    write_key("alice.pem", &alice);
    write_key("bob.pem", &bob);
    write_key("ops.pem", &ops);
    ctl_read("test/clients/words/eth_transfer.json", body, sizeof body);
    assert_int_equal(qr_request_hash(qr_view_str(body), h), QR_OK);
    qr_hex_encode(qr_view_of(h, 32), hash);
    write_request("r", body, body, "");
    write_policy("p", RULE ",\"approvals\":{\"need\":2,\"of\":[\"alice\",\"bob\"],"
                           "\"within_s\":3600}}");
    return 0;
}

static int
teardown(void **state)
{
    char command[128];
    (void)state;
    stamper_free(&ops);
    stamper_free(&alice);
    stamper_free(&bob);
    (void)snprintf(command, sizeof command, "rm -rf %s", ctl_home);
    return system(command);
}

static void
test_show(void **state)
{
    char words[8192];

    (void)state;
    ctl_read("test/clients/words/eth_transfer.txt", words, sizeof words);
    assert_int_equal(ctl_run("approve show", "@/r"), QR_EXIT_OK);
    assert_string_equal(ctl_out, words);
    /* a body alone is shown as well */
    ctl_write("b", body, strlen(body));
    assert_int_equal(ctl_run("approve show", "@/b"), QR_EXIT_OK);
    assert_string_equal(ctl_out, words);
    assert_int_equal(ctl_run("approve show", "--policy @/p @/b"), QR_EXIT_OK);
    ctl_says("has no stamp, so nobody knows who asks");
    assert_string_equal(ctl_out, words);
    /* ... but not approved by somebody who gave a policy, and so wants to know who asks */
    assert_int_equal(
        ctl_run("approve sign", "--policy @/p --key @/alice.pem --request %s @/b", hash),
        QR_EXIT_REFUSED);
    ctl_says("carries no stamp of a client");
    /* with the policy: who, and which rule */
    assert_int_equal(ctl_run("approve show", "--policy @/p @/r"), QR_EXIT_OK);
    assert_non_null(strstr(ctl_out, "\nasked by: ops-1\n"));
    assert_non_null(strstr(ctl_out, "\nrule: hot-1 asks for approvals: 2 of alice, bob\n"));
    write_policy("open", RULE "}");
    write_request("short", body, body, "");
    assert_int_equal(ctl_run("approve show", "--policy @/open @/short"), QR_EXIT_OK);
    /* it lives an hour, which a rule without approvals does not allow */
    assert_non_null(strstr(ctl_out, "\nrule: REFUSED, whoever approves: "));
    write_policy("none", "");
    assert_int_equal(ctl_run("approve show", "--policy @/none @/r"), QR_EXIT_OK);
    assert_non_null(strstr(ctl_out, "\nrule: REFUSED, whoever approves: "));
    assert_int_equal(ctl_run("approve show", "--json --policy @/p @/r"), QR_EXIT_OK);
    assert_non_null(
        strstr(ctl_out, "\"client\":\"ops-1\",\"words\":[[\"item 1 of 1\",\"Ethereum "));
    assert_non_null(strstr(ctl_out, "[\"rule\",\"hot-1 asks for approvals: 2 of alice, bob\"]]}"));
}

static void
test_bad_requests(void **state)
{
    char changed[8192];

    (void)state;
    memcpy(changed, body, sizeof changed);
    *strstr(changed, "0123456789abcdef") = '9';
    write_request("moved", changed, body, "");
    assert_int_equal(ctl_run("approve show", "--policy @/p @/moved"), QR_EXIT_REFUSED);
    ctl_says("the stamp of client \"ops-1\" is not over these bytes");
    assert_int_equal(
        ctl_run("approve sign", "--policy @/p --key @/alice.pem --request %s @/moved", hash),
        QR_EXIT_REFUSED);
    write_request("more", body, body, ",\"more\":1");
    assert_int_equal(ctl_run("approve show", "@/more"), QR_EXIT_CONFIG);
    ctl_says("unknown member \"more\"");
    write_request("answer", body, body, ",\"answer\":{\"code\":\"approval_needed\"}");
    assert_int_equal(ctl_run("approve show", "@/answer"), QR_EXIT_OK);
    write_request("no", "{}", "{}", "");
    assert_int_equal(ctl_run("approve show", "@/no"), QR_EXIT_CONFIG);
    ctl_says("is no request that a party would take");
    ctl_write("text", "hello", 5);
    assert_int_equal(ctl_run("approve show", "@/text"), QR_EXIT_CONFIG);
    assert_int_equal(ctl_run("approve show", "@/absent"), QR_EXIT_USAGE);
    assert_int_equal(ctl_run("approve show", "--policy @/text @/r"), QR_EXIT_CONFIG);
    assert_int_equal(ctl_run("approve show", "%s", ""), QR_EXIT_USAGE);
}

static void
test_sign_and_check(void **state)
{
    (void)state;
    assert_int_equal(ctl_run("approve sign", "--key @/alice.pem --request %s --out @/a @/r", hash),
                     QR_EXIT_OK);
    assert_int_equal(
        ctl_run("approve sign", "--policy @/p --key @/bob.pem --request %s --out @/b2 @/r", hash),
        QR_EXIT_OK);
    assert_int_equal(ctl_run("approve check", "--policy @/p --request @/r @/a"), QR_EXIT_OK);
    assert_string_equal(ctl_out, "approved by: alice\n");
    assert_int_equal(ctl_run("approve check", "--json --policy @/p --request @/r @/b2 @/a"),
                     QR_EXIT_OK);
    assert_string_equal(ctl_out, "{\"approved_by\":[\"alice\",\"bob\"]}\n");
    assert_int_equal(ctl_run("approve check", "--policy @/p --request @/r @/a @/a"),
                     QR_EXIT_REFUSED);
    ctl_says("approval 2: alice's stands here twice");
    /* of another request */
    char other[8192];
    memcpy(other, body, sizeof other);
    *strstr(other, "0123456789abcdef") = '9';
    write_request("r2", other, other, "");
    assert_int_equal(ctl_run("approve check", "--policy @/p --request @/r2 @/a"), QR_EXIT_REFUSED);
    ctl_says("not over the approval of exactly this request");
    /* what was read is what is approved */
    assert_int_equal(ctl_run("approve sign", "--key @/alice.pem --request %s @/r2", hash),
                     QR_EXIT_REFUSED);
    ctl_says("holds another request than the one you name");
    assert_string_equal(ctl_out, "");
    /* a client is no approver, and a key that others can read is no key */
    assert_int_equal(ctl_run("approve sign", "--key @/ops.pem --request %s --out @/o @/r", hash),
                     QR_EXIT_OK);
    assert_int_equal(ctl_run("approve check", "--policy @/p --request @/r @/o"), QR_EXIT_REFUSED);
    ctl_says("has no approver with its key (p256)");
    assert_int_equal(chmod(ctl_path("bob.pem"), 0644), 0);
    assert_int_not_equal(ctl_run("approve sign", "--key @/bob.pem --request %s @/r", hash),
                         QR_EXIT_OK);
    assert_string_equal(ctl_out, "");
    assert_int_equal(ctl_run("approve check", "--policy @/p --request @/r @/r"), QR_EXIT_REFUSED);
}

static void
test_link(void **state)
{
    char file[8192], text[12000];

    (void)state;
    assert_int_equal(ctl_run("approve link", "--page https://approve.example.org/ @/r"),
                     QR_EXIT_OK);
    ctl_read(ctl_path("r"), file, sizeof file);
    (void)snprintf(text, sizeof text, "https://approve.example.org/#");
    qr_b64url_encode(qr_view_str(file), text + strlen(text));
    assert_memory_equal(ctl_out, text, strlen(text));
    assert_string_equal(ctl_out + strlen(text), "\n");
    assert_int_equal(ctl_run("approve link", "--page https://a.org/#x @/r"), QR_EXIT_USAGE);
    assert_int_equal(ctl_run("approve link", "--page http://a.org/ @/r"), QR_EXIT_USAGE);
    assert_int_equal(ctl_run("approve link", "--page http://localhost.a.org/ @/r"), QR_EXIT_USAGE);
    assert_int_equal(ctl_run("approve link", "--page http://localhost:8080/ @/r"), QR_EXIT_OK);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_show),
        cmocka_unit_test(test_bad_requests),
        cmocka_unit_test(test_sign_and_check),
        cmocka_unit_test(test_link),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
