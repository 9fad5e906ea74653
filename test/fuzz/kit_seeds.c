#include "test/fuzz/kit_seeds.h"

#include "test/common/evgen_nitro.h"
#include "test/common/evgen_token.h"
#include "test/fuzz/fuzz.h"

#include <stdlib.h>

/* ---- Nitro ------------------------------------------------------------------------------------- */

#define P(name, s)                                                                                 \
    {                                                                                              \
        1, name, s, sizeof(s) - 1                                                                  \
    }
#define D(name, s)                                                                                 \
    {                                                                                              \
        0, name, s, sizeof(s) - 1                                                                  \
    }
#define C(name, s)                                                                                 \
    {                                                                                              \
        2, name, s, sizeof(s) - 1                                                                  \
    }
#define S(name, s)                                                                                 \
    {                                                                                              \
        3, name, s, sizeof(s) - 1                                                                  \
    }

static const struct {
    int mode;
    const char *name, *bytes;
    size_t len;
} nitro[] = {
    D("array_of_3", "\x83\x44\xa1\x01\x38\x22\xa0\x40"),
    D("es256", "\x84\x43\xa1\x01\x26\xa0\x41\xa0\x40"),
    D("tagged", "\xd2\x84\x44\xa1\x01\x38\x22\xa1\x04\x41\x01\x41\xa0\x40"),
    D("long_head", "\x84\x58\x04\xa1\x01\x38\x22\xa0\x41\xa0\x40"),
    D("long_payload_head", "\x84\x44\xa1\x01\x38\x22\xa0\x58\x01\xa0\x40"),
    D("behind", "\x84\x44\xa1\x01\x38\x22\xa0\x41\xa0\x40\x00"),
    D("much", "\x9b\x00\x00\x00\x01\x00\x00\x00\x00"),
    P("empty_map", "\xa0"),
    P("no_map", "\x80"),
    P("behind_map", "\xa0\x00"),
    P("unclosed", "\xbf"),
    P("deep", "\xa1\x61x\x81\x81\x81\x81\x81\x81\x81\x81\x00"),
    P("key_number", "\xa1\x01\x01"),
    P("twice", "\xa2\x61x\x01\x61x\x01"),
    P("sha256", "\xa1\x66"
                "digest\x66SHA256"),
    P("timestamp_text", "\xa1\x69timestamp\x61x"),
    P("timestamp_0", "\xa1\x69timestamp\x00"),
    P("module_id_empty", "\xa1\x69module_id\x60"),
    P("pcrs_32", "\xa1\x64pcrs\xa1\x18\x20\x40"),
    P("pcrs_twice", "\xa1\x64pcrs\xa2\x00\x40\x00\x40"),
    P("pcrs_empty", "\xa1\x64pcrs\xa0"),
    P("certificate_empty", "\xa1\x6b"
                           "certificate\x40"),
    P("cabundle_empty", "\xa1\x68"
                        "cabundle\x80"),
    P("cabundle_8", "\xa1\x68"
                    "cabundle\x88\x41x\x41x\x41x\x41x\x41x\x41x\x41x\x41x"),
    P("nonce_text", "\xa1\x65nonce\x61x"),
    P("public_key_empty", "\xa1\x6apublic_key\x40"),
    P("user_data_null", "\xa1\x69user_data\xf6"),
    /* offset, count - 1, bits */
    C("changed_protected", "\x00\x02\x00\x01"),
    C("changed_unprotected", "\x00\x06\x00\x01"),
    C("changed_payload", "\x00\x20\x00\x01"),
    C("unchanged", ""),
    /* form; then 4 * member + action, length, bytes */
    S("plain", "\x00"),
    S("indefinite_tagged", "\x03"),
    S("binder", "\x04"),
    S("no_time", "\x08"),
    S("payload_too_long", "\x10"),
    S("document_too_long", "\x20"),
    S("members_35", "\x40"),
    S("outside_leaf", "\x08\x08\x09\x1b\x00\x00\x01\x9b\x76\x6c\xcb\x00"),
    S("binder_null", "\x04\x20\x01\xf6"),
    S("without_nonce", "\x04\x23\x00"),
    S("old", "\x00\x08\x09\x1b\x00\x00\x01\x9b\x76\xd1\x00\x00"),
    S("pcr_short", "\x00\x0c\x04\xa1\x00\x41\x00"),
    S("certificate_other", "\x00\x10\x03\x42\x30\x00"),
    S("cabundle_other", "\x00\x14\x04\x81\x42\x30\x00"),
    S("member_twice", "\x00\x0e\x00"),
    S("member_unknown", "\x00\x1d\x06\x65later"),
    S("member_missing", "\x00\x03\x00"),
};

void
fuzz_seeds_nitro(fuzz_seed seed)
{
    static struct evnitro d;
    for (size_t i = 0; i < sizeof nitro / sizeof nitro[0]; i++) {
        seed("nitro", nitro[i].name, nitro[i].mode, qr_view_of(nitro[i].bytes, nitro[i].len));
    }
    evnitro_init(&d);
    d.indefinite = 1;
    evnitro_build(&d);
    seed("nitro", "document", 0, evnitro_doc(&d));
}

