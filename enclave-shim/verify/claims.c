/*
 * The list is flat; the tree exists only while it is printed. Two paths may not stand for both a
 * value and a container, or for both an object and an array, so that what is printed is JSON with
 * distinct member names whatever was added.
 */
#include "enclave-shim/verify/claims.h"

#include "enclave-shim/verify/utf8.h"
#include "protocol/base/enc.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

void
qr_claims_init(struct qr_claimset *c)
{
    c->n = 0;
    c->used = 0;
    c->overflow = 0;
}

/* What may follow a name: the end, a member, an element. */
static int
is_boundary(char ch)
{
    return ch == 0 || ch == '.' || ch == '[';
}

/* 1: the two paths cannot both be in one tree. */
static int
paths_clash(const char *a, const char *b)
{
    size_t i = 0;
    while (a[i] == b[i] && a[i] != 0) {
        i++;
    }
    return is_boundary(a[i]) && is_boundary(b[i]);
}

static void
add(struct qr_claimset *c, const char *path, struct qr_claim claim)
{
    size_t len = strlen(path);
    if (c->overflow || c->n == QR_CLAIMS_MAX || len == 0 || len >= QR_CLAIM_PATH_MAX) {
        c->overflow = 1;
        return;
    }
    for (size_t i = 0; i < c->n; i++) {
        if (paths_clash(c->item[i].path, path)) {
            c->overflow = 1;
            return;
        }
    }
    claim.path = path;
    c->item[c->n++] = claim;
}

/* A copy of the bytes and a NUL; p NULL when the arena is full. */
static qr_view
keep(struct qr_claimset *c, qr_view v)
{
    if (c->overflow || v.len >= sizeof c->arena - c->used) {
        c->overflow = 1;
        return (qr_view){NULL, 0};
    }
    char *p = c->arena + c->used;
    if (v.len > 0) {
        memcpy(p, v.p, v.len);
    }
    p[v.len] = 0;
    c->used += v.len + 1;
    return qr_view_of(p, v.len);
}

void
qr_claim_uint(struct qr_claimset *c, const char *path, uint64_t u)
{
    add(c, path, (struct qr_claim){.type = QR_CLAIM_UINT, .u = u});
}

void
qr_claim_x64(struct qr_claimset *c, const char *path, uint64_t u)
{
    add(c, path, (struct qr_claim){.type = QR_CLAIM_X64, .u = u});
}

void
qr_claim_bool(struct qr_claimset *c, const char *path, int b)
{
    add(c, path, (struct qr_claim){.type = QR_CLAIM_BOOL, .u = b != 0});
}

void
qr_claim_hex(struct qr_claimset *c, const char *path, qr_view bytes)
{
    add(c, path, (struct qr_claim){.type = QR_CLAIM_HEX, .v = bytes});
}

void
qr_claim_hex_copy(struct qr_claimset *c, const char *path, qr_view bytes)
{
    qr_view kept = keep(c, bytes);
    qr_claim_hex(c, path, kept);
}

void
qr_claim_text(struct qr_claimset *c, const char *path, qr_view text)
{
    add(c, path, (struct qr_claim){.type = QR_CLAIM_TEXT, .v = text});
}

void
qr_claim_text_copy(struct qr_claimset *c, const char *path, qr_view text)
{
    qr_view kept = keep(c, text);
    qr_claim_text(c, path, kept);
}

void
qr_claim_json_copy(struct qr_claimset *c, const char *path, qr_view json)
{
    qr_view kept = keep(c, json);
    add(c, path, (struct qr_claim){.type = QR_CLAIM_JSON, .v = kept});
}

void
qr_claim_null(struct qr_claimset *c, const char *path)
{
    add(c, path, (struct qr_claim){.type = QR_CLAIM_NULL});
}

const char *
qr_claim_path(struct qr_claimset *c, const char *format, ...)
{
    char text[QR_CLAIM_PATH_MAX];
    va_list ap;
    va_start(ap, format);
    int n = vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    if (n < 0 || (size_t)n >= sizeof text) {
        c->overflow = 1;
        return "";
    }
    qr_view kept = keep(c, qr_view_of(text, (size_t)n));
    return kept.p ? (const char *)kept.p : "";
}

const struct qr_claim *
qr_claim_find(const struct qr_claimset *c, const char *path)
{
    for (size_t i = 0; i < c->n; i++) {
        if (strcmp(c->item[i].path, path) == 0) {
            return &c->item[i];
        }
    }
    return NULL;
}

int
qr_claim_get_uint(const struct qr_claimset *c, const char *path, uint64_t *ret)
{
    const struct qr_claim *k = qr_claim_find(c, path);
    if (!k || (k->type != QR_CLAIM_UINT && k->type != QR_CLAIM_X64)) {
        return 0;
    }
    *ret = k->u;
    return 1;
}

int
qr_claim_get_bool(const struct qr_claimset *c, const char *path, int *ret)
{
    const struct qr_claim *k = qr_claim_find(c, path);
    if (!k || k->type != QR_CLAIM_BOOL) {
        return 0;
    }
    *ret = (int)k->u;
    return 1;
}

static int
get_view(const struct qr_claimset *c, const char *path, enum qr_claim_type type, qr_view *ret)
{
    const struct qr_claim *k = qr_claim_find(c, path);
    if (!k || k->type != type) {
        return 0;
    }
    *ret = k->v;
    return 1;
}

