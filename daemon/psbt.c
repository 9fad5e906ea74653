/*
 * Reading a PSBT: the maps, the unsigned transaction, and what every input spends.
 */
#include "daemon/psbt_int.h"

#include "daemon/btc_wire.h"
#include "protocol/base/enc.h"

#include <stdarg.h>
#include <stdio.h>

#define RECORDS_MAX 128u /* of one map */
#define SIGHASH_ALL 1u

static const uint8_t magic[5] = {'p', 's', 'b', 't', 0xff};

struct reader {
    struct qr_psbt *p;
    struct qr_btc_cur c;
    char *err_text;
    size_t err_cap;
};

static qr_err __attribute__((format(printf, 3, 4)))
refuse(const struct reader *r, qr_err e, const char *format, ...)
{
    va_list ap;
    if (r->err_text && r->err_cap > 0) {
        va_start(ap, format);
        (void)vsnprintf(r->err_text, r->err_cap, format, ap);
        va_end(ap);
    }
    return e;
}

/* ---- maps ---- */

qr_err
qr_psbt_record(struct qr_btc_cur *c, struct qr_psbt_record *ret, int *ret_end)
{
    struct qr_psbt_record one = {0};
    uint64_t type = 0;

    QR_TRY(qr_btc_take_bytes(c, &one.key));
    *ret_end = one.key.len == 0;
    if (*ret_end) {
        return QR_OK;
    }
    struct qr_btc_cur key = {.p = one.key.p, .len = one.key.len};
    QR_TRY(qr_btc_take_size(&key, &type));
    one.type = type < 0xfd ? (unsigned)type : 0x100;
    QR_TRY(qr_btc_take_bytes(c, &one.value));
    *ret = one;
    return QR_OK;
}

/* Walks a map; each record once, each key once. what(ctx): the map's name. */
static qr_err
read_map(struct reader *r, const char *name, size_t index,
         qr_err (*take)(struct reader *r, size_t index, const struct qr_psbt_record *one))
{
    qr_view keys[RECORDS_MAX];
    struct qr_psbt_record one = {0};
    int end = 0;

    for (size_t n = 0;; n++) {
        if (qr_psbt_record(&r->c, &one, &end) != QR_OK) {
            return refuse(r, QR_ERR_MALFORMED, "%s %zu: a record is cut off or badly written", name,
                          index);
        }
        if (end) {
            return QR_OK;
        }
        if (n == RECORDS_MAX) {
            return refuse(r, QR_ERR_TOO_LARGE, "%s %zu: more than %u records", name, index,
                          RECORDS_MAX);
        }
        for (size_t k = 0; k < n; k++) {
            if (qr_view_eq(keys[k], one.key)) {
                return refuse(r, QR_ERR_MALFORMED, "%s %zu: a key stands twice", name, index);
            }
        }
        keys[n] = one.key;
        QR_TRY(take(r, index, &one));
    }
}

static qr_err
take_global(struct reader *r, size_t index, const struct qr_psbt_record *one)
{
    char why[256] = "";

    (void)index;
    if (one->type == QR_PSBT_GLOBAL_VERSION) {
        if (one->key.len != 1 || one->value.len != 4) {
            return refuse(r, QR_ERR_MALFORMED, "the PSBT's version is badly written");
        }
        uint64_t v = qr_btc_get_le(one->value.p, 4);
        return v == 0 ? QR_OK
                      : refuse(r, QR_ERR_PREIMAGE, "a PSBT of version %llu; only 0 is supported",
                               (unsigned long long)v);
    }
    if (one->type != QR_PSBT_GLOBAL_TX) {
        return QR_OK;
    }
    if (one->key.len != 1) {
        return refuse(r, QR_ERR_MALFORMED, "the unsigned transaction's key has data");
    }
    if (qr_btc_outline(one->value, &r->p->tx, why, sizeof why) != QR_OK) {
        return refuse(r, QR_ERR_PREIMAGE, "unsigned transaction: %s", why);
    }
    return QR_OK;
}

/* ---- what an input spends ---- */

/* Amount and script of output `index` of a whole transaction, with or without witnesses. */
struct prev_tx {
    uint8_t id[32];
    uint64_t sat;
    qr_view script;
    int found;
};

static qr_err
skip_bytes(struct qr_btc_cur *c)
{
    qr_view v;
    return qr_btc_take_bytes(c, &v);
}