/* ---- tokens ------------------------------------------------------------------------------------ */

static void
text(fuzz_seed seed, const char *target, const char *name, int choice, const char *s)
{
    seed(target, name, choice, qr_view_str(s));
}

static void
parts(fuzz_seed seed)
{
    static const char *const headers[][2] = {
        {"header_none", "{\"alg\":\"none\"}"},
        {"header_crit", "{\"alg\":\"RS256\",\"crit\":[\"exp\"]}"},
        {"header_typ", "{\"alg\":\"RS256\",\"typ\":\"x\"}"},
        {"header_no_alg", "{}"},
        {"header_twice", "{\"alg\":\"RS256\",\"alg\":\"RS256\"}"},
        {"header_list", "[]"},
        {"header_x5c_der", "{\"alg\":\"RS256\",\"x5c\":[\"MAA=\"]}"},
        {"header_x5c_pem",
         "{\"alg\":\"RS256\",\"x5c\":[\"-----BEGIN CERTIFICATE-----\\nMAA=\\n-----"
         "END CERTIFICATE-----\\n\"]}"},
        {"header_x5c_mixed", "{\"alg\":\"RS256\",\"x5c\":[\"-----BEGIN\",\"MAA=\"]}"},
        {"header_x5c_number", "{\"alg\":\"RS256\",\"x5c\":[1]}"},
        {"header_x5c_empty", "{\"alg\":\"RS256\",\"x5c\":[]}"},
        {"header_x5c_nine",
         "{\"alg\":\"RS256\",\"x5c\":[\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\"]}"},
        {"header_x5c_text", "{\"alg\":\"RS256\",\"x5c\":[\"!\"]}"},
    };
    static const char *const payloads[][2] = {
        {"payload", "{\"a\":-1,\"b\":[1.5,null,true],\"c\":{\"d\":\"e\"}}"},
        {"payload_deep", "{\"a\":[[[[[[[[]]]]]]]]}"},
        {"payload_times", "{\"iat\":1,\"nbf\":1,\"exp\":2}"},
        {"payload_times_cross", "{\"iat\":3,\"nbf\":3,\"exp\":2}"},
        {"payload_time_text", "{\"iat\":\"1\"}"},
        {"payload_not_json", "{"},
    };
    static char pem[4096];
    struct evgen_cert_spec spec =
        evgen_cert_spec_of("CN=a", evgen_key(EVGEN_P256, 0), "CN=a", evgen_key(EVGEN_P256, 0), -1);
    struct evgen_der der;
    struct evgen_buf b = evgen_buf_over(pem, sizeof pem);
    evgen_cert(&spec, &der);
    evgen_put_pem(&b, &der);
    json_t *h = json_pack("{s:s, s:[s#]}", "alg", "RS256", "x5c", pem, (int)b.len);
    char *dump = json_dumps(h, JSON_COMPACT);
    FUZZ_MUST(dump);
    text(seed, "jws", "header_x5c_pem_certificate", 1, dump);
    free(dump);
    json_decref(h);
    text(seed, "jws", "token", 0, "eyJhbGciOiJSUzI1NiJ9.e30.c2ln");
    text(seed, "jws", "two_parts", 0, "eyJhbGciOiJSUzI1NiJ9.e30");
    text(seed, "jws", "four_parts", 0, "eyJhbGciOiJSUzI1NiJ9.e30.c2ln.c2ln");
    static char longest[24 + 4 + 684 + 1] = "eyJhbGciOiJSUzI1NiJ9.e30.";
    memset(longest + strlen(longest), 'A', 684);
    text(seed, "jws", "signature_513", 0, longest);
    text(seed, "jws", "padded", 0, "eyJhbGciOiJSUzI1NiJ9.e30.c2ln=");
    for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++) {
        text(seed, "jws", headers[i][0], 1, headers[i][1]);
    }
    for (size_t i = 0; i < sizeof payloads / sizeof payloads[0]; i++) {
        text(seed, "jws", payloads[i][0], 2, payloads[i][1]);
    }
}

static void
key_set(fuzz_seed seed, const char *name, json_t *key)
{
    json_t *set = json_pack("{s:[o]}", "keys", key);
    char *s = json_dumps(set, JSON_COMPACT);
    FUZZ_MUST(s);
    text(seed, "jws", name, 3, s);
    free(s);
    json_decref(set);
}

