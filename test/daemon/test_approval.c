/*
 * Approvals: what an approver signs is accepted for exactly that request and nothing else; every
 * check of a passkey's assertion refuses by a sentence of its own; published assertions of the
 * WebAuthn specification; all approvals of a request together.
 */
#include "daemon/approval.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/policy.h"
#include "protocol/base/enc.h"
#include "protocol/base/hash.h"
#include "protocol/base/mem.h"
#include "test/common/documents.h"
#include "test/common/stamps.h"

#include <openssl/evp.h>
#include <stdio.h>

static char why[QR_ERR_TEXT_MAX];
static struct stamper alice, bob, carol, mallory;
static const uint8_t request[32] = {1, 2, 3}, other[32] = {1, 2, 4};

static int
setup(void **state)
{
    (void)state;
    if (qr_stamp_init() != QR_OK) {
        return -1;
    }
    stamper_new(&alice, QR_SCHEME_P256); /* with a passkey */
    stamper_new(&bob, QR_SCHEME_ED25519);
    stamper_new(&carol, QR_SCHEME_SECP256K1);
    stamper_new(&mallory, QR_SCHEME_P256);
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    stamper_free(&alice);
    stamper_free(&bob);
    stamper_free(&carol);
    stamper_free(&mallory);
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

/* ---- approvers of a policy ---- */

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

/* ---- keys of one's own ---- */

static void
test_own_key(void **state)
{
    const struct stamper *const who[] = {&alice, &bob, &carol};
    char out[QR_STAMP_MAX], text[QR_APPROVAL_TEXT_LEN], hex[65];
    struct qr_approval a;

    (void)state;
    qr_approval_text(request, text);
    qr_hex_encode(qr_view_of(request, 32), hex);
    assert_memory_equal(text, "quorate/approval/v1\n", 20);
    assert_memory_equal(text + 20, hex, 64);
    assert_int_equal(text[84], '\n');
    for (size_t i = 0; i < 3; i++) {
        struct qr_approver ap = {.key = who[i]->pub, .name = "who"};
        assert_int_equal(qr_pubkey_new(&ap.key, &ap.pub), QR_OK);
        assert_int_equal(qr_approval_sign(who[i]->key, request, out, sizeof out), QR_OK);
        assert_int_equal(qr_approval_parse(qr_view_str(out), &a, why, sizeof why), QR_OK);
        assert_false(a.webauthn);
        assert_int_equal(qr_approval_check(&ap, &a, request, why, sizeof why), QR_OK);
        assert_int_equal(qr_approval_check(&ap, &a, other, why, sizeof why),
                         QR_ERR_APPROVAL_INVALID);
        assert_non_null(strstr(why, "exactly this request"));
        a.stamp.sig[a.stamp.sig_len - 1] ^= 1;
        assert_int_equal(qr_approval_check(&ap, &a, request, NULL, 0), QR_ERR_APPROVAL_INVALID);
        /* a stamp over the request's hash, or over its hex, is none */
        qr_view h = stamper_stamp(who[i], qr_view_of(request, 32), out);
        assert_int_equal(qr_approval_parse(h, &a, why, sizeof why), QR_OK);
        assert_int_equal(qr_approval_check(&ap, &a, request, why, sizeof why),
                         QR_ERR_APPROVAL_INVALID);
        /* the same key is another approver when it is a passkey's */
        ap.webauthn = 1;
        h = stamper_stamp(who[i], qr_view_of(text, sizeof text), out);
        assert_int_equal(qr_approval_parse(h, &a, why, sizeof why), QR_OK);
        assert_int_equal(qr_approval_check(&ap, &a, request, why, sizeof why),
                         QR_ERR_APPROVAL_INVALID);
        assert_non_null(strstr(why, "not made with who's key"));
        qr_pubkey_free(ap.pub);
    }
}

/* ---- passkeys ---- */

/* An authenticator and a browser, with everything that they write. */
struct assertion {
    const char *rp, *type, *origin, *tail; /* tail: behind origin, before the brace */
    const uint8_t *request;
    unsigned flags;
    size_t more;        /* bytes after the counter */
    const char *client; /* instead of all members */
};

#define GOOD                                                                                       \
    {                                                                                              \
        "example.org", "webauthn.get", "https://approve.example.org", ",\"crossOrigin\":false",    \
            request, 0x05, 0, NULL                                                                 \
    }

static void
assertion_parts(const struct assertion *x, uint8_t *data, size_t *data_len, char *client,
                size_t client_cap)
{
    char text[QR_APPROVAL_TEXT_LEN], challenge[44];
    uint8_t h[32];

    qr_sha256(qr_view_str(x->rp), data);
    data[32] = (uint8_t)x->flags;
    memset(data + 33, 0, 4 + x->more);
    *data_len = 37 + x->more;
    qr_approval_text(x->request, text);
    qr_sha256(qr_view_of(text, sizeof text), h);
    qr_b64url_encode(qr_view_of(h, 32), challenge);
    if (x->client) {
        fill(client, client_cap, x->client, challenge);
    } else {
        (void)snprintf(client, client_cap,
                       "{\"type\":\"%s\",\"challenge\":\"%s\",\"origin\":\"%s\"%s}", x->type,
                       challenge, x->origin, x->tail);
    }
}

/* The header value; key signs, `named` is the key that it says it is. */
static qr_view
assertion_header(const struct assertion *x, const struct stamper *key, const char *named, char *out)
{
    uint8_t data[512], signed_bytes[544], sig[80];
    char client[1100], data_text[700], client_text[1500], sig_hex[161], json[3000];
    size_t data_len = 0, sig_len = sizeof sig;

    assertion_parts(x, data, &data_len, client, sizeof client);
    memcpy(signed_bytes, data, data_len);
    qr_sha256(qr_view_str(client), signed_bytes + data_len);
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    assert_int_equal(EVP_DigestSignInit_ex(c, NULL, "SHA256", NULL, NULL, key->key, NULL), 1);
    assert_int_equal(EVP_DigestSign(c, sig, &sig_len, signed_bytes, data_len + 32), 1);
    EVP_MD_CTX_free(c);
    qr_b64url_encode(qr_view_of(data, data_len), data_text);
    qr_b64url_encode(qr_view_str(client), client_text);
    qr_hex_encode(qr_view_of(sig, sig_len), sig_hex);
    int n = snprintf(json, sizeof json,
                     "{\"scheme\":\"webauthn\",\"publicKey\":\"%s\",\"authenticatorData\":\"%s\","
                     "\"clientDataJSON\":\"%s\",\"signature\":\"%s\"}",
                     named, data_text, client_text, sig_hex);
    assert_true(n > 0 && (size_t)n < sizeof json && qr_b64url_len((size_t)n) <= QR_STAMP_MAX);
    qr_b64url_encode(qr_view_of(json, (size_t)n), out);
    return qr_view_str(out);
}

static struct qr_approver
alice_approver(void)
{
    char text[600];
    struct qr_approver a = {0};
    passkey_text(text, sizeof text, "example.org",
                 "\"https://approve.example.org\",\"https://example.org:8443\"");
    assert_int_equal(read_approver(text, 0, &a), QR_OK);
    return a;
}

static void
test_passkey(void **state)
{
    static const struct {
        struct assertion x;
        const char *why;
    } cases[] = {
        {GOOD, NULL},
        {{"example.org", "webauthn.get", "https://example.org:8443", "", request, 0x1d, 0, NULL},
         NULL},
        /* browsers may add members, and an authenticator extensions */
        {{"example.org", "webauthn.get", "https://approve.example.org",
          ",\"extra\":{\"a\":[-1.5e3,null]},\"crossOrigin\":false", request, 0x85, 7, NULL},
         NULL},
        {{"example.org", "webauthn.create", "https://approve.example.org", "", request, 0x05, 0,
          NULL},
         "type is \"webauthn.create\""},
        {{"example.org", "webauthn.get", "https://approve.example.org", "", other, 0x05, 0, NULL},
         "of another request"},
        {{"example.org", "webauthn.get", "https://gateway.example.org", "", request, 0x05, 0, NULL},
         "none of alice's origins"},
        {{"example.org", "webauthn.get", "https://approve.example.org:8443", "", request, 0x05, 0,
          NULL},
         "none of alice's origins"},
        {{"example.org", "webauthn.get", "https://approve.example.org/", "", request, 0x05, 0,
          NULL},
         "none of alice's origins"},
        {{"example.org", "webauthn.get", "http://approve.example.org", "", request, 0x05, 0, NULL},
         "none of alice's origins"},
        {{"example.org", "webauthn.get", "https://approve.example.org", ",\"crossOrigin\":true",
          request, 0x05, 0, NULL},
         "of another origin"},
        {{"example.org", "webauthn.get", "https://approve.example.org",
          ",\"crossOrigin\":false,\"topOrigin\":\"https://evil.net\"", request, 0x05, 0, NULL},
         "of another origin"},
        {{"example.org", "webauthn.get", "https://approve.example.org", ",\"topOrigin\":null",
          request, 0x05, 0, NULL},
         "of another origin"},
        {{"example.org", "webauthn.get", "https://approve.example.org", ",\"crossOrigin\":\"no\"",
          request, 0x05, 0, NULL},
         "must be true or false"},
        {{"example.org", "webauthn.get", "https://approve.example.org",
          ",\"origin\":\"https://evil.net\"", request, 0x05, 0, NULL},
         "duplicate"},
        {{"evil.net", "webauthn.get", "https://approve.example.org", "", request, 0x05, 0, NULL},
         "another relying party than example.org"},
        {{"example.org", "webauthn.get", "https://approve.example.org", "", request, 0x04, 0, NULL},
         "nobody was present"},
        {{"example.org", "webauthn.get", "https://approve.example.org", "", request, 0x01, 0, NULL},
         "did not verify its user"},
        {{"example.org", "webauthn.get", "https://approve.example.org", "", request, 0x15, 0, NULL},
         "backed up (BS)"},
        {{"example.org", "webauthn.get", "https://approve.example.org", "", request, 0x45, 100,
          NULL},
         "a new credential"},
        {{"example.org", "webauthn.get", "https://approve.example.org", "", request, 0x05, 1, NULL},
         "38 bytes, which its flags"},
        {{"example.org", "webauthn.get", "https://approve.example.org", "", request, 0x85, 0, NULL},
         "37 bytes, which its flags"},
        {{"example.org", NULL, NULL, NULL, request, 0x05, 0, "{\"challenge\":\"@\"}"},
         "type is \"\""},
        {{"example.org", NULL, NULL, NULL, request, 0x05, 0,
          "{\"type\":\"webauthn.get\",\"challenge\":\"@\"}"},
         "none of alice's origins"},
        {{"example.org", NULL, NULL, NULL, request, 0x05, 0,
          "{\"type\":\"webauthn.get\",\"challenge\":\"@=\",\"origin\":"
          "\"https://approve.example.org\"}"},
         "of another request"},
        {{"example.org", NULL, NULL, NULL, request, 0x05, 0,
          "{\"type\":\"webauthn.get\",\"origin\":\"https://approve.example.org\"}"},
         "of another request"},
        {{"example.org", NULL, NULL, NULL, request, 0x05, 0, "[\"@\"]"}, "type is \"\""},
        {{"example.org", NULL, NULL, NULL, request, 0x05, 0, "@"}, "line 1"},
        {{"example.org", NULL, NULL, NULL, request, 0x05, 0,
          "{\"type\":\"webauthn.get\",\"challenge\":\"@\",\"origin\":"
          "\"https://approve.example.org\"} "
          "{}"},
         "line 1"},
    };
    struct qr_approver who = alice_approver();
    char out[QR_STAMP_MAX + 1];
    struct qr_approval a;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        why[0] = 0;
        assert_int_equal(qr_approval_parse(assertion_header(&cases[i].x, &alice, alice.hex, out),
                                           &a, why, sizeof why),
                         QR_OK);
        assert_true(a.webauthn);
        qr_err e = qr_approval_check(&who, &a, request, why, sizeof why);
        if (cases[i].why ? e != QR_ERR_APPROVAL_INVALID || !strstr(why, cases[i].why)
                         : e != QR_OK) {
            fail_msg("case %zu: %d, \"%s\"", i, (int)e, why);
        }
    }
    /* made by another key, in alice's name and in its own */
    const struct assertion good = GOOD;
    assert_int_equal(
        qr_approval_parse(assertion_header(&good, &mallory, alice.hex, out), &a, why, sizeof why),
        QR_OK);
    assert_int_equal(qr_approval_check(&who, &a, request, why, sizeof why),
                     QR_ERR_APPROVAL_INVALID);
    assert_non_null(strstr(why, "the signature is not alice's passkey's"));
    assert_int_equal(
        qr_approval_parse(assertion_header(&good, &mallory, mallory.hex, out), &a, why, sizeof why),
        QR_OK);
    assert_int_equal(qr_approval_check(&who, &a, request, why, sizeof why),
                     QR_ERR_APPROVAL_INVALID);
    /* a stamp of alice's passkey key, which no authenticator makes, is none of hers */
    assert_int_equal(qr_approval_sign(alice.key, request, out, sizeof out), QR_OK);
    assert_int_equal(qr_approval_parse(qr_view_str(out), &a, why, sizeof why), QR_OK);
    assert_int_equal(qr_approval_check(&who, &a, request, why, sizeof why),
                     QR_ERR_APPROVAL_INVALID);
    qr_pubkey_free(who.pub);
}

