/*
 * A whole party between two attested peers, a host and time.
 *
 * Three parties of one quorum (t = 2) are prepared once: linked, one key, pools filled. Party 1 is the
 * one that is tested; 2 and 3 run the same code, and the script is the part of them that lies: it
 * holds, changes, repeats, drops, moves and invents what they send, asks what a gateway or an operator
 * may ask, cuts links, restarts parties, fills the store, and moves the clocks.
 *
 * Must hold: every signature that is answered verifies; no presignature is used twice, in two requests
 * of party 1 or in two shares that it gives, restarts included; no pair is retired while nobody lied;
 * every question is answered exactly once; the heap stays bounded; every log line is one JSON object.
 */
#include "protocol/derive.h"
#include "test/common/cluster.h"
#include "test/common/quorum.h"
#include "test/fuzz/kit.h"
#include "test/fuzz/kit_world.h"

#include <limits.h>
#include <stdio.h>

#define REQUESTS 12 /* that the policy allows, then some that it must refuse */
#define REFUSED 5
#define ASKS 512
#define USED_MAX 4096
#define HEAP_MORE                                                                                  \
    (48u * 1024u * 1024u) /* queues, early messages, answers; a machine is locked memory */

static struct cluster c;
static uint8_t pk[33], child[2][33]; /* the key; itself and its child 7 */
static char body[REQUESTS + REFUSED][2048], stamp[REQUESTS + REFUSED][QR_STAMP_MAX];
static struct qr_request *request; /* parsed */
static char command[3][512], command_stamp[3][QR_STAMP_MAX];
static char roster_stamp[QR_STAMP_MAX], policy_stamp[QR_STAMP_MAX];
static size_t heap_before;
static uint64_t ask_next = 1, ask_first = 1; /* of the process that party 1 is now */
static uint8_t answered[ASKS];
static uint8_t used[USED_MAX][QR_PRESIG_ID_LEN];
static size_t n_used;
static uint8_t sids[8][32]; /* of what was sent lately */
static unsigned n_sids;
static int lied;

static struct qr_party *
victim(void)
{
    return c.p[1].party;
}

/* ---- what must hold ------------------------------------------------------------------------- */

static void
use(const uint8_t *id)
{
    for (size_t i = 0; i < n_used; i++) {
        FUZZ_MUST(memcmp(used[i], id, QR_PRESIG_ID_LEN) != 0); /* a presignature used twice */
    }
    FUZZ_MUST(n_used < USED_MAX);
    memcpy(used[n_used++], id, QR_PRESIG_ID_LEN);
}

static void
on_commit(const struct world_msg *m)
{
    struct qr_ctl_sign s;
    struct qr_ctl_share a;

    memcpy(sids[n_sids++ % 8], m->in.sid, 32);
    if (m->in.from != 1) {
        return;
    }
    if (m->in.type == QR_MSG_SIGN_REQUEST) {
        FUZZ_MUST(qr_ctl_get_sign(m->in.payload, &s) == QR_OK);
        for (size_t i = 0; i < s.n; i++) {
            use(s.presig_ids + i * QR_PRESIG_ID_LEN);
        }
    } else if (m->in.type == QR_MSG_SIGN_SHARE) {
        FUZZ_MUST(qr_ctl_get_share(m->in.payload, &a) == QR_OK);
        const struct world_msg *q = world.delivering;
        FUZZ_MUST(q && q->in.type == QR_MSG_SIGN_REQUEST && q->in.from == m->to);
        FUZZ_MUST(a.code != 0 || qr_ctl_get_sign(q->in.payload, &s) == QR_OK);
        for (size_t i = 0; a.code == 0 && i < s.n; i++) {
            use(s.presig_ids + i * QR_PRESIG_ID_LEN);
        }
    }
}

