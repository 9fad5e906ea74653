/*
 * Which inputs a key signs, and putting its signatures in.
 */
#include "daemon/psbt_int.h"

#include "daemon/btc_wire.h"
#include "daemon/client/ecsig.h"
#include "daemon/ripemd160.h"
#include "protocol/base/enc.h"
#include "protocol/group.h"

/* ---- whose input is it? ---- */

/* Does a script push exactly these 33 bytes? */
static int
names_key(qr_view s, const uint8_t pk[static 33])
{
    for (size_t at = 0; at < s.len;) {
        uint8_t op = s.p[at++];
        size_t n = op <= 75 ? op : 0, width = op == 76 ? 1 : op == 77 ? 2 : op == 78 ? 4 : 0;
        if (width > s.len - at) {
            return 0;
        }
        if (width > 0) {
            n = (size_t)qr_btc_get_le(s.p + at, width);
            at += width;
        }
        if (n > s.len - at) {
            return 0;
        }
        if (n == 33 && memcmp(s.p + at, pk, 33) == 0) {
            return 1;
        }
        at += n;
    }
    return 0;
}

static int
starts(qr_view s, size_t len, const uint8_t *head, size_t n)
{
    return s.len == len && memcmp(s.p, head, n) == 0;
}

/* 1: input i is signed by pk; *ret_bip143 tells how. */
static int
is_of(const struct qr_psbt *p, size_t i, const uint8_t pk[static 33], uint8_t *ret_bip143)
{
    static const uint8_t p2sh[2] = {0xa9, 20}, p2wpkh[2] = {0, 20}, p2wsh[2] = {0, 32};
    static const uint8_t p2pkh[3] = {0x76, 0xa9, 20};
    const struct qr_btc_prevout *v = &p->prev[i];
    uint8_t h[20];

    qr_hash160(qr_view_of(pk, 33), h);
    qr_view s = starts(v->script, 23, p2sh, 2) ? v->redeem : v->script;
    *ret_bip143 = 1;
    if (starts(s, 22, p2wpkh, 2)) {
        return memcmp(s.p + 2, h, sizeof h) == 0;
    }
    if (starts(s, 34, p2wsh, 2)) {
        return names_key(v->witness, pk);
    }
    *ret_bip143 = 0;
    if (starts(s, 25, p2pkh, 3)) {
        return memcmp(s.p + 3, h, sizeof h) == 0;
    }
    return names_key(s, pk);
}

/* Does the map of input i, or what was added to it, have a signature of pk? */
static int
is_signed(const struct qr_psbt *p, size_t i, const uint8_t pk[static 33])
{
    struct qr_btc_cur c = {.p = p->bytes, .len = p->in[i].end + 1, .at = p->in[i].at};
    struct qr_psbt_record one = {0};
    int end = 0;

    while (qr_psbt_record(&c, &one, &end) == QR_OK && !end) {
        if (one.type == QR_PSBT_SIG && one.key.len == 34 && memcmp(one.key.p + 1, pk, 33) == 0) {
            return 1;
        }
    }
    for (size_t k = 0; k < p->n_sig; k++) {
        if (p->sig[k].input == i && memcmp(p->sig[k].pk, pk, 33) == 0) {
            return 1;
        }
    }
    return 0;
}

size_t
qr_psbt_asks(const struct qr_psbt *p, const uint8_t pk[static 33],
             struct qr_psbt_ask ret[static QR_BTC_INPUTS_MAX])
{
    size_t n = 0;

    for (size_t i = 0; i < p->tx.n_in; i++) {
        uint8_t bip143 = 0;
        if (!p->in[i].final && is_of(p, i, pk, &bip143) && !is_signed(p, i, pk)) {
            ret[n++] = (struct qr_psbt_ask){.input = (uint16_t)i, .bip143 = bip143};
        }
    }
    return n;
}

/* ---- signatures ---- */

qr_err
qr_psbt_add(struct qr_psbt *p, size_t input, const uint8_t pk[static 33],
            const uint8_t rs[static 64])
{
    uint8_t digest[32], bip143 = 0;
    struct qr_btc t;
    qr_pt point;

    if (input >= p->tx.n_in || p->in[input].final || !is_of(p, input, pk, &bip143) ||
        is_signed(p, input, pk)) {
        return QR_ERR_PREIMAGE;
    }
    QR_TRY(
        qr_btc_parse(p->tx.tx, bip143, (uint32_t)input, p->prev, p->tx.n_in, &t, digest, NULL, 0));
    QR_TRY(qr_pt_parse(&point, pk));
    QR_TRY(qr_ecdsa_verify(&point, digest, rs));
    if (p->n_sig == p->cap_sig) {
        size_t cap = p->cap_sig ? 2 * p->cap_sig : 16;
        struct qr_psbt_sig *more = qr_realloc(p->sig, cap * sizeof *more);
        if (!more) {
            return QR_ERR_NO_MEMORY;
        }
        p->sig = more;
        p->cap_sig = cap;
    }
    struct qr_psbt_sig *s = &p->sig[p->n_sig++];
    s->input = (uint16_t)input;
    memcpy(s->pk, pk, 33);
    s->len = (uint8_t)qr_ecsig_der(rs, s->sig);
    s->sig[s->len++] = 1; /* SIGHASH_ALL */
    return QR_OK;
}

static qr_err
put_sig(struct qr_dbuf *out, const struct qr_psbt_sig *s)
{
    const uint8_t key[2] = {34, QR_PSBT_SIG};

    QR_TRY(qr_dbuf_append(out, key, sizeof key));
    QR_TRY(qr_dbuf_append(out, s->pk, sizeof s->pk));
    QR_TRY(qr_dbuf_append(out, &s->len, 1)); /* below 0xfd: its own compact size */
    return qr_dbuf_append(out, s->sig, s->len);
}

static qr_err
put_binary(const struct qr_psbt *p, struct qr_dbuf *out)
{
    size_t done = 0;

    for (size_t i = 0; i < p->tx.n_in; i++) {
        QR_TRY(qr_dbuf_append(out, p->bytes + done, p->in[i].end - done));
        done = p->in[i].end;
        for (size_t k = 0; k < p->n_sig; k++) {
            if (p->sig[k].input == i) {
                QR_TRY(put_sig(out, &p->sig[k]));
            }
        }
    }
    return qr_dbuf_append(out, p->bytes + done, p->len - done);
}

qr_err
qr_psbt_write(const struct qr_psbt *p, int text, struct qr_dbuf *out)
{
    struct qr_dbuf binary;

    if (!text) {
        return put_binary(p, out);
    }
    qr_dbuf_init(&binary, 2 * (size_t)QR_PSBT_MAX);
    qr_err e = put_binary(p, &binary);
    if (e == QR_OK) {
        e = qr_dbuf_reserve(out, qr_b64_len(binary.len) + 1);
    }
    if (e == QR_OK) {
        qr_b64_encode(qr_view_of(binary.p, binary.len), (char *)out->p + out->len);
        out->len += qr_b64_len(binary.len);
    }
    qr_dbuf_free(&binary);
    return e;
}
