#include "test/common/cluster.h"

#include "daemon/party_audit_int.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <openssl/ec.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/stamp.h"
#include "transport/link_mem.h"

#define WALL0 1800000000000u

static struct qr_link *
new_link(void *ctx, const struct qr_link_events *ev)
{
    const struct cluster_how *how = ctx;
    return how && how->mem ? qr_link_mem_new(how->mem, ev) : qr_link_sock_new(ev);
}

static void
on_answer(void *ctx, uint64_t to, const struct qr_answer *a)
{
    struct cluster *c = ctx;
    struct qr_dbuf d;
    struct qr_answer *copy = NULL;
    qr_dbuf_init(&d, QR_ANSWER_FRAME_MAX + 4);
    assert_int_equal(qr_answer_put(&d, a), QR_OK);
    assert_int_equal(qr_answer_decode(qr_view_of(d.p + 4, d.len - 4), &copy), QR_OK);
    qr_dbuf_free(&d);
    size_t slot = to % 64;
    c->answer[slot] = qr_answer_free(c->answer[slot]);
    c->answer[slot] = copy;
}

static void
cloud_of(const struct cluster *c, size_t i, char *out, size_t cap)
{
    if (c->how && c->how->cloud[i]) {
        (void)snprintf(out, cap, "%s", c->how->cloud[i]);
    } else {
        (void)snprintf(out, cap, "cloud-%zu", i);
    }
}

static void
address_of(const struct cluster *c, size_t i, char out[static QR_ADDRESS_MAX])
{
    if (c->how && c->how->mem) {
        (void)snprintf(out, QR_ADDRESS_MAX, "mem://p%zu", i);
    } else {
        (void)snprintf(out, QR_ADDRESS_MAX, "unix://%s/link.sock", c->p[i].dir);
    }
}

static uint64_t
wall_of(const struct cluster *c, size_t i)
{
    return c->wall_ms + (uint64_t)c->skew_ms[i];
}

void
cluster_boot(struct cluster *c, size_t i)
{
    struct cluster_party *x = &c->p[i];
    char err[512] = "", path[160], address[QR_ADDRESS_MAX], cloud[16];
    (void)snprintf(path, sizeof path, "%s/store.db", x->dir);
    address_of(c, i, address);
    cloud_of(c, i, cloud, sizeof cloud);
    int fresh = 0;
    assert_int_equal(qr_tee_sim_open(x->dir, &x->tee, err, sizeof err), QR_OK);
    if (c->how && c->how->box) {
        c->how->box(c->how->box_ctx, i, &x->tee);
    }
    qr_err e = qr_store_open(path, &x->tee, &x->store, &fresh, err, sizeof err);
    if (e != QR_OK) {
        fail_msg("store: %s", err);
    }
    struct qr_party_cfg cfg = c->cfg;
    cfg.listen = strdup(address);
    cfg.cloud = strdup(cloud);
    cfg.operator_name = "test";
    struct qr_party_env env = {.tee = &x->tee,
                               .roots = c->how ? c->how->roots : NULL,
                               .store = x->store,
                               .rng = qr_tee_rng(&x->tee),
                               .new_link = new_link,
                               .new_link_ctx = (void *)(uintptr_t)c->how,
                               .answer = on_answer,
                               .answer_ctx = c};
    c->running = i;
    e = qr_party_new(&cfg, &env, c->now, wall_of(c, i), &x->party, err, sizeof err);
    c->running = 0;
    if (e != QR_OK) {
        fail_msg("party %zu: %s", i, err);
    }
    memcpy(x->id, x->party->id, 32);
    x->alive = 1;
}

void
cluster_kill(struct cluster *c, size_t i)
{
    struct cluster_party *x = &c->p[i];
    if (x->alive) {
        free((void *)(uintptr_t)x->party->cfg.listen);
        free((void *)(uintptr_t)x->party->cfg.cloud);
        x->party = qr_party_free(x->party);
        x->store = qr_store_close(x->store);
        x->tee.free(x->tee.ctx);
        x->alive = 0;
        c->paired[i] = 0;
        for (size_t j = 1; j <= c->n; j++) {
            c->paired[j] &= (uint16_t) ~(1u << (i - 1));
        }
    }
}