static void
check_signed(const struct qr_answer_signed *s)
{
    size_t known = 0;
    for (size_t k = 0; k < REQUESTS; k++) {
        const struct qr_request *r = &request[k];
        if (memcmp(r->hash, s->request, 32) != 0) {
            continue;
        }
        FUZZ_MUST(memcmp(s->key, pk, 33) == 0 && s->n_sigs == r->n_items && s->n_signers == 2);
        for (size_t i = 0; i < s->n_sigs; i++) {
            FUZZ_MUST(memcmp(s->sigs[i].digest, r->items[i].digest, 32) == 0);
            FUZZ_MUST(quorum_openssl_verify(child[r->depth > 0], s->sigs[i].digest, s->sigs[i].rs));
        }
        known++;
    }
    FUZZ_MUST(known == 1); /* a request that nobody stamped was answered */
}

static void
on_answer(void *ctx, uint64_t to, const struct qr_answer *a)
{
    struct qr_dbuf d;
    struct qr_answer *copy = NULL;

    (void)ctx;
    FUZZ_MUST(to >= ask_first && to < ask_next && !answered[to]);
    answered[to] = 1;
    /* what the party says can be said, and is understood */
    qr_dbuf_init(&d, QR_ANSWER_FRAME_MAX + 4);
    FUZZ_MUST(qr_answer_put(&d, a) == QR_OK);
    FUZZ_MUST(qr_answer_decode(qr_view_of(d.p + 4, d.len - 4), &copy) == QR_OK);
    if (copy->is_signed && copy->error == QR_OK) {
        check_signed(&copy->sgn);
    }
    copy = qr_answer_free(copy);
    qr_dbuf_free(&d);
}

/* ---- preparation ---------------------------------------------------------------------------- */

static void
make_requests(void)
{
    char why[QR_ERR_TEXT_MAX], id[32];

    request = calloc(REQUESTS, sizeof *request);
    FUZZ_MUST(request);
    for (unsigned k = 0; k < REQUESTS; k++) {
        (void)snprintf(id, sizeof id, "fuzzed-request-%04u", k);
        cluster_body(&c, pk, id, k % 3 == 2 ? "7" : "", 1 + k % 3, "sha256", body[k],
                     sizeof body[k]);
        (void)snprintf(stamp[k], sizeof stamp[k], "%s",
                       (const char *)cluster_stamp(c.client, body[k], 0).p);
        FUZZ_MUST(qr_request_parse(qr_view_str(body[k]), &request[k], why, sizeof why) == QR_OK);
    }
}

/* Well stamped, and not to be signed: another cluster, key or kind, a used id, too long a life. */
static void
make_refused(void)
{
    static const char *const from[REFUSED] = {"\"cluster\":\"c", "\"key\":\"0", NULL,
                                              "fuzzed-request-9003", "\"expires_ms\":1"};
    static const char *const to[REFUSED] = {"\"cluster\":\"d", "\"key\":\"1", NULL,
                                            "fuzzed-request-0000", "\"expires_ms\":2"};
    char id[32];

    for (unsigned k = 0; k < REFUSED; k++) {
        char *b = body[REQUESTS + k];
        (void)snprintf(id, sizeof id, "fuzzed-request-%04u", 9000 + k);
        cluster_body(&c, pk, id, "", 1, k == 2 ? "digest" : "sha256", b, sizeof body[0]);
        char *at = from[k] ? strstr(b, from[k]) : NULL;
        FUZZ_MUST(at || !from[k]);
        if (at) {
            memcpy(at, to[k], strlen(to[k]));
        }
        (void)snprintf(stamp[REQUESTS + k], sizeof stamp[0], "%s",
                       (const char *)cluster_stamp(c.client, b, 0).p);
    }
}

