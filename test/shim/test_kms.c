/*
 * The KMS client against a service in a thread: keys that come back, every way in which an answer is
 * none, and what is tried again.
 */
#include "enclave-shim/nitro/kms.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "protocol/base/enc.h"
#include "protocol/base/hash.h"
#include "test/common/fakensm.h"
#include "test/common/kmsbox.h"

#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>

static struct kmsbox box;
static struct fakensm fake;
static struct qr_nsm nsm;
static struct qr_nitro_kms cfg;
static struct qr_kms kms;
static struct qr_kms_recipient who;
static uint8_t document[QR_NSM_ANSWER_MAX];
static struct qr_sec32 key;
static struct qr_dbuf blob;

static void
attest(EVP_PKEY *k)
{
    unsigned char *der = NULL;
    int n = i2d_PUBKEY(k, &der);
    struct qr_buf b = qr_buf_over(document, sizeof document);
    assert_true(n > 0);
    assert_int_equal(
        qr_nsm_attest(&nsm, (qr_view){0}, (qr_view){0}, qr_view_of(der, (size_t)n), &b), QR_OK);
    OPENSSL_free(der);
    who = (struct qr_kms_recipient){.key = k, .document = qr_buf_view(&b), .now_ms = EVGEN_NOW_MS};
}

static int
setup(void **state)
{
    (void)state;
    fakensm_init(&fake);
    struct qr_nsm_dev dev = fakensm_dev(&fake);
    qr_nsm_over(&nsm, &dev);
    memset(&box, 0, sizeof box);
    kmsbox_start(&box);
    cfg = (struct qr_nitro_kms){.key = KMSBOX_KEY,
                                .route = box.route,
                                .credentials = box.creds_route,
                                .name = "party-1",
                                .roots = kmsbox_roots(),
                                .tries = 2,
                                .timeout_ms = 2000};
    assert_int_equal(qr_kms_open(&cfg, &kms), QR_OK);
    attest(evgen_key(EVGEN_RSA2048, 0));
    qr_dbuf_init(&blob, QR_KMS_BLOB_MAX);
    memset(&key, 0, sizeof key);
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    kmsbox_stop(&box);
    qr_dbuf_free(&blob);
    return 0;
}

static qr_view
blob_view(void)
{
    return qr_view_of(blob.p, blob.len);
}

static void
must(qr_err e)
{
    if (e != QR_OK) {
        fail_msg("%s: %s; the box: %s", qr_err_name(e), kms.why, box.refused);
    }
}

static void
test_round_trip(void **state)
{
    struct qr_sec32 again = {{0}};
    (void)state;
    must(qr_kms_generate(&kms, &who, &key, &blob));
    assert_true(blob.len > 32);
    must(qr_kms_decrypt(&kms, &who, blob_view(), &again));
    assert_memory_equal(key.b, again.b, 32);
    assert_int_equal(box.requests, 2);
    assert_int_equal(box.credentials, 2); /* fetched before each call */
    assert_string_equal(kms.host, KMSBOX_HOST);
}

/* Forms that KMS may answer in. */
static void
test_other_forms(void **state)
{
    static const enum kmsbox_fault forms[] = {KMSBOX_CHUNKED, KMSBOX_DRIP, KMSBOX_TLS_1_2};
    (void)state;
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        struct qr_sec32 again = {{0}};
        kmsbox_set(&box, forms[i], 0);
        qr_dbuf_free(&blob);
        must(qr_kms_generate(&kms, &who, &key, &blob));
        must(qr_kms_decrypt(&kms, &who, blob_view(), &again));
        assert_memory_equal(key.b, again.b, 32);
    }
}

struct fault_case {
    enum kmsbox_fault fault;
    qr_err want;
    unsigned tries; /* connections to either socket */
    const char *names;
};

