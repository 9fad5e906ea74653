#include "daemon/gw_int.h"

#include "daemon/addr.h"
#include "daemon/log.h"
#include "daemon/sdnotify.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define MS UINT64_C(1000000)
#define BACKLOG 4096
#define PEM_MAX (64u * 1024u)
#define SPARE_FDS (QR_GW_SURPLUS + 64u)
#define TLS_PRIORITY "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"

static void fail(char *err_text, size_t err_cap, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void
fail(char *err_text, size_t err_cap, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    vsnprintf(err_text, err_cap, format, ap);
    va_end(ap);
}

/* ---- sockets and files ---- */

static qr_err
listen_on(const char *text, const char *sd_name, int *ret_fd, char *err_text, size_t err_cap)
{
    struct qr_addr a;
    int one = 1, fd = qr_sd_listen_fd(sd_name);

    if (fd >= 0) {
        /* Handed over by the service manager, already bound; the rule about TLS was checked for
           the configured address, so it must be that one. */
        struct qr_addr bound = {.len = sizeof bound.ss};
        if (getsockname(fd, (struct sockaddr *)&bound.ss, &bound.len) != 0 ||
            qr_addr_parse(text, &a) != QR_OK ||
            (qr_addr_is_loopback(&a) && !qr_addr_is_loopback(&bound))) {
            fail(err_text, err_cap, "the inherited socket \"%s\" is not bound to %s", sd_name,
                 text);
            return QR_ERR_ADDRESS;
        }
    } else {
        QR_TRY(qr_addr_parse(text, &a));
        fd = socket(a.ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) != 0 ||
            (a.ss.ss_family == AF_INET6 &&
             setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one) != 0) ||
            bind(fd, (const struct sockaddr *)&a.ss, a.len) != 0 || listen(fd, BACKLOG) != 0) {
            fail(err_text, err_cap, "cannot listen on %s: %s%s", text, strerror(errno),
                 errno == EADDRINUSE ? "; another process, perhaps a second gateway, has it" : "");
            if (fd >= 0) {
                close(fd);
            }
            return QR_ERR_ADDRESS;
        }
    }
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0) {
        fail(err_text, err_cap, "cannot listen on %s: %s", text, strerror(errno));
        close(fd);
        return QR_ERR_ADDRESS;
    }
    *ret_fd = fd;
    return QR_OK;
}

static uint16_t
port_of(int fd)
{
    struct qr_addr a = {.len = sizeof a.ss};
    if (getsockname(fd, (struct sockaddr *)&a.ss, &a.len) != 0) {
        return 0;
    }
    return a.ss.ss_family == AF_INET6 ? ntohs(((struct sockaddr_in6 *)&a.ss)->sin6_port)
                                      : ntohs(((struct sockaddr_in *)&a.ss)->sin_port);
}

/* A PEM file as text. secret: nobody but its owner may read it. */
static qr_err
read_pem(const char *path, int secret, char **ret, char *err_text, size_t err_cap)
{
    struct stat st;
    qr_err e = QR_ERR_CONFIG;
    char *text = NULL;
    ssize_t n;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0 || fstat(fd, &st) != 0) {
        fail(err_text, err_cap, "%s: %s", path, strerror(errno));
        goto out;
    }
    if (secret && (st.st_mode & 077) != 0) {
        fail(err_text, err_cap, "%s: mode %04o lets others use the private key; chmod 0600 it",
             path, (unsigned)st.st_mode & 07777u);
        e = QR_ERR_PERMISSIONS;
        goto out;
    }
    text = qr_alloc(PEM_MAX + 1);
    n = text ? read(fd, text, PEM_MAX + 1) : -1;
    if (n <= 0 || (size_t)n > PEM_MAX) {
        fail(err_text, err_cap, "%s: %s", path,
             n < 0    ? "cannot be read"
             : n == 0 ? "is empty"
                      : "is longer than 64 KiB");
        goto out;
    }
    text[n] = '\0';
    *ret = text;
    text = NULL;
    e = QR_OK;
out:
    qr_free(text);
    if (fd >= 0) {
        close(fd);
    }
    return e;
}

/* ---- the HTTP library ---- */

