/*
 * One peer: which of its lines carries messages, what was received, what is to be sent.
 */
#include "transport/net_int.h"

#include "proto/wire.h"
#include "protocol/base/check.h"
#include "protocol/base/mem.h"
#include "protocol/base/secret.h"

#include <inttypes.h>
#include <stdio.h>

/* A piece of a message that is encrypted at a time. */
#define PIECE (4u * QR_TLS_RECORD)

struct msg_in {
    struct qr_msg_in m; /* first */
    struct qr_block *holder;
};

void
qr_msg_ref(struct qr_msg_in *m)
{
    m->refs++;
}

void
qr_msg_unref(struct qr_msg_in *m)
{
    QR_ASSERT(m->refs > 0);
    if (--m->refs == 0) {
        qr_block_unref(((struct msg_in *)m)->holder);
        qr_free(m);
    }
}

/* Boots. */

static int
same_boot(const struct qr_peer *p, const struct qr_hello *h)
{
    return p->known && memcmp(p->info.boot_nonce, h->boot_nonce, 32) == 0;
}

static int
line_alive(const struct qr_line *l)
{
    return l && l->net->now - l->heard < QR_NET_SILENCE_NS;
}

/* One live boot per index; counters only rise. */
static qr_err
judge_boot(const struct qr_peer *p, const struct qr_hello *h, char *why, size_t cap)
{
    const struct qr_hello *waiting = p->next ? qr_chan_peer(p->next->chan) : NULL;
    int live_up = p->known && line_alive(p->up) && !same_boot(p, h);
    int live_next =
        waiting && line_alive(p->next) && memcmp(waiting->boot_nonce, h->boot_nonce, 32) != 0;

    if (live_up || live_next) {
        (void)snprintf(why, cap,
                       "two instances of the same party: one that is connected and alive (boot "
                       "counter %" PRIu64 "), and this one (boot counter %" PRIu64
                       "): stop one of them",
                       live_up ? p->info.boot_counter : waiting->boot_counter, h->boot_counter);
        return QR_ERR_BOOT_NONCE;
    }
    if (!p->known) {
        return QR_OK;
    }
    if (same_boot(p, h) ? h->boot_counter != p->info.boot_counter
                        : h->boot_counter <= p->info.boot_counter) {
        (void)snprintf(why, cap,
                       "boot counter %" PRIu64 " is not above the last one seen (%" PRIu64
                       "): its sealed store was copied or rolled back",
                       h->boot_counter, p->info.boot_counter);
        return QR_ERR_ROLLBACK;
    }
    return QR_OK;
}

qr_err
qr_peer_judge(struct qr_peer *p, const struct qr_hello *h, char *why, size_t cap)
{
    const struct qr_net_events *ev = &p->net->ev;

    QR_TRY(judge_boot(p, h, why, cap));
    qr_err e = ev->check_store ? ev->check_store(ev->ctx, p->cfg->index, h->boot_counter,
                                                 h->store_serial, h->store_root)
                               : QR_OK;
    if (e != QR_OK) {
        (void)snprintf(why, cap,
                       "store serial %" PRIu64 " with boot counter %" PRIu64
                       " contradicts what we remember: its sealed store was copied or rolled back",
                       h->store_serial, h->boot_counter);
    }
    return e;
}

/* Lines come and go. */

static uint64_t
backoff(struct qr_peer *p)
{
    uint64_t d = QR_NET_BACKOFF_MIN_NS;
    uint32_t r;

    for (unsigned i = 0; i < p->attempt && d < QR_NET_BACKOFF_MAX_NS; i++) {
        d *= 2;
    }
    d = d < QR_NET_BACKOFF_MAX_NS ? d : QR_NET_BACKOFF_MAX_NS;
    p->attempt++;
    qr_rng_fill(&p->net->p.rng, &r, sizeof r);
    return d / 2 + (d / 2) * (r % 1024) / 1024; /* so that n parties do not dial in step */
}

