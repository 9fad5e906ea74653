/*
 * Message types and sizes of protocol version 1. Types only.
 *
 * What: the `type` byte of every party-to-party message and the exact payload lengths.
 * Why: lengths are functions of (type, t, n, B) and are never taken from the peer; proto/ and
 *      transport/ can bound and classify a message without knowing the protocol.
 * Source: protocol/SPEC.md.
 */
#ifndef QR_MSG_T_H
#define QR_MSG_T_H

#include "protocol/base/limits.h"

#include <stddef.h>
#include <stdint.h>

enum qr_msg {
    /* pair set-up, sid = pair_sid */
    QR_MSG_PAIR1 = 1,
    QR_MSG_PAIR2 = 2,
    QR_MSG_PAIR3 = 3,
    /* key generation, sid = dkg_sid */
    QR_MSG_DKG1 = 16,
    QR_MSG_DKG2 = 17,
    QR_MSG_DKG3 = 18,
    QR_MSG_DKG4 = 19,
    /* presigning, sid = batch_sid */
    QR_MSG_PRESIGN1 = 32,
    QR_MSG_PRESIGN2 = 33,
    /* control, daemon to daemon (daemon/control.h); sid as there */
    QR_MSG_SIGN_REQUEST = 48,  /* sid = request; body, stamps, presignature ids */
    QR_MSG_SIGN_SHARE = 49,    /* sid = request; shares or a refusal code */
    QR_MSG_ADMIN = 50,         /* stamped administrator command, to be checked by the receiver */
    QR_MSG_PRESIGN_START = 51, /* sid = batch_sid */
    QR_MSG_ABORT = 52,         /* sid = the session that died; coarse code */
    QR_MSG_RETIRE = 53,        /* signed notice that a pair is retired */
    QR_MSG_STORE_STATE = 54,   /* (serial, root hash) of the sender's sealed store */
    QR_MSG_KEY_SYNC = 55,      /* confirmations of a key the receiver may hold as pending */
    QR_MSG_PRESIGN_DONE = 56,  /* sid = batch_sid; the sender holds its half, the owner may spend */
    QR_MSG_TIME = 57,          /* the sender's wall clock */
    QR_MSG_SECRET_PUT = 58,    /* a piece of the sender's secret, for the receiver to hold */
    QR_MSG_SECRET_HAVE = 59,   /* which pieces of the receiver's secret the sender holds */
    QR_MSG_SECRET_GET = 60,    /* asks for the sender's own piece */
    QR_MSG_SECRET_PIECE = 61,  /* it, or a coarse code */
    QR_MSG_SECRET_KEEP = 62,   /* the epoch that counts; other pieces may go */
    QR_MSG_AUDIT_HEAD = 63,    /* the sender's signed audit head, for the receiver's log */
    QR_MSG_RECEIPT_ASK = 64,   /* sid = request; asks for the receiver's part of a receipt */
    QR_MSG_RECEIPT_TELL = 65,  /* it, or a coarse code */
};

/* What a byte on the wire was for; the ledger and the compressor go by it. */
enum qr_class {
    QR_CLASSES_HANDSHAKE, /* TLS handshake, identity, evidence, resumption */
    QR_CLASSES_SETUP,     /* pair set-up */
    QR_CLASSES_KEYGEN,
    QR_CLASSES_PRESIGN,
    QR_CLASSES_ONLINE, /* SIGN_REQUEST, SIGN_SHARE */
    QR_CLASSES_CONTROL,
    QR_CLASSES_OVERHEAD, /* TLS records, framing, envelopes, acknowledgements */
    QR_CLASSES_COUNT
};

/* Base OT, PPRF, pair. */
#define QR_OT_COUNT 128u
#define QR_OT1_LEN (QR_OT_COUNT * 64u)
#define QR_OT2_LEN (QR_OT_COUNT * 64u)
#define QR_PPRF_GROUPS 16u
#define QR_PPRF_LEN (QR_PPRF_GROUPS * (7u * 32u + 64u))
#define QR_PAIR1_LEN (32u + QR_OT1_LEN)
#define QR_PAIR2_LEN (64u + QR_OT2_LEN + QR_PPRF_LEN)
#define QR_PAIR3_LEN 32u

/* Key generation. */
#define QR_DKG1_LEN 32u
#define QR_DKG2_BCAST_LEN(t) (33u * (size_t)(t) + 161u)
#define QR_DKG2_LEN(t) (QR_DKG2_BCAST_LEN(t) + 32u)
#define QR_DKG3_LEN 33u
#define QR_DKG4_LEN 64u

/* Presigning. */
#define QR_XI 416u
#define QR_COT_BITS(B) (QR_XI * (size_t)(B))
#define QR_COT_ROW_BYTES(B) ((QR_COT_BITS(B) + 128u) / 8u)
#define QR_COT_LEN(B) (16u * QR_COT_ROW_BYTES(B) + 48u)
#define QR_RVOLE_LEN (QR_XI * 96u + 64u)
#define QR_PRESIGN1_LEN(B) (32u + QR_COT_LEN(B))
#define QR_PRESIGN2_SLOT_LEN (33u * 4u + 32u + QR_RVOLE_LEN)
#define QR_PRESIGN2_LEN(B) (64u + (size_t)(B)*QR_PRESIGN2_SLOT_LEN)

/* Online. */
#define QR_PRESIG_ID_LEN 34u
#define QR_SIGN_SHARE_LEN 96u

/* The same in numbers: whoever changes one has another protocol, not version 1. */
_Static_assert(QR_PAIR1_LEN == 8224 && QR_PAIR2_LEN == 12864 && QR_PAIR3_LEN == 32, "pair set-up");
_Static_assert(QR_DKG1_LEN == 32 && QR_DKG2_LEN(2) == 259 && QR_DKG2_LEN(16) == 721 &&
                   QR_DKG3_LEN == 33 && QR_DKG4_LEN == 64,
               "key generation");
_Static_assert(QR_PRESIGN1_LEN(4) == 3664 && QR_PRESIGN1_LEN(16) == 13648, "presigning, round 1");
_Static_assert(QR_PRESIGN2_LEN(4) == 160720 && QR_PRESIGN2_LEN(16) == 642688,
               "presigning, round 2");

#endif
