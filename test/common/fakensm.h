/*
 * fakensm: a Nitro Security Module in memory, and one that lends a real device's answers a signature.
 *
 * What: fakensm_dev is a device for qr_nsm_over whose registers, time and faults the test sets; its
 *       documents are genuine under a throwaway root (evgen_nitro.h). fakensm_resign puts the same
 *       root's signature on the documents of another device: QEMU's module signs nothing, so a guest's
 *       documents are taken apart and the same fields are signed with the throwaway leaf. The product
 *       sees a device in both cases and is not changed.
 * Root: made from a public seed with a signature that is always the same, so that programs that run
 *       apart pin the same fingerprint. Public: nothing but a test may ever believe it.
 * Rules: a failure of the generator ends the program. One thread.
 */
#ifndef TEST_FAKENSM_H
#define TEST_FAKENSM_H

#include "enclave-shim/nitro/nsm.h"
#include "enclave-shim/verify/roots.h"
#include "test/common/evgen_nitro.h"

struct fakensm {
    uint8_t pcr[QR_NSM_PCRS][QR_NSM_PCR_LEN];
    uint32_t locked;
    const int64_t *now_ms; /* of documents; NULL: EVGEN_NOW_MS */
    const char *module_id;
    size_t random_len; /* of one answer of GetRandom, 1..256 */
    uint64_t drawn;
    unsigned calls, pauses, paused_ms, documents;
    size_t request_len; /* of the last question */
    /* Faults, of the next calls. */
    int fail_errno;      /* != 0: the device says this ... */
    unsigned fail_times; /* ... so often */
    qr_view raw;         /* p not NULL: every answer */
    int claims_len;      /* 1: the length of the answer is claimed as claim */
    size_t claim;
    const char *error; /* every question is refused with this name */
    int dummy;         /* 1: documents as QEMU makes them: alg -1, zeros for a signature */
};

/* PCR i of 0..4 and 8 as evgen_nitro.h fills them, 0..15 locked. */
void fakensm_init(struct fakensm *f);
struct qr_nsm_dev fakensm_dev(struct fakensm *f);
/* The answer to one request, as the device gives it; returns its length. */
size_t fakensm_answer(struct fakensm *f, qr_view request, uint8_t *out, size_t cap);

/* A device over inner: documents get the throwaway root's signature. inner must outlive it. */
struct qr_nsm_dev fakensm_resign(struct qr_nsm_dev *inner);
/* The document with the same fields under the throwaway root; into out, returns the length. */
size_t fakensm_resign_document(qr_view document, uint8_t *out, size_t cap);

/* The throwaway root's certificate, and a table that pins it. */
void fakensm_root(struct evgen_der *ret);
const struct qr_roots *fakensm_roots(void);

/* An ECDSA certificate with its signature made again so that it is always the same. */
void fakensm_same_signature(struct evgen_der *cert, EVP_PKEY *signer, enum qr_hash_alg h);

#endif
