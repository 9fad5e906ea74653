/*
 * Clients: what they want signed, whom they ask, what they make of the answers.
 *
 * A client asks one party, waits, and goes to another one after an error or when its party is gone;
 * the same bytes at first, a new request once those have expired or failed too often. Some requests
 * go to two parties at once, as a nervous client sends them.
 */
#include "test/sim/sim.h"

#include "daemon/stamp.h"
#include "protocol/derive.h"

#include <secp256k1.h>

#define ITEMS 8u
#define ASKS 512u
#define TRIES 14u
#define BODY 4096u

struct op {
    unsigned key, items, tries, host, serial; /* serial: of its body, 0: none yet */
    int twice, ended, good, final;
    uint32_t path;
    uint64_t at; /* next try */
    uint64_t issued_ms;
    char body[BODY];
};

static struct {
    struct op op[SIM_OPS];
    unsigned n_op, serial;
    struct ask {
        uint64_t to, at;
        unsigned host;
        int op;          /* -1: not a request's, -2: must be refused */
        unsigned serial; /* of the body that was sent */
        struct qr_answer *answer;
    } ask[ASKS];
    uint64_t next_to;
    unsigned sending;
    char stamp[4][QR_STAMP_MAX];
    uint8_t (*wanted)[32];
    size_t n_wanted, cap_wanted;
} cl;

/* ---- asking ------------------------------------------------------------------------------ */

qr_view
sim_stamp(EVP_PKEY *key, const char *text, unsigned slot)
{
    if (qr_stamp_sign(key, qr_view_str(text), cl.stamp[slot], QR_STAMP_MAX) != QR_OK) {
        sim_violation("the simulator cannot stamp");
    }
    return qr_view_str(cl.stamp[slot]);
}

static struct ask *
ask_of(uint64_t to)
{
    return &cl.ask[to % ASKS];
}

static uint64_t
ask(unsigned host, int admin, int op, const struct qr_ask *a)
{
    struct sim_host *h = &sim.host[host];
    uint64_t to = ++cl.next_to;
    struct ask *k = ask_of(to);
    k->answer = qr_answer_free(k->answer);
    *k = (struct ask){.to = to, .at = sim.now, .host = host, .op = op, .serial = cl.sending};
    sim.running = h;
    qr_party_ask(h->party, admin, to, a);
    sim.running = NULL;
    return to;
}

uint64_t
sim_ask(unsigned host, int admin, const struct qr_ask *a)
{
    return ask(host, admin, -1, a);
}

const struct qr_answer *
sim_answer(uint64_t to)
{
    return ask_of(to)->to == to ? ask_of(to)->answer : NULL;
}

static uint64_t
wall_ms(void)
{
    return SIM_WALL0 + (sim.now - SIM_EPOCH) / SIM_MS;
}

uint64_t
sim_client_keygen(unsigned host, unsigned t)
{
    char body[512], cid[65];
    qr_hex_encode(qr_view_of(sim.cluster, 32), cid);
    (void)snprintf(
        body, sizeof body,
        "{\"v\":1,\"type\":\"quorate/command\",\"cluster\":\"%s\",\"id\":\"keygen-of-sim-"
        "%05u\",\"issued_ms\":%llu,\"expires_ms\":%llu,\"cmd\":\"keygen\",\"t\":%u}",
        cid, ++cl.serial, (unsigned long long)wall_ms(), (unsigned long long)wall_ms() + 60000, t);
    struct qr_ask a = {.what = QR_ASK_ADMIN, .admin = QR_ADMIN_COMMAND, .n_stamps = 1};
    a.body = qr_view_str(body);
    a.stamps[0] = sim_stamp(sim.admin, body, 0);
    return sim_ask(host, 1, &a);
}

/* ---- requests ---------------------------------------------------------------------------- */

static void
preimage(unsigned serial, unsigned item, char hex[65])
{
    uint8_t b[32] = {0};
    qr_put32(b, serial);
    qr_put32(b + 4, item);
    qr_hex_encode(qr_view_of(b, 32), hex);
}

static void
digest_of(unsigned serial, unsigned item, uint8_t ret[32])
{
    uint8_t b[32] = {0};
    qr_put32(b, serial);
    qr_put32(b + 4, item);
    qr_sha256(qr_view_of(b, 32), ret);
}

