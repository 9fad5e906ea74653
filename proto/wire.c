#include "proto/wire.h"

#include "proto/wire.pb-c.h"

/* Field numbers of wire.proto whose wire type is not "integer". */
#define FIELD_SID 6u
#define FIELD_PAYLOAD 8u
#define PAYLOAD_TAG ((FIELD_PAYLOAD << 3) | 2u)

/* No default: a type added to msg_t.h and not here does not compile. */
int
qr_wire_type_known(uint32_t type)
{
    switch ((enum qr_msg)type) {
    case QR_MSG_PAIR1:
    case QR_MSG_PAIR2:
    case QR_MSG_PAIR3:
    case QR_MSG_DKG1:
    case QR_MSG_DKG2:
    case QR_MSG_DKG3:
    case QR_MSG_DKG4:
    case QR_MSG_PRESIGN1:
    case QR_MSG_PRESIGN2:
    case QR_MSG_SIGN_REQUEST:
    case QR_MSG_SIGN_SHARE:
    case QR_MSG_ADMIN:
    case QR_MSG_PRESIGN_START:
    case QR_MSG_ABORT:
    case QR_MSG_RETIRE:
    case QR_MSG_STORE_STATE:
    case QR_MSG_KEY_SYNC:
    case QR_MSG_PRESIGN_DONE:
    case QR_MSG_TIME:
    case QR_MSG_SECRET_PUT:
    case QR_MSG_SECRET_HAVE:
    case QR_MSG_SECRET_GET:
    case QR_MSG_SECRET_PIECE:
    case QR_MSG_SECRET_KEEP:
    case QR_MSG_AUDIT_HEAD:
    case QR_MSG_RECEIPT_ASK:
    case QR_MSG_RECEIPT_TELL:
        return 1;
    }
    return 0;
}

static int
index_ok(uint32_t i)
{
    return i >= 1 && i <= QR_MAX_PARTIES;
}

static size_t
put_varint(uint8_t *out, uint64_t v)
{
    size_t n = 0;
    for (; v >= 0x80; v >>= 7) {
        out[n++] = (uint8_t)(v | 0x80);
    }
    out[n++] = (uint8_t)v;
    return n;
}

/* Everything but the payload, as protobuf-c writes it. */
static size_t
pack_header(const struct qr_envelope *e, uint8_t out[static QR_WIRE_HEADER_MAX])
{
    Quorate__Wire__Envelope m = QUORATE__WIRE__ENVELOPE__INIT;
    m.version = QR_PROTOCOL_VERSION;
    m.type = (uint32_t)e->type;
    m.from = e->from;
    m.to = e->to;
    m.epoch = e->epoch;
    m.sid.len = QR_SID_LEN;
    m.sid.data = (uint8_t *)(uintptr_t)e->sid; /* read only, in spite of its type */
    m.seq = e->seq;
    return quorate__wire__envelope__pack(&m, out);
}

/* Integers of 1 + 5 bytes (five), 1 + 10 (seq), sid, and the payload's tag and length. */
_Static_assert(5 * 6 + 11 + 2 + QR_SID_LEN + 5 <= QR_WIRE_HEADER_MAX, "the longest header fits");

qr_err
qr_wire_header(const struct qr_envelope *e, uint8_t out[static QR_WIRE_HEADER_MAX], size_t *ret_len)
{
    if (!qr_wire_type_known((uint32_t)e->type) || !index_ok(e->from) || !index_ok(e->to) ||
        e->seq == 0) {
        return QR_ERR_MALFORMED;
    }
    if (e->payload.len > QR_WIRE_PAYLOAD_MAX) {
        return QR_ERR_TOO_LARGE;
    }
    size_t n = pack_header(e, out);
    if (e->payload.len > 0) { /* an empty field is its default and has no place on the wire */
        out[n++] = PAYLOAD_TAG;
        n += put_varint(out + n, e->payload.len);
    }
    *ret_len = n;
    return QR_OK;
}

qr_err
qr_wire_encode(const struct qr_envelope *e, struct qr_buf *out)
{
    uint8_t header[QR_WIRE_HEADER_MAX];
    size_t n;

    QR_TRY(qr_wire_header(e, header, &n));
    qr_buf_put(out, header, n);
    qr_buf_put(out, e->payload.p, e->payload.len);
    return out->err;
}