void
qr_peer_lost(struct qr_peer *p, struct qr_line *l, qr_err why, const char *text)
{
    struct qr_net *n = p->net;

    if (l == p->up) {
        p->up = NULL;
        if (n->now - p->up_at >= QR_NET_STEADY_NS) {
            p->attempt = 0;
        }
        p->dial_at = n->now + backoff(p);
    }
    if (l == p->dial) {
        p->dial = NULL;
        p->dial_at = n->now + backoff(p);
        if (p->up) { /* a renewal came to nothing: not again and again */
            uint64_t wait = QR_NET_RENEW_NS << (p->renew_fails < 16 ? p->renew_fails : 16);
            wait = wait < n->p.reattest_ns ? wait : n->p.reattest_ns;
            p->renew_at = n->now + wait;
            p->renew_fails++;
        }
    }
    if (l == p->next) {
        p->next = NULL;
        if (p->up && p->up->state == LINE_FROZEN) { /* it cannot be thawed: RESUME has been said */
            qr_line_fail(p->up, why, "replaced by a connection that then failed");
        }
    }
    /* New evidence that was refused speaks of the process behind the line in use as well. */
    if ((why == QR_ERR_ATTESTATION || why == QR_ERR_INSECURE_SIM) && p->up && l != p->up &&
        l->chan && qr_chan_peer(l->chan) && same_boot(p, qr_chan_peer(l->chan))) {
        qr_line_fail(p->up, why, "attesting anew failed");
    }
    if (p->shown && !p->up && !p->next) {
        p->shown = 0;
        n->ev.on_down(n->ev.ctx, p->cfg->index, why, text);
    }
    n->dirty = 1;
}

qr_err
qr_peer_ready(struct qr_peer *p, struct qr_line *l)
{
    const struct qr_hello *h = qr_chan_peer(l->chan);
    const struct qr_chain none = {.open = 0};
    uint8_t body[QR_RESUME_LEN];
    char why[QR_CHAN_WHY_MAX] = "";

    /* Again: another line may have come up since HELLO. */
    qr_err e = judge_boot(p, h, why, sizeof why);
    if (e != QR_OK) {
        return qr_chan_fail(l->chan, e, "%s", why);
    }
    struct qr_line *waiting = p->next;
    p->next = l;
    l->state = LINE_READY;
    l->since = p->net->now;
    if (waiting) {
        qr_line_fail(waiting, QR_ERR_LINK_CLOSED, "replaced by a newer connection");
    }
    int same = same_boot(p, h);
    if (same && p->up) {
        p->up->state = LINE_FROZEN;
    }
    qr_put64(body, same ? p->recv_seq : 0);
    qr_chain_say(same ? &p->chain : &none, p->net->p.self, body + 8);
    return qr_chan_frame(l->chan, QR_FRAME_RESUME, QR_CLASSES_HANDSHAKE,
                         (qr_view){body, sizeof body});
}

static void
new_boot(struct qr_peer *p)
{
    qr_queue_drop(&p->queue);
    p->recv_seq = 0;
    p->rtt = 0;
}

/* The same two processes go on from their last connection, or two others begin. */
static qr_err
follow(struct qr_peer *p, struct qr_line *l, int resumed, const uint8_t shown[static QR_CHAIN_LEN])
{
    uint8_t fresh[32];
    qr_err e = qr_chan_secret(l->chan, fresh);

    if (e != QR_OK) {
        return qr_chan_fail(l->chan, e, "TLS exports no key");
    }
    if (resumed) {
        e = qr_chain_hear(&p->chain, p->cfg->index, shown, fresh);
    } else {
        qr_chain_start(&p->chain, fresh);
    }
    qr_wipe(fresh, sizeof fresh);
    return e == QR_OK
               ? QR_OK
               : qr_chan_fail(l->chan, e,
                              "two instances of one process: this connection does not follow "
                              "the last one between it and us, so its memory or ours was "
                              "copied or set back: restart that party, and this one if peers "
                              "refuse it, too");
}

