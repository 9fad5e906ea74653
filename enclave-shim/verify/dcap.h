/*
 * qr_dcap: what Intel TDX and SGX have in common: the quote, the PCK chain, the signed collateral
 * and the TCB level they lead to.
 *
 * What: quotes v3, v4 and v5 (ECDSA P-256, PCK chain inside), TCB info v2 and v3, QE identity v2,
 *       TCB signing chain, both CRLs. One order of checks for both platforms: qr_dcap_run.
 * Why: the two differ in the body and in which list applies; every advisory about verifiers of this
 *      family is a step that one of them left out.
 * Invariants: every nested length of a quote adds up, bytes behind the signature data are counted
 *             and never looked at; JSON is parsed only after its signature verified, over the bytes
 *             as they came; a status is never better than the worst of level, module and QE; no
 *             level means no verdict. A document of collateral with a member that is not listed
 *             here is refused: the vendor has added meaning to a version before
 *             (tdxModuleIdentities in version 3), and a verifier that skips it judges wrongly.
 * Claims: header, body.*, qe_report.*, pck.*, structure.*, debug (of a TD: any of TDATTRIBUTES bits 0
 *         to 7), tcb.* as in the published cases; tcb.exceptions when a scoped exception of the policy
 *         made a level match (list, component, needed, found, until); collateral.* (version and
 *         evaluation numbers); custom_claims[i].name and .value of Open Enclave.
 * Source: Intel SGX and TDX DCAP quoting library API (quote layouts), SGX PCK certificate
 *         profile 1.5 (extension), PCS API v4 (collateral), Intel's appraisal order of a TDX TCB.
 * Thread rules: one thread at a time; no state outside the arguments.
 */
#ifndef QR_DCAP_H
#define QR_DCAP_H

#include "enclave-shim/verify/le.h"
#include "enclave-shim/verify/verify_int.h"
#include "proto/json_strict.h"

#define QR_DCAP_VALUES 4096u   /* JSON values of a document; 15 levels of SGX are 1200 */
#define QR_DCAP_LEVELS 48u     /* of a TCB info */
#define QR_DCAP_MODULES 16u    /* of a TCB info */
#define QR_DCAP_ISV_LEVELS 16u /* of a module or a QE identity */
#define QR_DCAP_ADVISORIES 64u /* of one level */
#define QR_DCAP_ADVISORY_MAX 24u
#define QR_DCAP_CUSTOM_CLAIMS 16u

#define QR_SGX_REPORT_LEN 384u
#define QR_TD10_REPORT_LEN 584u
#define QR_TD15_REPORT_LEN 648u

/* ---- the quote (dcap_quote.c) ---- */

struct qr_dcap_quote {
    unsigned version;
    uint32_t tee_type; /* 0 SGX, 0x81 TDX */
    int tdx;
    unsigned body_type;   /* v5: 1 SGX, 2 TD 1.0, 3 TD 1.5; 0: the version has no such field */
    qr_view vendor;       /* 16 */
    qr_view user_data;    /* 20 */
    qr_view body;         /* 384, 584 or 648 */
    qr_view report_data;  /* 64, inside the body */
    qr_view covered;      /* header and body: what the quote's signature covers */
    qr_view signature;    /* 64, r || s */
    qr_view key;          /* 64, x || y */
    qr_view qe_report;    /* 384 */
    qr_view qe_signature; /* 64 */
    qr_view auth;
    qr_view pck_pem;
    unsigned cert_type, outer_cert_type; /* 5; 6, or 0 in v3 */
    size_t total, signature_len;
    qr_view trailing;
};

/*
 * Parses, and adds the claims of header, body, QE report and structure. Records LIMITS, PARSE and
 * ALGORITHM. Reasons: MALFORMED, UNSUPPORTED (version, TEE or key type, form of certification),
 * NOT_EVIDENCE (a TDREPORT), COLLATERAL_MISSING (a quote that names its PCK and does not carry it).
 */
qr_err QR_MUST qr_dcap_quote_parse(qr_view in, int want_tdx, struct qr_verdict *v,
                                   struct qr_dcap_quote *ret);

/* Vendor, key binding and the two signatures; records QE_REPORT and SIGNATURE. pck: the leaf's key. */
qr_err QR_MUST qr_dcap_quote_check(const struct qr_dcap_quote *q, EVP_PKEY *pck,
                                   struct qr_verdict *v);

/* ---- the PCK chain (dcap_pck.c) ---- */

struct qr_dcap_pck {
    struct qr_certs certs; /* leaf, CA, root */
    int platform_ca;       /* 1: issued by the Platform CA, 0: by the Processor CA */
    uint8_t comp[16];
    unsigned pce_svn;
    uint8_t fmspc[6], pce_id[2];
};

/*
 * Reads the chain and the leaf's SGX extension, adds their claims. Reasons at PARSE: MALFORMED,
 * UNSUPPORTED; at CHAIN: CHAIN (number, names), UNTRUSTED_ROOT (wrong number, and the last is not
 * pinned). Zeroed *ret; the caller frees it in any case.
 */
qr_err QR_MUST qr_dcap_pck_read(struct qr_verify_run *r, qr_view pem, struct qr_dcap_pck *ret);
void qr_dcap_pck_free(struct qr_dcap_pck *p);

/* ---- signed collateral (dcap_collateral.c, dcap_json.c) ---- */

/* Sets of flags, so that the worst of several is their union. */
enum qr_tcb_status {
    QR_TCB_UP_TO_DATE = 0,
    QR_TCB_SW_HARDENING = 1,
    QR_TCB_CONFIGURATION = 2,
    QR_TCB_OUT_OF_DATE = 4,
    QR_TCB_REVOKED = 8,
};