static void on_mhd_log(void *cls, const char *format, va_list ap)
    __attribute__((format(printf, 2, 0)));

static void
on_mhd_log(void *cls, const char *format, va_list ap)
{
    struct qr_gw *g = cls;
    vsnprintf(g->mhd_error, sizeof g->mhd_error, format, ap);
    g->mhd_error[strcspn(g->mhd_error, "\n")] = '\0';
    qr_log(QR_LOG_DEBUG, "gateway", "http_library", g->mhd_error, QR_LOG_END);
}

/* Paths and parameters are taken as they are. */
static size_t
no_unescape(void *cls, struct MHD_Connection *mhd, char *s)
{
    (void)cls;
    (void)mhd;
    return strlen(s);
}

static qr_err
start_listener(struct qr_gw *g, struct qr_gw_listener *l, const char *address, const char *sd_name,
               int tls, char *err_text, size_t err_cap)
{
    const struct qr_config_gateway *cfg = &g->cfg;
    unsigned flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG |
                     (tls ? (unsigned)MHD_USE_TLS : 0u);
    unsigned idle_s = (cfg->idle_timeout_ms + 999) / 1000;
    struct MHD_OptionItem tls_options[] = {
        {MHD_OPTION_HTTPS_MEM_CERT, 0, g->tls_cert},
        {MHD_OPTION_HTTPS_MEM_KEY, 0, g->tls_key},
        {MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)(uintptr_t)TLS_PRIORITY},
        {MHD_OPTION_END, 0, NULL},
    };
    struct MHD_OptionItem no_options[] = {{MHD_OPTION_END, 0, NULL}};
    int fd = -1;

    QR_TRY(listen_on(address, sd_name, &fd, err_text, err_cap));
    l->gw = g;
    l->port = port_of(fd);
    g->mhd_error[0] = '\0';
    l->mhd = MHD_start_daemon(
        flags, 0, NULL, NULL, qr_gw_on_request, l, MHD_OPTION_EXTERNAL_LOGGER, on_mhd_log, g,
        MHD_OPTION_LISTEN_SOCKET, (MHD_socket)fd, MHD_OPTION_NOTIFY_CONNECTION, qr_gw_on_connection,
        l, MHD_OPTION_NOTIFY_COMPLETED, qr_gw_on_completed, l, MHD_OPTION_UNESCAPE_CALLBACK,
        no_unescape, NULL, MHD_OPTION_CONNECTION_LIMIT,
        (unsigned)cfg->max_connections + QR_GW_SURPLUS, MHD_OPTION_PER_IP_CONNECTION_LIMIT,
        (unsigned)cfg->max_per_ip, MHD_OPTION_CONNECTION_TIMEOUT, idle_s,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)cfg->header_max,
#if MHD_VERSION >= 0x00097701
        MHD_OPTION_CLIENT_DISCIPLINE_LVL, 1,
#else
        MHD_OPTION_STRICT_FOR_CLIENT, 1,
#endif
        MHD_OPTION_ARRAY, tls ? tls_options : no_options, MHD_OPTION_END);
    if (!l->mhd) {
        fail(err_text, err_cap, "the HTTP library does not start on %s: %s", address,
             g->mhd_error[0] ? g->mhd_error : "no reason given");
        close(fd);
        return QR_ERR_CONFIG;
    }
    const union MHD_DaemonInfo *i = MHD_get_daemon_info(l->mhd, MHD_DAEMON_INFO_EPOLL_FD);
    l->epoll_fd = i ? i->epoll_fd : -1;
    if (l->epoll_fd < 0) {
        fail(err_text, err_cap, "the HTTP library has no epoll support");
        return QR_ERR_CONFIG;
    }
    return QR_OK;
}

/* A descriptor for every connection that the configuration allows. */
static void
raise_fd_limit(const struct qr_config_gateway *cfg)
{
    struct rlimit r;
    rlim_t want = cfg->max_connections + SPARE_FDS;

    if (getrlimit(RLIMIT_NOFILE, &r) != 0 || r.rlim_cur >= want) {
        return;
    }
    r.rlim_cur = r.rlim_max < want ? r.rlim_max : want;
    (void)setrlimit(RLIMIT_NOFILE, &r);
    if (r.rlim_cur < want) {
        qr_log(QR_LOG_WARN, "gateway", "fd_limit",
               "the limit of open files is below max_connections; raise LimitNOFILE",
               QR_LOG_U64("limit", r.rlim_cur), QR_LOG_U64("wanted", want), QR_LOG_END);
    }
}

