/*
 * A peer that is attested and hostile all the same: what it may say after the handshake.
 */
#include "test/common/chanrig.h"
#include "test/common/netrig.h"

#include "proto/wire.h"
#include "protocol/base/mem.h"
#include "transport/net_int.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* Party 1, by hand: a genuine channel, and frames of the test's making. Party 2 is a net. */
struct evil {
    struct rig rig;
    struct side s;
    struct qr_link *link;
    struct qr_conn *conn;
    struct qr_chain chain;
    unsigned closed;
};

static void
evil_store(void *ctx, uint64_t *serial, uint8_t root[32])
{
    (void)ctx;
    *serial = 101;
    memset(root, 1, 32);
}

static qr_err
evil_judge(void *ctx, const struct qr_hello *peer, char *why, size_t cap)
{
    (void)ctx;
    (void)peer;
    (void)why;
    (void)cap;
    return QR_OK;
}

static void
evil_pump(struct evil *v)
{
    qr_view out = v->conn ? qr_chan_out(v->s.chan) : (qr_view){NULL, 0};
    if (out.len > 0) {
        qr_chan_sent(v->s.chan, v->link->ops->send(v->conn, out));
    }
}

static void
evil_open(void *ctx, struct qr_conn *c)
{
    struct evil *v = ctx;
    v->conn = c;
    side_open(&v->s, QR_ROLE_CLIENT, 2);
    evil_pump(v);
}

static void
evil_data(void *ctx, struct qr_conn *c, qr_view data)
{
    struct evil *v = ctx;
    if (c != v->conn) {
        return; /* one it has turned away from */
    }
    qr_err e = qr_chan_input(v->s.chan, data);
    v->s.dead = v->s.dead == QR_OK ? e : v->s.dead;
    evil_pump(v);
}

static void *
evil_accept(void *ctx, struct qr_conn *c)
{
    (void)ctx;
    (void)c;
    return NULL;
}

static void
evil_room(void *ctx, struct qr_conn *c)
{
    (void)c;
    evil_pump(ctx);
}

static void
evil_close(void *ctx, struct qr_conn *c, qr_err why, const char *text)
{
    struct evil *v = ctx;
    (void)why;
    (void)text;
    if (c == v->conn) {
        v->conn = NULL;
        v->closed++;
    }
}

static void
evil_tick(struct evil *v)
{
    evil_pump(v);
    v->link->ops->step(v->link, v->rig.now);
    rig_tick(&v->rig, RIG_MS);
}

static void
evil_run(struct evil *v, unsigned ms)
{
    for (unsigned i = 0; i < ms; i++) {
        evil_tick(v);
    }
}

static void
evil_dial(struct evil *v)
{
    assert_int_equal(v->link->ops->dial(v->link, "mem://p2", NULL), QR_OK);
    evil_run(v, 20);
    assert_int_equal(v->s.ready, 1);
    assert_int_equal(v->s.last_kind, QR_FRAME_RESUME); /* the net has said what it has */
}

/* Party `index` by hand, not yet dialled; the net is party 2 of 3. */
static struct evil *
evil_of(uint16_t index)
{
    struct evil *v = qr_alloc(sizeof *v);
    struct qr_link_events ev = {v, evil_accept, evil_open, evil_data, evil_room, evil_close};
    assert_non_null(v);
    rig_init(&v->rig, 3);
    rig_start(&v->rig, 2);
    side_init(&v->s, index);
    v->s.env.store_state = evil_store;
    v->s.env.judge = evil_judge;
    const struct qr_net_params *p = &v->rig.party[1].params;
    struct qr_hello *h = &v->s.env.own;
    memcpy(h->cluster, p->cluster, 32);
    memcpy(h->roster_hash, p->roster_hash, 32);
    memcpy(h->policy_hash, p->policy_hash, 32);
    h->roster_serial = p->roster_serial;
    h->policy_serial = p->policy_serial;
    v->link = qr_link_mem_new(v->rig.mem, &ev);
    assert_non_null(v->link);
    return v;
}

static struct evil *
evil_new(void)
{
    struct evil *v = evil_of(1);
    evil_dial(v);
    return v;
}

