#include "test/fuzz/kit_verify_seeds.h"

#include "test/common/evgen_all.h"
#include "test/common/evgen_ca.h"
#include "test/common/walletkit.h"
#include "test/fuzz/fuzz.h"

#define LITERAL(s) qr_view_of(s, sizeof(s) - 1)

static void
readers(fuzz_seed seed)
{
    static uint8_t out[512], inner[256];
    struct evgen_buf b = evgen_buf_over(out, sizeof out), in = evgen_buf_over(inner, sizeof inner);

    seed("cbor", "map", -1,
         LITERAL("\xa2\x61"
                 "a\x01\x61"
                 "b\x82\x02\xf6"));
    seed("cbor", "indefinite", -1,
         LITERAL("\xbf\x61"
                 "a\x9f\x01\x20\xff\x61"
                 "b\xf5\xff"));
    seed("cbor", "wide", -1,
         LITERAL("\x9b\x00\x00\x00\x00\x00\x00\x00\x04\x18\x64\x19\x03\xe8\x1a\x00"
                 "\x0f\x42\x40\x3b\x00\x00\x00\xe8\xd4\xa5\x10\x00"));
    seed("cbor", "sign1", -1, LITERAL("\xd2\x84\x44\xa1\x01\x38\x22\xa0\x42{}\x41s"));
    seed("cbor", "others", -1,
         LITERAL("\x85\xf4\xf7\xf9\x3c\x00\xd8\x20\x60\xfb\x3f\xf1\x99\x99\x99\x99"
                 "\x99\x9a"));
    seed("cbor", "deep", -1, LITERAL("\x81\x81\x81\x81\x81\x81\x81\x81\x00"));
    seed("cbor", "too_deep", -1, LITERAL("\x9f\x9f\x9f\x9f\x9f\x9f\x9f\x9f\x9f\x00"));
    seed("cbor", "too_many", -1, LITERAL("\x99\x02\x01\x00"));
    seed("cbor", "text", -1, LITERAL("\x6a\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80z"));
    seed("cbor", "no_utf8", -1, LITERAL("\x63\xed\xa0\x80"));

    evgen_der_put_oid(&in, "1.3.6.1.4.1.3704.1.3.8");
    evgen_der_put_uint(&in, 217);
    evgen_der_put_uint(&in, UINT64_MAX);
    evgen_der_put_oid(&in, "2.999.4294967295");
    evgen_der_put(&b, 0x30, evgen_buf_view(&in));
    evgen_fill(&in, 7, 120);
    evgen_der_put(&b, 0x04, evgen_buf_view(&in));
    seed("der", "sequence", -1, evgen_buf_view(&b));
    seed("der", "long_form", -1, LITERAL("\x30\x81\x05\x01\x02\x03\x04\x05"));
    seed("der", "indefinite", -1, LITERAL("\x30\x80\x00\x00"));
    seed("der", "two_octets", -1, LITERAL("\x1f\x81\x01\x00"));
    seed("der", "integers", -1, LITERAL("\x02\x02\x00\xd9\x02\x01\x80\x02\x02\x00\x7f\x02\x00"));
    seed("der", "padded_oid", -1, LITERAL("\x06\x03\x2b\x80\x06"));
}