qr_err
qr_gw_new(const struct qr_config_gateway *cfg, struct qr_gw **ret, char *err_text, size_t err_cap)
{
    struct qr_gw *g = qr_alloc(sizeof *g);
    qr_err e = QR_ERR_NO_MEMORY;

    fail(err_text, err_cap, "out of memory");
    if (!g) {
        return e;
    }
    g->cfg = *cfg;
    qr_dbuf_init(&g->scratch, QR_ANSWER_FRAME_MAX + 64 * 1024);
    struct qr_gw_party_cfg pc = {.path = g->cfg.party_socket,
                                 .max_in_flight = cfg->max_in_flight,
                                 .answer_timeout_ms = cfg->answer_timeout_ms,
                                 .ctx = g,
                                 .on_answer = qr_gw_on_answer};
    int tls = cfg->tls_cert[0] != '\0', own_metrics = cfg->metrics_listen[0] != '\0';
    struct qr_addr a;

    if ((e = qr_gw_party_new(&pc, &g->party)) != QR_OK ||
        (e = qr_gw_feed_new(&g->cfg, g->party, &g->feed, err_text, err_cap)) != QR_OK) {
        goto out;
    }
    if (cfg->store.path[0] && (e = qr_gw_store_new(cfg->store.path, cfg->store.listen, &g->store,
                                                   err_text, err_cap)) != QR_OK) {
        goto out;
    }
    if (cfg->audit.path[0] &&
        (e = qr_gw_audit_new(cfg->audit.path, g->party, &g->audit, err_text, err_cap)) != QR_OK) {
        goto out;
    }
    if (!cfg->audit.path[0]) {
        qr_log(
            QR_LOG_WARN, "audit", "not_kept",
            "[audit] path is not set: the party stops taking requests when its audit log is full",
            QR_LOG_END);
    }
    if (tls && ((e = read_pem(cfg->tls_cert, 0, &g->tls_cert, err_text, err_cap)) != QR_OK ||
                (e = read_pem(cfg->tls_key, 1, &g->tls_key, err_text, err_cap)) != QR_OK)) {
        goto out;
    }
    if ((e = qr_gw_cors_parse(cfg->cors, &g->cors, err_text, err_cap)) != QR_OK) {
        goto out;
    }
    raise_fd_limit(cfg);
    e = start_listener(g, &g->api, cfg->listen, "api", tls, err_text, err_cap);
    if (e == QR_OK && own_metrics) {
        e = start_listener(g, &g->metrics, cfg->metrics_listen, "metrics", 0, err_text, err_cap);
    }
    if (e != QR_OK) {
        goto out;
    }
    g->api.api = 1;
    g->api.metrics =
        !own_metrics && qr_addr_parse(cfg->listen, &a) == QR_OK && qr_addr_is_loopback(&a);
    g->metrics.metrics = 1;
    *ret = g;
    return QR_OK;
out:
    qr_gw_free(g);
    return e;
}

struct qr_gw *
qr_gw_free(struct qr_gw *g)
{
    if (!g) {
        return NULL;
    }
    /* The library must not be stopped with suspended connections. */
    for (struct qr_gw_conn *c = g->conns; c; c = c->next) {
        if (c->phase == QR_GW_WAITING) {
            qr_gw_party_forget(g->party, c->ask_id);
            qr_gw_crowd_done(c);
            c->phase = QR_GW_SENDING; /* no reply: the connection is closed */
            MHD_resume_connection(c->mhd);
        }
    }
    if (g->api.mhd) {
        MHD_stop_daemon(g->api.mhd);
    }
    if (g->metrics.mhd) {
        MHD_stop_daemon(g->metrics.mhd);
    }
    qr_gw_store_free(g->store);
    qr_gw_audit_free(g->audit);
    qr_gw_feed_free(g->feed);
    qr_gw_party_free(g->party);
    qr_dbuf_free(&g->scratch);
    if (g->tls_key) {
        explicit_bzero(g->tls_key, strlen(g->tls_key));
    }
    qr_free(g->tls_cert);
    qr_free(g->tls_key);
    return qr_free(g);
}

