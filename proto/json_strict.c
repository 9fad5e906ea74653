/*
 * Two passes: a scan that bounds depth, values and kinds of numbers before anything is allocated,
 * then jansson. What jansson accepts is read through tables, so that every member is accounted for.
 */
#include "proto/json_strict.h"

#include "protocol/base/check.h"
#include "protocol/base/enc.h"
#include "protocol/base/mem.h"

#include <jansson.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* Longest chain of positions: the root and one more per open bracket. */
#define CHAIN_MAX (QR_JSON_DEPTH + 2u)

const char *
qr_quote(char out[static QR_QUOTE_MAX], qr_view v)
{
    size_t n = v.len > 40 ? 40 : v.len, i = 0;
    for (; i < n; i++) {
        int plain = v.p[i] >= 0x20 && v.p[i] < 0x7f && v.p[i] != '"' && v.p[i] != '\\';
        out[i] = plain ? (char)v.p[i] : '?';
    }
    if (n < v.len) {
        memcpy(out + i, "...", 3);
        i += 3;
    }
    out[i] = 0;
    return out;
}

/* Explanations. */

static void __attribute__((format(printf, 3, 0)))
explain_at(struct qr_json *j, const char *where, const char *format, va_list ap)
{
    if (!j->err_text || j->err_cap == 0) {
        return;
    }
    int n = snprintf(j->err_text, j->err_cap, "%s%s", where, *where ? ": " : "");
    if (n >= 0 && (size_t)n < j->err_cap) {
        (void)vsnprintf(j->err_text + n, j->err_cap - (size_t)n, format, ap);
    }
}

qr_err
qr_json_fail(const struct qr_json_at *at, qr_err e, const char *format, ...)
{
    const struct qr_json_at *chain[CHAIN_MAX] = {NULL};
    char where[192] = "";
    size_t n = 0, len = 0;

    if (at->doc->lines) {
        len = (size_t)snprintf(where, sizeof where, "line %u%s", qr_json_line(at),
                               at->up ? ": " : "");
    }
    size_t first = len;
    for (const struct qr_json_at *a = at; a && n < CHAIN_MAX; a = a->up) {
        chain[n++] = a;
    }
    for (; n > 0; n--) {
        const struct qr_json_at *a = chain[n - 1];
        char q[QR_QUOTE_MAX];
        int k = 0;
        if (a->name) {
            k = snprintf(where + len, sizeof where - len, "%s%s", len > first ? "." : "",
                         qr_quote(q, qr_view_str(a->name)));
        } else if (a->up) {
            k = snprintf(where + len, sizeof where - len, "[%zu]", a->index);
        }
        if (k < 0 || (size_t)k >= sizeof where - len) {
            break; /* a way that long is cut short */
        }
        len += (size_t)k;
    }
    va_list ap;
    va_start(ap, format);
    explain_at(at->doc, where, format, ap);
    va_end(ap);
    return e;
}

static qr_err __attribute__((format(printf, 3, 4)))
fail_text(struct qr_json *j, qr_err e, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    explain_at(j, "", format, ap);
    va_end(ap);
    return e;
}

/* The scan before the parse. */

struct scan {
    qr_view text;
    size_t at, line, line_start, depth, values;
};

static qr_err
scan_fail(struct qr_json *j, const struct scan *s, qr_err e, const char *what)
{
    return fail_text(j, e, "line %zu column %zu: %s", s->line, s->at - s->line_start + 1, what);
}

/* From an opening quote to just before the closing one. */
static qr_err
scan_string(struct qr_json *j, struct scan *s)
{
    for (s->at++; s->at < s->text.len; s->at++) {
        uint8_t c = s->text.p[s->at];
        if (c == '"') {
            return QR_OK;
        }
        if (c < 0x20) {
            return scan_fail(j, s, QR_ERR_MALFORMED, "control character inside a string");
        }
        if (c == '\\') {
            s->at++;
        }
    }
    return scan_fail(j, s, QR_ERR_MALFORMED, "string does not end");
}

