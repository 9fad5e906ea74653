/*
 * evjudge: evidence judged by qr_verify, and what a test asks of the verdict.
 *
 * What: a case in the making (kind, parts, options, roots), its verdict, and assertions that name the
 *       case when they fail. evjudge_real does it for all real cases of one kind.
 * Rules: roots begin empty and the time is EVGEN_NOW_MS: what a test wants believed it pins.
 */
#ifndef TEST_EVJUDGE_H
#define TEST_EVJUDGE_H

#include "enclave-shim/verify/verify.h"
#include "test/common/evgen_ca.h"

#include <jansson.h>

struct evjudge {
    struct qr_evidence e;
    struct qr_verify_opts o;
    struct qr_roots roots;
    struct qr_verdict v;
    struct qr_verify_out out;
    qr_err err;
};

void evjudge_init(struct evjudge *j, enum qr_evidence_kind kind);
void evjudge_add(struct evjudge *j, enum qr_part part, qr_view bytes);
void evjudge_run(struct evjudge *j);

/* Valid: no failed check, no reason, no sentence. Fails the test otherwise. */
void evjudge_valid(const struct evjudge *j, const char *name);
/* Refused by this check, for this reason, in words; no other check is marked as failed. */
void evjudge_refused(const struct evjudge *j, const char *name, enum qr_check check,
                     enum qr_reason reason);
/* The claims as JSON; the caller's. */
json_t *evjudge_claims(const struct evjudge *j);
/* A claim's member by path ("payload.aud"), borrowed from `claims`; NULL: absent. */
const json_t *evjudge_at(const json_t *claims, const char *path);

/*
 * Every folder of $QUORATE_EVIDENCE/<kind>: the verdict at its evaluation_time, the reason when
 * `reasons` knows the sample, and its claims: all members of case.json's "claims" must be equal, and
 * with `exactly` there may be no others. Returns how many cases there were.
 */
struct evjudge_reason {
    const char *sample;
    enum qr_reason reason;
};
size_t evjudge_real(enum qr_evidence_kind kind, const struct evjudge_reason *reasons, size_t n,
                    int exactly);

#endif
