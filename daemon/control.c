#include "daemon/control.h"

#include <sodium.h>

void
qr_ctl_put_sign(struct qr_buf *b, const struct qr_ctl_sign *m)
{
    qr_buf_put32(b, m->attempt);
    qr_buf_put16(b, m->set_mask);
    qr_buf_put16(b, m->n);
    qr_buf_put(b, m->presig_ids, (size_t)m->n * QR_PRESIG_ID_LEN);
    qr_buf_put_lp(b, m->body);
    qr_buf_put8(b, (uint8_t)m->n_stamps);
    for (size_t i = 0; i < m->n_stamps; i++) {
        qr_buf_put_lp(b, m->stamp[i]);
    }
}

/* u8 count <= max, then that many length-prefixed stamps. */
static size_t
get_stamps(struct qr_buf *b, qr_view *stamp, size_t max)
{
    size_t n = qr_buf_get8(b);
    if (n > max) {
        b->err = b->err ? b->err : QR_ERR_TOO_LARGE;
        return 0;
    }
    for (size_t i = 0; i < n; i++) {
        stamp[i] = qr_buf_get_lp(b, QR_STAMP_MAX);
    }
    return n;
}

qr_err
qr_ctl_get_sign(qr_view v, struct qr_ctl_sign *ret)
{
    struct qr_buf b = qr_buf_read(v);
    struct qr_ctl_sign m = {0};
    m.attempt = qr_buf_get32(&b);
    m.set_mask = qr_buf_get16(&b);
    m.n = qr_buf_get16(&b);
    if (b.err == QR_OK && (m.n == 0 || m.n > QR_ITEMS_MAX)) {
        return QR_ERR_TOO_LARGE;
    }
    m.presig_ids = qr_buf_take(&b, (size_t)m.n * QR_PRESIG_ID_LEN).p;
    m.body = qr_buf_get_lp(&b, QR_BODY_MAX);
    m.n_stamps = get_stamps(&b, m.stamp, QR_STAMPS_MAX);
    QR_TRY(qr_buf_end(&b));
    *ret = m;
    return QR_OK;
}

void
qr_ctl_put_share(struct qr_buf *b, const struct qr_ctl_share *m)
{
    qr_buf_put32(b, m->attempt);
    qr_buf_put16(b, m->code);
    qr_buf_put16(b, m->n);
    qr_buf_put(b, m->shares, (size_t)m->n * QR_SIGN_SHARE_LEN);
}

qr_err
qr_ctl_get_share(qr_view v, struct qr_ctl_share *ret)
{
    struct qr_buf b = qr_buf_read(v);
    struct qr_ctl_share m = {0};
    m.attempt = qr_buf_get32(&b);
    m.code = qr_buf_get16(&b);
    m.n = qr_buf_get16(&b);
    if (b.err == QR_OK && (m.n > QR_ITEMS_MAX || (m.code != 0 && m.n != 0))) {
        return QR_ERR_MALFORMED;
    }
    m.shares = qr_buf_take(&b, (size_t)m.n * QR_SIGN_SHARE_LEN).p;
    QR_TRY(qr_buf_end(&b));
    *ret = m;
    return QR_OK;
}

void
qr_ctl_put_admin(struct qr_buf *b, const struct qr_ctl_admin *m)
{
    qr_buf_put_lp(b, m->body);
    qr_buf_put8(b, (uint8_t)m->n_stamps);
    for (size_t i = 0; i < m->n_stamps; i++) {
        qr_buf_put_lp(b, m->stamp[i]);
    }
}

qr_err
qr_ctl_get_admin(qr_view v, struct qr_ctl_admin *ret)
{
    struct qr_buf b = qr_buf_read(v);
    struct qr_ctl_admin m = {0};
    m.body = qr_buf_get_lp(&b, QR_DOC_MAX);
    m.n_stamps = get_stamps(&b, m.stamp, QR_ADMINS_MAX);
    QR_TRY(qr_buf_end(&b));
    *ret = m;
    return QR_OK;
}

