/*
 * Frames in and out of a channel, and what of the output is whose.
 */
#include "transport/chan_int.h"

#include "protocol/base/check.h"
#include "protocol/base/mem.h"
#include "protocol/base/secret.h"

#include <stdarg.h>
#include <stdio.h>

/* Which frame each state waits for; READY takes what the handshake does not. */
static const struct {
    enum qr_frame wants;
    const char *name;
} stages[] = {
    [CHAN_TLS] = {QR_FRAME_HELLO, "TLS handshake"},
    [CHAN_HELLO] = {QR_FRAME_HELLO, "HELLO"},
    [CHAN_EVIDENCE] = {QR_FRAME_EVIDENCE, "evidence"},
    [CHAN_CONFIRM] = {QR_FRAME_CONFIRM, "confirmation"},
    [CHAN_READY] = {QR_FRAME_DATA, "ready"},
};

qr_err
qr_chan_new(const struct qr_chan_env *env, const struct qr_chan_events *ev, enum qr_role role,
            uint16_t expect, struct qr_ledger_peer *row, struct qr_chan **ret)
{
    struct qr_chan *c = qr_alloc(sizeof *c);
    if (!c) {
        return QR_ERR_NO_MEMORY;
    }
    c->env = env;
    c->ev = *ev;
    c->role = role;
    c->expect = expect;
    c->row = row;
    c->own = env->own;
    c->own.role = role;
    c->record = qr_alloc(QR_TLS_RECORD);
    qr_err e = c->record ? qr_tls_new(env->tls, role, &c->tls) : QR_ERR_NO_MEMORY;
    if (e != QR_OK) {
        qr_chan_free(c);
        return e;
    }
    *ret = c;
    return QR_OK;
}

struct qr_chan *
qr_chan_free(struct qr_chan *c)
{
    if (c) {
        qr_tls_free(c->tls);
        qr_block_unref(c->body);
        if (c->record) {
            qr_wipe(c->record, QR_TLS_RECORD); /* plaintext of messages that never left */
        }
        qr_free(c->record);
        qr_wipe(&c->binding, sizeof c->binding);
        qr_wipe(c->confirm_key, sizeof c->confirm_key);
    }
    return qr_free(c);
}

void
qr_chan_row(struct qr_chan *c, struct qr_ledger_peer *row)
{
    c->row = row;
}

qr_err
qr_chan_fail(struct qr_chan *c, qr_err e, const char *format, ...)
{
    if (!c->why[0]) {
        va_list ap;
        va_start(ap, format);
        (void)vsnprintf(c->why, sizeof c->why, format, ap);
        va_end(ap);
    }
    return e;
}

/* Output and its ledger. */

/* Everything that entered the output since the last call: by_class bytes of it are known. */
static void
tally(struct qr_chan *c, const size_t by_class[static QR_CLASSES_COUNT])
{
    size_t now = qr_tls_out(c->tls).len;
    QR_ASSERT(now >= c->out_seen);
    qr_tally_add(&c->tally, now - c->out_seen, by_class);
    c->out_seen = now;
}

static void
tally_as(struct qr_chan *c, enum qr_class class_)
{
    size_t by_class[QR_CLASSES_COUNT] = {0};
    by_class[class_] = qr_tls_out(c->tls).len - c->out_seen;
    tally(c, by_class);
}

qr_view
qr_chan_out(const struct qr_chan *c)
{
    return qr_tls_out(c->tls);
}

void
qr_chan_sent(struct qr_chan *c, size_t n)
{
    if (n > 0) {
        qr_tls_out_done(c->tls, n);
        QR_ASSERT(n <= c->out_seen);
        c->out_seen -= n;
        qr_tally_take(&c->tally, n, c->row);
        qr_ledger_tcpip(c->row, QR_DIR_OUT, n);
    }
}

static qr_err
seal(struct qr_chan *c, qr_view in, const size_t by_class[static QR_CLASSES_COUNT])
{
    tally_as(c, QR_CLASSES_OVERHEAD); /* what reading made TLS say by itself */
    if (qr_tls_write(c->tls, in) != QR_OK) {
        return qr_chan_fail(c, QR_ERR_TLS, "cannot encrypt: %s", qr_tls_why(c->tls));
    }
    tally(c, by_class);
    return QR_OK;
}

qr_err
qr_chan_push(struct qr_chan *c)
{
    if (c->record_len == 0) {
        return QR_OK;
    }
    size_t by_class[QR_CLASSES_COUNT];
    qr_view in = {c->record, c->record_len};
    memcpy(by_class, c->record_class, sizeof by_class);
    memset(c->record_class, 0, sizeof c->record_class);
    c->record_len = 0;
    return seal(c, in, by_class);
}