static void
make_commands(void)
{
    static const char *const what[3] = {"\"keygen\",\"t\":2", "\"keygen\",\"t\":3",
                                        "\"readmit\",\"pair\":[1,2]"};
    char cid[65];

    qr_hex_encode(qr_view_of(c.cluster, 32), cid);
    for (unsigned k = 0; k < 3; k++) {
        (void)snprintf(command[k], sizeof command[k],
                       "{\"v\":1,\"type\":\"quorate/command\",\"cluster\":\"%s\","
                       "\"id\":\"fuzzed-command-%04u\",\"issued_ms\":%llu,\"expires_ms\":%llu,"
                       "\"cmd\":%s}",
                       cid, k, (unsigned long long)c.wall_ms, (unsigned long long)c.wall_ms + 60000,
                       what[k]);
        (void)snprintf(command_stamp[k], QR_STAMP_MAX, "%s",
                       (const char *)cluster_stamp(c.admin, command[k], 0).p);
    }
    (void)snprintf(roster_stamp, QR_STAMP_MAX, "%s",
                   (const char *)cluster_stamp(c.admin, c.roster, 0).p);
    (void)snprintf(policy_stamp, QR_STAMP_MAX, "%s",
                   (const char *)cluster_stamp(c.admin, c.policy, 0).p);
}

static void
prepare(void)
{
    static const uint32_t path[1] = {7};
    qr_pt root, p;
    qr_fq tau;
    size_t blocks;

    fuzz_mute();
    world_init();
    c.cfg = (struct qr_party_cfg){
        .pool_low = 4, .pool_high = 8, .pool_standby = 4, .batch = 4, .sign_timeout_ms = 500};
    cluster_start(&c, 3, NULL);
    cluster_keygen(&c, 2, pk);
    for (int i = 0; i < 400; i++) {
        cluster_turn(&c);
    }
    const struct qr_key_pub *k = &victim()->key[0].key->pub;
    FUZZ_MUST(qr_pt_parse(&root, pk) == QR_OK);
    FUZZ_MUST(qr_derive(&root, k->cc, path, 1, &p, &tau, NULL) == QR_OK);
    memcpy(child[0], pk, 33);
    qr_pt_put(child[1], &p);
    make_requests();
    make_refused();
    make_commands();
    victim()->env.answer = on_answer;
    world.on_commit = on_commit;
    world.held = 1;
    qr_alloc_stats(&heap_before, &blocks);
}

/* ---- the script ----------------------------------------------------------------------------- */

/* Party 1 gets what the others said, time goes on. */
static void
turns(unsigned n)
{
    for (; n > 0; n--) {
        world.release = UINT_MAX;
        cluster_turn(&c);
    }
}

static void
step_victim(void)
{
    (void)qr_party_step(victim(), c.now, c.wall_ms);
}

/* Room for one more question; ids are party 1's answers' addresses. */
static uint64_t
next_ask(void)
{
    FUZZ_MUST(ask_next < ASKS);
    return ask_next++;
}

static void
ask_sign(struct fuzz_in *in, uint8_t how)
{
    unsigned k = fuzz_u8(in) % (REQUESTS + REFUSED);
    char text[2048], st[QR_STAMP_MAX];
    struct qr_ask a = {.what = QR_ASK_SIGN, .n_stamps = 1};

    memcpy(text, body[k], sizeof text);
    memcpy(st, stamp[k], sizeof st);
    if (how & 0x40) {
        fuzz_flip(in, (uint8_t *)text, strlen(text));
    } else if (how & 0x80) {
        fuzz_flip(in, (uint8_t *)st, strlen(st));
    }
    a.body = qr_view_of(text, strlen(body[k]));
    a.stamps[0] = qr_view_of(st, strlen(stamp[k]));
    a.stamps[1] = a.stamps[0];
    a.n_stamps = (how & 0xe0) == 0xe0 ? 0 : 1 + ((how & 0x20) != 0);
    qr_party_ask(victim(), 0, next_ask(), &a);
}

