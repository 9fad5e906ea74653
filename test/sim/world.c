/* Hosts, their clocks and processes, and the run itself: from event to event, no time in between. */
#include "test/sim/disk.h"
#include "test/sim/sim.h"
#include "test/sim/wire.h"

#include "daemon/stamp.h"

#include <openssl/ec.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define SETUP_LIMIT (120 * SIM_S)
#define RUN_LIMIT (120 * SIM_S)  /* after the last fault */
#define LAST_LIMIT (300 * SIM_S) /* a request's tries, each as long as a party may take */
#define STEP_MIN (20 * SIM_US)   /* a step takes at least this long */

struct sim sim;
static char tee_dir[64];

void
sim_violation(const char *fmt, ...)
{
    va_list ap;
    if (sim.violation[0]) {
        return;
    }
    va_start(ap, fmt);
    int n = snprintf(sim.violation, sizeof sim.violation,
                     "at %.6f s: ", (double)(sim.now - SIM_EPOCH) / 1e9);
    (void)vsnprintf(sim.violation + n, sizeof sim.violation - (size_t)n, fmt, ap);
    va_end(ap);
    sim_trace("violation", 0, "%s", sim.violation);
}

void
sim_trace(const char *event, unsigned party, const char *fmt, ...)
{
    char line[512];
    va_list ap;
    int n = snprintf(line, sizeof line, "%llu %s %u ",
                     (unsigned long long)((sim.now - SIM_EPOCH) / 1000), event, party);
    va_start(ap, fmt);
    n += vsnprintf(line + n, sizeof line - (size_t)n, fmt, ap);
    va_end(ap);
    n = n < (int)sizeof line - 1 ? n : (int)sizeof line - 1;
    uint8_t both[32 + sizeof line];
    memcpy(both, sim.digest, 32);
    memcpy(both + 32, line, (size_t)n);
    qr_sha256(qr_view_of(both, 32 + (size_t)n), sim.digest);
    sim.lines++;
    if (sim.trace) {
        fprintf(sim.trace, "%s\n", line);
    }
}

unsigned
sim_self(void)
{
    return sim.running ? (unsigned)(sim.running - sim.host) : 0;
}

int
sim_cheats(unsigned index)
{
    return index != 0 && index == sim.plan->cheater;
}

/* ---- machines and documents -------------------------------------------------------------- */

static void
must(int ok, const char *what)
{
    if (!ok) {
        fprintf(stderr, "simulator: %s\n", what);
        exit(2);
    }
}

/* Locked memory does not live through a fork: this belongs into the seed's own process. */
void
sim_world_open(unsigned n)
{
    char err[512];
    (void)snprintf(tee_dir, sizeof tee_dir, "/tmp/quorate-sim-XXXXXX");
    must(mkdtemp(tee_dir) != NULL, "no folder in /tmp");
    must(qr_hash_init() == QR_OK && qr_stamp_init() == QR_OK, "the crypto libraries do not start");
    for (unsigned h = 1; h <= n; h++) {
        char dir[80], key[120];
        (void)snprintf(dir, sizeof dir, "%s/%u", tee_dir, h);
        must(mkdir(dir, 0700) == 0, dir);
        must(qr_tee_sim_open(dir, &sim.host[h].tee, err, sizeof err) == QR_OK, err);
        (void)snprintf(key, sizeof key, "%s/sim-seal.key", dir);
        (void)unlink(key);
        (void)rmdir(dir);
    }
    (void)rmdir(tee_dir);
    sim.admin = EVP_EC_gen("P-256");
    sim.client = EVP_EC_gen("P-256");
    sim.stranger = EVP_EC_gen("P-256");
    must(sim.admin && sim.client && sim.stranger, "no P-256 keys");
}

static void
key_hex(EVP_PKEY *key, char out[67])
{
    struct qr_stamp_key k;
    must(qr_stamp_key_of(key, &k) == QR_OK, "a stamp key");
    qr_hex_encode(qr_view_of(k.b, 33), out);
}

