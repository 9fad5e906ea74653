/*
 * quorate facade: other APIs in front of a quorum, beside the client, until SIGTERM.
 *
 * It holds the client's stamp key, so it listens on this machine only, and its configuration and its
 * key lie in files that nobody else may read.
 */
#include "daemon/ctl.h"

#include "daemon/client/client.h"
#include "daemon/facade/kms.h"
#include "daemon/facade/rpc.h"
#include "daemon/log.h"
#include "daemon/loop.h"
#include "daemon/sdnotify.h"

#include <openssl/evp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

struct facade {
    const char *listen, *gateways, *roster, *client_key, *config, *ca;
    struct qr_roster *r;
    EVP_PKEY *key;
    struct qr_facade_conf *conf;
    struct qr_client *client;
};

static void
on_step(void *ctx, enum qr_client_step step, const char *gateway, const struct qr_client_fail *f)
{
    (void)ctx;
    if (step == QR_CLIENT_FAILED) {
        qr_log(QR_LOG_WARN, "facade", "gateway_failed", f->text, QR_LOG_STR("gateway", gateway),
               QR_LOG_END);
    }
}

static int
load(const struct qr_ctl *c, struct facade *f, enum qr_facade_sort sort)
{
    char err[512] = "";
    struct qr_dbuf d;

    int code = qr_ctl_read(c, f->roster, QR_DOC_MAX, &d);
    if (code != QR_EXIT_OK) {
        return code;
    }
    qr_err e = qr_roster_parse(qr_view_of(d.p, d.len), &f->r, err, sizeof err);
    qr_dbuf_free(&d);
    if (e != QR_OK) {
        return qr_ctl_fail(c, QR_EXIT_CONFIG, "%s: %s", f->roster, err);
    }
    code = qr_ctl_load_key(c, f->client_key, &f->key);
    if (code != QR_EXIT_OK) {
        return code;
    }
    if (qr_facade_conf_load(sort, f->config, &f->conf, err, sizeof err) != QR_OK) {
        return qr_ctl_fail(c, QR_EXIT_CONFIG, "%s", err);
    }
    const struct qr_client_opts o = {.gateways = f->gateways,
                                     .roster = f->r,
                                     .key = f->key,
                                     .ca_file = f->ca,
                                     .on_step = on_step};
    return qr_client_new(&o, &f->client, err, sizeof err) == QR_OK
               ? QR_EXIT_OK
               : qr_ctl_fail(c, QR_EXIT_USAGE, "--gateway: %s", err);
}

/* Blocked before threads start, so that only sigwait sees them. */
static int
block_stop(sigset_t *stop)
{
    sigemptyset(stop);
    sigaddset(stop, SIGTERM);
    sigaddset(stop, SIGINT);
    return pthread_sigmask(SIG_BLOCK, stop, NULL) == 0;
}

/* Serves until SIGTERM or SIGINT. */
static int
serve(const struct qr_ctl *c, const struct facade *f, enum qr_facade_sort sort)
{
    struct qr_facade_http *h = NULL;
    struct qr_kms kms = {.client = f->client, .conf = f->conf, .now_ms = qr_wall_ms};
    struct qr_rpc *rpc = qr_alloc(sizeof *rpc);
    char err[512];
    sigset_t stop;
    int got = 0;

    if (!rpc || qr_rpc_init(rpc, f->client, f->conf) != QR_OK || !block_stop(&stop)) {
        qr_free(rpc);
        return qr_ctl_fail(c, QR_EXIT_INTERNAL, "no memory, or signals cannot be blocked");
    }
    qr_err e = sort == QR_FACADE_KMS ? qr_facade_http_new(f->listen, QR_KMS_BODY_MAX, qr_kms_handle,
                                                          &kms, &h, err, sizeof err)
                                     : qr_facade_http_new(f->listen, QR_RPC_BODY_MAX, qr_rpc_handle,
                                                          rpc, &h, err, sizeof err);
    if (e == QR_OK) {
        qr_rpc_listens(rpc, f->listen, qr_facade_http_port(h));
        qr_log(QR_LOG_INFO, "facade", "listening", "the facade answers",
               QR_LOG_STR("listen", f->listen), QR_LOG_U64("port", qr_facade_http_port(h)),
               QR_LOG_END);
        (void)qr_sd_notify("READY=1");
        while (sigwait(&stop, &got) != 0) {
        }
        (void)qr_sd_notify("STOPPING=1");
        qr_log(QR_LOG_INFO, "facade", "stopping", "no new request is taken", QR_LOG_END);
        qr_facade_http_free(h);
    }
    qr_rpc_clear(rpc);
    qr_free(rpc);
    return e == QR_OK ? QR_EXIT_OK : qr_ctl_fail(c, QR_EXIT_CONFIG, "%s", err);
}

static int
facade(struct qr_ctl *c, const struct qr_ctl_cmd *cmd, int argc, char **argv,
       enum qr_facade_sort sort)
{
    struct facade f = {0};
    struct qr_ctl_list rest;
    const struct qr_ctl_opt opts[] = {
        {"listen", QR_CTL_TEXT, &f.listen, "ADDRESS",
         "127.0.0.1:PORT, [::1]:PORT or unix:PATH; nothing else", 1, 0},
        {"gateway", QR_CTL_TEXT, &f.gateways, "URL[,URL...]", "gateways, tried in this order", 1,
         0},
        {"roster", QR_CTL_TEXT, &f.roster, "FILE", "the roster you trust", 1, 0},
        {"client", QR_CTL_TEXT, &f.client_key, "FILE",
         "the client's private key, whose public half is in the policy", 1, 0},
        {"config", QR_CTL_TEXT, &f.config, "FILE", "keys and access, mode 0600", 1, 0},
        {"ca", QR_CTL_TEXT, &f.ca, "FILE", "roots for https instead of the system's", 0, 0},
        {.kind = QR_CTL_END},
    };

    int code = qr_ctl_parse(c, cmd, opts, argc, argv, &rest, 0, 0);
    if (code >= 0) {
        return code;
    }
    qr_log_init(QR_LOG_INFO, c->json ? QR_LOG_JSON : QR_LOG_AUTO);
    code = load(c, &f, sort);
    if (code == QR_EXIT_OK && sort == QR_FACADE_RPC && !f.conf->token[0] &&
        strncmp(f.listen, "unix:", 5) != 0) {
        code = qr_ctl_fail(c, QR_EXIT_CONFIG, "%s: token must be there, or listen on unix:PATH",
                           f.config);
    }
    if (code == QR_EXIT_OK) {
        code = serve(c, &f, sort);
    }
    qr_client_free(f.client);
    qr_facade_conf_free(f.conf);
    EVP_PKEY_free(f.key);
    qr_roster_free(f.r);
    return code;
}

static int
facade_kms(struct qr_ctl *c, const struct qr_ctl_cmd *cmd, int argc, char **argv)
{
    return facade(c, cmd, argc, argv, QR_FACADE_KMS);
}

static int
facade_rpc(struct qr_ctl *c, const struct qr_ctl_cmd *cmd, int argc, char **argv)
{
    return facade(c, cmd, argc, argv, QR_FACADE_RPC);
}

const struct qr_ctl_cmd qr_ctl_facade_cmds[] = {
    {"facade kms", "", "Answer a key manager's JSON API on this machine, in a client's name.",
     facade_kms},
    {"facade rpc", "", "Answer Ethereum JSON-RPC's signing methods on this machine.", facade_rpc},
    {.name = NULL},
};