qr_err
qr_chan_begin(struct qr_chan *c, unsigned kind, enum qr_class class_, size_t body_len)
{
    uint8_t head[QR_FRAME_HEAD_LEN];

    QR_ASSERT(c->owed == 0);
    qr_frame_head_put(head, kind, body_len);
    c->owed = sizeof head + body_len;
    return qr_chan_write(c, class_, (qr_view){head, sizeof head});
}

qr_err
qr_chan_write(struct qr_chan *c, enum qr_class class_, qr_view in)
{
    QR_ASSERT(in.len <= c->owed);
    c->owed -= in.len;
    while (in.len > 0) {
        if (c->record_len == 0 && in.len >= QR_TLS_RECORD) {
            /* Whole records straight from where the message lies. */
            size_t n = in.len - in.len % QR_TLS_RECORD, by_class[QR_CLASSES_COUNT] = {0};
            by_class[class_] = class_ == QR_CLASSES_OVERHEAD ? 0 : n;
            QR_TRY(seal(c, (qr_view){in.p, n}, by_class));
            in.p += n;
            in.len -= n;
            continue;
        }
        size_t room = QR_TLS_RECORD - c->record_len, k = in.len < room ? in.len : room;
        memcpy(c->record + c->record_len, in.p, k);
        c->record_len += k;
        c->record_class[class_] += class_ == QR_CLASSES_OVERHEAD ? 0 : k;
        in.p += k;
        in.len -= k;
        if (c->record_len == QR_TLS_RECORD) {
            QR_TRY(qr_chan_push(c));
        }
    }
    return QR_OK;
}

qr_err
qr_chan_frame(struct qr_chan *c, enum qr_frame kind, enum qr_class class_, qr_view body)
{
    QR_TRY(qr_chan_begin(c, kind, class_, body.len));
    return qr_chan_write(c, class_, body);
}

void
qr_chan_close(struct qr_chan *c, qr_err why)
{
    if (c->state == CHAN_DEAD) {
        return;
    }
    /* A frame of which a part is out cannot be followed by another. */
    if (c->state != CHAN_TLS && c->owed == 0 && why != QR_ERR_TLS) {
        uint8_t code = (uint8_t)qr_close_code(why);
        qr_err e = qr_chan_frame(c, QR_FRAME_CLOSE, QR_CLASSES_OVERHEAD, (qr_view){&code, 1});
        if (e == QR_OK && qr_chan_push(c) != QR_OK) {
            c->record_len = 0; /* it dies without a word */
        }
    }
    tally_as(c, c->state == CHAN_TLS ? QR_CLASSES_HANDSHAKE : QR_CLASSES_OVERHEAD);
    c->died_in = c->state;
    c->state = CHAN_DEAD;
}

/* Input. */

static qr_err
dispatch(struct qr_chan *c)
{
    qr_view body = {c->body->p, c->body->len};
    enum qr_chan_state was = c->state;

    if (c->kind == QR_FRAME_CLOSE) {
        return qr_chan_fail(c, QR_ERR_LINK_CLOSED, "%s", qr_close_text(body.p[0]));
    }
    if (was != CHAN_READY || c->kind == QR_FRAME_RESUME) {
        qr_ledger_in(c->row, QR_CLASSES_HANDSHAKE, QR_FRAME_HEAD_LEN + body.len);
    } else {
        c->row->frames[QR_DIR_IN]++;
    }
    return was == CHAN_READY ? c->ev.on_frame(c->ev.ctx, c->kind, body, c->body)
                             : qr_chan_hs_frame(c, body);
}

/* Is this the frame that the state waits for? Before memory is taken for its body. */
static qr_err
check_kind(struct qr_chan *c)
{
    int handshake = c->kind <= QR_FRAME_CONFIRM;

    if (c->kind == QR_FRAME_CLOSE ||
        (c->state == CHAN_READY ? !handshake : c->kind == stages[c->state].wants)) {
        return QR_OK;
    }
    return qr_chan_fail(c, QR_ERR_STATE, "frame of kind %d while waiting for %s%s", (int)c->kind,
                        c->state == CHAN_READY ? "messages" : stages[c->state].name,
                        handshake && c->state == CHAN_READY ? ": a handshake message again" : "");
}

static qr_err
read_head(struct qr_chan *c)
{
    size_t n;
    QR_TRY(qr_tls_read(c->tls, c->head + c->head_len, sizeof c->head - c->head_len, &n));
    c->head_len += n;
    if (c->head_len < sizeof c->head) {
        return QR_OK;
    }
    size_t len;
    qr_err e = qr_frame_head_get(c->head, &c->kind, &c->zstd, &len);
    if (e != QR_OK) {
        return qr_chan_fail(c, e, "frame of kind %u, %u bytes: %s", (unsigned)c->head[4],
                            (unsigned)qr_get32(c->head), qr_err_text(e));
    }
    QR_TRY(check_kind(c));
    c->body = qr_block_new(len);
    if (!c->body) {
        return qr_chan_fail(c, QR_ERR_NO_MEMORY, "no memory for a frame of %zu bytes", len);
    }
    c->got = 0;
    return QR_OK;
}

