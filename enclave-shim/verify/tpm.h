/*
 * qr_tpm: quotes of a TPM 2.0, and the keys that sign them.
 *
 * What: strict parsers of TPMS_ATTEST, TPMT_SIGNATURE and TPMT_PUBLIC; PCR values against a quote;
 *       attestation keys by certificate, by TPMT_PUBLIC, by PEM.
 * Why: a TPM says what was booted and nothing about who owns the machine's memory. Alone it is a
 *      weak witness; bound to a CPU's report (hcl.h, gcp.h) it tells the guest's own measurements.
 * Invariants: a quote selects PCRs of exactly one bank, so that "PCR 7" means one value; the digest
 *             of the PCR values is made with the hash of the signing scheme, not with the bank's; a
 *             key that could sign a forged TPMS_ATTEST (not restricted, or able to decrypt) is
 *             refused wherever its attributes are known.
 * Source: TPM 2.0 Library, part 2 (structures) 8.3, 10.3, 10.12, 11.3, 12.2; all big-endian.
 * Thread rules: no state.
 */
#ifndef QR_TPM_H
#define QR_TPM_H

#include "enclave-shim/verify/verify_int.h"

#define QR_PCRS 24u     /* a PC client's, and the bits of a selection of 3 bytes */
#define QR_TPM_SLOTS 4u /* of quotes: evidence.h */

/* A quote's TPMS_ATTEST; views into what was parsed. */
struct qr_tpm_attest {
    qr_view signer; /* qualified name */
    qr_view extra;  /* what the caller of TPM2_Quote gave, 0..64 bytes */
    uint64_t clock; /* ms, runs while the TPM has power */
    uint32_t reset_count, restart_count;
    uint8_t safe; /* 1: the clock did not go back since it was told */
    uint64_t firmware;
    enum qr_hash_alg bank;
    uint32_t selected; /* bit i: PCR i */
    qr_view digest;
};

/*
 * Refuses with NOT_EVIDENCE what is no quote, with UNSUPPORTED an unknown bank and more than one
 * bank with PCRs, else MALFORMED; trailing bytes are TRAILING_DATA.
 */
qr_err QR_MUST qr_tpm_attest_parse(qr_view msg, struct qr_verdict *v, struct qr_tpm_attest *ret);

enum qr_tpm_scheme { QR_TPM_RSASSA = 0x0014, QR_TPM_RSAPSS = 0x0016, QR_TPM_ECDSA = 0x0018 };

struct qr_tpm_sig {
    enum qr_tpm_scheme scheme;
    enum qr_hash_alg hash;
    qr_view rsa;
    uint8_t ecdsa[96]; /* r || s, padded to the curve's length */
    size_t ecdsa_len;
};

/*
 * A TPMT_SIGNATURE, or the bare bytes of an RSASSA SHA-256 signature, which is told by its length:
 * that of the modulus. UNSUPPORTED: SHA-1, other schemes, a scheme of another kind of key.
 */
qr_err QR_MUST qr_tpm_sig_parse(qr_view sig, EVP_PKEY *ak, struct qr_verdict *v,
                                struct qr_tpm_sig *ret);

struct qr_tpm_public {
    EVP_PKEY *key; /* the caller frees it with EVP_PKEY_free */
    uint32_t attributes;
    uint16_t name_alg;
    uint16_t scheme, scheme_hash; /* TPM algorithm numbers; 0x0010 (null) and 0: none */
    unsigned bits;
    uint8_t name[2 + 64]; /* nameAlg, then the hash of the TPMT_PUBLIC */
    size_t name_len;
};

/* Parses and demands what an attestation key must be; KEY_BINDING when it is another kind of key. */
qr_err QR_MUST qr_tpm_public_parse(qr_view pub, struct qr_verdict *v, struct qr_tpm_public *ret);

/* "-----BEGIN PUBLIC KEY-----", RSA 2048..4096 or P-256 or P-384. NULL: something else. */
EVP_PKEY *qr_tpm_pem_parse(qr_view pem);
/* 1: RSA 2048..4096, P-256 or P-384: what a quote may be signed with. */
int qr_tpm_key_fits(EVP_PKEY *k);

/* "sha256"; the TPM's number of it; and back (0: unknown or weaker than SHA-1). */
const char *qr_hash_name(enum qr_hash_alg h);
int qr_hash_of_tpm(uint16_t alg, enum qr_hash_alg *ret);

/*
 * The key that the evidence names, by certificate (a pinned Google or Microsoft root), TPMT_PUBLIC or
 * PEM; where several travel they must agree. AK passes with a certificate only: a key that nobody
 * vouches for leaves it unrecorded, and a policy pins the claim ak_name (of a TPMT_PUBLIC) or
 * ak_spki_sha256, or refuses. The caller frees the key.
 */
qr_err QR_MUST qr_ak_collect(struct qr_verify_run *r, EVP_PKEY **ret);
/* Claims ak_spki_sha256. */
qr_err QR_MUST qr_ak_claim(struct qr_verify_run *r, EVP_PKEY *k);

/* The bank that a slot of evidence is for; slot 0 may hold any. "" or "banks.sha1." and so on. */
const char *qr_tpm_slot_prefix(uint8_t slot);

/*
 * Every quote that is there, at least one (MALFORMED), all with the same extraData (BINDER), and the
 * TCG event log if there is one.
 */
qr_err QR_MUST qr_tpm_quotes_part(struct qr_verify_run *r, EVP_PKEY *ak, qr_view *ret_extra_data);
int qr_tpm_has_quote(const struct qr_verify_run *r);
/* extraData against what was asked for: equal, same length; nothing when nothing was asked for. */
qr_err QR_MUST qr_tpm_binder(struct qr_verify_run *r, qr_view extra);

/* A moment of a TPM's life, from the claims quote.clock, resetCount, restartCount and safe. */
struct qr_tpm_moment {
    uint64_t clock;
    uint32_t reset_count, restart_count;
    uint8_t safe;
};
enum qr_tpm_order {
    QR_TPM_LATER,    /* same boot, not earlier */
    QR_TPM_REBOOTED, /* a later boot: what was bound to the old one is void */
    QR_TPM_EARLIER,  /* replayed, or the TPM was rolled back */
    QR_TPM_UNSAFE,   /* the TPM itself does not vouch for its clock */
};
/* Two quotes of one key, in the order in which they were accepted. */
enum qr_tpm_order qr_tpm_compare(const struct qr_tpm_moment *before,
                                 const struct qr_tpm_moment *after);
/* 1: all four claims are there. */
int qr_tpm_moment_of(const struct qr_claimset *c, struct qr_tpm_moment *ret);

#endif
