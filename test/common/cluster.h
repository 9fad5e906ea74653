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

struct cluster;

struct cluster_party {
    int alive;
    int frozen; /* not stepped: a process that hangs */
    char dir[96];
    struct qr_tee tee;
    struct qr_store *store;
    struct qr_party *party;
    uint8_t id[32];
};

/* What may differ from the plain cluster; everything may be left out. Outlives the cluster. */
struct cluster_how {
    uint64_t wall_ms;  /* where the clocks begin */
    const char *peers; /* the policy's `peers`, a JSON object */
    const char *rules; /* the policy's rules, as in cluster_start */
    const struct qr_roots *roots;
    const char *cloud[QR_MAX_PARTIES + 1], *operator_name[QR_MAX_PARTIES + 1],
        *tee[QR_MAX_PARTIES + 1]; /* as the roster tells; from 1 */
    /* Turns the software TEE that was opened for party i into another platform. */
    void (*box)(void *ctx, size_t i, struct qr_tee *tee);
    void *box_ctx;
    int (*until)(struct cluster *c, void *ctx); /* in place of cluster_linked */
    struct qr_link_mem_net *mem;                /* links in memory; NULL: local sockets */
    int no_pool;                                /* presignatures are made when one is asked for */
    int no_pairs; /* a pair is set up when cluster_pairs asks for it: for tests of links and evidence */
};

struct cluster {
    char dir[64];
    size_t n;
    const struct cluster_how *how;
    size_t running;                      /* whose code runs now; 0: the test's */
    int64_t skew_ms[QR_MAX_PARTIES + 1]; /* of each party's wall clock */
    uint64_t now, wall_ms;
    struct cluster_party p[QR_MAX_PARTIES + 1]; /* 1..n */
    struct qr_party_cfg cfg;
    EVP_PKEY *admin, *client;
    uint8_t cluster[32];
    char roster[8192], policy[16384];
    unsigned policy_serial, roster_serial;
    int no_fetch; /* 1: nobody keeps the audit logs, so that they may fill up */
    uint16_t paired[QR_MAX_PARTIES + 1]; /* no_pairs: with whom each may have a pair, as a mask */
    /* the last answer to each ask id */
    struct qr_answer *answer[64];
    uint64_t next_ask;
};

/* Makes everything, loads roster and policy, waits until all pairs are active. */
void cluster_start(struct cluster *c, size_t n, const char *policy_rules);
/* The same with no_pairs. */
void cluster_start_apart(struct cluster *c, size_t n, const char *policy_rules);
void cluster_start_as(struct cluster *c, size_t n, const struct cluster_how *how);
void cluster_stop(struct cluster *c);
void cluster_boot(struct cluster *c, size_t i);
/* Another policy for all: the same rules, serial one higher, these `peers`. */
void cluster_policy(struct cluster *c, const char *peers);
/* Another process, party n + 1; in no roster before the next call of cluster_roster. */
void cluster_grow(struct cluster *c);
/*
 * Another roster for all, serial one higher, of parties 1..n (set c->n before to leave the last ones
 * out), and the policy for those who have none.
 */
void cluster_roster(struct cluster *c);
/* As kill -9: nothing is told to anybody. */
void cluster_kill(struct cluster *c, size_t i);
/* Steps all parties once; the clock moves by 1 ms. */
void cluster_turn(struct cluster *c);
/* The clock jumps by ns, then all are stepped `rounds` times without its moving. */
void cluster_jump(struct cluster *c, uint64_t ns, size_t rounds);
/* Turns until cond(ctx) or `turns` have passed; 1 if it held. */
int cluster_until(struct cluster *c, size_t turns, int (*cond)(struct cluster *c, void *ctx),
                  void *ctx);
/* All who are alive are connected, and their pairs active (no_pairs: connected). */
int cluster_linked(struct cluster *c, void *unused);
/* With no_pairs: sets up those among these parties, until one of the two ends. */
void cluster_pairs(struct cluster *c, uint16_t mask);

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
