#include "test/daemon/anomaly_life.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <sodium.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

#include "daemon/party_int.h"
#include "daemon/stamp.h"
#include "test/common/testrng.h"
#include "test/common/tmpdir.h"
#include "test/daemon/anomaly_mem.h"
#include "test/sim/disk.h"

#define WALL0 1800000000000u
#define TAKEN_MAX 4096

struct host {
    int alive;
    struct tmpdir keys;
    struct qr_tee tee;     /* of the machine: outlives processes */
    struct qr_testrng rng; /* of the process */
    unsigned boots;
    struct qr_store *store;
    struct qr_party *party;
    char listen[16], cloud[16];
};

/* The last answer, copied out of the callback. */
struct reply {
    uint64_t to;
    int there, is_signed;
    qr_err error;
    char text[QR_KEYJSON_MAX + 1]; /* detail or json */
    size_t n;
    struct qr_answer_sig sig[4];
};

static struct {
    const struct life_plan *plan;
    struct life_report *report;
    struct host host[LIFE_N + 1];
    struct qr_link_mem_net *net;
    EVP_PKEY *admin, *client;
    uint64_t now, wall_ms, next_ask;
    struct reply reply;
    uint8_t pk[33];
    unsigned commands, requests;
    char said[512]; /* the last warning or error of the log */
    uint8_t taken[TAKEN_MAX][32];
    size_t n_taken;
    int reused;
} life;

/* What must be back to what it was when all parties are gone. */
struct held {
    size_t bytes, blocks, locked, sql;
    long json;
};

static struct held
held(void)
{
    struct held h = {.sql = (size_t)sqlite3_memory_used(), .json = anomaly_json_blocks()};
    size_t unlocked = 0;
    qr_alloc_stats(&h.bytes, &h.blocks);
    qr_locked_stats(&h.locked, &unlocked);
    return h;
}

/* Shares: no presignature goes into two. */

qr_err __real_qr_sign_share(const struct qr_sign_common *c, const uint8_t *digest,
                            uint16_t item_index, struct qr_presig *presig, uint8_t *ret_share,
                            struct qr_sign_item *item);
qr_err __wrap_qr_sign_share(const struct qr_sign_common *c, const uint8_t *digest,
                            uint16_t item_index, struct qr_presig *presig, uint8_t *ret_share,
                            struct qr_sign_item *item);

qr_err
__wrap_qr_sign_share(const struct qr_sign_common *c, const uint8_t *digest, uint16_t item_index,
                     struct qr_presig *presig, uint8_t *ret_share, struct qr_sign_item *item)
{
    uint8_t h[32];

    if (presig->set_mask != 0) {
        qr_sha256(qr_view_of((const uint8_t *)presig, sizeof *presig), h);
        for (size_t i = 0; i < life.n_taken; i++) {
            life.reused |= memcmp(life.taken[i], h, 32) == 0;
        }
        if (life.n_taken < TAKEN_MAX) {
            memcpy(life.taken[life.n_taken++], h, 32);
        }
    }
    return __real_qr_sign_share(c, digest, item_index, presig, ret_share, item);
}

/* The world. */

struct qr_link_mem_net *
life_net(void)
{
    return life.net;
}

static void
on_log(void *ctx, const char *line, size_t len)
{
    (void)ctx;
    int was = anomaly_in(0);
    if (getenv("LIFE_LOG")) {
        (void)fprintf(stderr, "%llu %.*s\n", (unsigned long long)(life.now / MS), (int)len, line);
    }
    if (memmem(line, len, "\"warn\"", 6) || memmem(line, len, "\"error\"", 7)) {
        (void)snprintf(life.said, sizeof life.said, "%.*s", (int)len, line);
    }
    (void)anomaly_in(was);
}

static struct qr_link *
new_link(void *ctx, const struct qr_link_events *ev)
{
    struct qr_link *l = qr_link_mem_new(life.net, ev);
    size_t i = (size_t)((struct host *)ctx - life.host);
    return l && life.plan->link ? life.plan->link(life.plan->ctx, i, l) : l;
}