void
sim_make_doc(enum sim_doc which, unsigned serial, char *out, size_t cap)
{
    char cid[65], hex[67], id[65];
    qr_hex_encode(qr_view_of(sim.cluster, 32), cid);
    if (which == SIM_POLICY) {
        char secret[48] = "";
        if (sim.plan->secret) {
            (void)snprintf(secret, sizeof secret, ",\"peer_secret\":{\"threshold\":%u}",
                           sim.plan->secret);
        }
        key_hex(sim.client, hex);
        (void)snprintf(out, cap,
                       "{\"v\":1,\"type\":\"quorate/policy\",\"cluster\":\"%s\",\"serial\":%u,"
                       "\"peers\":{\"insecure_sim\":true%s},\"requests\":{\"clients\":[{\"name\":"
                       "\"ops\",\"scheme\":\"p256\",\"key\":\"%s\"}],\"rules\":[{\"id\":\"all\","
                       "\"effect\":\"allow\",\"clients\":[\"*\"],\"keys\":[\"*\"],\"kinds\":["
                       "\"sha256\"]}]}}",
                       cid, serial, secret, hex);
        return;
    }
    size_t at = (size_t)snprintf(out, cap,
                                 "{\"v\":1,\"type\":\"quorate/roster\",\"cluster\":\"%s\",\"name\":"
                                 "\"sim\",\"serial\":%u,\"parties\":[",
                                 cid, serial);
    for (unsigned i = 1; i <= sim.n; i++) {
        qr_hex_encode(qr_view_of(sim.host[i].id, 32), id);
        at += (size_t)snprintf(out + at, cap - at,
                               "%s{\"index\":%u,\"identity\":\"%s\",\"address\":\"mem://p%u\","
                               "\"cloud\":\"cloud-%u\",\"operator\":\"sim\",\"tee\":\"sim\"}",
                               i > 1 ? "," : "", i, id, i, i);
    }
    key_hex(sim.admin, hex);
    (void)snprintf(out + at, cap - at,
                   "],\"admins\":{\"need\":1,\"keys\":[{\"name\":\"admin\",\"scheme\":\"p256\","
                   "\"key\":\"%s\"}]}}",
                   hex);
}

void
sim_load_doc(unsigned host, enum sim_doc which, const char *text, int want_ok)
{
    struct qr_ask ask = {.what = QR_ASK_ADMIN,
                         .admin = which == SIM_ROSTER ? QR_ADMIN_LOAD_ROSTER : QR_ADMIN_LOAD_POLICY,
                         .body = qr_view_str(text),
                         .n_stamps = 1};
    ask.stamps[0] = sim_stamp(sim.admin, text, 0);
    uint64_t to = sim_ask(host, 1, &ask);
    const struct qr_answer *a = sim_answer(to);
    if (!a) {
        return; /* it died over it */
    }
    sim_trace("load", host, "%s error=%d", which == SIM_ROSTER ? "roster" : "policy",
              (int)a->error);
    if (!want_ok && a->error == QR_OK) {
        sim_violation("party %u took an older %s", sim.host[host].index,
                      which == SIM_ROSTER ? "roster" : "policy");
    }
}

/* ---- processes --------------------------------------------------------------------------- */

static struct qr_link *
new_link(void *ctx, const struct qr_link_events *ev)
{
    const struct sim_host *h = ctx;
    return sim_wire_link((unsigned)(h - sim.host), ev);
}

static void
on_answer(void *ctx, uint64_t to, const struct qr_answer *a)
{
    const struct sim_host *h = ctx;
    if (!h->dying) {
        sim_client_on_answer((unsigned)(h - sim.host), to, a);
    }
}

