/*
 * evgen_snp: SEV-SNP evidence of a throwaway vendor, with every byte under the test's control.
 *
 * What: an ATTESTATION_REPORT of any version and product line, a VCEK or VLEK with the vendor's
 *       extensions, ASK or ASVK, ARK and CRL, signed as the vendor signs (RSASSA-PSS SHA-384 for
 *       certificates, ECDSA P-384 over bytes 0x000..0x29F with little-endian R and S).
 * Why: a rule is tested by breaking it alone: change a field, build again, and nothing else is wrong.
 * How: evsnp_init (a genuine case), changes to `report` and `vek`, evsnp_build (makes certificates
 *      from `vek` and signs the report), changes to what was built, evsnp_evidence.
 * Keys: one RSA key and one of a stranger, one P-384 key, made once a process. RSA-2048: the
 *       vendor's 4096 bits take seconds to make and the verifier does not ask for them.
 * Offsets are written down here a second time, on purpose: a wrong one in the product shows.
 */
#ifndef EVGEN_SNP_H
#define EVGEN_SNP_H

#include "enclave-shim/verify/evidence.h"
#include "enclave-shim/verify/roots.h"

#define EVSNP_REPORT_LEN 1184u
#define EVSNP_NOW INT64_C(1790000000000)  /* ms: a time at which everything is in date */
#define EVSNP_FROM INT64_C(1780000000)    /* s: notBefore of what is built */
#define EVSNP_TO INT64_C(1800000000)      /* s: notAfter */

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
    EVSNP_SIGNED_END = 0x2a0,
    EVSNP_R = 0x2a0,
    EVSNP_S = 0x2e8,
    EVSNP_RESERVED_330 = 0x330,
};

/* The firmware versions, in the order of no product. fmc counts on Turin only. */
struct evsnp_tcb {
    uint8_t bootloader, tee, snp, microcode, fmc;
};

/* Private extensions of the leaf, in the order they are written. */
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
    int twice; /* written two times */
};

enum evsnp_key { EVSNP_KEY_P384, EVSNP_KEY_P384_OTHER, EVSNP_KEY_P256, EVSNP_KEY_RSA };
enum evsnp_signer {
    EVSNP_BY_ISSUER,   /* PSS SHA-384, salt 48, by the right CA's key */
    EVSNP_BY_STRANGER, /* the same by another RSA key */
    EVSNP_BY_PKCS1,    /* right key, PKCS#1 v1.5 SHA-384 */
    EVSNP_BY_SHA256,   /* right key, PSS SHA-256 */
};

/* One certificate before it is made. */
struct evsnp_cert {
    char subject[48], issuer[48]; /* common names; the other attributes are the vendor's */
    uint64_t serial;
    int64_t from_s, to_s;
    enum evsnp_key key;
    enum evsnp_signer by;
    int ca;          /* -1: no basicConstraints; 0, 1: with that value (keyUsage follows) */
    int path_len;    /* -1: none */
    int cert_sign;   /* keyUsage of a CA has keyCertSign */
    uint8_t der[2048];
    size_t der_len;  /* after evsnp_build */
};

struct evsnp {
    enum evsnp_line line;
    uint8_t report[EVSNP_REPORT_LEN + 64];
    size_t report_len; /* EVSNP_REPORT_LEN; more with a container's header */
    struct evsnp_cert vek, ask, ark;
    struct evsnp_ext_value ext[EVSNP_EXTS]; /* of vek */
    /* What evsnp_crl makes; 0: there is none. */
    uint8_t crl[2048];
    size_t crl_len;
    /* Bound data of a container; 0: none. */
    const char *runtime_data;
};

/* A genuine report with its VCEK: debug off, VMPL 0, versions 2..5. */
void evsnp_init(struct evsnp *s, enum evsnp_line line, unsigned version);
/* Turns it into what a cloud's VLEK endorses: ASVK, cspID, no hwID, chip id all zero. */
void evsnp_vlek(struct evsnp *s);
/* Little-endian, n bytes. */
void evsnp_put(struct evsnp *s, size_t at, uint64_t v, size_t n);
/* In the order of the line's bytes; the certificate is not touched. */
void evsnp_put_tcb(struct evsnp *s, size_t at, const struct evsnp_tcb *t);
/* The SPL extensions, minimal DER INTEGERs. */
void evsnp_ext_tcb(struct evsnp *s, const struct evsnp_tcb *t);
void evsnp_ext_int(struct evsnp *s, enum evsnp_ext e, uint64_t v);
void evsnp_ext_text(struct evsnp *s, enum evsnp_ext e, const char *text); /* IA5String */
void evsnp_ext_raw(struct evsnp *s, enum evsnp_ext e, const void *bytes, size_t len);

/* Makes vek, ask, ark and signs the report with the key of `vek`. */
void evsnp_build(struct evsnp *s);
/* Signs the report again, with this key. */
void evsnp_sign(struct evsnp *s, enum evsnp_key key);
/* Appends the 20-byte header of `json` and puts its SHA-256 into report_data; before evsnp_build. */
void evsnp_bind_runtime(struct evsnp *s, const char *json);
/*
 * A CRL of the issuer named `issuer_cn`, signed by `by`, with these serial numbers; number < 0: no
 * cRLNumber; dates in seconds.
 */
void evsnp_crl(struct evsnp *s, const char *issuer_cn, enum evsnp_signer by, const uint64_t *serials,
               size_t n, int64_t number, int64_t from_s, int64_t next_s);

/* All that was built, as evidence of `kind` (views into *s). */
void evsnp_evidence(const struct evsnp *s, enum qr_evidence_kind kind, struct qr_evidence *e);
/* Pins the throwaway ARKs of all lines; other vendors' pins stay as they are. */
void evsnp_roots(struct qr_roots *r);
/* Names: "Milan", "SEV-Milan", ... */
const char *evsnp_line_name(enum evsnp_line line);

#endif
