/*
 * Daemon-to-daemon control messages: fixed layouts, strict decoding.
 *
 * What: the payloads of QR_MSG_SIGN_REQUEST .. QR_MSG_RECEIPT_TELL (protocol/base/msg_t.h). Integers are
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
 *   SECRET_PUT     u32 epoch | u32 keep | u8 need | piece 32 | blind 32 | commitment 32
 *   SECRET_HAVE    u16 code (0, or as in ABORT) | u32 epoch asked about (0: none) | u32 older | u32 newer
 *   SECRET_GET     u32 epoch
 *   SECRET_PIECE   u16 code | u32 epoch | u16 holder | piece 32 | blind 32    (zeros when code != 0)
 *   SECRET_KEEP    u32 epoch
 *   AUDIT_HEAD     u64 boot | u64 serial | hash 32 | boot nonce 32 | signature 64   (daemon/audit.h)
 *   RECEIPT_ASK    u32 attempt | digest of the evidence the sender holds 32 (zeros: none)
 *   RECEIPT_TELL   u32 attempt | u16 code | u64 made ms | nonce 32 | boot nonce 32 | signature 64 |
 *                  lp record | lp evidence (empty: what the asker holds)    (all zero when code != 0)
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
#include "protocol/base/secret.h"

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

/* A party's secret in pieces at its peers: daemon/party_secret.h. Epochs are not 0. */
struct qr_ctl_secret_put {
    uint32_t epoch, keep; /* keep <= epoch: the piece that must stay beside this one; 0: none */
    uint8_t need;         /* pieces that give the secret, 1..QR_MAX_PARTIES - 1 */
    struct qr_sec32 piece, blind;
    uint8_t commitment[32];
};
#define QR_CTL_SECRET_PUT_LEN (4u + 4u + 1u + 32u + 32u + 32u)

struct qr_ctl_secret_have {
    uint16_t code;
    uint32_t epoch, older, newer; /* held; one alone is newer, none is 0 and 0 */
};
#define QR_CTL_SECRET_HAVE_LEN (2u + 4u + 4u + 4u)

struct qr_ctl_secret_piece {
    uint16_t code;
    uint32_t epoch;
    uint16_t holder; /* the index that the piece was made for */
    struct qr_sec32 piece, blind;
};
#define QR_CTL_SECRET_PIECE_LEN (2u + 4u + 2u + 32u + 32u)
#define QR_CTL_EPOCH_LEN 4u /* GET and KEEP */

/* daemon/party_audit.h. */
struct qr_ctl_audit_head {
    uint64_t boot, serial; /* not 0 */
    uint8_t hash[32], nonce[32], sig[64];
};
#define QR_CTL_AUDIT_HEAD_LEN (8u + 8u + 32u + 32u + 64u)

struct qr_ctl_receipt_ask {
    uint32_t attempt;
    uint8_t have[32];
};
#define QR_CTL_RECEIPT_ASK_LEN (4u + 32u)

struct qr_ctl_receipt_tell {
    uint32_t attempt;
    uint16_t code;
    uint64_t made_ms;
    uint8_t nonce[32], boot_nonce[32], sig[64];
    qr_view record, evidence; /* record: 1..QR_CTL_RECORD_MAX bytes unless code != 0 */
};
#define QR_CTL_RECORD_MAX 20480u
#define QR_CTL_RECEIPT_TELL_LEN (4u + 2u + 8u + 32u + 32u + 64u + 4u + 4u) /* and the two */

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
void qr_ctl_put_secret_put(struct qr_buf *b, const struct qr_ctl_secret_put *m);
qr_err QR_MUST qr_ctl_get_secret_put(qr_view v, struct qr_ctl_secret_put *ret);
void qr_ctl_put_secret_have(struct qr_buf *b, const struct qr_ctl_secret_have *m);
qr_err QR_MUST qr_ctl_get_secret_have(qr_view v, struct qr_ctl_secret_have *ret);
void qr_ctl_put_secret_piece(struct qr_buf *b, const struct qr_ctl_secret_piece *m);
qr_err QR_MUST qr_ctl_get_secret_piece(qr_view v, struct qr_ctl_secret_piece *ret);
void qr_ctl_put_audit_head(struct qr_buf *b, const struct qr_ctl_audit_head *m);
qr_err QR_MUST qr_ctl_get_audit_head(qr_view v, struct qr_ctl_audit_head *ret);
void qr_ctl_put_receipt_ask(struct qr_buf *b, const struct qr_ctl_receipt_ask *m);
qr_err QR_MUST qr_ctl_get_receipt_ask(qr_view v, struct qr_ctl_receipt_ask *ret);
void qr_ctl_put_receipt_tell(struct qr_buf *b, const struct qr_ctl_receipt_tell *m);
qr_err QR_MUST qr_ctl_get_receipt_tell(qr_view v, struct qr_ctl_receipt_tell *ret);
/* SECRET_GET and SECRET_KEEP. */
void qr_ctl_put_epoch(struct qr_buf *b, uint32_t epoch);
qr_err QR_MUST qr_ctl_get_epoch(qr_view v, uint32_t *ret);

#endif