void
qr_ctl_put_start(struct qr_buf *b, const struct qr_ctl_start *m)
{
    qr_buf_put(b, m->key_id, 32);
    qr_buf_put32(b, m->epoch);
    qr_buf_put16(b, m->set_mask);
    qr_buf_put16(b, m->B);
    qr_buf_put64(b, m->ctr);
    qr_buf_put(b, m->nonce, 32);
}

qr_err
qr_ctl_get_start(qr_view v, struct qr_ctl_start *ret)
{
    struct qr_buf b = qr_buf_read(v);
    struct qr_ctl_start m;
    qr_buf_get(&b, m.key_id, 32);
    m.epoch = qr_buf_get32(&b);
    m.set_mask = qr_buf_get16(&b);
    m.B = qr_buf_get16(&b);
    m.ctr = qr_buf_get64(&b);
    qr_buf_get(&b, m.nonce, 32);
    QR_TRY(qr_buf_end(&b));
    *ret = m;
    return QR_OK;
}

void
qr_ctl_put_retire(struct qr_buf *b, const struct qr_ctl_retire *m)
{
    qr_buf_put16(b, m->lo);
    qr_buf_put16(b, m->hi);
    qr_buf_put16(b, m->by);
    qr_buf_put(b, m->nonce, 32);
    qr_buf_put(b, m->sig, 64);
}

qr_err
qr_ctl_get_retire(qr_view v, struct qr_ctl_retire *ret)
{
    struct qr_buf b = qr_buf_read(v);
    struct qr_ctl_retire m;
    m.lo = qr_buf_get16(&b);
    m.hi = qr_buf_get16(&b);
    m.by = qr_buf_get16(&b);
    qr_buf_get(&b, m.nonce, 32);
    qr_buf_get(&b, m.sig, 64);
    QR_TRY(qr_buf_end(&b));
    if (m.lo == 0 || m.lo >= m.hi || m.hi > QR_MAX_PARTIES || (m.by != m.lo && m.by != m.hi)) {
        return QR_ERR_MALFORMED;
    }
    *ret = m;
    return QR_OK;
}

void
qr_ctl_put_store(struct qr_buf *b, const struct qr_ctl_store *m)
{
    qr_buf_put64(b, m->boot_counter);
    qr_buf_put64(b, m->serial);
    qr_buf_put(b, m->root, 32);
}

qr_err
qr_ctl_get_store(qr_view v, struct qr_ctl_store *ret)
{
    struct qr_buf b = qr_buf_read(v);
    struct qr_ctl_store m;
    m.boot_counter = qr_buf_get64(&b);
    m.serial = qr_buf_get64(&b);
    qr_buf_get(&b, m.root, 32);
    QR_TRY(qr_buf_end(&b));
    *ret = m;
    return QR_OK;
}

void
qr_ctl_put_time(struct qr_buf *b, const struct qr_ctl_time *m)
{
    qr_buf_put64(b, m->wall_ms);
}

qr_err
qr_ctl_get_time(qr_view v, struct qr_ctl_time *ret)
{
    struct qr_buf b = qr_buf_read(v);
    struct qr_ctl_time m = {qr_buf_get64(&b)};
    QR_TRY(qr_buf_end(&b));
    *ret = m;
    return QR_OK;
}

void
qr_ctl_put_key(struct qr_buf *b, const struct qr_ctl_key *m)
{
    qr_buf_put8(b, m->tell);
    qr_buf_put(b, m->key_id, 32);
    if (m->tell) {
        qr_buf_put16(b, m->n);
        qr_buf_put(b, m->confirm, (size_t)m->n * 64u);
    }
}

qr_err
qr_ctl_get_key(qr_view v, struct qr_ctl_key *ret)
{
    struct qr_buf b = qr_buf_read(v);
    struct qr_ctl_key m = {0};
    m.tell = qr_buf_get8(&b);
    qr_buf_get(&b, m.key_id, 32);
    if (b.err == QR_OK && m.tell > 1) {
        return QR_ERR_MALFORMED;
    }
    if (m.tell) {
        m.n = qr_buf_get16(&b);
        if (b.err == QR_OK && m.n > QR_MAX_PARTIES) {
            return QR_ERR_TOO_LARGE;
        }
        m.confirm = qr_buf_take(&b, (size_t)m.n * 64u).p;
    }
    QR_TRY(qr_buf_end(&b));
    *ret = m;
    return QR_OK;
}