static qr_err
read_ins(struct qr_btc_cur *c)
{
    uint64_t n = 0;
    qr_view v;

    QR_TRY(qr_btc_take_size(c, &n));
    for (uint64_t i = 0; i < n; i++) {
        QR_TRY(qr_btc_take(c, QR_BTC_OUTPOINT, &v));
        QR_TRY(skip_bytes(c));
        QR_TRY(qr_btc_take(c, 4, &v));
    }
    return QR_OK;
}

static qr_err
read_outs(struct qr_btc_cur *c, uint64_t index, struct prev_tx *ret)
{
    uint64_t n = 0;
    qr_view v, script;

    QR_TRY(qr_btc_take_size(c, &n));
    for (uint64_t i = 0; i < n; i++) {
        QR_TRY(qr_btc_take(c, 8, &v));
        QR_TRY(qr_btc_take_bytes(c, &script));
        if (i == index) {
            ret->sat = qr_btc_get_le(v.p, 8);
            ret->script = script;
            ret->found = 1;
        }
    }
    return QR_OK;
}

/* Each input's stack: a number of items, each a length and bytes. */
static qr_err
read_witnesses(struct qr_btc_cur *c, uint64_t inputs)
{
    for (uint64_t i = 0; i < inputs; i++) {
        uint64_t n = 0;
        QR_TRY(qr_btc_take_size(c, &n));
        for (uint64_t k = 0; k < n; k++) {
            QR_TRY(skip_bytes(c));
        }
    }
    return QR_OK;
}

static qr_err
read_prev_tx(qr_view tx, uint64_t index, struct prev_tx *ret)
{
    struct qr_btc_cur c = {.p = tx.p, .len = tx.len};
    struct prev_tx found = {0};
    uint64_t inputs = 0;
    qr_view v;

    QR_TRY(qr_btc_take(&c, 4, &v));
    int witnesses = c.len - c.at >= 2 && c.p[c.at] == 0 && c.p[c.at + 1] == 1;
    c.at += witnesses ? 2 : 0;
    size_t body = c.at;
    struct qr_btc_cur count = c;
    QR_TRY(qr_btc_take_size(&count, &inputs));
    QR_TRY(read_ins(&c));
    QR_TRY(read_outs(&c, index, &found));
    size_t body_len = c.at - body;
    if (witnesses) {
        QR_TRY(read_witnesses(&c, inputs));
    }
    QR_TRY(qr_btc_take(&c, 4, &v));
    if (c.at != c.len) {
        return QR_ERR_TRAILING;
    }
    /* its id: version, inputs and outputs, lock time; without witnesses */
    uint8_t *mem = qr_alloc(body_len + 8);
    if (!mem) {
        return QR_ERR_NO_MEMORY;
    }
    memcpy(mem, tx.p, 4);
    memcpy(mem + 4, tx.p + body, body_len);
    memcpy(mem + 4 + body_len, v.p, 4);
    qr_btc_hash256(qr_view_of(mem, body_len + 8), found.id);
    qr_free(mem);
    *ret = found;
    return QR_OK;
}

static qr_err
from_prev_tx(struct reader *r, size_t i, qr_view tx, struct qr_btc_prevout *prev)
{
    qr_view point = qr_btc_outpoint(&r->p->tx, i);
    struct prev_tx t;

    qr_err e = read_prev_tx(tx, qr_btc_get_le(point.p + 32, 4), &t);
    if (e == QR_ERR_NO_MEMORY) {
        return e;
    }
    if (e != QR_OK) {
        return refuse(r, QR_ERR_MALFORMED, "input %zu: the previous transaction is not one", i);
    }
    if (memcmp(t.id, point.p, 32) != 0) {
        return refuse(r, QR_ERR_PREIMAGE,
                      "input %zu: the previous transaction is not the one that is spent", i);
    }
    if (!t.found) {
        return refuse(r, QR_ERR_PREIMAGE, "input %zu: the previous transaction has no such output",
                      i);
    }
    prev->sat = t.sat;
    prev->script = t.script;
    return QR_OK;
}

static qr_err
from_output(struct reader *r, size_t i, qr_view out, struct qr_btc_prevout *ret)
{
    struct qr_btc_cur c = {.p = out.p, .len = out.len};
    qr_view sat, script;

    if (qr_btc_take(&c, 8, &sat) != QR_OK || qr_btc_take_bytes(&c, &script) != QR_OK ||
        c.at != c.len) {
        return refuse(r, QR_ERR_MALFORMED, "input %zu: the spent output is badly written", i);
    }
    ret->sat = qr_btc_get_le(sat.p, 8);
    ret->script = script;
    return QR_OK;
}

/* ---- inputs ---- */

