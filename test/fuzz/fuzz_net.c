/*
 * A net before a stranger and before an attested peer that writes what it likes.
 *
 * Prepared once: party 2's net with one connection of party 1, a genuine channel in the script's hands:
 * before RESUME, or up; and a stranger's connection. The script writes frames of any kind, DATA frames
 * with envelopes built or changed, bytes of the stranger, lets party 2 send, cuts, dials again, and
 * moves the clock. Must hold: what is delivered comes from party 1, is of its process, and its numbers
 * rise by one; nothing before up; a stranger never gets up; the heap stays bounded.
 */
#include "proto/wire.h"
#include "protocol/base/hash.h"
#include "protocol/base/mem.h"
#include "test/common/chanrig.h"
#include "test/fuzz/kit.h"
#include "transport/link_mem.h"

#define MS UINT64_C(1000000)
#define HEAP_MORE (QR_PEER_QUEUE_MAX + 16u * QR_FRAME_MAX)

static struct qr_link_mem_net *mem;
static struct qr_net *net;
static struct test_identity id2;
static struct test_attester attester2;
static struct side peer; /* party 1 */
static struct qr_link *link1;
static struct qr_conn *conn, *stranger;
static uint64_t now = 1000 * MS, next_seq, sent_seq, my_seq = 1;
static unsigned ups, downs, messages;
static int is_up, prepared;
static size_t heap_before;
static uint8_t boot[32];

/* ---- party 2 -------------------------------------------------------------------------------- */

static void
on_up(void *ctx, const struct qr_peer_info *info)
{
    (void)ctx;
    FUZZ_MUST(info->index == 1);
    if (!info->resumed) {
        next_seq = 1;
    }
    memcpy(boot, info->boot_nonce, 32);
    is_up = 1;
    ups++;
}

static void
on_down(void *ctx, uint16_t from, qr_err why, const char *detail)
{
    (void)ctx;
    FUZZ_MUST(from == 1 && is_up && why != QR_OK);
    fuzz_text(detail, 1024);
    is_up = 0;
    downs++;
}

static void
on_refused(void *ctx, uint16_t from, qr_err why, const char *detail)
{
    (void)ctx;
    FUZZ_MUST(from <= 1 && why != QR_OK && detail[0]);
    fuzz_text(detail, 1024);
}

static void
on_message(void *ctx, struct qr_msg_in *m)
{
    (void)ctx;
    FUZZ_MUST(is_up && m->from == 1 && m->seq == next_seq);
    FUZZ_MUST(qr_wire_type_known((uint32_t)m->type) && m->payload.len <= QR_WIRE_PAYLOAD_MAX);
    next_seq++;
    messages++;
}

static void
store_state(void *ctx, uint64_t *serial, uint8_t root[32])
{
    (void)ctx;
    *serial = 9;
    memset(root, 9, 32);
}

static qr_err
check_store(void *ctx, uint16_t from, uint64_t boot_counter, uint64_t serial,
            const uint8_t root[32])
{
    (void)ctx;
    (void)boot_counter;
    FUZZ_MUST(from == 1);
    return serial == 9 && root[0] == 9 ? QR_OK : QR_ERR_ROLLBACK;
}

static struct qr_link *
new_link(void *ctx, const struct qr_link_events *ev)
{
    (void)ctx;
    return qr_link_mem_new(mem, ev);
}

/* ---- party 1's link ------------------------------------------------------------------------- */

static void
flush(void)
{
    while (conn && peer.chan && qr_chan_out(peer.chan).len > 0) {
        size_t n = link1->ops->send(conn, qr_chan_out(peer.chan));
        if (n == 0) {
            return;
        }
        qr_chan_sent(peer.chan, n);
    }
}

static void *
p1_accept(void *ctx, struct qr_conn *x)
{
    (void)ctx;
    (void)x;
    return NULL;
}

static void
p1_open(void *ctx, struct qr_conn *x)
{
    (void)ctx;
    if (x->user == &stranger) {
        stranger = x;
    } else {
        conn = x;
        flush();
    }
}

static void
p1_data(void *ctx, struct qr_conn *x, qr_view v)
{
    (void)ctx;
    if (x == conn && peer.chan && peer.dead == QR_OK) {
        peer.dead = qr_chan_input(peer.chan, v);
        flush();
    }
}

static void
p1_room(void *ctx, struct qr_conn *x)
{
    (void)ctx;
    (void)x;
    flush();
}

