/*
 * qr_need: what a party's platform wants from the vendors, and the addresses where it is.
 *
 * What: the party's answer to the query NEEDS,
 *        {"v":1,"needs":[{"source":"amd-kds","product":"Milan","chip":"<hex>",
 *                         "spl":{"bl":4,"tee":0,"snp":24,"ucode":219}},
 *                        {"source":"intel-pcs","tee":"tdx","ca":"platform","fmspc":"00806f050000"},
 *                        {"source":"azure-thim"},
 *                        {"source":"azure-tdquote","report":"<base64url of a TDREPORT>"},
 *                        {"source":"google-ca","bucket":"65cf2318-…","object":"64bf42df2a9c15f8c82f"},
 *                        {"source":"jwks","issuer":"https://sharedweu.weu.attest.azure.net"}]}
 *       read strictly, each need turned into one to four documents with their URLs.
 * Why: a party speaks no HTTP; its host fetches public documents for it and is believed in nothing.
 * Invariants: at most QR_NEEDS_MAX needs; a URL is made of the configured base and characters checked
 *      here, never of free text; key sets come from hosts of a closed list only.
 *      A TDREPORT is the party's own word to its own machine's metadata service: 1024 bytes, in base64url.
 * Source: AMD 57230 (VCEK interface), Intel PCS API v4, Azure THIM, MAA and acc/tdquote, RFC 7517;
 *      Google's CA addresses: enclave-shim/gcp/aia.h.
 */
#ifndef QR_GW_NEED_H
#define QR_GW_NEED_H

#include "daemon/bases.h"
#include "daemon/gw_doc.h"

#define QR_NEEDS_MAX 8u
#define QR_NEED_DOCS 4u
#define QR_URL_MAX 512u
#define QR_POST_MAX 1408u

struct qr_need_doc {
    enum qr_doc_kind kind;
    char url[QR_URL_MAX];
    int metadata;           /* 1: the request carries "Metadata: true" */
    char post[QR_POST_MAX]; /* not empty: a POST of this JSON */
    int optional;           /* 1: the rest is handed over without it */
};

struct qr_need {
    const char *source; /* static: "amd-kds" … */
    size_t n;
    struct qr_need_doc doc[QR_NEED_DOCS];
};

struct qr_needs {
    size_t n;
    struct qr_need need[QR_NEEDS_MAX];
};

/* Errors as qr_json_parse and qr_json_fields; err_text names the member. */
qr_err QR_MUST qr_needs_read(qr_view json, const struct qr_need_bases *bases, struct qr_needs *ret,
                             char *err_text, size_t err_cap);

#endif