/* A pair that is marked as retired, in memory alone, is not set up when its line comes up. */
static void
keep_apart(struct cluster *c, size_t i)
{
    for (size_t j = 1; c->how && c->how->no_pairs && j <= c->n; j++) {
        if (j != i && !(c->paired[i] >> (j - 1) & 1)) {
            c->p[i].party->peer[i].retired |= (uint16_t)(1u << (j - 1));
        }
    }
}

static void
step_all(struct cluster *c)
{
    for (size_t i = 1; i <= c->n; i++) {
        if (c->p[i].alive && !c->p[i].frozen) {
            int more = 1;
            c->running = i;
            keep_apart(c, i);
            for (int k = 0; k < 64 && more; k++) {
                more = qr_party_step(c->p[i].party, c->now, wall_of(c, i));
            }
            c->running = 0;
        }
    }
}

/* In place of the gateways: an audit log that is half full is fetched, and what was in it confirmed. */
static void
keep_logs(struct cluster *c)
{
    for (size_t i = 1; i <= c->n && !c->no_fetch; i++) {
        struct qr_party *p = c->p[i].alive ? c->p[i].party : NULL;
        struct qr_audit_head h;
        struct qr_dbuf none;
        uint8_t at[16];
        if (!p || !p->audit->log || qr_audit_room(p->audit->log, QR_AUDIT_BYTES / 2)) {
            continue;
        }
        qr_dbuf_init(&none, 1);
        qr_audit_head(p->audit->log, &h);
        qr_put64(at, h.boot);
        qr_put64(at + 8, h.serial);
        if (qr_audit_query(p, qr_view_of(at, sizeof at), &none) != QR_OK) {
            fail_msg("the audit log of party %zu cannot be fetched", i);
        }
    }
}

void
cluster_turn(struct cluster *c)
{
    c->now += MS;
    c->wall_ms++;
    step_all(c);
    keep_logs(c);
}

void
cluster_jump(struct cluster *c, uint64_t ns, size_t rounds)
{
    c->now += ns;
    c->wall_ms += ns / MS;
    for (size_t i = 0; i < rounds; i++) {
        step_all(c);
    }
}

int
cluster_until(struct cluster *c, size_t turns, int (*cond)(struct cluster *c, void *ctx), void *ctx)
{
    for (size_t k = 0; k < turns; k++) {
        if (cond(c, ctx)) {
            return 1;
        }
        cluster_turn(c);
        if (k % 16 == 15 && !(c->how && c->how->mem)) {
            (void)usleep(200); /* the kernel's sockets need the processor, too */
        }
    }
    return cond(c, ctx);
}

int
cluster_linked(struct cluster *c, void *unused)
{
    (void)unused;
    for (size_t i = 1; i <= c->n; i++) {
        for (uint16_t j = 1; c->p[i].alive && j <= c->n; j++) {
            if (j == i || !c->p[j].alive) {
                continue;
            }
            if (c->how && c->how->no_pairs) {
                if (!qr_net_is_up(c->p[i].party->net, j)) {
                    return 0;
                }
            } else if (!qr_pairs_active(c->p[i].party, j) &&
                       !qr_pairs_retired(c->p[i].party, (uint16_t)i, j)) {
                return 0;
            }
        }
    }
    return 1;
}

static int
paired(struct cluster *c, void *ctx)
{
    uint16_t mask = *(uint16_t *)ctx;
    for (size_t i = 1; i <= c->n; i++) {
        for (uint16_t j = 1; (mask >> (i - 1) & 1) && j <= c->n; j++) {
            if (j != i && (mask >> (j - 1) & 1) && !qr_pairs_active(c->p[i].party, j)) {
                return 0;
            }
        }
    }
    return 1;
}

