/*
 * gwrig: a gateway in a thread, a fake party behind it, raw HTTP before it.
 *
 * What: the fixture of the gateway's tests: modes of the party, limits that a test may change, what
 *       the party saw last, and checks of problem documents.
 */
#ifndef TEST_GWRIG_H
#define TEST_GWRIG_H

#include "daemon/gw_http.h"
#include "test/common/fakeparty.h"
#include "test/common/rawhttp.h"

#include <pthread.h>
#include <stdatomic.h>

#define STAMP "X-Stamp: c3RhbXA\r\n"
#define JSON "Content-Type: application/json\r\n"
#define HOST "Host: localhost\r\n"

enum mode {
    GOOD,      /* answers at once */
    SILENT,    /* never answers */
    HANG_UP,   /* closes the connection on an ask */
    GARBAGE,   /* answers with bytes that are no frame */
    WRONG_ID,  /* answers another question */
    REFUSE,    /* policy_denied by party 2 */
    UNREADY,   /* NOT_READY to everything */
    EMPTY,     /* error 0 and nothing else */
    HOSTILE,   /* text that wants to break out of JSON */
    BACKWARDS, /* keeps three asks, answers in reverse order */
    CUT_FRAME, /* half a frame, then closes */
    APPROVERS, /* approval_needed: one more of alice and bob */
    LIMITED,   /* limit_exceeded, room in 90 s */
    NEVER,     /* limit_exceeded, more than a whole limit */
};

struct gwrig {
    char dir[64], socket[96];
    struct fakeparty *party;
    struct qr_config_gateway cfg;
    struct qr_gw *gw;
    pthread_t thread;
    atomic_int stop, mode, drain;
    atomic_int party_up, idle; /* as the gateway's thread last saw it */
    /* what the party saw last */
    pthread_mutex_t lock;
    char body[QR_BODY_MAX + 1], stamp[QR_STAMP_MAX + 1], trace[64];
    size_t body_len;
    size_t n_approvals;
    char approval[QR_APPROVALS_MAX][QR_STAMP_MAX + 1];
    enum qr_query query;
    const uint8_t *digest; /* of GOOD's signatures; NULL: 0x11.. */
    size_t n_sigs;         /* of GOOD; 0: one */
    uint64_t held[3];
    unsigned n_held;
};

extern struct gwrig gwrig;

/* cmocka's setup and teardown of one test. */
int gwrig_setup(void **state);
int gwrig_teardown(void **state);
/* The gateway anew, with other limits than the usual ones. */
void gwrig_restart(void (*change)(struct qr_config_gateway *c));
/* The fake party anew, after fakeparty_stop. */
void gwrig_party(void);
void gwrig_wait_party(int up);
/* One request on a connection of its own. */
void gwrig_once(const char *request, struct rawresp *ret);
/* Fails the test unless this is a problem document of that status and code. */
void gwrig_expect_problem(const struct rawresp *r, int status, const char *code);

/* A good POST /v1/sign with the body {"v":1}. */
extern const char gwrig_sign[];

#endif