/* Every bit of what is signed, and of the signature. */
static void
test_passkey_bits(void **state)
{
    const struct assertion good = GOOD;
    struct qr_approver who = alice_approver();
    char out[QR_STAMP_MAX + 1];
    struct qr_approval a, b;

    (void)state;
    assert_int_equal(
        qr_approval_parse(assertion_header(&good, &alice, alice.hex, out), &a, why, sizeof why),
        QR_OK);
    assert_int_equal(qr_approval_check(&who, &a, request, why, sizeof why), QR_OK);
    for (size_t i = 0; i < 8 * a.data_len; i += 3) {
        b = a;
        b.data[i / 8] ^= (uint8_t)(1u << (i % 8));
        assert_int_equal(qr_approval_check(&who, &b, request, why, sizeof why),
                         QR_ERR_APPROVAL_INVALID);
    }
    for (size_t i = 0; i < 8 * a.client_len; i += 7) {
        b = a;
        b.client[i / 8] ^= (uint8_t)(1u << (i % 8));
        assert_int_equal(qr_approval_check(&who, &b, request, why, sizeof why),
                         QR_ERR_APPROVAL_INVALID);
    }
    for (size_t i = 0; i < 8 * a.stamp.sig_len; i += 5) {
        b = a;
        b.stamp.sig[i / 8] ^= (uint8_t)(1u << (i % 8));
        assert_int_equal(qr_approval_check(&who, &b, request, why, sizeof why),
                         QR_ERR_APPROVAL_INVALID);
    }
    for (size_t i = 0; i < 256; i += 9) {
        uint8_t r[32];
        memcpy(r, request, 32);
        r[i / 8] ^= (uint8_t)(1u << (i % 8));
        assert_int_equal(qr_approval_check(&who, &a, r, why, sizeof why), QR_ERR_APPROVAL_INVALID);
    }
    qr_pubkey_free(who.pub);
}