/* ---- the loop ---- */

size_t
qr_gw_poll_set(const struct qr_gw *g, struct pollfd out[static QR_GW_POLL_MAX])
{
    size_t n = 0;
    out[n++] = (struct pollfd){.fd = g->api.epoll_fd, .events = POLLIN};
    if (g->metrics.mhd) {
        out[n++] = (struct pollfd){.fd = g->metrics.epoll_fd, .events = POLLIN};
    }
    if (qr_gw_party_fd(g->party) >= 0) {
        out[n++] =
            (struct pollfd){.fd = qr_gw_party_fd(g->party), .events = qr_gw_party_events(g->party)};
    }
    if (qr_gw_feed_fd(g->feed) >= 0) {
        out[n++] = (struct pollfd){.fd = qr_gw_feed_fd(g->feed), .events = POLLIN};
    }
    if (g->audit && qr_gw_audit_fd(g->audit) >= 0) {
        out[n++] = (struct pollfd){.fd = qr_gw_audit_fd(g->audit), .events = POLLIN};
    }
    if (g->store) {
        out[n++] = (struct pollfd){.fd = qr_gw_store_fd(g->store), .events = POLLIN};
    }
    return n;
}

static int
earlier(int timeout_ms, const struct qr_gw_listener *l)
{
    MHD_UNSIGNED_LONG_LONG t = 0;
    if (!l->mhd || MHD_get_timeout(l->mhd, &t) != MHD_YES || t >= (unsigned)timeout_ms) {
        return timeout_ms;
    }
    return (int)t;
}

int
qr_gw_poll_timeout(const struct qr_gw *g, uint64_t now_ns)
{
    uint64_t at = qr_gw_party_deadline(g->party), feed = qr_gw_feed_deadline(g->feed);
    uint64_t audit = g->audit ? qr_gw_audit_deadline(g->audit) : UINT64_MAX;
    at = feed < at ? feed : at;
    at = audit < at ? audit : at;
    if (g->conns && g->sweep_at < at) {
        at = g->sweep_at;
    }
    uint64_t ms = at <= now_ns ? 0 : (at - now_ns + MS - 1) / MS;
    int timeout = ms > 60000 ? 60000 : (int)ms;
    timeout = earlier(timeout, &g->api);
    return earlier(timeout, &g->metrics);
}

void
qr_gw_step(struct qr_gw *g, uint64_t now_ns)
{
    g->now_ns = now_ns;
    qr_gw_party_step(g->party, now_ns);
    qr_gw_feed_step(g->feed, now_ns);
    if (g->audit) {
        qr_gw_audit_step(g->audit, now_ns);
    }
    if (g->store) {
        qr_gw_store_step(g->store);
    }
    MHD_run(g->api.mhd);
    if (g->metrics.mhd) {
        MHD_run(g->metrics.mhd);
    }
    qr_gw_party_flush(g->party, now_ns);
    qr_gw_crowd_shed(g);
    qr_gw_crowd_sweep(g);
}

void
qr_gw_drain(struct qr_gw *g)
{
    g->draining = 1;
    MHD_socket fd = MHD_quiesce_daemon(g->api.mhd);
    if (fd != MHD_INVALID_SOCKET) {
        close(fd);
    }
}

int
qr_gw_idle(const struct qr_gw *g)
{
    for (const struct qr_gw_conn *c = g->conns; c; c = c->next) {
        if (c->phase != QR_GW_IDLE) {
            return 0;
        }
    }
    return 1;
}

uint16_t
qr_gw_port(const struct qr_gw *g)
{
    return g->api.port;
}

uint16_t
qr_gw_metrics_port(const struct qr_gw *g)
{
    return g->metrics.port;
}

int
qr_gw_party_is_up(const struct qr_gw *g)
{
    return qr_gw_party_up(g->party);
}
