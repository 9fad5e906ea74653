/* See fields.h. */
#include "test/common/fields.h"

#include "protocol/base/check.h"

#include <string.h>

#define OK QR_OK
#define COMMITMENT QR_ERR_COMMITMENT
#define EQUIVOCATION QR_ERR_EQUIVOCATION
#define SETUP QR_ERR_SETUP
#define CHECK QR_ERR_CHECK
#define SHARE QR_ERR_SHARE
#define SCALAR QR_ERR_SCALAR
#define POINT QR_ERR_POINT
#define ONCE 1, 0, 1, 0

size_t
fields_of(const struct field_shape *s, struct field out[static FIELDS_MAX])
{
    const size_t t = s->t, B = s->B, row = (416 * B + 128) / 8, slot = 40164, n = s->items;
    const size_t cc = 33 * t, req = 8 + 34 * n, st = s->stamps, stl = s->stamp;
    const struct field f[] = {
        /* pair set-up, SPEC.md section 3 */
        {"pair1.com_zero", QR_MSG_PAIR1, FIELD_BYTES, 0, 32, ONCE, COMMITMENT, OK, 0, OK, 0},
        {"pair1.P", QR_MSG_PAIR1, FIELD_RPOINT, 32, 32, 128, 64, 2, 32, SETUP, SETUP, 0, OK, 1},
        {"pair2.part", QR_MSG_PAIR2, FIELD_BYTES, 0, 32, ONCE, COMMITMENT, OK, 0, OK, 0},
        {"pair2.salt", QR_MSG_PAIR2, FIELD_BYTES, 32, 32, ONCE, COMMITMENT, OK, 0, OK, 0},
        {"pair2.Y", QR_MSG_PAIR2, FIELD_RPOINT, 64, 32, 128, 64, 2, 32, SETUP, SETUP, 0, OK, 0},
        {"pair2.pprf.L", QR_MSG_PAIR2, FIELD_BYTES, 8256, 16, 16, 288, 7, 32, SETUP, OK, 0, OK, 0},
        {"pair2.pprf.R", QR_MSG_PAIR2, FIELD_BYTES, 8272, 16, 16, 288, 7, 32, SETUP, OK, 0, OK, 0},
        {"pair2.pprf.t", QR_MSG_PAIR2, FIELD_BYTES, 8480, 32, 16, 288, 1, 0, SETUP, OK, 0, OK, 0},
        {"pair2.pprf.s", QR_MSG_PAIR2, FIELD_BYTES, 8512, 32, 16, 288, 1, 0, SETUP, OK, 0, OK, 0},
        {"pair3.confirm", QR_MSG_PAIR3, FIELD_BYTES, 0, 32, ONCE, SETUP, OK, 0, OK, 0},
        /* key generation, section 7 */
        {"dkg1.com", QR_MSG_DKG1, FIELD_BYTES, 0, 32, ONCE, COMMITMENT, OK, 1, EQUIVOCATION, 0},
        {"dkg2.F", QR_MSG_DKG2, FIELD_POINT, 0, 33, t, 33, 1, 0, COMMITMENT, COMMITMENT, 1,
         EQUIVOCATION, 0},
        {"dkg2.cc", QR_MSG_DKG2, FIELD_BYTES, cc, 32, ONCE, COMMITMENT, OK, 1, EQUIVOCATION, 0},
        {"dkg2.pok.R", QR_MSG_DKG2, FIELD_POINT, cc + 32, 33, ONCE, COMMITMENT, COMMITMENT, 1,
         EQUIVOCATION, 0},
        {"dkg2.pok.z", QR_MSG_DKG2, FIELD_SCALAR, cc + 65, 32, ONCE, COMMITMENT, COMMITMENT, 1,
         EQUIVOCATION, 0},
        {"dkg2.salt", QR_MSG_DKG2, FIELD_BYTES, cc + 97, 32, ONCE, COMMITMENT, OK, 1, EQUIVOCATION,
         0},
        {"dkg2.echo1", QR_MSG_DKG2, FIELD_BYTES, cc + 129, 32, ONCE, EQUIVOCATION, OK, 0,
         EQUIVOCATION, 0},
        {"dkg2.share", QR_MSG_DKG2, FIELD_SCALAR, cc + 161, 32, ONCE, SHARE, SCALAR, 1, SHARE, 0},
        {"dkg3.echo2", QR_MSG_DKG3, FIELD_BYTES, 0, 32, ONCE, EQUIVOCATION, OK, 0, OK, 0},
        {"dkg3.status", QR_MSG_DKG3, FIELD_UINT, 32, 1, ONCE, SHARE, SHARE, 0, OK, 0},
        {"dkg4.signature", QR_MSG_DKG4, FIELD_BYTES, 0, 64, ONCE, QR_ERR_IDENTITY, OK, 1, OK, 0},
        /* presigning, sections 5, 6 and 8 */
        {"presign1.com", QR_MSG_PRESIGN1, FIELD_BYTES, 0, 32, ONCE, EQUIVOCATION, OK, 0,
         EQUIVOCATION, 0},
        {"presign1.u", QR_MSG_PRESIGN1, FIELD_BYTES, 32, row, 16, row, 1, 0, CHECK, OK, 1, OK, 0},
        {"presign1.x", QR_MSG_PRESIGN1, FIELD_BYTES, 32 + 16 * row, 16, ONCE, CHECK, OK, 1, OK, 0},
        {"presign1.h_T", QR_MSG_PRESIGN1, FIELD_BYTES, 48 + 16 * row, 32, ONCE, CHECK, OK, 1, OK,
         0},
        {"presign2.salt", QR_MSG_PRESIGN2, FIELD_BYTES, 0, 32, ONCE, COMMITMENT, OK, 1, OK, 0},
        {"presign2.view", QR_MSG_PRESIGN2, FIELD_BYTES, 32, 32, ONCE, EQUIVOCATION, OK, 0, OK, 0},
        {"presign2.R", QR_MSG_PRESIGN2, FIELD_POINT, 64, 33, B, slot, 1, 0, COMMITMENT, POINT, 1,
         OK, 0},
        {"presign2.pk", QR_MSG_PRESIGN2, FIELD_POINT, 97, 33, B, slot, 1, 0, CHECK, POINT, 1, OK,
         0},
        {"presign2.Gamma_u", QR_MSG_PRESIGN2, FIELD_POINT, 130, 33, B, slot, 1, 0, CHECK, POINT, 1,
         OK, 0},
        {"presign2.Gamma_v", QR_MSG_PRESIGN2, FIELD_POINT, 163, 33, B, slot, 1, 0, CHECK, POINT, 1,
         OK, 0},
        {"presign2.psi", QR_MSG_PRESIGN2, FIELD_SCALAR, 196, 32, B, slot, 1, 0, OK, SCALAR, 1, OK,
         0},
        {"presign2.a0", QR_MSG_PRESIGN2, FIELD_SCALAR, 228, 32, B, slot, 416, 96, CHECK, SCALAR, 1,
         OK, 0},
        {"presign2.a1", QR_MSG_PRESIGN2, FIELD_SCALAR, 260, 32, B, slot, 416, 96, CHECK, SCALAR, 1,
         OK, 0},
        {"presign2.a2", QR_MSG_PRESIGN2, FIELD_SCALAR, 292, 32, B, slot, 416, 96, CHECK, SCALAR, 1,
         OK, 0},
        {"presign2.eta", QR_MSG_PRESIGN2, FIELD_SCALAR, 40164, 32, B, slot, 1, 0, CHECK, SCALAR, 1,
         OK, 0},
        {"presign2.mu", QR_MSG_PRESIGN2, FIELD_BYTES, 40196, 32, B, slot, 1, 0, CHECK, OK, 1, OK,
         0},
        /* one item of a share, section 9; ctx, w and u' */
        {"share.attempt", QR_MSG_SIGN_SHARE, FIELD_UINT, 0, 4, ONCE, OK, OK, 0, OK, 0},
        {"share.code", QR_MSG_SIGN_SHARE, FIELD_UINT, 4, 2, ONCE, OK, QR_ERR_MALFORMED, 0, OK, 0},
        {"share.n", QR_MSG_SIGN_SHARE, FIELD_LEN, 6, 2, ONCE, OK, QR_ERR_MALFORMED, 0, OK, 0},
        {"share.ctx", QR_MSG_SIGN_SHARE, FIELD_BYTES, 8, 32, n, 96, 1, 0, QR_ERR_SID, OK, 1, OK, 0},
        {"share.w", QR_MSG_SIGN_SHARE, FIELD_SCALAR, 40, 32, n, 96, 1, 0, QR_ERR_BAD_SIGNATURE,
         SCALAR, 0, OK, 0},
        {"share.u", QR_MSG_SIGN_SHARE, FIELD_SCALAR, 72, 32, n, 96, 1, 0, QR_ERR_BAD_SIGNATURE,
         SCALAR, 0, OK, 0},
        /* control messages, daemon/control.h */
        {"request.attempt", QR_MSG_SIGN_REQUEST, FIELD_UINT, 0, 4, ONCE, OK, OK, 0, OK, 0},
        {"request.set", QR_MSG_SIGN_REQUEST, FIELD_UINT, 4, 2, ONCE, OK, OK, 0, OK, 0},
        {"request.n", QR_MSG_SIGN_REQUEST, FIELD_LEN, 6, 2, ONCE, OK, QR_ERR_TOO_LARGE, 0, OK, 0},
        {"request.presig.batch", QR_MSG_SIGN_REQUEST, FIELD_BYTES, 8, 32, n, 34, 1, 0, OK, OK, 0,
         OK, 0},
        {"request.presig.idx", QR_MSG_SIGN_REQUEST, FIELD_UINT, 40, 2, n, 34, 1, 0, OK, OK, 0, OK,
         0},
        {"request.body.len", QR_MSG_SIGN_REQUEST, FIELD_LEN, req, 4, ONCE, OK, QR_ERR_TOO_LARGE, 0,
         OK, 0},
        {"request.body", QR_MSG_SIGN_REQUEST, FIELD_BYTES, req + 4, s->body, ONCE, OK, OK, 0, OK,
         0},
        {"request.stamps", QR_MSG_SIGN_REQUEST, FIELD_LEN, req + 4 + s->body, 1, ONCE, OK,
         QR_ERR_TOO_LARGE, 0, OK, 0},
        {"request.stamp.len", QR_MSG_SIGN_REQUEST, FIELD_LEN, req + 5 + s->body, 4, st, 4 + stl, 1,
         0, OK, QR_ERR_TOO_LARGE, 0, OK, 0},
        {"request.stamp", QR_MSG_SIGN_REQUEST, FIELD_BYTES, req + 9 + s->body, stl, st, 4 + stl, 1,
         0, OK, OK, 0, OK, 0},
        {"admin.body.len", QR_MSG_ADMIN, FIELD_LEN, 0, 4, ONCE, OK, QR_ERR_TOO_LARGE, 0, OK, 0},
        {"admin.body", QR_MSG_ADMIN, FIELD_BYTES, 4, s->body, ONCE, OK, OK, 0, OK, 0},
        {"admin.stamps", QR_MSG_ADMIN, FIELD_LEN, 4 + s->body, 1, ONCE, OK, QR_ERR_TOO_LARGE, 0, OK,
         0},
        {"admin.stamp.len", QR_MSG_ADMIN, FIELD_LEN, 5 + s->body, 4, st, 4 + stl, 1, 0, OK,
         QR_ERR_TOO_LARGE, 0, OK, 0},
        {"admin.stamp", QR_MSG_ADMIN, FIELD_BYTES, 9 + s->body, stl, st, 4 + stl, 1, 0, OK, OK, 0,
         OK, 0},
        {"start.key_id", QR_MSG_PRESIGN_START, FIELD_BYTES, 0, 32, ONCE, OK, OK, 0, OK, 0},
        {"start.epoch", QR_MSG_PRESIGN_START, FIELD_UINT, 32, 4, ONCE, OK, OK, 0, OK, 0},
        {"start.set", QR_MSG_PRESIGN_START, FIELD_UINT, 36, 2, ONCE, OK, OK, 0, OK, 0},
        {"start.B", QR_MSG_PRESIGN_START, FIELD_UINT, 38, 2, ONCE, OK, OK, 0, OK, 0},
        {"start.ctr", QR_MSG_PRESIGN_START, FIELD_UINT, 40, 8, ONCE, OK, OK, 0, OK, 0},
        {"start.nonce", QR_MSG_PRESIGN_START, FIELD_BYTES, 48, 32, ONCE, OK, OK, 0, OK, 0},
        {"abort.code", QR_MSG_ABORT, FIELD_UINT, 0, 2, ONCE, OK, OK, 0, OK, 0},
        {"retire.lo", QR_MSG_RETIRE, FIELD_UINT, 0, 2, ONCE, OK, QR_ERR_MALFORMED, 0, OK, 0},
        {"retire.hi", QR_MSG_RETIRE, FIELD_UINT, 2, 2, ONCE, OK, QR_ERR_MALFORMED, 0, OK, 0},
        {"retire.by", QR_MSG_RETIRE, FIELD_UINT, 4, 2, ONCE, OK, QR_ERR_MALFORMED, 0, OK, 0},
        {"retire.nonce", QR_MSG_RETIRE, FIELD_BYTES, 6, 32, ONCE, OK, OK, 0, OK, 0},
        {"retire.signature", QR_MSG_RETIRE, FIELD_BYTES, 38, 64, ONCE, OK, OK, 0, OK, 0},
        {"store.boot", QR_MSG_STORE_STATE, FIELD_UINT, 0, 8, ONCE, OK, OK, 0, OK, 0},
        {"store.serial", QR_MSG_STORE_STATE, FIELD_UINT, 8, 8, ONCE, OK, OK, 0, OK, 0},
        {"store.root", QR_MSG_STORE_STATE, FIELD_BYTES, 16, 32, ONCE, OK, OK, 0, OK, 0},
        {"time.wall", QR_MSG_TIME, FIELD_UINT, 0, 8, ONCE, OK, OK, 0, OK, 0},
        {"put.epoch", QR_MSG_SECRET_PUT, FIELD_UINT, 0, 4, ONCE, OK, OK, 0, OK, 0},
        {"put.keep", QR_MSG_SECRET_PUT, FIELD_UINT, 4, 4, ONCE, OK, QR_ERR_MALFORMED, 0, OK, 0},
        {"put.need", QR_MSG_SECRET_PUT, FIELD_UINT, 8, 1, ONCE, OK, QR_ERR_MALFORMED, 0, OK, 0},
        {"put.piece", QR_MSG_SECRET_PUT, FIELD_BYTES, 9, 32, ONCE, OK, OK, 0, OK, 0},
        {"put.blind", QR_MSG_SECRET_PUT, FIELD_BYTES, 41, 32, ONCE, OK, OK, 0, OK, 0},
        {"put.commitment", QR_MSG_SECRET_PUT, FIELD_BYTES, 73, 32, ONCE, OK, OK, 0, OK, 0},
        {"have.code", QR_MSG_SECRET_HAVE, FIELD_UINT, 0, 2, ONCE, OK, QR_ERR_MALFORMED, 0, OK, 0},
        {"have.epoch", QR_MSG_SECRET_HAVE, FIELD_UINT, 2, 4, ONCE, OK, OK, 0, OK, 0},
        {"have.older", QR_MSG_SECRET_HAVE, FIELD_UINT, 6, 4, ONCE, OK, QR_ERR_MALFORMED, 0, OK, 0},
        {"have.newer", QR_MSG_SECRET_HAVE, FIELD_UINT, 10, 4, ONCE, OK, OK, 0, OK, 0},
        {"get.epoch", QR_MSG_SECRET_GET, FIELD_UINT, 0, 4, ONCE, OK, OK, 0, OK, 0},
        {"piece.code", QR_MSG_SECRET_PIECE, FIELD_UINT, 0, 2, ONCE, OK, QR_ERR_MALFORMED, 0, OK, 0},
        {"piece.epoch", QR_MSG_SECRET_PIECE, FIELD_UINT, 2, 4, ONCE, OK, OK, 0, OK, 0},
        {"piece.holder", QR_MSG_SECRET_PIECE, FIELD_UINT, 6, 2, ONCE, OK, QR_ERR_MALFORMED, 0, OK,
         0},
        {"piece.piece", QR_MSG_SECRET_PIECE, FIELD_BYTES, 8, 32, ONCE, OK, OK, 0, OK, 0},
        {"piece.blind", QR_MSG_SECRET_PIECE, FIELD_BYTES, 40, 32, ONCE, OK, OK, 0, OK, 0},
        {"keep.epoch", QR_MSG_SECRET_KEEP, FIELD_UINT, 0, 4, ONCE, OK, OK, 0, OK, 0},
        {"audit_head.boot", QR_MSG_AUDIT_HEAD, FIELD_UINT, 0, 8, ONCE, OK, QR_ERR_MALFORMED, 0, OK,
         0},
        {"audit_head.serial", QR_MSG_AUDIT_HEAD, FIELD_UINT, 8, 8, ONCE, OK, QR_ERR_MALFORMED, 0,
         OK, 0},
        {"audit_head.hash", QR_MSG_AUDIT_HEAD, FIELD_BYTES, 16, 32, ONCE, OK, OK, 0, OK, 0},
        {"audit_head.nonce", QR_MSG_AUDIT_HEAD, FIELD_BYTES, 48, 32, ONCE, OK, OK, 0, OK, 0},
        {"audit_head.signature", QR_MSG_AUDIT_HEAD, FIELD_BYTES, 80, 64, ONCE, OK, OK, 0, OK, 0},
        {"receipt_ask.attempt", QR_MSG_RECEIPT_ASK, FIELD_UINT, 0, 4, ONCE, OK, OK, 0, OK, 0},
        {"receipt_ask.have", QR_MSG_RECEIPT_ASK, FIELD_BYTES, 4, 32, ONCE, OK, OK, 0, OK, 0},
        {"receipt.attempt", QR_MSG_RECEIPT_TELL, FIELD_UINT, 0, 4, ONCE, OK, OK, 0, OK, 0},
        {"receipt.code", QR_MSG_RECEIPT_TELL, FIELD_UINT, 4, 2, ONCE, OK, QR_ERR_MALFORMED, 0, OK,
         0},
        {"receipt.made", QR_MSG_RECEIPT_TELL, FIELD_UINT, 6, 8, ONCE, OK, QR_ERR_MALFORMED, 0, OK,
         0},
        {"receipt.nonce", QR_MSG_RECEIPT_TELL, FIELD_BYTES, 14, 32, ONCE, OK, OK, 0, OK, 0},
        {"receipt.boot_nonce", QR_MSG_RECEIPT_TELL, FIELD_BYTES, 46, 32, ONCE, OK, OK, 0, OK, 0},
        {"receipt.signature", QR_MSG_RECEIPT_TELL, FIELD_BYTES, 78, 64, ONCE, OK, OK, 0, OK, 0},
        {"receipt.record.len", QR_MSG_RECEIPT_TELL, FIELD_LEN, 142, 4, ONCE, OK, QR_ERR_TOO_LARGE,
         0, OK, 0},
        {"receipt.record", QR_MSG_RECEIPT_TELL, FIELD_BYTES, 146, s->body, ONCE, OK, OK, 0, OK, 0},
        {"receipt.evidence.len", QR_MSG_RECEIPT_TELL, FIELD_LEN, 146 + s->body, 4, ONCE, OK,
         QR_ERR_TOO_LARGE, 0, OK, 0},
        {"receipt.evidence", QR_MSG_RECEIPT_TELL, FIELD_BYTES, 150 + s->body, s->stamp, ONCE, OK,
         OK, 0, OK, 0},
        {"key_sync.kind", QR_MSG_KEY_SYNC, FIELD_UINT, 0, 1, ONCE, OK, QR_ERR_MALFORMED, 0, OK, 0},
        {"key_sync.key_id", QR_MSG_KEY_SYNC, FIELD_BYTES, 1, 32, ONCE, OK, OK, 0, OK, 0},
        {"key_sync.n", QR_MSG_KEY_SYNC, FIELD_LEN, 33, 2, ONCE, OK, QR_ERR_TOO_LARGE, 0, OK, 0},
        {"key_sync.confirm", QR_MSG_KEY_SYNC, FIELD_BYTES, 35, 64, s->n, 64, 1, 0, OK, OK, 0, OK,
         0},
    };
    _Static_assert(sizeof f / sizeof f[0] <= FIELDS_MAX, "room for all");

    memcpy(out, f, sizeof f);
    return sizeof f / sizeof f[0];
}

