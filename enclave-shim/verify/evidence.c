#include "enclave-shim/verify/evidence.h"

#include "protocol/base/check.h"

#define WIRE_VERSION 1u
static const uint8_t wire_magic[4] = {'Q', 'R', 'E', 'V'};

static const struct {
    enum qr_evidence_kind kind;
    const char *name;
} kinds[] = {
#define QR_K(name, value, text) {QR_EV_##name, text},
#include "enclave-shim/verify/kinds.def"
#undef QR_K
};
#define KINDS (sizeof kinds / sizeof kinds[0])

/* By wire value; unused values have no name. */
static const struct {
    const char *name;
    uint32_t max;
} parts[] = {
#define QR_PART(name, value, max, text) [value] = {text, max},
#include "enclave-shim/verify/parts.def"
#undef QR_PART
};
#define PARTS (sizeof parts / sizeof parts[0])

const char *
qr_evidence_kind_name(enum qr_evidence_kind k)
{
    for (size_t i = 0; i < KINDS; i++) {
        if (kinds[i].kind == k) {
            return kinds[i].name;
        }
    }
    return "unknown";
}

enum qr_evidence_kind
qr_evidence_kind_by_name(qr_view name)
{
    for (size_t i = 0; i < KINDS; i++) {
        if (qr_view_eq(name, qr_view_str(kinds[i].name))) {
            return kinds[i].kind;
        }
    }
    return QR_EV_NONE;
}

static int
known_part(unsigned r)
{
    return r < PARTS && parts[r].name != NULL;
}

const char *
qr_part_name(enum qr_part r)
{
    return known_part((unsigned)r) ? parts[r].name : "unknown";
}

size_t
qr_part_max(enum qr_part r)
{
    return known_part((unsigned)r) ? parts[r].max : 0;
}

/* Their order on the wire. */
static unsigned
rank(enum qr_part part, uint8_t slot)
{
    return (unsigned)part * 256u + slot;
}

qr_err
qr_evidence_add(struct qr_evidence *e, enum qr_part part, uint8_t slot, qr_view v)
{
    size_t total = v.len, at = 0;

    if (!known_part((unsigned)part) || !v.p || v.len == 0) {
        return QR_ERR_MALFORMED;
    }
    if (v.len > parts[part].max || e->n == QR_ITEMS_OF_EVIDENCE) {
        return QR_ERR_TOO_LARGE;
    }
    for (size_t i = 0; i < e->n; i++) {
        total += e->item[i].bytes.len;
        unsigned r = rank(e->item[i].part, e->item[i].slot);
        if (r == rank(part, slot)) {
            return QR_ERR_MALFORMED;
        }
        at += r < rank(part, slot);
    }
    if (total > QR_EVIDENCE_TOTAL_MAX) {
        return QR_ERR_TOO_LARGE;
    }
    memmove(&e->item[at + 1], &e->item[at], (e->n - at) * sizeof e->item[0]);
    e->item[at] = (struct qr_item){part, slot, v};
    e->n++;
    return QR_OK;
}

qr_view
qr_evidence_get(const struct qr_evidence *e, enum qr_part part)
{
    return qr_evidence_get_slot(e, part, 0);
}

qr_view
qr_evidence_get_slot(const struct qr_evidence *e, enum qr_part part, uint8_t slot)
{
    for (size_t i = 0; i < e->n; i++) {
        if (e->item[i].part == part && e->item[i].slot == slot) {
            return e->item[i].bytes;
        }
    }
    return (qr_view){NULL, 0};
}

void
qr_evidence_encode(const struct qr_evidence *e, struct qr_buf *out)
{
    QR_ASSERT(e->n <= QR_ITEMS_OF_EVIDENCE);
    qr_buf_put(out, wire_magic, sizeof wire_magic);
    qr_buf_put8(out, WIRE_VERSION);
    qr_buf_put8(out, (uint8_t)e->kind);
    qr_buf_put16(out, (uint16_t)e->n);
    for (size_t i = 0; i < e->n; i++) {
        qr_buf_put8(out, (uint8_t)e->item[i].part);
        qr_buf_put8(out, e->item[i].slot);
        qr_buf_put_lp(out, e->item[i].bytes);
    }
}

static int
known_kind(unsigned k)
{
    for (size_t i = 0; i < KINDS; i++) {
        if ((unsigned)kinds[i].kind == k) {
            return 1;
        }
    }
    return 0;
}

qr_err
qr_evidence_decode(qr_view wire, struct qr_evidence *ret)
{
    struct qr_evidence e = {.kind = QR_EV_NONE};
    struct qr_buf b = qr_buf_read(wire);
    uint8_t magic[sizeof wire_magic];

    qr_buf_get(&b, magic, sizeof magic);
    uint8_t version = qr_buf_get8(&b), kind = qr_buf_get8(&b);
    size_t count = qr_buf_get16(&b);
    if (b.err != QR_OK || memcmp(magic, wire_magic, sizeof magic) != 0) {
        return QR_ERR_MALFORMED;
    }
    if (version != WIRE_VERSION) {
        return QR_ERR_VERSION;
    }
    if (!known_kind(kind)) {
        return QR_ERR_MALFORMED;
    }
    if (count > QR_ITEMS_OF_EVIDENCE) {
        return QR_ERR_TOO_LARGE;
    }
    e.kind = (enum qr_evidence_kind)kind;
    for (size_t i = 0; i < count; i++) {
        enum qr_part part = (enum qr_part)qr_buf_get8(&b);
        uint8_t slot = qr_buf_get8(&b);
        size_t len = qr_buf_get32(&b);
        if (b.err != QR_OK) {
            return QR_ERR_MALFORMED;
        }
        if (len > qr_part_max(part) && known_part((unsigned)part)) {
            return QR_ERR_TOO_LARGE;
        }
        qr_view bytes = qr_buf_take(&b, len);
        if (b.err != QR_OK) {
            return QR_ERR_MALFORMED;
        }
        if (e.n > 0 && rank(part, slot) <= rank(e.item[e.n - 1].part, e.item[e.n - 1].slot)) {
            return QR_ERR_MALFORMED; /* one order only, so that one evidence has one encoding */
        }
        QR_TRY(qr_evidence_add(&e, part, slot, bytes));
    }
    QR_TRY(qr_buf_end(&b));
    *ret = e;
    return QR_OK;
}
