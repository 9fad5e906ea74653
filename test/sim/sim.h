/*
 * The whole-quorum simulator: what its files share.
 *
 * What: n real parties (daemon/party.h) in one process over links, disks and clocks that belong to
 *       the simulator. One seed makes one life: documents, keys, requests and a plan of faults;
 *       everything that happens follows from the seed and from nothing else.
 * Why: deployed quorums fail in schedules nobody wrote a test for. A seed that fails here fails
 *      again, with the same steps, and is cut down to the few events that matter.
 * Files: wire.c links; disk.c stores; det.c randomness; world.c hosts, clocks and the run;
 *        plan.c what will happen; faults.c makes it happen; client.c requests and answers;
 *        cheat.c parties that lie; watch.c what must never happen; run.c one seed in a process of
 *        its own; shrink.c; main.c.
 * Interposition: watch.c and cheat.c stand between the daemon's files by the linker's --wrap; the
 *        product knows nothing of the simulator.
 * Thread rules: one thread. One world a process: the functions below work on `sim`.
 */
#ifndef QR_SIM_H
#define QR_SIM_H

#include "daemon/party_int.h"

#include <openssl/evp.h>
#include <stdio.h>

#define SIM_PARTIES 5
#define SIM_HOSTS (SIM_PARTIES + 2) /* 1..n, and n+1: the second process of a cloned disk */
#define SIM_KEYS 2
#define SIM_OPS 192
#define SIM_EVENTS 64
#define SIM_US 1000ull
#define SIM_MS 1000000ull
#define SIM_S 1000000000ull
#define SIM_EPOCH (1000 * SIM_S) /* sim.now at the beginning */
#define SIM_WALL0 1800000000000u /* and the world's wall clock then, ms: the year 2027 */

/* Faults by kind; the order is the recorded plans' and new ones go to the end. */
enum sim_kind {
#define SIM_KIND(id, name, cheat) SIM_##id,
#include "test/sim/kinds.def"
#undef SIM_KIND
    SIM_KINDS
};
extern const char *const sim_kind_name[SIM_KINDS];
extern const int sim_kind_cheats[SIM_KINDS];

struct sim_event {
    uint64_t at; /* virtual ns */
    enum sim_kind kind;
    unsigned a, b;   /* hosts; b may be 0 */
    uint64_t length; /* ns, for what ends again */
    uint64_t x;      /* what the kind makes of it: a count, a size, a seed */
};

struct sim_plan {
    uint64_t seed;
    unsigned n, t[SIM_KEYS], keys, cheater; /* cheater 0: everyone is honest */
    unsigned secret;                        /* the policy's peer_secret.threshold; 0: none */
    uint16_t batch;
    uint32_t pool_low, pool_high, pool_standby;
    unsigned ops;     /* requests */
    uint64_t quantum; /* virtual ns of processor a step costs that says it has more to do */
    uint64_t delay[SIM_HOSTS + 1], jitter; /* one way, from each host */
    uint64_t start, end;                   /* faults happen between */
    unsigned n_events;
    struct sim_event event[SIM_EVENTS];
};

enum sim_doc { SIM_ROSTER, SIM_POLICY };

struct sim_host {
    unsigned index; /* the party's */
    int up;         /* a process runs */
    int dying;      /* it was killed inside a step; what it still does reaches nobody */
    int draining;
    uint64_t frozen_until, busy_until, boot_at;
    uint64_t slow;        /* factor on the processor's time */
    int64_t wall_skew_ms; /* its clock against the world's */
    uint64_t mono_skew;   /* it was suspended for so long */
    struct qr_tee tee;    /* the machine's: outlives the process */
    struct qr_store *store;
    struct qr_party *party;
    char listen[24], cloud[16];
    unsigned boots;
    struct qr_rng rng;
    uint8_t id[32];
    int rolled_back; /* an old disk is in it */
    int refused;     /* a peer called its store rolled back or cloned: its log asks for a restart */
    int skewed_boot; /* it started while its clock was wrong */
    uint64_t trouble_until; /* it was stalled, slow or suspended up to then */
    /* counted down to a crash: sends, shares */
    uint64_t crash_send, crash_share;
    int crash_disk; /* how the disk survives the next crash */
};