void
qr_ctl_put_secret_put(struct qr_buf *b, const struct qr_ctl_secret_put *m)
{
    qr_buf_put32(b, m->epoch);
    qr_buf_put32(b, m->keep);
    qr_buf_put8(b, m->need);
    qr_buf_put(b, m->piece.b, 32);
    qr_buf_put(b, m->blind.b, 32);
    qr_buf_put(b, m->commitment, 32);
}

qr_err
qr_ctl_get_secret_put(qr_view v, struct qr_ctl_secret_put *ret)
{
    struct qr_buf b = qr_buf_read(v);
    uint32_t epoch = qr_buf_get32(&b), keep = qr_buf_get32(&b);
    uint8_t need = qr_buf_get8(&b);
    qr_view rest = qr_buf_take(&b, 96);

    QR_TRY(qr_buf_end(&b));
    if (epoch == 0 || keep > epoch || need < 1 || need >= QR_MAX_PARTIES) {
        return QR_ERR_MALFORMED;
    }
    *ret = (struct qr_ctl_secret_put){.epoch = epoch, .keep = keep, .need = need};
    memcpy(ret->piece.b, rest.p, 32);
    memcpy(ret->blind.b, rest.p + 32, 32);
    memcpy(ret->commitment, rest.p + 64, 32);
    return QR_OK;
}

void
qr_ctl_put_secret_have(struct qr_buf *b, const struct qr_ctl_secret_have *m)
{
    qr_buf_put16(b, m->code);
    qr_buf_put32(b, m->epoch);
    qr_buf_put32(b, m->older);
    qr_buf_put32(b, m->newer);
}

qr_err
qr_ctl_get_secret_have(qr_view v, struct qr_ctl_secret_have *ret)
{
    struct qr_buf b = qr_buf_read(v);
    struct qr_ctl_secret_have m;
    m.code = qr_buf_get16(&b);
    m.epoch = qr_buf_get32(&b);
    m.older = qr_buf_get32(&b);
    m.newer = qr_buf_get32(&b);
    QR_TRY(qr_buf_end(&b));
    if ((m.older != 0 && m.older >= m.newer) || (m.code != 0 && m.epoch == 0)) {
        return QR_ERR_MALFORMED;
    }
    *ret = m;
    return QR_OK;
}

void
qr_ctl_put_secret_piece(struct qr_buf *b, const struct qr_ctl_secret_piece *m)
{
    qr_buf_put16(b, m->code);
    qr_buf_put32(b, m->epoch);
    qr_buf_put16(b, m->holder);
    qr_buf_put(b, m->piece.b, 32);
    qr_buf_put(b, m->blind.b, 32);
}

qr_err
qr_ctl_get_secret_piece(qr_view v, struct qr_ctl_secret_piece *ret)
{
    struct qr_buf b = qr_buf_read(v);
    uint16_t code = qr_buf_get16(&b);
    uint32_t epoch = qr_buf_get32(&b);
    uint16_t holder = qr_buf_get16(&b);
    qr_view rest = qr_buf_take(&b, 64);

    QR_TRY(qr_buf_end(&b));
    if (epoch == 0 || (code == 0 && (holder < 1 || holder > QR_MAX_PARTIES)) ||
        (code != 0 && (holder != 0 || !sodium_is_zero(rest.p, rest.len)))) {
        return QR_ERR_MALFORMED;
    }
    *ret = (struct qr_ctl_secret_piece){.code = code, .epoch = epoch, .holder = holder};
    memcpy(ret->piece.b, rest.p, 32);
    memcpy(ret->blind.b, rest.p + 32, 32);
    return QR_OK;
}

