/* quorated: one party. Opens the platform, the store and the sockets, then turns the loop. */
#include "daemon/config.h"
#include "daemon/hostsock.h"
#include "daemon/log.h"
#include "daemon/loop.h"
#include "daemon/party.h"
#include "daemon/platform.h"
#include "daemon/sdnotify.h"
#include "enclave-shim/memory.h"
#include "enclave-shim/sandbox.h"
#include "enclave-shim/vmgenid.h"
#include "protocol/base/hash.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <sys/epoll.h>

/* What a party may come to lock: presignatures, 15 pairs, keys, and a dozen sessions of t = 5. */
#define LOCKED_MAX (20u << 20)
#define DRAIN_MS 11000u /* a client's request in our hands ends after 10 s, whatever happens */

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

/* 75 asks the service manager to try again; what a restart cannot mend is not that. */
static int
exit_code(qr_err e)
{
    if (e == QR_ERR_STORE_CORRUPT || e == QR_ERR_SEAL || e == QR_ERR_PLATFORM ||
        e == QR_ERR_ADDRESS) {
        return QR_EXIT_CONFIG;
    }
    switch (qr_err_class(e)) {
    case QR_CLASS_USAGE:
    case QR_CLASS_INPUT:
        return QR_EXIT_CONFIG;
    case QR_CLASS_ATTEST:
    case QR_CLASS_AUTH:
        return QR_EXIT_REFUSED;
    case QR_CLASS_INTERNAL:
        return QR_EXIT_INTERNAL;
    default:
        return QR_EXIT_TEMPORARY;
    }
}

static int
stop_with(qr_err e, const char *what, const char *text)
{
    char msg[640];
    (void)snprintf(msg, sizeof msg, "%s: %s", what, text[0] ? text : qr_err_text(e));
    qr_log(QR_LOG_ERROR, "main", "cannot_start", msg, QR_LOG_ERR(e), QR_LOG_END);
    return exit_code(e);
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
on_generation(void *ctx, int fd, uint32_t events)
{
    int *restored = ctx;
    (void)events;
    *restored |= qr_vmgenid_changed(fd);
}

/* Until the party shall end; *restored: at once, with whatever is in flight. */
static void
turn(struct qr_loop *loop, struct qr_party *p, struct qr_hostsock *host, const int *restored)
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
        if (*restored) {
            return;
        }
        now = qr_mono_ns();
        more = qr_party_step(p, now, qr_wall_ms());
        qr_hostsock_flush(host);
        notify(&n, p, now);
        if (!drain_until && (qr_loop_stop_asked(loop) || qr_party_drain_asked(p))) {
            qr_log(QR_LOG_INFO, "main", "draining", "finishing what is in flight", QR_LOG_END);
            (void)qr_sd_notify("STOPPING=1");
            qr_party_drain(p);
            drain_until = now + DRAIN_MS * 1000000ull;
        }
        if (drain_until && qr_party_drained(p)) {
            qr_hostsock_stop(host); /* not before: the gateway fetches the end of the audit log */
        }
        if (drain_until && ((qr_party_drained(p) && qr_hostsock_idle(host)) || now > drain_until)) {
            return;
        }
    }
}

/* Everything one process holds. */
struct node {
    struct qr_config_party c;
    struct qr_loop *loop;
    struct qr_platform_node platform;
    struct qr_tee tee;
    struct qr_store *store;
    struct qr_hostsock *host;
    struct qr_party *party;
    int fresh;
    int generation; /* qr_vmgenid_open */
    int restored;   /* this machine was set back to a snapshot */
};

/* In a TEE, secrets stay in memory or there is no party. */
static qr_err
check_memory(const struct node *n, char *text, size_t cap)
{
    qr_err e = qr_memory_check(QR_MEMORY_SWAPS, LOCKED_MAX, text, cap);

    if (e != QR_OK && n->tee.insecure) {
        qr_log(QR_LOG_WARN, "main", "memory", text, QR_LOG_END);
        text[0] = '\0';
        e = QR_OK;
    }
    return e;
}

static qr_err
open_libraries(struct node *n, const char **what, char *text, size_t cap)
{
    *what = "cryptographic libraries";
    /* A configuration file of the host's has no say in which algorithms we run. */
    if (OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL) != 1 || sodium_init() < 0) {
        return QR_ERR_CRYPTO_LIB;
    }
    QR_TRY(qr_hash_init()); /* the platform measures this program with it */
    *what = "process";
    QR_TRY(qr_sandbox_harden(text, cap));
    *what = "event loop";
    n->loop = qr_loop_new();
    return n->loop ? qr_loop_signals(n->loop) : QR_ERR_NO_MEMORY;
}

