#include "enclave-shim/pump/frame.h"

#include "protocol/base/check.h"

#define MAGIC 0x5152504du /* "QRPM" */

/* What the header of each type may hold; the rest of it must be zero. */
static const struct {
    const char *name;
    int stream; /* 1: it names a stream */
    uint8_t arg_max;
    uint32_t value_min, value_max;
} types[] = {
    [QR_PUMP_HELLO] = {"HELLO", 0, QR_PUMP_VERSION, MAGIC, MAGIC},
    [QR_PUMP_OPEN] = {"OPEN", 1, QR_PUMP_ROUTES - 1, 0, 0},
    [QR_PUMP_DATA] = {"DATA", 1, 0, 1, QR_PUMP_DATA_MAX},
    [QR_PUMP_CREDIT] = {"CREDIT", 1, 0, 1, QR_PUMP_WINDOW},
    [QR_PUMP_FIN] = {"FIN", 1, 0, 0, 0},
    [QR_PUMP_END] = {"END", 1, QR_PUMP_REFUSED, 0, 0},
    [QR_PUMP_PING] = {"PING", 0, 0, 0, 0},
    [QR_PUMP_PONG] = {"PONG", 0, 0, 0, 0},
};
#define TYPES (sizeof types / sizeof types[0])

const char *
qr_pump_type_name(enum qr_pump_type t)
{
    return (size_t)t < TYPES && types[t].name ? types[t].name : "unknown";
}

void
qr_pump_frame_write(const struct qr_pump_frame *f, uint8_t out[static QR_PUMP_HEADER])
{
    out[0] = (uint8_t)f->type;
    out[1] = f->arg;
    qr_put16(out + 2, f->stream);
    qr_put32(out + 4, f->type == QR_PUMP_HELLO ? MAGIC : f->value);
}

static qr_err
bad(const char **why, const char *text)
{
    *why = text;
    return QR_ERR_MALFORMED;
}

qr_err
qr_pump_frame_read(const uint8_t in[static QR_PUMP_HEADER], struct qr_pump_frame *ret,
                   const char **why)
{
    struct qr_pump_frame f = {.arg = in[1], .stream = qr_get16(in + 2), .value = qr_get32(in + 4)};

    if (in[0] == 0 || in[0] >= TYPES) {
        return bad(why, "a frame of no known type");
    }
    f.type = (enum qr_pump_type)in[0];
    if (f.type == QR_PUMP_HELLO) {
        if (f.value != MAGIC) {
            return bad(why, "a HELLO that is not a pump's");
        }
        if (f.arg != QR_PUMP_VERSION) {
            return bad(why, "a HELLO of another version: run the same release on both sides");
        }
        if (f.stream != QR_PUMP_INSIDE && f.stream != QR_PUMP_OUTSIDE) {
            return bad(why, "a HELLO of neither side");
        }
        f.value = 0;
    } else if (f.value < types[f.type].value_min || f.value > types[f.type].value_max) {
        return bad(why, "a length or credit out of bounds");
    } else if (f.arg > types[f.type].arg_max) {
        return bad(why, "a route or reason out of bounds");
    } else if (f.stream >= (types[f.type].stream ? QR_PUMP_STREAMS : 1)) {
        return bad(why, "a stream number out of bounds");
    }
    *ret = f;
    return QR_OK;
}

void
qr_mux_init(struct qr_mux *m, enum qr_pump_side side)
{
    memset(m, 0, sizeof *m);
    m->side = side;
}

/* 1 if this side opens streams of this number. */
static int
opens(enum qr_pump_side side, unsigned stream)
{
    return (stream & 1u) == (side == QR_PUMP_OUTSIDE);
}

static void
lane_open(struct qr_lane *l)
{
    *l = (struct qr_lane){.used = 1, .may_recv = QR_PUMP_WINDOW, .may_send = QR_PUMP_WINDOW};
}

static void
lane_release(struct qr_lane *l)
{
    if (l->in_end && l->out_end) {
        *l = (struct qr_lane){.used = 0};
    }
}

static qr_err
lane_recv(struct qr_lane *l, const struct qr_pump_frame *f, const char **why)
{
    if (!l->used) {
        return bad(why, "a frame of a stream that is not open");
    }
    if (l->in_end) {
        return bad(why, "a frame behind a stream's END");
    }
    switch (f->type) {
    case QR_PUMP_DATA:
        if (l->in_fin) {
            return bad(why, "DATA behind a stream's FIN");
        }
        if (f->value > l->may_recv) {
            return bad(why, "more DATA than its stream had credit for");
        }
        l->may_recv -= f->value;
        return QR_OK;
    case QR_PUMP_CREDIT:
        if (f->value > QR_PUMP_WINDOW - l->may_send) {
            return bad(why, "more credit than a window");
        }
        l->may_send += f->value;
        return QR_OK;
    case QR_PUMP_FIN:
        if (l->in_fin) {
            return bad(why, "a second FIN");
        }
        l->in_fin = 1;
        return QR_OK;
    case QR_PUMP_END:
    default:
        if (f->arg == QR_PUMP_DONE && !(l->in_fin && l->out_fin)) {
            return bad(why, "an END as if all was done, before both sides' FIN");
        }
        l->in_end = 1;
        lane_release(l);
        return QR_OK;
    }
}

qr_err
qr_mux_recv(struct qr_mux *m, const struct qr_pump_frame *f, const char **why)
{
    if (f->type == QR_PUMP_HELLO) {
        if (m->hello) {
            return bad(why, "a second HELLO");
        }
        if (f->stream == (uint16_t)m->side) {
            return bad(why, "a HELLO of the same side: one half must run --inside, one --outside");
        }
        m->hello = 1;
        return QR_OK;
    }
    if (!m->hello) {
        return bad(why, "a frame before HELLO");
    }
    if (f->type == QR_PUMP_PING || f->type == QR_PUMP_PONG) {
        return QR_OK;
    }
    struct qr_lane *l = &m->lane[f->stream];
    if (f->type == QR_PUMP_OPEN) {
        if (opens(m->side, f->stream)) {
            return bad(why, "an OPEN of a number that is this side's to open");
        }
        if (l->used) {
            return bad(why, "an OPEN of a stream that is open");
        }
        lane_open(l);
        return QR_OK;
    }
    return lane_recv(l, f, why);
}

int
qr_mux_open(struct qr_mux *m)
{
    for (unsigned i = m->side == QR_PUMP_OUTSIDE; i < QR_PUMP_STREAMS; i += 2) {
        if (!m->lane[i].used) {
            lane_open(&m->lane[i]);
            return (int)i;
        }
    }
    return -1;
}

void
qr_mux_sent(struct qr_mux *m, const struct qr_pump_frame *f)
{
    struct qr_lane *l = &m->lane[f->stream];

    if (!types[f->type].stream) {
        return;
    }
    QR_ASSERT(l->used && !l->out_end);
    switch (f->type) {
    case QR_PUMP_DATA:
        QR_ASSERT(!l->out_fin && f->value <= l->may_send);
        l->may_send -= f->value;
        break;
    case QR_PUMP_CREDIT:
        QR_ASSERT(f->value <= QR_PUMP_WINDOW - l->may_recv);
        l->may_recv += f->value;
        break;
    case QR_PUMP_FIN:
        QR_ASSERT(!l->out_fin);
        l->out_fin = 1;
        break;
    case QR_PUMP_END:
        l->out_end = 1;
        lane_release(l);
        break;
    default:
        break;
    }
}
