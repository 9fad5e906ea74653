/*
 * A few nets in one process, over the in-memory link and a clock that the test moves.
 *
 * What: start, stop and restart parties; step all of them; what each reported.
 * Invariants: deterministic but for TLS's keys. Parties are 1..RIG_MAX; "mem://p1" is where party 1 listens.
 */
#ifndef QR_TEST_NETRIG_H
#define QR_TEST_NETRIG_H

#include "test/common/parties.h"
#include "test/common/testrng.h"
#include "transport/link_mem.h"

#define RIG_MAX 5
#define RIG_MS UINT64_C(1000000)

struct rig;

/* What one party heard of one peer. */
struct rig_view {
    unsigned ups, resumed, downs, refused;
    qr_err why; /* of the last down or refusal */
    char detail[512];
    uint64_t received, bytes, next_number;
    struct qr_peer_info info;
};

struct rig_party {
    struct rig *rig;
    uint16_t index;
    struct qr_net *net; /* NULL: not running */
    struct qr_net_params params;
    struct test_identity id;
    struct test_attester attester;
    struct rig_view of[RIG_MAX + 2]; /* [0]: strangers */
    qr_err store_verdict;
    /* Called instead of the built-in check of numbered messages. */
    void (*on_message)(struct rig_party *p, struct qr_msg_in *m);
};

struct rig {
    struct qr_link_mem_net *mem;
    uint64_t now;
    uint16_t n;
    struct rig_party party[RIG_MAX + 2]; /* [0] unused; one to spare for a clone */
    struct qr_testrng rng;               /* the nets' randomness; TLS has its own */
};

/* n parties with sound parameters, none running. */
void rig_init(struct rig *r, uint16_t n);
void rig_free(struct rig *r);
/* Starts party i as params say; fails the test if it cannot. */
void rig_start(struct rig *r, uint16_t i);
void rig_stop(struct rig *r, uint16_t i);
/* Stop, new boot nonce, next boot counter, start. */
void rig_restart(struct rig *r, uint16_t i);
/* One step of every net, then the clock goes on by ns. */
void rig_tick(struct rig *r, uint64_t ns);
void rig_run(struct rig *r, uint64_t ms);

/* Runs millisecond by millisecond until cond, for at most ms. */
#define RIG_UNTIL(r, ms, cond)                                                                     \
    do {                                                                                           \
        uint64_t rig_end_ = (r)->now + (ms)*RIG_MS;                                                \
        while (!(cond) && (r)->now < rig_end_) {                                                   \
            rig_tick((r), RIG_MS);                                                                 \
        }                                                                                          \
        if (!(cond)) {                                                                             \
            fail_msg("not within %u ms: %s", (unsigned)(ms), #cond);                               \
        }                                                                                          \
    } while (0)

int rig_all_up(const struct rig *r);
/*
 * Sends numbered message `number` of len >= 8 bytes, contents fixed by (number, len). 0 when the
 * queue is full. Received ones are checked for order and contents.
 */
int rig_send(struct rig *r, uint16_t from, uint16_t to, enum qr_msg type, uint64_t number,
             size_t len);

#endif