static void
on_answer(void *ctx, uint64_t to, const struct qr_answer *a)
{
    struct reply *r = &life.reply;
    const qr_view v = a->error != QR_OK ? a->detail : a->json;
    int was = anomaly_in(0);

    (void)ctx;
    if (to == r->to) {
        assert_int_equal(r->there, 0); /* one answer for every ask */
        r->there = 1;
        r->error = a->error;
        r->is_signed = a->is_signed;
        r->n = a->is_signed ? a->sgn.n_sigs : 0;
        assert_true(r->n <= 4 && v.len < sizeof r->text);
        for (size_t i = 0; i < r->n; i++) {
            r->sig[i] = a->sgn.sigs[i];
        }
        (void)snprintf(r->text, sizeof r->text, "%.*s", (int)v.len, (const char *)v.p);
    }
    (void)anomaly_in(was);
}

/* A sentence that ends before it told anything. */
static int
says_nothing(const char *text)
{
    size_t n = strlen(text);
    return n == 0 || text[n - 1] == ' ' || text[n - 1] == ':';
}

static int
boot(size_t i)
{
    struct host *h = &life.host[i];
    struct qr_party_cfg cfg = {.listen = h->listen,
                               .cloud = h->cloud,
                               .operator_name = "test",
                               .pool_low = 1,
                               .pool_high = 4,
                               .batch = 4,
                               .sign_timeout_ms = 500};
    struct qr_party_env env = {.tee = &h->tee,
                               .rng = qr_testrng_rng(&h->rng),
                               .new_link = new_link,
                               .new_link_ctx = h,
                               .answer = on_answer};
    char err[512] = "", seed[32];
    int fresh = 0;

    (void)snprintf(seed, sizeof seed, "life %zu boot %u", i, h->boots++);
    qr_testrng_seed(&h->rng, seed);
    (void)anomaly_in(1);
    qr_err e =
        qr_store_open(sim_disk_path((unsigned)i), &h->tee, &h->store, &fresh, err, sizeof err);
    if (e == QR_OK) {
        env.store = h->store;
        e = qr_party_new(&cfg, &env, life.now, life.wall_ms, &h->party, err, sizeof err);
        if (e != QR_OK) {
            h->store = qr_store_close(h->store);
        }
    }
    (void)anomaly_in(0);
    h->alive = e == QR_OK;
    if (e != QR_OK) {
        if (says_nothing(err)) {
            fail_msg("party %zu did not start (%s) and said nothing: \"%s\"", i, qr_err_name(e),
                     err);
        }
        (void)snprintf(life.said, sizeof life.said, "%s: %.400s", qr_err_name(e), err);
    }
    return h->alive;
}

/* crash: its disk is told first, so that nothing is tidied up. */
static void
stop(size_t i, int crash)
{
    struct host *h = &life.host[i];

    if (crash) {
        sim_disk_crash((unsigned)i, life.now, SIM_DISK_SOME);
    }
    (void)anomaly_in(1);
    h->party = qr_party_free(h->party);
    h->store = qr_store_close(h->store);
    (void)anomaly_in(0);
    h->alive = 0;
}

static void
note(const char *stage, const char *said)
{
    struct life_report *r = life.report;
    if (!r->stage[0]) {
        (void)snprintf(r->stage, sizeof r->stage, "%s", stage);
        (void)snprintf(r->said, sizeof r->said, "%s", said);
    }
}

/* Starts party i, again if it has to be. */
static void
start(size_t i)
{
    for (unsigned k = 0; !boot(i); k++) {
        note("start", life.said);
        life.report->starts++;
        if (sim_disk_is_cut((unsigned)i)) {
            sim_disk_crash((unsigned)i, life.now, SIM_DISK_SOME);
        }
        if (k == 1 && life.plan->mend) {
            life.plan->mend(life.plan->ctx);
        }
        if (k >= 3) {
            fail_msg("party %zu does not start: %s", i, life.said);
        }
    }
}