static void
ask_peer(struct fuzz_in *in, uint16_t peer)
{
    unsigned k = fuzz_u8(in) % REQUESTS;
    struct qr_ask a = {.what = QR_ASK_SIGN, .n_stamps = 1};
    a.body = qr_view_str(body[k]);
    a.stamps[0] = qr_view_str(stamp[k]);
    if (c.p[peer].alive) {
        (void)cluster_ask(&c, peer, 0, &a);
    }
}

static void
ask_query(struct fuzz_in *in)
{
    uint8_t k = fuzz_u8(in);
    struct qr_ask a = {.what = QR_ASK_QUERY, .query = (enum qr_query)(1 + k % 9)};
    uint8_t arg[33];
    memcpy(arg, pk, 33);
    if (k & 0x80) {
        fuzz_flip(in, arg, 33);
    }
    a.body = qr_view_of(arg, a.query == QR_QUERY_KEY           ? 33
                             : a.query == QR_QUERY_ATTESTATION ? 32
                                                               : 0);
    qr_party_ask(victim(), k & 1, next_ask(), &a);
}

/* A frame as a hostile gateway would write it. */
static void
ask_frame(struct fuzz_in *in, int admin)
{
    struct qr_ask *a = NULL;
    if (qr_ask_decode(fuzz_bytes(in), &a) == QR_OK) {
        qr_party_ask(victim(), admin, next_ask(), a);
        qr_ask_free(a);
    }
}

static void
ask_admin(struct fuzz_in *in, uint8_t how)
{
    char text[8192], st[QR_STAMP_MAX];
    unsigned k = fuzz_u8(in) % 6;
    struct qr_ask a = {.what = QR_ASK_ADMIN, .n_stamps = 1};
    const char *doc = k < 3 ? command[k] : k == 3 ? c.roster : c.policy;

    if (k == 5) {
        a.admin = QR_ADMIN_DRAIN;
        a.n_stamps = 0;
        qr_party_ask(victim(), how >> 7, next_ask(), &a);
        return;
    }
    (void)snprintf(text, sizeof text, "%s", doc);
    (void)snprintf(st, sizeof st, "%s",
                   k < 3    ? command_stamp[k]
                   : k == 3 ? roster_stamp
                            : policy_stamp);
    if (how & 0x20) {
        fuzz_flip(in, (uint8_t *)text, strlen(text));
    } else if (how & 0x40) {
        fuzz_flip(in, (uint8_t *)st, strlen(st));
    }
    a.admin = k < 3 ? QR_ADMIN_COMMAND : k == 3 ? QR_ADMIN_LOAD_ROSTER : QR_ADMIN_LOAD_POLICY;
    a.body = qr_view_of(text, strlen(doc));
    a.stamps[0] = qr_view_of(st, strnlen(st, sizeof st));
    qr_party_ask(victim(), (how & 0x80) != 0, next_ask(), &a);
}

static const enum qr_msg types[] = {
    QR_MSG_PAIR1,         QR_MSG_PAIR2,        QR_MSG_PAIR3,      QR_MSG_DKG1,
    QR_MSG_DKG2,          QR_MSG_DKG3,         QR_MSG_DKG4,       QR_MSG_PRESIGN1,
    QR_MSG_PRESIGN2,      QR_MSG_SIGN_REQUEST, QR_MSG_SIGN_SHARE, QR_MSG_ADMIN,
    QR_MSG_PRESIGN_START, QR_MSG_ABORT,        QR_MSG_RETIRE,     QR_MSG_STORE_STATE,
    QR_MSG_KEY_SYNC,      QR_MSG_PRESIGN_DONE, (enum qr_msg)200,  QR_MSG_TIME};
#define SECRET_FROM                                                                                \
    251u /* these bytes stand for SECRET_PUT .. SECRET_KEEP: old inputs keep their types */

