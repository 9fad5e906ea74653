/*
 * qr_verify: one call for every platform's evidence.
 *
 * What: evidence, roots, what was asked for, what collateral was seen before, and the time go in; a
 *       verdict comes out. The same call decides when parties connect, when a client checks a
 *       quorum, and when an auditor checks a recorded session.
 * Why: authenticity is one question and policy another: a debug enclave's evidence is genuine, and
 *      policy.h refuses it.
 * Invariants: no I/O, no clock, no global state; no allocation above 1 MiB; bounded work. Verdicts
 *             are functions of the arguments.
 * Errors: OK (valid), ATTESTATION (the verdict says why), NO_MEMORY. Never OK with a failed check.
 */
#ifndef QR_VERIFY_H
#define QR_VERIFY_H

#include "enclave-shim/verify/evidence.h"
#include "enclave-shim/verify/roots.h"
#include "enclave-shim/verify/verdict.h"

/* A platform is believed although one of its components is older than the vendor's list says. */
struct qr_tcb_exception {
    uint8_t fmspc[6];
    uint8_t tdx;       /* 0: SGX components, 1: TDX components */
    uint8_t component; /* 1..16 */
    uint8_t min_svn;   /* read as satisfied from here on */
    int64_t until_ms;
};

/* The newest collateral seen of one subject: what must not roll back. */
enum qr_collateral_kind { QR_COLL_TCB_INFO = 1, QR_COLL_QE_IDENTITY, QR_COLL_CRL };
struct qr_collateral_mark {
    enum qr_collateral_kind kind;
    uint8_t subject[32]; /* SHA-256 of kind-specific text: id and FMSPC, id, the issuer's SPKI */
    uint64_t number;     /* tcbEvaluationDataNumber, CRL number */
    int64_t issued_ms;   /* issueDate, thisUpdate */
    int64_t next_ms;     /* nextUpdate */
};
#define QR_MARKS_MAX 64u
struct qr_collateral_marks {
    size_t n;
    struct qr_collateral_mark mark[QR_MARKS_MAX];
};

struct qr_links; /* cert.h */

struct qr_verify_opts {
    const struct qr_roots *roots; /* NULL: qr_roots_builtin() */
    int64_t now_ms;               /* unix ms; -1: no time is known: dates and ages stay unchecked,
                                     which a policy that demands VALIDITY refuses */
    qr_view binder;               /* what the evidence must commit to; p NULL: not compared */
    uint64_t max_age_ms;          /* of evidence that carries its own time; 0: 5 minutes, and of a
                                     token until its own exp */
    uint64_t min_tcb_evaluation;  /* smallest tcbEvaluationDataNumber; 0: any */
    const struct qr_tcb_exception *exception;
    size_t n_exceptions;
    const struct qr_collateral_marks *seen; /* NULL: nothing was seen before */
    struct qr_links *links; /* signatures of certificates found good before; NULL: check them all */
    qr_view audience;       /* tokens: the aud that must be there; p NULL: any */
};

/* What a verification of valid evidence adds to what its caller remembers. */
struct qr_verify_out {
    struct qr_collateral_marks marks;
    int64_t earliest_end_ms; /* of all dates that were looked at; INT64_MAX: none */
    int64_t latest_issue_ms; /* of all signed issue dates: a lower bound of the time; -1: none */
};

/* out may be NULL. Writes all of *v. */
qr_err QR_MUST qr_verify(const struct qr_evidence *e, const struct qr_verify_opts *o,
                         struct qr_verdict *v, struct qr_verify_out *out);

/*
 * Merges marks after a verdict was believed; the newer of each subject stays. 0 when it is full:
 * then the new subject is not remembered.
 */
int qr_marks_merge(struct qr_collateral_marks *into, const struct qr_collateral_marks *from);

#endif
