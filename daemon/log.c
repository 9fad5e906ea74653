/*
 * A line is built in one fixed buffer on the stack and written by one write(2). What does not fit
 * is dropped whole, field by field, and the line says "truncated": it is always valid JSON.
 */
#include "daemon/log.h"

#include "daemon/jsonw.h"
#include "protocol/base/enc.h"

#include <pthread.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define LINE_MAX_LEN 8192u
#define LINE_TAIL 64u /* kept free for what closes a line */
#define TEXT_MAX 1024u
#define HEX_MAX 64u

#define RATE_SLOTS 256u
#define RATE_BURST 50.0
#define RATE_PER_S 5.0
#define RATE_PROBES 8u

struct line {
    char b[LINE_MAX_LEN];
    size_t n;
    int full;
};

struct rate {
    uint64_t key; /* 0: empty */
    double tokens;
    double at_s;
    uint64_t suppressed;
};

static struct {
    pthread_mutex_t lock;
    enum qr_log_level min;
    enum qr_log_format format; /* AUTO: stderr has not been looked at yet */
    void (*sink)(void *ctx, const char *line, size_t len);
    void *sink_ctx;
    struct rate rate[RATE_SLOTS];
} state = {.lock = PTHREAD_MUTEX_INITIALIZER, .min = QR_LOG_INFO, .format = QR_LOG_AUTO};

static const char *const level_names[] = {"debug", "info", "warn", "error"};
static const char *const level_labels[] = {"DEBUG", "INFO ", "WARN ", "ERROR"};

void
qr_log_init(enum qr_log_level min, enum qr_log_format format)
{
    pthread_mutex_lock(&state.lock);
    state.min = min;
    state.format = format;
    memset(state.rate, 0, sizeof state.rate);
    pthread_mutex_unlock(&state.lock);
}

void
qr_log_sink(void (*fn)(void *ctx, const char *line, size_t len), void *ctx)
{
    pthread_mutex_lock(&state.lock);
    state.sink = fn;
    state.sink_ctx = ctx;
    pthread_mutex_unlock(&state.lock);
}

int
qr_log_on(enum qr_log_level level)
{
    pthread_mutex_lock(&state.lock);
    int on = level >= state.min;
    pthread_mutex_unlock(&state.lock);
    return on;
}

/* ---- building a line ---- */

static void
put(struct line *l, const char *p, size_t n)
{
    if (l->full || n > sizeof l->b - LINE_TAIL - l->n) {
        l->full = 1;
        return;
    }
    memcpy(l->b + l->n, p, n);
    l->n += n;
}

static void
put_str(struct line *l, const char *s)
{
    put(l, s, strlen(s));
}

/* JSON string escapes; used by the format for people too, so that no text moves the cursor. */
static void
put_escaped(struct line *l, qr_view v)
{
    size_t end = v.len < TEXT_MAX ? v.len : TEXT_MAX;

    for (size_t i = 0; i < end;) {
        char t[8];
        size_t n;
        i += qr_json_escape(v, i, t, &n);
        put(l, t, n);
    }
    if (end < v.len) {
        put_str(l, "...");
    }
}

static void
put_value(struct line *l, const struct qr_log_field *f)
{
    char t[2 * HEX_MAX + 1];

    switch (f->kind) {
    case QR_LOG_K_U64:
        put(l, t, (size_t)snprintf(t, sizeof t, "%llu", (unsigned long long)f->u));
        break;
    case QR_LOG_K_I64:
        put(l, t, (size_t)snprintf(t, sizeof t, "%lld", (long long)f->i));
        break;
    case QR_LOG_K_BOOL:
        put_str(l, f->u ? "true" : "false");
        break;
    case QR_LOG_K_STR:
        if (!f->s) {
            put_str(l, "null");
            break;
        }
        put_str(l, "\"");
        put_escaped(l, qr_view_str(f->s));
        put_str(l, "\"");
        break;
    case QR_LOG_K_VIEW:
        put_str(l, "\"");
        put_escaped(l, f->v);
        put_str(l, "\"");
        break;
    case QR_LOG_K_HEX: {
        qr_view v = f->v;
        v.len = v.len < HEX_MAX ? v.len : HEX_MAX;
        qr_hex_encode(v, t);
        put_str(l, "\"");
        put_str(l, t);
        put_str(l, v.len < f->v.len ? "...\"" : "\"");
        break;
    }
    case QR_LOG_K_END:
    default:
        put_str(l, "null");
        break;
    }
}

/* A field fits whole or not at all. */
static void
put_field(struct line *l, enum qr_log_format format, const struct qr_log_field *f)
{
    size_t before = l->n;

    put_str(l, format == QR_LOG_JSON ? ",\"" : "  ");
    put_str(l, f->name);
    put_str(l, format == QR_LOG_JSON ? "\":" : "=");
    put_value(l, f);
    if (l->full) {
        l->n = before;
    }
}