int
qr_claim_get_hex(const struct qr_claimset *c, const char *path, qr_view *ret)
{
    return get_view(c, path, QR_CLAIM_HEX, ret);
}

int
qr_claim_get_text(const struct qr_claimset *c, const char *path, qr_view *ret)
{
    return get_view(c, path, QR_CLAIM_TEXT, ret);
}

/* ---- JSON ---- */

struct out {
    char *p;
    size_t cap, len;
    int full;
};

static void
put(struct out *o, const char *s, size_t n)
{
    if (o->full || n >= o->cap - o->len) {
        o->full = 1;
        return;
    }
    memcpy(o->p + o->len, s, n);
    o->len += n;
}

static void
put_str(struct out *o, const char *s)
{
    put(o, s, strlen(s));
}

/* A JSON string; what is not UTF-8 becomes U+FFFD, a byte at a time. */
static void
put_quoted(struct out *o, qr_view v)
{
    char esc[8];
    put(o, "\"", 1);
    for (size_t i = 0, n; i < v.len && !o->full; i += n) {
        n = qr_utf8_next(v, i);
        if (n == 0) {
            put_str(o, "\\ufffd");
            n = 1;
        } else if (v.p[i] == '"' || v.p[i] == '\\') {
            esc[0] = '\\';
            esc[1] = (char)v.p[i];
            put(o, esc, 2);
        } else if (v.p[i] < 0x20 || v.p[i] == 0x7f) {
            (void)snprintf(esc, sizeof esc, "\\u%04x", (unsigned)v.p[i]);
            put(o, esc, 6);
        } else {
            put(o, (const char *)v.p + i, n);
        }
    }
    put(o, "\"", 1);
}

static void
put_hex(struct out *o, qr_view v)
{
    put(o, "\"", 1);
    if (o->full || v.len > (o->cap - o->len) / 2 || 2 * v.len + 1 > o->cap - o->len) {
        o->full = 1;
        return;
    }
    qr_hex_encode(v, o->p + o->len);
    o->len += 2 * v.len;
    put(o, "\"", 1);
}

static void
put_value(struct out *o, const struct qr_claim *k)
{
    char text[32];
    switch (k->type) {
    case QR_CLAIM_UINT:
        (void)snprintf(text, sizeof text, "%" PRIu64, k->u);
        put_str(o, text);
        break;
    case QR_CLAIM_X64:
        (void)snprintf(text, sizeof text, "\"0x%016" PRIx64 "\"", k->u);
        put_str(o, text);
        break;
    case QR_CLAIM_BOOL:
        put_str(o, k->u ? "true" : "false");
        break;
    case QR_CLAIM_HEX:
        put_hex(o, k->v);
        break;
    case QR_CLAIM_TEXT:
        put_quoted(o, k->v);
        break;
    case QR_CLAIM_JSON:
        put(o, (const char *)k->v.p, k->v.len);
        break;
    case QR_CLAIM_NULL:
        put_str(o, "null");
        break;
    }
}

/* The open containers: path[0..len) leads there, its last character is '.' or '['; the root has 0. */
struct level {
    const char *path;
    size_t len;
    int any; /* something was printed in it */
};
#define LEVELS (QR_CLAIM_PATH_MAX / 2u + 1u)

/* Prints the next claim's value, or opens the container on the way to it. */
static void
step_in(struct out *o, struct level *l, size_t *depth, const struct qr_claim *k, uint8_t *done)
{
    struct level *cur = &l[*depth];
    int in_array = cur->len > 0 && cur->path[cur->len - 1] == '[';
    const char *name = k->path + cur->len;
    size_t n = in_array ? strcspn(name, "]") : strcspn(name, ".[");
    size_t after = n + (in_array && name[n] == ']');

    if (cur->any) {
        put(o, ",", 1);
    }
    cur->any = 1;
    if (!in_array) {
        put_quoted(o, qr_view_of(name, n));
        put(o, ":", 1);
    }
    /* "x" ends here; "x.y" and "x[0]" go on, and so do "x[0].y" and "x[0][1]" */
    if ((name[after] == '.' || name[after] == '[') && *depth + 1 < LEVELS) {
        put(o, name[after] == '.' ? "{" : "[", 1);
        l[++*depth] = (struct level){k->path, cur->len + after + 1, 0};
    } else {
        put_value(o, k);
        *done = 1;
    }
}

qr_err
qr_claims_json(const struct qr_claimset *c, char *out, size_t cap, size_t *ret_len)
{
    struct out o = {out, cap, 0, 0};
    struct level l[LEVELS] = {{"", 0, 0}};
    uint8_t done[QR_CLAIMS_MAX] = {0};
    size_t depth = 0;

    put(&o, "{", 1);
    for (;;) {
        size_t i = 0;
        while (i < c->n &&
               (done[i] || strncmp(c->item[i].path, l[depth].path, l[depth].len) != 0)) {
            i++;
        }
        if (i < c->n) {
            step_in(&o, l, &depth, &c->item[i], &done[i]);
        } else if (depth > 0) {
            put(&o, l[depth].path[l[depth].len - 1] == '[' ? "]" : "}", 1);
            depth--;
        } else {
            break;
        }
    }
    put(&o, "}", 1);
    if (o.full) {
        return QR_ERR_TOO_LARGE;
    }
    out[o.len] = 0;
    *ret_len = o.len;
    return QR_OK;
}
