/*
 * PROVES: what waits for a peer. One reserve, cancel, acknowledgement, resume, drop or clear, any
 *         arguments, memory running out at any time, keeps this: both lists are intact; committed
 *         messages are numbered acked + 1 .. last_seq without a gap and are of this pair of boots;
 *         the bytes counted are the bytes held and at most the limit; an item lies inside its
 *         block; the cursor is one of them, or none is left. And: a cancelled message takes no
 *         number; an acknowledgement of what was not written, or of less than the last one, is
 *         refused and changes nothing; a new connection starts at the first that the peer lacks;
 *         nothing is freed twice, used after, or lost; what is cleared holds nothing.
 * BOUND:  one step from any such state of 0..2 messages in the list that the step works on and 1
 *         or 2 in the other; payloads of 0..2 bytes. Not commit: the checker does not end on it.
 * SLOW:   nightly
 * SCALE:  transport/queue.c s/HEADROOM 128u/HEADROOM 16u/
 * SCALE:  transport/queue.h s/uint8_t p\[\];/uint8_t p[18];/
 * SCALE:  proto/wire.h s/QR_WIRE_HEADER_MAX 80u/QR_WIRE_HEADER_MAX 8u/
 * CBMC:   --unwind 5 --object-bits 12
 * BITE:   transport/queue.c s/    q->bytes -= m->cost;/    q->bytes -= m->room;/
 * BITE:   transport/queue.c s/q->cursor ? q->cursor->seq - 1 : q->last_seq/q->last_seq/
 * BITE:   transport/queue.c s/        q->first->prev = NULL;/        (void)0;/
 */
#include "test/proof/cbmc/proof.h"

#include "protocol/base/secret.h"
#define qr_wipe(p, n) ((void)0)
#include "transport/queue.c"

#define PAYLOAD 2u
#define MOST (sizeof(struct qr_queued) + HEADROOM + PAYLOAD)
_Static_assert(sizeof(((struct qr_queued *)0)->p) == HEADROOM + PAYLOAD, "the longest");

static int held; /* blocks */

void
qr_panic(const char *file, int line, const char *what)
{
    PROVE(0, "no panic");
    ASSUME(0);
}

/* Every block has one size here, which is all that the queue could have asked for. */
void *
qr_alloc(size_t n)
{
    if (n > MOST || nondet_int()) {
        return NULL;
    }
    struct qr_queued *m = malloc(sizeof(struct qr_queued));
    *m = (struct qr_queued){.magic = 0};
    held++;
    return m;
}

void *
qr_free(void *p)
{
    held -= p != NULL;
    free(p);
    return NULL;
}

int
qr_wire_type_known(uint32_t type)
{
    return type == QR_MSG_SIGN_REQUEST || type == QR_MSG_PRESIGN1;
}

enum qr_class
qr_msg_class(enum qr_msg type)
{
    return type == QR_MSG_PRESIGN1 ? QR_CLASSES_PRESIGN : QR_CLASSES_ONLINE;
}

static struct qr_queued *
message(struct qr_queue *q, uint64_t seq)
{
    struct qr_queued *m = malloc(sizeof(struct qr_queued));
    size_t len = any_size(PAYLOAD);
    *m = (struct qr_queued){.magic = 0};
    held++;
    m->magic = MAGIC;
    m->generation = nondet_u64();
    ASSUME(seq ? m->generation == q->generation : m->generation <= q->generation);
    m->seq = seq;
    m->payload_len = len;
    m->room = HEADROOM + len;
    m->cost = sizeof *m + m->room;
    m->type = nondet_int() ? QR_MSG_SIGN_REQUEST : QR_MSG_PRESIGN1;
    if (seq) { /* packed or not */
        m->item_at = any_size(m->room);
        m->item_len = any_size(m->room);
        ASSUME(m->item_at + m->item_len <= m->room);
    }
    q->bytes += m->cost;
    return m;
}

static int blocks;

static void
check(const struct qr_queue *q)
{
    size_t bytes = 0;
    uint64_t seq = q->acked;
    const struct qr_queued *prev = NULL;
    int cursor = q->cursor == NULL;

    blocks = 0;
    for (const struct qr_queued *m = q->first; m; m = m->next) {
        PROVE(m->magic == MAGIC && m->prev == prev && m->seq == seq + 1, "in order, no gap");
        PROVE(m->generation == q->generation, "of this pair of boots");
        PROVE(m->item_at <= m->room && m->item_len <= m->room - m->item_at, "inside its block");
        PROVE(m->cost == sizeof *m + m->room && m->cost <= MOST, "its cost is its size");
        cursor |= m == q->cursor;
        seq = m->seq;
        prev = m;
        bytes += m->cost;
        blocks++;
    }
    PROVE(q->last == prev && seq == q->last_seq && cursor, "the end, and the cursor");
    prev = NULL;
    for (const struct qr_queued *m = q->open; m; m = m->next) {
        PROVE(m->magic == MAGIC && m->prev == prev && m->seq == 0, "open");
        PROVE(m->generation <= q->generation, "of this pair of boots or one before");
        prev = m;
        bytes += m->cost;
        blocks++;
    }
    PROVE(bytes == q->bytes && bytes <= QR_PEER_QUEUE_MAX, "the bytes held are the bytes counted");
    PROVE(blocks == held, "no block is lost");
}

