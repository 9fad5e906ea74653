/*
 * libcbor decodes heads and hands out strings where they lie. What bounds the work is here: an item's
 * kind is told by its first byte before libcbor sees it, so that it never meets a form that is not
 * read.
 */
#include "enclave-shim/verify/cbor.h"

#include "enclave-shim/verify/utf8.h"
#include "protocol/base/check.h"

#include <cbor.h>

#define BREAK 0xffu

/* Major types in the first byte's upper three bits, and what the lower five say: RFC 8949, 3. */
enum { MAJOR_UINT, MAJOR_NEGINT, MAJOR_BYTES, MAJOR_TEXT, MAJOR_ARRAY, MAJOR_MAP, MAJOR_TAG };
#define INFO_ONE_BYTE 24u
#define INFO_RESERVED 28u
#define INFO_INDEFINITE 31u
#define SIMPLE_FALSE 0xf4u
#define SIMPLE_TRUE 0xf5u
#define SIMPLE_NULL 0xf6u

void
qr_cbor_init(struct qr_cbor *c, qr_view in)
{
    *c = (struct qr_cbor){.in = in};
}

static qr_err
fail(struct qr_cbor *c, qr_err e)
{
    if (c->err == QR_OK) {
        c->err = e;
    }
    return c->err;
}

/* ---- what libcbor calls ---- */

static void
got_uint64(void *ctx, uint64_t u)
{
    struct qr_cbor_item *it = ctx;
    it->u = u;
}

static void
got_uint32(void *ctx, uint32_t u)
{
    got_uint64(ctx, u);
}

static void
got_uint16(void *ctx, uint16_t u)
{
    got_uint64(ctx, u);
}

static void
got_uint8(void *ctx, uint8_t u)
{
    got_uint64(ctx, u);
}

static void
got_count(void *ctx, size_t n)
{
    got_uint64(ctx, n);
}

static void
got_string(void *ctx, cbor_data p, size_t len)
{
    struct qr_cbor_item *it = ctx;
    it->v = qr_view_of(p, len);
    it->u = len;
}

static struct cbor_callbacks
callbacks(void)
{
    struct cbor_callbacks cb = cbor_empty_callbacks;
    cb.uint8 = got_uint8;
    cb.uint16 = got_uint16;
    cb.uint32 = got_uint32;
    cb.uint64 = got_uint64;
    cb.negint8 = got_uint8;
    cb.negint16 = got_uint16;
    cb.negint32 = got_uint32;
    cb.negint64 = got_uint64;
    cb.byte_string = got_string;
    cb.string = got_string;
    cb.array_start = got_count;
    cb.map_start = got_count;
    cb.tag = got_uint64;
    return cb;
}

/* ---- heads ---- */

static enum qr_cbor_type
type_of(uint8_t first)
{
    static const enum qr_cbor_type of_major[] = {
        QR_CBOR_UINT,  QR_CBOR_NEGINT, QR_CBOR_BYTES, QR_CBOR_TEXT,
        QR_CBOR_ARRAY, QR_CBOR_MAP,    QR_CBOR_TAG,
    };
    unsigned major = first >> 5;
    if (major <= MAJOR_TAG) {
        return of_major[major];
    }
    switch (first) {
    case SIMPLE_FALSE:
    case SIMPLE_TRUE:
        return QR_CBOR_BOOL;
    case SIMPLE_NULL:
        return QR_CBOR_NULL;
    default:
        return QR_CBOR_OTHER;
    }
}

/* Is the argument u in the shortest of the five forms? */
static int
is_minimal(uint8_t first, uint64_t u)
{
    switch (first & 0x1f) {
    case INFO_ONE_BYTE:
        return u >= INFO_ONE_BYTE;
    case INFO_ONE_BYTE + 1:
        return u > UINT8_MAX;
    case INFO_ONE_BYTE + 2:
        return u > UINT16_MAX;
    case INFO_ONE_BYTE + 3:
        return u > UINT32_MAX;
    default:
        return 1;
    }
}

/* Forms that are not read: reserved heads, indefinite strings, a break where an item belongs. */
static int
is_readable(uint8_t first)
{
    unsigned major = first >> 5, info = first & 0x1f;
    if (info == INFO_INDEFINITE) {
        return major == MAJOR_ARRAY || major == MAJOR_MAP;
    }
    return info < INFO_RESERVED;
}

/* Tags 6 to 20, COSE's among them, are errors to libcbor 0.8 to 0.10 when they take one byte. */
static int
is_short_tag(uint8_t first)
{
    return first >> 5 == MAJOR_TAG && (first & 0x1f) < INFO_ONE_BYTE;
}