/* A disk that fails at the start leaves the host down; healing starts it again. */
void
sim_boot(unsigned host)
{
    struct sim_host *h = &sim.host[host];
    char err[512] = "";
    int fresh = 0;
    if (h->up) {
        return;
    }
    h->dying = h->draining = 0;
    h->frozen_until = h->busy_until = 0;
    h->crash_send = h->crash_share = 0;
    h->boot_at = UINT64_MAX;
    h->skewed_boot = h->wall_skew_ms != 0;
    h->rng = sim_det_rng(host, ++h->boots);
    sim.running = h;
    qr_err e = qr_store_open(sim_disk_path(host), &h->tee, &h->store, &fresh, err, sizeof err);
    if (e == QR_OK) {
        struct qr_party_cfg cfg = {.listen = h->listen,
                                   .cloud = h->cloud,
                                   .operator_name = "sim",
                                   .pool_low = sim.plan->pool_low,
                                   .pool_high = sim.plan->pool_high,
                                   .pool_standby = sim.plan->pool_standby,
                                   .batch = sim.plan->batch,
                                   .sign_timeout_ms = 500};
        struct qr_party_env env = {.tee = &h->tee,
                                   .store = h->store,
                                   .rng = h->rng,
                                   .new_link = new_link,
                                   .new_link_ctx = h,
                                   .answer = on_answer,
                                   .answer_ctx = h};
        sim_wire_route(h->index, host);
        e = qr_party_new(
            &cfg, &env, sim.now + h->mono_skew,
            SIM_WALL0 + (uint64_t)((int64_t)((sim.now - SIM_EPOCH) / SIM_MS) + h->wall_skew_ms),
            &h->party, err, sizeof err);
        if (e != QR_OK) {
            h->store = qr_store_close(h->store);
        }
    }
    sim.running = NULL;
    sim_trace("boot", h->index, "host=%u error=%d nonce=%02x%02x%02x%02x", host, (int)e,
              e == QR_OK ? h->party->boot_nonce[0] : 0, e == QR_OK ? h->party->boot_nonce[1] : 0,
              e == QR_OK ? h->party->boot_nonce[2] : 0, e == QR_OK ? h->party->boot_nonce[3] : 0);
    if (e != QR_OK || h->dying) {
        if (e == QR_OK) {
            h->up = 1; /* it dies on its feet */
        } else {
            h->dying = 0;
            sim_wire_dead(host, 1);
            sim_disk_crash(host, sim_rand(), (enum sim_disk_crash)h->crash_disk);
            h->boot_at = sim.now + SIM_S; /* its supervisor tries again */
        }
        return;
    }
    memcpy(h->id, h->party->id, 32);
    h->up = 1;
}

void
sim_kill(unsigned host, int disk, int rst)
{
    struct sim_host *h = &sim.host[host];
    if (!h->up) {
        return;
    }
    sim_trace("crash", h->index, "host=%u disk=%d", host, disk);
    h->dying = 1;
    sim_wire_dead(host, rst);
    sim_disk_crash(host, sim_rand(), (enum sim_disk_crash)disk); /* before it can write more */
    sim.running = h;
    h->party = qr_party_free(h->party);
    h->store = qr_store_close(h->store);
    sim.running = NULL;
    sim_watch_gone(host);
    sim_client_host_gone(host);
    h->up = h->dying = h->draining = 0;
    h->crash_send = h->crash_share = 0;
}

void
sim_die(struct sim_host *h)
{
    if (!h->dying) {
        h->dying = 1;
        sim_wire_dead((unsigned)(h - sim.host), 1);
        sim_disk_cut((unsigned)(h - sim.host));
    }
}

/* ---- the run ----------------------------------------------------------------------------- */

/* Its own time went on without it: requests in its hands may take that much longer. */
static void
note_trouble(struct sim_host *h)
{
    uint64_t t = h->frozen_until > sim.now ? h->frozen_until : h->slow > 1 ? sim.now : 0;
    h->trouble_until = t > h->trouble_until ? t : h->trouble_until;
}

int
sim_may_step(const struct sim_host *h)
{
    return h->up && !h->dying && h->frozen_until <= sim.now;
}

static uint64_t
due(unsigned host)
{
    const struct sim_host *h = &sim.host[host];
    if (!h->up) {
        return h->boot_at;
    }
    if (h->dying) {
        return sim.now;
    }
    uint64_t d = qr_party_deadline(h->party), w = sim_wire_next(host);
    d = d == UINT64_MAX ? d : d > h->mono_skew ? d - h->mono_skew : 0;
    d = d < w ? d : w;
    uint64_t wait = h->frozen_until > h->busy_until ? h->frozen_until : h->busy_until;
    return d < wait ? wait : d;
}