void
cluster_pairs(struct cluster *c, uint16_t mask)
{
    for (size_t i = 1; i <= c->n; i++) {
        for (size_t j = 1; (mask >> (i - 1) & 1) && j <= c->n; j++) {
            if (j == i || !(mask >> (j - 1) & 1) || (c->paired[i] >> (j - 1) & 1)) {
                continue;
            }
            c->paired[i] |= (uint16_t)(1u << (j - 1));
            c->p[i].party->peer[i].retired &= (uint16_t) ~(1u << (j - 1));
            c->p[i].party->peer[j].begin_at = c->now;
        }
    }
    assert_true(cluster_until(c, 5000, paired, &mask));
}

uint64_t
cluster_ask(struct cluster *c, size_t i, int admin, const struct qr_ask *ask)
{
    uint64_t id = ++c->next_ask;
    c->answer[id % 64] = qr_answer_free(c->answer[id % 64]);
    c->running = i;
    qr_party_ask(c->p[i].party, admin, id, ask);
    c->running = 0;
    return id;
}

const struct qr_answer *
cluster_answer(struct cluster *c, uint64_t id)
{
    return c->answer[id % 64];
}

static int
answered(struct cluster *c, void *ctx)
{
    return cluster_answer(c, *(uint64_t *)ctx) != NULL;
}

const struct qr_answer *
cluster_wait(struct cluster *c, uint64_t id, size_t turns)
{
    (void)cluster_until(c, turns, answered, &id);
    return cluster_answer(c, id);
}

qr_view
cluster_stamp(EVP_PKEY *key, const char *text, unsigned slot)
{
    static char out[4][QR_STAMP_MAX];
    assert_int_equal(qr_stamp_sign(key, qr_view_str(text), out[slot], QR_STAMP_MAX), QR_OK);
    return qr_view_str(out[slot]);
}

static void
key_hex(EVP_PKEY *key, char out[67])
{
    struct qr_stamp_key k;
    assert_int_equal(qr_stamp_key_of(key, &k), QR_OK);
    qr_hex_encode(qr_view_of(k.b, 33), out);
}

static void
load(struct cluster *c, enum qr_admin what, const char *doc)
{
    for (size_t i = 1; i <= c->n; i++) {
        if (!c->p[i].alive) {
            continue;
        }
        struct qr_ask ask = {.what = QR_ASK_ADMIN, .admin = what, .n_stamps = 1};
        ask.body = qr_view_str(doc);
        ask.stamps[0] = cluster_stamp(c->admin, doc, 0);
        const struct qr_answer *a = cluster_answer(c, cluster_ask(c, i, 1, &ask));
        assert_non_null(a);
        if (a->error != QR_OK) {
            fail_msg("load: %.*s", (int)a->detail.len, (const char *)a->detail.p);
        }
    }
}

/* Both documents' texts, from what is known now. */
static void
write_roster(struct cluster *c)
{
    char hex[67], cid[65], idhex[65], cloud[16], address[QR_ADDRESS_MAX];
    const struct cluster_how *how = c->how;
    qr_hex_encode(qr_view_of(c->cluster, 32), cid);
    size_t at = (size_t)snprintf(
        c->roster, sizeof c->roster,
        "{\"v\":1,\"type\":\"quorate/roster\",\"cluster\":\"%s\",\"name\":\"test\","
        "\"serial\":%u,\"parties\":[",
        cid, ++c->roster_serial);
    for (size_t i = 1; i <= c->n; i++) {
        qr_hex_encode(qr_view_of(c->p[i].id, 32), idhex);
        cloud_of(c, i, cloud, sizeof cloud);
        address_of(c, i, address);
        at += (size_t)snprintf(c->roster + at, sizeof c->roster - at,
                               "%s{\"index\":%zu,\"identity\":\"%s\",\"address\":\"%s\","
                               "\"cloud\":\"%s\",\"operator\":\"%s\",\"tee\":\"%s\"}",
                               i > 1 ? "," : "", i, idhex, address, cloud,
                               how && how->operator_name[i] ? how->operator_name[i] : "test",
                               how && how->tee[i] ? how->tee[i] : "sim");
    }
    key_hex(c->admin, hex);
    (void)snprintf(c->roster + at, sizeof c->roster - at,
                   "],\"admins\":{\"need\":1,\"keys\":[{\"name\":\"admin\",\"scheme\":\"p256\","
                   "\"key\":\"%s\"}]}}",
                   hex);
}

