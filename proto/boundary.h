/*
 * The boundary between a party and its host: Ask frames one way, Answer frames the other.
 *
 * What: u32 big-endian length, then one protobuf message (proto/boundary.proto), over a byte stream
 *       (AF_UNIX, later vsock). Plain C structs on both sides: nobody above this file sees the
 *       schema compiler's types. qr_frames cuts a stream into frames; many frames may share one
 *       read and one write.
 * Why: the host is not trusted. A party decodes strictly: the frame's length is bounded before
 *      anything is allocated, one allocation per message is sized from it, unknown fields,
 *      trailing bytes, unknown enum values, wrong lengths and every non-canonical encoding are
 *      refused (the decoder encodes again and compares). After an error the stream is out of step
 *      and must be closed.
 * Invariants: decode(encode(x)) == x; a message has exactly one encoding; no frame is longer than
 *      the maximum of its direction; views in a decoded message live until it is freed.
 * Thread rules: no state is shared; one thread at a time per object.
 */
#ifndef QR_BOUNDARY_H
#define QR_BOUNDARY_H

#include "protocol/base/err.h"
#include "protocol/base/limits.h"
#include "protocol/base/mem.h"
#include "protocol/base/view.h"

#define QR_BOUNDARY_VERSION 1u

/* Largest frame each way, without its length prefix. */
#define QR_ASK_FRAME_MAX (QR_DOC_MAX + QR_ADMINS_MAX * (QR_STAMP_MAX + 8u) + 4096u)
#define QR_ANSWER_FRAME_MAX (4u * 1024u * 1024u)
#define QR_ANSWER_DETAIL_MAX 512u /* detail and move_reason, bytes */
#define QR_TRACEPARENT_LEN 55u

/* ---- streams to frames ------------------------------------------------------------------- */

/* The receiving half of one stream. */
struct qr_frames {
    struct qr_dbuf buf;
    size_t pos; /* bytes of buf already handed out as frames */
    size_t frame_max;
};

/* frame_max: QR_ASK_FRAME_MAX in a party, QR_ANSWER_FRAME_MAX at the host. */
void qr_frames_init(struct qr_frames *f, size_t frame_max);
/* Drops what is buffered; usable again. */
void qr_frames_clear(struct qr_frames *f);
/*
 * Where to read(2) to, and how much at most (at least 1 byte, about 64 KiB, or the rest of a longer
 * frame whose prefix has come). Views from qr_frames_next die here. Errors: NO_MEMORY.
 */
qr_err QR_MUST qr_frames_room(struct qr_frames *f, uint8_t **ret_p, size_t *ret_n);
/* n bytes were read there. */
void qr_frames_added(struct qr_frames *f, size_t n);
/*
 * The next complete frame, without its prefix; ret->p == NULL when none is complete yet.
 * TOO_LARGE or MALFORMED (empty frame): close the stream.
 */
qr_err QR_MUST qr_frames_next(struct qr_frames *f, qr_view *ret);

/* ---- Ask: host to party ------------------------------------------------------------------ */

enum qr_ask_what { QR_ASK_SIGN = 1, QR_ASK_QUERY, QR_ASK_ADMIN, QR_ASK_COLLATERAL };

/* Values as in boundary.proto. */
enum qr_query {
    QR_QUERY_STATUS = 1,
    QR_QUERY_KEYS,
    QR_QUERY_KEY,
    QR_QUERY_ATTESTATION,
    QR_QUERY_METRICS,
    QR_QUERY_DESCRIPTOR,
    QR_QUERY_POLICY,
    QR_QUERY_ROSTER,
    QR_QUERY_READY,
    QR_QUERY_NEEDS,
    QR_QUERY_AUDIT,
    QR_QUERY_RECEIPT,
    QR_QUERY_END_
};

enum qr_admin {
    QR_ADMIN_COMMAND = 1,
    QR_ADMIN_LOAD_ROSTER,
    QR_ADMIN_LOAD_POLICY,
    QR_ADMIN_DRAIN,
    QR_ADMIN_LOAD_MEASUREMENTS,
    QR_ADMIN_END_
};

/* A vendor's document, as the host fetched it. */
#define QR_ASK_PIECES 12u
#define QR_ASK_SOURCE_MAX 16u
#define QR_ASK_PIECE_NAME_MAX 32u
#define QR_ASK_PIECE_MAX (128u * 1024u)
struct qr_ask_piece {
    qr_view name, body;
};

