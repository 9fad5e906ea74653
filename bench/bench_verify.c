/*
 * CPU of one verification of evidence with its collateral at hand, by platform.
 *
 *     bench_verify             every case, one JSON object a line; a few seconds
 *
 * verify_NAME: generated evidence of that platform (evgen_all.h); the vendors' key kinds, but AMD's CAs
 *              have 2048 bits instead of 4096. value: microseconds, median.
 * again_NAME:  the same with the chain's signatures remembered (qr_links), as when a peer's channel
 *              is attested anew.
 * real_KIND:   the published cases of that kind that are valid, each verified in turn, if the
 *              folder of cases is there; value: the median over the cases of their medians.
 * ratio: all of a verification over what of it is the checking of signatures, measured inside the
 *        same verifications: 1.2 says that a fifth is spent on everything else.
 */
#include "bench/bench.h"
#include "daemon/ctl_case.h"
#include "enclave-shim/verify/cert.h"
#include "enclave-shim/verify/sig.h"
#include "test/common/cases.h"
#include "test/common/evgen_all.h"

#include <openssl/x509.h>

#define ROUNDS 41u
#define BUDGET_NS 4e8 /* of one piece of evidence */

/* ---- the signature checks inside ---- */

static double inside_ns;

int __real_qr_evp_ecdsa_verify(EVP_PKEY *k, enum qr_hash_alg h, qr_view msg, qr_view raw);
int __wrap_qr_evp_ecdsa_verify(EVP_PKEY *k, enum qr_hash_alg h, qr_view msg, qr_view raw);
int __real_qr_evp_rsa_verify(EVP_PKEY *k, enum qr_hash_alg h, int pss, qr_view msg, qr_view sig);
int __wrap_qr_evp_rsa_verify(EVP_PKEY *k, enum qr_hash_alg h, int pss, qr_view msg, qr_view sig);
int __real_X509_verify(X509 *x, EVP_PKEY *k);
int __wrap_X509_verify(X509 *x, EVP_PKEY *k);
int __real_X509_CRL_verify(X509_CRL *x, EVP_PKEY *k);
int __wrap_X509_CRL_verify(X509_CRL *x, EVP_PKEY *k);

int
__wrap_qr_evp_ecdsa_verify(EVP_PKEY *k, enum qr_hash_alg h, qr_view msg, qr_view raw)
{
    double since = bench_cpu_ns();
    int ok = __real_qr_evp_ecdsa_verify(k, h, msg, raw);
    inside_ns += bench_cpu_ns() - since;
    return ok;
}

int
__wrap_qr_evp_rsa_verify(EVP_PKEY *k, enum qr_hash_alg h, int pss, qr_view msg, qr_view sig)
{
    double since = bench_cpu_ns();
    int ok = __real_qr_evp_rsa_verify(k, h, pss, msg, sig);
    inside_ns += bench_cpu_ns() - since;
    return ok;
}

int
__wrap_X509_verify(X509 *x, EVP_PKEY *k)
{
    double since = bench_cpu_ns();
    int ok = __real_X509_verify(x, k);
    inside_ns += bench_cpu_ns() - since;
    return ok;
}

int
__wrap_X509_CRL_verify(X509_CRL *x, EVP_PKEY *k)
{
    double since = bench_cpu_ns();
    int ok = __real_X509_CRL_verify(x, k);
    inside_ns += bench_cpu_ns() - since;
    return ok;
}

/* ---- measuring ---- */

struct figure {
    double ns, ratio;
};

/* 0: it is not valid, which is no figure. */
static int
measure(const struct qr_evidence *e, const struct qr_verify_opts *o, struct figure *ret)
{
    static struct qr_verdict v;
    double ns[ROUNDS], ratio[ROUNDS], spent = 0;
    size_t n = 0, most = bench_runs() == 1 ? 3 : ROUNDS;

    for (int i = 0; i < 2; i++) { /* once for the caches and OpenSSL's tables */
        if (qr_verify(e, o, &v, NULL) != QR_OK) {
            return 0;
        }
    }
    while (n < most && (n < 5 || spent < BUDGET_NS)) {
        inside_ns = 0;
        double since = bench_cpu_ns();
        QR_ASSERT(qr_verify(e, o, &v, NULL) == QR_OK);
        ns[n] = bench_cpu_ns() - since;
        spent += ns[n];
        ratio[n] = inside_ns > 0 ? ns[n] / inside_ns : -1; /* -1: nothing was checked anew */
        n++;
    }
    *ret = (struct figure){bench_median(ns, n), bench_median(ratio, n)};
    return 1;
}

/* ---- real evidence ---- */

#define REAL_MAX 64u

/* All valid cases of one kind. */
static void
real(const struct cases *cases, enum qr_evidence_kind kind)
{
    static struct qr_ctl_case k;
    static struct qr_verdict v;
    const struct qr_ctl ctl = {0};
    double ns[REAL_MAX], ratio[REAL_MAX];
    size_t n = 0;
    char name[64];

    for (size_t i = 0; i < cases->n && n < REAL_MAX; i++) {
        const char *kind_name = qr_evidence_kind_name(kind);
        size_t len = strlen(kind_name);
        if (strncmp(cases->v[i].name, kind_name, len) != 0 || cases->v[i].name[len] != '/') {
            continue;
        }
        struct figure f;
        qr_verdict_init(&v);
        if (qr_ctl_case_load(&ctl, cases->v[i].dir, &k, &v) == 0 && v.reason == QR_REASON_NONE) {
            const struct qr_verify_opts o = {.now_ms = k.at_ms};
            if (measure(&k.e, &o, &f)) {
                ns[n] = f.ns;
                ratio[n++] = f.ratio;
            }
        }
        qr_ctl_case_free(&k);
    }
    if (n > 0) {
        snprintf(name, sizeof name, "real_%s", qr_evidence_kind_name(kind));
        bench_emit(name, (unsigned)n, 0, bench_median(ns, n) / 1e3, "us", bench_median(ratio, n));
    }
}

int
main(void)
{
    char name[64];

    for (size_t i = 0; i < evall_n(); i++) {
        struct qr_verify_opts o = evall_opts(i);
        struct figure f;
        QR_ASSERT(measure(&evall_get(i)->e, &o, &f));
        snprintf(name, sizeof name, "verify_%s", evall_get(i)->name);
        bench_emit(name, 1, 0, f.ns / 1e3, "us", f.ratio);
        static struct qr_links links;
        o.links = &links;
        QR_ASSERT(measure(&evall_get(i)->e, &o, &f));
        snprintf(name, sizeof name, "again_%s", evall_get(i)->name);
        bench_emit(name, 1, 0, f.ns / 1e3, "us", f.ratio);
    }
    struct cases *cases = cases_open();
    for (int kind = QR_EV_NITRO; kind <= QR_EV_CONFIDENTIAL_SPACE; kind++) {
        real(cases, (enum qr_evidence_kind)kind);
    }
    cases_free(cases);
    return 0;
}
