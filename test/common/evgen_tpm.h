/*
 * evgen_tpm: quotes of throwaway TPMs, certificates of their keys, HCL reports and event logs.
 *
 * What: TPMS_ATTEST with PCR values and TPMT_SIGNATURE; TPMT_PUBLIC; AK certificates with Google's
 *       instance extension under throwaway vTPM roots; HCL reports around an SNP report or a TDREPORT;
 *       TCG and CC event logs, which are extended into registers while they are written.
 * How: evtpm_init, change fields, evtpm_make (writes the TPMS_ATTEST), change its bytes, evtpm_sign.
 *      Whatever is wrong, the signature is right.
 * Offsets and numbers are written down here a second time, on purpose. A failure of the generator ends
 * the program. One thread.
 */
#ifndef TEST_EVGEN_TPM_H
#define TEST_EVGEN_TPM_H

#include "enclave-shim/verify/evidence.h"
#include "test/common/evgen_ca.h"

#define EVTPM_PCRS 24u
#define EVTPM_BANKS 6u

enum evtpm_form { EVTPM_TPMT, EVTPM_RAW };

struct evtpm {
    /* The quote. */
    uint32_t magic;
    uint16_t type;
    uint8_t signer[80];
    size_t signer_len;
    uint8_t extra[80];
    size_t extra_len;
    uint64_t clock;
    uint32_t reset_count, restart_count;
    uint8_t safe;
    uint64_t firmware;
    size_t n_banks;
    struct {
        uint16_t alg;
        uint8_t size; /* of the selection, as it is written */
        uint8_t bits[8];
    } bank[EVTPM_BANKS];
    /* Values of the first bank's PCRs, each as long as that bank's hash. */
    uint8_t pcr[EVTPM_PCRS][64];
    enum qr_hash_alg digest_hash;
    /* Not 0: these bytes are the digest. */
    size_t digest_len;
    uint8_t digest[80];

    /* Who signs, and what the signature says it is. */
    EVP_PKEY *ak;
    enum evtpm_form form;
    uint16_t scheme, hash;   /* TPM algorithm numbers */
    enum qr_hash_alg really; /* the hash that is signed with */

    /* Made. */
    uint8_t msg[512], sig[1024], values[EVTPM_PCRS * 64];
    size_t msg_len, sig_len, values_len;
};

/* A quote of all SHA-256 PCRs by this key, extraData of 32 bytes, RSASSA or ECDSA with SHA-256. */
void evtpm_init(struct evtpm *q, EVP_PKEY *ak);
/* The bank of a hash, all PCRs selected. */
void evtpm_bank(struct evtpm *q, enum qr_hash_alg h);
void evtpm_extra(struct evtpm *q, const void *p, size_t n);
/* Writes msg, values and digest. */
void evtpm_make(struct evtpm *q);
/* Signs msg as it stands now. */
void evtpm_sign(struct evtpm *q);
/* Both. */
void evtpm_build(struct evtpm *q);
/* Adds quote, signature and values (views into *q) in this slot. */
void evtpm_add(const struct evtpm *q, uint8_t slot, struct qr_evidence *e);
/* The same item with other bytes, or without any when v.p is NULL; added when it is not there. */
void evtpm_swap(struct qr_evidence *e, enum qr_part part, uint8_t slot, qr_view v);

/* Where fields of a TPMS_ATTEST with a 34-byte name and n bytes of extraData stand. */
#define EVTPM_AT_SIGNER 6u
#define EVTPM_AT_EXTRA 42u

/* TPMT_PUBLIC of a key. */
struct evtpm_public {
    uint16_t type, name_alg;
    uint32_t attributes;
    uint16_t symmetric, scheme, scheme_hash;
    uint16_t bits, curve, kdf;
    uint32_t exponent;
    size_t policy_len;
    EVP_PKEY *key;
};
#define EVTPM_AK_ATTRIBUTES 0x00050072u
struct evtpm_public evtpm_public_of(EVP_PKEY *key);
void evtpm_put_public(struct evgen_buf *b, const struct evtpm_public *p);
/* "-----BEGIN PUBLIC KEY-----" */
void evtpm_put_pem(struct evgen_buf *b, EVP_PKEY *key);