static void
evil_free(struct evil *v)
{
    v->link->ops->free(v->link);
    side_free(&v->s);
    rig_free(&v->rig);
    qr_free(v);
}

static void
say(struct evil *v, enum qr_frame kind, const void *body, size_t len)
{
    assert_int_equal(qr_chan_frame(v->s.chan, kind, QR_CLASSES_OVERHEAD, qr_view_of(body, len)),
                     QR_OK);
    assert_int_equal(qr_chan_push(v->s.chan), QR_OK);
    evil_run(v, 3);
}

static void
say_number(struct evil *v, enum qr_frame kind, uint64_t n)
{
    uint8_t body[8];
    qr_put64(body, n);
    say(v, kind, body, sizeof body);
}

/* RESUME as party 1 would say it, and its secret for the next one. */
static void
say_resume(struct evil *v, uint64_t n)
{
    uint8_t body[QR_RESUME_LEN], fresh[32];
    assert_int_equal(qr_chan_secret(v->s.chan, fresh), QR_OK);
    qr_put64(body, n);
    qr_chain_say(&v->chain, 1, body + 8);
    qr_chain_start(&v->chain, fresh);
    say(v, QR_FRAME_RESUME, body, sizeof body);
}

/* A DATA body under construction. */
struct data {
    uint8_t p[4096];
    size_t len;
};

static void
data_begin(struct data *d, uint64_t ack)
{
    qr_put64(d->p, ack);
    d->len = 8;
}

static void
data_item(struct data *d, qr_view bytes, uint32_t flag)
{
    qr_put32(d->p + d->len, (uint32_t)bytes.len | flag);
    memcpy(d->p + d->len + 4, bytes.p, bytes.len);
    d->len += 4 + bytes.len;
}

/* The envelope of numbered message `number` with this seq, in mem. */
static qr_view
envelope(uint8_t *mem, enum qr_msg type, uint16_t from, uint16_t to, uint64_t seq, uint64_t number)
{
    uint8_t payload[8];
    struct qr_envelope e = {
        .type = type, .from = from, .to = to, .seq = seq, .payload = {payload, 8}};
    struct qr_buf w = qr_buf_over(mem, 200);
    qr_put64(payload, number);
    assert_int_equal(qr_wire_encode(&e, &w), QR_OK);
    return qr_buf_view(&w);
}

static void
data_message(struct data *d, uint64_t seq, uint64_t number)
{
    uint8_t mem[200];
    data_item(d, envelope(mem, QR_MSG_PAIR3, 1, 2, seq, number), 0);
}

/* The net closed the line for this reason; the evil one reads a coarse code. */
static void
thrown_out(struct evil *v, qr_err why, const char *text)
{
    const struct rig_view *w = &v->rig.party[2].of[1];
    evil_run(v, 5);
    if (w->why != why || !strstr(w->detail, text)) {
        fail_msg("%s: %s", qr_err_name(w->why), w->detail);
    }
    assert_int_equal(v->s.dead, QR_ERR_LINK_CLOSED);
    assert_non_null(strstr(qr_chan_why(v->s.chan), why == QR_ERR_IDENTITY
                                                       ? "refused us (identity"
                                                       : "could not make sense of what we sent"));
    assert_int_equal(v->closed, 1);
    assert_false(qr_net_is_up(v->rig.party[2].net, 1));
}

static struct evil *
evil_up(void)
{
    struct evil *v = evil_new();
    say_resume(v, 0);
    assert_int_equal(v->rig.party[2].of[1].ups, 1);
    return v;
}