static qr_err
scan_text(struct qr_json *j, qr_view text, size_t max_values, size_t max_depth, int any_number)
{
    struct scan s = {.text = text, .line = 1, .values = 1};

    for (; s.at < text.len; s.at++) {
        uint8_t c = text.p[s.at];
        switch (c) {
        case '"':
            QR_TRY(scan_string(j, &s));
            break;
        case '[':
        case '{':
            if (++s.depth > max_depth) {
                return scan_fail(j, &s, QR_ERR_TOO_LARGE, "nested too deeply");
            }
            s.values++; /* an empty one counts as one element: an upper bound is enough */
            break;
        case ',':
            s.values++;
            break;
        case ']':
        case '}':
            s.depth -= s.depth > 0; /* imbalance is for the parser to find */
            break;
        case '\n':
            s.line++;
            s.line_start = s.at + 1;
            break;
        case '-':
        case '+':
        case '.':
            if (any_number) {
                break; /* where none belongs, the parser finds it */
            }
            return scan_fail(j, &s, QR_ERR_MALFORMED, "only integers from 0 up are numbers here");
        case 'e':
        case 'E':
            if (s.at > 0 && text.p[s.at - 1] >= '0' && text.p[s.at - 1] <= '9' && !any_number) {
                return scan_fail(j, &s, QR_ERR_MALFORMED,
                                 "only integers from 0 up are numbers here");
            }
            break;
        case 0:
            return scan_fail(j, &s, QR_ERR_MALFORMED, "zero byte");
        default:
            break;
        }
        if (s.values > max_values) {
            return scan_fail(j, &s, QR_ERR_TOO_LARGE, "too many values");
        }
    }
    return QR_OK;
}

/*
 * jansson does not look at every allocation of its own: where a buffer cannot grow, the character that
 * needed the room is dropped. 1000000 is then read as 100000 without an error, and a string whose closing
 * quote was dropped is read and written behind its end. So it never gets NULL: what the gate refuses is
 * given all the same, for as long as the text is read, and the text is then refused. What stands behind
 * the gate has nothing left only when the process is lost anyway.
 */
static _Thread_local int no_memory;

/* What a program that has this in a library gave to jansson before; its blocks must go back there. */
static json_malloc_t host_malloc;
static json_free_t host_free;

static void *
take(size_t n)
{
    void *p = host_malloc == malloc ? qr_lib_alloc(n) : host_malloc(n);
    if (!p) {
        no_memory = 1;
        p = host_malloc(n);
        QR_ASSERT(p != NULL);
    }
    return p;
}

static void
hook(void)
{
    json_get_alloc_funcs(&host_malloc, &host_free);
    json_set_alloc_funcs(take, host_free == free ? qr_lib_free : host_free);
}

static pthread_once_t hooked = PTHREAD_ONCE_INIT;

/* DUPLICATE when a member stands twice. */
static qr_err
parse(struct qr_json *ret, qr_view text, size_t max_values, size_t max_depth, int any_number,
      char *err_text, size_t err_cap)
{
    struct qr_json j = {.err_text = err_text, .err_cap = err_cap};
    json_error_t e;

    if (err_text && err_cap > 0) {
        err_text[0] = 0;
    }
    if (text.len == 0) {
        return fail_text(&j, QR_ERR_MALFORMED, "empty where JSON was expected");
    }
    QR_TRY(scan_text(&j, text, max_values, max_depth, any_number));
    (void)pthread_once(&hooked, hook);
    no_memory = 0;
    j.root = json_loadb((const char *)text.p, text.len, JSON_REJECT_DUPLICATES, &e);
    if (no_memory) {
        json_decref(j.root); /* whatever it is, it need not be the text; takes NULL */
        return fail_text(&j, QR_ERR_NO_MEMORY, "out of memory");
    }
    if (!j.root) {
        /* jansson quotes what it stumbled over */
        char clean[JSON_ERROR_TEXT_LENGTH];
        size_t i = 0;
        for (; i + 1 < sizeof clean && e.text[i]; i++) {
            clean[i] = e.text[i] >= 0x20 && e.text[i] < 0x7f ? e.text[i] : '?';
        }
        clean[i] = 0;
        qr_err code =
            json_error_code(&e) == json_error_duplicate_key ? QR_ERR_DUPLICATE : QR_ERR_MALFORMED;
        return fail_text(&j, code, "line %d column %d: %s", e.line, e.column, clean);
    }
    j.text = text;
    *ret = j;
    return QR_OK;
}

qr_err
qr_json_parse(struct qr_json *ret, qr_view text, size_t max_values, char *err_text, size_t err_cap)
{
    qr_err e = parse(ret, text, max_values, QR_JSON_DEPTH, 0, err_text, err_cap);
    return e == QR_ERR_DUPLICATE ? QR_ERR_MALFORMED : e;
}

qr_err
qr_json_parse_foreign(struct qr_json *ret, qr_view text, size_t max_values, char *err_text,
                      size_t err_cap)
{
    return parse(ret, text, max_values, QR_JSON_DEPTH, 1, err_text, err_cap);
}

qr_err
qr_json_parse_deep(struct qr_json *ret, qr_view text, size_t max_values, size_t max_depth,
                   char *err_text, size_t err_cap)
{
    return parse(ret, text, max_values, max_depth, 1, err_text, err_cap);
}

void
qr_json_clear(struct qr_json *j)
{
    if (j->root) {
        json_decref(j->root);
    }
    *j = (struct qr_json){0};
}

