/*
 * tpmbench: TPM, Azure and Google evidence that is genuine but for one change.
 *
 * What: a genuine case of each kind, made by evgen_tpm and evgen_snp and judged by qr_verify; a
 *       change gets its chance at each stage, and everything that comes after is made and signed
 *       again.
 * Why: the tables of refused documents are rows of (change, check, reason), and nothing else.
 * Big: keep it static. One thread.
 */
#ifndef TEST_TPMBENCH_H
#define TEST_TPMBENCH_H

#include "enclave-shim/verify/verify.h"
#include "test/common/evgen_snp.h"
#include "test/common/evgen_tpm.h"

enum tb_base {
    TB_CERT,    /* RSA key with certificate and TPMT_PUBLIC */
    TB_MSFT,    /* RSA key with Microsoft's certificate */
    TB_PUB,     /* RSA key, TPMT_PUBLIC only */
    TB_EC,      /* P-256 key, TPMT_PUBLIC only */
    TB_LOG,     /* as TB_PUB, with a TCG log */
    TB_AZURE,   /* SNP, HCL report, quote */
    TB_GCP,     /* SNP, Google certificate, quote; our own binding */
    TB_GCP_SET, /* the published binding */
    TB_BASES
};

enum tb_stage {
    TB_SPEC,     /* nothing is made */
    TB_REPORT,   /* the HCL report's fields and report_data stand, nothing is signed */
    TB_MSG,      /* the TPMS_ATTEST is written, not signed */
    TB_SIG,      /* it is signed */
    TB_EVIDENCE, /* all is in b->e */
};

struct tpmbench {
    enum tb_base base;
    EVP_PKEY *ak;
    struct evtpm q;
    struct evak ca;
    int ca_changed; /* 1: certificates are made again */
    struct evtpm_public pub;
    uint8_t pub_bytes[1024], pem[1200];
    size_t pub_len, pem_len; /* pem_len 0: no PEM travels */
    struct evsnp *snp;
    uint8_t report_data[64]; /* what the SNP report will hold */
    struct evhcl hcl;
    char key_set[1024], data[64]; /* of TB_GCP_SET */
    struct evlog log;
    uint8_t log_mem[16384];
    uint8_t scratch[16384];
    uint8_t binder[64];
    struct qr_roots roots;
    struct qr_verify_opts o;
    struct qr_evidence e;
    struct qr_verdict v;
};

typedef void (*tb_change)(struct tpmbench *b, enum tb_stage s, unsigned arg);

struct tb_row {
    const char *name;
    enum tb_base base;
    tb_change change;
    unsigned from, to; /* args, both included */
    enum qr_check check;
    enum qr_reason reason;
};

/* Makes and judges it; change may be NULL. Returns qr_verify's answer. */
qr_err tb_run(struct tpmbench *b, enum tb_base base, tb_change change, unsigned arg);

/*
 * Runs every row and every arg of it; prints what is not refused as it should be. Adds the number of
 * documents, and to hits the checks that refused. Returns how many were wrong.
 */
unsigned tb_run_rows(struct tpmbench *b, const struct tb_row *row, size_t n, unsigned *documents,
                     unsigned hits[QR_CHECK_COUNT]);

/* The item with n bytes of `byte` behind it, or cut by n. */
void tb_grow(struct tpmbench *b, enum qr_part part, uint8_t slot, uint8_t byte, size_t n);
void tb_cut(struct tpmbench *b, enum qr_part part, uint8_t slot, size_t n);
/* A copy of the item in b->scratch, put in its place; its bytes may be changed. */
uint8_t *tb_own(struct tpmbench *b, enum qr_part part, uint8_t slot);

#endif