/* The two records that tell what is spent are looked at together, when the map has ended. */
struct spent {
    qr_view tx, out;
    int has_tx, has_out;
    unsigned sighash;
};

static qr_err
take_input(struct reader *r, size_t i, const struct qr_psbt_record *one)
{
    struct qr_btc_prevout *prev = &r->p->prev[i];
    int plain = one->type == QR_PSBT_REDEEM || one->type == QR_PSBT_WITNESS ||
                one->type == QR_PSBT_PREV_TX || one->type == QR_PSBT_PREV_OUT ||
                one->type == QR_PSBT_SIGHASH || one->type == QR_PSBT_FINAL_SIG ||
                one->type == QR_PSBT_FINAL_WITNESS;

    if (plain && one->key.len != 1) {
        return refuse(r, QR_ERR_MALFORMED, "input %zu: the key of type %u has data", i, one->type);
    }
    if (one->type == QR_PSBT_REDEEM) {
        prev->redeem = one->value;
    } else if (one->type == QR_PSBT_WITNESS) {
        prev->witness = one->value;
    } else if (one->type == QR_PSBT_FINAL_SIG || one->type == QR_PSBT_FINAL_WITNESS) {
        r->p->in[i].final = 1;
    } else if (one->type == QR_PSBT_SIG && one->key.len != 34 && one->key.len != 66) {
        return refuse(r, QR_ERR_MALFORMED, "input %zu: a signature's key has %zu bytes", i,
                      one->key.len - 1);
    }
    return QR_OK;
}

/* A second walk over a map that was read: the records about what is spent. */
static void
find_spent(const struct qr_psbt *p, size_t i, struct spent *ret)
{
    struct qr_btc_cur c = {.p = p->bytes, .len = p->in[i].end + 1, .at = p->in[i].at};
    struct qr_psbt_record one = {0};
    int end = 0;

    while (qr_psbt_record(&c, &one, &end) == QR_OK && !end) {
        if (one.type == QR_PSBT_PREV_TX) {
            ret->tx = one.value;
            ret->has_tx = 1;
        } else if (one.type == QR_PSBT_PREV_OUT) {
            ret->out = one.value;
            ret->has_out = 1;
        } else if (one.type == QR_PSBT_SIGHASH) {
            ret->sighash = one.value.len == 4 ? (unsigned)qr_btc_get_le(one.value.p, 4) : 0x100;
        }
    }
}

static int
is_witness(qr_view s)
{
    return s.len >= 4 && s.len <= 42 && s.p[1] == s.len - 2 &&
           (s.p[0] == 0 || (s.p[0] >= 0x51 && s.p[0] <= 0x60));
}

static qr_err
read_spent(struct reader *r, size_t i)
{
    struct qr_btc_prevout *prev = &r->p->prev[i], out = {0};
    struct spent s = {.sighash = SIGHASH_ALL};

    find_spent(r->p, i, &s);
    if (!s.has_tx && !s.has_out) {
        return refuse(r, QR_ERR_PREIMAGE, "input %zu: what it spends is missing", i);
    }
    if (s.has_tx) {
        QR_TRY(from_prev_tx(r, i, s.tx, prev));
    }
    if (s.has_out) {
        QR_TRY(from_output(r, i, s.out, &out));
        if (s.has_tx && (out.sat != prev->sat || !qr_view_eq(out.script, prev->script))) {
            return refuse(r, QR_ERR_PREIMAGE,
                          "input %zu: the spent output is not the previous transaction's", i);
        }
        prev->sat = out.sat;
        prev->script = out.script;
    }
    qr_view inner = prev->redeem.len > 0 ? prev->redeem : prev->script;
    if (!s.has_tx && !is_witness(inner) && !r->p->in[i].final) {
        return refuse(r, QR_ERR_PREIMAGE,
                      "input %zu spends no SegWit output, so it needs the previous transaction", i);
    }
    int taproot = is_witness(prev->script) && prev->script.p[0] != 0;
    if (s.sighash != SIGHASH_ALL && !taproot && !r->p->in[i].final) {
        return refuse(r, QR_ERR_PREIMAGE,
                      "input %zu: only SIGHASH_ALL (1) is supported, not 0x%02x", i, s.sighash);
    }
    return QR_OK;
}

static qr_err
take_nothing(struct reader *r, size_t index, const struct qr_psbt_record *one)
{
    (void)r;
    (void)index;
    (void)one;
    return QR_OK;
}

