/*
 * A cursor over the transaction, one pass; then what the signed input spends says which bytes stand
 * for its script, and one of two digests is taken. Work is linear in the transaction and that script.
 */
#include "daemon/preimage_btc.h"

#include "daemon/btc_wire.h"
#include "daemon/ripemd160.h"
#include "protocol/base/hash.h"
#include "protocol/base/mem.h"

#include <stdarg.h>
#include <stdio.h>

#define OUTPOINT QR_BTC_OUTPOINT
#define P2WPKH_CODE 25u

struct reader {
    struct qr_btc_cur c;
    char *why;
    size_t why_cap;
};

static qr_err __attribute__((format(printf, 2, 3)))
refuse(const struct reader *r, const char *format, ...)
{
    va_list ap;
    if (r->why && r->why_cap > 0) {
        va_start(ap, format);
        (void)vsnprintf(r->why, r->why_cap, format, ap);
        va_end(ap);
    }
    return QR_ERR_PREIMAGE;
}

static qr_err
take(struct reader *r, size_t n, const char *name, qr_view *ret)
{
    if (qr_btc_take(&r->c, n, ret) != QR_OK) {
        return refuse(r, "the transaction ends inside %s", name);
    }
    return QR_OK;
}

static qr_err
take_size(struct reader *r, uint64_t *ret, const char *name)
{
    qr_err e = qr_btc_take_size(&r->c, ret);
    if (e == QR_ERR_MALFORMED) {
        return refuse(r, "%s is not written in its shortest form", name);
    }
    return e == QR_OK ? QR_OK : refuse(r, "the transaction ends inside %s", name);
}

/* ---- the transaction ---- */

static qr_err
read_inputs(struct reader *r, struct qr_btc *t)
{
    static const uint8_t none[32];
    uint64_t n = 0, script = 0;
    qr_view v;

    if (r->c.len - r->c.at >= 2 && r->c.p[r->c.at] == 0 && r->c.p[r->c.at + 1] == 1) {
        return refuse(r, "the transaction is in the form with witnesses (marker 00 01); send it "
                         "without them");
    }
    QR_TRY(take_size(r, &n, "the number of inputs"));
    if (n == 0 || n > QR_BTC_INPUTS_MAX) {
        return refuse(r, "the transaction has %llu inputs; 1 to %u are allowed",
                      (unsigned long long)n, QR_BTC_INPUTS_MAX);
    }
    t->n_in = (uint16_t)n;
    for (unsigned i = 0; i < t->n_in; i++) {
        QR_TRY(take(r, OUTPOINT, "an input", &v));
        if (memcmp(v.p, none, sizeof none) == 0) {
            return refuse(r, "input %u spends no output (a coinbase)", i);
        }
        QR_TRY(take_size(r, &script, "the length of an input's script"));
        if (script != 0) {
            return refuse(r, "input %u has a script; send the unsigned transaction", i);
        }
        QR_TRY(take(r, 4, "an input's sequence", &v));
    }
    return QR_OK;
}

static qr_err
read_outputs(struct reader *r, struct qr_btc *t)
{
    uint64_t n = 0, script = 0;
    qr_view v;

    QR_TRY(take_size(r, &n, "the number of outputs"));
    if (n == 0 || n > QR_PREIMAGE_MAX / 9) {
        return refuse(r, "the transaction has %llu outputs; 1 to %u are allowed",
                      (unsigned long long)n, QR_PREIMAGE_MAX / 9);
    }
    t->n_out = (uint16_t)n;
    t->outputs_at = r->c.at;
    for (unsigned i = 0; i < t->n_out; i++) {
        QR_TRY(take(r, 8, "an output's amount", &v));
        uint64_t sat = qr_btc_get_le(v.p, 8);
        if (sat > QR_SAT_MAX || t->out_sat + sat > QR_SAT_MAX) {
            return refuse(r, "output %u: more satoshis than there are", i);
        }
        t->out_sat += sat;
        QR_TRY(take_size(r, &script, "the length of an output's script"));
        if (script > QR_BTC_SCRIPT_MAX) {
            return refuse(r, "the script of output %u has %llu bytes; at most %u are allowed", i,
                          (unsigned long long)script, QR_BTC_SCRIPT_MAX);
        }
        QR_TRY(take(r, (size_t)script, "an output's script", &v));
    }
    return QR_OK;
}

