#include "enclave-shim/pump/conf.h"

#include "protocol/base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#define LINE_LONGEST 200u
#define STREAMS_DEFAULT 16u
#define NO_SECTION (-1)
#define DOCUMENT (-2)

struct parse {
    struct qr_pump_conf *c;
    const char *name;
    unsigned line;
    int section; /* DOCUMENT, NO_SECTION; 0: [pump]; 1 + n: [route n] */
    int seen_pump, seen_trunks, seen_document;
    uint8_t seen_trunk[QR_PUMP_ROUTES], seen_streams[QR_PUMP_ROUTES], seen_route[QR_PUMP_ROUTES];
    char *err;
    size_t err_cap;
};

static qr_err __attribute__((format(printf, 2, 3))) fail(struct parse *p, const char *format, ...)
{
    va_list ap;
    int n = p->line ? snprintf(p->err, p->err_cap, "%s:%u: ", p->name, p->line)
                    : snprintf(p->err, p->err_cap, "%s: ", p->name);
    if (n >= 0 && (size_t)n < p->err_cap) {
        va_start(ap, format);
        (void)vsnprintf(p->err + n, p->err_cap - (size_t)n, format, ap);
        va_end(ap);
    }
    return QR_ERR_CONFIG;
}

static int
is_blank(char c)
{
    return c == ' ';
}

/* In place: without blanks at both ends. */
static char *
trim(char *s)
{
    size_t n;
    while (is_blank(*s)) {
        s++;
    }
    for (n = strlen(s); n > 0 && is_blank(s[n - 1]); n--) {
        s[n - 1] = 0;
    }
    return s;
}

static int
number(const char *s, uint32_t min, uint32_t max, uint32_t *ret)
{
    uint32_t v = 0;
    if (!*s || strlen(s) > 5 || (s[0] == '0' && s[1])) {
        return 0;
    }
    for (; *s; s++) {
        if (*s < '0' || *s > '9') {
            return 0;
        }
        v = v * 10 + (uint32_t)(*s - '0');
    }
    if (v < min || v > max) {
        return 0;
    }
    *ret = v;
    return 1;
}

static qr_err
on_section(struct parse *p, char *name)
{
    uint32_t n;

    if (strcmp(name, "pump") == 0) {
        if (p->seen_pump) {
            return fail(p, "[pump] stands twice");
        }
        p->seen_pump = 1;
        p->section = 0;
        return QR_OK;
    }
    if (strcmp(name, "document") == 0) {
        if (p->seen_document) {
            return fail(p, "[document] stands twice");
        }
        p->seen_document = 1;
        p->section = DOCUMENT;
        return QR_OK;
    }
    if (strncmp(name, "route ", 6) != 0 || !number(name + 6, 0, QR_PUMP_ROUTES - 1, &n)) {
        return fail(p,
                    "[%s] is unknown; allowed are [pump], [document] and [route 0] to [route %u]",
                    name, QR_PUMP_ROUTES - 1);
    }
    if (p->seen_route[n]) {
        return fail(p, "[route %u] stands twice", n);
    }
    p->seen_route[n] = 1;
    p->section = 1 + (int)n;
    return QR_OK;
}

static qr_err
on_place(struct parse *p, enum qr_pump_way way, const char *key, const char *value,
         enum qr_pump_way *ret_way, struct qr_endpoint *ret)
{
    if (*ret_way != QR_PUMP_NOWHERE) {
        return fail(p, "%s: this section has a listen or dial already; it takes one of them", key);
    }
    if (qr_endpoint_parse(value, ret) != QR_OK) {
        return fail(p,
                    "%s: \"%s\" is no place; allowed are vsock:CID:PORT, hybrid:/PATH:PORT, "
                    "tcp:HOST:PORT and unix:/PATH",
                    key, value);
    }
    *ret_way = way;
    return QR_OK;
}

static qr_err
on_number(struct parse *p, const char *key, const char *value, uint32_t min, uint32_t max,
          int again, uint32_t *ret)
{
    if (again) {
        return fail(p, "%s stands twice", key);
    }
    return number(value, min, max, ret)
               ? QR_OK
               : fail(p, "%s: \"%s\" is not allowed; a number from %u to %u is", key, value, min,
                      max);
}

static qr_err
on_document(struct parse *p, const char *key, const char *value)
{
    if (strcmp(key, "listen") == 0) {
        return on_place(p, QR_PUMP_LISTEN, key, value, &p->c->document.way, &p->c->document.at);
    }
    if (strcmp(key, "file") != 0) {
        return fail(p, "%s is unknown; allowed here are listen and file", key);
    }
    if (p->c->document.file[0]) {
        return fail(p, "%s stands twice", key);
    }
    if (value[0] != '/' || strlen(value) >= sizeof p->c->document.file) {
        return fail(p, "file: \"%s\" is not allowed; an absolute path is", value);
    }
    memcpy(p->c->document.file, value, strlen(value) + 1);
    return QR_OK;
}

