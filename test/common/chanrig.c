#include "test/common/chanrig.h"

#include "protocol/base/hash.h"
#include "protocol/base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const uint8_t *
identity(void *ctx, uint16_t index)
{
    struct side *s = ctx;
    if (index < 1 || index > 3) {
        return NULL;
    }
    test_identity_make(&s->other[index], index);
    return s->other[index].pk;
}

static void
store_state(void *ctx, uint64_t *serial, uint8_t root[32])
{
    (void)ctx;
    *serial = 9;
    memset(root, 9, 32);
}

static qr_err
judge(void *ctx, const struct qr_hello *peer, char *why, size_t cap)
{
    struct side *s = ctx;
    assert_int_equal(peer->store_serial, 9);
    (void)snprintf(why, cap, "judged");
    return s->verdict;
}

static void
on_identified(void *ctx)
{
    struct side *s = ctx;
    assert_non_null(qr_chan_peer(s->chan));
    s->identified++;
}

static qr_err
on_ready(void *ctx)
{
    struct side *s = ctx;
    assert_true(qr_chan_is_ready(s->chan));
    s->ready++;
    return QR_OK;
}

static qr_err
on_frame(void *ctx, enum qr_frame kind, qr_view body, struct qr_block *holder)
{
    struct side *s = ctx;
    assert_int_equal(s->ready, 1);
    assert_true(kind >= QR_FRAME_RESUME);
    assert_true(body.p >= holder->p && body.p + body.len <= holder->p + holder->len);
    s->frames++;
    s->last_kind = kind;
    s->last_len = body.len < sizeof s->last ? body.len : sizeof s->last;
    memcpy(s->last, body.p, s->last_len);
    return QR_OK;
}

void
side_init(struct side *s, uint16_t index)
{
    memset(s, 0, sizeof *s);
    test_identity_make(&s->id, index);
    s->attester.measurement[0] = 0x11; /* every genuine party runs the same code */
    assert_int_equal(qr_tls_id_new(&s->tls_id), QR_OK);
    s->env = (struct qr_chan_env){
        .tls = s->tls_id,
        .signer = test_signer(&s->id),
        .attester = test_attester(&s->attester),
        .rng = test_rng(),
        .zip = qr_zip_new(1),
        .ctx = s,
        .identity = identity,
        .store_state = store_state,
        .judge = judge,
    };
    s->env.own.index = index;
    s->env.own.boot_nonce[0] = (uint8_t)index;
    s->env.own.boot_counter = 1;
    s->env.own.platform = QR_PLATFORM_SIM;
}

void
side_open(struct side *s, enum qr_role role, uint16_t expect)
{
    struct qr_chan_events ev = {s, on_identified, on_ready, on_frame};
    qr_chan_free(s->chan);
    s->identified = s->ready = s->frames = 0;
    s->dead = QR_OK;
    s->given = s->taken = 0;
    memset(&s->row, 0, sizeof s->row);
    assert_int_equal(qr_chan_new(&s->env, &ev, role, expect, &s->row, &s->chan), QR_OK);
    if (role == QR_ROLE_CLIENT) {
        assert_int_equal(qr_chan_start(s->chan), QR_OK);
    }
}

void
side_free(struct side *s)
{
    qr_chan_free(s->chan);
    qr_zip_free(s->env.zip);
    qr_tls_id_free(s->tls_id);
}

/* Moves output of a to b in pieces of at most `piece`; returns the bytes moved. */
static size_t
move(struct side *a, struct side *b, size_t piece)
{
    qr_view out = qr_chan_out(a->chan);
    size_t n = out.len < piece ? out.len : piece;
    if (n == 0) {
        return 0;
    }
    uint8_t *copy = qr_alloc(n);
    memcpy(copy, out.p, n);
    qr_chan_sent(a->chan, n);
    a->given += n;
    b->taken += n;
    qr_err e = qr_chan_input(b->chan, qr_view_of(copy, n));
    b->dead = b->dead == QR_OK ? e : b->dead;
    qr_free(copy);
    return n;
}

void
side_pump(struct side *a, struct side *b, size_t piece)
{
    while (move(a, b, piece) + move(b, a, piece) > 0) {
    }
}

void
side_check_ledger(const struct side *s)
{
    assert_int_equal(qr_ledger_wire(&s->row, QR_DIR_OUT), s->given);
    assert_int_equal(qr_ledger_wire(&s->row, QR_DIR_IN), s->taken);
}

void
raw_init(struct raw *w, enum qr_role role, uint16_t index)
{
    memset(w, 0, sizeof *w);
    w->role = role;
    test_identity_make(&w->identity, index);
    w->own.index = index;
    w->own.role = role;
    w->own.boot_nonce[0] = (uint8_t)index;
    w->own.boot_counter = 1;
    w->own.platform = QR_PLATFORM_SIM;
    w->own.store_serial = 9;
    assert_int_equal(qr_tls_id_new(&w->id), QR_OK);
    assert_int_equal(qr_tls_new(w->id, role, &w->tls), QR_OK);
}

void
raw_free(struct raw *w)
{
    qr_tls_free(w->tls);
    qr_tls_id_free(w->id);
}