static void
inject(struct fuzz_in *in, uint16_t from)
{
    uint8_t t = fuzz_u8(in), s = fuzz_u8(in);
    uint8_t sid[32];
    memcpy(sid, sids[s % 8], 32);
    if (s & 0x80) {
        fuzz_flip(in, sid, 32);
    }
    enum qr_msg type = t >= SECRET_FROM ? (enum qr_msg)(QR_MSG_SECRET_PUT + t - SECRET_FROM)
                                        : types[t % (sizeof types / sizeof types[0])];
    qr_view bytes = fuzz_bytes(in);
    uint8_t put[QR_CTL_SECRET_PUT_LEN];
    if (type == QR_MSG_SECRET_PUT && (s & 0x20) && c.p[from].alive) { /* one that can be taken */
        struct qr_piece piece = {
            .name = {.epoch = 1u + (s & 3u), .owner = from, .holder = 1, .need = 1}};
        struct qr_ctl_secret_put m = {.epoch = piece.name.epoch, .keep = s >> 2 & 1, .need = 1};
        struct qr_buf b = qr_buf_over(put, sizeof put);
        memcpy(piece.name.owner_id, c.p[from].id, 32);
        memcpy(piece.y.b, bytes.p, bytes.len < 32 ? bytes.len : 32);
        m.piece = piece.y;
        qr_piece_commitment(&piece, m.commitment);
        qr_ctl_put_secret_put(&b, &m);
        bytes = qr_buf_view(&b);
    }
    world_inject(from, 1, type, (uint32_t)(s >> 6 & 1), sid, bytes);
    lied = 1;
}

/* A request of a peer over presignatures that it owns, or that it only names. */
static void
inject_request(struct fuzz_in *in, uint16_t from, uint8_t how)
{
    unsigned k = fuzz_u8(in) % REQUESTS;
    uint8_t ids[QR_ITEMS_MAX][QR_PRESIG_ID_LEN] = {{0}}, mem[4096];
    uint16_t n = request[k].n_items > 3 ? 3 : (uint16_t)request[k].n_items;
    struct qr_pool_id pool = {.set_mask = (uint16_t)(1u | 1u << (from - 1)), .owner = from};
    struct qr_buf b = qr_buf_over(mem, sizeof mem);

    memcpy(pool.key_id, victim()->key[0].key->pub.key_id, 32);
    if (!c.p[from].alive || qr_pool_choose(c.p[from].party->pool, &pool, n, ids) != QR_OK) {
        return;
    }
    if (how & 0x20) {
        memcpy(ids[n - 1], ids[0], QR_PRESIG_ID_LEN);
    }
    if (how & 0x40) {
        fuzz_flip(in, ids[0], QR_PRESIG_ID_LEN);
    }
    struct qr_ctl_sign m = {.attempt = fuzz_u8(in),
                            .set_mask = how & 0x80 ? fuzz_u16(in) : pool.set_mask,
                            .n = n,
                            .presig_ids = ids[0],
                            .body = qr_view_str(body[k]),
                            .stamp = {qr_view_str(stamp[k])},
                            .n_stamps = 1};
    qr_ctl_put_sign(&b, &m);
    FUZZ_MUST(b.err == QR_OK);
    world_inject(from, 1, QR_MSG_SIGN_REQUEST, 0, request[k].hash, qr_buf_view(&b));
    lied = 1;
}