/* The rules, kept: so that what follows fails for what it does differently. */
static void
well_behaved(void **state)
{
    struct data d;
    struct evil *v = evil_up();
    (void)state;

    data_begin(&d, 0);
    data_message(&d, 1, 0);
    data_message(&d, 2, 1);
    say(v, QR_FRAME_DATA, d.p, d.len);
    assert_int_equal(v->rig.party[2].of[1].received, 2);
    evil_run(v, 30); /* an acknowledgement comes by itself */
    assert_int_equal(v->s.last_kind, QR_FRAME_ACK);
    assert_int_equal(qr_get64(v->s.last), 2);
    say_number(v, QR_FRAME_PING, 12345);
    assert_int_equal(v->s.last_kind, QR_FRAME_PONG);
    assert_int_equal(qr_get64(v->s.last), 12345);
    assert_int_equal(rig_send(&v->rig, 2, 1, QR_MSG_PAIR3, 0, 40), 1);
    evil_run(v, 3);
    assert_int_equal(v->s.last_kind, QR_FRAME_DATA);
    assert_true(qr_net_queued(v->rig.party[2].net, 1) > 0);
    say_number(v, QR_FRAME_ACK, 1);
    assert_int_equal(qr_net_queued(v->rig.party[2].net, 1), 0);
    evil_free(v);
}

/* Party 3, genuine in all but its manners: 2 dials 3. */
static void
wrong_direction(void **state)
{
    struct evil *v = evil_of(3);
    char err[64];
    (void)state;

    /* 2's own dial to 3 arrives and is ignored: a refusal of it would be reported, too. */
    assert_int_equal(v->link->ops->listen(v->link, "mem://p3", err, sizeof err), QR_OK);
    assert_int_equal(v->link->ops->dial(v->link, "mem://p2", NULL), QR_OK);
    evil_run(v, 20);
    assert_int_equal(v->s.ready, 0);
    assert_int_equal(v->rig.party[2].of[3].why, QR_ERR_IDENTITY);
    assert_non_null(strstr(v->rig.party[2].of[3].detail, "the one with the lower index dials"));
    assert_int_equal(v->rig.party[2].attester.made, 0);
    evil_free(v);
}

static void
gap(void **state)
{
    struct data d;
    struct evil *v = evil_up();
    (void)state;

    data_begin(&d, 0);
    data_message(&d, 1, 0);
    data_message(&d, 3, 1);
    say(v, QR_FRAME_DATA, d.p, d.len);
    thrown_out(v, QR_ERR_STATE, "message 3 follows message 1: some are missing");
    assert_int_equal(v->rig.party[2].of[1].received, 1);
    evil_free(v);
}

static void
duplicates(void **state)
{
    struct data d;
    struct evil *v = evil_up();
    (void)state;

    data_begin(&d, 0);
    data_message(&d, 1, 0);
    data_message(&d, 1, 0);
    data_message(&d, 2, 1);
    data_message(&d, 1, 7); /* other contents under an old seq: not looked at */
    say(v, QR_FRAME_DATA, d.p, d.len);
    assert_int_equal(v->rig.party[2].of[1].received, 2);
    assert_int_equal(qr_net_ledger(v->rig.party[2].net)->peer[0].duplicates, 2);
    assert_int_equal(v->closed, 0);
    evil_free(v);
}

static void
attack_26_somebody_elses_name(void **state)
{
    uint8_t mem[200];
    (void)state;

    for (uint16_t i = 0; i < 3; i++) {
        struct data d;
        struct evil *v = evil_up();
        data_begin(&d, 0);
        data_item(&d,
                  envelope(mem, QR_MSG_PAIR3,
                           i == 0   ? 2
                           : i == 1 ? 3
                                    : 1,
                           i == 2 ? 3 : 2, 1, 0),
                  0);
        say(v, QR_FRAME_DATA, d.p, d.len);
        thrown_out(v, QR_ERR_IDENTITY, "on the channel of party 1");
        assert_int_equal(v->rig.party[2].of[1].received, 0);
        evil_free(v);
    }
}