static void
test_faults(void **state)
{
    static const struct fault_case table[] = {
        {KMSBOX_OTHER_KEY_ID, QR_ERR_SEAL, 1, "expected an answer of"},
        {KMSBOX_NO_KEY_ID, QR_ERR_SEAL, 1, "no key"},
        {KMSBOX_OTHER_RECIPIENT, QR_ERR_SEAL, 1, "another one"},
        {KMSBOX_CMS_GARBAGE, QR_ERR_PLATFORM, 1, "CiphertextForRecipient"},
        {KMSBOX_CMS_CUT, QR_ERR_PLATFORM, 1, "CiphertextForRecipient"},
        {KMSBOX_CMS_SHORT_KEY, QR_ERR_PLATFORM, 1, "48 bytes"},
        {KMSBOX_NO_CMS, QR_ERR_PLATFORM, 1, "CiphertextForRecipient"},
        {KMSBOX_PLAINTEXT, QR_ERR_PLATFORM, 1, "in clear"},
        {KMSBOX_NO_BLOB, QR_ERR_PLATFORM, 1, "CiphertextBlob"},
        {KMSBOX_CHUNK_GARBAGE, QR_ERR_PLATFORM, 1, "chunk"},
        {KMSBOX_TRUNCATED, QR_ERR_PLATFORM, 2, "cut off"},
        {KMSBOX_HUGE, QR_ERR_PLATFORM, 1, "the body"},
        {KMSBOX_HUGE_HEAD, QR_ERR_PLATFORM, 1, "HTTP"},
        {KMSBOX_NO_LENGTH, QR_ERR_PLATFORM, 1, "Content-Length"},
        {KMSBOX_NOT_HTTP, QR_ERR_PLATFORM, 1, "HTTP/1.1"},
        {KMSBOX_NOT_JSON, QR_ERR_PLATFORM, 1, "no JSON"},
        {KMSBOX_REDIRECT, QR_ERR_PLATFORM, 1, "no redirect"},
        {KMSBOX_HANG_UP, QR_ERR_PLATFORM, 2, "127.0.0.1:"},
        {KMSBOX_TLS_NAME, QR_ERR_PLATFORM, 1, "not believed to be " KMSBOX_HOST},
        {KMSBOX_TLS_EXPIRED, QR_ERR_PLATFORM, 1, "expired"},
        {KMSBOX_TLS_ROOT, QR_ERR_PLATFORM, 1, "not believed"},
        {KMSBOX_TLS_OLD, QR_ERR_PLATFORM, 1, "TLS"},
        {KMSBOX_PLAIN, QR_ERR_PLATFORM, 1, "TLS"},
        {KMSBOX_CREDS_EXPIRED, QR_ERR_PLATFORM, 2, "expired"},
        {KMSBOX_CREDS_GARBAGE, QR_ERR_PLATFORM, 1, "credentials from"},
        {KMSBOX_CREDS_EMPTY, QR_ERR_PLATFORM, 1, "found 0"},
        {KMSBOX_CREDS_HUGE, QR_ERR_PLATFORM, 1, "more than 8192"},
        {KMSBOX_CREDS_WRONG, QR_ERR_PLATFORM, 1, "InvalidSignatureException"},
    };
    (void)state;
    cfg.timeout_ms = 500;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct qr_sec32 untouched = key;
        kmsbox_set(&box, table[i].fault, 0);
        box.credentials = 0;
        qr_err e = qr_kms_generate(&kms, &who, &key, &blob);
        if (e != table[i].want || !strstr(kms.why, table[i].names)) {
            fail_msg("fault %d: %s: %s", (int)table[i].fault, qr_err_name(e), kms.why);
        }
        if (box.credentials != table[i].tries) {
            fail_msg("fault %d: tried %u times", (int)table[i].fault, box.credentials);
        }
        assert_int_equal(blob.len, 0);
        assert_memory_equal(key.b, untouched.b, 32);
        assert_non_null(strstr(kms.why, table[i].tries > 1 ? "(tried 2 times)" : ""));
    }
}

static void
test_slow(void **state)
{
    (void)state;
    cfg.timeout_ms = 60;
    kmsbox_set(&box, KMSBOX_SLOW, 0);
    assert_int_equal(qr_kms_generate(&kms, &who, &key, &blob), QR_ERR_PLATFORM);
    assert_non_null(strstr(kms.why, "no answer in time"));
    assert_non_null(strstr(kms.why, "(tried 2 times)"));
}

/* What passes is tried again and comes right. */
static void
test_comes_back(void **state)
{
    static const enum kmsbox_fault once[] = {KMSBOX_TRUNCATED, KMSBOX_HANG_UP,
                                             KMSBOX_CREDS_EXPIRED};
    (void)state;
    cfg.timeout_ms = 500;
    for (size_t i = 0; i < sizeof once / sizeof once[0]; i++) {
        kmsbox_set(&box, once[i], 1);
        qr_dbuf_free(&blob);
        must(qr_kms_generate(&kms, &who, &key, &blob));
    }
}

