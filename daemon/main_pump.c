/*
 * quorate-pump: one half of the pump between an enclave and its parent (enclave-shim/pump/pump.h).
 * libc is all it needs, and libseccomp inside.
 */
#include "build_info.h"
#include "daemon/config.h"
#include "daemon/log.h"
#include "daemon/sdnotify.h"
#include "enclave-shim/pump/pump.h"
#include "enclave-shim/sandbox.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

/* Streams, listeners, trunks, and what a process has anyway. */
#define DESCRIPTORS (QR_PUMP_TRUNKS * (QR_PUMP_STREAMS + 2u) + QR_PUMP_ROUTES + 32u)

static volatile sig_atomic_t stop;

static void
on_signal(int sig)
{
    (void)sig;
    stop = 1;
}

static void
on_log(void *ctx, enum qr_pump_log level, const char *ev, const char *msg)
{
    (void)ctx;
    qr_log(level == QR_PUMP_WARN ? QR_LOG_WARN : QR_LOG_INFO, "pump", ev, msg, QR_LOG_END);
}

static void
usage(FILE *out)
{
    fprintf(out,
            "Usage: quorate-pump --inside|--outside --config FILE [--check-config]\n"
            "       quorate-pump --version | --help\n\n"
            "Runs one half of the pump that carries an enclave's connections: --inside in the\n"
            "enclave, --outside on its parent.\n\n"
            "  -c, --config FILE    routes; see enclave-shim/pump/README.md\n"
            "      --check-config   exit 0 if the file is good, or 78\n"
            "  -V, --version\n"
            "  -h, --help\n");
}

/* An enum qr_exit, or -1 to go on. */
static int
command_line(int argc, char **argv, struct qr_pump_conf *ret)
{
    static const struct option options[] = {
        {"inside", no_argument, NULL, 'i'},
        {"outside", no_argument, NULL, 'o'},
        {"config", required_argument, NULL, 'c'},
        {"check-config", no_argument, NULL, 'k'},
        {"version", no_argument, NULL, 'V'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    const char *path = NULL;
    char err[512];
    int side = 0, check = 0, c;

    while ((c = getopt_long(argc, argv, "c:Vh", options, NULL)) != -1) {
        switch (c) {
        case 'i':
        case 'o':
            if (side) {
                usage(stderr);
                return QR_EXIT_USAGE;
            }
            side = c == 'i' ? QR_PUMP_INSIDE : QR_PUMP_OUTSIDE;
            break;
        case 'c':
            path = optarg;
            break;
        case 'k':
            check = 1;
            break;
        case 'V':
            printf("quorate-pump %s (%s), trunk %u\n", QR_PRODUCT_VERSION, QR_BUILD_COMMIT,
                   QR_PUMP_VERSION);
            return QR_EXIT_OK;
        case 'h':
            usage(stdout);
            return QR_EXIT_OK;
        default:
            usage(stderr);
            return QR_EXIT_USAGE;
        }
    }
    if (!side || !path || optind < argc) {
        usage(stderr);
        return QR_EXIT_USAGE;
    }
    if (qr_pump_conf_load((enum qr_pump_side)side, path, ret, err, sizeof err) != QR_OK) {
        fprintf(stderr, "quorate-pump: %s\n", err);
        return QR_EXIT_CONFIG;
    }
    return check ? QR_EXIT_OK : -1;
}

/* Signals, descriptors, and no way to more rights. */
static int
prepare(void)
{
    const struct sigaction act = {.sa_handler = on_signal};
    struct rlimit files = {DESCRIPTORS, DESCRIPTORS}, now;

    if (getrlimit(RLIMIT_NOFILE, &now) == 0 && now.rlim_max < DESCRIPTORS) {
        files = (struct rlimit){now.rlim_max, now.rlim_max}; /* connections beyond it will wait */
    }
    return sigaction(SIGTERM, &act, NULL) == 0 && sigaction(SIGINT, &act, NULL) == 0 &&
           signal(SIGPIPE, SIG_IGN) != SIG_ERR && setrlimit(RLIMIT_NOFILE, &files) == 0 &&
           prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;
}

static qr_err
confine(char *err_text, size_t err_cap)
{
    QR_TRY(qr_sandbox_harden(err_text, err_cap));
    return qr_sandbox_enter(err_text, err_cap);
}

int
main(int argc, char **argv)
{
    static struct qr_pump_conf conf;
    struct qr_pump *p = NULL;
    char err[512] = "";

    int r = command_line(argc, argv, &conf);
    if (r >= 0) {
        return r;
    }
    qr_log_init(QR_LOG_INFO, QR_LOG_AUTO);
    if (!prepare()) {
        qr_log(QR_LOG_ERROR, "pump", "process", "the process cannot be prepared",
               QR_LOG_STR("why", strerror(errno)), QR_LOG_END);
        return QR_EXIT_INTERNAL;
    }
    qr_err e = qr_pump_new(&conf, on_log, NULL, &p, err, sizeof err);
    if (e != QR_OK) {
        qr_log(QR_LOG_ERROR, "pump", "cannot_start", err, QR_LOG_ERR(e), QR_LOG_END);
        return QR_EXIT_TEMPORARY;
    }
    /* It reads what the host sends, beside a party: with a party's list of system calls, or not at all. */
    if (conf.side == QR_PUMP_INSIDE && (e = confine(err, sizeof err)) != QR_OK) {
        qr_log(QR_LOG_ERROR, "pump", "cannot_start", err, QR_LOG_ERR(e), QR_LOG_END);
        return QR_EXIT_CONFIG;
    }
    qr_log(QR_LOG_INFO, "pump", "started",
           conf.side == QR_PUMP_INSIDE ? "inside half started" : "outside half started",
           QR_LOG_U64("trunks", conf.trunks), QR_LOG_END);
    (void)qr_sd_notify("READY=1");
    while (!stop) {
        qr_pump_step(p, -1);
    }
    (void)qr_sd_notify("STOPPING=1");
    qr_pump_free(p);
    qr_log(QR_LOG_INFO, "pump", "stopped", "stopped", QR_LOG_END);
    return QR_EXIT_OK;
}