static qr_err
hear_resume(struct qr_peer *p, struct qr_line *l, qr_view body)
{
    struct qr_net *n = p->net;
    const struct qr_hello *h = qr_chan_peer(l->chan);
    uint64_t seq = qr_get64(body.p); /* the frame's length is fixed */
    int resumed = same_boot(p, h);

    if (l->state != LINE_READY) {
        return qr_chan_fail(l->chan, QR_ERR_STATE, "RESUME twice");
    }
    if (resumed || seq == 0) {
        QR_TRY(follow(p, l, resumed, body.p + 8));
    }
    if (!resumed && seq == 0) {
        new_boot(p);
    }
    if ((!resumed && seq != 0) || qr_queue_resume(&p->queue, seq) != QR_OK) {
        return qr_chan_fail(l->chan, QR_ERR_STATE,
                            "claims to have received message %" PRIu64 ", we have sent %" PRIu64
                            " and %" PRIu64 " were acknowledged",
                            seq, p->queue.last_seq, p->queue.acked);
    }
    struct qr_line *old = p->up;
    p->up = l;
    p->next = NULL;
    p->dial = l == p->dial ? NULL : p->dial;
    l->state = LINE_UP;
    n->half_open -= l->role == QR_ROLE_SERVER;
    p->up_at = n->now;
    p->renew_at = n->now + n->p.reattest_ns;
    p->renew_fails = 0;
    p->ack_due = p->ping_sent = 0;
    p->unacked = 0;
    p->pong_due = 0;
    p->ping_due = n->now;
    p->said = QR_OK;
    if (old) {
        qr_line_fail(old, QR_ERR_LINK_CLOSED, "replaced by a newer connection");
    }
    if (p->shown && !resumed) {
        n->ev.on_down(n->ev.ctx, p->cfg->index, QR_ERR_LINK_CLOSED, "the peer started anew");
    }
    p->info = (struct qr_peer_info){
        .index = p->cfg->index,
        .resumed = resumed,
        .boot_counter = h->boot_counter,
        .store_serial = h->store_serial,
        .claims = *qr_chan_claims(l->chan),
    };
    memcpy(p->info.boot_nonce, h->boot_nonce, 32);
    memcpy(p->info.store_root, h->store_root, 32);
    p->known = p->shown = 1;
    p->row->connects++;
    p->row->resumes += (uint64_t)resumed;
    n->dirty = 1;
    n->ev.on_up(n->ev.ctx, &p->info);
    return QR_OK;
}

/* Receiving. */

static qr_err
deliver(struct qr_peer *p, const struct qr_envelope *e, struct qr_block *holder)
{
    struct msg_in *in = qr_alloc(sizeof *in);
    if (!in) {
        return QR_ERR_NO_MEMORY;
    }
    in->holder = qr_block_ref(holder);
    in->m = (struct qr_msg_in){
        .from = e->from,
        .type = e->type,
        .epoch = e->epoch,
        .seq = e->seq,
        .payload = e->payload,
        .refs = 1,
    };
    memcpy(in->m.sid, e->sid, 32);
    p->recv_seq = e->seq;
    p->net->ev.on_message(p->net->ev.ctx, &in->m);
    qr_msg_unref(&in->m);
    return QR_OK;
}

/* One envelope; wire: the bytes that its item took. */
static qr_err
hear_envelope(struct qr_peer *p, struct qr_line *l, qr_view bytes, int packed, size_t wire,
              struct qr_block *holder)
{
    struct qr_envelope e;
    qr_err bad = qr_wire_decode(bytes, &e);