static void
p1_close(void *ctx, struct qr_conn *x, qr_err why, const char *text)
{
    (void)ctx;
    (void)why;
    (void)text;
    conn = x == conn ? NULL : conn;
    stranger = x == stranger ? NULL : stranger;
}

static void
tick(uint64_t ms)
{
    link1->ops->step(link1, now);
    qr_net_step(net, now);
    link1->ops->step(link1, now);
    qr_net_step(net, now);
    now += ms * MS;
}

/* A new connection with a handshake to its end. */
static void
dial(void)
{
    if (conn) {
        link1->ops->close(conn, 0);
    }
    for (int i = 0; i < 4 && conn; i++) {
        tick(1);
    }
    side_open(&peer, QR_ROLE_CLIENT, 2);
    FUZZ_MUST(link1->ops->dial(link1, "mem://p2", NULL) == QR_OK);
    for (int i = 0; i < 40 && peer.dead == QR_OK && !peer.ready; i++) {
        tick(1);
    }
}

static void
frame(unsigned kind, qr_view body)
{
    if (!conn || peer.dead != QR_OK || !peer.ready) {
        return;
    }
    if (qr_chan_begin(peer.chan, kind, QR_CLASSES_CONTROL, body.len) == QR_OK &&
        qr_chan_write(peer.chan, QR_CLASSES_CONTROL, body) == QR_OK) {
        FUZZ_MUST(qr_chan_push(peer.chan) == QR_OK);
    }
    flush();
}

static struct qr_chain chain; /* what party 1 knows of its last connection */

static void
resume(uint64_t seq)
{
    uint8_t b[QR_RESUME_LEN], fresh[32];
    if (!conn || peer.dead != QR_OK || !peer.ready) {
        return;
    }
    FUZZ_MUST(qr_chan_secret(peer.chan, fresh) == QR_OK);
    qr_put64(b, seq);
    qr_chain_say(&chain, 1, b + 8);
    qr_chain_start(&chain, fresh);
    frame(QR_FRAME_RESUME, qr_view_of(b, sizeof b));
}

static void
prepare(void)
{
    struct qr_net_params prm;
    struct qr_net_events ev = {NULL,       on_up,       on_down,    on_refused,
                               on_message, store_state, check_store};
    struct qr_link_events lev = {NULL, p1_accept, p1_open, p1_data, p1_room, p1_close};
    char err[256];
    size_t blocks;

    FUZZ_MUST(qr_hash_init() == QR_OK);
    mem = qr_link_mem_net_new();
    FUZZ_MUST(mem);
    attester2.measurement[0] = 0x11;
    test_params(&prm, &id2, &attester2, 2, 2, "mem://p%u", 0, 1);
    prm.new_link = new_link;
    FUZZ_MUST(qr_net_new(&prm, &ev, &net, err, sizeof err) == QR_OK);
    side_init(&peer, 1);
    memcpy(peer.env.own.cluster, prm.cluster, 32);
    memcpy(peer.env.own.roster_hash, prm.roster_hash, 32);
    memcpy(peer.env.own.policy_hash, prm.policy_hash, 32);
    peer.env.own.roster_serial = prm.roster_serial;
    peer.env.own.policy_serial = prm.policy_serial;
    link1 = qr_link_mem_new(mem, &lev);
    FUZZ_MUST(link1 && link1->ops->dial(link1, "mem://p2", &stranger) == QR_OK);
    dial();
    FUZZ_MUST(peer.ready && stranger && conn);
    qr_alloc_stats(&heap_before, &blocks);
}

/* ---- the script ----------------------------------------------------------------------------- */