static void
put_time(struct line *l, enum qr_log_format format)
{
    struct timespec ts = {0};
    struct tm tm;
    char t[64];

    clock_gettime(CLOCK_REALTIME, &ts);
    gmtime_r(&ts.tv_sec, &tm);
    size_t n = strftime(t, sizeof t, format == QR_LOG_JSON ? "%Y-%m-%dT%H:%M:%S" : "%H:%M:%S", &tm);
    put(l, t, n);
    put(l, t, (size_t)snprintf(t, sizeof t, ".%03d", (int)(ts.tv_nsec / 1000000)));
}

static void
build(struct line *l, enum qr_log_format format, enum qr_log_level level, const char *mod,
      const char *ev, const char *msg, const struct qr_log_field *fields, uint64_t suppressed)
{
    l->n = 0;
    l->full = 0;
    if (format == QR_LOG_JSON) {
        put_str(l, "{\"ts\":\"");
        put_time(l, format);
        put_str(l, "Z\",\"lvl\":\"");
        put_str(l, level_names[level]);
        put_str(l, "\",\"mod\":\"");
        put_str(l, mod);
        put_str(l, "\",\"ev\":\"");
        put_str(l, ev);
        put_str(l, "\",\"msg\":\"");
        put_escaped(l, qr_view_str(msg));
        put_str(l, "\"");
    } else {
        put_time(l, format);
        put_str(l, " ");
        put_str(l, level_labels[level]);
        put_str(l, " ");
        put_str(l, mod);
        put_str(l, " ");
        put_str(l, ev);
        put_str(l, ": ");
        put_escaped(l, qr_view_str(msg));
    }
    for (; fields->kind != QR_LOG_K_END; fields++) {
        put_field(l, format, fields);
    }
    if (suppressed > 0) {
        struct qr_log_field f = QR_LOG_U64("suppressed", suppressed);
        put_field(l, format, &f);
    }
    /* The tail is always free. */
    const char *cut = format == QR_LOG_JSON ? ",\"truncated\":true" : "  truncated=true";
    if (l->full) {
        memcpy(l->b + l->n, cut, strlen(cut));
        l->n += strlen(cut);
    }
    if (format == QR_LOG_JSON) {
        l->b[l->n++] = '}';
    }
}

/* ---- rate ---- */

static uint64_t
event_key(const char *mod, const char *ev)
{
    uint64_t h = UINT64_C(14695981039346656037); /* FNV-1a; names are ours, not hostile */
    for (const char *p = mod; *p; p++) {
        h = (h ^ (uint8_t)*p) * UINT64_C(1099511628211);
    }
    h = (h ^ '/') * UINT64_C(1099511628211);
    for (const char *p = ev; *p; p++) {
        h = (h ^ (uint8_t)*p) * UINT64_C(1099511628211);
    }
    return h ? h : 1;
}

/* 1: write it, with *ret_suppressed lines of this event held back before. Lock held. */
static int
rate_take(const char *mod, const char *ev, uint64_t *ret_suppressed)
{
    struct timespec ts = {0};
    clock_gettime(CLOCK_MONOTONIC, &ts);
    double now = (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
    uint64_t key = event_key(mod, ev);
    struct rate *r = NULL;

    *ret_suppressed = 0;
    for (size_t i = 0; i < RATE_PROBES; i++) {
        struct rate *c = &state.rate[(key + i) % RATE_SLOTS];
        if (c->key == key || c->key == 0) {
            r = c;
            break;
        }
    }
    if (!r) {
        return 1; /* more events than slots: written, not lost */
    }
    if (r->key == 0) {
        *r = (struct rate){.key = key, .tokens = RATE_BURST, .at_s = now};
    }
    r->tokens += (now - r->at_s) * RATE_PER_S;
    r->tokens = r->tokens > RATE_BURST ? RATE_BURST : r->tokens;
    r->at_s = now;
    if (r->tokens < 1.0) {
        r->suppressed++;
        return 0;
    }
    r->tokens -= 1.0;
    *ret_suppressed = r->suppressed;
    r->suppressed = 0;
    return 1;
}

void
qr_log_write(enum qr_log_level level, const char *mod, const char *ev, const char *msg,
             const struct qr_log_field *fields)
{
    struct line l;
    uint64_t suppressed = 0;

    pthread_mutex_lock(&state.lock);
    if (state.format == QR_LOG_AUTO) {
        state.format = isatty(STDERR_FILENO) ? QR_LOG_HUMAN : QR_LOG_JSON;
    }
    enum qr_log_format format = state.format;
    void (*sink)(void *, const char *, size_t) = state.sink;
    void *sink_ctx = state.sink_ctx;
    int wanted = level >= state.min && (level == QR_LOG_DEBUG || rate_take(mod, ev, &suppressed));
    pthread_mutex_unlock(&state.lock);
    if (!wanted) {
        return;
    }
    build(&l, format, level, mod, ev, msg, fields, suppressed);
    if (sink) {
        sink(sink_ctx, l.b, l.n);
        return;
    }
    l.b[l.n++] = '\n';
    /* Nowhere to report that the log cannot be written. */
    ssize_t ignored = write(STDERR_FILENO, l.b, l.n);
    (void)ignored;
}
