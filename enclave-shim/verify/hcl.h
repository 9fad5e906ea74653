/*
 * qr_hcl: the report that Azure's paravisor keeps in its virtual TPM.
 *
 * What: a header around an SNP report or a TDREPORT, then JSON ("runtime data") whose SHA-256 is the
 *       report's report_data and which names the TPM's attestation key. Also the bare JSON key set
 *       that guests on other clouds commit to.
 * Why: this is what ties the vTPM to the CPU: processor -> paravisor -> runtime data -> attestation
 *      key -> quote.
 * Invariants: the hash covers exactly var_size bytes, and the text is believed after the hash; the
 *             sizes agree with each other; behind the JSON there are only zeros; exactly one key is
 *             called HCLAkPub, it is RSA and signs and does nothing else.
 * Source: as observed in reports of 2023 to 2025; little-endian.
 */
#ifndef QR_HCL_H
#define QR_HCL_H

#include "enclave-shim/verify/verify_int.h"

#define QR_HCL_HEAD 1236u /* bytes in front of the runtime data */
#define QR_TDREPORT_LEN 1024u

enum qr_hcl_report_type { QR_HCL_SNP = 2, QR_HCL_TDX = 4 };

struct qr_hcl {
    uint32_t version, report_size, request_type, status;
    uint32_t data_size, data_version, report_type, hash_type, var_size;
    qr_view snp;      /* 1184 bytes when report_type is SNP */
    qr_view tdreport; /* 1024 bytes when it is TDX */
    qr_view runtime;  /* var_size bytes */
    qr_view padding;
};

/* Adds the claims hcl.*; MALFORMED, UNSUPPORTED (version, hash). */
qr_err QR_MUST qr_hcl_parse(qr_view nv, enum qr_hcl_report_type want, struct qr_verdict *v,
                            struct qr_hcl *ret);
/* KEY_BINDING unless report_data is the runtime data's hash and 32 zeros; then sizes and padding. */
qr_err QR_MUST qr_hcl_bound(const struct qr_hcl *h, qr_view report_data, struct qr_verdict *v);

/* Members of a TDREPORT. */
qr_view qr_tdreport_data(const struct qr_hcl *h); /* 64 bytes */
qr_view qr_tdreport_attributes(const struct qr_hcl *h);
qr_view qr_tdreport_mrtd(const struct qr_hcl *h);

/*
 * Runtime data is read before its hash is compared, so that a refusal can show what it said; what is
 * wrong with it is told when its turn has come.
 */
struct qr_runtime {
    EVP_PKEY *ak; /* NULL when `reason` is not NONE; the caller frees it */
    enum qr_reason reason;
    char text[160];
};
/*
 * HCL: keys, vm-configuration and user-data, with claims below "hcl."; key_ops of HCLAkPub must be
 * ["sign"]. JWKS: a key set that a guest made up to commit to its key: no claims, no key_ops needed,
 * and the key may be on P-256.
 */
enum qr_runtime_form { QR_RUNTIME_HCL, QR_RUNTIME_JWKS };
/* NO_MEMORY; everything else is in *ret. */
qr_err QR_MUST qr_runtime_parse(qr_view json, enum qr_runtime_form form, struct qr_verdict *v,
                                struct qr_runtime *ret);
/* Fails RUNTIME_DATA with what was found wrong; passes it otherwise. */
qr_err QR_MUST qr_runtime_accept(const struct qr_runtime *t, struct qr_verdict *v);

#endif
