/*
 * kmsbox: a key management service for tests, and the host's credentials beside it.
 *
 * What: a TLS server under a throwaway root that answers GenerateDataKey and Decrypt as KMS does: it
 *       checks the request's signature by code of its own, the attestation document by the product's
 *       verifier, the image's PCRs against a policy, the encryption context; it answers with real CMS
 *       to the document's key, in the BER that KMS writes. A second socket gives credentials.
 * Faults: one at a time, of the next answers; see enum kmsbox_fault.
 * Keys: data keys are sealed under a master key made of a public seed, so that a box that is started
 *       again opens what the last one made. Public: nothing but a test may use it.
 * How: kmsbox_start makes a thread; or a program calls kmsbox_serve for ever.
 */
#ifndef TEST_KMSBOX_H
#define TEST_KMSBOX_H

#include "enclave-shim/nitro/kms.h"
#include "enclave-shim/verify/roots.h"

#include <pthread.h>
#include <stdint.h>
#include <sys/types.h>

#define KMSBOX_KEY "arn:aws:kms:eu-test-1:111122223333:key/0b7c1c3e-0000-4000-8000-00000000aaaa"
#define KMSBOX_OTHER_KEY                                                                           \
    "arn:aws:kms:eu-test-1:111122223333:key/0b7c1c3e-0000-4000-8000-00000000bbbb"
#define KMSBOX_HOST "kms.eu-test-1.amazonaws.com"
#define KMSBOX_KEY_ID "ASIATESTTESTTESTTEST"
#define KMSBOX_SECRET "testtesttesttesttesttesttesttesttesttest"
#define KMSBOX_TOKEN "session+token/of=the==box"

enum kmsbox_fault {
    KMSBOX_GOOD,
    /* what comes back */
    KMSBOX_OTHER_KEY_ID,    /* the answer names another key */
    KMSBOX_OTHER_DATA_KEY,  /* a Decrypt gives another data key */
    KMSBOX_OTHER_RECIPIENT, /* CMS for somebody else's RSA key */
    KMSBOX_CMS_GARBAGE,
    KMSBOX_CMS_CUT,
    KMSBOX_CMS_SHORT_KEY, /* 16 bytes inside */
    KMSBOX_NO_CMS,
    KMSBOX_PLAINTEXT, /* the data key in clear beside it */
    KMSBOX_NO_KEY_ID,
    KMSBOX_NO_BLOB,
    /* HTTP */
    KMSBOX_CHUNKED,
    KMSBOX_CHUNK_GARBAGE,
    KMSBOX_TRUNCATED,
    KMSBOX_HUGE,
    KMSBOX_HUGE_HEAD,
    KMSBOX_NO_LENGTH,
    KMSBOX_NOT_HTTP,
    KMSBOX_NOT_JSON,
    KMSBOX_REDIRECT,
    KMSBOX_ERROR, /* status and error below */
    KMSBOX_SLOW,  /* no answer at all */
    KMSBOX_DRIP,  /* a byte at a time */
    KMSBOX_HANG_UP,
    /* TLS */
    KMSBOX_TLS_NAME,
    KMSBOX_TLS_EXPIRED,
    KMSBOX_TLS_ROOT, /* somebody else's */
    KMSBOX_TLS_OLD,  /* TLS 1.1 */
    KMSBOX_TLS_1_2,  /* which is allowed */
    KMSBOX_PLAIN,    /* no TLS */
    /* credentials */
    KMSBOX_CREDS_EXPIRED,
    KMSBOX_CREDS_GARBAGE,
    KMSBOX_CREDS_EMPTY,
    KMSBOX_CREDS_HUGE,
    KMSBOX_CREDS_WRONG, /* another secret */
};

struct kmsbox {
    /* Set before kmsbox_start; those marked * at any time between two calls. */
    const int64_t *now_ms;                 /* NULL: EVGEN_NOW_MS */
    int real_time;                         /* 1: the system's time instead */
    void (*after)(const struct kmsbox *b); /* called after each connection; may be NULL */
    const struct qr_roots *roots;          /* of attestation documents; NULL: fakensm_roots() */
    char pcr0[97], pcr8[97];               /* hex; "": any * */
    enum kmsbox_fault fault;               /* * */
    unsigned fault_times;                  /* 0: for ever * */
    int status;                            /* KMSBOX_ERROR * */
    const char *error, *message;

    /* What happened. */
    unsigned requests, generated, decrypted, credentials;
    char refused[256]; /* why the last request was refused */

    char route[32], creds_route[32]; /* "127.0.0.1:PORT" */
    int kms_fd, creds_fd;
    volatile int stop;
    pthread_t thread;
    pid_t pid;
    pthread_mutex_t lock;
};

/* Listens on two loopback ports and answers in a thread. Aborts when it cannot. */
void kmsbox_start(struct kmsbox *b);
void kmsbox_stop(struct kmsbox *b);
/* The same in a process of its own, which shares nothing with the test; no faults can be set later. */
void kmsbox_fork(struct kmsbox *b);
void kmsbox_kill(struct kmsbox *b);
/* Listens on the given ports (0: any) and answers until b->stop. */
void kmsbox_serve(struct kmsbox *b, uint16_t kms_port, uint16_t creds_port);
/* From here on this fault, n times (0: for ever). */
void kmsbox_set(struct kmsbox *b, enum kmsbox_fault f, unsigned n);
/* The box's TLS root, for struct qr_nitro_kms; the same in every process. */
const struct qr_kms_roots *kmsbox_roots(void);

/*
 * EnvelopedData in KMS's form for that RSA key; `pieces` of content (0: one primitive [0] in DER).
 * Returns the length.
 */
size_t kmsbox_cms(EVP_PKEY *key, qr_view plain, unsigned pieces, uint8_t *out, size_t cap);

#endif
