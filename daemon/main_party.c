/* quorated: one party. Opens the platform, the store and the sockets, then turns the loop. */
#include "daemon/config.h"
#include "daemon/hostsock.h"
#include "daemon/log.h"
#include "daemon/loop.h"
#include "daemon/party.h"
#include "daemon/sdnotify.h"
#include "enclave-shim/sandbox.h"
#include "protocol/base/hash.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <sys/epoll.h>

#define DRAIN_MS 5000u

static void
on_ask(void *ctx, int admin, uint64_t to, const struct qr_ask *ask)
{
    struct qr_party **p = ctx;
    qr_party_ask(*p, admin, to, ask);
}

static void
on_net(void *ctx, int fd, uint32_t events)
{
    /* The step after every turn does the work. */
    (void)ctx;
    (void)fd;
    (void)events;
}

static struct qr_link *
new_link(void *ctx, const struct qr_link_events *ev)
{
    const struct qr_config_party *c = ctx;
    return c->link == QR_CONFIG_LINK_SOCK ? qr_link_sock_new(ev) : qr_link_nng_new(ev);
}

/* A new party links when it gets its roster; what the library starts must run before the sandbox. */
static qr_err
start_link(struct qr_config_party *c)
{
    const struct qr_link_events none = {0};
    struct qr_link *l = new_link(c, &none);
    if (!l) {
        return QR_ERR_NO_MEMORY;
    }
    l->ops->free(l);
    return QR_OK;
}

static int
stop_with(qr_err e, const char *what, const char *text)
{
    char msg[640];
    (void)snprintf(msg, sizeof msg, "%s: %s", what, text[0] ? text : qr_err_text(e));
    qr_log(QR_LOG_ERROR, "main", "cannot_start", msg, QR_LOG_ERR(e), QR_LOG_END);
    switch (qr_err_class(e)) {
    case QR_CLASS_USAGE:
    case QR_CLASS_INPUT:
        return QR_EXIT_CONFIG;
    case QR_CLASS_ATTEST:
    case QR_CLASS_AUTH:
        return QR_EXIT_REFUSED;
    default:
        return e == QR_ERR_ADDRESS ? QR_EXIT_CONFIG : QR_EXIT_TEMPORARY;
    }
}

/* The network's descriptor appears and changes as documents are loaded. */
static void
watch_net(struct qr_loop *l, const struct qr_party *p, int *fd)
{
    int now = qr_party_fd(p);
    if (now == *fd) {
        return;
    }
    qr_loop_del(l, *fd);
    *fd = now;
    if (now >= 0 && qr_loop_add(l, now, EPOLLIN, on_net, NULL) != QR_OK) {
        qr_log(QR_LOG_ERROR, "main", "loop", "cannot watch the network", QR_LOG_END);
    }
}

struct notify {
    uint64_t next, watchdog_next, watchdog_us;
    int ready;
};

static void
notify(struct notify *n, const struct qr_party *p, uint64_t now)
{
    char line[160], msg[256];
    if (n->watchdog_us && now >= n->watchdog_next) {
        n->watchdog_next = now + n->watchdog_us * 500;
        (void)qr_sd_notify("WATCHDOG=1");
    }
    if (now < n->next) {
        return;
    }
    n->next = now + 1000000000u;
    int ready = qr_party_ready(p, line, sizeof line);
    (void)snprintf(msg, sizeof msg, "%sSTATUS=%s", ready && !n->ready ? "READY=1\n" : "", line);
    n->ready |= ready;
    (void)qr_sd_notify(msg);
}

static void
turn(struct qr_loop *loop, struct qr_party *p, struct qr_hostsock *host)
{
    struct notify n = {.watchdog_us = qr_sd_watchdog_us()};
    uint64_t drain_until = 0;
    int fd = -1, more = 0;
    for (;;) {
        uint64_t now = qr_mono_ns(), due = qr_party_deadline(p);
        int wait = more || due <= now ? 0 : 1000;
        if (wait && due - now < 1000000000u) {
            wait = (int)((due - now) / 1000000u) + 1;
        }
        watch_net(loop, p, &fd);
        qr_loop_wait(loop, wait);
        now = qr_mono_ns();
        more = qr_party_step(p, now, qr_wall_ms());
        qr_hostsock_flush(host);
        notify(&n, p, now);
        if (!drain_until && (qr_loop_stop_asked(loop) || qr_party_drain_asked(p))) {
            qr_log(QR_LOG_INFO, "main", "draining", "finishing what is in flight", QR_LOG_END);
            (void)qr_sd_notify("STOPPING=1");
            qr_party_drain(p);
            qr_hostsock_stop(host);
            drain_until = now + DRAIN_MS * 1000000ull;
        }
        if (drain_until && ((qr_party_drained(p) && qr_hostsock_idle(host)) || now > drain_until)) {
            return;
        }
    }
}

