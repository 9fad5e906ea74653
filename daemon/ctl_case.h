/*
 * qr_ctl_case: evidence in files: a folder laid out like the published cases, or pieces by name.
 *
 * What: maps file names to the parts of enclave-shim/verify/parts.def ("report.bin" is SNP_REPORT,
 *       "pcrs.sha1.bin" is TPM_PCRS of bank 1), and reads `platform` and `evaluation_time`
 *       of the folder's case.json. Nothing else in case.json is looked at: what it
 *       expects is for whoever compares.
 * Why: an auditor has files, a verifier wants labelled bytes, and a case that nobody has seen before
 *      must read the same way: a piece that is missing is simply not there, a name that means nothing
 *      is left out and can be shown.
 * Derived files (sig_structure.bin, pck_chain.pem, ...) were cut out of the evidence by whoever made
 * the folder. They are no evidence and are not read: the verifier cuts for itself.
 * Invariants: a file's size is compared with its part's limit before it is read; what is too long,
 *             empty, or no regular file makes the verdict say so and is not handed on.
 * Thread rules: one thread.
 */
#ifndef QR_CTL_CASE_H
#define QR_CTL_CASE_H

#include "daemon/ctl.h"
#include "enclave-shim/verify/evidence.h"
#include "enclave-shim/verify/verdict.h"

#define QR_CASE_PLATFORM_MAX 64u
#define QR_CASE_LEFT_MAX 32u
#define QR_CASE_JSON_MAX (1024u * 1024u)

struct qr_ctl_case {
    char platform[QR_CASE_PLATFORM_MAX]; /* case.json's, else the name of the folder above */
    int has_at;                          /* case.json says when, or that nothing depends on it */
    int64_t at_ms;                       /* -1: nothing depends on it */
    struct qr_evidence e;
    struct qr_dbuf text[QR_ITEMS_OF_EVIDENCE];
    size_t n_text;
    char left[QR_CASE_LEFT_MAX][64]; /* names of files that were not used */
    size_t n_left;                   /* may be larger: those have no name here */
};

/*
 * Reads the folder. Returns 0, or says what is wrong (no such folder, a case.json that cannot be
 * read) and returns an exit code. A piece that cannot be evidence fails *v, which the caller has
 * initialised. An unknown platform leaves e.kind QR_EV_NONE. Freed with qr_ctl_case_free in any case.
 */
int qr_ctl_case_load(const struct qr_ctl *c, const char *dir, struct qr_ctl_case *k,
                     struct qr_verdict *v);

/*
 * Adds one file by the name of its last path component, or by NAME in "NAME=PATH"; or all of an
 * encoded evidence (evidence.h) at once. As above; a name that means nothing is a usage error.
 * k is zeroed before the first.
 */
int qr_ctl_case_add(const struct qr_ctl *c, const char *file, struct qr_ctl_case *k,
                    struct qr_verdict *v);
/* Sets e.kind and `platform` from what is there, for evidence that has no folder. */
void qr_ctl_case_guess(struct qr_ctl_case *k);
void qr_ctl_case_free(struct qr_ctl_case *k);

/* RFC 3339: "2026-11-21T17:00:00Z", also with a fraction or an offset. 1 and unix ms, or 0. */
int qr_ctl_time(const char *text, int64_t *ret_ms);

#endif
