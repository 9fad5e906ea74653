/*
 * qr_snp: AMD SEV-SNP attestation reports, the certificates under them, and the host's table.
 *
 * What: the 1184-byte ATTESTATION_REPORT as a struct, the extensions of a VCEK or VLEK, and the
 *       certificate table that a host hands to its guest. For the platforms' verifiers and for the
 *       party that collects its own evidence.
 * Why: the product decides the order of the TCB's bytes and the length of the chip's id, so both
 *      halves must be read with the same product in mind.
 * Invariants: parsing never looks past the bytes given, and fills the struct on success only. Views
 *             point into what was parsed.
 * Source: AMD 56860 (SEV-SNP ABI) 1.58, table of ATTESTATION_REPORT; AMD 57230 (VCEK and KDS);
 *         AMD 56421 (GHCB), SNP extended guest request, for the table.
 */
#ifndef QR_SNP_H
#define QR_SNP_H

#include "enclave-shim/verify/cert.h"
#include "enclave-shim/verify/evidence.h"
#include "enclave-shim/verify/verdict.h"

#define QR_SNP_REPORT_LEN 1184u
#define QR_SNP_SIGNED_LEN 0x2a0u /* the signature covers bytes 0 .. 0x29f */

/* A product line is an ARK: Bergamo and Siena stand under Genoa's. */
enum qr_snp_line { QR_SNP_UNKNOWN, QR_SNP_MILAN, QR_SNP_GENOA, QR_SNP_TURIN };

const char *qr_snp_line_name(enum qr_snp_line l); /* "Milan" */
/* By CPUID family, model: QR_SNP_UNKNOWN when it is none of the lines above. */
enum qr_snp_line qr_snp_line_of_cpuid(uint8_t family, uint8_t model);
/* By a certificate's productName, with or without a stepping ("Milan-B0"). */
enum qr_snp_line qr_snp_line_of_name(qr_view product_name);

enum qr_snp_signing_key { QR_SNP_VCEK = 0, QR_SNP_VLEK = 1, QR_SNP_NO_KEY = 7 };

/* Little-endian numbers as such; bytes as views into the report. */
struct qr_snp_report {
    qr_view all; /* QR_SNP_REPORT_LEN bytes */
    uint32_t version, guest_svn, vmpl, signature_algo;
    uint64_t policy, platform_info;
    int author_key_en, mask_chip_key;
    enum qr_snp_signing_key signing_key;
    qr_view family_id, image_id, report_data, measurement, host_data, id_key_digest,
        author_key_digest, report_id, report_id_ma, chip_id;
    qr_view current_tcb, reported_tcb, committed_tcb, launch_tcb; /* 8 bytes each */
    int has_cpuid;                                                /* version 3 and later */
    uint8_t family, model, stepping;
    uint8_t current[3], committed[3]; /* major, minor, build */
    int has_mit;                      /* version 5 */
    uint64_t launch_mit, current_mit;
    qr_view r, s; /* 72 bytes, little-endian, as they stand */
};

#define QR_SNP_POLICY_DEBUG (UINT64_C(1) << 19)

/*
 * Fails PARSE with MALFORMED (length, reserved bytes, policy's fixed bits) or UNSUPPORTED (version,
 * flags), ALGORITHM with UNSUPPORTED, KEY_KIND with SIGNATURE (the report says that it is unsigned)
 * or UNSUPPORTED. Passes PARSE and ALGORITHM.
 */
qr_err QR_MUST qr_snp_report_parse(qr_view report, struct qr_verdict *v, struct qr_snp_report *ret);
/* Rules that need the product: Turin's chip id has 8 bytes. Fails PARSE with MALFORMED. */
qr_err QR_MUST qr_snp_report_check(const struct qr_snp_report *p, enum qr_snp_line line,
                                   struct qr_verdict *v);
/* The claims of the report itself; the line decides the order of the TCBs' components. */
void qr_snp_report_claims(const struct qr_snp_report *p, enum qr_snp_line line,
                          struct qr_claimset *c);

/* Components of a TCB, by name, in the order of no product. */
enum qr_snp_spl {
    QR_SNP_BL,
    QR_SNP_TEE,
    QR_SNP_SPL4,
    QR_SNP_SPL5,
    QR_SNP_SPL6,
    QR_SNP_SPL7,
    QR_SNP_FW,
    QR_SNP_UCODE,
    QR_SNP_FMC,
    QR_SNP_SPLS
};
/* Which of the TCB's 8 bytes holds the component; -1: the line has none of that name. */
int qr_snp_tcb_byte(enum qr_snp_line line, enum qr_snp_spl c);

/* What the endorsement key's certificate says in its private extensions. */
struct qr_snp_vek {
    enum qr_snp_signing_key kind; /* VCEK: hwID and no cspID; VLEK: the reverse; else NO_KEY */
    int has_struct_version;
    uint64_t struct_version;
    qr_view product_name; /* p NULL: absent */
    struct {
        int present;
        uint8_t value;
    } spl[QR_SNP_SPLS];
    qr_view hwid, csp_id;
    const char *problem; /* NULL, or what is wrong with an extension: refused after the chain */
};

/* Reads every extension once; never fails: what cannot be read is told by `problem`. */
void qr_snp_vek_read(X509 *x, struct qr_snp_vek *ret);
void qr_snp_vek_claims(const struct qr_snp_vek *k, struct qr_claimset *c);

/* The three certificates: endorsement key, ASK or ASVK, ARK. */
struct qr_snp_chain {
    struct qr_certs certs;
    struct qr_snp_vek vek;
    enum qr_snp_line line; /* of the ASK's name */
    enum qr_snp_signing_key ask_kind;
};

struct qr_verify_run; /* verify_int.h */

/* Parses the run's items. The caller frees ret->certs with qr_certs_free, also after a failure. */
qr_err QR_MUST qr_snp_chain_read(struct qr_verify_run *r, struct qr_snp_chain *ret);
/* KEY_KIND, PRODUCT: do report and certificates speak of the same kind and product? */
qr_err QR_MUST qr_snp_chain_match(struct qr_verify_run *r, const struct qr_snp_chain *c,
                                  const struct qr_snp_report *p);
/* ROOT, CHAIN, ALGORITHM; then the form of the leaf's extensions. */
qr_err QR_MUST qr_snp_chain_verify(struct qr_verify_run *r, const struct qr_snp_chain *c);
/*
 * VALIDITY, and CRL when there is a list. Comes last: a certificate for another chip or another
 * firmware is told as that, not as too old or too new.
 */
qr_err QR_MUST qr_snp_chain_dates(struct qr_verify_run *r, const struct qr_snp_chain *c);

/* The table of certificates of an extended guest request; p NULL where there is none. */
struct qr_snp_table {
    qr_view vcek, vlek, ask, ark, crl;
};
#define QR_SNP_TABLE_MAX 65536u
#define QR_SNP_TABLE_ENTRIES 16u

/*
 * MALFORMED: no terminator, an entry outside the bytes, inside the header, empty, overlapping another,
 * or twice of one kind; TOO_LARGE: bytes or entries. Entries of unknown kinds are checked and left.
 */
qr_err QR_MUST qr_snp_table_parse(qr_view bytes, struct qr_snp_table *ret);
/*
 * Adds what the table has for a report signed by `kind`: the endorsement key's certificate, ASK,
 * ARK, CRL. Nothing is believed by that. Errors as qr_evidence_add.
 */
qr_err QR_MUST qr_snp_table_fill(const struct qr_snp_table *t, enum qr_snp_signing_key kind,
                                 struct qr_evidence *e);

#endif