static void
bad_items(void **state)
{
    uint8_t mem[200];
    struct data d;
    struct evil *v = evil_up();
    (void)state;

    data_begin(&d, 0); /* runs past the end */
    data_message(&d, 1, 0);
    d.p[8 + 3]++;
    say(v, QR_FRAME_DATA, d.p, d.len);
    thrown_out(v, QR_ERR_TRUNCATED, "batch of");
    evil_free(v);

    v = evil_up(); /* an envelope that is not one */
    data_begin(&d, 0);
    data_item(&d, qr_view_str("garbage"), 0);
    say(v, QR_FRAME_DATA, d.p, d.len);
    thrown_out(v, QR_ERR_UNKNOWN_FIELD, "envelope of 7 bytes");
    evil_free(v);

    v = evil_up(); /* empty */
    data_begin(&d, 0);
    data_item(&d, (qr_view){mem, 0}, 0);
    data_message(&d, 1, 0);
    say(v, QR_FRAME_DATA, d.p, d.len);
    thrown_out(v, QR_ERR_MALFORMED, "batch of");
    evil_free(v);

    v = evil_up(); /* says zstd, is not */
    data_begin(&d, 0);
    data_item(&d, envelope(mem, QR_MSG_ADMIN, 1, 2, 1, 0), QR_ITEM_ZSTD);
    say(v, QR_FRAME_DATA, d.p, d.len);
    thrown_out(v, QR_ERR_MALFORMED, "packed message");
    evil_free(v);
}

/* A message of `type` with n zero bytes of payload, packed. */
static qr_view
packed(struct qr_zip *z, enum qr_msg type, uint64_t seq, size_t n, uint8_t *out)
{
    uint8_t *payload = qr_alloc(n), *mem = qr_alloc(n + QR_WIRE_HEADER_MAX);
    struct qr_envelope e = {.type = type, .from = 1, .to = 2, .seq = seq, .payload = {payload, n}};
    struct qr_buf w = qr_buf_over(mem, n + QR_WIRE_HEADER_MAX);
    assert_int_equal(qr_wire_encode(&e, &w), QR_OK);
    size_t len = qr_zip_pack(z, qr_buf_view(&w), out);
    assert_true(len > 0 && len < 1000);
    qr_free(payload);
    qr_free(mem);
    return qr_view_of(out, len);
}

static void
zeros(struct rig_party *p, struct qr_msg_in *m)
{
    (void)p;
    assert_int_equal(m->payload.p[m->payload.len - 1], 0);
}

static void
packed_items(void **state)
{
    uint8_t *out = qr_alloc(QR_FRAME_MAX);
    struct qr_zip *z = qr_zip_new(3);
    struct data d;
    (void)state;

    struct evil *v = evil_up(); /* allowed */
    v->rig.party[2].on_message = zeros;
    data_begin(&d, 0);
    data_item(&d, packed(z, QR_MSG_ADMIN, 1, 500000, out), QR_ITEM_ZSTD);
    data_item(&d, packed(z, QR_MSG_SIGN_REQUEST, 2, 500000, out), QR_ITEM_ZSTD);
    say(v, QR_FRAME_DATA, d.p, d.len);
    assert_int_equal(v->rig.party[2].of[1].received, 2);
    /* A third in one frame would pass a frame's size: the amplification ends there. */
    data_begin(&d, 0);
    data_item(&d, packed(z, QR_MSG_ADMIN, 3, 500000, out), QR_ITEM_ZSTD);
    data_item(&d, packed(z, QR_MSG_ADMIN, 4, 500000, out), QR_ITEM_ZSTD);
    data_item(&d, packed(z, QR_MSG_ADMIN, 5, 500000, out), QR_ITEM_ZSTD);
    say(v, QR_FRAME_DATA, d.p, d.len);
    thrown_out(v, QR_ERR_TOO_LARGE, "packed message");
    assert_int_equal(v->rig.party[2].of[1].received, 4);
    evil_free(v);

    v = evil_up(); /* a class that is never packed */
    data_begin(&d, 0);
    data_item(&d, packed(z, QR_MSG_PRESIGN2, 1, 5000, out), QR_ITEM_ZSTD);
    say(v, QR_FRAME_DATA, d.p, d.len);
    thrown_out(v, QR_ERR_MALFORMED, "comes packed");
    evil_free(v);
    qr_zip_free(z);
    qr_free(out);
}