/* Where input i begins; each takes 41 bytes because its script is empty. */
static size_t
input_at(const struct qr_btc *t, size_t i)
{
    return 4 + (t->n_in < 0xfd ? 1u : 3u) + i * (OUTPOINT + 1 + 4);
}

/* ---- what is spent ---- */

static int
is_p2sh(qr_view s)
{
    return s.len == 23 && s.p[0] == 0xa9 && s.p[1] == 20 && s.p[22] == 0x87;
}

/* The version of a witness program, or -1. */
static int
witness_version(qr_view s)
{
    if (s.len < 4 || s.len > 42 || s.p[1] != s.len - 2) {
        return -1;
    }
    return s.p[0] == 0 ? 0 : s.p[0] >= 0x51 && s.p[0] <= 0x60 ? s.p[0] - 0x50 : -1;
}

/* A script that is executed: whole pushes, and nothing that changes what a signature is over. */
static qr_err
check_code(const struct reader *r, qr_view s)
{
    for (size_t at = 0; at < s.len;) {
        uint8_t op = s.p[at++];
        size_t n = op <= 75 ? op : 0, width = op == 76 ? 1 : op == 77 ? 2 : op == 78 ? 4 : 0;
        if (op == 0xab) {
            return refuse(r, "scripts with OP_CODESEPARATOR are not supported");
        }
        if (width > s.len - at) {
            return refuse(r, "the script ends inside a push");
        }
        if (width > 0) {
            n = (size_t)qr_btc_get_le(s.p + at, width);
            at += width;
        }
        if (n > s.len - at) {
            return refuse(r, "the script ends inside a push");
        }
        at += n;
    }
    return QR_OK;
}

static qr_err
refuse_version(const struct reader *r, int version)
{
    if (version == 1) {
        return refuse(r, "Taproot (witness version 1) is not supported");
    }
    return refuse(r, "witness version %d is not supported", version);
}

/* The script that was wrapped: it must hash to what the P2SH script says. */
static qr_err
unwrap(const struct reader *r, const struct qr_btc_prevout *p, qr_view *ret)
{
    uint8_t h[20];

    *ret = p->script;
    if (!is_p2sh(p->script)) {
        if (p->redeem.len != 0) {
            return refuse(r, "a redeem script belongs to a P2SH output alone");
        }
        return QR_OK;
    }
    if (p->redeem.len == 0) {
        return refuse(r, "the redeem script of this P2SH output is missing");
    }
    qr_hash160(p->redeem, h);
    if (memcmp(h, p->script.p + 2, sizeof h) != 0) {
        return refuse(r, "the redeem script is not the one of this P2SH output");
    }
    *ret = p->redeem;
    return QR_OK;
}

static qr_err
legacy_code(const struct reader *r, const struct qr_btc_prevout *p, qr_view *ret)
{
    qr_view s;

    QR_TRY(unwrap(r, p, &s));
    int version = witness_version(s);
    if (version == 0) {
        return refuse(r, "the input spends a SegWit output; its kind is \"btc_bip143\"");
    }
    if (version > 0) {
        return refuse_version(r, version);
    }
    if (p->witness.len != 0) {
        return refuse(r, "a witness script belongs to a P2WSH output alone");
    }
    if (s.len == 0) {
        return refuse(r, "the script of the spent output is empty");
    }
    *ret = s;
    return check_code(r, s);
}

