#include "daemon/audit.h"

#include "protocol/base/enc.h"
#include "protocol/base/hash.h"
#include "protocol/base/limits.h"
#include "protocol/base/secret.h"

#include <stdio.h>

#define SEGMENTS (QR_AUDIT_BYTES / QR_AUDIT_SEGMENT)
#define LINES (QR_AUDIT_SEGMENT / 128u) /* a line has more than 128 bytes of fixed text */
#define LINE_HEAD_MAX 320u              /* everything before the members */

/* Lines of one boot, one after another, each with its newline. */
struct segment {
    uint64_t boot, first; /* serial of line 0 */
    uint32_t n, fetched;  /* lines; how many of them were fetched */
    uint32_t used;        /* bytes */
    uint32_t at[LINES];
    char text[QR_AUDIT_SEGMENT];
};

/* seg[(oldest + i) % SEGMENTS], i < n_segs, from the oldest; the last one is written to. */
struct qr_audit {
    uint16_t party;
    struct qr_audit_head head;
    struct segment *seg[SEGMENTS];
    size_t oldest, n_segs;
};

void
qr_audit_hash(qr_view line, uint8_t ret[static 32])
{
    qr_th(QR_TAG_AUDIT, QR_FIELDS(QR_F(line.p, line.len)), ret);
}

void
qr_audit_head_hash(const uint8_t cluster[static 32], uint16_t party,
                   const uint8_t boot_nonce[static 32], const struct qr_audit_head *h,
                   uint8_t ret[static 32])
{
    uint8_t who[2], at[16];
    qr_put16(who, party);
    qr_put64(at, h->boot);
    qr_put64(at + 8, h->serial);
    qr_th(QR_TAG_AUDIT_HEAD,
          QR_FIELDS(QR_F(cluster, 32), QR_F(who, 2), QR_F(boot_nonce, 32), QR_F(at, 8),
                    QR_F(at + 8, 8), QR_F(h->hash, 32)),
          ret);
}

qr_err
qr_audit_new(uint16_t party, uint64_t boot, const struct qr_audit_head *prev, struct qr_audit **ret)
{
    struct qr_audit *a = qr_alloc(sizeof *a);
    if (!a) {
        return QR_ERR_NO_MEMORY;
    }
    a->party = party;
    a->head.boot = boot;
    if (prev) {
        memcpy(a->head.hash, prev->hash, 32);
    }
    *ret = a;
    return QR_OK;
}

struct qr_audit *
qr_audit_free(struct qr_audit *a)
{
    if (a) {
        for (size_t i = 0; i < SEGMENTS; i++) {
            a->seg[i] = qr_free(a->seg[i]);
        }
    }
    return qr_free(a);
}

static struct segment *
segment_at(const struct qr_audit *a, size_t i)
{
    return a->seg[(a->oldest + i) % SEGMENTS];
}

static struct segment *
last_segment(const struct qr_audit *a)
{
    return a->n_segs ? segment_at(a, a->n_segs - 1) : NULL;
}

qr_err
qr_audit_boot(struct qr_audit *a, uint16_t party, uint64_t boot)
{
    if (boot <= a->head.boot) {
        return QR_ERR_USAGE;
    }
    a->party = party;
    a->head.boot = boot;
    a->head.serial = 0;
    return QR_OK;
}

/* ---- writing ----------------------------------------------------------------------------- */

static int
has_room(const struct segment *s, uint64_t boot, size_t len)
{
    return s && s->boot == boot && s->n < LINES && QR_AUDIT_SEGMENT - s->used >= len;
}

/* Segments that could be begun now: those never used, and the oldest ones as far as they are fetched. */
static size_t
free_segments(const struct qr_audit *a)
{
    size_t n = SEGMENTS - a->n_segs;
    for (size_t i = 0; i < a->n_segs && segment_at(a, i)->fetched == segment_at(a, i)->n; i++) {
        n++;
    }
    return n;
}

/* The segment that takes a line of len bytes. */
static qr_err
segment_for(struct qr_audit *a, size_t len, struct segment **ret)
{
    struct segment *s = last_segment(a);
    if (has_room(s, a->head.boot, len)) {
        *ret = s;
        return QR_OK;
    }
    if (a->n_segs == SEGMENTS) {
        s = segment_at(a, 0);
        if (s->fetched < s->n) {
            return QR_ERR_BUSY;
        }
        a->oldest = (a->oldest + 1) % SEGMENTS;
        a->n_segs--;
    }
    size_t at = (a->oldest + a->n_segs) % SEGMENTS;
    if (!a->seg[at]) {
        a->seg[at] = qr_alloc(sizeof **a->seg);
        if (!a->seg[at]) {
            return QR_ERR_NO_MEMORY;
        }
    }
    s = a->seg[at];
    s->boot = a->head.boot;
    s->first = a->head.serial + 1;
    s->n = s->fetched = s->used = 0;
    a->n_segs++;
    *ret = s;
    return QR_OK;
}

static int
event_ok(const char *event)
{
    size_t n = 0;
    while (event[n] >= 'a' && event[n] <= 'z') {
        n++;
    }
    return event[n] == '\0' && n >= 1 && n <= QR_AUDIT_EVENT_MAX;
}

