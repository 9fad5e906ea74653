#include "test/common/gwrig.h"

#include "daemon/log.h"
#include "daemon/loop.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

struct gwrig gwrig = {.lock = PTHREAD_MUTEX_INITIALIZER};

const char gwrig_sign[] =
    "POST /v1/sign HTTP/1.1\r\n" HOST JSON STAMP "Content-Length: 7\r\n\r\n{\"v\":1}";

static void
answer_signed(struct fakeparty *f, uint64_t id, uint8_t mark)
{
    struct qr_answer_sig sig[QR_ITEMS_MAX] = {{.recid = 1}};
    struct qr_answer a = {.id = id, .is_signed = 1};
    size_t n = gwrig.n_sigs ? gwrig.n_sigs : 1;
    for (size_t i = 0; i < n; i++) {
        sig[i].recid = (i & 1) == 0;
        memset(sig[i].digest, 0x11, 32);
        memset(sig[i].rs, mark, 64);
        if (gwrig.digest) {
            memcpy(sig[i].digest, gwrig.digest, 32);
        }
    }
    memset(a.sgn.request, 0x22, 32);
    memset(a.sgn.key, 0x02, 33);
    a.sgn.sigs = sig;
    a.sgn.n_sigs = n;
    a.sgn.signers[0] = 1;
    a.sgn.signers[1] = 3;
    a.sgn.n_signers = 2;
    a.sgn.insecure_sim = 1;
    a.sgn.moves = 1;
    a.sgn.move_reason = qr_view_str("party 2 did not answer in 500 ms");
    a.sgn.micros = 7;
    a.sgn.bytes = 99;
    fakeparty_answer(f, &a);
}

static void
answer_good(struct fakeparty *f, const struct qr_ask *ask)
{
    struct qr_answer a = {.id = ask->id};
    if (ask->what == QR_ASK_SIGN) {
        answer_signed(f, ask->id, 0x33);
        return;
    }
    if (ask->query == QR_QUERY_METRICS) {
        a.text = qr_view_str("quorated_ready 1\n");
    } else {
        a.json = qr_view_str("{\"ready\":true}");
    }
    fakeparty_answer(f, &a);
}

static void
answer_error(struct fakeparty *f, const struct qr_ask *ask, qr_err e, const char *detail)
{
    struct qr_answer a = {.id = ask->id, .error = e, .detail = qr_view_str(detail)};
    a.party = e == QR_ERR_POLICY_DENIED ? 2 : 0;
    a.rule = qr_view_str(e == QR_ERR_POLICY_DENIED                    ? "deny-\"raw\""
                         : e == QR_ERR_APPROVALS || e == QR_ERR_LIMIT ? "hot-1"
                                                                      : "");
    if (e == QR_ERR_APPROVALS) {
        a.need = 1;
        a.n_approvers = 2;
        a.approvers[0] = qr_view_str("alice");
        a.approvers[1] = qr_view_str("bob");
    }
    a.retry_s = atomic_load(&gwrig.mode) == LIMITED ? 90 : 0;
    fakeparty_answer(f, &a);
}

static void
remember(const struct qr_ask *ask)
{
    pthread_mutex_lock(&gwrig.lock);
    gwrig.body_len = ask->body.len;
    if (ask->body.len) {
        memcpy(gwrig.body, ask->body.p, ask->body.len);
    }
    gwrig.body[gwrig.body_len] = '\0';
    gwrig.stamp[0] = gwrig.trace[0] = '\0';
    if (ask->n_stamps) {
        memcpy(gwrig.stamp, ask->stamps[0].p, ask->stamps[0].len);
        gwrig.stamp[ask->stamps[0].len] = '\0';
    }
    gwrig.n_approvals = ask->n_stamps > 1 ? ask->n_stamps - 1 : 0;
    for (size_t i = 0; i < gwrig.n_approvals; i++) {
        memcpy(gwrig.approval[i], ask->stamps[1 + i].p, ask->stamps[1 + i].len);
        gwrig.approval[i][ask->stamps[1 + i].len] = '\0';
    }
    if (ask->traceparent.len) {
        memcpy(gwrig.trace, ask->traceparent.p, ask->traceparent.len);
        gwrig.trace[ask->traceparent.len] = '\0';
    }
    gwrig.query = ask->query;
    pthread_mutex_unlock(&gwrig.lock);
}

static void
on_ask(void *ctx, struct fakeparty *f, const struct qr_ask *ask)
{
    struct qr_ask other = *ask;
    (void)ctx;
    remember(ask);
    switch ((enum mode)atomic_load(&gwrig.mode)) {
    case GOOD:
        answer_good(f, ask);
        break;
    case SILENT:
        break;
    case HANG_UP:
        fakeparty_hang_up(f);
        break;
    case GARBAGE:
        fakeparty_raw(f, "HTTP/1.1 200 OK\r\n\r\n", 19);
        break;
    case WRONG_ID:
        other.id ^= UINT64_C(1) << 40;
        answer_good(f, &other);
        break;
    case REFUSE:
        answer_error(f, ask, QR_ERR_POLICY_DENIED, "no rule allows kind \"digest\"");
        break;
    case UNREADY:
        answer_error(f, ask, QR_ERR_NOT_READY, "1 of 3 parties is attested");
        break;
    case EMPTY:
        fakeparty_answer(f, &(struct qr_answer){.id = ask->id});
        break;
    case HOSTILE:
        answer_error(f, ask, QR_ERR_MALFORMED, "\"}\r\nX-Evil: 1\r\n\r\n{\x01\xff\"");
        break;
    case BACKWARDS:
        gwrig.held[gwrig.n_held++] = ask->id;
        if (gwrig.n_held == 3) {
            while (gwrig.n_held > 0) {
                gwrig.n_held--;
                answer_signed(f, gwrig.held[gwrig.n_held], (uint8_t)(0xa0 + gwrig.n_held));
            }
        }
        break;
    case APPROVERS:
        answer_error(f, ask, QR_ERR_APPROVALS, "1 more of 2 approvers must approve");
        break;
    case LIMITED:
    case NEVER:
        answer_error(f, ask, QR_ERR_LIMIT, "100 requests in 3600 s");
        break;
    case CUT_FRAME:
        fakeparty_raw(f, "\x00\x00\x00\x40half a frame", 16);
        fakeparty_hang_up(f);
        break;
    default:
        break;
    }
}