size_t
fields_msg_len(enum qr_msg type, const struct field_shape *s)
{
    const size_t stamped = 4 + s->body + 1 + s->stamps * (4 + s->stamp);

    switch (type) {
    case QR_MSG_PAIR1:
        return QR_PAIR1_LEN;
    case QR_MSG_PAIR2:
        return QR_PAIR2_LEN;
    case QR_MSG_PAIR3:
        return QR_PAIR3_LEN;
    case QR_MSG_DKG1:
        return QR_DKG1_LEN;
    case QR_MSG_DKG2:
        return QR_DKG2_LEN(s->t);
    case QR_MSG_DKG3:
        return QR_DKG3_LEN;
    case QR_MSG_DKG4:
        return QR_DKG4_LEN;
    case QR_MSG_PRESIGN1:
        return QR_PRESIGN1_LEN(s->B);
    case QR_MSG_PRESIGN2:
        return QR_PRESIGN2_LEN(s->B);
    case QR_MSG_SIGN_REQUEST:
        return 8 + s->items * QR_PRESIG_ID_LEN + stamped;
    case QR_MSG_SIGN_SHARE:
        return 8 + s->items * QR_SIGN_SHARE_LEN;
    case QR_MSG_ADMIN:
        return stamped;
    case QR_MSG_PRESIGN_START:
        return 80;
    case QR_MSG_ABORT:
        return 2;
    case QR_MSG_RETIRE:
        return 102;
    case QR_MSG_STORE_STATE:
        return 48;
    case QR_MSG_KEY_SYNC:
        return 35 + 64u * s->n;
    case QR_MSG_PRESIGN_DONE:
        return 0;
    case QR_MSG_TIME:
        return 8;
    case QR_MSG_SECRET_PUT:
        return 105;
    case QR_MSG_SECRET_HAVE:
        return 14;
    case QR_MSG_SECRET_GET:
    case QR_MSG_SECRET_KEEP:
        return 4;
    case QR_MSG_SECRET_PIECE:
        return 72;
    case QR_MSG_AUDIT_HEAD:
        return 144;
    case QR_MSG_RECEIPT_ASK:
        return 36;
    case QR_MSG_RECEIPT_TELL:
        return 150 + s->body + s->stamp;
    }
    return SIZE_MAX;
}

size_t
field_at(const struct field *f, size_t i, size_t j)
{
    QR_ASSERT(i < f->n1 && j < f->n2);
    return f->at + i * f->step1 + j * f->step2;
}
