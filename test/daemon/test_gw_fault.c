/*
 * The gateway when others fail: a party that is away, silent or mad, clients that are slow, leave or
 * come in numbers. Limits are made short; nothing waits for a fixed time.
 */
#include "daemon/gw_crowd.h"
#include "daemon/loop.h"
#include "test/common/gwrig.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static void
test_party_away(void **state)
{
    (void)state;
    struct rawresp r;
    gwrig.party = fakeparty_stop(gwrig.party);
    gwrig_wait_party(0);
    gwrig_once(gwrig_sign, &r);
    gwrig_expect_problem(&r, 503, "not_ready");
    assert_true(rawresp_has(&r, "Retry-After: 1"));
    gwrig_once("GET /healthcheck HTTP/1.1\r\n" HOST "\r\n", &r);
    assert_int_equal(r.status, 503);
    assert_non_null(strstr(r.body, "\"id\":\"party\",\"status\":\"DOWN\""));
    gwrig_once("GET /metrics HTTP/1.1\r\n" HOST "\r\n", &r);
    assert_int_equal(r.status, 200);
    assert_non_null(strstr(r.body, "quorate_gateway_party_up 0\n"));
    gwrig_once("GET /livez HTTP/1.1\r\n" HOST "\r\n", &r);
    assert_int_equal(r.status, 200);
    gwrig_party();
    gwrig_wait_party(1);
    gwrig_once(gwrig_sign, &r);
    assert_int_equal(r.status, 200);
}

/* The party fails in the middle of a request: 503 for it, then service goes on. */
static void
test_party_breaks(void **state)
{
    (void)state;
    static const enum mode modes[] = {HANG_UP, GARBAGE, CUT_FRAME};
    struct rawresp r;
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        unsigned before = fakeparty_connections(gwrig.party);
        atomic_store(&gwrig.mode, modes[i]);
        gwrig_once(gwrig_sign, &r);
        gwrig_expect_problem(&r, 503, "not_ready");
        assert_non_null(strstr(r.body, "same id"));
        atomic_store(&gwrig.mode, GOOD);
        while (fakeparty_connections(gwrig.party) == before) {
            usleep(1000);
        }
        gwrig_wait_party(1);
        /* The flag may still be that of the connection that broke: 503 until the new one is used. */
        for (int tries = 0; tries < 500; tries++) {
            gwrig_once(gwrig_sign, &r);
            if (r.status != 503) {
                break;
            }
            usleep(10000);
        }
        assert_int_equal(r.status, 200);
    }
}

static void
short_answers(struct qr_config_gateway *c)
{
    c->answer_timeout_ms = 150;
}

static void
test_party_silent(void **state)
{
    (void)state;
    struct rawresp r;
    gwrig_restart(short_answers);
    gwrig_wait_party(1);
    atomic_store(&gwrig.mode, SILENT);
    gwrig_once(gwrig_sign, &r);
    gwrig_expect_problem(&r, 504, "round_timeout");
    /* An answer to another id is nobody's. */
    atomic_store(&gwrig.mode, WRONG_ID);
    gwrig_once(gwrig_sign, &r);
    gwrig_expect_problem(&r, 504, "round_timeout");
    atomic_store(&gwrig.mode, GOOD);
    gwrig_once(gwrig_sign, &r);
    assert_int_equal(r.status, 200);
}

/* Clients that leave before their answer: the answer goes nowhere, slots come back. */
static void
test_client_leaves(void **state)
{
    (void)state;
    struct rawhttp h;
    struct rawresp r;
    gwrig_restart(short_answers);
    gwrig_wait_party(1);
    atomic_store(&gwrig.mode, SILENT);
    for (int i = 0; i < 100; i++) { /* three times max_in_flight */
        unsigned asked = fakeparty_asks(gwrig.party);
        rawhttp_open(&h, qr_gw_port(gwrig.gw), 5000);
        rawhttp_text(&h, gwrig_sign);
        while (fakeparty_asks(gwrig.party) == asked && i < 32) {
            usleep(200);
        }
        rawhttp_close(&h);
    }
    atomic_store(&gwrig.mode, GOOD);
    do {
        gwrig_once(gwrig_sign, &r);
        assert_true(r.status == 200 || r.status == 503);
    } while (r.status != 200);
}