/* p2wpkh: room for the script that BIP143 has stand for such an output. */
static qr_err
bip143_code(const struct reader *r, const struct qr_btc_prevout *p,
            uint8_t p2wpkh[static P2WPKH_CODE], qr_view *ret)
{
    static const uint8_t head[3] = {0x76, 0xa9, 20}, tail[2] = {0x88, 0xac};
    uint8_t h[32];
    qr_view s;

    QR_TRY(unwrap(r, p, &s));
    int version = witness_version(s);
    if (version < 0) {
        return refuse(r, "the input spends no SegWit output; its kind is \"btc_legacy\"");
    }
    if (version > 0) {
        return refuse_version(r, version);
    }
    if (s.len == 22) {
        if (p->witness.len != 0) {
            return refuse(r, "a witness script belongs to a P2WSH output alone");
        }
        memcpy(p2wpkh, head, 3);
        memcpy(p2wpkh + 3, s.p + 2, 20);
        memcpy(p2wpkh + 23, tail, 2);
        *ret = qr_view_of(p2wpkh, P2WPKH_CODE);
        return QR_OK;
    }
    if (s.len != 34) {
        return refuse(r, "a witness program of version 0 has 20 or 32 bytes, not %zu", s.len - 2);
    }
    if (p->witness.len == 0) {
        return refuse(r, "the witness script of this P2WSH output is missing");
    }
    qr_sha256(p->witness, h);
    if (memcmp(h, s.p + 2, sizeof h) != 0) {
        return refuse(r, "the witness script is not the one of this P2WSH output");
    }
    *ret = p->witness;
    return check_code(r, p->witness);
}

/* ---- digests, SIGHASH_ALL ---- */

/* The transaction with the script in its input, and the flag; in mem (tx + code + 7 bytes). */
static void
legacy_digest(const struct qr_btc *t, qr_view code, uint8_t *mem, uint8_t ret[static 32])
{
    size_t cut = input_at(t, t->input) + OUTPOINT, n = cut;

    memcpy(mem, t->tx.p, cut);
    n += qr_btc_put_size(mem + n, code.len);
    memcpy(mem + n, code.p, code.len);
    n += code.len;
    memcpy(mem + n, t->tx.p + cut + 1, t->tx.len - cut - 1);
    n += t->tx.len - cut - 1;
    memcpy(mem + n, "\1\0\0\0", 4);
    qr_btc_hash256(qr_view_of(mem, n + 4), ret);
}

/* In mem: 41 bytes an input, or 159 and the code. */
static void
bip143_digest(const struct qr_btc *t, qr_view code, uint8_t *mem, uint8_t ret[static 32])
{
    uint8_t prevouts[32], sequences[32], outputs[32];
    const uint8_t *own = t->tx.p + input_at(t, t->input);
    size_t n = 0;

    for (size_t i = 0; i < t->n_in; i++) {
        memcpy(mem + i * OUTPOINT, t->tx.p + input_at(t, i), OUTPOINT);
    }
    qr_btc_hash256(qr_view_of(mem, t->n_in * OUTPOINT), prevouts);
    for (size_t i = 0; i < t->n_in; i++) {
        memcpy(mem + i * 4, t->tx.p + input_at(t, i) + OUTPOINT + 1, 4);
    }
    qr_btc_hash256(qr_view_of(mem, t->n_in * (size_t)4), sequences);
    qr_btc_hash256(qr_view_of(t->tx.p + t->outputs_at, t->tx.len - 4 - t->outputs_at), outputs);

    memcpy(mem, t->tx.p, 4);
    memcpy(mem + 4, prevouts, 32);
    memcpy(mem + 36, sequences, 32);
    memcpy(mem + 68, own, OUTPOINT);
    n = 68 + OUTPOINT;
    n += qr_btc_put_size(mem + n, code.len);
    memcpy(mem + n, code.p, code.len);
    n += code.len;
    qr_btc_put_le(mem + n, t->own_sat, 8);
    memcpy(mem + n + 8, own + OUTPOINT + 1, 4);
    memcpy(mem + n + 12, outputs, 32);
    memcpy(mem + n + 44, t->tx.p + t->tx.len - 4, 4);
    memcpy(mem + n + 48, "\1\0\0\0", 4);
    qr_btc_hash256(qr_view_of(mem, n + 52), ret);
}