/*
 * Assertions that the WebAuthn specification publishes (Level 3, section 16, ES256). Their challenges
 * are their own, so they are checked below the request; rp id example.org, origin https://example.org.
 */
static void
test_published(void **state)
{
    static const struct {
        const char *key, *challenge, *data, *client, *sig, *why;
    } v[] = {
        /* packed.ES256: user present and verified */
        {"031cf27f25da591208a4239c2e324f104f585525479a29edeedd830f48e77aeae5",
         "b1106fa46a57bef1781511c0557dc898a03413d5f0f17d244630c194c7e1adb5",
         "bfabc37432958b063360d3ad6461c9c4735ae7f8edd46592a5e0f01452b2e4b50d00000000",
         "{\"type\":\"webauthn.get\",\"challenge\":\"sRBvpGpXvvF4FRHAVX3ImKA0E9Xw8X0kRjDBlMfhrbU\","
         "\"origin\":\"https://example.org\",\"crossOrigin\":false,\"extraData\":"
         "\"clientDataJSON may be extended with additional fields in the future, such as this: "
         "AZMwyMxIbD8-uguFNp6r8Q\"}",
         "30450220694969d3ee928de6f02ef23a9c644d7d779916451734a94b432542f498a1ebe90221008b0819c8242"
         "1"
         "8a97152cd099c55bfb1477b29d900a49a64018314f9bfccda163",
         NULL},
        /* none.ES256: nobody verified the user */
        {"02afefa16f97ca9b2d23eb86ccb64098d20db90856062eb249c33a9b672f26df61",
         "39c0e7521417ba54d43e8dc95174f423dee9bf3cd804ff6d65c857c9abf4d408",
         "bfabc37432958b063360d3ad6461c9c4735ae7f8edd46592a5e0f01452b2e4b51900000000",
         "{\"type\":\"webauthn.get\",\"challenge\":\"OcDnUhQXulTUPo3JUXT0I97pvzzYBP9tZchXyav01Ag\","
         "\"origin\":\"https://example.org\",\"crossOrigin\":false}",
         "3046022100f50a4e2e4409249c4a853ba361282f09841df4dd4547a13a87780218deffcd380221008480ac0f0"
         "b"
         "93538174f575bf11a1dd5d78c6e486013f937295ea13653e331e87",
         "did not verify its user"},
        /* none.ES256 with crossOrigin */
        {"0222200a473f90b11078851550d03b4e44a2279f8c4eca27b3153dedfe03e4e97d",
         "876aa517ba83fdee65fcffdbca4c84eeae5d54f8041a1fc85c991e5bbb273137",
         "bfabc37432958b063360d3ad6461c9c4735ae7f8edd46592a5e0f01452b2e4b50500000000",
         "{\"type\":\"webauthn.get\",\"challenge\":\"h2qlF7qD_e5l_P_bykyE7q5dVPgEGh_IXJkeW7snMTc\","
         "\"origin\":\"https://example.org\",\"crossOrigin\":true,\"extraData\":"
         "\"clientDataJSON may be extended with additional fields in the future, such as this: "
         "92pcTVD0Aby-q4dtmj6efg\"}",
         "3046022100eb12fcf23b12764c0f122e22371fab92e283879fd798f38ee1841c951b6e40e7022100c76237ff9"
         "d"
         "b77b3c56f30837cda6a09acfa2e915544e609c0733b1184036d1cf",
         "of another origin"},
    };
    struct qr_approver who = {.name = "org", .webauthn = 1, .rp_id = "example.org", .n_origins = 1};

    (void)state;
    memcpy(who.origin[0], "https://example.org", 20);
    for (size_t i = 0; i < sizeof v / sizeof v[0]; i++) {
        struct qr_approval a = {.webauthn = 1};
        uint8_t challenge[32];

        a.stamp.key.scheme = QR_SCHEME_P256;
        assert_int_equal(qr_hex_decode(v[i].key, 66, a.stamp.key.b, 33), QR_OK);
        who.key = a.stamp.key;
        assert_int_equal(qr_pubkey_new(&who.key, &who.pub), QR_OK);
        assert_int_equal(qr_hex_decode(v[i].challenge, 64, challenge, 32), QR_OK);
        a.data_len = strlen(v[i].data) / 2;
        assert_int_equal(qr_hex_decode(v[i].data, 2 * a.data_len, a.data, a.data_len), QR_OK);
        a.client_len = strlen(v[i].client);
        memcpy(a.client, v[i].client, a.client_len);
        a.stamp.sig_len = strlen(v[i].sig) / 2;
        assert_int_equal(qr_hex_decode(v[i].sig, 2 * a.stamp.sig_len, a.stamp.sig, a.stamp.sig_len),
                         QR_OK);
        why[0] = 0;
        qr_err e = qr_passkey_check(&who, &a, challenge, why, sizeof why);
        if (v[i].why ? e != QR_ERR_APPROVAL_INVALID || !strstr(why, v[i].why) : e != QR_OK) {
            fail_msg("vector %zu: %d, \"%s\"", i, (int)e, why);
        }
        challenge[0] ^= 1;
        assert_int_equal(qr_passkey_check(&who, &a, challenge, why, sizeof why),
                         QR_ERR_APPROVAL_INVALID);
        assert_non_null(strstr(why, "of another request"));
        qr_pubkey_free(who.pub);
    }
}

