/*
 * Whole tokens, signed by the throwaway key so that what stands behind the signature is reached. The
 * first byte chooses the service, the second what is asked for (an audience, an age, no time, another
 * key's signature); then come the token's header, a zero byte, and its payload. The
 * header gets the throwaway certificates where the service uses them and the input brings none.
 *
 * Beyond "no crash": a refusal is a printable sentence; claims print; what is accepted names the
 * service as issuer, is in time, and holds the binder.
 */
#include "test/common/evgen_token.h"
#include "test/fuzz/fuzz.h"

enum { MAA, OIDC, PKI, MODES };
enum { AUDIENCE = 1, AGE = 2, NO_TIME = 4, OTHER_KEY = 8, ASKED = 16 };

static struct evtoken t[MODES];
static struct evjudge j;
static char header[1 << 16], payload[1 << 16], json[1 << 17];
static const uint8_t binder[32] = {0x42, 1};

static void
start(void)
{
    static int started;
    if (started) {
        return;
    }
    started = 1;
    evtoken_maa(&t[MAA], qr_view_of(binder, sizeof binder));
    evtoken_oidc(&t[OIDC], qr_view_of(binder, sizeof binder));
    evtoken_pki(&t[PKI], qr_view_of(binder, sizeof binder));
    for (unsigned i = 0; i < MODES; i++) {
        evtoken_build(&t[i]);
    }
}

/* The header with the certificates, unless it has some or is no JSON. */
static void
add_certificates(qr_view text)
{
    json_t *h = json_loadb((const char *)text.p, text.len, 0, NULL);
    if (json_is_object(h) && !json_object_get(h, "x5c")) {
        FUZZ_MUST(json_object_set(h, "x5c", json_object_get(t[PKI].header, "x5c")) == 0);
        size_t n = json_dumpb(h, header, sizeof header - 1, JSON_COMPACT);
        header[n < sizeof header ? n : 0] = 0;
    }
    json_decref(h);
}

static void
accepted(unsigned mode, unsigned asked)
{
    size_t n = 0;
    FUZZ_MUST(qr_claims_json(&j.v.claims, json, sizeof json, &n) == QR_OK);
    json_t *all = json_loadb(json, n, JSON_REJECT_DUPLICATES, NULL);
    const json_t *p = json_object_get(all, "payload");
    const char *iss = json_string_value(json_object_get(p, "iss"));
    FUZZ_MUST(iss && !(asked & OTHER_KEY));
    FUZZ_MUST(!(asked & AUDIENCE) ||
              strcmp(json_string_value(json_object_get(p, "aud")), "quorum") == 0);
    FUZZ_MUST(asked & NO_TIME ||
              (json_integer_value(json_object_get(p, "exp")) * 1000 > EVGEN_NOW_MS &&
               json_integer_value(json_object_get(p, "nbf")) * 1000 <= EVGEN_NOW_MS &&
               json_integer_value(json_object_get(p, "iat")) * 1000 <= EVGEN_NOW_MS));
    if (mode == MAA) {
        FUZZ_MUST(strncmp(iss, "https://", 8) == 0 && strstr(iss, ".attest.azure."));
        FUZZ_MUST(json_is_object(json_object_get(p, "x-ms-isolation-tee")));
    } else {
        FUZZ_MUST(strcmp(iss, "https://confidentialcomputing.googleapis.com") == 0);
        FUZZ_MUST(json_object_get(p, "eat_nonce"));
    }
    FUZZ_MUST(j.v.check[QR_CHECK_BINDER] == QR_CHECK_PASS);
    FUZZ_MUST((j.v.check[QR_CHECK_ROOT] == QR_CHECK_PASS) == (mode == PKI));
    json_decref(all);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t n = 0;

    start();
    unsigned mode = fuzz_choice(&data, &size, MODES), asked = fuzz_choice(&data, &size, ASKED);
    if (size > 20000) {
        return 0;
    }
    const uint8_t *zero = size > 0 ? memchr(data, 0, size) : NULL;
    size_t head = zero ? (size_t)(zero - data) : size, body = zero ? size - head - 1 : 0;
    memcpy(header, data, head);
    header[head] = 0;
    memcpy(payload, zero ? zero + 1 : data, body);
    payload[body] = 0;
    if (mode == PKI) {
        add_certificates(qr_view_of(data, head));
    }
    t[mode].header_text = header;
    t[mode].payload_text = payload;
    t[mode].key = evgen_key(EVGEN_RSA2048, asked & OTHER_KEY ? 2 : 0);
    evtoken_build(&t[mode]);
    if (t[mode].token.len > qr_part_max(QR_PART_TOKEN)) {
        return 0;
    }
    memset(&j, 0, sizeof j);
    j.e.kind = mode == MAA ? QR_EV_MAA : QR_EV_CONFIDENTIAL_SPACE;
    j.o.roots = &j.roots;
    j.o.now_ms = asked & NO_TIME ? -1 : EVGEN_NOW_MS;
    j.o.max_age_ms = asked & AGE ? 30000 : 0;
    j.o.audience = asked & AUDIENCE ? qr_view_str("quorum") : (qr_view){0};
    j.o.binder = qr_view_of(binder, sizeof binder);
    evgen_pin(&j.roots, QR_ROOT_CONFIDENTIAL_SPACE, &t[PKI].cert[EVTOKEN_ROOT]);
    FUZZ_MUST(qr_evidence_add(&j.e, QR_PART_TOKEN, 0, evgen_buf_view(&t[mode].token)) == QR_OK);
    if (mode != PKI) {
        FUZZ_MUST(qr_evidence_add(&j.e, QR_PART_JWKS, 0, evgen_buf_view(&t[mode].keys)) == QR_OK);
    }
    j.err = qr_verify(&j.e, &j.o, &j.v, &j.out);
    FUZZ_MUST((j.err == QR_OK) == (j.v.reason == QR_REASON_NONE));
    fuzz_text(j.v.sentence, sizeof j.v.sentence);
    if (j.err == QR_OK) {
        accepted(mode, asked);
    } else {
        FUZZ_MUST(j.err == QR_ERR_ATTESTATION && j.v.sentence[0] != 0);
        FUZZ_MUST(j.v.claims.overflow ||
                  qr_claims_json(&j.v.claims, json, sizeof json, &n) == QR_OK);
    }
    return 0;
}
