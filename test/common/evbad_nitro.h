/*
 * evbad_nitro: Nitro documents that must be refused, as rows of tables.
 *
 * What: a row changes one thing at one stage of making a document; the document is signed again; the
 *       row names the check that must refuse it and the reason. Rows are counted, by check; two rows of
 *       one name are an error.
 * Names begin with the number in the list of hostile evidence that they come from, where there is one.
 */
#ifndef TEST_EVBAD_NITRO_H
#define TEST_EVBAD_NITRO_H

#include "test/common/evgen_nitro.h"
#include "test/common/evjudge.h"

/* When a row's change is made. */
enum evbad_stage {
    SPEC,    /* before the certificates */
    CERTS,   /* before the payload */
    MEMBERS, /* before the signature */
    DOC,     /* after it */
};

struct evbad {
    const char *name;
    enum evbad_stage stage;
    void (*change)(unsigned arg);
    unsigned arg;
    enum qr_check check;
    enum qr_reason reason;
};

/* What a row changes. The nonce is evbad_binder. */
struct evbad_world {
    struct evnitro d;
    struct evgen_der genuine_root;
    int64_t now_ms;      /* EVGEN_NOW_MS */
    uint64_t max_age_ms; /* 0 */
    int bind;            /* 1: the verifier asks for evbad_binder */
    int pin_genuine;     /* 1: the genuine root is pinned, not the one that was made */
};
extern struct evbad_world evbad;
extern const uint8_t evbad_binder[32];

void evbad_refuse(const struct evbad *rows, size_t n);
#define EVBAD_REFUSE(t) evbad_refuse(t, sizeof(t) / sizeof((t)[0]))
/* The same change with each argument from..to-1, which ends the row's name. */
void evbad_refuse_each(const char *what, unsigned from, unsigned to, struct evbad like);
/* Signs what lies in evbad.d.payload as it is, and wraps it. */
void evbad_sign_payload(void);

size_t evbad_count(void);
size_t evbad_hits(enum qr_check check);

#endif
