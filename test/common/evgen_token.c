#include "test/common/evgen_token.h"

#include "protocol/base/enc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOW (EVGEN_NOW_MS / 1000)
#define MUST(x)                                                                                    \
    do {                                                                                           \
        if (!(x)) {                                                                                \
            (void)fprintf(stderr, "evgen_token: line %d: %s\n", __LINE__, #x);                     \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

/* ---- keys -------------------------------------------------------------------------------------- */

static json_t *
b64url_json(qr_view v)
{
    char text[1024];
    MUST(qr_b64url_len(v.len) < sizeof text);
    qr_b64url_encode(v, text);
    return json_string(text);
}

static json_t *
b64_json(qr_view v)
{
    static char text[EVGEN_DER_MAX * 2];
    MUST(qr_b64_len(v.len) < sizeof text);
    qr_b64_encode(v, text);
    return json_string(text);
}

json_t *
evtoken_jwk(EVP_PKEY *key, const char *kid)
{
    uint8_t n[512];
    size_t len = evgen_key_modulus(key, n);
    return json_pack("{s:s, s:s, s:s, s:s, s:o, s:s}", "kty", "RSA", "use", "sig", "alg", "RS256",
                     "kid", kid, "n", b64url_json(qr_view_of(n, len)), "e", "AQAB");
}

json_t *
evtoken_jwk_x5c(EVP_PKEY *key, const char *kid)
{
    struct evgen_der der;
    struct evgen_cert_spec s = evgen_cert_spec_of("CN=provider", key, "CN=provider", key, 1);
    s.sig = EVGEN_RSA_SHA256;
    evgen_cert(&s, &der);
    return json_pack("{s:s, s:s, s:[o]}", "kty", "RSA", "kid", kid, "x5c",
                     b64_json(evgen_view(&der)));
}

static void
init(struct evtoken *t)
{
    memset(t, 0, sizeof *t);
    t->token = evgen_buf_over(t->token_mem, sizeof t->token_mem);
    t->keys = evgen_buf_over(t->keys_mem, sizeof t->keys_mem);
    t->key = evgen_key(EVGEN_RSA2048, 0);
    t->hash = QR_SHA256;
}

/* ---- Azure Attestation ------------------------------------------------------------------------- */

#define PROVIDER "https://throwaway.eu.attest.azure.net"

static json_t *
isolation_tee(void)
{
    return json_pack("{s:s, s:s, s:{s:[{s:s, s:[s]}], s:{s:b, s:I}}, s:s, s:i, s:b, s:s, s:i}",
                     "x-ms-attestation-type", "sevsnpvm", "x-ms-compliance-status",
                     "azure-compliant-cvm", "x-ms-runtime", "keys", "kid", "HCLAkPub", "key_ops",
                     "sign", "vm-configuration", "secure-boot", 1, "current-time",
                     (json_int_t)(NOW - 100), "x-ms-sevsnpvm-launchmeasurement", "8962535933f5c4b4",
                     "x-ms-sevsnpvm-guestsvn", 7, "x-ms-sevsnpvm-is-debuggable", 0,
                     "x-ms-sevsnpvm-hostdata", "0000", "x-ms-sevsnpvm-vmpl", 0);
}

void
evtoken_maa(struct evtoken *t, qr_view binder)
{
    char nonce[256];
    init(t);
    qr_b64_encode(binder, nonce);
    t->header = json_pack("{s:s, s:s, s:s, s:s}", "alg", "RS256", "jku", PROVIDER "/certs", "kid",
                          EVTOKEN_KID, "typ", "JWT");
    t->payload = json_pack(
        "{s:I, s:I, s:s, s:s, s:I, s:b, s:s, s:[i,i], s:o, s:s, s:{s:{s:s}, s:[]}}", "exp",
        (json_int_t)(NOW + 28740), "iat", (json_int_t)(NOW - 60), "iss", PROVIDER, "jti",
        "00112233", "nbf", (json_int_t)(NOW - 60), "secureboot", 1, "x-ms-attestation-type",
        "azurevm", "x-ms-azurevm-attested-pcrs", 0, 7, "x-ms-isolation-tee", isolation_tee(),
        "x-ms-policy-hash", "wm9mHlvTU82e8UqoOy1Yj1FBRSNkfe99-69IYDq9eWs", "x-ms-runtime",
        "client-payload", "nonce", nonce, "keys");
    t->jwks = json_pack("{s:[o,o]}", "keys", evtoken_jwk(evgen_key(EVGEN_RSA2048, 1), "other"),
                        evtoken_jwk(t->key, EVTOKEN_KID));
    MUST(t->header && t->payload && t->jwks);
}

/* ---- Confidential Space ------------------------------------------------------------------------ */

static json_t *
cspace_payload(qr_view binder)
{
    char nonce[256];
    qr_hex_encode(binder, nonce);
    return json_pack(
        "{s:s, s:I, s:I, s:s, s:I, s:s, s:b, s:i, s:s, s:s, s:[s], s:s, s:{s:{s:[s,s]}, s:{s:s, "
        "s:[s]}, s:{s:s, s:s, s:s}}}",
        "aud", "https://quorum.example", "exp", (json_int_t)(NOW + 3540), "iat",
        (json_int_t)(NOW - 60), "iss", "https://confidentialcomputing.googleapis.com", "nbf",
        (json_int_t)(NOW - 60), "eat_nonce", nonce, "secboot", 1, "oemid", 11129, "hwmodel",
        "GCP_INTEL_TDX", "swname", "CONFIDENTIAL_SPACE", "swversion", "250800", "dbgstat",
        "disabled-since-boot", "submods", "confidential_space", "support_attributes", "STABLE",
        "USABLE", "container", "image_digest", "sha256:00ff", "args", "quorated", "gce", "zone",
        "eu-test1-a", "project_id", "throwaway", "instance_id", "1234567890");
}

void
evtoken_oidc(struct evtoken *t, qr_view binder)
{
    init(t);
    t->header = json_pack("{s:s, s:s, s:s}", "alg", "RS256", "kid", EVTOKEN_KID, "typ", "JWT");
    t->payload = cspace_payload(binder);
    t->jwks = json_pack("{s:[o,o]}", "keys", evtoken_jwk(evgen_key(EVGEN_RSA2048, 1), "other"),
                        evtoken_jwk(t->key, EVTOKEN_KID));
    MUST(t->header && t->payload && t->jwks);
}

void
evtoken_pki(struct evtoken *t, qr_view binder)
{
    static const char *const names[EVTOKEN_CERTS] = {
        "C=US,O=Google LLC,CN=Confidential Space Leaf Certificate",
        "C=US,O=Google LLC,CN=Confidential Space Intermediate CA",
        "C=US,O=Google LLC,CN=Confidential Space Root CA",
    };
    init(t);
    t->pki = 1;
    for (unsigned i = 0; i < EVTOKEN_CERTS; i++) {
        unsigned up = i < EVTOKEN_ROOT ? i + 1 : i;
        struct evgen_cert_spec *s = &t->spec[i];
        *s = evgen_cert_spec_of(names[i], evgen_key(EVGEN_RSA2048, i), names[up],
                                evgen_key(EVGEN_RSA2048, up), i > EVTOKEN_LEAF);
        s->sig = EVGEN_RSA_SHA256;
        s->serial = 0x2000 + i;
        if (i == EVTOKEN_LEAF) {
            s->key_usage = 0; /* as Google's leaves */
            s->to_ms = EVGEN_NOW_MS + 30 * EVGEN_DAY_MS;
        }
    }
    t->header = json_pack("{s:s, s:s, s:s}", "alg", "RS256", "kid", EVTOKEN_KID, "typ", "JWT");
    t->payload = cspace_payload(binder);
    MUST(t->header && t->payload);
}

/* RSA is slow: certificates whose description nobody changed are made once. */
static void
make_cert(const struct evtoken *t, enum evtoken_level i, struct evgen_der *ret)
{
    static struct evgen_cert_spec seen[EVTOKEN_CERTS];
    static struct evgen_der made[EVTOKEN_CERTS];

    if (memcmp(&seen[i], &t->spec[i], sizeof seen[i]) != 0) {
        if (made[i].len > 0) {
            evgen_cert(&t->spec[i], ret);
            return;
        }
        evgen_cert(&t->spec[i], &made[i]);
        seen[i] = t->spec[i];
    }
    *ret = made[i];
}

void
evtoken_x5c(struct evtoken *t)
{
    json_t *list = json_array();
    for (unsigned i = 0; i < EVTOKEN_CERTS; i++) {
        make_cert(t, (enum evtoken_level)i, &t->cert[i]);
        if (t->pem) {
            char text[EVGEN_DER_MAX * 2];
            struct evgen_buf b = evgen_buf_over(text, sizeof text);
            evgen_put_pem(&b, &t->cert[i]);
            MUST(json_array_append_new(list, json_stringn(text, b.len)) == 0);
        } else {
            MUST(json_array_append_new(list, b64_json(evgen_view(&t->cert[i]))) == 0);
        }
    }
    MUST(json_object_set_new(t->header, "x5c", list) == 0);
}

/* ---- tokens ------------------------------------------------------------------------------------ */

static void
put_b64url(struct evgen_buf *b, qr_view v)
{
    static char text[EVTOKEN_MAX];
    MUST(qr_b64url_len(v.len) < sizeof text);
    qr_b64url_encode(v, text);
    evgen_put_str(b, text);
}

void
evtoken_join(struct evtoken *t, qr_view header, qr_view payload, qr_view sig)
{
    t->token.len = 0;
    put_b64url(&t->token, header);
    evgen_put_str(&t->token, ".");
    put_b64url(&t->token, payload);
    evgen_put_str(&t->token, ".");
    put_b64url(&t->token, sig);
}

static char *
text_of(const json_t *object, const char *instead)
{
    char *text = instead ? strdup(instead) : json_dumps(object, JSON_COMPACT);
    MUST(text);
    return text;
}

void
evtoken_build(struct evtoken *t)
{
    uint8_t sig[512];
    size_t n = 0;

    if (t->pki && !json_object_get(t->header, "x5c")) {
        evtoken_x5c(t);
    }
    char *header = text_of(t->header, t->header_text);
    char *payload = text_of(t->payload, t->payload_text);
    evtoken_join(t, qr_view_str(header), qr_view_str(payload), (qr_view){0});
    /* all but the last dot is signed */
    qr_view tbs = qr_view_of(t->token.p, t->token.len - 1);
    n = evgen_sign_rsa(t->key, t->hash, t->pss, tbs, sig, sizeof sig);
    put_b64url(&t->token, qr_view_of(sig, n));
    free(header);
    free(payload);
    t->keys.len = 0;
    if (t->jwks || t->jwks_text) {
        char *keys = text_of(t->jwks, t->jwks_text);
        evgen_put_str(&t->keys, keys);
        free(keys);
    }
}

void
evtoken_free(struct evtoken *t)
{
    json_decref(t->header);
    json_decref(t->payload);
    json_decref(t->jwks);
    t->header = t->payload = t->jwks = NULL;
}

void
evtoken_judge(const struct evtoken *t, enum qr_evidence_kind kind, struct evjudge *j)
{
    evjudge_init(j, kind);
    if (t->pki) {
        evgen_pin(&j->roots, QR_ROOT_CONFIDENTIAL_SPACE, &t->cert[EVTOKEN_ROOT]);
    }
    evjudge_add(j, QR_PART_TOKEN, evgen_buf_view(&t->token));
    if (t->keys.len > 0) {
        evjudge_add(j, QR_PART_JWKS, evgen_buf_view(&t->keys));
    }
}