static qr_err
on_pump(struct parse *p, const char *key, const char *value)
{
    struct qr_pump_conf *c = p->c;

    if (strcmp(key, "listen") == 0) {
        return on_place(p, QR_PUMP_LISTEN, key, value, &c->way, &c->at);
    }
    if (strcmp(key, "dial") == 0) {
        return on_place(p, QR_PUMP_DIAL, key, value, &c->way, &c->at);
    }
    if (strcmp(key, "trunks") == 0) {
        return on_number(p, key, value, 1, QR_PUMP_TRUNKS, p->seen_trunks++, &c->trunks);
    }
    return fail(p, "%s is unknown; allowed here are listen, dial and trunks", key);
}

static qr_err
on_route(struct parse *p, unsigned n, const char *key, const char *value)
{
    struct qr_pump_route *r = &p->c->route[n];

    if (strcmp(key, "listen") == 0) {
        return on_place(p, QR_PUMP_LISTEN, key, value, &r->way, &r->at);
    }
    if (strcmp(key, "dial") == 0) {
        return on_place(p, QR_PUMP_DIAL, key, value, &r->way, &r->at);
    }
    if (strcmp(key, "trunk") == 0) {
        return on_number(p, key, value, 0, QR_PUMP_TRUNKS - 1, p->seen_trunk[n]++, &r->trunk);
    }
    if (strcmp(key, "streams") == 0) {
        return on_number(p, key, value, 1, QR_PUMP_STREAMS / 2, p->seen_streams[n]++, &r->streams);
    }
    return fail(p, "%s is unknown; allowed here are listen, dial, trunk and streams", key);
}

static qr_err
on_key(struct parse *p, const char *key, const char *value)
{
    if (p->section == NO_SECTION) {
        return fail(p, "%s stands before any section", key);
    }
    if (p->section == DOCUMENT) {
        return on_document(p, key, value);
    }
    return p->section == 0 ? on_pump(p, key, value)
                           : on_route(p, (unsigned)p->section - 1, key, value);
}

/* Printable, so that messages are: an editor's "\r" goes, a tab is a space, nothing else is let through. */
static qr_err
clean(struct parse *p, char *line, size_t n)
{
    if (n > 0 && line[n - 1] == '\r') {
        line[--n] = 0;
    }
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)line[i];
        if (c == '\t') {
            line[i] = ' ';
        } else if (c < 0x20 || c > 0x7e) {
            return fail(p, "byte 0x%02x; printable ASCII is allowed", c);
        }
    }
    return QR_OK;
}

static qr_err
on_line(struct parse *p, char *s)
{
    s = trim(s);
    if (!*s || *s == '#' || *s == ';') {
        return QR_OK;
    }
    if (*s == '[') {
        size_t n = strlen(s);
        if (s[n - 1] != ']') {
            return fail(p, "a section is [NAME]");
        }
        s[n - 1] = 0;
        return on_section(p, s + 1);
    }
    char *eq = strchr(s, '=');
    if (!eq) {
        return fail(p, "is neither [section] nor key = value");
    }
    *eq = 0;
    return on_key(p, trim(s), trim(eq + 1));
}

static qr_err
check_route(struct parse *p, unsigned n)
{
    const struct qr_pump_route *r = &p->c->route[n];
    char text[QR_ENDPOINT_TEXT_MAX];

    if (!p->seen_route[n]) {
        return QR_OK;
    }
    if (r->way == QR_PUMP_NOWHERE) {
        return fail(p, "[route %u] has neither listen nor dial", n);
    }
    qr_endpoint_text(&r->at, text);
    if (r->trunk >= p->c->trunks) {
        return fail(p, "[route %u] trunk = %u: there are %u trunks, counted from 0", n, r->trunk,
                    p->c->trunks);
    }
    if (r->at.kind != QR_ENDPOINT_TCP && r->at.kind != QR_ENDPOINT_UNIX) {
        return fail(p, "[route %u] %s: a route leads to tcp: or unix: only", n, text);
    }
    if (p->c->side == QR_PUMP_INSIDE && r->at.kind == QR_ENDPOINT_TCP &&
        !qr_endpoint_is_loopback(&r->at)) {
        return fail(p, "[route %u] %s: inside, tcp: must be a loopback address", n, text);
    }
    if (r->way == QR_PUMP_LISTEN && qr_endpoint_is_name(&r->at)) {
        return fail(p, "[route %u] %s: a listener needs a numeric address", n, text);
    }
    if (r->way == QR_PUMP_DIAL && r->at.kind == QR_ENDPOINT_TCP && r->at.port == 0) {
        return fail(p, "[route %u] %s: a port from 1 is needed", n, text);
    }
    return QR_OK;
}

