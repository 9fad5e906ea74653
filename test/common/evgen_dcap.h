/*
 * evgen_dcap: Intel SGX and TDX quotes and their collateral, under a throwaway Intel root.
 *
 * What: quotes v3, v4 and v5 with SGX, TD 1.0 and TD 1.5 bodies; a PCK chain with the SGX extension;
 *       TCB info v2 and v3, QE identity, TCB signing chain, both CRLs. Every field stands in
 *       `struct evgen_dcap`; evgen_dcap_make puts all of it together and signs it again, so that a
 *       rule can be broken without breaking a signature.
 * How:   evgen_dcap_default(&d, kind); change d; evgen_dcap_make(&d, &out); evgen_dcap_add(&out, &ev).
 * The defaults verify at EVGEN_NOW_MS with status UpToDate. Big structs: keep them static.
 */
#ifndef TEST_EVGEN_DCAP_H
#define TEST_EVGEN_DCAP_H

#include "enclave-shim/verify/evidence.h"
#include "test/common/evgen_ca.h"

enum evgen_dcap_kind {
    EVGEN_SGX_V3,
    EVGEN_SGX_V4,
    EVGEN_SGX_V5,
    EVGEN_TDX_V4,       /* TD 1.0 body, module TDX_01 (tee_tcb_svn[1] is 1) */
    EVGEN_TDX_V4_PRE15, /* tee_tcb_svn[1] is 0: the tdxModule member speaks */
    EVGEN_TDX_V5_10,    /* body type 2 */
    EVGEN_TDX_V5_15,    /* body type 3 */
    EVGEN_DCAP_KINDS
};

/* Offsets inside a TD body and inside an SGX report body, for evgen_dcap.body and .qe. */
enum {
    EVGEN_TD_TCB_SVN = 0,
    EVGEN_TD_MR_SEAM = 16,
    EVGEN_TD_MR_SIGNER_SEAM = 64,
    EVGEN_TD_SEAM_ATTRIBUTES = 112,
    EVGEN_TD_ATTRIBUTES = 120,
    EVGEN_TD_XFAM = 128,
    EVGEN_TD_MR_TD = 136,
    EVGEN_TD_MR_CONFIG_ID = 184,
    EVGEN_TD_MR_OWNER = 232,
    EVGEN_TD_MR_OWNER_CONFIG = 280,
    EVGEN_TD_RTMR0 = 328, /* 48 bytes each, four of them */
    EVGEN_TD_REPORT_DATA = 520,
    EVGEN_SGX_CPU_SVN = 0,
    EVGEN_SGX_MISC_SELECT = 16,
    EVGEN_SGX_ATTRIBUTES = 48,
    EVGEN_SGX_MRENCLAVE = 64,
    EVGEN_SGX_MRSIGNER = 128,
    EVGEN_SGX_PROD_ID = 256,
    EVGEN_SGX_SVN = 258,
    EVGEN_SGX_REPORT_DATA = 320,
};

struct evgen_tcb_level {
    uint8_t sgx[16], tdx[16];
    unsigned pce_svn;
    const char *date, *status;
    const char *advisories; /* a JSON array's text, NULL: no member */
};

struct evgen_isv_level {
    unsigned isv_svn;
    const char *date, *status, *advisories;
};

struct evgen_tdx_module {
    const char *id; /* NULL: no id (the tdxModule member) */
    uint8_t mrsigner[48], attributes[8], mask[8];
    size_t n_levels;
    struct evgen_isv_level level[4];
};

#define EVGEN_TCB_LEVELS 8u
struct evgen_tcb_info {
    const char *id; /* NULL: no member, as in version 2 */
    unsigned version;
    const char *issued, *next; /* "2025-12-31T00:00:00Z" */
    const char *fmspc, *pce_id;
    unsigned tcb_type, evaluation;
    int has_module; /* tdxModule */
    struct evgen_tdx_module module;
    size_t n_modules; /* tdxModuleIdentities; 0: no member */
    struct evgen_tdx_module modules[4];
    size_t n_levels;
    struct evgen_tcb_level level[EVGEN_TCB_LEVELS];
    const char *extra; /* put behind the first member: "\"x\":1," */
    const char *text;  /* not NULL: this is signed instead */
};

