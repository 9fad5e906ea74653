/*
 * qr_need_bases: the services that vendors' documents come from.
 *
 * What: one base URL a service, from the gateway's configuration.
 * Why: an operator may run a mirror (of AMD's service, which throttles; or Intel's caching service).
 * Invariants: what a mirror says is believed no more than what the vendor's own service says.
 */
#ifndef QR_BASES_H
#define QR_BASES_H

#define QR_BASE_MAX 168u
struct qr_need_bases {
    char amd_kds[QR_BASE_MAX];    /* "https://kdsintf.amd.com" */
    char intel_pcs[QR_BASE_MAX];  /* "https://api.trustedservices.intel.com" */
    char intel_crl[QR_BASE_MAX];  /* "https://certificates.trustedservices.intel.com" */
    char azure_thim[QR_BASE_MAX]; /* "http://169.254.169.254" */
    char google_ca[QR_BASE_MAX];  /* empty: Google's own; else BASE/BUCKET/OBJECT/ca.crt */
    char jwks[QR_BASE_MAX];       /* empty: the issuer itself; else BASE/HOST/certs */
};

/* 1: an http(s) URL of a host and perhaps a port and a path, without user, query and fragment. */
int qr_need_base_ok(const char *url);

#endif