/* What every level has; `advisories` is an array in the document, v NULL when there is none. */
struct qr_dcap_standing {
    unsigned status;
    qr_view date;
    struct qr_json_at advisories;
};

struct qr_dcap_level {
    uint8_t sgx[16], tdx[16];
    unsigned pce_svn;
    struct qr_dcap_standing is;
};

struct qr_dcap_isv_level {
    unsigned isv_svn;
    struct qr_dcap_standing is;
};

struct qr_dcap_module {
    qr_view id; /* empty for the tdxModule member */
    uint8_t mrsigner[48], attributes[8], mask[8];
    size_t n;
    struct qr_dcap_isv_level level[QR_DCAP_ISV_LEVELS];
};

/* Dates and number that both documents have. */
struct qr_dcap_issue {
    int64_t issued_ms, next_ms;
    uint64_t evaluation;
};

struct qr_dcap_tcb_info {
    unsigned version;
    int tdx;
    struct qr_dcap_issue issue;
    uint8_t fmspc[6], pce_id[2];
    int has_module;
    struct qr_dcap_module module; /* tdxModule: no levels */
    size_t n_modules, n;
    struct qr_dcap_module modules[QR_DCAP_MODULES];
    struct qr_dcap_level level[QR_DCAP_LEVELS];
};

struct qr_dcap_qe_identity {
    int tdx;
    struct qr_dcap_issue issue;
    uint8_t misc_select[4], misc_mask[4]; /* little-endian, as in a report */
    uint8_t attributes[16], attributes_mask[16], mrsigner[32];
    unsigned isv_prod_id;
    size_t n;
    struct qr_dcap_isv_level level[QR_DCAP_ISV_LEVELS];
};

/*
 * One signed document; call only with bytes whose signature verified. ret is zeroed by the caller
 * and keeps views into *doc, which the caller clears with qr_json_clear. The document explains its
 * errors in doc->err_text. Errors: MALFORMED, TOO_LARGE, UNKNOWN_FIELD and VERSION (something this
 * verifier does not know), NO_MEMORY.
 */
qr_err QR_MUST qr_dcap_tcb_info_read(struct qr_json *doc, struct qr_dcap_tcb_info *ret);
qr_err QR_MUST qr_dcap_qe_identity_read(struct qr_json *doc, struct qr_dcap_qe_identity *ret);
/* A time for sentences: "2026-03-16T22:06:09Z", or a number when it has no such form. Returns out. */
#define QR_TIME_TEXT 32u
const char *qr_dcap_time_text(int64_t ms, char out[static QR_TIME_TEXT]);
/* 2n hex digits of either case (the vendor writes both) as n bytes; 0 when it is not that. */
int qr_dcap_hex(qr_view text, uint8_t *out, size_t n);

struct qr_dcap_collateral {
    struct qr_certs chain; /* TCB signing certificate, root */
    struct qr_json tcb_doc, qe_doc;
    struct qr_dcap_tcb_info tcb;
    struct qr_dcap_qe_identity qe;
    qr_view pck_crl, root_crl;
    char err_text[QR_ERR_TEXT_MAX];
};

/*
 * Everything is there; the signing chain ends in a pinned root; both documents are signed, parsed,
 * and of this platform. Dates are not looked at. Zeroed *ret; the caller frees it in any case.
 */
qr_err QR_MUST qr_dcap_collateral_open(struct qr_verify_run *r, const struct qr_dcap_pck *pck,
                                       int tdx, struct qr_dcap_collateral *ret);
/*
 * Dates of everything, revocation, smallest evaluation number, rollback. Records CRL, VALIDITY and
 * COLLATERAL. What has expired is told before what is not valid yet.
 */
qr_err QR_MUST qr_dcap_collateral_check(struct qr_verify_run *r, const struct qr_dcap_pck *pck,
                                        const struct qr_dcap_collateral *c);
void qr_dcap_collateral_free(struct qr_dcap_collateral *c);

/* ---- the TCB (dcap_tcb.c) ---- */

/* Found before the dates are looked at, so that the claims are complete; told after them. */
struct qr_dcap_tcb {
    const struct qr_dcap_level *level;   /* NULL: none matches */
    const struct qr_dcap_isv_level *qe;  /* NULL: none matches */
    const struct qr_dcap_module *module; /* NULL: unknown; SGX: NULL */
    const struct qr_dcap_isv_level *module_level;
    int module_signer_ok, module_attributes_ok;
    const char *qe_wrong; /* NULL: the QE is the vendor's */
};

/* Finds levels, adds the claims below "tcb.". Nothing fails here but memory. */
qr_err QR_MUST qr_dcap_tcb_find(struct qr_verify_run *r, const struct qr_dcap_quote *q,
                                const struct qr_dcap_pck *pck, const struct qr_dcap_collateral *c,
                                struct qr_dcap_tcb *ret);
/* Records QE_IDENTITY, TDX_MODULE (TDX), TCB. */
qr_err QR_MUST qr_dcap_tcb_check(struct qr_verify_run *r, const struct qr_dcap_quote *q,
                                 const struct qr_dcap_pck *pck, const struct qr_dcap_collateral *c,
                                 const struct qr_dcap_tcb *t);
/* "OutOfDate" and so on of a set of flags; never NULL. */
const char *qr_dcap_status_text(unsigned status);
/* The set of flags that a text stands for; 0 when it is no status. */
int qr_dcap_status_of(qr_view text, unsigned *ret);

/* ---- all of it, in order (dcap.c) ---- */

/* All that follows the parse, with the collateral items of r->e. */
qr_err QR_MUST qr_dcap_run(struct qr_verify_run *r, const struct qr_dcap_quote *q);

#endif
