/*
 * Approvals and approvers. The first byte chooses:
 *   0  a header value, for a policy with an approver of each form; nobody signed it, so it is refused
 *   1  what a browser and an authenticator wrote, signed here by the approver's passkey: whatever is
 *      accepted names the request, an origin of his and his relying party, and says that he was there
 *   2  the same behind an element of a policy's "approvers", as JSON
 * A refusal is a printable sentence.
 */
#include "daemon/policy.h"
#include "protocol/base/enc.h"
#include "protocol/base/hash.h"
#include "test/fuzz/fuzz.h"

#include <openssl/evp.h>

#define ORIGIN "https://approve.example.org"
#define RP "example.org"

static const uint8_t request[32] = {7};
static EVP_PKEY *passkey;
static struct qr_policy *policy;
static struct qr_approver alice;
static char challenge[44];

static void
make_policy(void)
{
    char text[2048], hex[67], why[QR_ERR_TEXT_MAX] = "";
    qr_hex_encode(qr_view_of(alice.key.b, 33), hex);
    int n =
        snprintf(text, sizeof text,
                 "{\"v\":1,\"type\":\"quorate/policy\",\"cluster\":\"%064d\",\"serial\":1,"
                 "\"peers\":{\"insecure_sim\":true},\"requests\":{\"clients\":[],\"approvers\":["
                 "{\"name\":\"alice\",\"scheme\":\"webauthn\",\"key\":\"%s\",\"rp_id\":\"" RP
                 "\",\"origins\":[\"" ORIGIN "\"]},"
                 "{\"name\":\"bob\",\"scheme\":\"ed25519\",\"key\":"
                 "\"d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a\"},"
                 "{\"name\":\"carol\",\"scheme\":\"secp256k1\",\"key\":"
                 "\"0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798\"}],"
                 "\"gateways\":[\"https://gateway.example.org\"],\"rules\":[]}}",
                 0, hex);
    FUZZ_MUST(n > 0 && (size_t)n < sizeof text);
    if (qr_policy_parse(qr_view_str(text), &policy, why, sizeof why) != QR_OK) {
        (void)fprintf(stderr, "%s\n", why);
        FUZZ_MUST(0);
    }
}

static void
prepare(void)
{
    char text[QR_APPROVAL_TEXT_LEN];
    uint8_t h[32];

    FUZZ_MUST(qr_stamp_init() == QR_OK);
    passkey = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
    FUZZ_MUST(passkey && qr_stamp_key_of(passkey, &alice.key) == QR_OK);
    make_policy();
    alice = *qr_policy_approver(policy, 0);
    qr_approval_text(request, text);
    qr_sha256(qr_view_of(text, sizeof text), h);
    qr_b64url_encode(qr_view_of(h, 32), challenge);
}

static void
header(qr_view v)
{
    char why[QR_ERR_TEXT_MAX] = "";
    uint64_t mask = 0;
    qr_view all[QR_APPROVALS_MAX + 1];
    size_t n = 0;

    /* a line each */
    for (size_t from = 0; n <= QR_APPROVALS_MAX && from <= v.len;) {
        const uint8_t *nl = from < v.len ? memchr(v.p + from, '\n', v.len - from) : NULL;
        size_t to = nl ? (size_t)(nl - v.p) : v.len;
        all[n++] = qr_view_of(v.p + from, to - from);
        from = to + 1;
    }
    FUZZ_MUST(qr_approvals_check(policy, all, n, request, &mask, why, sizeof why) != QR_OK);
    FUZZ_MUST(why[0] != 0 && mask == 0);
    fuzz_text(why, sizeof why);
}

static int
has(const struct qr_approval *a, const char *text)
{
    return memmem(a->client, a->client_len, text, strlen(text)) != NULL;
}

