#include "daemon/gw_cors.h"

#include "daemon/addr.h"

#include <stdio.h>

/* What follows `prefix` in v, or an empty view with p NULL. */
static qr_view
behind(qr_view v, const char *prefix)
{
    size_t n = strlen(prefix);
    if (v.len < n || memcmp(v.p, prefix, n) != 0) {
        return (qr_view){NULL, 0};
    }
    return qr_view_of(v.p + n, v.len - n);
}

/* ":1".. ":65535" without the ports that a browser leaves out of an origin. */
static int
port_ok(qr_view v, unsigned long usual)
{
    unsigned long n = 0;
    return v.len == 0 ||
           (v.p[0] == ':' && qr_parse_decimal((const char *)v.p + 1, v.len - 1, 65535, &n) &&
            n != 0 && n != usual);
}

static const char *
complaint(qr_view o)
{
    qr_view rest = behind(o, "https://");
    int https = rest.p != NULL;
    size_t host = 0;

    if (!https) {
        rest = behind(o, "http://");
    }
    if (!rest.p) {
        return "it must begin with https://";
    }
    while (host < rest.len && ((rest.p[host] >= 'a' && rest.p[host] <= 'z') ||
                               (rest.p[host] >= '0' && rest.p[host] <= '9') ||
                               rest.p[host] == '.' || rest.p[host] == '-')) {
        host++;
    }
    if (host == 0) {
        return "it has no host in lower case";
    }
    if (!port_ok(qr_view_of(rest.p + host, rest.len - host), https ? 443 : 80)) {
        return "behind the host there may be a port, not the usual one, and nothing else";
    }
    qr_view name = {rest.p, host};
    if (!https && !qr_view_eq(name, qr_view_str("localhost")) &&
        !qr_view_eq(name, qr_view_str("127.0.0.1"))) {
        return "http is for localhost and 127.0.0.1 alone";
    }
    return NULL;
}

qr_err
qr_gw_cors_parse(const char *text, struct qr_gw_cors *ret, char *err_text, size_t err_cap)
{
    struct qr_gw_cors c = {.n = 0};

    while (text[0] != '\0') {
        size_t n = strcspn(text, " ");
        const char *why = n == 0                  ? "one space between two origins"
                          : n > QR_GW_ORIGIN_MAX  ? "it is longer than 128 characters"
                          : c.n == QR_ORIGINS_MAX ? "there may be 8 origins"
                                                  : complaint(qr_view_of(text, n));
        if (why) {
            (void)snprintf(err_text, err_cap, "[api] cors: \"%.*s\": %s", n > 128 ? 128 : (int)n,
                           text, why);
            return QR_ERR_CONFIG;
        }
        memcpy(c.origin[c.n], text, n);
        c.origin[c.n++][n] = '\0';
        text += n;
        text += text[0] == ' ' && text[1] != '\0';
        if (text[0] == ' ') {
            (void)snprintf(err_text, err_cap, "[api] cors: it ends in a space");
            return QR_ERR_CONFIG;
        }
    }
    *ret = c;
    return QR_OK;
}

const char *
qr_gw_cors_find(const struct qr_gw_cors *c, qr_view origin)
{
    for (size_t i = 0; i < c->n; i++) {
        if (qr_view_eq(origin, qr_view_str(c->origin[i]))) {
            return c->origin[i];
        }
    }
    return NULL;
}