static void
want(const uint8_t digest[32])
{
    if (cl.n_wanted == cl.cap_wanted) {
        size_t cap = cl.cap_wanted ? cl.cap_wanted * 2 : 256;
        void *p = qr_realloc(cl.wanted, cap * 32);
        if (!p) {
            return;
        }
        cl.wanted = p;
        cl.cap_wanted = cap;
    }
    memcpy(cl.wanted[cl.n_wanted++], digest, 32);
}

int
sim_client_wanted(const uint8_t digest[32])
{
    for (size_t i = cl.n_wanted; i > 0; i--) {
        if (memcmp(cl.wanted[i - 1], digest, 32) == 0) {
            return 1;
        }
    }
    return 0;
}

static void
write_body(struct op *o, char *out, size_t cap, const char *id_prefix, int skew_ms)
{
    char cid[65], key[67], hex[65], path[24] = "";
    qr_hex_encode(qr_view_of(sim.cluster, 32), cid);
    qr_hex_encode(qr_view_of(sim.pk[o->key], 33), key);
    if (o->path) {
        (void)snprintf(path, sizeof path, "%u", o->path);
    }
    uint64_t from = wall_ms() + (uint64_t)(int64_t)skew_ms;
    size_t at = (size_t)snprintf(
        out, cap,
        "{\"v\":1,\"cluster\":\"%s\",\"key\":\"%s\",\"id\":\"%s-%08u\",\"issued_ms\":%llu,"
        "\"expires_ms\":%llu,\"path\":[%s],\"items\":[",
        cid, key, id_prefix, o->serial, (unsigned long long)from, (unsigned long long)from + 20000,
        path);
    for (unsigned i = 0; i < o->items; i++) {
        preimage(o->serial, i, hex);
        at += (size_t)snprintf(out + at, cap - at, "%s{\"kind\":\"sha256\",\"preimage\":\"%s\"}",
                               i ? "," : "", hex);
    }
    (void)snprintf(out + at, cap - at, "]}");
}

static void
renew(struct op *o)
{
    uint8_t d[32];
    o->serial = ++cl.serial;
    o->issued_ms = wall_ms();
    write_body(o, o->body, sizeof o->body, "request-of-sim", 0);
    for (unsigned i = 0; i < o->items; i++) {
        digest_of(o->serial, i, d);
        want(d);
    }
}

static struct op *
new_op(uint64_t at)
{
    if (cl.n_op == SIM_OPS) {
        return NULL;
    }
    struct op *o = &cl.op[cl.n_op++];
    *o = (struct op){.at = at,
                     .key = (unsigned)sim_below(sim.n_keys),
                     .items = 1 + (unsigned)sim_below(ITEMS),
                     .twice = sim_below(8) == 0,
                     .path = sim_below(4) == 0 ? 1 + (uint32_t)sim_below(1000) : 0,
                     .host = 1 + (unsigned)sim_below(sim.n)};
    return o;
}

void
sim_client_start(void)
{
    for (unsigned i = 0; i < sim.plan->ops; i++) {
        (void)new_op(sim.now + sim_below(sim.plan->end));
    }
}

void
sim_client_burst(unsigned n)
{
    for (unsigned i = 0; i < n && sim.client_start; i++) {
        (void)new_op(sim.now);
    }
}

void
sim_client_final(void)
{
    for (unsigned h = 1; h <= sim.n; h++) {
        for (unsigned k = 0; k < sim.n_keys; k++) {
            struct op *o = sim_cheats(h) ? NULL : new_op(sim.now);
            if (o) {
                o->key = k;
                o->host = h;
                o->final = 1;
                o->twice = 0;
            }
        }
    }
}

static int
askable(unsigned host)
{
    return sim_may_step(&sim.host[host]) && !sim.host[host].draining && sim.host[host].party->net;
}

static void
send(struct op *o, unsigned host)
{
    struct qr_ask a = {.what = QR_ASK_SIGN, .n_stamps = 1, .body = qr_view_str(o->body)};
    a.stamps[0] = sim_stamp(sim.client, o->body, 1);
    sim_trace("ask", host, "op=%u serial=%u", (unsigned)(o - cl.op), o->serial);
    cl.sending = o->serial;
    (void)ask(host, 0, (int)(o - cl.op), &a);
}

