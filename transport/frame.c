#include "transport/frame.h"

#include "protocol/base/check.h"
#include "protocol/base/mem.h"
#include "protocol/base/secret.h"

/*
 * Shares travel in messages, so their memory is wiped. Longer frames hold one presigning message,
 * which is masked already; wiping those would cost as much as decrypting them.
 */
#define WIPED (128u * 1024u)

/* Body lengths of each kind, and whether it may be compressed. */
static const struct {
    uint32_t min, max;
    int zstd;
} bounds[] = {
    [QR_FRAME_HELLO] = {1, 512, 0},
    [QR_FRAME_EVIDENCE] = {1, QR_EVIDENCE_FRAME_MAX, 1},
    [QR_FRAME_CONFIRM] = {33, 33, 0},
    [QR_FRAME_RESUME] = {QR_RESUME_LEN, QR_RESUME_LEN, 0},
    [QR_FRAME_DATA] = {QR_DATA_HEAD_LEN + QR_ITEM_HEAD_LEN + 1, QR_FRAME_MAX - 1, 0},
    [QR_FRAME_ACK] = {8, 8, 0},
    [QR_FRAME_PING] = {8, 8, 0},
    [QR_FRAME_PONG] = {8, 8, 0},
    [QR_FRAME_CLOSE] = {1, 1, 0},
};

enum qr_close
qr_close_code(qr_err why)
{
    switch (why) {
    case QR_OK:
    case QR_ERR_LINK_CLOSED:
        return QR_CLOSE_NORMAL;
    case QR_ERR_IDENTITY:
    case QR_ERR_ATTESTATION:
    case QR_ERR_INSECURE_SIM:
    case QR_ERR_STALE:
    case QR_ERR_BOOT_NONCE:
    case QR_ERR_ROLLBACK:
        return QR_CLOSE_REFUSED;
    case QR_ERR_VERSION:
    case QR_ERR_CLUSTER:
    case QR_ERR_ROSTER_MISMATCH:
    case QR_ERR_POLICY_MISMATCH:
        return QR_CLOSE_CONFIG;
    case QR_ERR_NO_MEMORY:
    case QR_ERR_TIMEOUT:
    case QR_ERR_PLATFORM:
    case QR_ERR_DRAINING:
        return QR_CLOSE_BUSY;
    default:
        return QR_CLOSE_PROTOCOL;
    }
}

const char *
qr_close_text(uint8_t code)
{
    switch (code) {
    case QR_CLOSE_NORMAL:
        return "closed the connection";
    case QR_CLOSE_PROTOCOL:
        return "could not make sense of what we sent";
    case QR_CLOSE_REFUSED:
        return "refused us (identity, evidence, boot or stored state); its log has the reason";
    case QR_CLOSE_CONFIG:
        return "refused us (version, cluster, roster or policy differ); its log has the reason";
    case QR_CLOSE_BUSY:
        return "has no room or time for us now";
    default:
        return "closed the connection with a code we do not know";
    }
}

void
qr_frame_head_put(uint8_t out[static QR_FRAME_HEAD_LEN], unsigned kind, size_t body_len)
{
    QR_ASSERT(body_len < QR_FRAME_MAX && kind <= 0xff);
    qr_put32(out, (uint32_t)body_len + 1);
    out[4] = (uint8_t)kind;
}

qr_err
qr_frame_head_get(const uint8_t in[static QR_FRAME_HEAD_LEN], enum qr_frame *ret_kind,
                  int *ret_zstd, size_t *ret_body_len)
{
    uint32_t n = qr_get32(in);
    unsigned kind = in[4] & ~QR_FRAME_ZSTD;
    int zstd = (in[4] & QR_FRAME_ZSTD) != 0;

    if (n > QR_FRAME_MAX) {
        return QR_ERR_TOO_LARGE;
    }
    if (kind == 0 || kind >= sizeof bounds / sizeof bounds[0] || (zstd && !bounds[kind].zstd)) {
        return QR_ERR_MALFORMED;
    }
    if (n == 0 || n - 1 < bounds[kind].min || n - 1 > bounds[kind].max) {
        return QR_ERR_LENGTH;
    }
    *ret_kind = (enum qr_frame)kind;
    *ret_zstd = zstd;
    *ret_body_len = n - 1;
    return QR_OK;
}

qr_err
qr_frame_item(struct qr_buf *items, int *ret_zstd, qr_view *ret_bytes)
{
    uint32_t word = qr_buf_get32(items);
    qr_view v = qr_buf_take(items, word & ~QR_ITEM_ZSTD);

    if (items->err != QR_OK) {
        return items->err;
    }
    if (v.len == 0) {
        return QR_ERR_MALFORMED;
    }
    *ret_zstd = (word & QR_ITEM_ZSTD) != 0;
    *ret_bytes = v;
    return QR_OK;
}

struct qr_block *
qr_block_new(size_t len)
{
    /* Not zeroed: filled from the peer before anyone reads it. */
    struct qr_block *b = qr_realloc(NULL, sizeof *b + len);
    if (b) {
        b->refs = 1;
        b->len = len;
    }
    return b;
}

struct qr_block *
qr_block_ref(struct qr_block *b)
{
    b->refs++;
    return b;
}

struct qr_block *
qr_block_unref(struct qr_block *b)
{
    if (b) {
        QR_ASSERT(b->refs > 0);
        if (--b->refs == 0) {
            if (b->len <= WIPED) {
                qr_wipe(b->p, b->len);
            }
            qr_free(b);
        }
    }
    return NULL;
}