static qr_err
read_psbt(struct reader *r)
{
    struct qr_psbt *p = r->p;

    r->c = (struct qr_btc_cur){.p = p->bytes, .len = p->len, .at = sizeof magic};
    QR_TRY(read_map(r, "global map", 0, take_global));
    if (p->tx.n_in == 0) {
        return refuse(r, QR_ERR_PREIMAGE,
                      "the unsigned transaction is missing (version 0 has one)");
    }
    p->in = qr_alloc(p->tx.n_in * sizeof p->in[0]);
    p->prev = qr_alloc(p->tx.n_in * sizeof p->prev[0]);
    if (!p->in || !p->prev) {
        return QR_ERR_NO_MEMORY;
    }
    for (size_t i = 0; i < p->tx.n_in; i++) {
        p->in[i].at = r->c.at;
        QR_TRY(read_map(r, "input", i, take_input));
        p->in[i].end = r->c.at - 1;
    }
    for (size_t i = 0; i < p->tx.n_out; i++) {
        QR_TRY(read_map(r, "output", i, take_nothing));
    }
    if (r->c.at != r->c.len) {
        return refuse(r, QR_ERR_MALFORMED, "%zu bytes are left over after the PSBT",
                      r->c.len - r->c.at);
    }
    for (size_t i = 0; i < p->tx.n_in; i++) {
        QR_TRY(read_spent(r, i));
    }
    return QR_OK;
}

/* ---- the file ---- */

static int
is_space(uint8_t c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

/* Copies the file's bytes, out of base64 where they are not binary. */
static qr_err
unpack(struct reader *r, qr_view file)
{
    struct qr_psbt *p = r->p;
    size_t n = 0;

    p->bytes = qr_alloc(file.len ? file.len : 1);
    if (!p->bytes) {
        return QR_ERR_NO_MEMORY;
    }
    p->text = file.len < sizeof magic || memcmp(file.p, magic, sizeof magic) != 0;
    if (!p->text) {
        memcpy(p->bytes, file.p, file.len);
        p->len = file.len;
    } else {
        char *text = qr_alloc(file.len ? file.len : 1);
        if (!text) {
            return QR_ERR_NO_MEMORY;
        }
        for (size_t i = 0; i < file.len; i++) {
            if (!is_space(file.p[i])) {
                text[n++] = (char)file.p[i];
            }
        }
        qr_err e = qr_b64_decode(text, n, p->bytes, file.len, &p->len);
        qr_free(text);
        if (e != QR_OK) {
            return refuse(r, QR_ERR_MALFORMED, "neither a binary PSBT nor base64");
        }
    }
    if (p->len < sizeof magic || memcmp(p->bytes, magic, sizeof magic) != 0) {
        return refuse(r, QR_ERR_MALFORMED, "does not begin as a PSBT");
    }
    return QR_OK;
}

qr_err
qr_psbt_read(qr_view file, struct qr_psbt **ret, char *err_text, size_t err_cap)
{
    struct reader r = {.err_text = err_text, .err_cap = err_cap};

    if (file.len > 2 * (size_t)QR_PSBT_MAX) {
        return refuse(&r, QR_ERR_TOO_LARGE, "%zu bytes; a PSBT may have %u", file.len, QR_PSBT_MAX);
    }
    r.p = qr_alloc(sizeof *r.p);
    if (!r.p) {
        return QR_ERR_NO_MEMORY;
    }
    qr_err e = unpack(&r, file);
    if (e == QR_OK && r.p->len > QR_PSBT_MAX) {
        e = refuse(&r, QR_ERR_TOO_LARGE, "%zu bytes; a PSBT may have %u", r.p->len, QR_PSBT_MAX);
    }
    if (e == QR_OK) {
        e = read_psbt(&r);
    }
    if (e != QR_OK) {
        qr_psbt_free(r.p);
        return e;
    }
    *ret = r.p;
    return QR_OK;
}

struct qr_psbt *
qr_psbt_free(struct qr_psbt *p)
{
    if (p) {
        qr_free(p->bytes);
        qr_free(p->in);
        qr_free(p->prev);
        qr_free(p->sig);
        qr_free(p);
    }
    return NULL;
}

int
qr_psbt_was_text(const struct qr_psbt *p)
{
    return p->text;
}

qr_view
qr_psbt_tx(const struct qr_psbt *p)
{
    return p->tx.tx;
}

size_t
qr_psbt_n_inputs(const struct qr_psbt *p)
{
    return p->tx.n_in;
}

const struct qr_btc_prevout *
qr_psbt_prevouts(const struct qr_psbt *p)
{
    return p->prev;
}