static void
raw_read(struct raw *w)
{
    size_t n;
    int done;
    if (!w->up) {
        assert_int_equal(qr_tls_handshake(w->tls, &done), QR_OK);
        if (!done) {
            return;
        }
        w->up = 1;
        memcpy(w->binding.spki_client, qr_tls_spki(w->tls, QR_ROLE_CLIENT), 32);
        memcpy(w->binding.spki_server, qr_tls_spki(w->tls, QR_ROLE_SERVER), 32);
        assert_int_equal(qr_tls_export(w->tls, QR_EXPORTER_ATTEST, w->binding.exporter), QR_OK);
        assert_int_equal(qr_tls_export(w->tls, QR_EXPORTER_CONFIRM, w->confirm_key), QR_OK);
    }
    do {
        qr_err e = qr_tls_read(w->tls, w->rx + w->rx_len, sizeof w->rx - w->rx_len, &n);
        n = e == QR_OK ? n : 0;
        w->rx_len += n;
    } while (n > 0);
}

/* Until neither has anything to say. */
void
raw_pump(struct raw *w, struct side *s)
{
    int done;
    if (!w->up && w->role == QR_ROLE_CLIENT) {
        assert_int_equal(qr_tls_handshake(w->tls, &done), QR_OK);
    }
    for (int busy = 1; busy;) {
        busy = 0;
        qr_view out = qr_tls_out(w->tls);
        if (out.len > 0) {
            qr_err e = qr_chan_input(s->chan, out);
            s->dead = s->dead == QR_OK ? e : s->dead;
            s->taken += out.len;
            qr_tls_out_done(w->tls, out.len);
            busy = 1;
        }
        out = qr_chan_out(s->chan);
        if (out.len > 0) {
            qr_tls_feed(w->tls, out);
            raw_read(w);
            s->given += out.len;
            qr_chan_sent(s->chan, out.len);
            busy = 1;
        }
    }
}

void
raw_frame(struct raw *w, unsigned kind, qr_view body)
{
    uint8_t head[QR_FRAME_HEAD_LEN];
    qr_frame_head_put(head, kind, body.len);
    assert_int_equal(qr_tls_write(w->tls, (qr_view){head, sizeof head}), QR_OK);
    assert_int_equal(qr_tls_write(w->tls, body), QR_OK);
}

/* Finds the next frame of this kind in what was received; its body is copied out. */
size_t
raw_take(struct raw *w, enum qr_frame want, uint8_t *body, size_t cap)
{
    while (w->rx_at + QR_FRAME_HEAD_LEN <= w->rx_len) {
        enum qr_frame kind;
        int zstd;
        size_t n;
        assert_int_equal(qr_frame_head_get(w->rx + w->rx_at, &kind, &zstd, &n), QR_OK);
        const uint8_t *p = w->rx + w->rx_at + QR_FRAME_HEAD_LEN;
        w->rx_at += QR_FRAME_HEAD_LEN + n;
        assert_true(w->rx_at <= w->rx_len);
        if (kind == want) {
            if (zstd) {
                struct qr_zip *z = qr_zip_new(1);
                size_t len;
                assert_int_equal(qr_zip_size((qr_view){p, n}, cap, &len), QR_OK);
                assert_int_equal(qr_zip_unpack(z, (qr_view){p, n}, body, len), QR_OK);
                qr_zip_free(z);
                return len;
            }
            assert_true(n <= cap);
            memcpy(body, p, n);
            return n;
        }
    }
    return 0;
}

void
raw_hello(struct raw *w)
{
    uint8_t hello[QR_HELLO_LEN];
    struct qr_id_signer signer = test_signer(&w->identity);
    assert_int_equal(qr_hello_make(&w->own, &w->binding, &signer, hello), QR_OK);
    raw_frame(w, QR_FRAME_HELLO, (qr_view){hello, sizeof hello});
}

/* Evidence as a genuine TEE of the same measurement would make it over this binder. */
size_t
raw_evidence(const uint8_t binder[32], uint8_t *out)
{
    memcpy(out, "fake", 4);
    memset(out + 4, 0, 32);
    out[4] = 0x11;
    memcpy(out + 36, binder, 32);
    return 68;
}

struct duel *
duel_new(void)
{
    struct duel *d = qr_alloc(sizeof *d);
    assert_non_null(d);
    raw_init(&d->w, QR_ROLE_CLIENT, 1);
    side_init(&d->s, 2);
    side_open(&d->s, QR_ROLE_SERVER, 0);
    raw_pump(&d->w, &d->s);
    assert_int_equal(d->w.up, 1);
    assert_int_equal(d->w.rx_len, 0); /* a stranger is told nothing */
    return d;
}

void
duel_free(struct duel *d)
{
    raw_free(&d->w);
    side_free(&d->s);
    qr_free(d);
}

/* The genuine side refused for this reason, before or after having made evidence. */
void
side_refused(struct side *s, qr_err why, const char *text, unsigned made)
{
    if (s->dead != why || !strstr(qr_chan_why(s->chan), text)) {
        fail_msg("%s: %s", qr_err_name(s->dead), qr_chan_why(s->chan));
    }
    assert_int_equal(s->ready, 0);
    assert_int_equal(s->attester.made, made);
    side_check_ledger(s);
    /* Dead for good. */
    assert_int_equal(qr_chan_input(s->chan, qr_view_str("more")), QR_ERR_LINK_CLOSED);
}

/* As by_hand, up to the server's EVIDENCE; what remains is the attacker's evidence. */
void
duel_until_evidence(struct duel *d, struct qr_hello *ret_peer)
{
    uint8_t hello[QR_HELLO_LEN];
    raw_hello(&d->w);
    raw_pump(&d->w, &d->s);
    assert_int_equal(raw_take(&d->w, QR_FRAME_HELLO, hello, sizeof hello), QR_HELLO_LEN);
    assert_int_equal(qr_hello_parse((qr_view){hello, sizeof hello}, ret_peer), QR_OK);
}