/* 1 ms, or 10 once it is quiet for long. */
static void
turn(unsigned turns_before)
{
    uint64_t ms = turns_before < 500 ? 1 : 10;
    life.now += ms * MS;
    life.wall_ms += ms;
    for (size_t i = 1; i <= LIFE_N; i++) {
        struct host *h = &life.host[i];
        int more = h->alive;
        for (unsigned k = 0; k < 64 && more; k++) {
            (void)anomaly_in(1);
            more = qr_party_step(h->party, life.now, life.wall_ms);
            (void)anomaly_in(0);
        }
        if (h->alive && sim_disk_is_cut((unsigned)i)) {
            note("cut", "the disk's power was cut");
            life.report->starts++;
            stop(i, 1);
            start(i);
        }
    }
}

static int
until(int (*holds)(void), uint64_t ms)
{
    uint64_t end = life.now + ms * MS;
    for (unsigned k = 0; life.now < end; k++) {
        if (holds()) {
            return 1;
        }
        turn(k);
    }
    return holds();
}

/* Asking. */

static void
ask(size_t i, int admin, struct qr_ask *a, EVP_PKEY *key, const char *text)
{
    static char stamp[QR_STAMP_MAX];

    assert_int_equal(qr_stamp_sign(key, qr_view_str(text), stamp, sizeof stamp), QR_OK);
    a->body = qr_view_str(text);
    a->n_stamps = 1;
    a->stamps[0] = qr_view_str(stamp);
    life.reply = (struct reply){.to = ++life.next_ask};
    (void)anomaly_in(1);
    qr_party_ask(life.host[i].party, admin, life.next_ask, a);
    (void)anomaly_in(0);
}

static int
replied(void)
{
    return life.reply.there;
}

/* Every ask is answered, and a refusal says something. */
static int
wait_reply(const char *what, uint64_t ms)
{
    if (!until(replied, ms)) {
        fail_msg("%s: no answer within %llu ms; last heard: %s", what, (unsigned long long)ms,
                 life.said);
    }
    if (life.reply.error != QR_OK) {
        if (says_nothing(life.reply.text)) {
            fail_msg("%s failed (%s) and said nothing: \"%s\"", what, qr_err_name(life.reply.error),
                     life.reply.text);
        }
        (void)snprintf(life.said, sizeof life.said, "%s: %.400s", qr_err_name(life.reply.error),
                       life.reply.text);
    }
    return life.reply.error == QR_OK;
}

static void
key_hex(EVP_PKEY *key, char out[67])
{
    struct qr_stamp_key k;
    assert_int_equal(qr_stamp_key_of(key, &k), QR_OK);
    qr_hex_encode(qr_view_of(k.b, 33), out);
}

static const char *
cluster_id(void)
{
    return "c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1";
}

/* The stages. Each returns 1 when done, and may be called again when it is not. */

static int
stage_start(void)
{
    for (size_t i = 1; i <= LIFE_N; i++) {
        if (!life.host[i].alive) {
            start(i);
        }
    }
    return 1;
}

static int
load(enum qr_admin what, const char *doc)
{
    for (size_t i = 1; i <= LIFE_N; i++) {
        struct qr_ask a = {.what = QR_ASK_ADMIN, .admin = what};
        ask(i, 1, &a, life.admin, doc);
        if (!wait_reply("loading a document", 1000)) {
            return 0;
        }
    }
    return 1;
}