/* Control messages in good form and bad faith, of an attested peer. */
static void
lie(struct fuzz_in *in, uint16_t from, uint8_t how)
{
    uint8_t mem[4096], sid[32] = {0}, shares[3 * QR_SIGN_SHARE_LEN] = {0};
    const struct qr_key_pub *key = &victim()->key[0].key->pub;
    struct qr_buf b = qr_buf_over(mem, sizeof mem);
    enum qr_msg type = QR_MSG_KEY_SYNC;
    unsigned k = how >> 3 & 3u;

    lied = 1;
    switch (how & 7) {
    case 0: {
        struct qr_ctl_key m = {.tell = k != 0, .n = key->n, .confirm = key->confirm[0]};
        memcpy(m.key_id, key->key_id, 32);
        qr_ctl_put_key(&b, &m);
        break;
    }
    case 1: /* a true notice: it retires its pair with party 1, or with the other */
        if (c.p[from].alive && c.p[from].party->net) {
            qr_pairs_retire(c.p[from].party, k & 1 ? 1 : (uint16_t)(5 - from));
        }
        return;
    case 2: {
        struct qr_ctl_start m = {.set_mask = (uint16_t)(1u | 1u << (from - 1)),
                                 .B = (uint16_t)(4 * (1 + k)),
                                 .ctr = 1000 + fuzz_u8(in)};
        memcpy(m.key_id, key->key_id, 32);
        qr_ctl_put_start(&b, &m);
        type = QR_MSG_PRESIGN_START;
        break;
    }
    case 3: {
        struct qr_ctl_store m = {.boot_counter = fuzz_u8(in), .serial = fuzz_u8(in)};
        qr_ctl_put_store(&b, &m);
        type = QR_MSG_STORE_STATE;
        break;
    }
    case 4: {
        struct qr_ctl_admin m = {.body = qr_view_str(command[k % 3]),
                                 .stamp = {qr_view_str(command_stamp[k % 3])},
                                 .n_stamps = 1};
        qr_ctl_put_admin(&b, &m);
        type = QR_MSG_ADMIN;
        break;
    }
    case 5: {
        unsigned r = fuzz_u8(in) % REQUESTS;
        struct qr_ctl_share m = {
            .attempt = 1 + k, .n = (uint16_t)request[r].n_items, .shares = shares};
        memcpy(sid, request[r].hash, 32);
        qr_ctl_put_share(&b, &m);
        type = QR_MSG_SIGN_SHARE;
        break;
    }
    case 7: { /* a set-up that was not asked for */
        struct qr_party *v = victim();
        struct qr_pair_params prm = {.self = 1, .peer = from, .attempt = v->peer[from].attempt + k};
        if (!v->net || !qr_net_info(v->net, from)) {
            return;
        }
        memcpy(prm.id_self, v->id, 32);
        memcpy(prm.id_peer, c.p[from].id, 32);
        memcpy(prm.nonce_self, v->boot_nonce, 32);
        memcpy(prm.nonce_peer, qr_net_info(v->net, from)->boot_nonce, 32);
        qr_pair_make_sid(&prm, sid);
        static uint8_t pair1[QR_PAIR1_LEN];
        world_inject(from, 1, how & 0x20 ? QR_MSG_PAIR2 : QR_MSG_PAIR1, 0, sid,
                     qr_view_of(pair1, sizeof pair1));
        return;
    }
    default:
        memcpy(sid, sids[k], 32);
        qr_buf_put16(&b, (uint16_t)(1 + (how >> 6)));
        type = QR_MSG_ABORT;
    }
    FUZZ_MUST(b.err == QR_OK);
    if (how & 0x40) {
        fuzz_flip(in, mem, b.len);
    }
    size_t len = how & 0x80 ? fuzz_u8(in) % (b.len + 1) : b.len;
    world_inject(from, 1, type, 0, sid, qr_view_of(mem, len));
}

/* The oldest message from `from` to party 1. */
static void
meddle(struct fuzz_in *in, uint16_t from, uint8_t how)
{
    struct world_msg *m = world_take(from, 1);
    if (!m) {
        return;
    }
    switch (how & 7) {
    case 0:
        qr_free(m); /* never said */
        return;
    case 1:
        world_put_back(from, 1, m);
        world_inject(from, 1, m->in.type, m->in.epoch, m->in.sid, m->in.payload);
        return;
    case 2:
        from = (uint16_t)(5 - from); /* said by the other one */
        break;
    case 3:
        m->in.payload.len = fuzz_u32(in) % (m->len + 1);
        break;
    case 4:
        fuzz_flip(in, m->in.sid, 32);
        break;
    case 5:
        m->in.type = types[fuzz_u8(in) % (sizeof types / sizeof types[0])];
        break;
    default:
        for (unsigned k = how >> 5; k < 8; k += 3) {
            fuzz_flip(in, m->p, m->len);
        }
    }
    world_put_back(from, 1, m);
    lied = 1;
}