static void
few(struct qr_config_gateway *c)
{
    c->max_in_flight = 2;
    c->answer_timeout_ms = 1000;
}

static void
test_too_many_in_flight(void **state)
{
    (void)state;
    struct rawhttp h[2];
    struct rawresp r;
    gwrig_restart(few);
    gwrig_wait_party(1);
    atomic_store(&gwrig.mode, SILENT);
    for (int i = 0; i < 2; i++) {
        rawhttp_open(&h[i], qr_gw_port(gwrig.gw), 5000);
        rawhttp_text(&h[i], gwrig_sign);
        while (fakeparty_asks(gwrig.party) <= (unsigned)i) {
            usleep(500);
        }
    }
    gwrig_once(gwrig_sign, &r);
    gwrig_expect_problem(&r, 503, "not_ready");
    assert_true(rawresp_has(&r, "Retry-After: 1"));
    for (int i = 0; i < 2; i++) {
        rawhttp_read(&h[i], &r);
        assert_int_equal(r.status, 504);
        rawhttp_close(&h[i]);
    }
}

static void
impatient(struct qr_config_gateway *c)
{
    c->request_timeout_ms = 300;
    c->idle_timeout_ms = 300;
}

/* One byte now and then keeps no connection alive. */
static void
trickle(const char *text)
{
    struct rawhttp h;
    uint64_t start = qr_mono_ns();
    rawhttp_open(&h, qr_gw_port(gwrig.gw), 5000);
    for (const char *p = text; *p; p++) {
        if (!rawhttp_send(&h, p, 1)) {
            break;
        }
        usleep(20000);
    }
    assert_true(rawhttp_closed(&h) || qr_mono_ns() - start < 3000000000u);
    assert_true(qr_mono_ns() - start < 3000000000u);
    rawhttp_close(&h);
    assert_int_equal(fakeparty_asks(gwrig.party), 0);
}

static void
test_slow_clients(void **state)
{
    (void)state;
    static char slow[2048];
    struct rawhttp h;
    gwrig_restart(impatient);
    gwrig_wait_party(1);
    memset(slow, 'a', sizeof slow - 1);
    memcpy(slow, "GET /", 5);
    trickle(slow); /* a header that never ends */
    int n = snprintf(slow, sizeof slow,
                     "POST /v1/sign HTTP/1.1\r\n" HOST JSON STAMP "Content-Length: 1500\r\n\r\n");
    slow[n] = 'x';
    rawhttp_open(&h, qr_gw_port(gwrig.gw), 5000);
    assert_true(rawhttp_send(&h, slow, (size_t)n));
    for (int i = 0; i < 1000 && rawhttp_send(&h, "x", 1); i++) {
        usleep(10000); /* the body trickles in */
    }
    struct rawresp r;
    rawhttp_read(&h, &r);
    assert_int_equal(r.status, 0);
    rawhttp_close(&h);
    rawhttp_open(&h, qr_gw_port(gwrig.gw), 5000); /* says nothing */
    assert_true(rawhttp_closed(&h));
    rawhttp_close(&h);
    assert_int_equal(fakeparty_asks(gwrig.party), 0);
}

static void
crowded(struct qr_config_gateway *c)
{
    c->max_per_ip = 3;
    c->max_connections = 8;
}

static void
test_connection_limits(void **state)
{
    (void)state;
    struct rawhttp h[4];
    struct rawresp r;
    gwrig_restart(crowded);
    gwrig_wait_party(1);
    for (int i = 0; i < 3; i++) {
        rawhttp_open(&h[i], qr_gw_port(gwrig.gw), 5000);
        rawhttp_text(&h[i], gwrig_sign);
        rawhttp_read(&h[i], &r);
        assert_int_equal(r.status, 200);
    }
    rawhttp_open(&h[3], qr_gw_port(gwrig.gw), 5000);
    rawhttp_text(&h[3], gwrig_sign);
    rawhttp_read(&h[3], &r);
    assert_int_equal(r.status, 0); /* closed: one address has its share */
    rawhttp_text(&h[0], gwrig_sign);
    rawhttp_read(&h[0], &r);
    assert_int_equal(r.status, 200);
    for (int i = 0; i < 4; i++) {
        rawhttp_close(&h[i]);
    }
}

