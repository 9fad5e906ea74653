/*
 * A party's secret in pieces: who holds them, what each holder was given, what opens with it.
 *
 * What: the pieces and their commitments, the records that owner and holder keep, and the key that
 *       seals the owner's key records:
 *         platform = qr_tee.derive(epoch, "share", identity)
 *         key      = HKDF-SHA512(salt "quorate/share-sealing/1", platform || S, identity || u32 epoch)
 *       A commitment is TH("com/piece"; identity of the owner, u32 epoch, u16 owner, u16 holder,
 *       u8 need, piece, blind), and the blind TH("piece-blind"; S, the same names).
 * Why both secrets: the platform's is kept by a cloud, S by the peers; neither opens a share alone.
 * Why a blind made of S: a piece that its holder lost is made again as it was, so that the owner's list
 *      of commitments stays what it is; whoever lacks S, as everybody does who reads that list, learns
 *      nothing of a piece from its commitment.
 * Invariants: names in a commitment depend on no roster but for the two indices; commitments are
 *      checked before a piece is used, so that a holder that lies is named.
 * Constant time: in all secrets.
 */
#ifndef QR_SHARING_H
#define QR_SHARING_H

#include "daemon/shamir.h"
#include "enclave-shim/tee.h"
#include "protocol/base/buf.h"

struct qr_piece_name {
    uint8_t owner_id[32]; /* Ed25519 identity key */
    uint32_t epoch;       /* of the secret, from 1 */
    uint16_t owner, holder;
    uint8_t need;
};

struct qr_piece {
    struct qr_piece_name name;
    struct qr_sec32 y, blind;
};

void qr_piece_commitment(const struct qr_piece *p, uint8_t out[static 32]);

/* A holder's record: u8 version 1 || identity 32 || u32 epoch || u16 owner || u16 holder || u8 need ||
 * piece 32 || blind 32 || commitment 32. Secret. */
#define QR_PIECE_RECORD_LEN (1u + 32u + 4u + 2u + 2u + 1u + 32u + 32u + 32u)
void qr_piece_encode(const struct qr_piece *p, uint8_t out[static QR_PIECE_RECORD_LEN]);
/* VERSION, TRUNCATED, TRAILING, MALFORMED (ranges), COMMITMENT (it is not the one beside it). */
qr_err QR_MUST qr_piece_decode(qr_view v, struct qr_piece *ret);

/* What the owner knows of a sharing; public but for the commitments, which say nothing without S. */
struct qr_sharing {
    uint32_t epoch; /* 0: there is none */
    uint16_t owner; /* its index */
    uint8_t need;   /* pieces that give the secret */
    uint16_t n;     /* holders, in the order of their indices */
    struct {
        uint16_t index; /* the piece's point */
        uint8_t id[32], commitment[32];
    } holder[QR_MAX_PARTIES - 1];
};

/* Same owner's index, holders and need; epoch and commitments are not compared. */
int qr_sharing_same(const struct qr_sharing *a, const struct qr_sharing *b);
/* The holders as a mask: bit i-1 is index i. */
uint16_t qr_sharing_mask(const struct qr_sharing *s);
/* The position of the holder with this identity, whatever index it has now; -1: none. */
int qr_sharing_find(const struct qr_sharing *s, const uint8_t id[static 32]);

/*
 * The owner's record: u8 version 1 || u32 last (the highest epoch ever begun) || u32 epoch || u16 owner
 * || u8 need || u8 n || n times: u16 index || identity 32 || commitment 32. Epoch 0: the rest is 0.
 */
#define QR_SHARING_RECORD_MAX (1u + 4u + 4u + 2u + 1u + 1u + (QR_MAX_PARTIES - 1u) * 66u)
size_t qr_sharing_encode(uint32_t last, const struct qr_sharing *s,
                         uint8_t out[static QR_SHARING_RECORD_MAX]);
/* VERSION, TRUNCATED, TRAILING, MALFORMED. */
qr_err QR_MUST qr_sharing_decode(qr_view v, uint32_t *ret_last, struct qr_sharing *ret);

/* The piece of holder i by the sharing's need points; its commitment is not read. SET. */
qr_err QR_MUST qr_sharing_piece(const struct qr_sharing *s, const struct qr_shamir_point *point,
                                const uint8_t owner_id[static 32], size_t i, struct qr_piece *ret);

/*
 * A fresh sharing: draws need points into `point` and writes the commitments of s, whose epoch, owner,
 * need and holders are the caller's. SET.
 */
qr_err QR_MUST qr_sharing_draw(struct qr_sharing *s, const struct qr_rng *rng,
                               const uint8_t owner_id[static 32], struct qr_shamir_point *point);

/*
 * What holder i gave back, as a point: OK if it is what it was given. COMMITMENT: it is not. piece's
 * epoch, owner and need are not read, its holder index is.
 */
qr_err QR_MUST qr_sharing_take(const struct qr_sharing *s, const uint8_t owner_id[static 32],
                               size_t i, const struct qr_piece *piece, struct qr_shamir_point *ret);

/* The share-sealing key. The platform's errors; SET. */
qr_err QR_MUST qr_sharing_key(const struct qr_sharing *s, const struct qr_shamir_point *point,
                              const struct qr_tee *tee, const uint8_t owner_id[static 32],
                              struct qr_sec32 *ret);

/*
 * A record under that key, bound to its name (at most 64 bytes) and owner; the blob is enclave-shim/
 * seal.h's, which names the epoch. Errors as qr_seal_blob and qr_unseal_blob (SEAL: another epoch, too).
 */
qr_err QR_MUST qr_sharing_seal(const struct qr_sec32 *key, const struct qr_rng *rng, uint32_t epoch,
                               const uint8_t owner_id[static 32], const char *name, qr_view plain,
                               struct qr_buf *out);
qr_err QR_MUST qr_sharing_unseal(const struct qr_sec32 *key, uint32_t epoch,
                                 const uint8_t owner_id[static 32], const char *name,
                                 qr_view sealed, struct qr_buf *out);

#endif