static void
restart(uint16_t i)
{
    cluster_kill(&c, i);
    world.put_ok =
        UINT_MAX; /* a start on a full device is refused, and then nobody is there to fuzz */
    cluster_boot(&c, i);
    if (i == 1) {
        victim()->env.answer = on_answer;
        ask_first = ask_next; /* the old process owes nobody an answer any more */
    }
}

static void
op(struct fuzz_in *in)
{
    uint8_t o = fuzz_u8(in);
    uint16_t peer = (uint16_t)(2 + (o >> 7));

    switch (o & 31) {
    case 0:
    case 1:
        turns(1 + (o >> 5));
        break;
    case 2:
        turns(20u * (1 + (o >> 5)));
        break;
    case 3: /* the others go on, party 1 hears nothing */
        world.release = 0;
        cluster_turn(&c);
        break;
    case 4:
        world.release = 1 + (o >> 5);
        step_victim();
        break;
    case 5:
    case 6:
    case 7:
    case 8:
        meddle(in, peer, fuzz_u8(in));
        break;
    case 9:
    case 10:
        inject(in, peer);
        break;
    case 11:
    case 12:
        inject_request(in, peer, o);
        break;
    case 13:
    case 14:
    case 15:
        ask_sign(in, o);
        break;
    case 16:
    case 17:
        ask_peer(in, peer);
        break;
    case 18:
        ask_query(in);
        break;
    case 19:
        ask_frame(in, o >> 5 & 1);
        break;
    case 20:
    case 21:
        ask_admin(in, fuzz_u8(in));
        break;
    case 22:
        world.cut[1][peer] = world.cut[peer][1] = o >> 5 & 1;
        break;
    case 23:
        restart(peer);
        break;
    case 24:
        restart(1);
        break;
    case 25:
        world.reserve_ok = o & 0x40 ? UINT_MAX : o >> 5 & 1;
        break;
    case 26:
        world.put_ok = o & 0x40 ? UINT_MAX : o >> 5 & 1;
        break;
    case 27:
        c.now += (uint64_t)fuzz_u8(in) * 250 * MS;
        break;
    case 28: /* the wall clock, either way */
        c.wall_ms = (uint64_t)((int64_t)c.wall_ms + (int64_t)(int8_t)fuzz_u8(in) * 5000);
        break;
    case 29:
    case 30:
        lie(in, peer, fuzz_u8(in));
        break;
    default:
        step_victim();
    }
}

static void
run(const uint8_t *data, size_t size)
{
    struct fuzz_in in = fuzz_in_of(data, size);

    for (unsigned n = 0; n < 96 && in.len > 0; n++) {
        op(&in);
        fuzz_heap_below(heap_before + HEAP_MORE);
    }
    for (uint16_t i = 1; i <= 3; i++) {
        for (uint16_t j = (uint16_t)(i + 1); j <= 3; j++) {
            FUZZ_MUST(lied || !qr_pairs_retired(victim(), i, j));
        }
    }
    /* Alone, with time: every question gets its answer. */
    memset(world.cut, 1, sizeof world.cut);
    for (unsigned k = 0; k < 40; k++) {
        c.now += SECOND;
        step_victim();
    }
    for (uint64_t i = ask_first; i < ask_next; i++) {
        FUZZ_MUST(answered[i]);
    }
    FUZZ_MUST(qr_sign_running(victim()) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!request) {
        fuzz_prepare(1);
        prepare();
        fuzz_prepare(0);
    }
    fuzz_child(run, data, size);
    return 0;
}