struct qr_json_at
qr_json_root(struct qr_json *j)
{
    return (struct qr_json_at){.doc = j, .v = j->root};
}

/* Values. */

static int
is_name_char(uint8_t c, int dots)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || (dots && c == '.');
}

static int
is_allowed(uint8_t c, enum qr_json_type t)
{
    switch (t) {
    case QR_JSON_NAME:
        return is_name_char(c, 1);
    case QR_JSON_ID:
        return is_name_char(c, 0);
    case QR_JSON_TEXT:
        return c >= 0x20 && c < 0x7f;
    default:
        return 1;
    }
}

static const char *
allowed_text(enum qr_json_type t)
{
    return t == QR_JSON_NAME ? "letters, digits, '.', '_' and '-'"
           : t == QR_JSON_ID ? "letters, digits, '_' and '-'"
                             : "printable ASCII";
}

static qr_err
read_text(const struct qr_json_at *at, const struct qr_json_field *f)
{
    char q[QR_QUOTE_MAX];
    if (!json_is_string(at->v)) {
        return qr_json_fail(at, QR_ERR_MALFORMED, "must be text");
    }
    qr_view v = qr_view_of(json_string_value(at->v), json_string_length(at->v));
    if (v.len > f->max) {
        return qr_json_fail(at, QR_ERR_TOO_LARGE, "%zu bytes, at most %zu are allowed", v.len,
                            (size_t)f->max);
    }
    if (v.len < f->min) {
        return qr_json_fail(at, QR_ERR_MALFORMED, "%zu bytes, at least %zu are needed", v.len,
                            (size_t)f->min);
    }
    for (size_t i = 0; i < v.len; i++) {
        if (!is_allowed(v.p[i], f->type)) {
            return qr_json_fail(at, QR_ERR_MALFORMED, "\"%s\" may hold only %s", qr_quote(q, v),
                                allowed_text(f->type));
        }
    }
    *(qr_view *)f->ret = v;
    return QR_OK;
}

static qr_err
read_hex(const struct qr_json_at *at, const struct qr_json_field *f)
{
    if (!json_is_string(at->v)) {
        return qr_json_fail(at, QR_ERR_MALFORMED, "must be text");
    }
    size_t len = json_string_length(at->v);
    if (len != 2 * f->max) {
        return qr_json_fail(at, QR_ERR_MALFORMED, "must have %zu hex digits, has %zu characters",
                            (size_t)(2 * f->max), len);
    }
    if (qr_hex_decode(json_string_value(at->v), len, f->ret, (size_t)f->max) != QR_OK) {
        return qr_json_fail(at, QR_ERR_MALFORMED, "must be lower-case hex");
    }
    return QR_OK;
}

static qr_err
read_u64(const struct qr_json_at *at, const struct qr_json_field *f)
{
    /* The scan let no sign through, and jansson nothing above 2^63-1. */
    if (!json_is_integer(at->v) || json_integer_value(at->v) < 0) {
        return qr_json_fail(at, QR_ERR_MALFORMED, "must be an integer");
    }
    uint64_t v = (uint64_t)json_integer_value(at->v);
    if (v < f->min || v > f->max) {
        return qr_json_fail(at, v > f->max ? QR_ERR_TOO_LARGE : QR_ERR_MALFORMED,
                            "%llu is not between %llu and %llu", (unsigned long long)v,
                            (unsigned long long)f->min, (unsigned long long)f->max);
    }
    *(uint64_t *)f->ret = v;
    return QR_OK;
}

static qr_err
read_array(const struct qr_json_at *at, const struct qr_json_field *f)
{
    if (!json_is_array(at->v)) {
        return qr_json_fail(at, QR_ERR_MALFORMED, "must be an array");
    }
    size_t n = json_array_size(at->v);
    if (n < f->min || n > f->max) {
        return qr_json_fail(at, n > f->max ? QR_ERR_TOO_LARGE : QR_ERR_MALFORMED,
                            "%zu elements; %llu to %llu are allowed", n, (unsigned long long)f->min,
                            (unsigned long long)f->max);
    }
    *(struct qr_json_at *)f->ret = *at;
    return QR_OK;
}

qr_err
qr_json_value(const struct qr_json_at *at, const struct qr_json_field *f)
{
    switch (f->type) {
    case QR_JSON_SKIP:
        return QR_OK;
    case QR_JSON_U64:
        return read_u64(at, f);
    case QR_JSON_HEX:
        return read_hex(at, f);
    case QR_JSON_NAME:
    case QR_JSON_ID:
    case QR_JSON_TEXT:
    case QR_JSON_UTF8:
        return read_text(at, f);
    case QR_JSON_ARRAY:
        return read_array(at, f);
    case QR_JSON_BOOL:
        if (!json_is_boolean(at->v)) {
            return qr_json_fail(at, QR_ERR_MALFORMED, "must be true or false");
        }
        *(int *)f->ret = json_is_true(at->v);
        return QR_OK;
    case QR_JSON_OBJECT:
        if (!json_is_object(at->v)) {
            return qr_json_fail(at, QR_ERR_MALFORMED, "must be an object");
        }
        *(struct qr_json_at *)f->ret = *at;
        return QR_OK;
    case QR_JSON_END:
        break;
    }
    QR_ASSERT(0);
    return QR_ERR_INTERNAL;
}