static void
bad_acknowledgements(void **state)
{
    struct data d;
    struct evil *v = evil_up();
    (void)state;

    say_number(v, QR_FRAME_ACK, 1); /* nothing was sent */
    thrown_out(v, QR_ERR_MALFORMED, "acknowledges message 1 out of turn");
    evil_free(v);

    v = evil_up(); /* backwards */
    assert_int_equal(rig_send(&v->rig, 2, 1, QR_MSG_PAIR3, 0, 40), 1);
    assert_int_equal(rig_send(&v->rig, 2, 1, QR_MSG_PAIR3, 1, 40), 1);
    evil_run(v, 3);
    say_number(v, QR_FRAME_ACK, 2);
    data_begin(&d, 1);
    data_message(&d, 1, 0);
    say(v, QR_FRAME_DATA, d.p, d.len);
    thrown_out(v, QR_ERR_MALFORMED, "acknowledges message 1 out of turn");
    assert_int_equal(v->rig.party[2].of[1].received, 0);
    evil_free(v);
}

static void
out_of_order_frames(void **state)
{
    struct data d;
    struct evil *v = evil_new();
    (void)state;

    data_begin(&d, 0); /* before RESUME */
    data_message(&d, 1, 0);
    say(v, QR_FRAME_DATA, d.p, d.len);
    thrown_out(v, QR_ERR_STATE, "frame of kind 5 before RESUME");
    assert_int_equal(v->rig.party[2].of[1].ups, 0);
    evil_free(v);

    v = evil_up();
    say_resume(v, 0);
    thrown_out(v, QR_ERR_STATE, "RESUME twice");
    evil_free(v);

    v = evil_new(); /* a fresh pair of boots cannot have received anything */
    say_resume(v, 1);
    thrown_out(v, QR_ERR_STATE, "claims to have received message 1");
    assert_int_equal(v->rig.party[2].of[1].ups, 0);
    evil_free(v);
}

/* What was written is resent byte for byte, from where the peer says, and not from elsewhere. */
static void
resumption(void **state)
{
    struct data d;
    uint8_t first[64];
    struct evil *v = evil_up();
    (void)state;

    data_begin(&d, 0);
    data_message(&d, 1, 0);
    say(v, QR_FRAME_DATA, d.p, d.len);
    assert_int_equal(rig_send(&v->rig, 2, 1, QR_MSG_PAIR3, 0, 40), 1);
    evil_run(v, 3);
    assert_int_equal(v->s.last_kind, QR_FRAME_DATA);
    memcpy(first, v->s.last, sizeof first);
    v->link->ops->close(v->conn, 0);
    evil_run(v, 5);
    assert_int_equal(v->rig.party[2].of[1].downs, 1);
    evil_dial(v);
    assert_int_equal(qr_get64(v->s.last), 1); /* it remembers what it received */
    say_resume(v, 0);
    evil_run(v, 5);
    assert_int_equal(v->rig.party[2].of[1].resumed, 1);
    assert_int_equal(v->s.last_kind, QR_FRAME_DATA);
    assert_memory_equal(v->s.last, first, sizeof first); /* the same bytes */
    say_number(v, QR_FRAME_ACK, 1);
    assert_int_equal(qr_net_queued(v->rig.party[2].net, 1), 0);
    /* Going back behind an acknowledgement, or ahead of what was sent, is a lie. */
    for (uint64_t lie = 0; lie <= 2; lie += 2) {
        v->link->ops->close(v->conn, 0);
        evil_run(v, 5);
        evil_dial(v);
        v->closed = 0;
        say_resume(v, lie);
        thrown_out(v, QR_ERR_STATE, "claims to have received message");
        v->rig.party[2].of[1].why = QR_OK;
        if (lie == 0) {
            evil_dial(v);
        }
    }
    evil_free(v);
}

/* Another connection of the same boot takes over; the old one is told to go. */
static void
takeover(void **state)
{
    struct data d;
    struct evil *v = evil_up();
    (void)state;

    data_begin(&d, 0);
    data_message(&d, 1, 0);
    say(v, QR_FRAME_DATA, d.p, d.len);
    struct qr_chan *old_chan = v->s.chan;
    struct qr_conn *old = v->conn;
    v->s.chan = NULL;
    v->conn = NULL;
    evil_dial(v);
    assert_int_equal(qr_get64(v->s.last), 1);
    assert_int_equal(qr_net_is_up(v->rig.party[2].net, 1), 1);
    say_resume(v, 0);
    assert_int_equal(v->rig.party[2].of[1].ups, 2);
    assert_int_equal(v->rig.party[2].of[1].downs, 0);
    assert_true(old != v->conn);
    data_begin(&d, 0);
    data_message(&d, 2, 1);
    say(v, QR_FRAME_DATA, d.p, d.len);
    assert_int_equal(v->rig.party[2].of[1].received, 2);
    assert_int_equal(qr_link_mem_count(v->rig.mem), 1);
    qr_chan_free(old_chan);
    evil_free(v);
}

