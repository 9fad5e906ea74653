/* quorate-gateway: signals, the loop, and what the service manager wants to hear. */
#include "daemon/gw_http.h"
#include "daemon/log.h"
#include "daemon/loop.h"
#include "daemon/sdnotify.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define MS UINT64_C(1000000)

static int
open_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    if (sigprocmask(SIG_BLOCK, &set, NULL) != 0 || signal(SIGPIPE, SIG_IGN) == SIG_ERR) {
        return -1;
    }
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

struct run {
    struct qr_gw *gw;
    const struct qr_config_gateway *cfg;
    int sig;
    int party_up; /* as last told to the service manager */
    uint64_t watchdog_every, watchdog_at;
    uint64_t stop_at; /* 0: not draining */
};

static void
tell_manager(struct run *r, uint64_t now)
{
    int up = qr_gw_party_is_up(r->gw);
    if (up != r->party_up) {
        r->party_up = up;
        qr_sd_notify(up ? "STATUS=connected to the party" : "STATUS=the party is away");
    }
    if (r->watchdog_every && now >= r->watchdog_at) {
        qr_sd_notify("WATCHDOG=1");
        r->watchdog_at = now + r->watchdog_every;
    }
}

static void
check_signals(struct run *r, uint64_t now)
{
    struct signalfd_siginfo s;
    if (read(r->sig, &s, sizeof s) != (ssize_t)sizeof s) {
        return;
    }
    if (r->stop_at) {
        r->stop_at = now; /* asked twice: at once */
        return;
    }
    qr_sd_notify("STOPPING=1\nSTATUS=finishing requests");
    qr_log(QR_LOG_INFO, "gateway", "draining", "stopping: no new requests are taken",
           QR_LOG_U64("drain_timeout_ms", r->cfg->drain_timeout_ms), QR_LOG_END);
    qr_gw_drain(r->gw);
    r->stop_at = now + r->cfg->drain_timeout_ms * MS;
}

static int
loop(struct run *r)
{
    struct pollfd fds[QR_GW_POLL_MAX + 1];

    for (;;) {
        uint64_t now = qr_mono_ns();
        int timeout = qr_gw_poll_timeout(r->gw, now);
        if (r->stop_at || r->watchdog_every) {
            timeout = timeout > 100 ? 100 : timeout;
        }
        size_t n = qr_gw_poll_set(r->gw, fds);
        fds[n++] = (struct pollfd){.fd = r->sig, .events = POLLIN};
        if (poll(fds, n, timeout) < 0 && errno != EINTR) {
            qr_log(QR_LOG_ERROR, "gateway", "poll", "waiting for events failed",
                   QR_LOG_STR("why", strerror(errno)), QR_LOG_END);
            return QR_EXIT_INTERNAL;
        }
        now = qr_mono_ns();
        if (fds[n - 1].revents) {
            check_signals(r, now);
        }
        qr_gw_step(r->gw, now);
        tell_manager(r, now);
        if (r->stop_at && (qr_gw_idle(r->gw) || now >= r->stop_at)) {
            return QR_EXIT_OK;
        }
    }
}

int
main(int argc, char **argv)
{
    static struct qr_config_gateway cfg;
    char err[512];
    struct run r = {.cfg = &cfg, .party_up = -1};

    int code = qr_config_main(QR_CONFIG_GATEWAY, argc, argv, &cfg);
    if (code >= 0) {
        return code;
    }
    r.sig = open_signals();
    if (r.sig < 0) {
        qr_log(QR_LOG_ERROR, "gateway", "signals", "cannot watch signals",
               QR_LOG_STR("why", strerror(errno)), QR_LOG_END);
        return QR_EXIT_INTERNAL;
    }
    qr_err e = qr_gw_new(&cfg, &r.gw, err, sizeof err);
    if (e != QR_OK) {
        qr_log(QR_LOG_ERROR, "gateway", "start", err, QR_LOG_ERR(e), QR_LOG_END);
        return e == QR_ERR_ADDRESS || e == QR_ERR_NO_MEMORY ? QR_EXIT_TEMPORARY : QR_EXIT_CONFIG;
    }
    qr_log(QR_LOG_INFO, "gateway", "listening", cfg.tls_cert[0] ? "serving HTTPS" : "serving HTTP",
           QR_LOG_STR("listen", cfg.listen), QR_LOG_U64("port", qr_gw_port(r.gw)),
           QR_LOG_STR("party_socket", cfg.party_socket), QR_LOG_END);
    r.watchdog_every = qr_sd_watchdog_us() * 1000 / 3;
    qr_sd_notify("READY=1");
    code = loop(&r);
    qr_gw_free(r.gw);
    qr_log(QR_LOG_INFO, "gateway", "stopped", "stopped", QR_LOG_END);
    return code;
}