static qr_err
check_prevouts(const struct reader *r, const struct qr_btc_prevout *prev, size_t n,
               struct qr_btc *t)
{
    if (n != t->n_in) {
        return refuse(r, "the transaction has %u inputs, \"prevouts\" %zu", (unsigned)t->n_in, n);
    }
    for (size_t i = 0; i < n; i++) {
        if (prev[i].sat > QR_SAT_MAX || t->spent_sat + prev[i].sat > QR_SAT_MAX) {
            return refuse(r, "input %zu: more satoshis than there are", i);
        }
        if (prev[i].script.len > QR_BTC_SCRIPT_MAX || prev[i].redeem.len > QR_BTC_SCRIPT_MAX ||
            prev[i].witness.len > QR_BTC_SCRIPT_MAX) {
            return refuse(r, "input %zu: a script has more than %u bytes", i, QR_BTC_SCRIPT_MAX);
        }
        t->spent_sat += prev[i].sat;
    }
    if (t->out_sat > t->spent_sat) {
        return refuse(r, "the outputs are worth more (%llu satoshis) than what is spent (%llu)",
                      (unsigned long long)t->out_sat, (unsigned long long)t->spent_sat);
    }
    return QR_OK;
}

static qr_err
outline(struct reader *r, qr_view tx, struct qr_btc *t)
{
    qr_view v;

    t->tx = tx;
    if (tx.len > QR_PREIMAGE_MAX) {
        return refuse(r, "the transaction has %zu bytes; at most %u are allowed", tx.len,
                      QR_PREIMAGE_MAX);
    }
    QR_TRY(take(r, 4, "the version", &v));
    QR_TRY(read_inputs(r, t));
    QR_TRY(read_outputs(r, t));
    QR_TRY(take(r, 4, "the lock time", &v));
    if (r->c.at != r->c.len) {
        return refuse(r, "%zu bytes are left over after the transaction", r->c.len - r->c.at);
    }
    return QR_OK;
}

qr_err
qr_btc_outline(qr_view tx, struct qr_btc *ret, char *why, size_t why_cap)
{
    struct reader r = {.c = {.p = tx.p, .len = tx.len}, .why = why, .why_cap = why_cap};
    struct qr_btc t = {0};

    QR_TRY(outline(&r, tx, &t));
    *ret = t;
    return QR_OK;
}

qr_err
qr_btc_parse(qr_view tx, int bip143, uint32_t input, const struct qr_btc_prevout *prev, size_t n,
             struct qr_btc *ret, uint8_t digest[static 32], char *why, size_t why_cap)
{
    struct reader r = {.c = {.p = tx.p, .len = tx.len}, .why = why, .why_cap = why_cap};
    struct qr_btc t = {.bip143 = bip143 != 0};
    uint8_t p2wpkh[P2WPKH_CODE];
    qr_view code;

    QR_TRY(outline(&r, tx, &t));
    if (input >= t.n_in) {
        return refuse(&r, "there is no input %u (counted from 0); the transaction has %u", input,
                      (unsigned)t.n_in);
    }
    QR_TRY(check_prevouts(&r, prev, n, &t));
    t.input = (uint16_t)input;
    t.own_sat = prev[input].sat;
    t.own_script = prev[input].script;
    QR_TRY(bip143 ? bip143_code(&r, &prev[input], p2wpkh, &code)
                  : legacy_code(&r, &prev[input], &code));
    /* At least 60 bytes of a transaction and 41 an input: enough for either digest's layout. */
    uint8_t *mem = qr_alloc(tx.len + code.len + 256);
    if (!mem) {
        return QR_ERR_NO_MEMORY;
    }
    if (bip143) {
        bip143_digest(&t, code, mem, digest);
    } else {
        legacy_digest(&t, code, mem, digest);
    }
    qr_free(mem);
    *ret = t;
    return QR_OK;
}

qr_view
qr_btc_outpoint(const struct qr_btc *t, size_t i)
{
    return qr_view_of(t->tx.p + input_at(t, i), OUTPOINT);
}

void
qr_btc_output(const struct qr_btc *t, size_t i, uint64_t *ret_sat, qr_view *ret_script)
{
    const uint8_t *p = t->tx.p + t->outputs_at;

    for (;; i--) {
        uint64_t sat = qr_btc_get_le(p, 8);
        size_t n = p[8], head = 9;
        if (n == 0xfd) { /* longer ones have scripts above the limit */
            n = (size_t)qr_btc_get_le(p + 9, 2);
            head = 11;
        }
        if (i == 0) {
            *ret_sat = sat;
            *ret_script = qr_view_of(p + head, n);
            return;
        }
        p += head + n;
    }
}