    if (bad != QR_OK) {
        return qr_chan_fail(l->chan, bad, "envelope of %zu bytes: %s", bytes.len, qr_err_text(bad));
    }
    if (e.from != p->cfg->index || e.to != p->net->p.self) {
        return qr_chan_fail(l->chan, QR_ERR_IDENTITY,
                            "message from %u to %u on the channel of party %u", (unsigned)e.from,
                            (unsigned)e.to, (unsigned)p->cfg->index);
    }
    if (packed && !qr_zip_helps(e.type)) {
        return qr_chan_fail(l->chan, QR_ERR_MALFORMED, "message type %d comes packed", (int)e.type);
    }
    enum qr_class class_ = qr_msg_class(e.type);
    size_t header = bytes.len - e.payload.len, shown = wire - QR_ITEM_HEAD_LEN;
    qr_ledger_in(p->row, class_, shown - (header < shown ? header : shown));
    if (e.seq <= p->recv_seq) {
        p->row->duplicates++;
        return QR_OK;
    }
    if (e.seq != p->recv_seq + 1) {
        return qr_chan_fail(l->chan, QR_ERR_STATE,
                            "message %" PRIu64 " follows message %" PRIu64 ": some are missing",
                            e.seq, p->recv_seq);
    }
    bad = deliver(p, &e, holder);
    if (bad != QR_OK) {
        return qr_chan_fail(l->chan, bad, "no memory for a message");
    }
    p->row->class_[class_].raw[QR_DIR_IN] += e.payload.len;
    p->row->class_[class_].messages[QR_DIR_IN]++;
    return QR_OK;
}

static qr_err
hear_packed(struct qr_peer *p, struct qr_line *l, qr_view item, size_t *budget)
{
    size_t n;
    qr_err e = qr_zip_size(item, *budget, &n);

    if (e != QR_OK) {
        return qr_chan_fail(l->chan, e, "packed message: %s", qr_err_text(e));
    }
    *budget -= n;
    struct qr_block *plain = qr_block_new(n);
    if (!plain) {
        return qr_chan_fail(l->chan, QR_ERR_NO_MEMORY, "no memory for a packed message");
    }
    e = qr_zip_unpack(p->net->env.zip, item, plain->p, n);
    e = e == QR_OK
            ? hear_envelope(p, l, (qr_view){plain->p, n}, 1, QR_ITEM_HEAD_LEN + item.len, plain)
            : qr_chan_fail(l->chan, e, "packed message: %s", qr_err_text(e));
    qr_block_unref(plain);
    return e;
}

static qr_err
hear_ack(struct qr_peer *p, struct qr_line *l, uint64_t seq)
{
    if (qr_queue_ack(&p->queue, seq) != QR_OK) {
        return qr_chan_fail(l->chan, QR_ERR_MALFORMED,
                            "acknowledges message %" PRIu64 " out of turn", seq);
    }
    return QR_OK;
}

static qr_err
hear_data(struct qr_peer *p, struct qr_line *l, qr_view body, struct qr_block *holder)
{
    struct qr_buf b = qr_buf_read(body);
    size_t budget = QR_FRAME_MAX; /* of all that this frame unpacks to */

    p->unacked += body.len;
    if (p->ack_due == 0 || p->unacked >= QR_NET_ACK_BYTES) {
        p->ack_due = p->net->now + (p->unacked >= QR_NET_ACK_BYTES ? 0 : QR_NET_ACK_NS);
    }
    QR_TRY(hear_ack(p, l, qr_buf_get64(&b)));
    while (b.pos < b.len) {
        int packed;
        qr_view item;
        qr_err e = qr_frame_item(&b, &packed, &item);
        if (e != QR_OK) {
            return qr_chan_fail(l->chan, e, "batch of %zu bytes: %s", body.len, qr_err_text(e));
        }
        if (packed) {
            QR_TRY(hear_packed(p, l, item, &budget));
        } else {
            budget -= item.len < budget ? item.len : budget;
            QR_TRY(hear_envelope(p, l, item, 0, QR_ITEM_HEAD_LEN + item.len, holder));
        }
    }
    return QR_OK;
}

