/*
 * peerjudge: policies compiled from text, and what they say of verdicts, for the tests of peers.
 *
 * Rules: for cmocka tests: what should not happen fails the running test. One verdict and one domain
 *       at a time, so that a test says only what it changes.
 */
#ifndef TEST_PEERJUDGE_H
#define TEST_PEERJUDGE_H

#include "test/common/peerkit.h"

struct peerjudge {
    struct qr_verdict v;
    struct qr_peers_domain domain;
    char why[QR_ERR_TEXT_MAX], text[32768];
};
extern struct peerjudge pj;

/* A policy that must compile; peerkit's with its first `from` replaced. The caller frees it. */
struct qr_peers *pj_policy(const char *text);
struct qr_peers *pj_edited(const char *from, const char *to);
/* pj.v is refused by this check with exactly this sentence, and pj.domain stays as it was. */
void pj_refused(const struct qr_peers *p, enum qr_evidence_kind k, int64_t now, enum qr_check check,
                enum qr_reason reason, const char *sentence);
void pj_accepted(const struct qr_peers *p, enum qr_evidence_kind k, int64_t now);

#endif