void
qr_ctl_put_epoch(struct qr_buf *b, uint32_t epoch)
{
    qr_buf_put32(b, epoch);
}

qr_err
qr_ctl_get_epoch(qr_view v, uint32_t *ret)
{
    struct qr_buf b = qr_buf_read(v);
    uint32_t epoch = qr_buf_get32(&b);

    QR_TRY(qr_buf_end(&b));
    if (epoch == 0) {
        return QR_ERR_MALFORMED;
    }
    *ret = epoch;
    return QR_OK;
}

void
qr_ctl_put_audit_head(struct qr_buf *b, const struct qr_ctl_audit_head *m)
{
    qr_buf_put64(b, m->boot);
    qr_buf_put64(b, m->serial);
    qr_buf_put(b, m->hash, 32);
    qr_buf_put(b, m->nonce, 32);
    qr_buf_put(b, m->sig, 64);
}

qr_err
qr_ctl_get_audit_head(qr_view v, struct qr_ctl_audit_head *ret)
{
    struct qr_buf b = qr_buf_read(v);
    struct qr_ctl_audit_head m;
    m.boot = qr_buf_get64(&b);
    m.serial = qr_buf_get64(&b);
    qr_buf_get(&b, m.hash, 32);
    qr_buf_get(&b, m.nonce, 32);
    qr_buf_get(&b, m.sig, 64);
    QR_TRY(qr_buf_end(&b));
    if (m.boot == 0 || m.serial == 0 || m.boot > INT64_MAX || m.serial > INT64_MAX) {
        return QR_ERR_MALFORMED;
    }
    *ret = m;
    return QR_OK;
}

void
qr_ctl_put_receipt_ask(struct qr_buf *b, const struct qr_ctl_receipt_ask *m)
{
    qr_buf_put32(b, m->attempt);
    qr_buf_put(b, m->have, 32);
}

qr_err
qr_ctl_get_receipt_ask(qr_view v, struct qr_ctl_receipt_ask *ret)
{
    struct qr_buf b = qr_buf_read(v);
    struct qr_ctl_receipt_ask m;
    m.attempt = qr_buf_get32(&b);
    qr_buf_get(&b, m.have, 32);
    QR_TRY(qr_buf_end(&b));
    *ret = m;
    return QR_OK;
}

void
qr_ctl_put_receipt_tell(struct qr_buf *b, const struct qr_ctl_receipt_tell *m)
{
    qr_buf_put32(b, m->attempt);
    qr_buf_put16(b, m->code);
    qr_buf_put64(b, m->made_ms);
    qr_buf_put(b, m->nonce, 32);
    qr_buf_put(b, m->boot_nonce, 32);
    qr_buf_put(b, m->sig, 64);
    qr_buf_put_lp(b, m->record);
    qr_buf_put_lp(b, m->evidence);
}

qr_err
qr_ctl_get_receipt_tell(qr_view v, struct qr_ctl_receipt_tell *ret)
{
    struct qr_buf b = qr_buf_read(v);
    struct qr_ctl_receipt_tell m;
    m.attempt = qr_buf_get32(&b);
    m.code = qr_buf_get16(&b);
    m.made_ms = qr_buf_get64(&b);
    qr_buf_get(&b, m.nonce, 32);
    qr_buf_get(&b, m.boot_nonce, 32);
    qr_buf_get(&b, m.sig, 64);
    m.record = qr_buf_get_lp(&b, QR_CTL_RECORD_MAX);
    m.evidence = qr_buf_get_lp(&b, QR_EVIDENCE_MAX);
    QR_TRY(qr_buf_end(&b));
    if ((m.code != 0 &&
         (m.made_ms != 0 || m.record.len || m.evidence.len || !sodium_is_zero(m.nonce, 32) ||
          !sodium_is_zero(m.boot_nonce, 32) || !sodium_is_zero(m.sig, 64))) ||
        (m.code == 0 && (m.record.len == 0 || m.made_ms > INT64_MAX))) {
        return QR_ERR_MALFORMED;
    }
    *ret = m;
    return QR_OK;
}
