/*
 * documents: rosters, policies and commands for tests, with stamps.
 *
 * Rules: for cmocka tests: what cannot be made fails the running test. Texts live in the caller's
 *        struct; a document is good as made here, and tests change one thing at a time.
 */
#ifndef TEST_DOCUMENTS_H
#define TEST_DOCUMENTS_H

#include "protocol/base/limits.h"
#include "test/common/stamps.h"

#define DOC_CLUSTER "c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1"

/* Replaces the first `from` in text (cap bytes) by `to`; fails the test if there is none. */
void doc_replace(char *text, size_t cap, const char *from, const char *to);

/* {"need":…,"keys":[…]}; administrators are called a1, a2, … */
void doc_admins(char *out, size_t cap, unsigned need, const struct stamper *s, size_t n);
/* A roster of n parties with identities made from `seed`. */
void doc_roster(char *out, size_t cap, unsigned serial, size_t n, const char *admins,
                const char *seed);

/* Stamps by each of the n stampers over text; views into mem (n * QR_STAMP_MAX bytes). */
void doc_stamps(const struct stamper *s, size_t n, qr_view text, char *mem, qr_view *ret);

#endif