/* ---- the form ---- */

#define DER "3006020101020101"

static void
test_form(void **state)
{
    static const struct {
        const char *json, *why; /* NULL: good */
    } cases[] = {
        {"{\"scheme\":\"webauthn\",\"publicKey\":\"@\",\"authenticatorData\":\"AA\","
         "\"clientDataJSON\":\"AA\",\"signature\":\"" DER "\"}",
         NULL},
        {"{\"scheme\":\"webauthn\",\"publicKey\":\"@\",\"authenticatorData\":\"AA\","
         "\"clientDataJSON\":\"AA\",\"signature\":\"" DER "\",\"more\":1}",
         "unknown member"},
        {"{\"scheme\":\"webauthn\",\"publicKey\":\"@\",\"authenticatorData\":\"AA\","
         "\"signature\":\"" DER "\"}",
         "\"clientDataJSON\" is missing"},
        {"{\"scheme\":\"webauthn\",\"publicKey\":\"02\",\"authenticatorData\":\"AA\","
         "\"clientDataJSON\":\"AA\",\"signature\":\"" DER "\"}",
         "must have 66 hex digits"},
        {"{\"scheme\":\"webauthn\",\"publicKey\":\"@\",\"authenticatorData\":\"A\","
         "\"clientDataJSON\":\"AA\",\"signature\":\"" DER "\"}",
         "authenticatorData must be"},
        {"{\"scheme\":\"webauthn\",\"publicKey\":\"@\",\"authenticatorData\":\"AA\","
         "\"clientDataJSON\":\"AB\",\"signature\":\"" DER "\"}",
         "clientDataJSON must be"},
        {"{\"scheme\":\"webauthn\",\"publicKey\":\"@\",\"authenticatorData\":\"AA==\","
         "\"clientDataJSON\":\"AA\",\"signature\":\"" DER "\"}",
         "authenticatorData must be"},
        {"{\"scheme\":\"webauthn\",\"publicKey\":\"@\",\"authenticatorData\":\"AA\","
         "\"clientDataJSON\":\"AA\",\"signature\":\"3006020101020101F\"}",
         "signature must be"},
        {"{\"scheme\":\"webauthn\",\"scheme\":\"SIGNATURE_SCHEME_TK_API_P256\"}", "duplicate"},
        {"{\"scheme\":\"SIGNATURE_SCHEME_TK_API_P256\",\"publicKey\":\"@\",\"signature\":\"" DER
         "\"}",
         NULL},
        {"{\"scheme\":\"SIGNATURE_SCHEME_TK_API_P256\",\"publicKey\":\"@\",\"signature\":\"" DER
         "\",\"clientDataJSON\":\"AA\"}",
         "unknown member"},
        {"{\"scheme\":\"p256\",\"publicKey\":\"@\",\"signature\":\"" DER "\"}", "unknown scheme"},
        {"{\"publicKey\":\"@\",\"signature\":\"" DER "\"}", "missing"},
        {"{\"scheme\":null}", "missing"},
        {"[]", "must be an object"},
        {"nonsense", "line 1"},
        {"", "empty"},
    };
    char json[1024], out[QR_STAMP_MAX + 8];
    struct qr_approval a;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        fill(json, sizeof json, cases[i].json, alice.hex);
        qr_b64url_encode(qr_view_str(json), out);
        why[0] = 0;
        qr_err e = qr_approval_parse(qr_view_str(out), &a, why, sizeof why);
        if (cases[i].why ? e != QR_ERR_APPROVAL_INVALID || !strstr(why, cases[i].why)
                         : e != QR_OK) {
            fail_msg("%s: %d, \"%s\"", json, (int)e, why);
        }
    }
    assert_int_equal(qr_approval_parse(qr_view_str("a b"), &a, why, sizeof why),
                     QR_ERR_APPROVAL_INVALID);
    memset(out, 'A', sizeof out);
    assert_int_equal(qr_approval_parse(qr_view_of(out, QR_STAMP_MAX + 1), &a, why, sizeof why),
                     QR_ERR_TOO_LARGE);
    assert_int_equal(qr_approval_parse(qr_view_of(out, QR_STAMP_MAX), &a, why, sizeof why),
                     QR_ERR_APPROVAL_INVALID);
    assert_int_equal(qr_approval_parse(qr_view_of(out, QR_STAMP_MAX), &a, NULL, 0),
                     QR_ERR_APPROVAL_INVALID);
}