/* Some member is in no row of the table: say which. */
static qr_err
unknown_member(const struct qr_json_at *at, const struct qr_json_field *fields)
{
    const char *key = NULL;
    json_t *value = NULL;
    char q[QR_QUOTE_MAX];

    /* jansson's iterator wants a pointer to non-const; nothing is changed through it. */
    json_object_foreach ((json_t *)(uintptr_t)at->v, key, value) {
        const struct qr_json_field *f = fields;
        while (f->type != QR_JSON_END && strcmp(f->name, key) != 0) {
            f++;
        }
        if (f->type == QR_JSON_END) {
            return qr_json_fail(at, QR_ERR_UNKNOWN_FIELD, "unknown member \"%s\"",
                                qr_quote(q, qr_view_str(key)));
        }
    }
    return QR_ERR_INTERNAL;
}

qr_err
qr_json_fields(const struct qr_json_at *at, const struct qr_json_field *fields)
{
    size_t found = 0;

    if (!json_is_object(at->v)) {
        return qr_json_fail(at, QR_ERR_MALFORMED, "must be an object");
    }
    for (const struct qr_json_field *f = fields; f->type != QR_JSON_END; f++) {
        found += json_object_get(at->v, f->name) != NULL;
    }
    /* First what we do not know: it explains a missing member better than "missing" does. */
    if (found != json_object_size(at->v)) {
        return unknown_member(at, fields);
    }
    for (const struct qr_json_field *f = fields; f->type != QR_JSON_END; f++) {
        struct qr_json_at child = {
            .doc = at->doc, .v = json_object_get(at->v, f->name), .up = at, .name = f->name};
        if (f->ret_present) {
            *f->ret_present = child.v != NULL;
        }
        if (child.v) {
            QR_TRY(qr_json_value(&child, f));
        } else if (!f->ret_present) {
            return qr_json_fail(at, QR_ERR_MALFORMED, "member \"%s\" is missing", f->name);
        }
    }
    return QR_OK;
}

qr_err
qr_json_head(const struct qr_json_at *at, const char *type)
{
    char q[QR_QUOTE_MAX];
    const json_t *v = json_object_get(at->v, "v"), *t = json_object_get(at->v, "type");

    if (!json_is_object(at->v)) {
        return qr_json_fail(at, QR_ERR_MALFORMED, "must be an object");
    }
    if (!json_is_integer(v)) {
        return qr_json_fail(at, QR_ERR_MALFORMED, "\"v\" must be the integer 1");
    }
    if (type) {
        if (!json_is_string(t)) {
            return qr_json_fail(at, QR_ERR_MALFORMED, "\"type\" must be the text \"%s\"", type);
        }
        qr_view is = qr_view_of(json_string_value(t), json_string_length(t));
        if (!qr_view_eq(is, qr_view_str(type))) {
            return qr_json_fail(at, QR_ERR_MALFORMED, "this is a \"%s\", not a \"%s\"",
                                qr_quote(q, is), type);
        }
    }
    if (json_integer_value(v) != 1) {
        return qr_json_fail(at, QR_ERR_VERSION, "version %lld is not supported, only 1",
                            (long long)json_integer_value(v));
    }
    return QR_OK;
}

size_t
qr_json_count(const struct qr_json_at *array)
{
    return json_array_size(array->v);
}

struct qr_json_at
qr_json_elem(const struct qr_json_at *array, size_t i)
{
    QR_ASSERT(i < json_array_size(array->v));
    return (struct qr_json_at){
        .doc = array->doc, .v = json_array_get(array->v, i), .up = array, .index = i};
}

size_t
qr_json_size(const struct qr_json_at *object)
{
    return json_object_size(object->v);
}

struct qr_json_at
qr_json_member(const struct qr_json_at *object, size_t i)
{
    QR_ASSERT(i < json_object_size(object->v));
    /* As in unknown_member: nothing is changed through the pointer. */
    json_t *o = (json_t *)(uintptr_t)object->v;
    void *it = json_object_iter(o);
    for (; i > 0; i--) {
        it = json_object_iter_next(o, it);
    }
    return (struct qr_json_at){.doc = object->doc,
                               .v = json_object_iter_value(it),
                               .up = object,
                               .name = json_object_iter_key(it)};
}
