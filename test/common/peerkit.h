/*
 * peerkit: a policy with a section for every platform, and verdicts that it accepts.
 *
 * What: claims built by hand, as a verifier would have added them, so that each rule of a policy can
 *       be broken alone, and no vendor's keys are needed.
 * Rules: for cmocka tests and fuzz targets. Claims live in the verdict or in static text.
 */
#ifndef TEST_PEERKIT_H
#define TEST_PEERKIT_H

#include "enclave-shim/verify/peers.h"

/* 2026-11-21T17:00:00Z, within all dates of the policy. */
#define PEERKIT_NOW INT64_C(1795280400000)

/* The text; member and value stand one a line, so that lines tell rules apart. */
const char *peerkit_policy(void);
/* The nine platforms of that policy. */
extern const enum qr_evidence_kind peerkit_kinds[9];

/*
 * Manifests with a set for SNP: release 1.0 measures as 0x61, release 2.0 as 0x62, revokes 1.0
 * and asks for newer firmware than the policy.
 */
extern const char *const peerkit_releases[2];

/* A valid verdict of this platform, with claims and checks that the policy accepts. */
void peerkit_verdict(enum qr_evidence_kind k, struct qr_verdict *v);

/*
 * Changes, adds or removes a claim: "u5" a number, "b0" a boolean, "t..." text, "j..." JSON, "n"
 * null, "hab*48" 48 bytes 0xab, "-" no such claim. Values must live as long as the verdict.
 */
void peerkit_set(struct qr_verdict *v, const char *path, const char *value);

/* The text with its first `from` replaced; to cap bytes. Aborts when there is none. */
void peerkit_edit(const char *text, const char *from, const char *to, char *out, size_t cap);

#endif