static int
stage_documents(void)
{
    char doc[8192], hex[67];
    size_t at = (size_t)snprintf(doc, sizeof doc,
                                 "{\"v\":1,\"type\":\"quorate/roster\",\"cluster\":\"%s\","
                                 "\"name\":\"test\",\"serial\":1,\"parties\":[",
                                 cluster_id());
    for (size_t i = 1; i <= LIFE_N; i++) {
        char id[65];
        qr_hex_encode(qr_view_of(life.host[i].party->id, 32), id);
        at += (size_t)snprintf(doc + at, sizeof doc - at,
                               "%s{\"index\":%zu,\"identity\":\"%s\",\"address\":\"%s\","
                               "\"cloud\":\"%s\",\"operator\":\"test\",\"tee\":\"sim\"}",
                               i > 1 ? "," : "", i, id, life.host[i].listen, life.host[i].cloud);
    }
    key_hex(life.admin, hex);
    (void)snprintf(doc + at, sizeof doc - at,
                   "],\"admins\":{\"need\":1,\"keys\":[{\"name\":\"admin\",\"scheme\":\"p256\","
                   "\"key\":\"%s\"}]}}",
                   hex);
    if (!load(QR_ADMIN_LOAD_ROSTER, doc)) {
        return 0;
    }
    key_hex(life.client, hex);
    (void)snprintf(doc, sizeof doc,
                   "{\"v\":1,\"type\":\"quorate/policy\",\"cluster\":\"%s\",\"serial\":1,"
                   "\"peers\":{\"insecure_sim\":true},\"requests\":{\"clients\":[{\"name\":\"ops\","
                   "\"scheme\":\"p256\",\"key\":\"%s\"}],\"rules\":[{\"id\":\"all\",\"effect\":"
                   "\"allow\",\"clients\":[\"*\"],\"keys\":[\"*\"],\"kinds\":[\"sha256\"]}]}}",
                   cluster_id(), hex);
    return load(QR_ADMIN_LOAD_POLICY, doc);
}

static int
all_linked(void)
{
    for (uint16_t i = 1; i <= LIFE_N; i++) {
        for (uint16_t j = 1; j <= LIFE_N; j++) {
            if (i != j && !qr_pairs_active(life.host[i].party, j)) {
                return 0;
            }
        }
    }
    return 1;
}

static int
stage_link(void)
{
    return until(all_linked, 35000);
}

static int
stage_keygen(void)
{
    char text[512];
    struct qr_ask a = {.what = QR_ASK_ADMIN, .admin = QR_ADMIN_COMMAND};
    struct qr_key_pub pub;
    uint16_t bad = 0;

    (void)snprintf(text, sizeof text,
                   "{\"v\":1,\"type\":\"quorate/command\",\"cluster\":\"%s\",\"id\":"
                   "\"keygen-number-%05u\",\"issued_ms\":%llu,\"expires_ms\":%llu,\"cmd\":"
                   "\"keygen\",\"t\":%u}",
                   cluster_id(), life.commands++, (unsigned long long)life.wall_ms,
                   (unsigned long long)life.wall_ms + 60000, LIFE_T);
    ask(1, 1, &a, life.admin, text);
    if (!wait_reply("key generation", 40000)) {
        return 0;
    }
    assert_int_equal(qr_keyjson_parse(qr_view_str(life.reply.text), &pub), QR_OK);
    assert_int_equal(qr_key_check(&pub, &bad), QR_OK);
    memcpy(life.pk, pub.pk, 33);
    return 1;
}

/* Party 1 has something to spend, of the key that was made last. */
static int
pool_filled(void)
{
    struct qr_party *p = life.host[1].party;
    size_t at = 0;
    struct qr_key *k = qr_state_find_key(p, life.pk, &at);
    struct qr_pool_id id = {.owner = 1};

    if (!k) {
        return 0;
    }
    memcpy(id.key_id, k->pub.key_id, 32);
    for (uint16_t mask = 1; mask < 1u << LIFE_N; mask++) {
        id.set_mask = mask;
        if (qr_pool_ready(p->pool, &id) >= 4) {
            return 1;
        }
    }
    return 0;
}

static int
stage_pool(void)
{
    return until(pool_filled, 35000);
}