static void
step(unsigned host)
{
    struct sim_host *h = &sim.host[host];
    if (!h->up) {
        if (h->boot_at <= sim.now) {
            sim_boot(host);
        }
        return;
    }
    if (!h->dying) {
        sim.running = h;
        sim_cheat_tick(h);
        int more = qr_party_step(
            h->party, sim.now + h->mono_skew,
            SIM_WALL0 + (uint64_t)((int64_t)((sim.now - SIM_EPOCH) / SIM_MS) + h->wall_skew_ms));
        sim.running = NULL;
        h->busy_until = sim.now + (more ? sim.plan->quantum : STEP_MIN) * h->slow;
        if (h->draining && !h->dying && qr_party_drained(h->party)) {
            sim_kill(host, SIM_DISK_KEEP, 1);
            h->boot_at = sim.now + 100 * SIM_MS;
        }
    }
    if (h->up && h->dying) {
        h->dying = 0;
        int disk = h->crash_disk;
        sim_kill(host, disk, 1);
        h->boot_at = sim.now + (50 + sim_below(2000)) * SIM_MS;
    }
}

/* To the next time at which anything happens, and through it. */
static void
turn(void)
{
    uint64_t next = sim_client_next(), f = sim_fault_next();
    next = f < next ? f : next;
    for (unsigned h = 1; h <= SIM_HOSTS; h++) {
        uint64_t d = due(h);
        next = d < next ? d : next;
    }
    if (next == UINT64_MAX) {
        next = sim.now + SIM_S;
    }
    uint64_t before = sim.now;
    sim.now = next > sim.now ? next : sim.now;
    unsigned up = 0;
    for (unsigned h = 1; h <= SIM_HOSTS; h++) {
        up += (unsigned)sim.host[h].up;
        note_trouble(&sim.host[h]);
    }
    sim.party_ns += up * (sim.now - before);
    sim_fault_tick();
    sim_client_tick();
    unsigned first = (unsigned)sim_below(SIM_HOSTS);
    for (unsigned i = 0; i < SIM_HOSTS && !sim.violation[0]; i++) {
        unsigned h = 1 + (first + i) % SIM_HOSTS;
        if (due(h) <= sim.now) {
            step(h);
        }
    }
    sim_watch_tick();
}

static int
until(int (*cond)(void), uint64_t limit)
{
    uint64_t end = sim.now + limit;
    while (!sim.violation[0] && sim.now < end) {
        if (cond()) {
            return 1;
        }
        turn();
    }
    return !sim.violation[0] && cond();
}

static int
linked(void)
{
    for (unsigned i = 1; i <= sim.n; i++) {
        for (uint16_t j = 1; j <= sim.n; j++) {
            if (!sim.host[i].up || (j != i && !qr_pairs_active(sim.host[i].party, j))) {
                return 0;
            }
        }
    }
    return 1;
}

static uint64_t asked;

static int
never(void)
{
    return 0;
}

static int
answered(void)
{
    return sim_answer(asked) != NULL || !sim.host[1].up;
}

static void
all_load(enum sim_doc which)
{
    for (unsigned i = 1; i <= sim.n; i++) {
        if (sim.host[i].up && !sim.host[i].dying) {
            sim_load_doc(i, which, sim.doc[which], 1);
        }
    }
}

/* Every party up, with the documents in force: what an operator would see to. */
static int
in_order(void)
{
    for (unsigned i = 1; i <= sim.n; i++) {
        struct sim_host *h = &sim.host[i];
        if (!sim_may_step(h) || h->draining) {
            return 0;
        }
        if (!h->party->roster || h->party->roster->serial != sim.serial[SIM_ROSTER]) {
            sim_load_doc(i, SIM_ROSTER, sim.doc[SIM_ROSTER], 1);
        }
        if (h->party->roster &&
            (!h->party->policy || qr_policy_serial(h->party->policy) != sim.serial[SIM_POLICY])) {
            sim_load_doc(i, SIM_POLICY, sim.doc[SIM_POLICY], 1);
        }
        if (!sim_may_step(h) || !h->party->net || h->party->store_failed) {
            return 0;
        }
    }
    return 1;
}