static void
write_policy(struct cluster *c, const char *peers)
{
    char hex[67], cid[65];
    const char *rules = c->how ? c->how->rules : NULL;
    qr_hex_encode(qr_view_of(c->cluster, 32), cid);
    key_hex(c->client, hex);
    (void)snprintf(
        c->policy, sizeof c->policy,
        "{\"v\":1,\"type\":\"quorate/policy\",\"cluster\":\"%s\",\"serial\":%u,"
        "\"peers\":%s,\"requests\":{\"clients\":[{\"name\":\"ops\","
        "\"scheme\":\"p256\",\"key\":\"%s\"}],\"rules\":[%s]}}",
        cid, ++c->policy_serial, peers ? peers : "{\"insecure_sim\":true}", hex,
        rules ? rules
              : "{\"id\":\"all\",\"effect\":\"allow\",\"clients\":[\"*\"],\"keys\":[\"*\"],"
                "\"kinds\":[\"sha256\",\"sha256d\",\"eip191\",\"eth_tx\"]}");
}

void
cluster_policy(struct cluster *c, const char *peers)
{
    write_policy(c, peers);
    load(c, QR_ADMIN_LOAD_POLICY, c->policy);
}

static void
make_party(struct cluster *c, size_t i)
{
    char dir[sizeof c->p[i].dir];
    (void)snprintf(dir, sizeof dir, "%s/p%zu", c->dir, i);
    memcpy(c->p[i].dir, dir, sizeof dir);
    assert_int_equal(mkdir(dir, 0700), 0);
    cluster_boot(c, i);
}

void
cluster_grow(struct cluster *c)
{
    assert_true(c->n < QR_MAX_PARTIES);
    make_party(c, ++c->n);
}

void
cluster_roster(struct cluster *c)
{
    write_roster(c);
    load(c, QR_ADMIN_LOAD_ROSTER, c->roster);
    load(c, QR_ADMIN_LOAD_POLICY, c->policy);
}

void
cluster_start_as(struct cluster *c, size_t n, const struct cluster_how *how)
{
    *c = (struct cluster){.n = n,
                          .how = how,
                          .now = 1000 * SECOND,
                          .wall_ms = how && how->wall_ms ? how->wall_ms : WALL0};
    c->cfg = (struct qr_party_cfg){
        .pool_low = 4, .pool_high = 8, .pool_standby = 4, .batch = 4, .sign_timeout_ms = 500};
    if (how && how->no_pool) {
        c->cfg.pool_low = c->cfg.pool_high = c->cfg.pool_standby = 0;
    }
    (void)snprintf(c->dir, sizeof c->dir, "/tmp/quorate-test-XXXXXX");
    assert_non_null(mkdtemp(c->dir));
    c->admin = EVP_EC_gen("P-256");
    c->client = EVP_EC_gen("P-256");
    assert_int_equal(qr_stamp_init(), QR_OK);
    memset(c->cluster, 0xc1, 32);
    for (size_t i = 1; i <= n; i++) {
        make_party(c, i);
    }
    write_roster(c);
    load(c, QR_ADMIN_LOAD_ROSTER, c->roster);
    cluster_policy(c, how ? how->peers : NULL);
    if (!cluster_until(c, 20000, how && how->until ? how->until : cluster_linked, NULL)) {
        fail_msg("the parties did not link");
    }
}