static int
sign_at(size_t i)
{
    static char text[1024];
    char key[67];
    struct qr_ask a = {.what = QR_ASK_SIGN};
    qr_pt pk;

    life.requests++;
    qr_hex_encode(qr_view_of(life.pk, 33), key);
    (void)snprintf(text, sizeof text,
                   "{\"v\":1,\"cluster\":\"%s\",\"key\":\"%s\",\"id\":\"request-number-%05u\","
                   "\"issued_ms\":%llu,\"expires_ms\":%llu,\"path\":[],\"items\":[{\"kind\":"
                   "\"sha256\",\"preimage\":\"%064x\"}]}",
                   cluster_id(), key, life.requests, (unsigned long long)life.wall_ms,
                   (unsigned long long)life.wall_ms + 60000, life.requests);
    /* the first time, and once more the very same bytes, as a client that was told 503 may do */
    for (unsigned k = 0; k < 2; k++) {
        ask(i, 0, &a, life.client, text);
        if (!wait_reply("a signature", 15000)) {
            if (k == 0) {
                note("sign", life.said);
                life.report->retries++;
            }
            continue;
        }
        assert_int_equal(life.reply.is_signed, 1);
        assert_int_equal(life.reply.n, 1);
        assert_int_equal(qr_pt_parse(&pk, life.pk), QR_OK);
        assert_int_equal(qr_ecdsa_verify(&pk, life.reply.sig[0].digest, life.reply.sig[0].rs),
                         QR_OK);
        return 1;
    }
    return 0;
}

static int
stage_sign_1(void)
{
    return sign_at(1);
}

static int
stage_sign_2(void)
{
    return sign_at(2);
}

struct known {
    uint64_t serial[LIFE_N + 1], boot[LIFE_N + 1];
};

static struct known
known_of(size_t i)
{
    struct known k = {{0}, {0}};
    for (size_t j = 1; j <= LIFE_N; j++) {
        k.serial[j] = life.host[i].party->peer[j].store_serial;
        k.boot[j] = life.host[i].party->peer[j].boot_counter;
    }
    return k;
}

/* A new process knows of its peers' stores what the old one knew. */
static void
check_known(size_t i, const struct known *before)
{
    const struct known now = known_of(i);
    for (size_t j = 1; j <= LIFE_N; j++) {
        assert_true(now.serial[j] >= before->serial[j] && now.boot[j] >= before->boot[j]);
    }
}

static int
stage_restart(void)
{
    const struct known before = known_of(2);
    int writable = !life.host[2].party->store_failed;

    stop(2, 0);
    start(2);
    if (writable) {
        check_known(2, &before);
    }
    return 1;
}

static const struct {
    const char *name;
    int (*go)(void);
} script[] = {
    {"start", stage_start},      {"documents", stage_documents}, {"link", stage_link},
    {"keygen", stage_keygen},    {"pool", stage_pool},           {"sign", stage_sign_1},
    {"restart", stage_restart},  {"link again", stage_link},     {"sign again", stage_sign_2},
    {"sign last", stage_sign_1},
};

/* By itself or on repetition; else all parties are started anew, which must help. */
static void
play(size_t s)
{
    for (unsigned k = 0;; k++) {
        if (script[s].go()) {
            return;
        }
        if (!life.said[0]) {
            fail_msg("%s failed and nothing was said", script[s].name);
        }
        note(script[s].name, life.said);
        if (k == 2 && life.report->restarts == 0) {
            life.report->restarts++;
            if (life.plan->mend) {
                life.plan->mend(life.plan->ctx);
            }
            for (size_t i = 1; i <= LIFE_N; i++) {
                stop(i, 0);
                start(i);
            }
            if (s > 2) {
                (void)stage_link();
            }
        } else if (k > 5 || (k > 2 && life.report->restarts == 0)) {
            fail_msg("%s: no recovery after a restart; first: %s; last: %s", script[s].name,
                     life.report->said, life.said);
        } else {
            life.report->retries++;
        }
    }
}

static void
begin(const struct life_plan *plan, struct life_report *ret)
{
    *ret = (struct life_report){0};
    life.plan = plan;
    life.report = ret;
    life.now = 1000 * SECOND;
    life.wall_ms = WALL0;
    life.said[0] = 0;
    life.n_taken = 0;
    life.requests = life.commands = 0;
    sim_disk_init(1);
    life.net = qr_link_mem_net_new();
    assert_non_null(life.net);
    for (size_t i = 1; i <= LIFE_N; i++) {
        life.host[i].boots = 0;
    }
    if (plan->arm) {
        plan->arm(plan->ctx);
    }
}

