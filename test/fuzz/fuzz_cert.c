/*
 * Certificates and revocation lists as bytes: DER, PEM, a leaf below a genuine CA and root, a list of
 * that CA. Nothing is accepted but what that CA signed; its key is the one of the seeds.
 */
#include "enclave-shim/verify/cert.h"
#include "test/common/evgen_ca.h"
#include "test/fuzz/fuzz.h"

#include <openssl/x509v3.h>

static struct evgen_der root, mid, leaf, list;
static struct qr_roots roots;
static struct qr_verdict v;

static void
prepare(void)
{
    EVP_PKEY *k[3] = {evgen_key(EVGEN_P256, 0), evgen_key(EVGEN_P256, 1), evgen_key(EVGEN_P256, 2)};
    struct evgen_cert_spec r = evgen_cert_spec_of("CN=Root", k[0], "CN=Root", k[0], 1);
    struct evgen_cert_spec m = evgen_cert_spec_of("CN=Middle", k[1], "CN=Root", k[0], 1);
    struct evgen_cert_spec l = evgen_cert_spec_of("CN=Leaf", k[2], "CN=Middle", k[1], 0);
    struct evgen_crl_spec c = evgen_crl_spec_of("CN=Middle", k[1]);
    evgen_cert(&r, &root);
    evgen_cert(&m, &mid);
    evgen_cert(&l, &leaf);
    evgen_crl(&c, &list);
    evgen_pin(&roots, QR_ROOT_INTEL, &root);
}

static void
facts(X509 *x)
{
    char text[80];
    int64_t from = 0, to = 0;
    uint8_t hash[32];
    qr_cert_cn(x, text, sizeof text);
    fuzz_text(text, sizeof text);
    qr_cert_subject(x, text, sizeof text);
    FUZZ_MUST(strnlen(text, sizeof text) < sizeof text);
    (void)qr_cert_dates(x, &from, &to);
    (void)qr_cert_ext(x, "2.5.29.15");
    EVP_PKEY *k = X509_get0_pubkey(x);
    if (k) {
        (void)qr_key_sha256(k, hash);
        (void)(qr_key_is_ec(k, 256) + qr_key_is_ec(k, 384) + qr_key_is_rsa(k));
    }
}

static void
below_the_ca(struct qr_certs *s)
{
    const struct qr_chain_rules rules = {
        .root = QR_ROOT_INTEL, .now_ms = EVGEN_NOW_MS, .ca_unmarked_leaf = 1};
    FUZZ_MUST(qr_certs_add_der(s, evgen_view(&mid), &v, QR_CHECK_PARSE, "mid") == QR_OK);
    FUZZ_MUST(qr_certs_add_der(s, evgen_view(&root), &v, QR_CHECK_PARSE, "root") == QR_OK);
    if (qr_chain_verify(s, &roots, &rules, &v) == QR_OK) {
        struct qr_links links = {0};
        struct qr_chain_rules again = rules;
        again.links = &links; /* remembering makes no difference */
        FUZZ_MUST(qr_chain_verify(s, &roots, &again, &v) == QR_OK && links.n == 2);
        FUZZ_MUST(qr_chain_verify(s, &roots, &again, &v) == QR_OK && links.n == 2);
        FUZZ_MUST(X509_check_issued(s->x[1], s->x[0]) == X509_V_OK);
        FUZZ_MUST(X509_verify(s->x[0], evgen_key(EVGEN_P256, 1)) == 1);
    } else {
        FUZZ_MUST(v.reason != QR_REASON_NONE);
        fuzz_text(v.sentence, sizeof v.sentence);
    }
}

/* The input in another place of a chain: as the CA, as the root, alone. It is none of them. */
static void
elsewhere(qr_view in)
{
    const struct qr_chain_rules rules = {.root = QR_ROOT_INTEL, .now_ms = EVGEN_NOW_MS};
    for (int place = 0; place < 3; place++) {
        struct qr_certs s = {0};
        const qr_view chain[3] = {place == 2 ? in : evgen_view(&leaf),
                                  place == 0 ? in : evgen_view(&mid),
                                  place == 1 ? in : evgen_view(&root)};
        qr_verdict_init(&v);
        for (size_t i = 0; i < (place == 2 ? 1 : 3); i++) {
            FUZZ_MUST(qr_certs_add_der(&s, chain[i], &v, QR_CHECK_PARSE, "in") == QR_OK);
        }
        int good = qr_view_eq(in, evgen_view(&mid)) || qr_view_eq(in, evgen_view(&root));
        FUZZ_MUST(qr_chain_verify(&s, &roots, &rules, &v) != QR_OK || good);
        fuzz_text(v.sentence, sizeof v.sentence);
        qr_certs_free(&s);
    }
}

static void
revocation(qr_view in)
{
    struct qr_certs s = {0};
    struct qr_crl_facts f = {0};
    FUZZ_MUST(qr_certs_add_der(&s, evgen_view(&leaf), &v, QR_CHECK_PARSE, "leaf") == QR_OK);
    FUZZ_MUST(qr_certs_add_der(&s, evgen_view(&mid), &v, QR_CHECK_PARSE, "mid") == QR_OK);
    if (qr_crl_check(in, s.x[1], s.x[0], EVGEN_NOW_MS, &v, "list", &f) == QR_OK) {
        FUZZ_MUST(f.number == 1 && f.this_ms < f.next_ms); /* as the seeds' lists say */
    }
    qr_certs_free(&s);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int ready;
    struct qr_certs s = {0};

    if (!ready) {
        prepare();
        ready = 1;
    }
    unsigned what = fuzz_choice(&data, &size, 3);
    qr_view in = qr_view_of(data, size);
    qr_verdict_init(&v);
    if (what == 2) {
        revocation(in);
        return 0;
    }
    qr_err e = what == 0 ? qr_certs_add_der(&s, in, &v, QR_CHECK_PARSE, "in")
                         : qr_certs_add_pem(&s, in, &v, QR_CHECK_PARSE, "in");
    FUZZ_MUST((e == QR_OK) == (v.reason == QR_REASON_NONE));
    FUZZ_MUST(s.n <= QR_CERTS_MAX);
    for (size_t i = 0; i < s.n; i++) {
        facts(s.x[i]);
    }
    if (e == QR_OK && s.n == 1) {
        elsewhere(s.der[0]);
        qr_verdict_init(&v);
        below_the_ca(&s);
    }
    qr_certs_free(&s);
    return 0;
}
