/*
 * quorate-userdata: once per boot, from the provider's user data to the daemons' configuration.
 *
 * It runs before the party, as a user of its own, and is all that stands where cloud-init stands in
 * a stock image. What may come out is bounded by daemon/userdata.h; the paths, the sockets and the
 * platform are the image's own and come from this command line, which is measured with the image.
 */
#include "daemon/config.h"
#include "daemon/qtime.h"
#include "daemon/ud_fetch.h"
#include "daemon/userdata.h"
#include "protocol/base/enc.h"
#include "protocol/base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define FETCH_MAX (QR_USERDATA_MAX * 4u / 3u + 64u) /* in base64 */
#define DOCUMENT_MAX 262144u
#define TRY_MS 5000u
#define DOCUMENT_TRIES 5u
#define RELEASE_KEY "/usr/lib/quorate/release_key.der" /* in images that were built with one */
#define TRIES 60u /* a second apart: a network that is slow to come, not one that is absent */

struct options {
    const char *provider, *file, *out, *tee;
};

static int
fail(const char *what, const char *text, int code)
{
    (void)fprintf(stderr, "quorate-userdata: %s: %s\n", what, text);
    return code;
}

static int
usage(FILE *to, int code)
{
    (void)fprintf(
        to, "usage: quorate-userdata --tee NAME --out DIR (--provider gcp|azure | --file FILE)\n"
            "Writes quorated.conf, quorate-gateway.conf and resolv.conf to DIR, from the\n"
            "quorate: map of the user data, and the documents that it names.\n");
    return code;
}