/* ---- all approvals of a request ---- */

static struct qr_policy *
policy_of_three(void)
{
    char text[4096], passkey[600];
    struct qr_policy *p = NULL;

    passkey_text(passkey, sizeof passkey, "example.org", "\"https://approve.example.org\"");
    int n = snprintf(text, sizeof text,
                     "{\"v\":1,\"type\":\"quorate/policy\",\"cluster\":\"" DOC_CLUSTER
                     "\",\"serial\":3,\"peers\":{\"insecure_sim\":true},\"requests\":{"
                     "\"clients\":[],\"approvers\":["
                     "{\"name\":\"bob\",\"scheme\":\"ed25519\",\"key\":\"%s\"},%s,"
                     "{\"name\":\"carol\",\"scheme\":\"secp256k1\",\"key\":\"%s\"}],"
                     "\"gateways\":[\"https://gateway.example.org\"],\"rules\":[]}}",
                     bob.hex, passkey, carol.hex);
    assert_true(n > 0 && (size_t)n < sizeof text);
    if (qr_policy_parse(qr_view_str(text), &p, why, sizeof why) != QR_OK) {
        fail_msg("%s", why);
    }
    return p;
}

static void
test_all(void **state)
{
    const struct assertion good = GOOD;
    static char a[QR_STAMP_MAX + 1], b[QR_STAMP_MAX + 1], c[QR_STAMP_MAX + 1], m[QR_STAMP_MAX + 1],
        late[QR_STAMP_MAX + 1];
    struct qr_policy *p = policy_of_three();
    uint64_t mask = 99;

    (void)state;
    (void)assertion_header(&good, &alice, alice.hex, a);
    assert_int_equal(qr_approval_sign(bob.key, request, b, sizeof b), QR_OK);
    assert_int_equal(qr_approval_sign(carol.key, request, c, sizeof c), QR_OK);
    assert_int_equal(qr_approval_sign(mallory.key, request, m, sizeof m), QR_OK);
    assert_int_equal(qr_approval_sign(carol.key, other, late, sizeof late), QR_OK);
    const struct {
        const char *h[3];
        uint64_t mask; /* 0 with headers: refused */
        const char *why;
    } cases[] = {
        {{NULL}, 0, NULL},
        {{a}, 2, NULL},
        {{b}, 1, NULL},
        {{c, a}, 6, NULL},
        {{c, a, b}, 7, NULL},
        {{b, b}, 0, "approval 2: bob's stands here twice"},
        {{a, a}, 0, "approval 2: alice's stands here twice"},
        {{m}, 0, "approval 1: the policy (serial 3) has no approver with its key (p256)"},
        {{b, c, m}, 0, "approval 3: the policy (serial 3) has no approver"},
        {{b, late}, 0, "approval 2: carol's signature is not over the approval of exactly"},
        {{b, ""}, 0, "approval 2: "},
        {{"not one", b}, 0, "approval 1: approval is not base64url"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        qr_view h[3];
        size_t n = 0;
        while (n < 3 && cases[i].h[n]) {
            h[n] = qr_view_str(cases[i].h[n]);
            n++;
        }
        mask = 99;
        why[0] = 0;
        qr_err e = qr_approvals_check(p, h, n, request, &mask, why, sizeof why);
        if (cases[i].why ? e != QR_ERR_APPROVAL_INVALID || mask != 99 || !strstr(why, cases[i].why)
                         : e != QR_OK || mask != cases[i].mask) {
            fail_msg("case %zu: %d, mask %llu, \"%s\"", i, (int)e, (unsigned long long)mask, why);
        }
    }
    qr_view many[QR_APPROVALS_MAX + 1];
    for (size_t i = 0; i <= QR_APPROVALS_MAX; i++) {
        many[i] = qr_view_str(b);
    }
    assert_int_equal(
        qr_approvals_check(p, many, QR_APPROVALS_MAX + 1, request, &mask, why, sizeof why),
        QR_ERR_TOO_LARGE);
    qr_policy_free(p);
}

/* Memory that runs out is said, and nothing is taken for approved. */
static unsigned left;

static int
gate(size_t n)
{
    (void)n;
    left -= left > 0;
    return left > 0;
}

static void
test_no_memory(void **state)
{
    const struct assertion good = GOOD;
    char out[QR_STAMP_MAX + 1];
    struct qr_policy *p = policy_of_three();
    qr_view h = assertion_header(&good, &alice, alice.hex, out);
    qr_err e = QR_ERR_NO_MEMORY;
    uint64_t mask = 99;

    (void)state;
    for (unsigned n = 0; e != QR_OK; n++) {
        left = n;
        qr_alloc_gate(gate);
        e = qr_approvals_check(p, &h, 1, request, &mask, why, sizeof why);
        qr_alloc_gate(NULL);
        assert_true(e == QR_OK ? mask == 2 : e == QR_ERR_NO_MEMORY && mask == 99);
        assert_true(n < 1000);
    }
    qr_policy_free(p);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {

        cmocka_unit_test(test_own_key),      cmocka_unit_test(test_passkey),
        cmocka_unit_test(test_passkey_bits), cmocka_unit_test(test_published),
        cmocka_unit_test(test_form),         cmocka_unit_test(test_all),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