/* One step of frame assembly; *ret_more = 0 when TLS has no more plaintext. */
static qr_err
read_frame(struct qr_chan *c, int *ret_more)
{
    if (c->head_len < sizeof c->head) {
        QR_TRY(read_head(c));
        *ret_more = c->head_len == sizeof c->head;
        return QR_OK;
    }
    size_t n;
    QR_TRY(qr_tls_read(c->tls, c->body->p + c->got, c->body->len - c->got, &n));
    c->got += n;
    *ret_more = c->got == c->body->len;
    if (!*ret_more) {
        return QR_OK;
    }
    qr_err e = dispatch(c);
    c->body = qr_block_unref(c->body);
    c->head_len = 0;
    return e;
}

static qr_err
tls_step(struct qr_chan *c, int *ret_more)
{
    size_t before = qr_tls_fed(c->tls);
    qr_err e = qr_tls_handshake(c->tls, ret_more);

    tally_as(c, QR_CLASSES_HANDSHAKE);
    qr_ledger_in(c->row, QR_CLASSES_HANDSHAKE, before - qr_tls_fed(c->tls));
    if (e != QR_OK) {
        return qr_chan_fail(c, e, "TLS handshake failed: %s", qr_tls_why(c->tls));
    }
    return *ret_more ? qr_chan_hs_begin(c) : QR_OK;
}

static qr_err
input(struct qr_chan *c, size_t len)
{
    uint64_t before = c->consumed;
    int more = 1;

    while (more) {
        if (c->state == CHAN_TLS) {
            QR_TRY(tls_step(c, &more));
        } else {
            qr_err e = read_frame(c, &more);
            if (e != QR_OK) {
                return qr_chan_fail(c, e, "%s",
                                    e == QR_ERR_TLS || e == QR_ERR_LINK_CLOSED ? qr_tls_why(c->tls)
                                                                               : qr_err_text(e));
            }
        }
        c->consumed = before + len - qr_tls_fed(c->tls);
        if (c->state < CHAN_READY && c->consumed > QR_CHAN_HANDSHAKE_MAX) {
            return qr_chan_fail(c, QR_ERR_TOO_LARGE, "more than %u bytes before it was accepted",
                                (unsigned)QR_CHAN_HANDSHAKE_MAX);
        }
    }
    return QR_OK;
}

qr_err
qr_chan_input(struct qr_chan *c, qr_view in)
{
    if (c->state == CHAN_DEAD) {
        c->row->class_[QR_CLASSES_OVERHEAD].wire[QR_DIR_IN] += in.len;
        return QR_ERR_LINK_CLOSED;
    }
    c->row->class_[QR_CLASSES_OVERHEAD].wire[QR_DIR_IN] += in.len;
    qr_ledger_tcpip(c->row, QR_DIR_IN, in.len);
    qr_tls_feed(c->tls, in);
    int handshaking = c->state < CHAN_READY;
    qr_err e = input(c, in.len);
    if (e == QR_OK && handshaking) {
        e = qr_chan_push(c); /* later, the owner pushes what it has gathered */
    }
    if (e != QR_OK) {
        qr_chan_close(c, e);
    }
    return e;
}

qr_err
qr_chan_start(struct qr_chan *c)
{
    int done;
    QR_ASSERT(c->role == QR_ROLE_CLIENT && c->state == CHAN_TLS);
    qr_err e = qr_tls_handshake(c->tls, &done);
    tally_as(c, QR_CLASSES_HANDSHAKE);
    return e == QR_OK ? e : qr_chan_fail(c, e, "cannot start TLS: %s", qr_tls_why(c->tls));
}

int
qr_chan_is_ready(const struct qr_chan *c)
{
    return c->state == CHAN_READY;
}

const struct qr_hello *
qr_chan_peer(const struct qr_chan *c)
{
    return c->identified ? &c->peer : NULL;
}

const struct qr_claims *
qr_chan_claims(const struct qr_chan *c)
{
    return &c->claims;
}

const char *
qr_chan_why(const struct qr_chan *c)
{
    return c->why[0] ? c->why : "no reason known";
}

const char *
qr_chan_stage(const struct qr_chan *c)
{
    return stages[c->state == CHAN_DEAD ? c->died_in : c->state].name;
}