struct evgen_qe_identity {
    const char *id;
    unsigned version;
    const char *issued, *next;
    unsigned evaluation;
    uint8_t misc_select[4], misc_mask[4]; /* as printed: big-endian */
    uint8_t attributes[16], attributes_mask[16], mrsigner[32];
    unsigned isv_prod_id;
    size_t n_levels;
    struct evgen_isv_level level[4];
    const char *extra, *text; /* as above */
};

struct evgen_dcap {
    enum evgen_dcap_kind kind;

    /* The quote. */
    uint16_t version, att_key_type;
    uint32_t tee_type;
    uint8_t header_8[4]; /* QE and PCE SVN in v3, reserved later */
    uint8_t vendor[16], user_data[20];
    uint16_t body_type; /* v5 only */
    int64_t body_size_add;
    size_t body_len; /* 384, 584, 648 */
    uint8_t body[648];
    uint8_t qe[384]; /* report data is filled in, unless qe_report_data_kept */
    int qe_report_data_kept;
    size_t auth_len;
    uint8_t auth[64];
    /* Added to the true lengths. */
    int64_t sig_len_add, outer_size_add, auth_len_add, cert_size_add;
    uint16_t outer_type, cert_type; /* 6 and 5 */
    uint32_t cert_junk;             /* bytes of 'A' behind the PEM, counted */
    size_t trailing_len;            /* behind the quote, not counted */
    uint8_t trailing[512];
    EVP_PKEY *att_key;                /* whose x || y stands in the quote */
    EVP_PKEY *att_signer, *qe_signer; /* who signs quote and QE report */
    const uint8_t *att_xy;            /* not NULL: 64 bytes in place of the key's */
    /* Last, over the finished quote. */
    void (*patch_quote)(struct evgen_buf *quote);

    /* The PCK certificate's SGX extension. */
    uint8_t ppid[16], cpu_svn[16], comp[16], pce_id[2], fmspc[6], instance_id[16];
    unsigned pce_svn, sgx_type;
    int processor_ca; /* 1: issued by the Processor CA */
    int has_instance_id, has_config;
    const qr_view *sgx_ext; /* not NULL: this is the extension's value */

    /* Certificates; make() fills in the PCK's SGX extension behind those in `pck`. */
    struct evgen_cert_spec root, pck_ca, pck, tcb_signer;
    int no_sgx_ext;
    size_t n_chain; /* of the PEM inside the quote: 0 PCK, 1 PCK CA, 2 root, 3 TCB signer */
    unsigned chain[6];
    size_t n_tcb_chain; /* default: 3, 2 */
    unsigned tcb_chain[4];
    int pem_nul; /* a NUL behind the PEM */

    /* Collateral. */
    struct evgen_tcb_info tcb;
    struct evgen_qe_identity qe_identity;
    EVP_PKEY *tcb_key, *qe_identity_key; /* who signs */
    int raw_sigs;                        /* 1: 64 raw bytes instead of 128 hex digits */
    struct evgen_crl_spec pck_crl, root_crl;
};

struct evgen_dcap_out {
    size_t quote_len, tcb_len, tcb_sig_len, qe_len, qe_sig_len, tcb_chain_len;
    uint8_t quote[32768], tcb[65536], tcb_sig[160], qe[16384], qe_sig[160], tcb_chain[8192];
    struct evgen_der pck_crl, root_crl, root, pck_ca, pck, tcb_signer;
};

void evgen_dcap_default(struct evgen_dcap *d, enum evgen_dcap_kind kind);
void evgen_dcap_make(const struct evgen_dcap *d, struct evgen_dcap_out *ret);
/* Adds quote and collateral (all parts from QUOTE to ROOT_CRL but CUSTOM_CLAIMS) to the evidence. */
void evgen_dcap_add(const struct evgen_dcap_out *o, struct qr_evidence *e);
/* Pins the throwaway root as Intel's. */
void evgen_dcap_pin(const struct evgen_dcap_out *o, struct qr_roots *roots);
/* The value of the SGX extension that d describes, to build a wrong one from. Returns its length. */
size_t evgen_dcap_sgx_ext(const struct evgen_dcap *d, uint8_t *out, size_t cap);
/* The user field of the body: 64 bytes inside d->body. */
uint8_t *evgen_dcap_report_data(struct evgen_dcap *d);

#endif
