#include "daemon/userdata.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define ROUTES "routes"

static const struct row {
    const char *section, *key;
    enum qr_userdata_form form;
    const char *conf[2]; /* enum qr_userdata_role: "[section] key" */
} rows[] = {
#define KEY(section, key, form, party, gateway)                                                    \
    {section, key, QR_USERDATA_##form, {party, gateway}},
#include "daemon/userdata.def"
#undef KEY
};

_Static_assert(QR_USERDATA_KEYS <= 32, "one bit a key");

struct reader {
    const uint8_t *text;
    size_t len, at;
    unsigned line;
    char copy[QR_USERDATA_LINE_MAX + 1]; /* the line without its end, a NUL behind it */
    size_t n;                            /* its length */
    const char *section;                 /* a name of `rows`, ROUTES, or NULL before the first */
    uint32_t sections;                   /* bit of the first row of each section seen */
    unsigned section_line, keys_in_section;
    int routes_seen;
    struct qr_userdata *out;
    char *err;
};

static qr_err fail(struct reader *r, qr_err e, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static qr_err
fail(struct reader *r, qr_err e, const char *format, ...)
{
    va_list ap;
    int n = r->line ? snprintf(r->err, QR_USERDATA_ERR_MAX, "line %u: ", r->line) : 0;
    if (n >= 0 && (size_t)n < QR_USERDATA_ERR_MAX) {
        va_start(ap, format);
        (void)vsnprintf(r->err + n, QR_USERDATA_ERR_MAX - (size_t)n, format, ap);
        va_end(ap);
    }
    return e;
}

/* ---- forms of values ---- */

static int
digits(const char *s, size_t len, size_t max)
{
    return len >= 1 && len <= max && strspn(s, "0123456789") >= len && (len == 1 || s[0] != '0');
}

static int
port_ok(const char *s)
{
    size_t n = strlen(s);
    unsigned v = 0;
    if (!digits(s, n, 5)) {
        return 0;
    }
    for (size_t i = 0; i < n; i++) {
        v = v * 10 + (unsigned)(s[i] - '0');
    }
    return v >= 1 && v <= 65535;
}

/* Four numbers of up to 255; len characters of s. */
static int
ipv4_ok(const char *s, size_t len)
{
    unsigned part = 0;
    size_t i = 0;
    for (part = 0; part < 4; part++) {
        unsigned v = 0;
        size_t start = i;
        while (i < len && s[i] >= '0' && s[i] <= '9' && i - start < 3) {
            v = v * 10 + (unsigned)(s[i++] - '0');
        }
        if (!digits(s + start, i - start, 3) || v > 255) {
            return 0;
        }
        if (part < 3 && (i >= len || s[i++] != '.')) {
            return 0;
        }
    }
    return i == len;
}

/* Form only: hexadecimal groups and colons. Who binds to it judges the rest. */
static int
ipv6_ok(const char *s, size_t len)
{
    size_t colons = 0;
    for (size_t i = 0; i < len; i++) {
        if (!strchr("0123456789abcdefABCDEF:.", s[i])) {
            return 0;
        }
        colons += s[i] == ':';
    }
    return len >= 2 && len <= 45 && colons >= 2;
}

static int
name_ok(const char *s, size_t len)
{
    static const char chars[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    return len >= 1 && len <= 63 && strspn(s, chars) >= len;
}

/* A host name: labels of letters, digits and '-'. */
static int
host_ok(const char *s, size_t len)
{
    if (len < 1 || len > 128 || s[0] == '.' || s[0] == '-' || s[len - 1] == '-') {
        return 0;
    }
    for (size_t i = 0; i < len; i++) {
        int alnum = (s[i] >= '0' && s[i] <= '9') || ((s[i] | 0x20) >= 'a' && (s[i] | 0x20) <= 'z');
        if (!alnum && s[i] != '-' && (s[i] != '.' || (i + 1 < len && s[i + 1] == '.'))) {
            return 0;
        }
    }
    return 1;
}

/* HOST:PORT; numeric: an address only. */
static int
hostport_ok(const char *s, int numeric)
{
    const char *colon = strrchr(s, ':');
    if (!colon || !port_ok(colon + 1)) {
        return 0;
    }
    size_t len = (size_t)(colon - s);
    if (s[0] == '[') {
        return len >= 2 && s[len - 1] == ']' && ipv6_ok(s + 1, len - 2);
    }
    return ipv4_ok(s, len) || (!numeric && host_ok(s, len));
}

static int
duration_ok(const char *s)
{
    size_t n = strspn(s, "0123456789");
    return digits(s, n, 9) &&
           (strcmp(s + n, "ms") == 0 || strcmp(s + n, "s") == 0 || strcmp(s + n, "m") == 0);
}

static int
url_ok(const char *s)
{
    static const char chars[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "._~:/?=&%+-[]";
    size_t scheme = strncmp(s, "https://", 8) == 0 ? 8 : strncmp(s, "http://", 7) == 0 ? 7 : 0;
    return scheme != 0 && s[scheme] != '\0' && s[scheme] != '/' &&
           strspn(s + scheme, chars) == strlen(s + scheme);
}

static int
form_ok(enum qr_userdata_form form, const char *s)
{
    size_t n = strlen(s);
    switch (form) {
    case QR_USERDATA_ADDRESS:
        return hostport_ok(s, 1);
    case QR_USERDATA_HOSTPORT:
        return hostport_ok(s, 0);
    case QR_USERDATA_IP:
        return ipv4_ok(s, n) || ipv6_ok(s, n);
    case QR_USERDATA_NAME:
        return name_ok(s, n);
    case QR_USERDATA_NUMBER:
        return digits(s, n, 9);
    case QR_USERDATA_DURATION:
        return duration_ok(s);
    case QR_USERDATA_URL:
    default:
        return url_ok(s);
    }
}

static const char *
form_text(enum qr_userdata_form form)
{
    static const char *const text[] = {
        [QR_USERDATA_ADDRESS] = "a numeric ADDRESS:PORT",
        [QR_USERDATA_HOSTPORT] = "HOST:PORT",
        [QR_USERDATA_IP] = "a numeric address",
        [QR_USERDATA_NAME] = "up to 63 letters, digits, '.', '_' and '-'",
        [QR_USERDATA_NUMBER] = "a number of up to nine digits",
        [QR_USERDATA_DURATION] = "a duration: a number and ms, s or m",
        [QR_USERDATA_URL] = "http:// or https://, a host, and no spaces",
    };
    return text[form];
}

/* ---- lines ---- */

/* The next line's start and length, without '\n'. 0 at the end of the document. */
static int
next_line(struct reader *r, const uint8_t **ret, size_t *ret_len)
{
    if (r->at >= r->len) {
        return 0;
    }
    const uint8_t *start = r->text + r->at;
    const uint8_t *end = memchr(start, '\n', r->len - r->at);
    *ret = start;
    *ret_len = end ? (size_t)(end - start) : r->len - r->at;
    r->at += *ret_len + (end ? 1 : 0);
    r->line++;
    return 1;
}

static int
line_is(const uint8_t *line, size_t len, const char *text)
{
    size_t n = strlen(text);
    if (len < n || memcmp(line, text, n) != 0) {
        return 0;
    }
    for (; n < len; n++) {
        if (line[n] != ' ') {
            return 0;
        }
    }
    return 1;
}

/* "quorate:" at the margin, perhaps with a comment behind it. */
static int
opens_map(const uint8_t *line, size_t len)
{
    return len >= 8 && memcmp(line, "quorate:", 8) == 0;
}

/* Copies a line of the map; what is not printable ASCII is refused. */
static qr_err
take_line(struct reader *r, const uint8_t *line, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (line[i] == '\t') {
            return fail(r, QR_ERR_MALFORMED, "a tab; indent by spaces");
        }
        if (line[i] < 0x20 || line[i] > 0x7e) {
            return fail(r, QR_ERR_MALFORMED,
                        "byte 0x%02x; only printable ASCII and a line feed "
                        "at the end of each line",
                        line[i]);
        }
    }
    if (len > QR_USERDATA_LINE_MAX) {
        return fail(r, QR_ERR_TOO_LARGE, "longer than %u characters", QR_USERDATA_LINE_MAX);
    }
    memcpy(r->copy, line, len);
    r->copy[len] = '\0';
    r->n = len;
    return QR_OK;
}

/* What may follow a value, or a key without one: spaces, and a comment after at least one. */
static int
rest_is_empty(const char *s)
{
    size_t n = strspn(s, " ");
    return s[n] == '\0' || (n > 0 && s[n] == '#');
}

/* ---- "key: value" ---- */

/* The key from s to its ':' in place; *ret_rest is behind the ':'. */
static qr_err
take_key(struct reader *r, char *s, const char **ret_key, char **ret_rest)
{
    size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789_");
    if (strncmp(s, "- ", 2) == 0) {
        return fail(r, QR_ERR_MALFORMED, "a list; only maps are read here");
    }
    if (strncmp(s, "<<", 2) == 0) {
        return fail(r, QR_ERR_MALFORMED, "a merge key is not read here");
    }
    if (n == 0 || s[n] != ':') {
        return fail(r, QR_ERR_MALFORMED,
                    "not \"key:\" or \"key: value\"; keys are lower-case "
                    "letters, digits and '_', without quotes");
    }
    s[n] = '\0';
    *ret_key = s;
    *ret_rest = s + n + 1;
    return QR_OK;
}

/* What a plain value must not begin with, and what it is to YAML. */
static const char *
not_plain(char c)
{
    switch (c) {
    case '&':
        return "an anchor";
    case '*':
        return "an alias";
    case '!':
        return "a tag";
    case '{':
    case '[':
        return "a flow collection (quote an address that begins with '[')";
    case '|':
    case '>':
        return "a block of text";
    default:
        return NULL;
    }
}

/* The value behind "key:" in place. */
static qr_err
take_value(struct reader *r, const char *key, char *rest, const char **ret)
{
    char *s = rest + strspn(rest, " ");
    char *end = NULL;
    if (s == rest && *s != '\0') {
        return fail(r, QR_ERR_MALFORMED, "a space must follow \"%s:\"", key);
    }
    if (*s == '\0' || *s == '#') {
        return fail(r, QR_ERR_MALFORMED, "%s has no value on its line", key);
    }
    if (*s == '"' || *s == '\'') {
        char quote = *s++;
        end = strchr(s, quote);
        if (!end) {
            return fail(r, QR_ERR_MALFORMED, "%s: the quote is not closed on its line", key);
        }
        if (memchr(s, '\\', (size_t)(end - s))) {
            return fail(r, QR_ERR_MALFORMED, "%s: escapes are not read here", key);
        }
        if (!rest_is_empty(end + 1)) {
            return fail(r, QR_ERR_MALFORMED, "%s: something follows the closing quote", key);
        }
    } else {
        const char *what = not_plain(*s);
        if (what) {
            return fail(r, QR_ERR_MALFORMED, "%s: %s is not read here", key, what);
        }
        if (!((*s >= '0' && *s <= '9') || ((*s | 0x20) >= 'a' && (*s | 0x20) <= 'z'))) {
            return fail(r, QR_ERR_MALFORMED,
                        "%s: a value without quotes begins with a letter or "
                        "a digit",
                        key);
        }
        end = s + strcspn(s, " ");
        if (!rest_is_empty(end)) {
            return fail(r, QR_ERR_MALFORMED, "%s: a value without quotes has no spaces", key);
        }
        if (end[-1] == ':') {
            return fail(r, QR_ERR_MALFORMED, "%s: a map in a key is not read here", key);
        }
    }
    *end = '\0';
    if ((size_t)(end - s) >= QR_USERDATA_VALUE_MAX) {
        return fail(r, QR_ERR_TOO_LARGE, "%s: longer than %u characters", key,
                    QR_USERDATA_VALUE_MAX - 1);
    }
    *ret = s;
    return QR_OK;
}

/* ---- the map ---- */

static qr_err
end_section(struct reader *r)
{
    if (r->section && r->keys_in_section == 0) {
        r->line = r->section_line;
        return fail(r, QR_ERR_MALFORMED, "section %s is empty; leave it out or give it keys",
                    r->section);
    }
    return QR_OK;
}

static qr_err
on_section(struct reader *r)
{
    const char *name = NULL;
    char *rest = NULL;
    QR_TRY(end_section(r));
    QR_TRY(take_key(r, r->copy + 2, &name, &rest));
    if (!rest_is_empty(rest)) {
        return fail(r, QR_ERR_MALFORMED,
                    "section %s: its keys stand on lines of their own, four "
                    "spaces deep",
                    name);
    }
    r->section_line = r->line;
    r->keys_in_section = 0;
    if (strcmp(name, ROUTES) == 0) {
        if (r->routes_seen) {
            return fail(r, QR_ERR_DUPLICATE, "section %s stands twice", name);
        }
        r->routes_seen = 1;
        r->section = ROUTES;
        return QR_OK;
    }
    for (size_t i = 0; i < QR_USERDATA_KEYS; i++) {
        if (strcmp(rows[i].section, name) != 0) {
            continue;
        }
        if (r->sections & (1u << i)) {
            return fail(r, QR_ERR_DUPLICATE, "section %s stands twice", name);
        }
        r->sections |= 1u << i;
        r->section = rows[i].section;
        return QR_OK;
    }
    return fail(r, QR_ERR_UNKNOWN_FIELD,
                "no section is named %s; there are party, pool, sign, "
                "gateway, collateral, log, documents, network and routes",
                name);
}

static qr_err
on_route(struct reader *r, const char *key, char *rest)
{
    const char *to = NULL;
    unsigned v = 0;
    if (!port_ok(key)) {
        return fail(r, QR_ERR_MALFORMED, "route %s: a route is a number from 1 to 65535", key);
    }
    for (const char *c = key; *c; c++) {
        v = v * 10 + (unsigned)(*c - '0');
    }
    QR_TRY(take_value(r, key, rest, &to));
    if (!hostport_ok(to, 0)) {
        return fail(r, QR_ERR_MALFORMED, "route %s: \"%s\" is not %s", key, to,
                    form_text(QR_USERDATA_HOSTPORT));
    }
    struct qr_userdata *u = r->out;
    for (size_t i = 0; i < u->n_routes; i++) {
        if (u->route[i].number == v) {
            return fail(r, QR_ERR_DUPLICATE, "route %s stands twice", key);
        }
    }
    if (u->n_routes == QR_USERDATA_ROUTES_MAX) {
        return fail(r, QR_ERR_TOO_LARGE, "more than %u routes", QR_USERDATA_ROUTES_MAX);
    }
    struct qr_userdata_route *route = &u->route[u->n_routes++];
    route->number = (uint16_t)v;
    memcpy(route->to, to, strlen(to) + 1);
    return QR_OK;
}

static qr_err
on_key(struct reader *r)
{
    const char *key = NULL, *value = NULL;
    char *rest = NULL;
    if (!r->section) {
        return fail(r, QR_ERR_MALFORMED,
                    "a key before the first section; sections stand two "
                    "spaces deep");
    }
    QR_TRY(take_key(r, r->copy + 4, &key, &rest));
    r->keys_in_section++;
    if (strcmp(r->section, ROUTES) == 0) {
        return on_route(r, key, rest);
    }
    for (size_t i = 0; i < QR_USERDATA_KEYS; i++) {
        if (strcmp(rows[i].section, r->section) != 0 || strcmp(rows[i].key, key) != 0) {
            continue;
        }
        char *to = r->out->value[i];
        if (to[0] != '\0') {
            return fail(r, QR_ERR_DUPLICATE, "%s stands twice in %s", key, r->section);
        }
        QR_TRY(take_value(r, key, rest, &value));
        if (!form_ok(rows[i].form, value)) {
            return fail(r, QR_ERR_MALFORMED, "%s: \"%s\" is not %s", key, value,
                        form_text(rows[i].form));
        }
        memcpy(to, value, strlen(value) + 1);
        return QR_OK;
    }
    return fail(r, QR_ERR_UNKNOWN_FIELD, "section %s has no key %s", r->section, key);
}

/* One line of the map that is neither blank nor a comment. */
static qr_err
on_line(struct reader *r)
{
    switch (strspn(r->copy, " ")) {
    case 2:
        return on_section(r);
    case 4:
        return on_key(r);
    default:
        return fail(r, QR_ERR_MALFORMED,
                    "sections stand two spaces deep and keys four; nothing "
                    "else is read here");
    }
}

static qr_err
read_map(struct reader *r, const uint8_t *line, size_t len)
{
    QR_TRY(take_line(r, line, len));
    if (!rest_is_empty(r->copy + 8)) {
        return fail(r, QR_ERR_MALFORMED,
                    "quorate: is a map; its sections stand on lines of their "
                    "own, two spaces deep");
    }
    while (next_line(r, &line, &len)) {
        size_t spaces = 0;
        while (spaces < len && line[spaces] == ' ') {
            spaces++;
        }
        int blank = spaces == len || line[spaces] == '#';
        if (spaces == 0 && !blank && line[0] != '\t' && line[0] != '\r') {
            if (len >= 3 && (memcmp(line, "---", 3) == 0 || memcmp(line, "...", 3) == 0)) {
                return fail(r, QR_ERR_MALFORMED, "a document marker; user data is one document");
            }
            /* The map has ended; the line is looked at again as one outside it. */
            r->at = (size_t)(line - r->text);
            r->line--;
            return end_section(r);
        }
        QR_TRY(take_line(r, line, len));
        if (!blank) {
            QR_TRY(on_line(r));
        }
    }
    return end_section(r);
}

qr_err
qr_userdata_parse(const uint8_t *text, size_t len, struct qr_userdata *ret,
                  char err_text[static QR_USERDATA_ERR_MAX])
{
    struct qr_userdata u = {.n_routes = 0};
    struct reader r = {.text = text, .len = len, .out = &u, .err = err_text};
    const uint8_t *line = NULL;
    size_t n = 0;
    int found = 0;

    if (len > QR_USERDATA_MAX) {
        return fail(&r, QR_ERR_TOO_LARGE, "user data of %zu bytes; at most %u are read", len,
                    QR_USERDATA_MAX);
    }
    if (!next_line(&r, &line, &n) || !line_is(line, n, "#cloud-config")) {
        r.line = 1;
        return fail(&r, QR_ERR_MALFORMED,
                    "the first line must be #cloud-config; scripts, MIME "
                    "archives and compressed user data are not read");
    }
    while (next_line(&r, &line, &n)) {
        if (!opens_map(line, n)) {
            continue;
        }
        if (found) {
            return fail(&r, QR_ERR_DUPLICATE, "quorate: stands twice");
        }
        found = 1;
        QR_TRY(read_map(&r, line, n));
    }
    if (!found) {
        r.line = 0;
        return fail(&r, QR_ERR_MALFORMED, "no line of the user data is \"quorate:\"");
    }
    *ret = u;
    return QR_OK;
}

const char *
qr_userdata_get(const struct qr_userdata *u, const char *section, const char *key)
{
    for (size_t i = 0; i < QR_USERDATA_KEYS; i++) {
        if (strcmp(rows[i].section, section) == 0 && strcmp(rows[i].key, key) == 0) {
            return u->value[i];
        }
    }
    return NULL;
}

/* ---- configuration files ---- */

struct writer {
    char *out;
    size_t cap, n;
    int full;
    char section[QR_USERDATA_LINE_MAX];
};

static void
put(struct writer *w, const char *section, const char *key, const char *prefix, const char *value)
{
    int first = strcmp(w->section, section) != 0;
    size_t room = w->cap - w->n;
    int n = w->full ? -1
            : first
                ? snprintf(w->out + w->n, room, "[%s]\n%s = %s%s\n", section, key, prefix, value)
                : snprintf(w->out + w->n, room, "%s = %s%s\n", key, prefix, value);
    if (n < 0 || (size_t)n >= room) {
        w->full = 1;
        return;
    }
    w->n += (size_t)n;
    (void)snprintf(w->section, sizeof w->section, "%s", section);
}

/* "[section] key" apart. section has QR_USERDATA_LINE_MAX bytes. */
static const char *
split(const char *conf, char *section)
{
    size_t n = strcspn(conf, "]");
    memcpy(section, conf + 1, n - 1);
    section[n - 1] = '\0';
    return conf + n + 2;
}

static int
is_fixed(const struct qr_userdata_fixed *fixed, const char *section, const char *key)
{
    for (; fixed->section; fixed++) {
        if (strcmp(fixed->section, section) == 0 && strcmp(fixed->key, key) == 0) {
            return 1;
        }
    }
    return 0;
}

/* Everything of one section: the image's lines, then the document's. */
static void
put_section(struct writer *w, const struct qr_userdata *u, enum qr_userdata_role role,
            const struct qr_userdata_fixed *fixed, const char *section)
{
    char name[QR_USERDATA_LINE_MAX];
    for (const struct qr_userdata_fixed *f = fixed; f->section; f++) {
        if (strcmp(f->section, section) == 0) {
            put(w, section, f->key, "", f->value);
        }
    }
    for (size_t i = 0; i < QR_USERDATA_KEYS; i++) {
        if (!rows[i].conf[role] || u->value[i][0] == '\0') {
            continue;
        }
        const char *key = split(rows[i].conf[role], name);
        if (strcmp(name, section) == 0 && !is_fixed(fixed, section, key)) {
            /* quorated's addresses have a scheme; the document has none, so that no other is asked for. */
            int tcp = role == QR_USERDATA_PARTY &&
                      (rows[i].form == QR_USERDATA_ADDRESS || rows[i].form == QR_USERDATA_HOSTPORT);
            put(w, section, key, tcp ? "tcp://" : "", u->value[i]);
        }
    }
}

qr_err
qr_userdata_conf(const struct qr_userdata *u, enum qr_userdata_role role,
                 const struct qr_userdata_fixed *fixed, char *out, size_t cap)
{
    struct writer w = {.out = out, .cap = cap};
    char name[QR_USERDATA_LINE_MAX], last[QR_USERDATA_LINE_MAX] = "";
    const struct qr_userdata_fixed *f = NULL;

    if (cap == 0) {
        return QR_ERR_NO_SPACE;
    }
    out[0] = '\0';
    /* Sections of the image that the document cannot have. */
    for (f = fixed; f->section; f++) {
        int own = 1;
        for (size_t i = 0; i < QR_USERDATA_KEYS && own; i++) {
            if (rows[i].conf[role]) {
                (void)split(rows[i].conf[role], name);
                own = strcmp(name, f->section) != 0;
            }
        }
        for (const struct qr_userdata_fixed *g = fixed; g != f && own; g++) {
            own = strcmp(g->section, f->section) != 0;
        }
        if (own) {
            put_section(&w, u, role, fixed, f->section);
        }
    }
    for (size_t i = 0; i < QR_USERDATA_KEYS; i++) {
        if (rows[i].conf[role]) {
            (void)split(rows[i].conf[role], name);
            if (strcmp(name, last) != 0) {
                put_section(&w, u, role, fixed, name);
                memcpy(last, name, sizeof last);
            }
        }
    }
    return w.full ? QR_ERR_NO_SPACE : QR_OK;
}