/* A vTPM's certificates; specs first, evak_build, then bytes. */
struct evak {
    enum qr_vendor_root vendor;
    struct evgen_cert_spec root_spec, inter_spec, leaf_spec;
    uint8_t instance[512], eku[64], leaf_aki[64], inter_ski[64];
    size_t instance_len, eku_len; /* 0: no such extension */
    int no_ids;                   /* 1: no key identifiers */
    struct evgen_der root, inter, leaf;
};
/* Google: instance extension, no EKU. Microsoft: EKU 2.23.133.8.3, no instance. */
void evak_init(struct evak *a, enum qr_vendor_root vendor, EVP_PKEY *ak);
void evak_build(struct evak *a);
void evak_add(const struct evak *a, struct qr_evidence *e);
/* Pins the root of `a`. */
void evak_pin(const struct evak *a, struct qr_roots *r);

struct evak_instance {
    const char *zone, *project, *name;
    uint64_t number, id;
    int has_security;
    uint64_t security_version;
    uint8_t is_production; /* the BOOLEAN's byte */
};
void evak_put_instance(struct evgen_buf *b, const struct evak_instance *i);

/* An HCL report; report is 1184 bytes, of SNP or a TDREPORT and zeros. */
struct evhcl {
    uint32_t version, request_type, status, data_version, report_type, hash_type;
    int32_t report_size_add, data_size_add, var_size_add; /* to the true sizes */
    char magic[5];
    uint8_t reserved[12];
    uint8_t report[1184];
    char json[3072];
    size_t json_len;
    size_t total; /* with padding */
    uint8_t bytes[4096];
};
void evhcl_init(struct evhcl *h, uint32_t report_type);
/* Runtime data as of 2025 around this key. */
void evhcl_runtime(struct evhcl *h, EVP_PKEY *ak);
/* Any text. */
void evhcl_text(struct evhcl *h, const char *json);
/* SHA-256 of the runtime data: what report_data begins with. */
void evhcl_hash(const struct evhcl *h, uint8_t out[static 32]);
/* A TDREPORT whose report_data, attributes and MRTD are these. */
void evhcl_tdreport(struct evhcl *h, const uint8_t data[static 64],
                    const uint8_t attributes[static 8], const uint8_t mrtd[static 48]);
void evhcl_make(struct evhcl *h);
/* The modulus in base64url. */
void evhcl_modulus(EVP_PKEY *ak, char out[static 352]);

/* An event log in the making, and the registers it leads to. */
#define EVLOG_ALGS 4u
struct evlog {
    struct evgen_buf b;
    size_t n_algs;
    enum qr_hash_alg alg[EVLOG_ALGS];
    uint32_t first; /* register number of reg[..][0]: 0 for a TPM, 1 for a TD */
    uint8_t reg[EVLOG_ALGS][EVTPM_PCRS][64];
};
/* Writes the head. */
void evlog_open(struct evlog *l, void *mem, size_t cap, uint32_t first, const enum qr_hash_alg *alg,
                size_t n);
void evlog_event(struct evlog *l, uint32_t reg, uint32_t type, const void *data, size_t n);
/* The same with other text than what was measured. */
void evlog_event_as(struct evlog *l, uint32_t reg, uint32_t type, qr_view measured, qr_view text);
/* EV_NO_ACTION: zeros for digests, nothing is extended. */
void evlog_remark(struct evlog *l, uint32_t reg, const void *data, size_t n);
void evlog_locality(struct evlog *l, uint8_t locality);
/* The variable SecureBoot. */
void evlog_secure_boot(struct evlog *l, uint32_t reg, uint8_t value);
void evlog_separator(struct evlog *l, uint32_t reg);
/* A boot of a TPM: PCRs 0..9 and 14; of a TD: RTMR0..2. */
void evlog_boot(struct evlog *l);

#define EV_SEPARATOR 4u
#define EV_POST_CODE 1u
#define EV_IPL 13u
#define EV_EFI_VARIABLE 0x80000001u

#endif
