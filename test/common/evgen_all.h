/*
 * evgen_all: genuine evidence of every platform, made by the generators, in one list.
 *
 * What: one or more pieces of evidence of each kind, valid at EVGEN_NOW_MS under the roots given,
 *       with the same 32-byte binder in each platform's user field.
 * Why: what must hold for all platforms (nothing verifies as another, nothing crashes when it is cut
 *      short, what a verification costs) is said once.
 * Rules: made at the first call and kept; views point into static memory. One thread.
 */
#ifndef TEST_EVGEN_ALL_H
#define TEST_EVGEN_ALL_H

#include "enclave-shim/verify/verify.h"

struct evall {
    const char *name;
    struct qr_evidence e;
    struct qr_roots roots; /* its throwaway vendor's, and no others but AMD's */
    int binds;             /* the evidence commits to evall_binder() */
};

size_t evall_n(void);
const struct evall *evall_get(size_t i);
qr_view evall_binder(void);
/* Roots of number i and the time, nothing else. */
struct qr_verify_opts evall_opts(size_t i);

#endif