static int
parse(int argc, char **argv, struct options *o)
{
    static const struct option options[] = {
        {"provider", required_argument, NULL, 'p'},
        {"file", required_argument, NULL, 'f'},
        {"out", required_argument, NULL, 'o'},
        {"tee", required_argument, NULL, 't'},
        {"version", no_argument, NULL, 'V'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    for (;;) {
        switch (getopt_long(argc, argv, "h", options, NULL)) {
        case 'p':
            o->provider = optarg;
            break;
        case 'f':
            o->file = optarg;
            break;
        case 'o':
            o->out = optarg;
            break;
        case 't':
            o->tee = optarg;
            break;
        case 'V':
            (void)printf("quorate-userdata %s\n", QR_PRODUCT_VERSION);
            return QR_EXIT_OK;
        case 'h':
            return usage(stdout, QR_EXIT_OK);
        case -1:
            return optind == argc && o->tee && o->out && !o->provider != !o->file
                       ? -1
                       : usage(stderr, QR_EXIT_USAGE);
        default:
            return usage(stderr, QR_EXIT_USAGE);
        }
    }
}

/* Renamed into place, so that nobody reads half a file. */
static int
write_file(const char *dir, const char *name, const void *data, size_t len)
{
    char tmp[512], path[512];
    int a = snprintf(tmp, sizeof tmp, "%s/.%s.new", dir, name);
    int b = snprintf(path, sizeof path, "%s/%s", dir, name);
    if (a < 0 || b < 0 || (size_t)a >= sizeof tmp || (size_t)b >= sizeof path) {
        return fail(name, "path is too long", QR_EXIT_CONFIG);
    }
    int fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    ssize_t n = fd < 0 ? -1 : write(fd, data, len);
    if (fd >= 0 && close(fd) != 0) {
        n = -1;
    }
    if (n < 0 || (size_t)n != len || rename(tmp, path) != 0) {
        (void)unlink(tmp);
        return fail(path, strerror(errno), QR_EXIT_TEMPORARY);
    }
    return QR_EXIT_OK;
}

static int
read_file(const char *path, uint8_t *buf, size_t cap, size_t *ret_len)
{
    FILE *f = fopen(path, "re");
    if (!f) {
        return fail(path, strerror(errno), QR_EXIT_CONFIG);
    }
    *ret_len = fread(buf, 1, cap, f);
    int bad = ferror(f);
    (void)fclose(f);
    return bad ? fail(path, "cannot be read", QR_EXIT_CONFIG) : QR_EXIT_OK;
}

/* Tries until it works, an error says that trying is of no use, or patience ends. */
static int
fetch(const char *url, const char *header, unsigned tries, uint8_t *buf, size_t cap,
      size_t *ret_len)
{
    char text[QR_UD_ERR_MAX] = "";
    qr_err e = QR_OK;
    for (unsigned i = 0; i < tries; i++) {
        e = qr_ud_get(url, header, TRY_MS, buf, cap, ret_len, text);
        if (e == QR_OK) {
            return QR_EXIT_OK;
        }
        if (i == 0 || qr_err_class(e) != QR_CLASS_TEMPORARY) {
            (void)fail("fetching", text, 0);
        }
        if (qr_err_class(e) != QR_CLASS_TEMPORARY) {
            return QR_EXIT_CONFIG;
        }
        const struct timespec pause = {.tv_sec = 1};
        (void)nanosleep(&pause, NULL);
    }
    return fail("gave up fetching", text, QR_EXIT_TEMPORARY);
}

/* In place. */
static int
from_base64(uint8_t *buf, size_t *len)
{
    size_t n = *len, text_len = 0;
    uint8_t *text = qr_alloc(QR_USERDATA_MAX + 1);
    if (!text) {
        return fail("memory", "none left", QR_EXIT_TEMPORARY);
    }
    while (n > 0 && (buf[n - 1] == '\n' || buf[n - 1] == '\r')) {
        n--;
    }
    qr_err e = qr_b64_decode((const char *)buf, n, text, QR_USERDATA_MAX + 1, &text_len);
    if (e == QR_OK) {
        memcpy(buf, text, text_len);
        *len = text_len;
    }
    text = qr_free(text);
    return e == QR_OK ? QR_EXIT_OK : fail("user data", "not base64, or too long", QR_EXIT_CONFIG);
}

static int
get_document(const struct options *o, uint8_t *buf, size_t cap, size_t *ret_len)
{
    enum qr_ud_provider provider = QR_UD_GCP;
    if (o->file) {
        return read_file(o->file, buf, cap, ret_len);
    }
    if (!qr_ud_provider_parse(o->provider, &provider)) {
        return usage(stderr, QR_EXIT_USAGE);
    }
    const struct qr_ud_source *s = qr_ud_source(provider);
    int r = fetch(s->url, s->header, TRIES, buf, cap, ret_len);
    return r == QR_EXIT_OK && s->base64 ? from_base64(buf, ret_len) : r;
}

static int
write_resolver(const struct options *o, const struct qr_userdata *u)
{
    enum qr_ud_provider provider = QR_UD_GCP;
    char text[QR_USERDATA_VALUE_MAX + 16];
    const char *dns = qr_userdata_get(u, "network", "dns");
    if (dns[0] == '\0' && o->provider && qr_ud_provider_parse(o->provider, &provider)) {
        dns = qr_ud_source(provider)->dns;
    }
    int n = snprintf(text, sizeof text, "%s%s\n", dns[0] ? "nameserver " : "# none", dns);
    return n < 0 ? QR_EXIT_INTERNAL : write_file(o->out, "resolv.conf", text, (size_t)n);
}

/* Written, then read as the daemon will read it: what it would refuse is refused here, by name. */
static int
write_conf(const struct options *o, const struct qr_userdata *u, enum qr_userdata_role role,
           const char *name, const struct qr_userdata_fixed *fixed)
{
    char text[QR_USERDATA_CONF_MAX], err[512] = "";
    union {
        struct qr_config_party party;
        struct qr_config_gateway gateway;
    } cfg;
    if (qr_userdata_conf(u, role, fixed, text, sizeof text) != QR_OK) {
        return fail(name, "is too long", QR_EXIT_CONFIG);
    }
    int r = write_file(o->out, name, text, strlen(text));
    if (r != QR_EXIT_OK) {
        return r;
    }
    int n = snprintf(text, sizeof text, "%s/%s", o->out, name);
    if (n < 0 || (size_t)n >= sizeof text) {
        return QR_EXIT_INTERNAL;
    }
    if (qr_config_load(role == QR_USERDATA_PARTY ? QR_CONFIG_PARTY : QR_CONFIG_GATEWAY, text, &cfg,
                       err, sizeof err) != QR_OK) {
        (void)unlink(text);
        return fail("user data", err, QR_EXIT_CONFIG);
    }
    return QR_EXIT_OK;
}

static int
write_all(const struct options *o, const struct qr_userdata *u)
{
    /* What quorate-devices.service made for the party's user; the software TEE has no devices. */
    int hardware = strcmp(o->tee, "sim") != 0;
    char release[QR_CONFIG_TEXT_MAX];
    struct qr_userdata_fixed party[] = {
        {"party", "state_dir", "/var/lib/quorate/party"},
        {"party", "gateway_socket", "/run/quorate/party/gateway.sock"},
        {"party", "admin_socket", "/run/quorate/party/admin.sock"},
        {"log", "format", "json"},
        {"tee", "platform", o->tee},
        {NULL, NULL, NULL},
        {NULL, NULL, NULL},
        {NULL, NULL, NULL},
        {NULL, NULL, NULL},
        {NULL, NULL, NULL},
    };
    size_t n = sizeof party / sizeof party[0] - 5;
    if (strcmp(o->tee, "gcp-vtpm") == 0) {
        party[n++] = (struct qr_userdata_fixed){"tee", "tsm_entry", "quorate"};
    }
    if (hardware) {
        party[n++] = (struct qr_userdata_fixed){"tee", "tcg_log", "/run/quorate-devices/tcg_log"};
    }
    if (hardware && access(RELEASE_KEY, R_OK) == 0) {
        (void)snprintf(release, sizeof release, "%s/release.stmt", o->out);
        party[n++] = (struct qr_userdata_fixed){"tee", "release_key", RELEASE_KEY};
        party[n++] = (struct qr_userdata_fixed){"tee", "release", release};
    }
    const struct qr_userdata_fixed gateway[] = {
        {"gateway", "party_socket", "/run/quorate/party/gateway.sock"},
        {"audit", "path", "/var/lib/quorate/party-audit"},
        {"log", "format", "json"},
        {NULL, NULL, NULL},
    };
    int r = write_resolver(o, u);
    if (r == QR_EXIT_OK) {
        r = write_conf(o, u, QR_USERDATA_PARTY, "quorated.conf", party);
    }
    if (r == QR_EXIT_OK) {
        r = write_conf(o, u, QR_USERDATA_GATEWAY, "quorate-gateway.conf", gateway);
    }
    return r;
}

/*
 * Documents that the map names, with their stamps beside them. Untrusted: the party, or the TPM, judges
 * them. One that cannot be had is told and left out: a party that started before has its own.
 */
static int
get_documents(const struct options *o, const struct qr_userdata *u)
{
    static const struct {
        const char *key, *file;
        int stamps;
    } documents[] = {
        {"roster", "roster.json", 1}, {"policy", "policy.json", 1}, {"release", "release.stmt", 0}};
    char url[QR_USERDATA_VALUE_MAX + 16], name[32];
    int r = QR_EXIT_OK;
    size_t len = 0;
    uint8_t *buf = qr_alloc(DOCUMENT_MAX);
    if (!buf) {
        return fail("memory", "none left", QR_EXIT_TEMPORARY);
    }
    for (size_t i = 0; i < sizeof documents / sizeof documents[0] && r == QR_EXIT_OK; i++) {
        const char *value = qr_userdata_get(u, "documents", documents[i].key);
        for (int k = 0; k <= documents[i].stamps && value[0] && r == QR_EXIT_OK; k++) {
            (void)snprintf(url, sizeof url, "%s%s", value, k ? ".stamps" : "");
            (void)snprintf(name, sizeof name, "%s%s", documents[i].file, k ? ".stamps" : "");
            if (fetch(url, NULL, DOCUMENT_TRIES, buf, DOCUMENT_MAX, &len) != QR_EXIT_OK) {
                break;
            }
            r = write_file(o->out, name, buf, len);
        }
    }
    buf = qr_free(buf);
    return r;
}

int
main(int argc, char **argv)
{
    struct options o = {NULL, NULL, NULL, NULL};
    char err[QR_USERDATA_ERR_MAX];
    struct qr_userdata u;
    size_t len = 0;

    int r = parse(argc, argv, &o);
    if (r >= 0) {
        return r;
    }
    uint8_t *buf = qr_alloc(FETCH_MAX);
    if (!buf) {
        return fail("memory", "none left", QR_EXIT_TEMPORARY);
    }
    r = get_document(&o, buf, FETCH_MAX, &len);
    if (r == QR_EXIT_OK && qr_userdata_parse(buf, len, &u, err) != QR_OK) {
        r = fail("user data", err, QR_EXIT_CONFIG);
    }
    if (r == QR_EXIT_OK) {
        r = write_all(&o, &u);
    }
    if (r == QR_EXIT_OK) {
        r = get_documents(&o, &u);
    }
    buf = qr_free(buf);
    return r;
}