static void
roomy_for_one(struct qr_config_gateway *c)
{
    c->max_connections = 8;
}

/* Connections that say nothing do not keep anybody out, and nobody's request is cut off for them. */
static void
test_crowd(void **state)
{
    (void)state;
    struct rawhttp known, busy, slow[24], late;
    struct rawresp r;
    gwrig_restart(roomy_for_one);
    gwrig_wait_party(1);
    rawhttp_open(&known, qr_gw_port(gwrig.gw), 5000); /* the oldest of all */
    rawhttp_text(&known, gwrig_sign);
    rawhttp_read(&known, &r);
    assert_int_equal(r.status, 200);
    atomic_store(&gwrig.mode, BACKWARDS); /* holds three */
    rawhttp_open(&busy, qr_gw_port(gwrig.gw), 5000);
    rawhttp_text(&busy, gwrig_sign);
    while (fakeparty_asks(gwrig.party) < 2) {
        usleep(500);
    }
    for (int i = 0; i < 24; i++) {
        rawhttp_open(&slow[i], qr_gw_port(gwrig.gw), 5000);
        if (i % 2) { /* a request that never ends */
            rawhttp_text(&slow[i], "POST /v1/sign HTTP/1.1\r\n" HOST STAMP JSON
                                   "Content-Length: 100\r\n\r\n{");
        }
    }
    assert_true(rawhttp_closed(&slow[0])); /* the oldest stranger went */
    atomic_store(&gwrig.mode, GOOD);
    for (int i = 0; i < 2; i++) { /* newcomers and old clients are served */
        rawhttp_open(&late, qr_gw_port(gwrig.gw), 5000);
        rawhttp_text(&late, gwrig_sign);
        rawhttp_read(&late, &r);
        assert_int_equal(r.status, 200);
        rawhttp_close(&late);
        rawhttp_text(&known, gwrig_sign);
        rawhttp_read(&known, &r);
        assert_int_equal(r.status, 200);
    }
    rawhttp_open(&late, qr_gw_port(gwrig.gw), 5000);
    rawhttp_text(&late, "GET /metrics HTTP/1.1\r\n" HOST "\r\n");
    rawhttp_read(&late, &r);
    const char *shed = strstr(r.body, "\nquorate_gateway_shed_connections_total ");
    assert_non_null(shed);
    assert_in_range(strtoul(shed + 40, NULL, 10), 18, 28);
    rawhttp_close(&late);
    /* The one at the party was left alone: its answer comes when the party gives it. */
    atomic_store(&gwrig.mode, BACKWARDS);
    for (int i = 0; i < 2; i++) {
        rawhttp_close(&slow[i + 22]);
        rawhttp_open(&slow[i + 22], qr_gw_port(gwrig.gw), 5000);
        rawhttp_text(&slow[i + 22], gwrig_sign);
    }
    rawhttp_read(&busy, &r);
    assert_int_equal(r.status, 200);
    rawhttp_close(&busy);
    rawhttp_close(&known);
    for (int i = 0; i < 24; i++) {
        rawhttp_close(&slow[i]);
    }
}

static void
room_for_all(struct qr_config_gateway *c)
{
    c->max_connections = c->max_per_ip = c->max_in_flight = 2 * QR_GW_STRANGERS;
}

