/*
 * A cluster of real parties in one process: stores in a temporary folder, software TEEs, links in
 * memory or over local sockets, a clock the test turns.
 *
 * What: n qr_party with their own platform and store, an administrator and a client with P-256 keys,
 *       helpers that ask and wait for answers.
 * Why: the daemon's logic under restarts, losses and lies, without processes and sleeps.
 */
#ifndef QR_TEST_CLUSTER_H
#define QR_TEST_CLUSTER_H

#include "daemon/party_int.h"

#include <openssl/evp.h>

struct cluster_party {
    int alive;
    int frozen; /* not stepped: a process that hangs */
    char dir[96];
    struct qr_tee tee;
    struct qr_store *store;
    struct qr_party *party;
    uint8_t id[32];
};

struct cluster {
    char dir[64];
    size_t n;
    uint64_t now, wall_ms;
    struct cluster_party p[QR_MAX_PARTIES + 1]; /* 1..n */
    struct qr_party_cfg cfg;
    EVP_PKEY *admin, *client;
    uint8_t cluster[32];
    char roster[8192], policy[8192];
    /* the last answer to each ask id */
    struct qr_answer *answer[64];
    uint64_t next_ask;
};

/* Makes everything, loads roster and policy, waits until all pairs are active. */
void cluster_start(struct cluster *c, size_t n, const char *policy_rules);
void cluster_stop(struct cluster *c);
void cluster_boot(struct cluster *c, size_t i);
/* As kill -9: nothing is told to anybody. */
void cluster_kill(struct cluster *c, size_t i);
/* Steps all parties once; the clock moves by 1 ms. */
void cluster_turn(struct cluster *c);
/* Turns until cond(ctx) or `turns` have passed; 1 if it held. */
int cluster_until(struct cluster *c, size_t turns, int (*cond)(struct cluster *c, void *ctx),
                  void *ctx);
int cluster_linked(struct cluster *c, void *unused);

/* Asks party i; returns the ask's id. */
uint64_t cluster_ask(struct cluster *c, size_t i, int admin, const struct qr_ask *ask);
/* The answer, once there (until then NULL). */
const struct qr_answer *cluster_answer(struct cluster *c, uint64_t id);
const struct qr_answer *cluster_wait(struct cluster *c, uint64_t id, size_t turns);

/* Stamps text with a key; static buffer per call site index 0..3. */
qr_view cluster_stamp(EVP_PKEY *key, const char *text, unsigned slot);
/* A key of threshold t made through party 1; its 33 bytes. */
void cluster_keygen(struct cluster *c, unsigned t, uint8_t ret_pk[33]);
/* A body of n sha256 items. */
void cluster_body(struct cluster *c, const uint8_t pk[33], const char *id, const char *path,
                  unsigned n, const char *kind, char *out, size_t cap);
uint64_t cluster_sign(struct cluster *c, size_t i, const char *body);

#endif