/*
 * One question. SIGN: body, 0..QR_STAMPS_MAX stamps of <= QR_STAMP_MAX bytes (none is for the party
 * to refuse with stamp_missing), traceparent (0 or QR_TRACEPARENT_LEN bytes). QUERY: query; body is
 * its argument (qr_query_arg_len bytes). ADMIN: admin, body (empty for
 * DRAIN alone), 0..QR_ADMINS_MAX stamps. COLLATERAL: body is the source's name, 1..QR_ASK_PIECES
 * pieces of 1..QR_ASK_PIECE_MAX bytes, QR_DOC_MAX together.
 */
struct qr_ask {
    uint64_t id;
    enum qr_ask_what what;
    enum qr_query query;
    enum qr_admin admin;
    qr_view body;
    size_t n_stamps;
    qr_view stamps[QR_ADMINS_MAX];
    qr_view traceparent;
    size_t n_pieces;
    struct qr_ask_piece pieces[QR_ASK_PIECES];
};

/* 33 for KEY, 32 for ATTESTATION and RECEIPT, 16 for AUDIT, 0 for the rest. */
size_t qr_query_arg_len(enum qr_query q);
/*
 * Appends one frame, prefix included, to `out`; `out` is unchanged on error. Errors: what the
 * decoder would refuse (MALFORMED, TOO_LARGE, LENGTH), TOO_LARGE when `out` is full, NO_MEMORY.
 */
qr_err QR_MUST qr_ask_put(struct qr_dbuf *out, const struct qr_ask *a);
/*
 * *ret is one heap block that owns everything it views; it may be kept beyond the frame's life.
 * Errors: MALFORMED, UNKNOWN_FIELD, VERSION, LENGTH (fixed-size member), TOO_LARGE, NO_MEMORY.
 */
qr_err QR_MUST qr_ask_decode(qr_view frame, struct qr_ask **ret);
/* Returns NULL; takes NULL. */
struct qr_ask *qr_ask_free(struct qr_ask *a);

/* ---- Answer: party to host --------------------------------------------------------------- */

struct qr_answer_sig {
    uint8_t digest[32];
    uint8_t rs[64]; /* low s */
    uint8_t recid;  /* 0..3 */
};

struct qr_answer_signed {
    uint8_t request[32], key[33];
    size_t n_sigs; /* 1..QR_ITEMS_MAX */
    const struct qr_answer_sig *sigs;
    size_t n_signers; /* 1..QR_MAX_PARTIES, ascending */
    uint16_t signers[QR_MAX_PARTIES];
    int insecure_sim;
    uint32_t moves;
    qr_view move_reason;
    uint64_t micros, bytes;
};

/*
 * One answer. error == QR_OK: `is_signed` with sgn for SIGN; json or text for the rest. Otherwise
 * detail, party and rule say more (READY may carry json beside its error); need and approvers of
 * APPROVALS, retry_s of LIMIT. All of that is zero and empty where it has nothing to say.
 */
struct qr_answer {
    uint64_t id;
    qr_err error;
    uint16_t party;   /* 0..QR_MAX_PARTIES */
    qr_view detail;   /* UTF-8, <= QR_ANSWER_DETAIL_MAX, no NUL */
    qr_view rule;     /* <= QR_NAME_MAX, no NUL */
    uint32_t need;    /* so many approvals more, of these: */
    uint64_t retry_s; /* seconds until the limit's window turns; 0: waiting does not help */
    size_t n_approvers;
    qr_view approvers[QR_APPROVERS_MAX]; /* names, 1..QR_NAME_MAX bytes, no NUL */
    int is_signed;
    struct qr_answer_signed sgn;
    qr_view json, text;
};

/* As qr_ask_put. A detail or move_reason that is too long is cut, not refused. */
qr_err QR_MUST qr_answer_put(struct qr_dbuf *out, const struct qr_answer *a);
/* As qr_ask_decode; an error number outside err.def is MALFORMED. */
qr_err QR_MUST qr_answer_decode(qr_view frame, struct qr_answer **ret);
struct qr_answer *qr_answer_free(struct qr_answer *a);

#endif