static void
hear_pong(struct qr_peer *p, uint64_t value)
{
    if (p->ping_sent != 0 && value == p->ping_sent) {
        uint64_t sample = p->net->now - p->ping_sent;
        /* A peer that is busy answers late; one quick answer tells the network's part. */
        p->rtt = p->rtt == 0 || sample < p->rtt ? sample : (7 * p->rtt + sample) / 8;
        p->rtt += p->rtt == 0; /* 0 means unknown */
        p->ping_sent = 0;
    }
}

qr_err
qr_peer_frame(struct qr_peer *p, struct qr_line *l, enum qr_frame kind, qr_view body,
              struct qr_block *holder)
{
    uint64_t value = body.len >= 8 ? qr_get64(body.p) : 0;

    if (l->state == LINE_FROZEN || l->state == LINE_CLOSING) {
        return QR_OK; /* will come again on the line that replaces this one */
    }
    if (kind == QR_FRAME_RESUME) {
        return hear_resume(p, l, body);
    }
    if (l->state != LINE_UP) {
        return qr_chan_fail(l->chan, QR_ERR_STATE, "frame of kind %d before RESUME", (int)kind);
    }
    qr_chain_confirm(&p->chain);
    switch (kind) {
    case QR_FRAME_DATA:
        return hear_data(p, l, body, holder);
    case QR_FRAME_ACK:
        return hear_ack(p, l, value);
    case QR_FRAME_PING:
        p->pong = value;
        p->pong_due = 1;
        return QR_OK;
    case QR_FRAME_PONG:
        hear_pong(p, value);
        return QR_OK;
    default:
        return qr_chan_fail(l->chan, QR_ERR_STATE, "frame of kind %d out of turn", (int)kind);
    }
}

/* Sending. */

/* Begins a DATA frame with all that waits, up to the batch size; one message at least. */
static qr_err
begin_batch(struct qr_peer *p, struct qr_line *l)
{
    uint8_t ack[QR_DATA_HEAD_LEN];
    size_t n = 0;

    for (const struct qr_queued *m = p->queue.cursor; m; m = m->next) {
        if (n > 0 && n + m->item_len > QR_NET_BATCH) {
            break;
        }
        n += m->item_len;
    }
    l->frame_left = n;
    l->item_at = 0;
    p->row->frames[QR_DIR_OUT]++;
    p->ack_due = 0;
    p->unacked = 0;
    qr_put64(ack, p->recv_seq);
    QR_TRY(qr_chan_begin(l->chan, QR_FRAME_DATA, QR_CLASSES_OVERHEAD, sizeof ack + n));
    return qr_chan_write(l->chan, QR_CLASSES_OVERHEAD, (qr_view){ack, sizeof ack});
}

/* The next piece of the cursor's item. */
static qr_err
write_piece(struct qr_peer *p, struct qr_line *l)
{
    struct qr_queued *m = p->queue.cursor;
    QR_ASSERT(m && l->item_at < m->item_len);
    const uint8_t *item = m->p + m->item_at;
    enum qr_class class_ = qr_msg_class(m->type);
    struct qr_ledger_row *row = &p->row->class_[class_];

    if (l->item_at == 0) {
        l->item_at = QR_ITEM_HEAD_LEN + m->header_len;
        l->frame_left -= l->item_at;
        QR_TRY(qr_chan_write(l->chan, QR_CLASSES_OVERHEAD, (qr_view){item, l->item_at}));
    }
    size_t left = m->item_len - l->item_at, k = left < PIECE ? left : PIECE;
    qr_view piece = {item + l->item_at, k};
    l->item_at += k;
    l->frame_left -= k;
    if (l->item_at == m->item_len) {
        row->raw[QR_DIR_OUT] += m->counted ? 0 : m->payload_len;
        row->messages[QR_DIR_OUT] += m->counted ? 0 : 1;
        m->counted = 1;
        l->item_at = 0;
        p->queue.cursor = m->next;
    }
    return qr_chan_write(l->chan, class_, piece);
}

