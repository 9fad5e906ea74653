/*
 * verify_int: what the platforms' verifiers share; not for users of verify.h.
 *
 * A verifier is one function. It parses before it checks, checks authenticity before meaning, adds
 * claims as soon as they are parsed, and ends with the first failure. Composite verifiers (Azure,
 * GCP) call the simple ones with their own evidence items and then compare.
 */
#ifndef QR_VERIFY_INT_H
#define QR_VERIFY_INT_H

#include "enclave-shim/verify/cert.h"
#include "enclave-shim/verify/sig.h"
#include "enclave-shim/verify/verify.h"

struct qr_verify_run {
    const struct qr_evidence *e;
    const struct qr_verify_opts *o;
    const struct qr_roots *roots;
    struct qr_verdict *v;
    struct qr_verify_out out;
};

/* The item, or the failure COLLATERAL_MISSING (or MALFORMED for evidence itself) that names it. */
qr_err QR_MUST qr_run_need(struct qr_verify_run *r, enum qr_part part, enum qr_check c,
                           enum qr_reason if_absent, qr_view *ret);
/* Dates that bound the verdict's life. */
void qr_run_ends(struct qr_verify_run *r, int64_t end_ms);
void qr_run_issued(struct qr_verify_run *r, int64_t issue_ms);
/* COLLATERAL_ROLLBACK against o->seen; else remembered in out. */
qr_err QR_MUST qr_run_mark(struct qr_verify_run *r, const struct qr_collateral_mark *m,
                           const char *what);
/* qr_chain_verify with the run's roots, time and verdict; the chain's last day bounds the verdict. */
qr_err QR_MUST qr_run_chain(struct qr_verify_run *r, const struct qr_certs *s,
                            const struct qr_chain_rules *rules);
/* qr_crl_check at the run's time, its mark (subject: the CA's key), and its nextUpdate. */
qr_err QR_MUST qr_run_crl(struct qr_verify_run *r, qr_view der, X509 *ca, X509 *cert,
                          const char *what);
/*
 * The 32-byte (or longer) binder against a user field: `field` must be o->binder, followed by zeros
 * only when it is longer. Constant time in the compared bytes. Not called for: BINDER stays
 * unrecorded when o->binder.p is NULL.
 */
qr_err QR_MUST qr_run_binder(struct qr_verify_run *r, qr_view field, const char *what);

/* One to a file. Prefix: "" for a platform of its own, "snp." and the like are not used: composite
 * cases print the claims of their parts side by side, as the published cases do. */
qr_err QR_MUST qr_verify_nitro(struct qr_verify_run *r);
qr_err QR_MUST qr_verify_snp(struct qr_verify_run *r);
qr_err QR_MUST qr_verify_tdx(struct qr_verify_run *r);
qr_err QR_MUST qr_verify_sgx(struct qr_verify_run *r);
qr_err QR_MUST qr_verify_tpm(struct qr_verify_run *r);
qr_err QR_MUST qr_verify_azure(struct qr_verify_run *r); /* SNP and TDX */
qr_err QR_MUST qr_verify_gcp(struct qr_verify_run *r);   /* vTPM composites */
qr_err QR_MUST qr_verify_gcp_ak(struct qr_verify_run *r);
qr_err QR_MUST qr_verify_maa(struct qr_verify_run *r);
qr_err QR_MUST qr_verify_confidential_space(struct qr_verify_run *r);
/* 1: this iss is the service's, as these two verifiers want it. */
int qr_maa_is_issuer(qr_view iss);
int qr_cspace_is_issuer(qr_view iss);

/*
 * Parts that composites use. The user field (report_data) is returned instead of being compared, so
 * that the composite decides what it must commit to.
 */
qr_err QR_MUST qr_snp_part(struct qr_verify_run *r, qr_view report, qr_view *ret_report_data);
qr_err QR_MUST qr_tdx_part(struct qr_verify_run *r, qr_view quote, qr_view *ret_report_data);
/* The CC_LOG item replayed to a TD's four RTMRs of 48 bytes; records EVENT_LOG. */
qr_err QR_MUST qr_cc_log_part(struct qr_verify_run *r, const qr_view rtmr[4]);

/* An AK that is believed, and how. */
struct qr_ak {
    EVP_PKEY *key; /* the caller frees it with EVP_PKEY_free */
};
/* AK certificate chain to a pinned vTPM root (Google or Microsoft); claims below "ak_cert." */
qr_err QR_MUST qr_ak_chain_part(struct qr_verify_run *r, enum qr_vendor_root root,
                                struct qr_ak *ret);

#endif