static void
test_refusals_in_words(void **state)
{
    static const struct {
        int status;
        const char *error;
        qr_err want;
        unsigned tries;
        const char *names;
    } table[] = {
        {400, "AccessDeniedException", QR_ERR_PLATFORM, 1, "PCR0"},
        {400, "com.amazonaws.kms#AccessDeniedException", QR_ERR_PLATFORM, 1, "instance role"},
        {400, "AccessDeniedException:http://internal.amazon.com/", QR_ERR_PLATFORM, 1, "PCR8"},
        {400, "IncorrectKeyException", QR_ERR_SEAL, 1, "another KMS key"},
        {400, "InvalidCiphertextException", QR_ERR_SEAL, 1, "another party"},
        {400, "DisabledException", QR_ERR_PLATFORM, 1, "enable"},
        {400, "KMSInvalidStateException", QR_ERR_PLATFORM, 1, "deletion"},
        {400, "NotFoundException", QR_ERR_PLATFORM, 1, "no such key"},
        {400, "InvalidKeyUsageException", QR_ERR_PLATFORM, 1, "symmetric"},
        {400, "ValidationException", QR_ERR_PLATFORM, 1, "attestation document"},
        {400, "UnrecognizedClientException", QR_ERR_PLATFORM, 1, "not known"},
        {400, "ExpiredTokenException", QR_ERR_PLATFORM, 2, "expired"},
        {400, "ThrottlingException", QR_ERR_PLATFORM, 2, "fewer calls"},
        {500, "KMSInternalException", QR_ERR_PLATFORM, 2, "inside"},
        {500, "KeyUnavailableException", QR_ERR_PLATFORM, 2, "at the moment"},
        {500, "DependencyTimeoutException", QR_ERR_PLATFORM, 2, "too long"},
        {503, "SomethingNew", QR_ERR_PLATFORM, 2, "status 503, \"SomethingNew\""},
        {429, "SomethingNew", QR_ERR_PLATFORM, 2, "status 429"},
        {403, "SomethingNew", QR_ERR_PLATFORM, 1, "status 403"},
        {201, "", QR_ERR_PLATFORM, 1, "status 201"},
    };
    (void)state;
    cfg.timeout_ms = 500;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        box.status = table[i].status;
        box.error = table[i].error;
        box.credentials = 0;
        kmsbox_set(&box, KMSBOX_ERROR, 0);
        qr_err e = qr_kms_decrypt(&kms, &who, qr_view_str("a blob"), &key);
        if (e != table[i].want || !strstr(kms.why, table[i].names) ||
            box.credentials != table[i].tries) {
            fail_msg("%s: %s: %s (%u tries)", table[i].error, qr_err_name(e), kms.why,
                     box.credentials);
        }
    }
}

/* Another party's name, another key, another image: KMS says no; a changed blob as well. */
static void
test_who_may_ask(void **state)
{
    (void)state;
    cfg.timeout_ms = 1000;
    must(qr_kms_generate(&kms, &who, &key, &blob));

    cfg.name = "party-2";
    assert_int_equal(qr_kms_decrypt(&kms, &who, blob_view(), &key), QR_ERR_SEAL);
    cfg.name = "party-1";
    cfg.key = KMSBOX_OTHER_KEY;
    assert_int_equal(qr_kms_decrypt(&kms, &who, blob_view(), &key), QR_ERR_SEAL);
    cfg.key = KMSBOX_KEY;
    blob.p[40] ^= 1;
    assert_int_equal(qr_kms_decrypt(&kms, &who, blob_view(), &key), QR_ERR_SEAL);
    blob.p[40] ^= 1;

    memset(box.pcr0, '0', 96);
    assert_int_equal(qr_kms_decrypt(&kms, &who, blob_view(), &key), QR_ERR_PLATFORM);
    assert_non_null(strstr(kms.why, "AccessDenied"));
    qr_hex_encode(qr_view_of(fake.pcr[0], 48), box.pcr0);
    qr_hex_encode(qr_view_of(fake.pcr[8], 48), box.pcr8);
    must(qr_kms_decrypt(&kms, &who, blob_view(), &key));

    /* A document that nobody signed, and one for another key than the one that opens. */
    fake.dummy = 1;
    attest(evgen_key(EVGEN_RSA2048, 0));
    assert_int_equal(qr_kms_decrypt(&kms, &who, blob_view(), &key), QR_ERR_PLATFORM);
    assert_non_null(strstr(box.refused, "not believed"));
    fake.dummy = 0;
    attest(evgen_key(EVGEN_RSA2048, 0));
    who.key = evgen_key(EVGEN_RSA2048, 1);
    assert_int_equal(qr_kms_decrypt(&kms, &who, blob_view(), &key), QR_ERR_SEAL);
}