static void
key_sets(fuzz_seed seed)
{
    EVP_PKEY *rsa = evgen_key(EVGEN_RSA2048, 0);
    json_t *both = evtoken_jwk(rsa, EVTOKEN_KID), *x = evtoken_jwk_x5c(rsa, EVTOKEN_KID);
    json_t *other = evtoken_jwk(rsa, EVTOKEN_KID);

    FUZZ_MUST(json_object_set(both, "x5c", json_object_get(x, "x5c")) == 0);
    FUZZ_MUST(json_object_set_new(other, "kty", json_string("EC")) == 0);
    key_set(seed, "keys_numbers", evtoken_jwk(rsa, EVTOKEN_KID));
    key_set(seed, "keys_both", both);
    key_set(seed, "keys_x5c", x);
    key_set(seed, "keys_ec", other);
    key_set(seed, "keys_unknown", json_pack("{s:s}", "kid", "x"));
    key_set(seed, "keys_no_n", json_pack("{s:s,s:s}", "kid", EVTOKEN_KID, "kty", "RSA"));
    key_set(seed, "keys_text_x5c",
            json_pack("{s:s,s:s,s:s}", "kid", EVTOKEN_KID, "kty", "RSA", "x5c", "MAA="));
    key_set(seed, "keys_bad_x5c",
            json_pack("{s:s,s:s,s:[s]}", "kid", EVTOKEN_KID, "kty", "RSA", "x5c", "MAA="));
    text(seed, "jws", "keys_none", 3, "{\"keys\":1}");
    text(seed, "jws", "keys_twice", 3,
         "{\"keys\":[{\"kid\":\"" EVTOKEN_KID "\"},{\"kid\":\"" EVTOKEN_KID "\"}]}");
}

static char whole[8192];
static size_t whole_len;

/* What is asked for, header, a zero byte, payload. */
static uint8_t asked;

static void
token(fuzz_seed seed, const char *name, int mode, json_t *header, json_t *payload)
{
    size_t n = 1 + json_dumpb(header, whole + 1, sizeof whole - 1, JSON_COMPACT);
    FUZZ_MUST(n > 1 && n + 1 < sizeof whole);
    whole[0] = (char)asked;
    whole[n++] = 0;
    size_t k = json_dumpb(payload, whole + n, sizeof whole - n, JSON_COMPACT);
    FUZZ_MUST(k > 0 && k <= sizeof whole - n);
    whole_len = n + k;
    seed("token", name, mode, qr_view_of(whole, whole_len));
}

/* The token with one member of the payload in another way. */
static void
token_but(fuzz_seed seed, const char *name, int mode, const struct evtoken *t, const char *member,
          json_t *value)
{
    json_t *p = json_copy(t->payload);
    FUZZ_MUST(value ? json_object_set_new(p, member, value) == 0 : json_object_del(p, member) == 0);
    token(seed, name, mode, t->header, p);
    json_decref(p);
}

void
fuzz_seeds_tokens(fuzz_seed seed)
{
    static struct evtoken t;
    static const uint8_t binder[32] = {0x42, 1};
    const qr_view b = {binder, sizeof binder};

    parts(seed);
    key_sets(seed);

    evtoken_maa(&t, b);
    token(seed, "maa", 0, t.header, t.payload);
    token_but(seed, "maa_no_tee", 0, &t, "x-ms-isolation-tee", NULL);
    token_but(seed, "maa_tee_null", 0, &t, "x-ms-isolation-tee", json_null());
    token_but(seed, "maa_sgx", 0, &t, "x-ms-isolation-tee",
              json_pack("{s:s}", "x-ms-attestation-type", "sgx"));
    token_but(seed, "maa_issuer", 0, &t, "iss", json_string("https://attacker.example"));
    token_but(seed, "maa_no_issuer", 0, &t, "iss", NULL);
    token_but(seed, "maa_no_nonce", 0, &t, "x-ms-runtime", NULL);
    token_but(seed, "maa_over", 0, &t, "exp", json_integer(1767225599));
    token_but(seed, "maa_early", 0, &t, "iat", json_integer(1767225601));
    json_object_set_new(t.header, "jku", json_string("https://attacker.example/certs"));
    token(seed, "maa_jku", 0, t.header, t.payload);
    json_object_del(t.header, "kid");
    token(seed, "maa_no_kid", 0, t.header, t.payload);
    evtoken_free(&t);

    evtoken_oidc(&t, b);
    token(seed, "oidc", 1, t.header, t.payload);
    for (asked = 1; asked < 16; asked = (uint8_t)(2 * asked)) {
        char name[32];
        (void)snprintf(name, sizeof name, "oidc_asked_%u", asked);
        token(seed, name, 1, t.header, t.payload);
    }
    asked = 0;
    token_but(seed, "oidc_gce", 1, &t, "swname", json_string("GCE"));
    token_but(seed, "oidc_issuer", 1, &t, "iss", json_string("https://accounts.google.com"));
    token_but(seed, "oidc_no_issuer", 1, &t, "iss", NULL);
    token_but(seed, "oidc_two_nonces", 1, &t, "eat_nonce", json_pack("[s,s]", "a", "b"));
    token_but(seed, "oidc_no_nonce", 1, &t, "eat_nonce", NULL);
    json_object_set_new(t.header, "kid", json_string("unknown"));
    token(seed, "oidc_kid", 1, t.header, t.payload);
    evtoken_free(&t);

    evtoken_pki(&t, b);
    token(seed, "pki", 2, t.header, t.payload);
    json_object_set_new(t.header, "x5c", json_pack("[s]", "MAA="));
    token(seed, "pki_no_certificate", 2, t.header, t.payload);
    evtoken_free(&t);
}
