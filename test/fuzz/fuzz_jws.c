/*
 * Tokens and key sets. The first byte chooses: a token; a header alone; a payload alone; a key set.
 *
 * Beyond "no crash": a refusal is a printable sentence; what parses encodes to the token it came from;
 * claims are JSON that says the same as the payload; a key that a set gives is RSA of 2048 bits or more.
 */
#include "enclave-shim/verify/jwks.h"
#include "protocol/base/enc.h"
#include "test/common/evgen_token.h"
#include "test/fuzz/fuzz.h"

enum { TOKEN, HEADER, PAYLOAD, KEY_SET, MODES };

static struct qr_verdict v;
static struct evtoken t;
static char text[1 << 17];

static void
refused(qr_err e)
{
    FUZZ_MUST(e == QR_ERR_ATTESTATION && v.reason != QR_REASON_NONE && v.sentence[0] != 0);
    fuzz_text(v.sentence, sizeof v.sentence);
}

static void
claims(const struct qr_jws *j)
{
    size_t n = 0;
    qr_err e = qr_jws_claims(j, &v);
    if (e != QR_OK) {
        FUZZ_MUST(v.reason == QR_REASON_RESOURCE_LIMIT);
        return;
    }
    FUZZ_MUST(qr_claims_json(&v.claims, text, sizeof text, &n) == QR_OK);
    json_t *all = json_loadb(text, n, JSON_REJECT_DUPLICATES, NULL);
    FUZZ_MUST(all && json_equal(json_object_get(all, "payload"), j->payload.root));
    FUZZ_MUST(!json_object_get(json_object_get(all, "header"), "x5c"));
    json_decref(all);
}

static void
token(qr_view bytes)
{
    struct qr_jws j;
    struct qr_x5c x;
    struct qr_jws_times times;

    qr_verdict_init(&v);
    qr_err e = qr_jws_parse(bytes, &v, &j);
    if (e != QR_OK) {
        refused(e);
        return;
    }
    /* The last two parts, written again. */
    size_t n = qr_b64url_len(j.payload_text.len), tail = n + 1 + qr_b64url_len(j.signature.len);
    FUZZ_MUST(tail < bytes.len && tail < sizeof text);
    qr_b64url_encode(j.payload_text, text);
    text[n] = '.';
    qr_b64url_encode(j.signature, text + n + 1);
    FUZZ_MUST(memcmp(bytes.p + bytes.len - tail, text, tail) == 0);
    FUZZ_MUST(j.signed_part.len + 1 + qr_b64url_len(j.signature.len) == bytes.len);
    claims(&j);
    qr_verdict_init(&v);
    e = qr_jws_read_times(&j, &v, &times);
    if (e == QR_OK) {
        FUZZ_MUST(times.iat > 0 && times.nbf > 0 && times.exp > times.iat && times.exp > times.nbf);
    } else {
        refused(e);
    }
    if (qr_x5c_present(&j)) {
        qr_verdict_init(&v);
        e = qr_x5c_read(&j, &v, &x);
        if (e == QR_OK) {
            FUZZ_MUST(x.certs.n > 0 && x.certs.n <= QR_CERTS_MAX);
            qr_x5c_free(&x);
        } else {
            refused(e);
        }
    }
    qr_jws_free(&j);
}

static void
key_set(qr_view bytes)
{
    EVP_PKEY *k = NULL;
    qr_verdict_init(&v);
    qr_err e = qr_jwks_find(bytes, qr_view_str(EVTOKEN_KID), &v, &k);
    if (e == QR_OK) {
        FUZZ_MUST(qr_key_is_rsa(k));
        EVP_PKEY_free(k);
    } else {
        FUZZ_MUST(!k);
        refused(e);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    unsigned mode = fuzz_choice(&data, &size, MODES);
    qr_view in = qr_view_of(data, size);

    if (mode == TOKEN) {
        token(in);
    } else if (mode == KEY_SET) {
        key_set(in);
    } else if (size <= 24000) {
        t.token = evgen_buf_over(t.token_mem, sizeof t.token_mem);
        evtoken_join(&t, mode == HEADER ? in : qr_view_str("{\"alg\":\"RS256\"}"),
                     mode == HEADER ? qr_view_str("{}") : in, qr_view_str("signature"));
        token(evgen_buf_view(&t.token));
    }
    return 0;
}
