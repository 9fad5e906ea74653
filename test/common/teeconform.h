/*
 * teeconform: what every back end of enclave-shim/tee.h must do, in one suite.
 *
 * What: the table is complete and the profile is told; evidence verifies under the platform's (test)
 *       roots and is bound to its binder; sealing tells apart data, epoch, label and platform, survives
 *       closing and opening if the profile says so, and refuses every changed byte; vendors' documents
 *       are taken whole or refused; needs are what the gateway reads; devices' troubles pass or are told
 *       by name; running out of memory at any point is an error; nothing leaks.
 * Why: sim and the template pass it, hardware back ends pass it over fake devices, and so does whatever is
 *      ported next.
 * A binary that uses it links daemon/gw_need.o (the gateway's reader of needs).
 */
#ifndef TEST_TEECONFORM_H
#define TEST_TEECONFORM_H

#include "enclave-shim/tee_open.h"

struct teeconform_trouble {
    int lasting;      /* 1: evidence fails while it lasts; 0: it succeeds all the same */
    const char *says; /* of a lasting one: why() has this word */
};

struct teeconform {
    const char *name;
    void *ctx;
    /* Machine 0 is ours; 1 is another one of the same kind. Each keeps what it kept. */
    qr_err (*open)(void *ctx, int machine, struct qr_tee *ret, char *err_text, size_t err_cap);
    const struct qr_roots *roots;
    int64_t now_ms;
    int survives; /* secrets outlive the process */
    /* What a gateway would bring, so that evidence verifies; NULL: nothing is needed. */
    qr_err (*deliver)(void *ctx, struct qr_tee *t);
    /* Trouble number i; 0: there are no more. NULL: none. */
    int (*trouble)(void *ctx, size_t i, struct teeconform_trouble *ret);
    void (*calm)(void *ctx);
    int no_starvation; /* 1: memory is not made short (devices that cost too much to open) */
};

/* Fails the running cmocka test at the first thing that is wrong. */
void teeconform_run(const struct teeconform *c);

/* Kept values in memory, for back ends under test. */
struct memkeep {
    size_t n;
    struct {
        char name[QR_TEE_KEEP_NAME_MAX + 1];
        size_t len;
        uint8_t v[2048];
    } item[4];
    qr_err fail_save;
};
void memkeep_table(struct memkeep *m, struct qr_tee_keep *ret);

#endif