qr_err
qr_cbor_next(struct qr_cbor *c, struct qr_cbor_item *ret)
{
    struct qr_cbor_item it = {QR_CBOR_OTHER};
    const struct cbor_callbacks cb = callbacks();
    size_t left = c->in.len - c->pos;

    if (c->err != QR_OK) {
        return c->err;
    }
    if (c->items >= QR_CBOR_ITEMS) {
        return fail(c, QR_ERR_TOO_LARGE);
    }
    if (left == 0 || !is_readable(c->in.p[c->pos])) {
        return fail(c, QR_ERR_MALFORMED);
    }
    uint8_t first = c->in.p[c->pos];
    struct cbor_decoder_result r = {.read = 1, .status = CBOR_DECODER_FINISHED};
    if (is_short_tag(first)) {
        it.u = first & 0x1f;
    } else {
        r = cbor_stream_decode(c->in.p + c->pos, left, &cb, &it);
    }
    if (r.status != CBOR_DECODER_FINISHED || r.read == 0 || r.read > left) {
        return fail(c, QR_ERR_MALFORMED);
    }
    left -= r.read;
    it.type = type_of(first);
    it.indefinite = (first & 0x1f) == INFO_INDEFINITE;
    it.minimal = it.type >= QR_CBOR_BOOL || is_minimal(first, it.u);
    if (it.type == QR_CBOR_BOOL) {
        it.u = first == SIMPLE_TRUE;
    }
    /* More than may be read at all: refused by the head, before anyone counts. */
    if ((it.type == QR_CBOR_ARRAY || it.type == QR_CBOR_MAP) && it.u > QR_CBOR_ITEMS) {
        return fail(c, QR_ERR_TOO_LARGE);
    }
    /* Every element takes a byte at least, every pair two. */
    if ((it.type == QR_CBOR_ARRAY && it.u > left) || (it.type == QR_CBOR_MAP && it.u > left / 2) ||
        (it.type == QR_CBOR_TEXT && !qr_utf8_valid(it.v))) {
        return fail(c, QR_ERR_MALFORMED);
    }
    c->pos += r.read;
    c->items++;
    *ret = it;
    return QR_OK;
}

/* ---- containers ---- */

qr_err
qr_cbor_enter(struct qr_cbor *c, const struct qr_cbor_item *head, struct qr_cbor_open *ret)
{
    QR_ASSERT(head->type == QR_CBOR_ARRAY || head->type == QR_CBOR_MAP);
    if (c->err != QR_OK) {
        return c->err;
    }
    if (c->depth >= QR_CBOR_DEPTH) {
        return fail(c, QR_ERR_TOO_LARGE);
    }
    c->depth++;
    *ret = (struct qr_cbor_open){head->u, head->indefinite};
    return QR_OK;
}

int
qr_cbor_more(struct qr_cbor *c, struct qr_cbor_open *o)
{
    if (c->err != QR_OK) {
        return 0;
    }
    QR_ASSERT(c->depth > 0);
    if (!o->indefinite) {
        if (o->left > 0) {
            o->left--;
            return 1;
        }
        c->depth--;
        return 0;
    }
    if (c->pos == c->in.len) {
        (void)fail(c, QR_ERR_MALFORMED); /* it was never closed */
        return 0;
    }
    if (c->in.p[c->pos] != BREAK) {
        return 1;
    }
    c->pos++;
    c->depth--;
    return 0;
}

qr_err
qr_cbor_skip(struct qr_cbor *c)
{
    struct {
        struct qr_cbor_open open;
        unsigned per, due; /* items of an element, and those still to read */
    } stack[QR_CBOR_DEPTH];
    size_t n = 0;

    for (;;) {
        struct qr_cbor_item it;
        QR_TRY(qr_cbor_next(c, &it));
        if (it.type == QR_CBOR_TAG) {
            continue; /* what it tags is the item */
        }
        if (it.type == QR_CBOR_ARRAY || it.type == QR_CBOR_MAP) {
            struct qr_cbor_open open;
            QR_TRY(qr_cbor_enter(c, &it, &open)); /* refused past the depth: n fits from here on */
            stack[n].open = open;
            stack[n].per = it.type == QR_CBOR_MAP ? 2 : 1;
            stack[n].due = 0;
            n++;
        }
        while (n > 0 && stack[n - 1].due == 0) {
            if (qr_cbor_more(c, &stack[n - 1].open)) {
                stack[n - 1].due = stack[n - 1].per;
            } else {
                n--;
            }
        }
        if (n == 0 || c->err != QR_OK) {
            return c->err;
        }
        stack[n - 1].due--;
    }
}

qr_err
qr_cbor_end(const struct qr_cbor *c)
{
    if (c->err != QR_OK) {
        return c->err;
    }
    return c->pos == c->in.len ? QR_OK : QR_ERR_TRAILING;
}
