/*
 * teebox: a party's platform in tests: sealing by the software TEE, evidence of a throwaway vendor.
 *
 * What: a struct qr_tee whose evidence is what the generators make over the given binder: a Nitro
 *       document, an SNP report, a TDX quote with its collateral, Azure's and Google's virtual TPMs on
 *       top of the latter two, each with certificates, on the wire as real platforms have it. One thing
 *       at a time can be wrong, and is properly signed.
 * Why: parties on different clouds meet under one policy, in one process.
 * Rules: the box must outlive the tee; EC and RSA keys are made once a process.
 */
#ifndef TEST_TEEBOX_H
#define TEST_TEEBOX_H

#include "enclave-shim/tee.h"

enum teebox_fault {
    TEEBOX_GOOD,
    TEEBOX_MEASUREMENT, /* other code */
    TEEBOX_DEBUG,       /* a debugger may read it */
    TEEBOX_TCB,         /* firmware below the policy's minimum */
    TEEBOX_MACHINE,     /* a machine that is on no list */
    TEEBOX_SIGNER,      /* Nitro, Azure on SNP: an image that somebody else signed */
    TEEBOX_MUTE,        /* the platform makes no evidence */
};

struct teebox {
    struct qr_tee inner;
    enum qr_platform platform;
    const uint64_t *wall_ms; /* the time that evidence carries */
    enum teebox_fault fault;
    /* TDX: when the collateral was issued and ends; "": a day before EVGEN_NOW_MS and 30 after. */
    char issued[24], next[24];
    /* What a virtual TPM tells beside the wall clock's moment. */
    uint32_t resets;
    int64_t clock_off_ms;
    unsigned made;
};

/*
 * Puts the box around an open software TEE; platform NITRO, SNP, TDX, AZURE_SNP, GCP_TDX, or SIM
 * (faults MUTE only).
 */
void teebox_wrap(struct teebox *b, enum qr_platform platform, const uint64_t *wall_ms,
                 struct qr_tee *tee);
/* The roots that all boxes' evidence ends in. */
const struct qr_roots *teebox_roots(void);

/*
 * What the boxes' evidence says, as hex, for a policy's text: the measurement of a good box (Nitro:
 * PCR 0, 1 or 2; SNP: MEASUREMENT; TDX: MRTD or RTMR 0..2; with a virtual TPM: the SHA-256 PCR of that
 * number), who signed the image (Nitro: PCR 8; Azure: the id key's digest), and what names its machine
 * (Nitro's module id as text, SNP's chip id, TDX's PPID).
 */
void teebox_measurement(enum qr_platform platform, unsigned which, char out[static 97]);
void teebox_signer(enum qr_platform platform, char out[static 97]);
void teebox_machine(enum qr_platform platform, char out[static 129]);

#endif