/* A length byte and authenticatorData, then clientDataJSON: signed, judged, looked at once more. */
static void
assertion(struct qr_approver *who, qr_view v)
{
    struct qr_approval a = {.webauthn = 1, .stamp.key = alice.key};
    uint8_t all[512 + 32], rp[32];
    char why[QR_ERR_TEXT_MAX] = "", quoted[64];
    size_t sig_len = sizeof a.stamp.sig;

    if (v.len == 0) {
        return;
    }
    size_t n = v.p[0] < v.len - 1 ? v.p[0] : v.len - 1, rest = v.len - 1 - n;
    if (rest > sizeof a.client) {
        return;
    }
    a.data_len = n;
    a.client_len = rest;
    memcpy(a.data, v.p + 1, n);
    memcpy(a.client, v.p + 1 + n, rest);
    /* what a fuzzer cannot guess: '@' for the challenge, and his relying party for 32 zeros */
    qr_sha256(qr_view_str(RP), rp);
    if (n >= 32 && memcmp(a.data, (const uint8_t[32]){0}, 32) == 0) {
        memcpy(a.data, rp, 32);
    }
    uint8_t *at = memchr(a.client, '@', rest);
    if (at && rest + 42 <= sizeof a.client) {
        size_t before = (size_t)(at - a.client);
        memmove(at + 43, at + 1, rest - before - 1);
        memcpy(at, challenge, 43);
        a.client_len += 42;
    }
    memcpy(all, a.data, n);
    qr_sha256(qr_view_of(a.client, a.client_len), all + n);
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    FUZZ_MUST(c && EVP_DigestSignInit_ex(c, NULL, "SHA256", NULL, NULL, passkey, NULL) == 1 &&
              EVP_DigestSign(c, a.stamp.sig, &sig_len, all, n + 32) == 1);
    EVP_MD_CTX_free(c);
    a.stamp.sig_len = sig_len;
    if (qr_approval_check(who, &a, request, why, sizeof why) == QR_OK) {
        FUZZ_MUST(n >= 37 && memcmp(a.data, rp, 32) == 0 && (a.data[32] & 0x45) == 5);
        /* an escape could hide them; then the fuzzer has to make do with fewer */
        if (!memchr(a.client, '\\', a.client_len)) {
            (void)snprintf(quoted, sizeof quoted, "\"%s\"", challenge);
            FUZZ_MUST(has(&a, quoted) && has(&a, "\"webauthn.get\"") && has(&a, "\"origin\""));
            FUZZ_MUST(!has(&a, "\"topOrigin\""));
            int own = 0;
            for (size_t i = 0; i < who->n_origins; i++) {
                own |= has(&a, who->origin[i]);
            }
            FUZZ_MUST(own);
        }
    } else {
        FUZZ_MUST(why[0] != 0);
    }
    fuzz_text(why, sizeof why);
}

static void
approver(qr_view v)
{
    char why[QR_ERR_TEXT_MAX] = "";
    struct qr_json j;
    struct qr_approver who = {0};

    if (qr_json_parse(&j, v, 64, why, sizeof why) == QR_OK) {
        struct qr_json_at root = qr_json_root(&j);
        for (int insecure = 0; insecure < 2; insecure++) {
            if (qr_approver_read(&root, insecure, &who) != QR_OK) {
                FUZZ_MUST(why[0] != 0);
                continue;
            }
            FUZZ_MUST(who.pub && who.name[0] && (who.webauthn == (who.n_origins > 0)));
            for (size_t i = 0; i < who.n_origins; i++) {
                const char *o = who.origin[i];
                int local = strncmp(o, "http://localhost", 16) == 0;
                FUZZ_MUST(strncmp(o, "https://", 8) == 0 || (insecure && local));
                FUZZ_MUST(strstr(o, who.rp_id) && !strchr(o + 8, '/') && !strchr(o, '@'));
            }
            qr_pubkey_free(who.pub);
        }
        qr_json_clear(&j);
    }
    fuzz_text(why, sizeof why);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!policy) {
        prepare();
    }
    unsigned what = fuzz_choice(&data, &size, 3);
    if (what == 0) {
        header(qr_view_of(data, size));
    } else if (what == 1) {
        assertion(&alice, qr_view_of(data, size));
    } else {
        approver(qr_view_of(data, size));
    }
    return 0;
}