static void
test_nobody_there(void **state)
{
    char dead[32];
    (void)state;
    cfg.timeout_ms = 200;
    (void)snprintf(dead, sizeof dead, "%s", "unix:/nonexistent/kms");
    cfg.route = dead;
    assert_int_equal(qr_kms_generate(&kms, &who, &key, &blob), QR_ERR_PLATFORM);
    assert_non_null(strstr(kms.why, "forwarding"));
    assert_non_null(strstr(kms.why, "(tried 2 times)"));
    cfg.route = box.route;
    cfg.credentials = dead;
    assert_int_equal(qr_kms_generate(&kms, &who, &key, &blob), QR_ERR_PLATFORM);
    assert_non_null(strstr(kms.why, "credentials from unix:/nonexistent/kms"));
}

static void
test_arguments(void **state)
{
    static uint8_t big[20481];
    (void)state;
    assert_int_equal(qr_kms_decrypt(&kms, &who, qr_view_of(big, 0), &key), QR_ERR_SEAL);
    assert_int_equal(qr_kms_decrypt(&kms, &who, qr_view_of(big, QR_KMS_BLOB_MAX + 1), &key),
                     QR_ERR_SEAL);
    who.document = qr_view_of(big, sizeof big);
    assert_int_equal(qr_kms_generate(&kms, &who, &key, &blob), QR_ERR_SEAL);
    assert_int_equal(box.credentials, 0);
    who.document = qr_view_of(big, 20480); /* the largest that is sent: refused by the other side */
    assert_int_equal(qr_kms_decrypt(&kms, &who, qr_view_of(big, QR_KMS_BLOB_MAX), &key),
                     QR_ERR_PLATFORM);
    assert_non_null(strstr(kms.why, "ValidationException"));
}

static void
test_configuration(void **state)
{
    static const char *const bad_arn[] = {
        NULL,
        "",
        "alias/x",
        "arn:aws:kms:eu-west-1:111122223333:alias/x",
        "arn:aws:kms:eu-west-1:11112222333:key/a",
        "arn:aws:kms:eu-west-1:11112222333x:key/a",
        "arn:aws:kms:EU:111122223333:key/a",
        "arn:aws:s3:eu-west-1:111122223333:key/a",
        "arn:aws-other:kms:eu-west-1:111122223333:key/a",
        "arn:aws:kms::111122223333:key/a",
        "arn:aws:kms:eu-west-1:111122223333:key/",
        "arn:aws:kms:eu-west-1:111122223333:key/a\"b",
        "arn:aws:kms:eu-west-1.evil.example/:111122223333:key/a",
        "arn:aws:kms:eu-west-1:111122223333:key/a:b",
        "arn:aws:kms:a-region-name-that-is-much-too-long-for-any:111122223333:key/a"};
    static const char *const bad_route[] = {NULL,
                                            "",
                                            "127.0.0.1:",
                                            "127.0.0.1:0",
                                            "127.0.0.1:65536",
                                            "127.0.0.1:080",
                                            "127.0.0.1:8080x",
                                            "10.0.0.1:443",
                                            "kms.eu-west-1.amazonaws.com:443",
                                            "unix:",
                                            "localhost:80"};
    static const char *const bad_name[] = {NULL,
                                           "",
                                           "a b",
                                           "a\"b",
                                           "a/b",
                                           "0123456789012345678901234567890123456789012345678901234"
                                           "5678901234"};
    struct qr_nitro_kms c = {.key = "arn:aws:kms:eu-west-1:111122223333:key/mrk-0123",
                             .route = "127.0.0.1:8443",
                             .credentials = "unix:/run/credentials",
                             .name = "a.B_c-1"};
    struct qr_kms k;
    (void)state;
    assert_int_equal(qr_kms_open(&c, &k), QR_OK);
    assert_string_equal(k.host, "kms.eu-west-1.amazonaws.com");
    c.key = "arn:aws-cn:kms:cn-north-1:111122223333:key/a";
    assert_int_equal(qr_kms_open(&c, &k), QR_OK);
    assert_string_equal(k.host, "kms.cn-north-1.amazonaws.com.cn");
    for (size_t i = 0; i < sizeof bad_arn / sizeof bad_arn[0]; i++) {
        struct qr_nitro_kms bad = c;
        bad.key = bad_arn[i];
        assert_int_equal(qr_kms_open(&bad, &k), QR_ERR_CONFIG);
        assert_non_null(strstr(k.why, "KMS key"));
    }
    for (size_t i = 0; i < sizeof bad_route / sizeof bad_route[0]; i++) {
        struct qr_nitro_kms bad = c;
        bad.route = bad_route[i];
        assert_int_equal(qr_kms_open(&bad, &k), QR_ERR_CONFIG);
        assert_non_null(strstr(k.why, "route"));
        bad = c;
        bad.credentials = bad_route[i];
        assert_int_equal(qr_kms_open(&bad, &k), QR_ERR_CONFIG);
        assert_non_null(strstr(k.why, "credentials"));
    }
    for (size_t i = 0; i < sizeof bad_name / sizeof bad_name[0]; i++) {
        struct qr_nitro_kms bad = c;
        bad.name = bad_name[i];
        assert_int_equal(qr_kms_open(&bad, &k), QR_ERR_CONFIG);
        assert_non_null(strstr(k.why, "name"));
    }
    c.tries = 11;
    assert_int_equal(qr_kms_open(&c, &k), QR_ERR_CONFIG);
}

