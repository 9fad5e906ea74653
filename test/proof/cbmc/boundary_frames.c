/*
 * PROVES: streams to frames. Whatever bytes come, in whatever pieces: reads go to memory that is there
 *         and has at least one byte; frames come out in order, inside the buffer, not empty, not above
 *         frame_max, directly behind their prefixes; an oversized or empty prefix is refused before
 *         anything is allocated for it; pos <= len <= cap <= max at every moment.
 * BOUND:  one step of the reader's loop (next until nothing is left, room, a read of any length, next)
 *         from any state it can be in; frames of up to 4 bytes, reads of up to 8 bytes.
 * SCALE:  proto/boundary.c s/READ_CHUNK (64u \* 1024u)/READ_CHUNK 8u/
 * CBMC:   --unwind 6
 * BITE:   proto/boundary.c s/if (frame > f->frame_max)/if (frame > f->frame_max + 4)/
 * BITE:   proto/boundary.c s/if (have < PREFIX + frame)/if (have < frame)/
 */
#include "proto/boundary.c"

#include "test/proof/cbmc/proof.h"

#define FRAME 4u

/* mem.c's buffers over one block of exactly `max` bytes; their own proof is mem_dbuf. */
#define STORE (PREFIX + FRAME + READ_CHUNK)
static uint8_t *store;

void
qr_dbuf_init(struct qr_dbuf *d, size_t max)
{
    *d = (struct qr_dbuf){.max = max};
}

qr_err
qr_dbuf_reserve(struct qr_dbuf *d, size_t n)
{
    if (n > d->max - d->len) {
        return QR_ERR_TOO_LARGE;
    }
    if (nondet_int()) {
        return QR_ERR_NO_MEMORY;
    }
    d->cap = d->cap > d->len + n ? d->cap : d->len + n;
    return QR_OK;
}

void
qr_dbuf_consume(struct qr_dbuf *d, size_t n)
{
    PROVE(n <= d->len, "no more is consumed than there is");
    memmove(d->p, d->p + n, d->len - n);
    d->len -= n;
}

static int refused; /* the stream is closed */

static void
drain(struct qr_frames *f)
{
    for (int i = 0; i < 5; i++) {
        size_t at = f->pos;
        qr_view v = {store, 777};
        qr_err e = qr_frames_next(f, &v);
        PROVE(f->pos <= f->buf.len && f->buf.len <= f->buf.cap, "the invariant holds");
        if (e != QR_OK) {
            refused = 1;
            return;
        }
        if (!v.p) {
            PROVE(v.len == 0 && f->pos == at, "nothing complete");
            return;
        }
        PROVE(v.len >= 1 && v.len <= FRAME, "within the maximum");
        PROVE(v.p == f->buf.p + at + PREFIX && f->pos == at + PREFIX + v.len, "behind its prefix");
        PROVE(f->pos <= f->buf.len, "inside what was read");
        PROVE(qr_get32(f->buf.p + at) == v.len, "as long as its prefix says");
    }
    PROVE(0, "at most four frames fit into the buffer");
}

void
proof(void)
{
    struct qr_frames f;
    uint8_t *p = NULL;
    size_t n = 0;

    store = any_bytes(STORE);
    qr_frames_init(&f, FRAME);
    PROVE(f.buf.max == STORE && f.pos == 0, "a bounded buffer");
    f.buf.p = store;
    f.buf.cap = any_size(f.buf.max);
    f.buf.len = any_size(f.buf.cap);
    f.pos = any_size(f.buf.len);
    drain(&f);
    if (refused) {
        return;
    }
    qr_err e = qr_frames_room(&f, &p, &n);
    PROVE(e == QR_OK || e == QR_ERR_NO_MEMORY, "there is always room to ask for");
    if (e != QR_OK) {
        return;
    }
    PROVE(f.pos == 0 && n >= 1 && p == f.buf.p + f.buf.len && n <= f.buf.cap - f.buf.len, "room");
    PROVE(f.buf.cap <= f.buf.max, "never above the maximum");
    qr_frames_added(&f, any_size(n));
    drain(&f);
}
