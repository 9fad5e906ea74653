/*
 * A siege: a hostile gateway before a quorum of real parties, and an account of what it got.
 *
 * What: three parties with two 2-of-3 keys under a policy that uses every kind of predicate. Honest
 *       clients make requests and honest approvers approve some; the gateway has all of that, one
 *       client's and one former client's stamp keys, and party 2 with its memory and links. It tries
 *       one thing after another, by seed: splices of bodies and stamps, reordered members, approvals
 *       moved between requests, replays, withheld answers, chosen coordinators, an older policy.
 * Why: every signature needs a share of party 1 or 3. So it is judged at each share that one of them
 *      gives, whether or not a signature comes of it, by a model of the policy that knows how each
 *      request was made and does not read its bytes (siege_ask.c).
 * Rules: links with WIRETAP_LINK. One siege at a time. The first violation ends it.
 */
#ifndef QR_TEST_SIEGE_H
#define QR_TEST_SIEGE_H

#include "daemon/approval.h"
#include "test/common/stamps.h"
#include "test/common/testrng.h"
#include "test/common/wiretap.h"

#define SIEGE_WINDOW_MS 60000u /* of the policy's limits */
#define SIEGE_ITEMS 3u
#define SIEGE_BODY 4096u
#define SIEGE_APPROVAL 2048u

/* Who stamps. LEAVER is no client any more, STRANGER never was one; the gateway has both keys. */
enum siege_who { OPS, DESK, MOLE, SIEGE_CLIENTS, LEAVER = SIEGE_CLIENTS, STRANGER, SIEGE_KEYS };
enum siege_approver { ALICE, BOB, CAROL, SIEGE_APPROVERS };

/* The rules that may allow an item, as bits. */
enum siege_rule {
    R_PAY = 1,
    R_BIG = 2,
    R_NOTES = 4,
    R_HASHES = 8,
    R_MOLE = 16,
    R_OFFICE = 32,
    R_SCRAP = 64
};
#define SIEGE_RULES 7u

struct siege_item {
    enum qr_kind kind;
    unsigned type, chain, to, selector; /* of an eth_tx; to: index, see siege_ask.c */
    uint64_t value;
    uint8_t digest[32];
};

/* One request that somebody stamped. */
struct siege_req {
    enum siege_who who;
    unsigned key, n_items;
    int other_cluster, raw;
    int mole; /* the mole stamped these very bytes as well */
    uint32_t path[2];
    size_t depth;
    uint64_t issued, expires;
    char id[40];
    struct siege_item item[SIEGE_ITEMS];
    char body[SIEGE_BODY], stamp[QR_STAMP_MAX];
    uint8_t hash[32];
    unsigned approved, shown; /* bits of approvers: whose approval exists, was ever handed over */
    char approval[SIEGE_APPROVERS][SIEGE_APPROVAL];
    uint8_t taken; /* bit i-1: party i gave a share */
    int counted;   /* in the account of the limits */
};

#define SIEGE_MOVES 20u
struct siege_report {
    size_t attempts, stamped, shares, answers, errors;
    size_t by_move[SIEGE_MOVES], by_rule[SIEGE_RULES];
    size_t by_error[1024]; /* by qr_err */
    char violation[320];   /* "" when there was none */
};
extern const char *const siege_move_name[SIEGE_MOVES];

void siege_run(const char *seed, size_t attempts, struct siege_report *ret);

/* ---- what the siege's files share -------------------------------------------------------- */

struct siege {
    struct cluster c;
    struct wiretap w;
    struct qr_testrng rng;
    struct stamper who[SIEGE_KEYS], approver[SIEGE_APPROVERS];
    uint8_t pk[2][33];
    char old_policy[8192], policy[8192];
    struct siege_req **req;
    size_t n_req, cap_req;
    /* what was signed in the window at hand by the rules with limits alone */
    uint64_t window, pay_requests, pay_wei, mole_requests;
    int mute; /* shares of a signature do not arrive */
    struct siege_report *r;
    /* the attempt at hand */
    char body[2 * SIEGE_BODY];
    char stamp[QR_STAMPS_MAX][SIEGE_APPROVAL];
    size_t n_stamps;
};

/* The policy's limits, of the whole quorum in one window. */
#define SIEGE_PAY_REQUESTS 4u
#define SIEGE_PAY_WEI 2000u
#define SIEGE_MOLE_REQUESTS 2u
#define SIEGE_APPROVED_LIFE_MS 600000u

/* siege_try.c: the next attempt: body, stamps, and what is done with them. */
enum siege_way {
    WAY_ASK,      /* a question to party `at` */
    WAY_WITHHOLD, /* the same, but nothing that comes of it arrives, and then asked elsewhere */
    WAY_ALL,      /* the same question to all three at once */
    WAY_DIRECT,   /* party 2 asks party `at` for a share, by its own hand */
    WAY_POLICY,   /* `at` is given the old policy first */
};
struct siege_try {
    unsigned move, at;
    enum siege_way way;
    uint8_t sid[32]; /* DIRECT: which session it says */
    uint16_t n;      /* DIRECT: how many items it says */
    unsigned key;    /* DIRECT: whose presignatures it gives */
    int by_mole;     /* stamped by the mole, whatever it is */
};
void siege_try_make(struct siege *s, struct siege_try *ret);

/* siege_ask.c */
void siege_policy(struct siege *s, int old, char *out, size_t cap);
/* A new request by who, as its owner would make it, and its approvals. */
struct siege_req *siege_ask_new(struct siege *s);
/* Stamps a body. */
void siege_stamp(struct siege *s, enum siege_who who, const char *body, char *out);
void siege_approve(struct siege *s, enum siege_approver who, const uint8_t request[32], char *out);
/* Carol before another page: at the gateway's origin (0), or with a key that asks for no PIN (1). */
void siege_phish(struct siege *s, int which, const uint8_t request[32], char *out);
/* Rules that allow item i with what was shown; 0: it must not be signed. */
unsigned siege_allowed(const struct siege_req *q, size_t i);
/* Whether the whole request may be signed at this time, and a word why not. */
const char *siege_judge(const struct siege_req *q, uint64_t wall_ms);

#endif