static void
certificates(fuzz_seed seed)
{
    static uint8_t text[8192];
    static struct evgen_der der;
    struct evgen_buf b = evgen_buf_over(text, sizeof text);
    EVP_PKEY *ca = evgen_key(EVGEN_P256, 1), *leaf = evgen_key(EVGEN_P256, 2);
    struct evgen_cert_spec s = evgen_cert_spec_of("CN=Leaf", leaf, "CN=Middle", ca, 0);
    struct evgen_crl_spec c = evgen_crl_spec_of("CN=Middle", ca);

    evgen_cert(&s, &der);
    seed("cert", "leaf", 0, evgen_view(&der));
    evgen_put_pem(&b, &der);
    s = evgen_cert_spec_of("CN=Leaf", evgen_key(EVGEN_P384, 2), "CN=Middle", ca, -1);
    s.serial = 0;
    evgen_spec_add_ext(&s, "1.3.6.1.4.1.3704.1.3.8", LITERAL("\x02\x02\x00\xd9"), 0);
    evgen_cert(&s, &der);
    seed("cert", "unmarked", 0, evgen_view(&der));
    evgen_put_pem(&b, &der);
    evgen_put(&b, "", 1);
    seed("cert", "pem", 1, evgen_buf_view(&b));
    b.len--;
    while (b.len < 9 * 600) {
        evgen_put_pem(&b, &der);
    }
    seed("cert", "pem_many", 1, evgen_buf_view(&b));
    c.n_revoked = 2;
    c.revoked[0] = 1;
    c.revoked[1] = UINT64_MAX;
    evgen_crl(&c, &der);
    seed("cert", "list", 2, evgen_view(&der));
    c.n_ext = 1;
    c.ext[0] = (struct evgen_ext){"2.5.29.28", LITERAL("\x30\x03\x81\x01\xff"), 1};
    evgen_crl(&c, &der);
    seed("cert", "scoped", 2, evgen_view(&der));
    c.ext[0] = (struct evgen_ext){"2.5.29.27", LITERAL("\x02\x01\x01"), 1};
    evgen_crl(&c, &der);
    seed("cert", "delta", 2, evgen_view(&der));
}

/* A leaf, or a list, with one thing changed. */
static void
leaf(fuzz_seed seed, const char *name, void (*change)(struct evgen_cert_spec *s))
{
    static struct evgen_der der;
    struct evgen_cert_spec s = evgen_cert_spec_of("CN=Leaf", evgen_key(EVGEN_P256, 2), "CN=Middle",
                                                  evgen_key(EVGEN_P256, 1), 0);
    change(&s);
    evgen_cert(&s, &der);
    seed("cert", name, 0, evgen_view(&der));
}

static void
list(fuzz_seed seed, const char *name, void (*change)(struct evgen_crl_spec *s))
{
    static struct evgen_der der;
    struct evgen_crl_spec s = evgen_crl_spec_of("CN=Middle", evgen_key(EVGEN_P256, 1));
    change(&s);
    evgen_crl(&s, &der);
    seed("cert", name, 2, evgen_view(&der));
}

static void
is_ca(struct evgen_cert_spec *s)
{
    s->ca = 1;
}
static void
no_signer(struct evgen_cert_spec *s)
{
    s->key_usage = EVGEN_KU_CRL_SIGN;
}
static void
other_issuer(struct evgen_cert_spec *s)
{
    s->issuer = "CN=Other";
}
static void
bad_signature(struct evgen_cert_spec *s)
{
    s->bad_signature = 1;
}
static void
critical(struct evgen_cert_spec *s)
{
    evgen_spec_add_ext(s, "1.2.3.4", LITERAL("\x05\x00"), 1);
}
static void
expired(struct evgen_cert_spec *s)
{
    s->to_ms = EVGEN_NOW_MS - EVGEN_DAY_MS;
}
static void
of_tomorrow(struct evgen_cert_spec *s)
{
    s->from_ms = EVGEN_NOW_MS + EVGEN_DAY_MS;
}
/* In the place of the CA: a name that fits, a role, a key or a signature that does not. */
static void
ca_without_role(struct evgen_cert_spec *s)
{
    s->subject = "CN=Middle";
    s->issuer = "CN=Root";
}
static void
ca_without_use(struct evgen_cert_spec *s)
{
    ca_without_role(s);
    s->ca = 1;
}
static void
ca_of_another_size(struct evgen_cert_spec *s)
{
    ca_without_use(s);
    s->key_usage = EVGEN_KU_CERT_SIGN;
    s->key = evgen_key(EVGEN_P384, 3);
}
static void
with_sha1(struct evgen_cert_spec *s)
{
    s->signer = evgen_key(EVGEN_RSA2048, 0);
    s->sig = EVGEN_RSA_SHA1;
}
static void
revokes(struct evgen_crl_spec *s)
{
    s->n_revoked = 1;
    s->revoked[0] = 4711;
}
static void
without_next(struct evgen_crl_spec *s)
{
    s->next_ms = -1;
}
static void
list_expired(struct evgen_crl_spec *s)
{
    s->next_ms = EVGEN_NOW_MS - 1000;
}
static void
list_of_tomorrow(struct evgen_crl_spec *s)
{
    s->this_ms = EVGEN_NOW_MS + 1000;
}
static void
list_of_another(struct evgen_crl_spec *s)
{
    s->issuer = "CN=Other";
}
static void
list_bad_signature(struct evgen_crl_spec *s)
{
    s->bad_signature = 1;
}
static void
of_cas_only(struct evgen_crl_spec *s)
{
    s->n_ext = 1;
    s->ext[0] = (struct evgen_ext){"2.5.29.28", LITERAL("\x30\x03\x82\x01\xff"), 1};
}
static void
indirect(struct evgen_crl_spec *s)
{
    s->n_ext = 1;
    s->ext[0] = (struct evgen_ext){"2.5.29.28", LITERAL("\x30\x03\x84\x01\xff"), 1};
}