static qr_err
check(struct parse *p)
{
    const struct qr_endpoint *at = &p->c->at;
    unsigned routes = 0;

    p->line = 0;
    if (p->c->way == QR_PUMP_NOWHERE) {
        return fail(p, "[pump] needs dial or listen: where the trunk is");
    }
    if (at->kind == QR_ENDPOINT_TCP) {
        return fail(p, "[pump]: the trunk is vsock:, hybrid: or unix:");
    }
    if (p->c->way == QR_PUMP_DIAL && at->kind == QR_ENDPOINT_VSOCK && at->cid == QR_ENDPOINT_ANY) {
        return fail(p, "[pump] dial: a CID is needed; the parent of an enclave is 3");
    }
    if (p->c->trunks > 1 && at->kind == QR_ENDPOINT_UNIX) {
        return fail(p, "[pump] trunks: unix: has one; vsock: and hybrid: have ports for more");
    }
    if (p->seen_document) {
        if (p->c->side != QR_PUMP_OUTSIDE) {
            return fail(p, "[document] is the outside half's");
        }
        if (p->c->document.way == QR_PUMP_NOWHERE || !p->c->document.file[0]) {
            return fail(p, "[document] needs listen and file");
        }
        if (p->c->document.at.kind == QR_ENDPOINT_TCP) {
            return fail(p, "[document] listen: vsock:, hybrid: or unix: are allowed");
        }
    }
    for (unsigned i = 0; i < QR_PUMP_ROUTES; i++) {
        routes += p->seen_route[i];
        QR_TRY(check_route(p, i));
    }
    return routes ? QR_OK : fail(p, "there is no [route N]");
}

qr_err
qr_pump_conf_parse(enum qr_pump_side side, const char *name, qr_view text, struct qr_pump_conf *ret,
                   char *err_text, size_t err_cap)
{
    struct parse p = {
        .c = ret, .name = name, .section = NO_SECTION, .err = err_text, .err_cap = err_cap};
    char line[LINE_LONGEST + 1];

    memset(ret, 0, sizeof *ret);
    ret->side = side;
    ret->trunks = 1;
    for (unsigned i = 0; i < QR_PUMP_ROUTES; i++) {
        ret->route[i].streams = STREAMS_DEFAULT;
    }
    for (size_t at = 0; at < text.len;) {
        size_t n = 0;
        p.line++;
        while (at + n < text.len && text.p[at + n] != '\n') {
            n++;
        }
        if (n > LINE_LONGEST) {
            return fail(&p, "a line has at most %u bytes", LINE_LONGEST);
        }
        if (n > 0) {
            memcpy(line, text.p + at, n);
        }
        line[n] = 0;
        QR_TRY(clean(&p, line, n));
        QR_TRY(on_line(&p, line));
        at += n + 1;
    }
    return check(&p);
}

qr_err
qr_pump_conf_load(enum qr_pump_side side, const char *path, struct qr_pump_conf *ret,
                  char *err_text, size_t err_cap)
{
    struct parse p = {.name = path, .err = err_text, .err_cap = err_cap};
    size_t n = 0;
    qr_err e = QR_OK;
    uint8_t *mem = qr_alloc(QR_PUMP_CONF_MAX + 1);
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (!mem) {
        e = fail(&p, "out of memory");
        goto out;
    }
    while (fd >= 0 && n <= QR_PUMP_CONF_MAX) {
        ssize_t r = read(fd, mem + n, QR_PUMP_CONF_MAX + 1 - n);
        if (r < 0 && errno != EINTR) {
            e = fail(&p, "cannot be read: %s", strerror(errno));
            goto out;
        }
        if (r == 0) {
            break;
        }
        n += r > 0 ? (size_t)r : 0;
    }
    if (fd < 0) {
        e = fail(&p, "cannot be opened: %s", strerror(errno));
    } else if (n > QR_PUMP_CONF_MAX) {
        e = fail(&p, "more than %u bytes", QR_PUMP_CONF_MAX);
    } else {
        e = qr_pump_conf_parse(side, path, qr_view_of(mem, n), ret, err_text, err_cap);
    }
out:
    if (fd >= 0) {
        (void)close(fd);
    }
    qr_free(mem);
    return e;
}