struct sim {
    const struct sim_plan *plan;
    const unsigned char *mask; /* event i happens if mask[i]; NULL: all */
    uint64_t now;              /* ns */
    unsigned n;
    struct sim_host host[SIM_HOSTS + 1]; /* from 1 */
    struct sim_host *running;            /* whose code runs now; NULL: ours */
    EVP_PKEY *admin, *client, *stranger;
    uint8_t cluster[32];
    char doc[2][8192], old_doc[2][8192]; /* in force, and what was before */
    unsigned serial[2];
    uint8_t pk[SIM_KEYS][33], cc[SIM_KEYS][32];
    unsigned n_keys;
    uint64_t signatures, answers, refusals, party_ns;
    uint64_t injected[SIM_KINDS];
    uint64_t client_start; /* when the keys were there; 0 until then */
    int healing;
    char violation[512]; /* "" while all is well */
    FILE *trace;
    uint8_t digest[32]; /* over all trace lines so far */
    uint64_t lines;
};
extern struct sim sim;

/* The first violation ends the run. */
void sim_violation(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* One line of the trace: event, host (0: none), the rest as printf. Public values only. */
void sim_trace(const char *event, unsigned party, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* Index in sim.host of the process that runs, or 0. */
unsigned sim_self(void);
/* 1 if this party lies at times. */
int sim_cheats(unsigned index);

/* det.c: all randomness of the process, libraries included, from the seed. */
void sim_det_start(uint64_t seed);
uint64_t sim_rand(void);                                 /* the world's own stream */
uint64_t sim_below(uint64_t n);                          /* 0..n-1 */
struct qr_rng sim_det_rng(unsigned host, unsigned boot); /* a process's own */

/* world.c */
void sim_world_open(unsigned n); /* platforms and keys; in the process that uses them */
void sim_world_start(const struct sim_plan *plan, const unsigned char *mask);
void sim_world_run(void);
void sim_world_stop(void);
void sim_boot(unsigned host);
/* disk: as SIM_DISK_CRASH_*; rst: peers' connections end, else they hang. */
void sim_kill(unsigned host, int disk, int rst);
/* Inside a step: from here on nothing this process does reaches anybody; the world buries it. */
void sim_die(struct sim_host *h);
void sim_load_doc(unsigned host, enum sim_doc which, const char *text, int want_ok);
/* Writes document `which` with this serial. */
void sim_make_doc(enum sim_doc which, unsigned serial, char *out, size_t cap);
int sim_may_step(const struct sim_host *h);

/* faults.c */
void sim_fault_apply(const struct sim_event *e);
void sim_fault_heal(void); /* ends all that lasts, gives back disks, restarts who is down */
void sim_fault_tick(void); /* ends what is over, and does what comes later */
uint64_t sim_fault_next(void);
/* A process on this host has sent a piece, computed a share. */
void sim_fault_sent(unsigned host);
void sim_fault_shared(unsigned host);

/* plan.c */
void sim_plan_make(uint64_t seed, struct sim_plan *ret);
void sim_plan_print(FILE *f, const struct sim_plan *p, const unsigned char *mask);

/* client.c */
void sim_client_start(void);
void sim_client_tick(void);
uint64_t sim_client_next(void);
int sim_client_done(void);
void sim_client_check(void); /* are all questions answered in time? */
void sim_client_on_answer(unsigned host, uint64_t to, const struct qr_answer *a);
void sim_client_host_gone(unsigned host);
uint64_t sim_client_keygen(unsigned host, unsigned t); /* an ask */
/* Asks that are the faults': forged and stale ones. */
void sim_client_forge(unsigned host, int variant);
void sim_client_burst(unsigned n);
/* A digest that some client asked for, with a good stamp and within the rules. */
int sim_client_wanted(const uint8_t digest[32]);
const struct qr_answer *sim_answer(uint64_t to); /* of an ask that is not a request's */
uint64_t sim_ask(unsigned host, int admin, const struct qr_ask *ask);
void sim_client_final(void); /* after healing: every party that can must sign one request */
qr_view sim_stamp(EVP_PKEY *key, const char *text, unsigned slot);

/* cheat.c */
void sim_cheat_event(const struct sim_event *e);
/* A message on its way out of a cheater; may change it. */
void sim_cheat_outgoing(struct sim_host *h, uint16_t to, enum qr_msg type, const uint8_t sid[32],
                        uint8_t *payload, size_t len);
void sim_cheat_tick(struct sim_host *h);

/* watch.c */
void sim_watch_start(void);
void sim_watch_gone(unsigned host);        /* its process ended */
void sim_watch_rolled_back(unsigned host); /* it begins again with an older disk */
void sim_watch_signature(unsigned party, const uint8_t request[32], const uint8_t pk[33],
                         const uint8_t digest[32], const uint8_t rs[64]);
void sim_watch_tick(void);

#endif