qr_err
qr_audit_add(struct qr_audit *a, uint64_t time_ms, const char *event, qr_view members,
             uint64_t *ret_serial)
{
    char head[LINE_HEAD_MAX], prev[65];
    struct segment *s;
    if (!event_ok(event) || memchr(members.p ? (const char *)members.p : "", '\n', members.len)) {
        return QR_ERR_MALFORMED;
    }
    qr_hex_encode(qr_view_of(a->head.hash, 32), prev);
    size_t n = (size_t)snprintf(head, sizeof head,
                                "{\"v\":1,\"party\":%u,\"boot\":%llu,\"serial\":%llu,"
                                "\"prev\":\"%s\",\"time_ms\":%llu,\"event\":\"%s\"",
                                a->party, (unsigned long long)a->head.boot,
                                (unsigned long long)a->head.serial + 1, prev,
                                (unsigned long long)time_ms, event);
    if (members.len > QR_AUDIT_RECORD_MAX - LINE_HEAD_MAX) {
        return QR_ERR_TOO_LARGE;
    }
    QR_TRY(segment_for(a, n + members.len + 2, &s));
    char *line = s->text + s->used;
    memcpy(line, head, n);
    if (members.len) {
        memcpy(line + n, members.p, members.len);
    }
    n += members.len;
    line[n++] = '}';
    qr_audit_hash(qr_view_of(line, n), a->head.hash);
    line[n++] = '\n';
    s->at[s->n++] = s->used;
    s->used += (uint32_t)n;
    *ret_serial = ++a->head.serial;
    return QR_OK;
}

int
qr_audit_room(const struct qr_audit *a, size_t bytes)
{
    const size_t each = QR_AUDIT_SEGMENT - QR_AUDIT_RECORD_MAX; /* a line never spans two */
    const struct segment *s = last_segment(a);
    size_t have = free_segments(a) * each;
    if (s && s->fetched < s->n && s->boot == a->head.boot &&
        QR_AUDIT_SEGMENT - s->used > QR_AUDIT_RECORD_MAX) {
        have += QR_AUDIT_SEGMENT - s->used - QR_AUDIT_RECORD_MAX;
    }
    return have >= QR_AUDIT_SPARE && have - QR_AUDIT_SPARE >= bytes;
}

void
qr_audit_head(const struct qr_audit *a, struct qr_audit_head *ret)
{
    *ret = a->head;
}

/* ---- reading ----------------------------------------------------------------------------- */

static size_t
line_end(const struct segment *s, uint32_t i)
{
    return i + 1 < s->n ? s->at[i + 1] : s->used;
}

qr_view
qr_audit_line(const struct qr_audit *a, uint64_t boot, uint64_t serial)
{
    for (size_t i = a->n_segs; i > 0; i--) {
        const struct segment *s = segment_at(a, i - 1);
        if (s->boot == boot && serial >= s->first && serial - s->first < s->n) {
            uint32_t k = (uint32_t)(serial - s->first);
            return qr_view_of(s->text + s->at[k], line_end(s, k) - s->at[k] - 1);
        }
    }
    return (qr_view){NULL, 0};
}

/* Is the place (boot, serial) before line 0 of the segment? */
static int
before(const struct segment *s, uint64_t boot, uint64_t serial)
{
    return boot < s->boot || (boot == s->boot && serial < s->first);
}

/* How many lines of the segment stand at the place or before it. */
static uint32_t
lines_upto(const struct segment *s, uint64_t boot, uint64_t serial)
{
    if (before(s, boot, serial)) {
        return 0;
    }
    uint64_t n = serial - s->first + 1;
    return boot > s->boot || n > s->n ? s->n : (uint32_t)n;
}

qr_err
qr_audit_fetch(struct qr_audit *a, uint64_t boot, uint64_t serial, struct qr_dbuf *out)
{
    size_t left = QR_AUDIT_FETCH_MAX;
    if (boot > a->head.boot || (boot == a->head.boot && serial > a->head.serial)) {
        return QR_ERR_MALFORMED;
    }
    /* A boot between two of ours never was: whoever names it has another party's log. */
    int known = 0;
    for (size_t i = 0; i < a->n_segs; i++) {
        known |= segment_at(a, i)->boot == boot;
    }
    for (size_t i = 0; i < a->n_segs; i++) {
        struct segment *s = segment_at(a, i);
        uint32_t k = lines_upto(s, boot, serial);
        if (known && k > s->fetched) {
            s->fetched = k;
        }
        if (k < s->n) {
            size_t from = s->at[k], end = from;
            while (k < s->n && line_end(s, k) - from <= left) {
                end = line_end(s, k++);
            }
            QR_TRY(qr_dbuf_append(out, s->text + from, end - from));
            left -= end - from;
            if (k < s->n) {
                return QR_OK;
            }
        }
    }
    return QR_OK;
}

uint64_t
qr_audit_waiting(const struct qr_audit *a)
{
    uint64_t n = 0;
    for (size_t i = 0; i < a->n_segs; i++) {
        n += segment_at(a, i)->n - segment_at(a, i)->fetched;
    }
    return n;
}