static void
try(struct op *o)
{
    unsigned host = o->host;
    for (unsigned i = 0; i < SIM_HOSTS && !askable(host); i++) {
        host = 1 + host % SIM_HOSTS; /* the clone, too, if there is one */
    }
    o->at = sim.now + 12 * SIM_S; /* the client's own patience */
    if (!askable(host) || (o->final && host != o->host)) {
        o->at = sim.now + 300 * SIM_MS;
        return;
    }
    if (o->tries++ >= TRIES) {
        o->ended = 1;
        return;
    }
    if (!o->serial || wall_ms() > o->issued_ms + 15000 || o->tries % 3 == 0) {
        renew(o);
    }
    o->host = host;
    send(o, host);
    unsigned other = 1 + host % sim.n;
    if (o->twice && !o->ended && other != host && askable(other)) {
        send(o, other);
    }
}

void
sim_client_tick(void)
{
    if (!sim.client_start) {
        return;
    }
    for (unsigned i = 0; i < cl.n_op; i++) {
        if (!cl.op[i].ended && cl.op[i].at <= sim.now) {
            try(&cl.op[i]);
        }
    }
}

uint64_t
sim_client_next(void)
{
    uint64_t next = UINT64_MAX;
    for (unsigned i = 0; sim.client_start && i < cl.n_op; i++) {
        if (!cl.op[i].ended && cl.op[i].at < next) {
            next = cl.op[i].at;
        }
    }
    return next;
}

/* Parties that can still serve `host` by themselves: none of these pairs may ever be retired. */
static int
must_sign(const struct op *o)
{
    unsigned honest = sim.n - (sim.plan->cheater != 0);
    return honest >= sim.plan->t[o->key];
}

int
sim_client_done(void)
{
    for (unsigned i = 0; i < cl.n_op; i++) {
        const struct op *o = &cl.op[i];
        if (!o->ended) {
            return 0;
        }
        if (o->final && !o->good && must_sign(o)) {
            sim_violation("after all faults ended party %u did not sign in %u tries", o->host,
                          TRIES);
        }
    }
    return 1;
}

/* ---- answers ----------------------------------------------------------------------------- */

static void
check_signed(const struct op *o, unsigned serial, unsigned host, const struct qr_answer *a)
{
    const secp256k1_context *ctx = secp256k1_context_static;
    uint8_t pk[33], d[32];
    int bad = a->sgn.n_sigs != o->items;
    for (unsigned i = 0; i < o->items && !bad; i++) {
        secp256k1_ecdsa_signature s;
        secp256k1_pubkey p;
        size_t len = sizeof pk;
        const struct qr_answer_sig *g = &a->sgn.sigs[i];
        digest_of(serial, i, d);
        bad = memcmp(d, g->digest, 32) != 0 ||
              !secp256k1_ecdsa_signature_parse_compact(ctx, &s, g->rs);
        memcpy(pk, sim.pk[o->key], 33);
        if (o->path && !bad) {
            qr_pt root, child;
            bad = qr_pt_parse(&root, pk) != QR_OK ||
                  qr_derive(&root, sim.cc[o->key], &o->path, 1, &child, &(qr_fq){0}, NULL) != QR_OK;
            if (!bad) {
                qr_pt_put(pk, &child);
            }
        }
        bad = bad || !secp256k1_ec_pubkey_parse(ctx, &p, pk, len) ||
              !secp256k1_ecdsa_verify(ctx, &s, d, &p);
        if (!bad) {
            sim_watch_signature(sim.host[host].index, a->sgn.request, pk, d, g->rs);
            sim.signatures++;
        }
    }
    if (bad) {
        sim_violation(
            "party %u released a signature that does not verify (request serial %u, %zu items)",
            sim.host[host].index, serial, a->sgn.n_sigs);
    }
}

/* What a client with a good request may be told while things go wrong. */
static int
expected(qr_err e)
{
    switch (e) {
    case QR_ERR_QUORUM:
    case QR_ERR_NO_PRESIGS:
    case QR_ERR_TIMEOUT:
    case QR_ERR_NOT_READY:
    case QR_ERR_DRAINING:
    case QR_ERR_BUSY:
    case QR_ERR_EXPIRED:
    case QR_ERR_NOT_YET_VALID:
    case QR_ERR_POLICY_DENIED: /* a peer with another clock */
        return 1;
    case QR_ERR_KEY_UNKNOWN: /* its confirmations are still on their way, or its disk is an old one */
        return 1;
    default:
        return 0;
    }
}

