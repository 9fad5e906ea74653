#include "transport/queue.h"

#include "proto/wire.h"
#include "protocol/base/check.h"
#include "protocol/base/mem.h"
#include "protocol/base/secret.h"
#include "transport/frame.h"
#include "transport/ledger.h"

#define MAGIC UINT64_C(0x717565756564206d)
/* In front of every payload: item head and envelope header, and the alignment of the payload. */
#define HEADROOM 128u
_Static_assert(QR_ITEM_HEAD_LEN + QR_WIRE_HEADER_MAX <= HEADROOM, "headers fit");
_Static_assert(QR_DATA_HEAD_LEN + QR_ITEM_HEAD_LEN + QR_WIRE_HEADER_MAX + QR_WIRE_PAYLOAD_MAX <
                   QR_FRAME_MAX,
               "the longest message fits into a frame of its own");

void
qr_queue_init(struct qr_queue *q, uint16_t from, uint16_t to)
{
    *q = (struct qr_queue){.from = from, .to = to};
}

static void
discard(struct qr_queue *q, struct qr_queued *m)
{
    QR_ASSERT(q->bytes >= m->cost);
    q->bytes -= m->cost;
    m->magic = 0;
    if (qr_msg_class(m->type) != QR_CLASSES_PRESIGN) { /* those are masked already, and long */
        qr_wipe(m->p, m->room);
    }
    qr_free(m);
}

static void
discard_list(struct qr_queue *q, struct qr_queued *m)
{
    while (m) {
        struct qr_queued *next = m->next;
        discard(q, m);
        m = next;
    }
}

void
qr_queue_clear(struct qr_queue *q)
{
    qr_queue_drop(q);
    discard_list(q, q->open);
    q->open = NULL;
}

uint8_t *
qr_queue_reserve(struct qr_queue *q, enum qr_msg type, uint32_t epoch, const uint8_t sid[static 32],
                 size_t len)
{
    size_t cost = sizeof(struct qr_queued) + HEADROOM + len;

    if (len > QR_WIRE_PAYLOAD_MAX || !qr_wire_type_known((uint32_t)type) ||
        cost > QR_PEER_QUEUE_MAX - q->bytes) {
        return NULL;
    }
    struct qr_queued *m = qr_alloc(cost);
    if (!m) {
        return NULL;
    }
    m->magic = MAGIC;
    m->generation = q->generation;
    m->room = HEADROOM + len;
    m->cost = cost;
    m->type = type;
    m->epoch = epoch;
    memcpy(m->sid, sid, 32);
    m->payload_len = len;
    m->next = q->open;
    if (q->open) {
        q->open->prev = m;
    }
    q->open = m;
    q->bytes += cost;
    return m->p + HEADROOM;
}

/* Back from the payload to the message, out of the list of open ones. */
static struct qr_queued *
take_open(struct qr_queue *q, uint8_t *p)
{
    struct qr_queued *m =
        (struct qr_queued *)(void *)(p - HEADROOM - offsetof(struct qr_queued, p));

    QR_ASSERT(m->magic == MAGIC && m->seq == 0);
    if (m->prev) {
        m->prev->next = m->next;
    } else {
        QR_ASSERT(q->open == m);
        q->open = m->next;
    }
    if (m->next) {
        m->next->prev = m->prev;
    }
    m->prev = m->next = NULL;
    return m;
}

void
qr_queue_cancel(struct qr_queue *q, uint8_t *p)
{
    discard(q, take_open(q, p));
}

/* A packed copy takes the place of m, if packing helps and memory allows. */
static struct qr_queued *
pack(struct qr_queue *q, struct qr_zip *zip, struct qr_queued *m)
{
    qr_view plain = {m->p + m->item_at + QR_ITEM_HEAD_LEN, m->item_len - QR_ITEM_HEAD_LEN};
    size_t room = QR_ITEM_HEAD_LEN + plain.len; /* not more than m has: see HEADROOM */
    struct qr_queued *z = qr_alloc(sizeof *z + room);
    size_t n = z ? qr_zip_pack(zip, plain, z->p + QR_ITEM_HEAD_LEN) : 0;

    if (n == 0) {
        qr_free(z);
        return m;
    }
    memcpy(z, m, sizeof *z);
    z->item_at = 0;
    z->item_len = QR_ITEM_HEAD_LEN + n;
    z->header_len = m->header_len < n ? m->header_len : n;
    z->room = room;
    z->cost = sizeof *z + room;
    qr_put32(z->p, (uint32_t)n | QR_ITEM_ZSTD);
    q->bytes += z->cost;
    discard(q, m);
    return z;
}

void
qr_queue_commit(struct qr_queue *q, struct qr_zip *zip, uint8_t *p)
{
    struct qr_queued *m = take_open(q, p);
    uint8_t header[QR_WIRE_HEADER_MAX];

    if (m->generation != q->generation) {
        discard(q, m); /* its session died with the peer's process */
        return;
    }
    struct qr_envelope e = {
        .type = m->type,
        .from = q->from,
        .to = q->to,
        .epoch = m->epoch,
        .seq = q->last_seq + 1,
        .payload = {p, m->payload_len},
    };
    memcpy(e.sid, m->sid, 32);
    QR_ASSERT(qr_wire_header(&e, header, &m->header_len) == QR_OK); /* reserve checked the rest */
    m->item_at = HEADROOM - m->header_len - QR_ITEM_HEAD_LEN;
    m->item_len = QR_ITEM_HEAD_LEN + m->header_len + m->payload_len;
    memcpy(m->p + HEADROOM - m->header_len, header, m->header_len);
    qr_put32(m->p + m->item_at, (uint32_t)(m->header_len + m->payload_len));
    if (qr_zip_helps(m->type)) {
        m = pack(q, zip, m);
    }
    m->seq = ++q->last_seq;
    m->prev = q->last;
    if (q->last) {
        q->last->next = m;
    } else {
        q->first = m;
    }
    q->last = m;
    if (!q->cursor) {
        q->cursor = m;
    }
}

void
qr_queue_drop(struct qr_queue *q)
{
    discard_list(q, q->first);
    q->first = q->last = q->cursor = NULL;
    q->last_seq = q->acked = 0;
    q->generation++;
}

/* Frees what the peer has; the cursor is not among it. */
static void
free_acked(struct qr_queue *q, uint64_t seq)
{
    while (q->first && q->first->seq <= seq) {
        struct qr_queued *m = q->first;
        q->first = m->next;
        discard(q, m);
    }
    if (q->first) {
        q->first->prev = NULL;
    } else {
        q->last = NULL;
    }
    q->acked = seq;
}

qr_err
qr_queue_ack(struct qr_queue *q, uint64_t seq)
{
    uint64_t written = q->cursor ? q->cursor->seq - 1 : q->last_seq;

    if (seq > written || seq < q->acked) {
        return QR_ERR_MALFORMED;
    }
    free_acked(q, seq);
    return QR_OK;
}

qr_err
qr_queue_resume(struct qr_queue *q, uint64_t seq)
{
    if (seq > q->last_seq || seq < q->acked) {
        return QR_ERR_STATE;
    }
    q->cursor = NULL;
    free_acked(q, seq);
    q->cursor = q->first;
    return QR_OK;
}