/* One step; the shape of the lists and the step are constants here, all else is anything. */
static void
step(unsigned n, unsigned n_open, unsigned what)
{
    struct qr_queue q;
    uint8_t sid[32] = {0};
    unsigned k = nondet_unsigned() % 3;
    uint64_t arg = nondet_u64();

    qr_queue_init(&q, 1, 2);
    held = 0;
    q.acked = nondet_u64();
    q.generation = nondet_u64();
    ASSUME(q.acked < UINT64_MAX - 8 && q.generation < UINT64_MAX); /* out of reach by counting */
    q.last_seq = q.acked + n;
    struct qr_queued *a = n > 0 ? message(&q, q.acked + 1) : NULL;
    struct qr_queued *b = n > 1 ? message(&q, q.acked + 2) : NULL;
    struct qr_queued *c = n_open > 0 ? message(&q, 0) : NULL;
    struct qr_queued *d = n_open > 1 ? message(&q, 0) : NULL;
    q.first = a;
    q.last = b ? b : a;
    if (b) {
        a->next = b;
        b->prev = a;
    }
    q.cursor = k == 0 ? NULL : k == 1 ? a : b;
    q.open = c;
    if (d) {
        c->next = d;
        d->prev = c;
    }
    const struct qr_queue was = q;
    struct qr_queued *m = what & 1 ? c : d; /* 1: the newest, 2: the other */
    switch (what) {
    case 0: {
        size_t len = nondet_size();
        uint8_t *p =
            qr_queue_reserve(&q, nondet_int() ? QR_MSG_SIGN_REQUEST : QR_MSG_PRESIGN1, 1, sid, len);
        PROVE(!p || (len <= PAYLOAD && q.open->p + HEADROOM == p), "as long as asked for");
        PROVE(!p || (p[0] == 0 && p[1] == 0), "zeroed");
        PROVE(q.bytes == was.bytes + (p ? sizeof *m + HEADROOM + len : 0), "counted");
        break;
    }
    case 1:
    case 2:
        if (m) {
            qr_queue_cancel(&q, m->p + HEADROOM);
            PROVE(q.last_seq == was.last_seq && q.cursor == was.cursor, "takes no number");
        }
        break;
    case 3: {
        uint64_t written = q.cursor ? q.cursor->seq - 1 : q.last_seq;
        int good = arg >= q.acked && arg <= written;
        PROVE((qr_queue_ack(&q, arg) == QR_OK) == good, "only of what was written");
        PROVE(q.acked == (good ? arg : was.acked) && q.cursor == was.cursor, "what is acked");
        PROVE(good || q.bytes == was.bytes, "an error changes nothing");
        break;
    }
    case 4: {
        int good = arg >= q.acked && arg <= q.last_seq;
        PROVE((qr_queue_resume(&q, arg) == QR_OK) == good, "only of what was said");
        PROVE(q.acked == (good ? arg : was.acked), "what is acked");
        PROVE(q.cursor == (good ? q.first : was.cursor), "from the first that the peer lacks");
        PROVE(good || q.bytes == was.bytes, "an error changes nothing");
        break;
    }
    case 5:
        qr_queue_drop(&q);
        PROVE(!q.first && q.last_seq == 0 && q.acked == 0, "from 1 again");
        PROVE(q.generation == was.generation + 1, "another pair of boots");
        break;
    default:
        qr_queue_clear(&q);
        PROVE(q.bytes == 0 && !q.first && !q.open && held == 0, "nothing is left");
        break;
    }
    check(&q);
}

/* Only shapes that a step can tell apart: it never looks at the list that it does not work on. */
static void
maybe(unsigned what, unsigned n, unsigned n_open)
{
    if (nondet_int()) {
        step(n, n_open, what);
    }
}

void
proof(void)
{
    for (unsigned n = 0; n < 3; n++) {
        maybe(0, 1, n);
        maybe(3, n, 1);
        maybe(4, n, 1);
        maybe(5, n, 1);
    }
    maybe(1, 1, 1);
    maybe(1, 1, 2);
    maybe(2, 1, 2);
    maybe(6, 2, 2);
}