static void
ignore(void *ctx, struct qr_conn *c)
{
    (void)ctx;
    (void)c;
}

static void
ignore_close(void *ctx, struct qr_conn *c, qr_err why, const char *text)
{
    unsigned *closed = ctx;
    (void)c;
    (void)why;
    (void)text;
    ++*closed;
}

/* Connections that say nothing are few, do not last, and do not keep a genuine party out. */
static void
squatters(void **state)
{
    struct evil *v = evil_up();
    unsigned closed = 0;
    struct qr_link_events ev = {&closed, evil_accept, ignore, NULL, ignore, ignore_close};
    struct qr_link *silent = qr_link_mem_new(v->rig.mem, &ev);
    const struct qr_net *net = v->rig.party[2].net;
    (void)state;

    for (int i = 0; i < 50; i++) {
        assert_int_equal(silent->ops->dial(silent, "mem://p2", NULL), QR_OK);
        silent->ops->step(silent, v->rig.now);
        evil_tick(v);
        assert_true(net->half_open <= 2 * 3 + 1);
    }
    silent->ops->step(silent, v->rig.now);
    assert_true(closed >= 42);
    assert_non_null(strstr(v->rig.party[2].of[0].detail, "too many connections"));
    v->link->ops->close(v->conn, 0); /* the genuine party has to come again, and does */
    evil_run(v, 5);
    evil_dial(v);
    say_resume(v, 0);
    assert_int_equal(v->rig.party[2].of[1].ups, 2);
    assert_true(net->half_open >= 2);
    rig_run(&v->rig, 10100);
    assert_int_equal(net->half_open, 0);
    silent->ops->step(silent, v->rig.now);
    assert_int_equal(closed, 50);
    assert_non_null(strstr(v->rig.party[2].of[0].detail, "not done after 10 s, in stage: TLS"));
    silent->ops->free(silent);
    evil_free(v);
}

/* The ledger agrees with what crossed the link, to the byte, through all of this. */
struct count {
    uint64_t out, in; /* of party 2 */
};

static int
counting(void *ctx, const char *from, const char *to, uint8_t *bytes, size_t *len)
{
    struct count *c = ctx;
    (void)bytes;
    c->out += strcmp(from, "p2") == 0 ? *len : 0;
    c->in += strcmp(to, "p2") == 0 ? *len : 0;
    return 0;
}