int
main(int argc, char **argv)
{
    static struct qr_config_party c;
    char text[512] = "", path[QR_CONFIG_TEXT_MAX + 16];
    struct qr_tee tee = {0};
    struct qr_store *store = NULL;
    struct qr_party *party = NULL;
    struct qr_hostsock *host = NULL;
    struct qr_party_cfg cfg = {0};
    int fresh = 0;

    int r = qr_config_main(QR_CONFIG_PARTY, argc, argv, &c);
    if (r >= 0) {
        return r;
    }
    if (sodium_init() < 0) {
        return stop_with(QR_ERR_CRYPTO_LIB, "libsodium", "");
    }
    qr_err e = qr_hash_init(); /* the platform measures this program with it */
    if (e != QR_OK) {
        return stop_with(e, "OpenSSL", "");
    }
    e = qr_sandbox_harden(text, sizeof text);
    if (e != QR_OK) {
        return stop_with(e, "process", text);
    }
    struct qr_loop *loop = qr_loop_new();
    if (!loop || qr_loop_signals(loop) != QR_OK) {
        return stop_with(QR_ERR_NO_MEMORY, "event loop", "");
    }
    e = qr_tee_sim_open(c.state_dir, &tee, text, sizeof text);
    if (e != QR_OK) {
        return stop_with(e, "platform", text);
    }
    (void)snprintf(path, sizeof path, "%s/store.db", c.state_dir);
    e = qr_store_open(path, &tee, &store, &fresh, text, sizeof text);
    if (e != QR_OK) {
        return stop_with(e, "store", text);
    }
    cfg.listen = c.listen;
    cfg.advertise = c.advertise;
    cfg.cloud = c.cloud;
    cfg.operator_name = c.operator_name;
    cfg.pool_low = c.pool.low;
    cfg.pool_high = c.pool.high;
    cfg.pool_standby = c.pool.standby;
    cfg.batch = (uint16_t)c.pool.batch;
    cfg.sign_timeout_ms = c.sign.timeout_ms;
    cfg.zstd_level = (int)c.zstd;

    e = qr_hostsock_new(loop, c.gateway_socket, c.admin_socket, on_ask, &party, &host, text,
                        sizeof text);
    if (e != QR_OK) {
        return stop_with(e, "socket", text);
    }
    struct qr_party_env env = {.tee = &tee,
                               .store = store,
                               .rng = qr_tee_rng(&tee),
                               .new_link = new_link,
                               .new_link_ctx = &c,
                               .answer = qr_hostsock_answer,
                               .answer_ctx = host};
    e = qr_party_new(&cfg, &env, qr_mono_ns(), qr_wall_ms(), &party, text, sizeof text);
    if (e == QR_OK) {
        e = start_link(&c);
    }
    if (e == QR_OK) {
        e = qr_sandbox_enter(text, sizeof text);
    }
    if (e != QR_OK) {
        r = stop_with(e, "party", text);
        goto out;
    }
    qr_log(QR_LOG_INFO, "main", "started", fresh ? "new party: identity key made" : "party started",
           QR_LOG_STR("platform", qr_platform_name(tee.platform)),
           QR_LOG_BOOL("insecure", tee.insecure), QR_LOG_END);
    turn(loop, party, host);
    qr_log(QR_LOG_INFO, "main", "stopped", "drained and stopped", QR_LOG_END);
    r = QR_EXIT_OK;
out:
    party = qr_party_free(party);
    host = qr_hostsock_free(host);
    store = qr_store_close(store);
    tee.free(tee.ctx);
    loop = qr_loop_free(loop);
    return r;
}