/* Questions of strangers fill their share and no more: who has got a signature is still served. */
static void
test_strangers(void **state)
{
    (void)state;
    static struct rawhttp stranger[QR_GW_STRANGERS + 8];
    struct rawhttp known;
    struct rawresp r;
    gwrig_restart(room_for_all);
    gwrig_wait_party(1);
    rawhttp_open(&known, qr_gw_port(gwrig.gw), 5000);
    rawhttp_text(&known, gwrig_sign);
    rawhttp_read(&known, &r);
    assert_int_equal(r.status, 200);
    atomic_store(&gwrig.mode, SILENT);
    for (unsigned i = 0; i < QR_GW_STRANGERS + 8; i++) {
        rawhttp_open(&stranger[i], qr_gw_port(gwrig.gw), 5000);
        rawhttp_text(&stranger[i], gwrig_sign);
    }
    /* Eight too many; which ones, is the order in which they were read. */
    for (unsigned refused = 0, i = 0; refused < 8; i = (i + 1) % (QR_GW_STRANGERS + 8)) {
        struct pollfd p = {.fd = stranger[i].fd, .events = POLLIN};
        if (i == 0) {
            usleep(500);
        }
        if (poll(&p, 1, 0) == 1) {
            rawhttp_read(&stranger[i], &r);
            gwrig_expect_problem(&r, 503, "not_ready");
            assert_true(rawresp_has(&r, "Retry-After: 1"));
            refused++;
        }
    }
    atomic_store(&gwrig.mode, GOOD);
    rawhttp_text(&known, gwrig_sign);
    rawhttp_read(&known, &r);
    assert_int_equal(r.status, 200);
    assert_int_equal(fakeparty_asks(gwrig.party), 2 + QR_GW_STRANGERS);
    /* When they leave, their places come back. */
    for (unsigned i = 0; i < QR_GW_STRANGERS + 8; i++) {
        rawhttp_close(&stranger[i]);
    }
    do {
        gwrig_once(gwrig_sign, &r);
        assert_true(r.status == 200 || r.status == 503);
    } while (r.status != 200);
    rawhttp_close(&known);
}

static void
test_drain(void **state)
{
    (void)state;
    struct rawhttp h, kept;
    struct rawresp r;
    rawhttp_open(&kept, qr_gw_port(gwrig.gw), 5000);
    rawhttp_text(&kept, gwrig_sign);
    rawhttp_read(&kept, &r);
    assert_int_equal(r.status, 200);
    atomic_store(&gwrig.mode, BACKWARDS); /* holds two */
    rawhttp_open(&h, qr_gw_port(gwrig.gw), 5000);
    rawhttp_text(&h, gwrig_sign);
    while (fakeparty_asks(gwrig.party) < 2) {
        usleep(500);
    }
    atomic_store(&gwrig.drain, 1);
    while (atomic_load(&gwrig.drain)) {
        usleep(500);
    }
    /* New requests on old connections are refused and closed; the one in flight is still open. */
    rawhttp_text(&kept, gwrig_sign);
    rawhttp_read(&kept, &r);
    gwrig_expect_problem(&r, 503, "not_ready");
    assert_true(rawresp_has(&r, "Connection: close"));
    assert_true(rawhttp_closed(&kept));
    assert_false(atomic_load(&gwrig.idle));
    rawhttp_close(&kept);
    rawhttp_close(&h);
}

/* Memory fails in the gateway's thread now and then; then it is back. */
static atomic_int starve;

static int
may_allocate(size_t n)
{
    static uint32_t lcg = 1;
    (void)n;
    if (!pthread_equal(pthread_self(), gwrig.thread) || !atomic_load(&starve)) {
        return 1;
    }
    lcg = lcg * 1664525u + 1013904223u;
    return lcg >> 26 != 0; /* one in 64 */
}

static void
test_memory_fails(void **state)
{
    (void)state;
    struct rawresp r;
    unsigned good = 0, refused = 0, closed = 0;
    gwrig_wait_party(1);
    qr_alloc_gate(may_allocate);
    atomic_store(&starve, 1);
    for (int i = 0; i < 200; i++) {
        struct rawhttp h;
        rawhttp_open(&h, qr_gw_port(gwrig.gw), 2000);
        for (int k = 0; k < 3; k++) {
            rawhttp_text(&h, gwrig_sign);
            rawhttp_read(&h, &r);
            good += r.status == 200;
            refused += r.status == 503 || r.status == 500;
            closed += r.status == 0;
            if (r.status == 0) {
                break;
            }
            assert_true(r.status == 200 || r.status == 503 || r.status == 500);
        }
        rawhttp_close(&h);
    }
    atomic_store(&starve, 0);
    assert_true(good > 0 && refused + closed > 0); /* it did fail, and not always */
    gwrig_wait_party(1);
    gwrig_once(gwrig_sign, &r);
    assert_int_equal(r.status, 200);
    qr_alloc_gate(NULL);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, gwrig_setup, gwrig_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_party_away),         CASE(test_party_breaks),
        CASE(test_party_silent),       CASE(test_client_leaves),
        CASE(test_too_many_in_flight), CASE(test_slow_clients),
        CASE(test_connection_limits),  CASE(test_crowd),
        CASE(test_strangers),          CASE(test_drain),
        CASE(test_memory_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