static qr_err
get_varint(struct qr_buf *b, uint64_t *ret)
{
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 70; shift += 7) {
        uint8_t c = qr_buf_get8(b);
        if (b->err != QR_OK) {
            return b->err;
        }
        if (shift == 63 && c > 1) {
            return QR_ERR_MALFORMED; /* past 64 bits */
        }
        v |= (uint64_t)(c & 0x7f) << shift;
        if (!(c & 0x80)) {
            if (c == 0 && shift > 0) {
                return QR_ERR_MALFORMED; /* longer than it need be */
            }
            *ret = v;
            return QR_OK;
        }
    }
    return QR_ERR_MALFORMED;
}

/*
 * Walks the fields. On success the first *ret_header bytes are the fields in front of the payload's
 * tag, and the payload, if there is one, runs to the end.
 */
static qr_err
scan(qr_view in, size_t *ret_header, qr_view *ret_payload)
{
    struct qr_buf b = qr_buf_read(in);
    unsigned last = 0;
    uint64_t v;

    while (b.pos < b.len) {
        size_t start = b.pos;
        uint8_t tag = qr_buf_get8(&b);
        unsigned field = tag >> 3, type = tag & 7u;

        if ((tag & 0x80) || field == 0 || field > FIELD_PAYLOAD) {
            return QR_ERR_UNKNOWN_FIELD;
        }
        if (field <= last || type != (field == FIELD_SID || field == FIELD_PAYLOAD ? 2u : 0u)) {
            return QR_ERR_MALFORMED;
        }
        last = field;
        QR_TRY(get_varint(&b, &v));
        if (field == FIELD_SID) {
            if (v != QR_SID_LEN) {
                return QR_ERR_LENGTH;
            }
            (void)qr_buf_take(&b, QR_SID_LEN);
            if (b.err != QR_OK) {
                return b.err;
            }
        } else if (v == 0) {
            return QR_ERR_MALFORMED; /* a default that should have been left out */
        } else if (field == FIELD_PAYLOAD) {
            size_t left = b.len - b.pos;
            if (v > QR_WIRE_PAYLOAD_MAX) {
                return QR_ERR_TOO_LARGE;
            }
            if (v != left) {
                return v > left ? QR_ERR_TRUNCATED : QR_ERR_TRAILING;
            }
            *ret_header = start;
            *ret_payload = qr_buf_take(&b, left);
            return QR_OK;
        }
    }
    *ret_header = in.len;
    *ret_payload = (qr_view){NULL, 0};
    return QR_OK;
}

/* protobuf-c's allocator over a piece of stack; the scan has bounded what it can ask for. */
struct scratch {
    _Alignas(16) uint8_t mem[sizeof(Quorate__Wire__Envelope) + QR_SID_LEN + 64];
    size_t used;
};

static void *
scratch_alloc(void *ctx, size_t n)
{
    struct scratch *s = ctx;
    size_t at = (s->used + 15) & ~(size_t)15;

    if (at > sizeof s->mem || n > sizeof s->mem - at) {
        return NULL;
    }
    s->used = at + n;
    return s->mem + at;
}

static void
scratch_free(void *ctx, void *p)
{
    (void)ctx;
    (void)p;
}

qr_err
qr_wire_decode(qr_view in, struct qr_envelope *ret)
{
    size_t header = 0, n;
    qr_view payload;

    QR_TRY(scan(in, &header, &payload));
    if (header > QR_WIRE_HEADER_MAX) {
        return QR_ERR_MALFORMED; /* the scan's field rules leave no room for this */
    }
    struct scratch s = {.used = 0};
    ProtobufCAllocator a = {scratch_alloc, scratch_free, &s};
    const Quorate__Wire__Envelope *m = quorate__wire__envelope__unpack(&a, header, in.p);
    if (!m || m->base.n_unknown_fields != 0) {
        return QR_ERR_MALFORMED;
    }
    if (m->version != QR_PROTOCOL_VERSION) {
        return QR_ERR_VERSION;
    }
    if (m->sid.len != QR_SID_LEN) {
        return QR_ERR_LENGTH; /* no sid at all */
    }
    if (!qr_wire_type_known(m->type) || !index_ok(m->from) || !index_ok(m->to) || m->seq == 0) {
        return QR_ERR_MALFORMED;
    }
    struct qr_envelope e = {
        .type = (enum qr_msg)m->type,
        .from = (uint16_t)m->from,
        .to = (uint16_t)m->to,
        .epoch = m->epoch,
        .seq = m->seq,
        .payload = payload,
    };
    memcpy(e.sid, m->sid.data, QR_SID_LEN);
    uint8_t again[QR_WIRE_HEADER_MAX];
    n = pack_header(&e, again);
    if (n != header || memcmp(again, in.p, n) != 0) {
        return QR_ERR_MALFORMED; /* e.g. an integer with bits beyond its 32 */
    }
    *ret = e;
    return QR_OK;
}