static qr_err
open_party(struct node *n, const char **what, char *text, size_t cap)
{
    char path[QR_CONFIG_TEXT_MAX + 16];
    const struct qr_party_cfg cfg = {.listen = n->c.listen,
                                     .advertise = n->c.advertise,
                                     .cloud = n->c.cloud,
                                     .operator_name = n->c.operator_name,
                                     .pool_low = n->c.pool.low,
                                     .pool_high = n->c.pool.high,
                                     .pool_standby = n->c.pool.standby,
                                     .batch = (uint16_t)n->c.pool.batch,
                                     .sign_timeout_ms = n->c.sign.timeout_ms,
                                     .zstd_level = (int)n->c.zstd,
                                     .via = n->c.via[0] ? n->c.via : NULL};
    *what = "platform";
    QR_TRY(qr_platform_open(&n->c, &n->platform, &n->tee, text, cap));
    *what = "memory";
    QR_TRY(check_memory(n, text, cap));
    *what = "store";
    (void)snprintf(path, sizeof path, "%s/store.db", n->c.state_dir);
    QR_TRY(
        qr_store_open(n->c.store[0] ? n->c.store : path, &n->tee, &n->store, &n->fresh, text, cap));
    *what = "socket";
    QR_TRY(qr_hostsock_new(n->loop, n->c.gateway_socket, n->c.admin_socket, on_ask, &n->party,
                           &n->host, text, cap));
    QR_TRY(qr_hostsock_admit(n->host, n->c.admin_uid, text, cap));
    *what = "party";
    const struct qr_party_env env = {.tee = &n->tee,
                                     .store = n->store,
                                     .roots = qr_roots_builtin(),
                                     .rng = qr_tee_rng(&n->tee),
                                     .new_link = new_link,
                                     .new_link_ctx = &n->c,
                                     .answer = qr_hostsock_answer,
                                     .answer_ctx = n->host};
    QR_TRY(qr_party_new(&cfg, &env, qr_mono_ns(), qr_wall_ms(), &n->party, text, cap));
    *what = "sandbox";
    qr_platform_settle(&n->platform);
    QR_TRY(start_link(&n->c));
    n->generation = qr_vmgenid_open();
    if (n->generation >= 0) {
        QR_TRY(qr_loop_add(n->loop, n->generation, EPOLLIN, on_generation, &n->restored));
    }
    return qr_sandbox_enter_as(
        n->tee.platform == QR_PLATFORM_NITRO ? QR_SANDBOX_NITRO : QR_SANDBOX_PARTY, text, cap);
}

static void
close_all(struct node *n)
{
    n->party = qr_party_free(n->party);
    n->host = qr_hostsock_free(n->host);
    n->store = qr_store_close(n->store);
    qr_platform_close(&n->platform, &n->tee);
    n->loop = qr_loop_free(n->loop);
}

int
main(int argc, char **argv)
{
    static struct node n;
    const char *what = "";
    char text[512] = "";

    int r = qr_config_main(QR_CONFIG_PARTY, argc, argv, &n.c);
    if (r >= 0) {
        return r;
    }
    qr_err e = open_libraries(&n, &what, text, sizeof text);
    if (e == QR_OK) {
        e = open_party(&n, &what, text, sizeof text);
    }
    if (e != QR_OK) {
        r = stop_with(e, what, text);
    } else {
        qr_log(QR_LOG_INFO, "main", "started",
               n.fresh ? "new party: identity key made" : "party started",
               QR_LOG_STR("platform", qr_platform_name(n.tee.platform)),
               QR_LOG_BOOL("insecure", n.tee.insecure), QR_LOG_END);
        turn(n.loop, n.party, n.host, &n.restored);
        r = n.restored ? QR_EXIT_TEMPORARY : QR_EXIT_OK;
        if (n.restored) {
            qr_log(QR_LOG_WARN, "main", "restored",
                   "this machine was restored from a snapshot, says its hypervisor: the process "
                   "ends, and the "
                   "next one draws another boot nonce",
                   QR_LOG_END);
        } else {
            qr_log(QR_LOG_INFO, "main", "stopped", "drained and stopped", QR_LOG_END);
        }
    }
    close_all(&n);
    return r;
}
