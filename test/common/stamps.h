/*
 * stampers: private keys of clients and administrators, for tests of what they sign.
 *
 * Rules: for cmocka tests: what cannot be made fails the running test.
 */
#ifndef TEST_STAMPS_H
#define TEST_STAMPS_H

#include "daemon/stamp.h"

struct stamper {
    struct evp_pkey_st *key;
    struct qr_stamp_key pub;
    char hex[67]; /* public key, as documents write it */
};

void stamper_new(struct stamper *s, enum qr_scheme scheme);
void stamper_free(struct stamper *s);
/* The X-Stamp value over body; out has QR_STAMP_MAX bytes. */
qr_view stamper_stamp(const struct stamper *s, qr_view body, char *out);

#endif