static void
broken_rules(fuzz_seed seed)
{
    leaf(seed, "is_ca", is_ca);
    leaf(seed, "no_signer", no_signer);
    leaf(seed, "other_issuer", other_issuer);
    leaf(seed, "bad_signature", bad_signature);
    leaf(seed, "critical", critical);
    leaf(seed, "expired", expired);
    leaf(seed, "of_tomorrow", of_tomorrow);
    leaf(seed, "ca_without_role", ca_without_role);
    leaf(seed, "ca_without_use", ca_without_use);
    leaf(seed, "ca_of_another_size", ca_of_another_size);
    leaf(seed, "with_sha1", with_sha1);
    list(seed, "list_revokes", revokes);
    list(seed, "list_without_next", without_next);
    list(seed, "list_expired", list_expired);
    list(seed, "list_of_tomorrow", list_of_tomorrow);
    list(seed, "list_of_another", list_of_another);
    list(seed, "list_bad_signature", list_bad_signature);
    list(seed, "list_of_cas", of_cas_only);
    list(seed, "list_indirect", indirect);
    seed("cert", "pem_other_label", 1, LITERAL("-----BEGIN PRIVATE KEY-----\nAAAA\n"));
    seed("cert", "pem_no_end", 1, LITERAL("-----BEGIN CERTIFICATE-----\nAAAA\n"));
    seed("cert", "pem_no_der", 1,
         LITERAL("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"));
    seed("cert", "trailing", 0, LITERAL("\x30\x00\x00"));
    seed("cert", "trailing_list", 2, LITERAL("\x30\x00\x00"));
    seed("cert", "no_list", 2, LITERAL("\x30\x00"));
    seed("der", "too_long", -1, LITERAL("\x30\x05\x00"));
    seed("der", "length_cut", -1, LITERAL("\x30\x82\x01"));
    seed("der", "known_oid", -1, LITERAL("\x06\x03\x55\x1d\x0f\x06\x01\x55\x06\x02\x55\x1d"));
}

static void
library(fuzz_seed seed)
{
    static struct walletkit k;
    static uint8_t wire[16384];

    walletkit_init(&k, EVGEN_NOW_MS);
    walletkit_build(&k);
    seed("quorate", "policy", 1, qr_view_str(k.policy));
    seed("quorate", "nitro", 0, qr_view_of(k.wire, k.wire_len));
    for (size_t i = 0; i < evall_n(); i++) {
        const struct evall *g = evall_get(i);
        struct qr_buf b = qr_buf_over(wire, sizeof wire);
        qr_evidence_encode(&g->e, &b);
        if (b.err == QR_OK && b.len < 5000) {
            seed("quorate", g->name, 0, qr_buf_view(&b));
        }
    }
    seed("quorate", "nothing", 0, LITERAL("QREV\x01\x03\x00\x00"));
    seed("quorate", "twice", 0,
         LITERAL("QREV\x01\x03\x00\x02\x02\x00\x00\x00\x00\x01x\x02\x00\x00\x00\x00\x01y"));
}

void
fuzz_seeds_verify(fuzz_seed seed)
{
    readers(seed);
    certificates(seed);
    broken_rules(seed);
    library(seed);
}