void
cluster_start(struct cluster *c, size_t n, const char *policy_rules)
{
    static struct cluster_how how;
    how = (struct cluster_how){.rules = policy_rules};
    cluster_start_as(c, n, &how);
}

void
cluster_start_apart(struct cluster *c, size_t n, const char *policy_rules)
{
    static struct cluster_how how;
    how = (struct cluster_how){.rules = policy_rules, .no_pairs = 1};
    cluster_start_as(c, n, &how);
}

void
cluster_stop(struct cluster *c)
{
    char cmd[96];
    for (size_t i = 1; i <= c->n; i++) {
        cluster_kill(c, i);
    }
    for (size_t i = 0; i < 64; i++) {
        c->answer[i] = qr_answer_free(c->answer[i]);
    }
    EVP_PKEY_free(c->admin);
    EVP_PKEY_free(c->client);
    (void)snprintf(cmd, sizeof cmd, "rm -rf '%s'", c->dir);
    assert_int_equal(system(cmd), 0);
}

void
cluster_keygen(struct cluster *c, unsigned t, uint8_t ret_pk[33])
{
    char body[512], cid[65];
    static unsigned number;
    qr_hex_encode(qr_view_of(c->cluster, 32), cid);
    (void)snprintf(
        body, sizeof body,
        "{\"v\":1,\"type\":\"quorate/command\",\"cluster\":\"%s\",\"id\":\"keygen-number-%05u\","
        "\"issued_ms\":%llu,\"expires_ms\":%llu,\"cmd\":\"keygen\",\"t\":%u}",
        cid, number++, (unsigned long long)c->wall_ms, (unsigned long long)c->wall_ms + 60000, t);
    struct qr_ask ask = {.what = QR_ASK_ADMIN, .admin = QR_ADMIN_COMMAND, .n_stamps = 1};
    ask.body = qr_view_str(body);
    ask.stamps[0] = cluster_stamp(c->admin, body, 0);
    const struct qr_answer *a = cluster_wait(c, cluster_ask(c, 1, 1, &ask), 20000);
    assert_non_null(a);
    if (a->error != QR_OK) {
        fail_msg("keygen: %.*s", (int)a->detail.len, (const char *)a->detail.p);
    }
    struct qr_key_pub pub;
    uint16_t bad = 0;
    assert_int_equal(qr_keyjson_parse(a->json, &pub), QR_OK);
    assert_int_equal(qr_key_check(&pub, &bad), QR_OK);
    memcpy(ret_pk, pub.pk, 33);
}

void
cluster_body(struct cluster *c, const uint8_t pk[33], const char *id, const char *path, unsigned n,
             const char *kind, char *out, size_t cap)
{
    char cid[65], key[67];
    qr_hex_encode(qr_view_of(c->cluster, 32), cid);
    qr_hex_encode(qr_view_of(pk, 33), key);
    size_t at = (size_t)snprintf(
        out, cap,
        "{\"v\":1,\"cluster\":\"%s\",\"key\":\"%s\",\"id\":\"%s\",\"issued_ms\":%llu,"
        "\"expires_ms\":%llu,\"path\":[%s],\"items\":[",
        cid, key, id, (unsigned long long)c->wall_ms, (unsigned long long)c->wall_ms + 60000, path);
    for (unsigned i = 0; i < n; i++) {
        at += (size_t)snprintf(out + at, cap - at, "%s{\"kind\":\"%s\",\"%s\":\"%064x\"}",
                               i ? "," : "", kind,
                               strcmp(kind, "digest") == 0 ? "digest" : "preimage", i + 1);
    }
    (void)snprintf(out + at, cap - at, "]}");
}

uint64_t
cluster_sign(struct cluster *c, size_t i, const char *body)
{
    struct qr_ask ask = {.what = QR_ASK_SIGN, .n_stamps = 1};
    ask.body = qr_view_str(body);
    ask.stamps[0] = cluster_stamp(c->client, body, 1);
    return cluster_ask(c, i, 0, &ask);
}