void
gwrig_party(void)
{
    gwrig.party = fakeparty_start(gwrig.socket, on_ask, NULL);
}

static void *
run_gateway(void *arg)
{
    struct pollfd fds[QR_GW_POLL_MAX];
    (void)arg;
    while (!atomic_load(&gwrig.stop)) {
        size_t n = qr_gw_poll_set(gwrig.gw, fds);
        int timeout = qr_gw_poll_timeout(gwrig.gw, qr_mono_ns());
        (void)poll(fds, n, timeout > 20 ? 20 : timeout);
        if (atomic_exchange(&gwrig.drain, 0)) {
            qr_gw_drain(gwrig.gw);
        }
        qr_gw_step(gwrig.gw, qr_mono_ns());
        atomic_store(&gwrig.party_up, qr_gw_party_is_up(gwrig.gw));
        atomic_store(&gwrig.idle, qr_gw_idle(gwrig.gw));
    }
    return NULL;
}

static void
swallow_log(void *ctx, const char *line, size_t len)
{
    (void)ctx;
    (void)line;
    (void)len;
}

static void
start_gateway(void)
{
    char err[512];
    qr_err e = qr_gw_new(&gwrig.cfg, &gwrig.gw, err, sizeof err);
    if (e != QR_OK) {
        fail_msg("%s", err);
    }
    atomic_store(&gwrig.stop, 0);
    atomic_store(&gwrig.party_up, 0);
    assert_int_equal(pthread_create(&gwrig.thread, NULL, run_gateway, NULL), 0);
}

static void
stop_gateway(void)
{
    atomic_store(&gwrig.stop, 1);
    pthread_join(gwrig.thread, NULL);
    gwrig.gw = qr_gw_free(gwrig.gw);
}

int
gwrig_setup(void **state)
{
    (void)state;
    qr_log_sink(swallow_log, NULL);
    snprintf(gwrig.dir, sizeof gwrig.dir, "/tmp/test_gw_XXXXXX");
    assert_non_null(mkdtemp(gwrig.dir));
    snprintf(gwrig.socket, sizeof gwrig.socket, "%s/party.sock", gwrig.dir);
    atomic_store(&gwrig.mode, GOOD);
    gwrig.n_held = 0;
    gwrig_party();
    gwrig.cfg = (struct qr_config_gateway){.listen = "127.0.0.1:0",
                                           .max_connections = 64,
                                           .max_per_ip = 256,
                                           .header_max = 24 * 1024,
                                           .max_in_flight = 32,
                                           .idle_timeout_ms = 5000,
                                           .request_timeout_ms = 5000,
                                           .answer_timeout_ms = 5000,
                                           .drain_timeout_ms = 1000};
    snprintf(gwrig.cfg.party_socket, sizeof gwrig.cfg.party_socket, "%s", gwrig.socket);
    start_gateway();
    return 0;
}

int
gwrig_teardown(void **state)
{
    (void)state;
    stop_gateway();
    gwrig.party = fakeparty_stop(gwrig.party);
    rmdir(gwrig.dir);
    qr_log_sink(NULL, NULL);
    return 0;
}

/* Other limits than the usual ones. */
void
gwrig_restart(void (*change)(struct qr_config_gateway *c))
{
    stop_gateway();
    change(&gwrig.cfg);
    start_gateway();
}

/* One request on a connection of its own. */
void
gwrig_once(const char *request, struct rawresp *ret)
{
    struct rawhttp h;
    rawhttp_open(&h, qr_gw_port(gwrig.gw), 5000);
    rawhttp_text(&h, request);
    rawhttp_read(&h, ret);
    rawhttp_close(&h);
}

void
gwrig_expect_problem(const struct rawresp *r, int status, const char *code)
{
    char want[64];
    snprintf(want, sizeof want, "\"code\":\"%s\"", code);
    if (r->status != status || !strstr(r->body, want)) {
        fail_msg("want %d %s, got %d %s", status, code, r->status, r->body);
    }
    snprintf(want, sizeof want, "\"status\":%d", status);
    assert_non_null(strstr(r->body, want));
    assert_true(rawresp_has(r, "Content-Type: application/problem+json"));
    assert_true(rawresp_has(r, "Cache-Control: no-store"));
}

void
gwrig_wait_party(int up)
{
    while (atomic_load(&gwrig.party_up) != up) {
        usleep(1000); /* reconnects in 50 ms */
    }
}
