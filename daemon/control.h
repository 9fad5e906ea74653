/*
 * Daemon-to-daemon control messages: fixed layouts, strict decoding.
 *
 * What: the payloads of QR_MSG_SIGN_REQUEST .. QR_MSG_TIME (protocol/base/msg_t.h). Integers are
 *       big-endian; `lp` is a u32 length and that many bytes.
 *
 *   SIGN_REQUEST   u32 attempt | u16 set_mask | u16 n | n * presig_id 34 | lp body | u8 m | m * lp stamp
 *   SIGN_SHARE     u32 attempt | u16 code | u16 n | n * share 96        (n = 0 when code != 0)
 *   ADMIN          lp body | u8 m | m * lp stamp
 *   PRESIGN_START  key_id 32 | u32 epoch | u16 set_mask | u16 B | u64 ctr | nonce 32
 *   ABORT          u16 code                                             (coarse: enum qr_abort)
 *   RETIRE         u16 lo | u16 hi | u16 by | boot nonce 32 | signature 64
 *   STORE_STATE    u64 boot counter | u64 serial | root 32
 *   TIME           u64 wall clock of the sender, ms since 1970
 *   KEY_SYNC       u8 kind (0 ask, 1 tell) | key_id 32 | tell: u16 n | n * confirmation 64
 *
 * Why: peers are hostile; a length is checked before it is used, and bytes left over are an error.
 * Decoding returns views into the payload. MALFORMED, TRUNCATED, TRAILING, TOO_LARGE.
 */
#ifndef QR_CONTROL_H
#define QR_CONTROL_H

#include "protocol/base/buf.h"
#include "protocol/base/limits.h"
#include "protocol/base/msg_t.h"

/* What a peer may learn of why a session died. */
enum qr_abort {
    QR_ABORT_REFUSED = 1, /* configuration, state or policy */
    QR_ABORT_GONE = 2,    /* the session's state was lost or timed out */
    QR_ABORT_FAILED = 3,  /* a check failed; C1, C2 and C3 alike */
    QR_ABORT_BUSY = 4,
};

struct qr_ctl_sign {
    uint32_t attempt;
    uint16_t set_mask, n;
    const uint8_t *presig_ids; /* n * QR_PRESIG_ID_LEN */
    qr_view body, stamp[QR_STAMPS_MAX];
    size_t n_stamps;
};
#define QR_CTL_SIGN_MAX                                                                            \
    (4u + 2u + 2u + QR_ITEMS_MAX * QR_PRESIG_ID_LEN + 4u + QR_BODY_MAX + 1u +                      \
     QR_STAMPS_MAX * (4u + QR_STAMP_MAX))

struct qr_ctl_share {
    uint32_t attempt;
    uint16_t code, n; /* code: enum qr_err value of a refusal, coarse */
    const uint8_t *shares;
};

struct qr_ctl_admin {
    qr_view body, stamp[QR_ADMINS_MAX];
    size_t n_stamps;
};

struct qr_ctl_start {
    uint8_t key_id[32], nonce[32];
    uint32_t epoch;
    uint16_t set_mask, B;
    uint64_t ctr;
};
#define QR_CTL_START_LEN (32u + 4u + 2u + 2u + 8u + 32u)

struct qr_ctl_retire {
    uint16_t lo, hi, by;
    uint8_t nonce[32], sig[64];
};
#define QR_CTL_RETIRE_LEN (6u + 32u + 64u)

struct qr_ctl_store {
    uint64_t boot_counter, serial;
    uint8_t root[32];
};
#define QR_CTL_STORE_LEN (8u + 8u + 32u)

struct qr_ctl_time {
    uint64_t wall_ms;
};
#define QR_CTL_TIME_LEN 8u

struct qr_ctl_key {
    uint8_t tell, key_id[32];
    uint16_t n;
    const uint8_t *confirm; /* n * 64 when tell */
};

void qr_ctl_put_sign(struct qr_buf *b, const struct qr_ctl_sign *m);
qr_err QR_MUST qr_ctl_get_sign(qr_view v, struct qr_ctl_sign *ret);
void qr_ctl_put_share(struct qr_buf *b, const struct qr_ctl_share *m);
qr_err QR_MUST qr_ctl_get_share(qr_view v, struct qr_ctl_share *ret);
void qr_ctl_put_admin(struct qr_buf *b, const struct qr_ctl_admin *m);
qr_err QR_MUST qr_ctl_get_admin(qr_view v, struct qr_ctl_admin *ret);
void qr_ctl_put_start(struct qr_buf *b, const struct qr_ctl_start *m);
qr_err QR_MUST qr_ctl_get_start(qr_view v, struct qr_ctl_start *ret);
void qr_ctl_put_retire(struct qr_buf *b, const struct qr_ctl_retire *m);
qr_err QR_MUST qr_ctl_get_retire(qr_view v, struct qr_ctl_retire *ret);
void qr_ctl_put_store(struct qr_buf *b, const struct qr_ctl_store *m);
qr_err QR_MUST qr_ctl_get_store(qr_view v, struct qr_ctl_store *ret);
void qr_ctl_put_time(struct qr_buf *b, const struct qr_ctl_time *m);
qr_err QR_MUST qr_ctl_get_time(qr_view v, struct qr_ctl_time *ret);
void qr_ctl_put_key(struct qr_buf *b, const struct qr_ctl_key *m);
qr_err QR_MUST qr_ctl_get_key(qr_view v, struct qr_ctl_key *ret);

#endif