void
sim_client_on_answer(unsigned host, uint64_t to, const struct qr_answer *a)
{
    struct ask *k = ask_of(to);
    struct qr_dbuf d;
    if (k->to != to || k->host != host || k->answer) {
        sim_violation("party %u answered a question twice, or one it was not asked",
                      sim.host[host].index);
        return;
    }
    qr_dbuf_init(&d, QR_ANSWER_FRAME_MAX + 4);
    if (qr_answer_put(&d, a) != QR_OK ||
        qr_answer_decode(qr_view_of(d.p + 4, d.len - 4), &k->answer) != QR_OK) {
        sim_violation("party %u gave an answer that cannot be encoded", sim.host[host].index);
    }
    qr_dbuf_free(&d);
    sim.answers++;
    if (k->op == -1 || sim.violation[0]) {
        return;
    }
    sim_trace("answer", host, "op=%d error=%d", k->op, (int)a->error);
    if (k->op == -2) {
        sim.refusals += a->error != QR_OK;
        if (a->error == QR_OK && !sim_cheats(sim.host[host].index)) {
            sim_violation("party %u signed what no client may have signed", sim.host[host].index);
        }
        return;
    }
    struct op *o = &cl.op[k->op];
    if (a->error == QR_OK) {
        check_signed(o, k->serial, host, a);
        o->ended = o->good = 1;
        return;
    }
    sim.refusals++;
    if (!expected(a->error)) {
        sim_violation("party %u answered a good request with %s: %.*s", sim.host[host].index,
                      qr_err_name(a->error), (int)a->detail.len, (const char *)a->detail.p);
    }
    if (a->error == QR_ERR_EXPIRED) {
        o->issued_ms = 0; /* a new request next time, as the party says */
    }
    o->at = sim.now + (100 + sim_below(400)) * SIM_MS;
    if (o->final) {
        o->at += 2 * SIM_S; /* a handshake that lost a piece is given up after a while only */
    } else {
        o->host = 1 + (o->host % sim.n);
    }
}

void
sim_client_host_gone(unsigned host)
{
    for (size_t i = 0; i < ASKS; i++) {
        struct ask *k = &cl.ask[i];
        if (k->to && k->host == host && !k->answer) {
            if (k->op >= 0 && !cl.op[k->op].ended) {
                cl.op[k->op].at = sim.now + 200 * SIM_MS; /* the connection broke */
            }
            *k = (struct ask){0};
        }
    }
}

/* Every question has its answer in time; the party's own time, if its host stood still. */
void
sim_client_check(void)
{
    for (size_t i = 0; i < ASKS; i++) {
        const struct ask *k = &cl.ask[i];
        const struct sim_host *h = &sim.host[k->host];
        if (k->to && !k->answer && h->up) {
            uint64_t from = k->at > h->trouble_until ? k->at : h->trouble_until;
            if (sim.now > from + (k->op >= -2 && k->op != -1 ? 15 : 45) * SIM_S) {
                sim_violation("party %u did not answer for %llu s", h->index,
                              (unsigned long long)((sim.now - k->at) / SIM_S));
            }
        }
    }
}

/* ---- requests that nobody may have signed ------------------------------------------------- */

void
sim_client_forge(unsigned host, int variant)
{
    struct op o = {.items = 1, .serial = ++cl.serial, .key = 0};
    char body[BODY];
    struct qr_ask a = {.what = QR_ASK_SIGN, .n_stamps = 1};
    if (!sim.client_start || !askable(host)) {
        return;
    }
    for (unsigned h = 1; h <= SIM_HOSTS; h++) {
        if ((variant == 2 || variant == 5) && sim.host[h].wall_skew_ms != 0) {
            return; /* by that clock it might be good */
        }
    }
    write_body(&o, body, sizeof body, "forgery-of-sim",
               variant == 2   ? -100000 /* too old, too early */
               : variant == 5 ? 100000
                              : 0);
    a.body = qr_view_str(body);
    a.stamps[0] = sim_stamp(variant == 1 ? sim.stranger : sim.client, body, 2);
    if (variant == 0) { /* stamped, then changed */
        body[strlen(body) - 6] ^= 1;
    } else if (variant == 3) { /* of another cluster */
        body[strcspn(body, "c") + 12] = 'd';
        char *c = strstr(body, "c1c1");
        if (c) {
            memcpy(c, "d2", 2);
        }
        a.stamps[0] = sim_stamp(sim.client, body, 2);
    } else if (variant == 4) {
        a.n_stamps = 0;
    }
    sim_trace("forge", host, "variant=%d", variant);
    (void)ask(host, 0, -2, &a);
}