/* A key for each threshold; whoever loses its process over it tries again. */
static int
make_key(unsigned k)
{
    uint64_t limit = sim.now + SETUP_LIMIT;
    while (!sim.violation[0] && sim.now < limit) {
        if (!until(in_order, SETUP_LIMIT) || !until(linked, 30 * SIM_S)) {
            if (sim.now >= sim.plan->end + SIM_EPOCH) {
                sim_fault_heal(); /* a store that failed, a disk that is full */
            }
            continue;
        }
        asked = sim_client_keygen(1, sim.plan->t[k]);
        if (!until(answered, 60 * SIM_S)) {
            break;
        }
        const struct qr_answer *a = sim_answer(asked);
        struct qr_key_pub pub;
        if (a && a->error == QR_OK && qr_keyjson_parse(a->json, &pub) == QR_OK) {
            uint16_t bad = 0;
            if (qr_key_check(&pub, &bad) != QR_OK) {
                sim_violation("a key was announced that its parties did not confirm");
            }
            memcpy(sim.cc[sim.n_keys], pub.cc, 32);
            memcpy(sim.pk[sim.n_keys++], pub.pk, 33);
            return 1;
        }
        (void)until(never, 200 * SIM_MS); /* refused at once: a link has just gone */
    }
    return 0;
}

void
sim_world_start(const struct sim_plan *plan, const unsigned char *mask)
{
    sim.plan = plan;
    sim.mask = mask;
    sim.n = plan->n;
    sim.now = SIM_EPOCH;
    memset(sim.cluster, 0xc1, 32);
    sim_det_start(plan->seed);
    sim_disk_init(plan->seed);
    sim_wire_start();
    sim_watch_start();
    for (unsigned h = 1; h <= SIM_HOSTS; h++) {
        struct sim_host *x = &sim.host[h];
        x->slow = 1;
        x->boot_at = UINT64_MAX;
        x->index = h <= sim.n ? h : 0;
        sim_wire_delay(h, plan->delay[h], plan->jitter);
        (void)snprintf(x->listen, sizeof x->listen, "mem://p%u", x->index);
        (void)snprintf(x->cloud, sizeof x->cloud, "cloud-%u", x->index);
    }
    for (unsigned h = 1; h <= sim.n; h++) {
        sim_boot(h);
    }
    for (int d = SIM_ROSTER; d <= SIM_POLICY; d++) {
        sim_make_doc((enum sim_doc)d, sim.serial[d] = 1, sim.doc[d], sizeof sim.doc[d]);
        all_load((enum sim_doc)d);
    }
}

static int
last_done(void)
{
    return sim_client_done() && sim_fault_next() == UINT64_MAX;
}

static int
well(void)
{
    return in_order() && sim_client_done();
}

void
sim_world_run(void)
{
    for (unsigned k = 0; k < sim.plan->keys; k++) {
        if (!make_key(k)) {
            if (!sim.violation[0]) {
                sim_violation("no key could be made");
            }
            return;
        }
    }
    sim.client_start = sim.now;
    sim_client_start();
    (void)until(last_done, sim.plan->end + RUN_LIMIT);
    if (sim.violation[0]) {
        return;
    }
    sim_fault_heal();
    sim.healing = 1;
    if (!until(well, RUN_LIMIT)) {
        sim_violation(
            "after all faults ended the quorum did not come back, or a request never ended");
        return;
    }
    sim_client_final();
    if (!until(sim_client_done, LAST_LIMIT)) {
        sim_violation("a request after all faults did not end");
    }
    sim_watch_tick();
}

void
sim_world_stop(void)
{
    for (unsigned h = 1; h <= SIM_HOSTS; h++) {
        sim_kill(h, SIM_DISK_KEEP, 1);
    }
}