static qr_err
write_small(struct qr_peer *p, struct qr_line *l, enum qr_frame kind, uint64_t value)
{
    uint8_t body[8];
    qr_put64(body, value);
    p->row->frames[QR_DIR_OUT]++;
    return qr_chan_frame(l->chan, kind, QR_CLASSES_OVERHEAD, (qr_view){body, sizeof body});
}

/* The next thing to write, if any. */
static qr_err
write_next(struct qr_peer *p, struct qr_line *l, int *ret_wrote)
{
    uint64_t now = p->net->now;

    *ret_wrote = 1;
    if (l->frame_left > 0) {
        return write_piece(p, l);
    }
    if (p->pong_due) {
        p->pong_due = 0;
        return write_small(p, l, QR_FRAME_PONG, p->pong);
    }
    if (now >= p->ping_due) {
        p->ping_due = now + QR_NET_PING_NS;
        p->ping_sent = now;
        return write_small(p, l, QR_FRAME_PING, now);
    }
    if (p->queue.cursor) {
        return begin_batch(p, l);
    }
    if (p->ack_due != 0 && now >= p->ack_due) {
        p->ack_due = 0;
        p->unacked = 0;
        return write_small(p, l, QR_FRAME_ACK, p->recv_seq);
    }
    *ret_wrote = 0;
    return QR_OK;
}

void
qr_peer_flush(struct qr_peer *p)
{
    struct qr_line *l = p->up;
    qr_err e = QR_OK;
    int wrote = 1;

    if (!l || l->state != LINE_UP) {
        return;
    }
    qr_line_pump(l);
    while (!l->full && wrote && e == QR_OK) {
        e = write_next(p, l, &wrote);
        if (e == QR_OK && !wrote) {
            e = qr_chan_push(l->chan);
        }
        if (!wrote || qr_chan_out(l->chan).len >= QR_TLS_OUT_HIGH) {
            qr_line_pump(l);
        }
    }
    if (e != QR_OK) {
        qr_line_fail(l, e, qr_chan_why(l->chan));
    }
}

/* Time. */

/* We dial peers with higher indices, when we have no line or the one we have is old. */
static int
should_dial(const struct qr_peer *p, uint64_t *ret_when)
{
    if (p->net->p.self > p->cfg->index || p->dial || p->next) {
        return 0;
    }
    uint64_t when = p->dial_at;
    if (p->up) {
        when = when > p->renew_at ? when : p->renew_at;
    }
    *ret_when = when;
    return 1;
}

void
qr_peer_timers(struct qr_peer *p)
{
    struct qr_net *n = p->net;
    uint64_t when;

    if (p->up && !line_alive(p->up)) {
        qr_line_fail(p->up, QR_ERR_TIMEOUT, "nothing heard for 3 s");
    }
    if (p->up && n->now - p->up_at >= n->p.evidence_ns) {
        qr_line_fail(p->up, QR_ERR_ATTESTATION, "its evidence is old and was not renewed");
    }
    if (should_dial(p, &when) && n->now >= when) {
        qr_err e = qr_line_dial(p);
        if (e != QR_OK) {
            char text[QR_CHAN_WHY_MAX];
            (void)snprintf(text, sizeof text, "peer %u at %s: cannot dial: %s",
                           (unsigned)p->cfg->index, p->cfg->address, qr_err_text(e));
            p->dial_at = n->now + backoff(p);
            qr_net_report(n, p, e, text, text);
        }
    }
}

static uint64_t
sooner(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

uint64_t
qr_peer_deadline(const struct qr_peer *p)
{
    uint64_t t = UINT64_MAX, when;

    if (should_dial(p, &when)) {
        t = when;
    }
    if (p->up) {
        t = sooner(t, p->up->heard + QR_NET_SILENCE_NS);
        t = sooner(t, p->up_at + p->net->p.evidence_ns);
        if (p->up->state == LINE_UP && !p->up->full) {
            t = sooner(t, p->ping_due);
            t = p->ack_due ? sooner(t, p->ack_due) : t;
            t = p->queue.cursor ? p->net->now : t;
        }
    }
    return t;
}