static void
ledger(void **state)
{
    struct rig r;
    struct count c = {0, 0};
    (void)state;

    rig_init(&r, 3);
    *qr_link_mem_faults(r.mem) = (struct qr_link_mem_faults){.ctx = &c, .tamper = counting};
    for (uint16_t i = 1; i <= 3; i++) {
        rig_start(&r, i);
    }
    uint64_t sent = 0;
    for (unsigned i = 0; i < 2000; i++) {
        if (qr_net_is_up(r.party[2].net, 1)) {
            static const enum qr_msg types[] = {QR_MSG_PRESIGN1, QR_MSG_ADMIN, QR_MSG_SIGN_SHARE};
            size_t len = i % 50 == 0 ? 300000 : 8 + i % 997;
            sent += (uint64_t)rig_send(&r, 2, 1, types[i % 3], sent, len);
        }
        while (i % 300 == 299 && qr_link_mem_count(r.mem) > 0) {
            qr_link_mem_cut(r.mem, 0);
        }
        rig_tick(&r, RIG_MS);
        const struct qr_ledger *l = qr_net_ledger(r.party[2].net);
        uint64_t out = qr_ledger_wire(&l->stranger, QR_DIR_OUT);
        uint64_t in = qr_ledger_wire(&l->stranger, QR_DIR_IN);
        for (size_t k = 0; k < l->n; k++) {
            out += qr_ledger_wire(&l->peer[k], QR_DIR_OUT);
            in += qr_ledger_wire(&l->peer[k], QR_DIR_IN);
        }
        if (!r.party[2].net->half_open) { /* counts of lines not yet anybody's are with the line */
            assert_int_equal(out, c.out);
            assert_true(in <= c.in);
        }
    }
    RIG_UNTIL(&r, 5000, r.party[1].of[2].next_number == sent);
    rig_run(&r, 100);
    const struct qr_ledger *a = qr_net_ledger(r.party[2].net), *b = qr_net_ledger(r.party[1].net);
    const struct qr_ledger_peer *to = &a->peer[0], *from = &b->peer[0];
    assert_int_equal(to->index, 1);
    assert_int_equal(from->index, 2);
    uint64_t messages = 0;
    for (size_t k = 0; k < QR_CLASSES_COUNT; k++) { /* each payload byte counted once at each end */
        assert_int_equal(to->class_[k].raw[QR_DIR_OUT], from->class_[k].raw[QR_DIR_IN]);
        assert_int_equal(to->class_[k].messages[QR_DIR_OUT], from->class_[k].messages[QR_DIR_IN]);
        messages += to->class_[k].messages[QR_DIR_OUT];
    }
    assert_int_equal(messages, sent);
    const struct qr_ledger_row *presign = &to->class_[QR_CLASSES_PRESIGN];
    const struct qr_ledger_row *control = &to->class_[QR_CLASSES_CONTROL];
    assert_true(presign->wire[QR_DIR_OUT] >= presign->raw[QR_DIR_OUT]); /* resends come on top */
    assert_true(control->wire[QR_DIR_OUT] < control->raw[QR_DIR_OUT]);  /* packed */
    assert_true(to->connects >= 4 && to->resumes == to->connects - 1);
    assert_true(to->tcpip_estimate[QR_DIR_OUT] >= qr_ledger_wire(to, QR_DIR_OUT) / 1448 * 52);
    rig_free(&r);
}

/* A run of presigning: what TLS, frames and envelopes add. */
static void
overhead(void **state)
{
    struct rig r;
    uint64_t payload = 0, n = 0;
    (void)state;

    rig_init(&r, 2);
    rig_start(&r, 1);
    rig_start(&r, 2);
    RIG_UNTIL(&r, 100, rig_all_up(&r));
    for (int batch = 0; batch < 30; batch++) {
        assert_int_equal(rig_send(&r, 1, 2, QR_MSG_PRESIGN1, n++, QR_PRESIGN1_LEN(16)), 1);
        assert_int_equal(rig_send(&r, 2, 1, QR_MSG_PRESIGN1, (uint64_t)batch, 13648), 1);
        rig_run(&r, 10);
        assert_int_equal(rig_send(&r, 1, 2, QR_MSG_PRESIGN2, n++, QR_PRESIGN2_LEN(16)), 1);
        payload += QR_PRESIGN1_LEN(16) + QR_PRESIGN2_LEN(16);
        rig_run(&r, 40);
    }
    const struct qr_ledger_peer *p = &qr_net_ledger(r.party[1].net)->peer[0];
    uint64_t wire = qr_ledger_wire(p, QR_DIR_OUT);
    assert_int_equal(p->class_[QR_CLASSES_PRESIGN].raw[QR_DIR_OUT], payload);
    print_message("%.3f %% over the payload, the handshake included\n",
                  100.0 * (double)(wire - payload) / (double)payload);
    assert_true(wire - payload <= payload / 50);
    rig_free(&r);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(well_behaved),
        cmocka_unit_test(wrong_direction),
        cmocka_unit_test(gap),
        cmocka_unit_test(duplicates),
        cmocka_unit_test(attack_26_somebody_elses_name),
        cmocka_unit_test(bad_items),
        cmocka_unit_test(packed_items),
        cmocka_unit_test(bad_acknowledgements),
        cmocka_unit_test(out_of_order_frames),
        cmocka_unit_test(resumption),
        cmocka_unit_test(takeover),
        cmocka_unit_test(squatters),
        cmocka_unit_test(ledger),
        cmocka_unit_test(overhead),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
