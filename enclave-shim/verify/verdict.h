/*
 * qr_verdict: what a verifier found: one reason, one sentence, every check by name, all claims.
 *
 * What: the result of judging evidence. A verifier records each check that it made; a check that is
 *       not recorded did not happen, and a policy that demands it refuses.
 * Why: most advisories of this field are a check that was silently skipped.
 * Invariants: `reason` is NONE exactly when no check failed and the verifier came to its end; the
 *             first failure wins and ends the verification; claims extracted before a failure stay
 *             for display, and nothing may be decided on them.
 * Secrets: none. Thread rules: one thread at a time.
 */
#ifndef QR_VERDICT_H
#define QR_VERDICT_H

#include "enclave-shim/verify/claims.h"
#include "protocol/base/err.h"

enum qr_reason {
#define QR_R(name, text) QR_REASON_##name,
#include "enclave-shim/verify/reasons.def"
#undef QR_R
    QR_REASON_COUNT
};

enum qr_check {
#define QR_C(name, text, meaning) QR_CHECK_##name,
#include "enclave-shim/verify/checks.def"
#undef QR_C
    QR_CHECK_COUNT
};

enum qr_check_result { QR_CHECK_SKIPPED, QR_CHECK_PASS, QR_CHECK_FAIL };

#define QR_SENTENCE_MAX 256u

struct qr_verdict {
    enum qr_reason reason;
    enum qr_check failed; /* which check said no; only when reason is not NONE */
    char sentence[QR_SENTENCE_MAX];
    uint8_t check[QR_CHECK_COUNT]; /* enum qr_check_result */
    struct qr_claimset claims;
};

void qr_verdict_init(struct qr_verdict *v);

/* Records that a check was made and passed. A check that failed before stays failed. */
void qr_pass(struct qr_verdict *v, enum qr_check c);

/*
 * Records the failure and says why, for an operator: what was expected, what was found, where.
 * Hostile text goes through qr_quote (proto/json_strict.h) first. Returns QR_ERR_ATTESTATION, so
 * that a verifier ends with `return qr_fail(...)`. A second call changes nothing but the check's mark.
 */
qr_err qr_fail(struct qr_verdict *v, enum qr_check c, enum qr_reason r, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

const char *qr_reason_word(enum qr_reason r); /* "trailing-data" */
const char *qr_check_name(enum qr_check c);   /* "tcb-binding" */
const char *qr_check_meaning(enum qr_check c);
/* QR_CHECK_COUNT when there is none of that name. */
enum qr_check qr_check_by_name(qr_view name);

#endif