/* The product's roots: five, self-signed, with the public keys that Amazon Trust Services publishes. */
static void
test_roots(void **state)
{
    static const char *const spki[5] = {
        "fbe3018031f9586bcbf41727e417b7d1c45c2f47f93be372a17b96b50757d5a2",
        "7f4296fc5b6a4e3b35d3c369623e364ab1af381d8fa7121533c9d6c633ea2461",
        "36abc32656acfc645c61b71613c4bf21c787f5cabbee48348d58597803d7abc9",
        "f7ecded5c66047d28ed6466b543c40e0743abe81d109254dcf845d4c2c7853c5",
        "2b071c59a0a0ae76b0eadb2bad23bad4580b69c3601b630c2eaf0613afa83f92"};
    const struct qr_kms_roots *r = qr_kms_roots_builtin();
    (void)state;
    assert_int_equal(r->n, 5);
    for (size_t i = 0; i < r->n; i++) {
        uint8_t sha[32];
        char hex[65];
        unsigned char *der = NULL;
        BIO *b = BIO_new_mem_buf(r->pem[i], -1);
        X509 *x = PEM_read_bio_X509(b, NULL, NULL, NULL);
        assert_non_null(x);
        int n = i2d_PUBKEY(X509_get0_pubkey(x), &der);
        assert_true(n > 0);
        qr_sha256(qr_view_of(der, (size_t)n), sha);
        qr_hex_encode(qr_view_of(sha, 32), hex);
        assert_string_equal(hex, spki[i]);
        assert_int_equal(X509_verify(x, X509_get0_pubkey(x)), 1);
        OPENSSL_free(der);
        X509_free(x);
        BIO_free(b);
    }
    printf("vectors: kms-roots 5\n");
}

static int
start(void **state)
{
    (void)state;
    return qr_hash_init() == QR_OK ? 0 : -1;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_round_trip, setup, teardown),
        cmocka_unit_test_setup_teardown(test_other_forms, setup, teardown),
        cmocka_unit_test_setup_teardown(test_faults, setup, teardown),
        cmocka_unit_test_setup_teardown(test_slow, setup, teardown),
        cmocka_unit_test_setup_teardown(test_comes_back, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refusals_in_words, setup, teardown),
        cmocka_unit_test_setup_teardown(test_who_may_ask, setup, teardown),
        cmocka_unit_test_setup_teardown(test_nobody_there, setup, teardown),
        cmocka_unit_test_setup_teardown(test_arguments, setup, teardown),
        cmocka_unit_test(test_configuration),
        cmocka_unit_test(test_roots),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