/* One item of a DATA frame: an envelope as party 1 would write it, but for what the script changes. */
static void
item(struct fuzz_in *in, struct qr_buf *out, uint8_t how)
{
    static const enum qr_msg types[] = {QR_MSG_PAIR1,    QR_MSG_SIGN_REQUEST, QR_MSG_ABORT,
                                        QR_MSG_PRESIGN2, QR_MSG_ADMIN,        QR_MSG_STORE_STATE};
    uint8_t bytes[1024], packed[1024], longer[600];
    struct qr_buf b = qr_buf_over(bytes, sizeof bytes);
    struct qr_envelope e = {.type = types[(how & 7) % 6], .from = 1, .to = 2, .seq = my_seq};
    size_t n = 0;

    e.payload = fuzz_bytes(in);
    e.payload.len = e.payload.len < 512 ? e.payload.len : 512;
    if (how & 64) { /* long enough for packing */
        for (size_t i = 0; i < sizeof longer; i++) {
            longer[i] = e.payload.len ? e.payload.p[i % e.payload.len] : 'a';
        }
        e.payload = qr_view_of(longer, sizeof longer);
    }
    if (how & 8) {
        e.seq = fuzz_u8(in);
    }
    if (how & 16) {
        e.from = 1 + fuzz_u8(in) % 16;
    }
    if (qr_wire_encode(&e, &b) != QR_OK) {
        return;
    }
    my_seq = e.seq + 1;
    if (how & 32) {
        fuzz_flip(in, bytes, b.len);
    }
    qr_view v = qr_buf_view(&b);
    if (how & 64) {
        n = qr_zip_pack(peer.env.zip, v, packed);
        v = n ? qr_view_of(packed, n) : v;
        if (n && how & 128) {
            fuzz_flip(in, packed, n);
        }
    }
    qr_buf_put32(out, (uint32_t)v.len | (n ? QR_ITEM_ZSTD : 0));
    qr_buf_put(out, v.p, v.len);
}

static void
data_frame(struct fuzz_in *in, uint8_t op)
{
    uint8_t body[8192];
    struct qr_buf b = qr_buf_over(body, sizeof body);
    qr_buf_put64(&b, op & 0x10 ? fuzz_u8(in) : sent_seq); /* the acknowledgement */
    for (unsigned k = 1 + (op >> 5); k > 0 && b.len < 4096; k--) {
        item(in, &b, fuzz_u8(in));
    }
    frame(QR_FRAME_DATA, qr_buf_view(&b));
}

static void
op(struct fuzz_in *in)
{
    static const uint8_t sid[32] = {0x51};
    uint8_t o = fuzz_u8(in);
    uint8_t b[8];
    qr_view v;

    switch (o & 15) {
    case 0:
    case 1:
    case 2:
        data_frame(in, o);
        break;
    case 3:
        frame((unsigned)(o >> 4), fuzz_bytes(in));
        break;
    case 4:
        frame((unsigned)(o >> 4) | QR_FRAME_ZSTD, fuzz_bytes(in));
        break;
    case 5: /* acknowledgements, resumptions, pings with a number */
        qr_put64(b, fuzz_u8(in));
        frame(QR_FRAME_RESUME + (o >> 4) % 6u, qr_view_of(b, sizeof b));
        break;
    case 6:
        resume(o >> 4);
        break;
    case 7:
        if (is_up && qr_net_send(net, 1, QR_MSG_ABORT, 0, sid, fuzz_bytes(in)) == QR_OK) {
            sent_seq++;
        }
        break;
    case 8:
        v = fuzz_bytes(in);
        if (stranger) {
            (void)link1->ops->send(stranger, v);
        }
        break;
    case 9: /* bytes that are not TLS on the good connection */
        v = fuzz_bytes(in);
        if (conn) {
            (void)link1->ops->send(conn, v);
        }
        break;
    case 10: {
        static unsigned dials;
        if (dials++ < 3) {
            peer.env.own.boot_counter += o >> 7;
            peer.env.own.boot_nonce[1] += o >> 6 & 1;
            dial();
        }
        break;
    }
    case 11:
        now += (uint64_t)fuzz_u8(in) * 100 * MS;
        tick(1);
        break;
    case 12:
        if (conn) {
            link1->ops->close(conn, o >> 7);
        }
        break;
    case 13: {
        uint8_t hash[32] = {0x42};
        qr_net_set_policy(net, hash, 8, 0, 0);
        break;
    }
    default:
        tick(1 + (o >> 4));
    }
}

static void
run(const uint8_t *data, size_t size)
{
    struct fuzz_in in = fuzz_in_of(data, size);

    if (fuzz_u8(&in) & 1) {
        resume(0);
        tick(1);
        FUZZ_MUST(is_up);
    }
    for (unsigned n = 0; n < 64 && in.len > 0; n++) {
        op(&in);
        tick(1);
        fuzz_heap_below(heap_before + HEAP_MORE);
        FUZZ_MUST(ups >= downs && (ups > downs) >= is_up);
    }
    for (int i = 0; i < 30; i++) {
        tick(1000);
    }
    qr_net_free(net);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!prepared) {
        fuzz_prepare(1);
        prepare();
        prepared = 1;
        fuzz_prepare(0);
    }
    fuzz_child(run, data, size);
    return 0;
}