static void
finish(const struct held *before)
{
    for (size_t i = 1; i <= LIFE_N; i++) {
        stop(i, 0);
    }
    qr_link_mem_net_free(life.net);
    life.net = NULL;
    struct held after = held();
    if (memcmp(before, &after, sizeof after) != 0) {
        fail_msg(
            "left behind: heap %zd bytes in %zd blocks, locked %zd, jansson %ld blocks, SQLite "
            "%zd bytes",
            (ssize_t)(after.bytes - before->bytes), (ssize_t)(after.blocks - before->blocks),
            (ssize_t)(after.locked - before->locked), after.json - before->json,
            (ssize_t)(after.sql - before->sql));
    }
}

void
life_run(const struct life_plan *plan, struct life_report *ret)
{
    const struct held before = held();

    begin(plan, ret);
    for (size_t s = 0; s < sizeof script / sizeof script[0]; s++) {
        play(s);
    }
    for (size_t i = 1; i <= LIFE_N; i++) {
        const struct qr_party *p = life.host[i].party;
        for (uint16_t j = 1; j <= LIFE_N; j++) {
            assert_int_equal(qr_pairs_retired(p, (uint16_t)i, j), 0);
        }
        assert_true(p->c.retired == 0);
    }
    assert_int_equal(life.reused, 0);
    assert_true(life.n_taken >= 3 * LIFE_T && life.n_taken < TAKEN_MAX);
    finish(&before);
}

unsigned
life_starts(const struct life_plan *plan, int (*next)(void *ctx))
{
    const struct held before = held();
    struct life_report report;
    unsigned refused = 0;

    begin(plan, &report);
    for (size_t s = 0; s < 3; s++) {
        play(s);
    }
    assert_true(until(all_linked, 1000));
    const struct known known = known_of(2);
    stop(2, 0);
    const struct held down = held();
    while (next(plan->ctx)) {
        if (boot(2)) {
            check_known(2, &known);
            stop(2, 0);
        } else {
            refused++;
        }
        const struct held now = held();
        assert_memory_equal(&down, &now, sizeof now);
    }
    start(2);
    finish(&before);
    return refused;
}

void
life_reopen(void)
{
    char why[512];
    for (size_t i = 1; i <= LIFE_N; i++) {
        if (qr_tee_sim_open(life.host[i].keys.path, &life.host[i].tee, why, sizeof why) != QR_OK) {
            fail_msg("%s", why);
        }
    }
}

int
life_setup(void **state)
{
    char why[512];

    (void)state;
    qr_log_init(QR_LOG_INFO, QR_LOG_JSON);
    qr_log_sink(on_log, NULL);
    if (qr_hash_init() != QR_OK || qr_stamp_init() != QR_OK) {
        return -1;
    }
    life.admin = EVP_EC_gen("P-256");
    life.client = EVP_EC_gen("P-256");
    for (size_t i = 1; i <= LIFE_N; i++) {
        struct host *h = &life.host[i];
        (void)snprintf(h->listen, sizeof h->listen, "mem://p%zu", i);
        (void)snprintf(h->cloud, sizeof h->cloud, "cloud-%zu", i);
        tmpdir_new(&h->keys);
        if (qr_tee_sim_open(h->keys.path, &h->tee, why, sizeof why) != QR_OK) {
            return -1;
        }
    }
    return life.admin && life.client ? 0 : -1;
}

int
life_teardown(void **state)
{
    (void)state;
    sim_disk_reset();
    for (size_t i = 1; i <= LIFE_N; i++) {
        qr_tee_close(&life.host[i].tee);
        tmpdir_remove(&life.host[i].keys);
    }
    EVP_PKEY_free(life.admin);
    EVP_PKEY_free(life.client);
    qr_log_sink(NULL, NULL);
    return 0;
}
