/*
 * evgen_snp: SEV-SNP evidence of a throwaway vendor, with every byte under the test's control.
 *
 * What: an ATTESTATION_REPORT of any version and product line, a VCEK or VLEK with the vendor's
 *       extensions, ASK or ASVK, ARK and CRL, signed as the vendor signs (RSASSA-PSS SHA-384 for
 *       certificates, ECDSA P-384 over bytes 0x000..0x29F with little-endian R and S).
 * Why: a rule is tested by breaking it alone: change a field, build again, and nothing else is wrong.
 * How: evsnp_init makes a genuine case; change `report`, the three specs and `ext`; evsnp_build makes
 *      the certificates and signs the report; change what was built, if that is the test;
 *      evsnp_evidence. RSA keys have 2048 bits: the verifier does not ask for the vendor's 4096.
 * Offsets are written down here a second time, on purpose: a wrong one in the product shows.
 */
#ifndef TEST_EVGEN_SNP_H
#define TEST_EVGEN_SNP_H

#include "enclave-shim/verify/evidence.h"
#include "test/common/evgen_ca.h"

#define EVSNP_REPORT_LEN 1184u

enum evsnp_line { EVSNP_MILAN, EVSNP_GENOA, EVSNP_TURIN, EVSNP_LINES };

enum evsnp_at {
    EVSNP_VERSION = 0x000,
    EVSNP_GUEST_SVN = 0x004,
    EVSNP_POLICY = 0x008,
    EVSNP_FAMILY_ID = 0x010,
    EVSNP_IMAGE_ID = 0x020,
    EVSNP_VMPL = 0x030,
    EVSNP_ALGO = 0x034,
    EVSNP_CURRENT_TCB = 0x038,
    EVSNP_PLATFORM_INFO = 0x040,
    EVSNP_FLAGS = 0x048,
    EVSNP_RESERVED_4C = 0x04c,
    EVSNP_REPORT_DATA = 0x050,
    EVSNP_MEASUREMENT = 0x090,
    EVSNP_HOST_DATA = 0x0c0,
    EVSNP_ID_KEY_DIGEST = 0x0e0,
    EVSNP_AUTHOR_KEY_DIGEST = 0x110,
    EVSNP_REPORT_ID = 0x140,
    EVSNP_REPORT_ID_MA = 0x160,
    EVSNP_REPORTED_TCB = 0x180,
    EVSNP_CPUID = 0x188,
    EVSNP_RESERVED_18B = 0x18b,
    EVSNP_CHIP_ID = 0x1a0,
    EVSNP_COMMITTED_TCB = 0x1e0,
    EVSNP_CURRENT_VERSION = 0x1e8,
    EVSNP_COMMITTED_VERSION = 0x1ec,
    EVSNP_LAUNCH_TCB = 0x1f0,
    EVSNP_LAUNCH_MIT = 0x1f8,
    EVSNP_CURRENT_MIT = 0x200,
    EVSNP_RESERVED_208 = 0x208,
    EVSNP_SIGNED_LEN = 0x2a0,
    EVSNP_R = 0x2a0,
    EVSNP_S = 0x2e8,
    EVSNP_RESERVED_330 = 0x330,
};

/* Firmware versions, in the order of no product. fmc counts on Turin only. */
struct evsnp_tcb {
    uint8_t bootloader, tee, snp, microcode, fmc;
};

/* Private extensions of the leaf, in the order in which the vendor writes them. */
enum evsnp_ext {
    EVSNP_EXT_STRUCT_VERSION, /* .1.1 */
    EVSNP_EXT_PRODUCT,        /* .1.2 */
    EVSNP_EXT_BL,             /* .1.3.1 */
    EVSNP_EXT_TEE,            /* .1.3.2 */
    EVSNP_EXT_SPL4,           /* .1.3.4 */
    EVSNP_EXT_SPL5,
    EVSNP_EXT_SPL6,
    EVSNP_EXT_SPL7,
    EVSNP_EXT_SNP,   /* .1.3.3 */
    EVSNP_EXT_UCODE, /* .1.3.8 */
    EVSNP_EXT_FMC,   /* .1.3.9 */
    EVSNP_EXT_HWID,  /* .1.4 */
    EVSNP_EXT_CSPID, /* .1.5 */
    EVSNP_EXTS
};

struct evsnp_ext_value {
    uint8_t bytes[80]; /* what the OCTET STRING holds */
    size_t len;        /* 0: the extension is left out */
    int critical;
    int times; /* how often it is written: 1 */
};

struct evsnp {
    enum evsnp_line line;
    uint8_t report[EVSNP_REPORT_LEN + 64];
    size_t report_len; /* EVSNP_REPORT_LEN; 20 more with the header of runtime data */
    struct evgen_cert_spec vek_spec, ask_spec, ark_spec; /* without extensions of `ext` */
    struct evsnp_ext_value ext[EVSNP_EXTS];
    EVP_PKEY *report_key;           /* vek_spec.key, or another */
    struct evgen_der vek, ask, ark; /* after evsnp_build; len 0: not part of the evidence */
    struct evgen_der crl;           /* len 0: none; made by evsnp_crl */
    const char *runtime_data;       /* NULL: none */
    char names[4][128];             /* what the specs point to: a struct evsnp does not move */
};

/* A genuine report with its VCEK: debug off, VMPL 0; version 2 to 5; Turin from 3 on. */
void evsnp_init(struct evsnp *s, enum evsnp_line line, unsigned version);
/* Turns it into what a cloud's VLEK endorses: ASVK, cspID, no hwID, chip id all zero. */
void evsnp_vlek(struct evsnp *s);

/* Little-endian, n bytes, at an offset of the report. */
void evsnp_put(struct evsnp *s, size_t at, uint64_t v, size_t n);
/* In the order of the line's bytes. */
void evsnp_put_tcb(struct evsnp *s, size_t at, const struct evsnp_tcb *t);
/* The SPL extensions, as minimal DER INTEGERs. */
void evsnp_ext_tcb(struct evsnp *s, const struct evsnp_tcb *t);
void evsnp_ext_uint(struct evsnp *s, enum evsnp_ext e, uint64_t v);
void evsnp_ext_text(struct evsnp *s, enum evsnp_ext e, const char *text); /* IA5String */
void evsnp_ext_raw(struct evsnp *s, enum evsnp_ext e, const void *bytes, size_t len);
/* "CN=cn" and the vendor's other attributes; slot 0..3 of `names`. */
const char *evsnp_name(struct evsnp *s, unsigned slot, const char *cn);

/* Appends the 20-byte header of `json` and puts its SHA-256 into report_data; before evsnp_build. */
void evsnp_runtime_data(struct evsnp *s, const char *json);
/* Makes vek, ask and ark, and signs the report. */
void evsnp_build(struct evsnp *s);
/* Signs the report again with s->report_key. */
void evsnp_sign(struct evsnp *s);
/* The ARK's list (in date, number 1) with these serial numbers, n <= EVGEN_REVOKED. */
void evsnp_crl(struct evsnp *s, const uint64_t *serials, size_t n);

/* All that was built, as evidence of `kind`: views into *s. */
void evsnp_evidence(const struct evsnp *s, enum qr_evidence_kind kind, struct qr_evidence *e);
/* Pins the throwaway ARK of each line; pins of other vendors stay as they are. */
void evsnp_roots(struct qr_roots *r);
const char *evsnp_line_name(enum evsnp_line line); /* "Milan" */

#endif
