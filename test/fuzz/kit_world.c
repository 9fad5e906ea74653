#include "test/fuzz/kit_world.h"

#include "enclave-shim/tee_sim.h"
#include "proto/wire.h"
#include "protocol/base/hash.h"
#include "protocol/base/mem.h"
#include "test/common/testrng.h"
#include "test/fuzz/kit.h"
#include "transport/chan.h"

#include <limits.h>
#include <stdio.h>

struct world world;

void
world_init(void)
{
    for (int i = 0; i <= WORLD_MAX; i++) {
        for (int j = 0; j <= WORLD_MAX; j++) {
            world.q[i][j].tail = &world.q[i][j].head;
        }
    }
    world.reserve_ok = world.put_ok = UINT_MAX;
}

/* ---- messages ------------------------------------------------------------------------------- */

void __wrap_qr_msg_ref(struct qr_msg_in *m);
void __wrap_qr_msg_unref(struct qr_msg_in *m);

void
__wrap_qr_msg_ref(struct qr_msg_in *m)
{
    m->refs++;
}

void
__wrap_qr_msg_unref(struct qr_msg_in *m)
{
    FUZZ_MUST(m->refs > 0);
    if (--m->refs == 0) {
        qr_free(m);
    }
}

static struct world_msg *
msg_new(uint16_t from, uint16_t to, enum qr_msg type, uint32_t epoch, const uint8_t sid[32],
        size_t len)
{
    struct world_msg *m = qr_alloc(sizeof *m + len);
    FUZZ_MUST(m);
    m->in = (struct qr_msg_in){.from = from, .type = type, .epoch = epoch, .refs = 1};
    memcpy(m->in.sid, sid, 32);
    m->to = to;
    m->len = len;
    m->era = world.era[from][to];
    m->in.payload = qr_view_of(m->p, len);
    return m;
}

static void
push(struct world_msg *m)
{
    struct world_link *l = &world.q[m->in.from][m->to];
    m->next = NULL;
    *l->tail = m;
    l->tail = &m->next;
    l->bytes += m->len;
    l->n++;
}

struct world_msg *
world_take(uint16_t from, uint16_t to)
{
    struct world_link *l = &world.q[from][to];
    struct world_msg *m = l->head;
    if (m) {
        l->head = m->next;
        if (!l->head) {
            l->tail = &l->head;
        }
        l->bytes -= m->len;
        l->n--;
    }
    return m;
}

void
world_put_back(uint16_t from, uint16_t to, struct world_msg *m)
{
    struct world_link *l = &world.q[from][to];
    m->in.from = from;
    m->to = to;
    m->next = l->head;
    if (!l->head) {
        l->tail = &m->next;
    }
    l->head = m;
    l->bytes += m->len;
    l->n++;
}

void
world_inject(uint16_t from, uint16_t to, enum qr_msg type, uint32_t epoch, const uint8_t sid[32],
             qr_view payload)
{
    struct world_msg *m = msg_new(from, to, type, epoch, sid, payload.len);
    if (payload.len) {
        memcpy(m->p, payload.p, payload.len);
    }
    push(m);
}

static void
drop_link(uint16_t from, uint16_t to)
{
    struct world_msg *m;
    while ((m = world_take(from, to)) != NULL) {
        qr_free(m);
    }
    world.era[from][to]++;
}

/* ---- the net -------------------------------------------------------------------------------- */

struct seen {
    int known, shown;
    struct qr_peer_info info;
};

struct qr_net {
    struct qr_net_params p;
    struct qr_net_events ev;
    struct seen of[WORLD_MAX + 1];
    struct qr_ledger ledger;
};

qr_err __wrap_qr_net_new(const struct qr_net_params *p, const struct qr_net_events *ev,
                         struct qr_net **ret, char *err_text, size_t err_cap);
void __wrap_qr_net_free(struct qr_net *n);
void __wrap_qr_net_step(struct qr_net *n, uint64_t now_ns);
int __wrap_qr_net_fd(const struct qr_net *n);
uint64_t __wrap_qr_net_deadline(const struct qr_net *n);
int __wrap_qr_net_is_up(const struct qr_net *n, uint16_t peer);
const struct qr_peer_info *__wrap_qr_net_info(const struct qr_net *n, uint16_t peer);
uint64_t __wrap_qr_net_rtt_ns(const struct qr_net *n, uint16_t peer);
size_t __wrap_qr_net_queued(const struct qr_net *n, uint16_t peer);
uint8_t *__wrap_qr_net_reserve(void *net, uint16_t to, enum qr_msg type, uint32_t epoch,
                               const uint8_t sid[32], size_t len);
void __wrap_qr_net_commit(void *net, uint16_t to, uint8_t *p);
void __wrap_qr_net_cancel(void *net, uint16_t to, uint8_t *p);
qr_err __wrap_qr_net_send(struct qr_net *n, uint16_t to, enum qr_msg type, uint32_t epoch,
                          const uint8_t sid[32], qr_view payload);
void __wrap_qr_net_set_policy(struct qr_net *n, const uint8_t policy_hash[32],
                              uint64_t policy_serial, uint64_t reattest_ns, uint64_t evidence_ns);
const struct qr_ledger *__wrap_qr_net_ledger(const struct qr_net *n);

qr_err
__wrap_qr_net_new(const struct qr_net_params *p, const struct qr_net_events *ev,
                  struct qr_net **ret, char *err_text, size_t err_cap)
{
    FUZZ_MUST(p->self >= 1 && p->self <= WORLD_MAX && !world.net[p->self]);
    (void)err_text;
    (void)err_cap;
    struct qr_net *n = qr_alloc(sizeof *n);
    FUZZ_MUST(n);
    n->p = *p;
    n->ev = *ev;
    n->ledger.n = p->n_peers;
    for (size_t i = 0; i < p->n_peers; i++) {
        n->ledger.peer[i].index = p->peers[i].index;
    }
    world.net[p->self] = n;
    *ret = n;
    return QR_OK;
}

void
__wrap_qr_net_free(struct qr_net *n)
{
    if (n) {
        for (uint16_t j = 1; j <= WORLD_MAX; j++) {
            drop_link(n->p.self, j);
            drop_link(j, n->p.self);
        }
        world.net[n->p.self] = NULL;
    }
    qr_free(n);
}

static int
same_documents(const struct qr_net *a, const struct qr_net *b)
{
    return memcmp(a->p.roster_hash, b->p.roster_hash, 32) == 0 &&
           memcmp(a->p.policy_hash, b->p.policy_hash, 32) == 0;
}

/* The peer's evidence over a binder that nobody chose, as a channel would have it judged. */
static qr_err
attest(struct qr_net *n, struct qr_net *o, uint16_t peer)
{
    static const uint8_t binder[32] = {0xb1};
    uint8_t mem[QR_SIM_EVIDENCE_LEN];
    struct qr_buf b = qr_buf_over(mem, sizeof mem);
    struct qr_claims claims;
    char why[QR_CHAN_WHY_MAX] = "";

    qr_err e = o->p.attester.evidence(o->p.attester.ctx, binder, &b);
    return e == QR_OK
               ? n->p.attester.verify(n->p.attester.ctx, peer, QR_PLATFORM_SIM, o->p.boot_nonce,
                                      qr_buf_view(&b), binder, &claims, why, sizeof why)
               : e;
}

/* Connections come and go. */
static void
links(struct qr_net *n)
{
    for (uint16_t j = 1; j <= WORLD_MAX; j++) {
        struct qr_net *o = j == n->p.self ? NULL : world.net[j];
        struct seen *s = &n->of[j];
        int open = o && !world.cut[n->p.self][j] && same_documents(n, o);
        int new_boot = o && memcmp(s->info.boot_nonce, o->p.boot_nonce, 32) != 0;

        if (s->shown && (!open || new_boot)) {
            s->shown = 0;
            n->ev.on_down(n->ev.ctx, j, QR_ERR_LINK_CLOSED, "the fuzzer cut it");
        }
        if (!open || s->shown) {
            continue;
        }
        struct qr_peer_info info = {.index = j, .resumed = s->known && !new_boot};
        memcpy(info.boot_nonce, o->p.boot_nonce, 32);
        info.boot_counter = o->p.boot_counter;
        info.claims = (struct qr_claims){.platform = QR_PLATFORM_SIM, .insecure = 1};
        memcpy(info.claims.measurement, o->p.attester.measurement, 32);
        o->ev.store_state(o->ev.ctx, &info.store_serial, info.store_root);
        qr_err e =
            n->ev.check_store(n->ev.ctx, j, info.boot_counter, info.store_serial, info.store_root);
        if (e != QR_OK) {
            n->ev.on_refused(n->ev.ctx, j, e, "its store was rolled back");
            continue;
        }
        e = e == QR_OK ? attest(n, o, j) : e;
        if (e != QR_OK) {
            n->ev.on_refused(n->ev.ctx, j, e, "its evidence was refused");
            continue;
        }
        if (!info.resumed) {
            world.era[n->p.self][j]++; /* what was reserved for the old process is void */
        }
        s->info = info;
        s->known = s->shown = 1;
        n->ev.on_up(n->ev.ctx, &s->info);
    }
}

static void
deliver(struct qr_net *n, uint16_t from, unsigned count)
{
    uint16_t self = n->p.self;
    for (; count > 0 && world.net[self] == n && n->of[from].shown; count--) {
        struct qr_net *o = world.net[from];
        if (o && !o->of[self].shown) {
            return; /* not up at the other side: nothing it sends is of this connection */
        }
        struct world_msg *m = world_take(from, self);
        if (!m) {
            return;
        }
        world.delivering = m;
        n->ev.on_message(n->ev.ctx, &m->in);
        world.delivering = NULL;
        __wrap_qr_msg_unref(&m->in);
    }
}

void
__wrap_qr_net_step(struct qr_net *n, uint64_t now_ns)
{
    (void)now_ns;
    links(n);
    for (uint16_t j = 1; j <= WORLD_MAX; j++) {
        size_t waiting = world.q[j][n->p.self].n;
        unsigned count = (unsigned)waiting;
        if (world.held == n->p.self) {
            count = waiting < world.release ? (unsigned)waiting : world.release;
            world.release -= count;
        }
        if (j != n->p.self) {
            deliver(n, j, count);
        }
    }
}

int
__wrap_qr_net_fd(const struct qr_net *n)
{
    (void)n;
    return -1;
}

uint64_t
__wrap_qr_net_deadline(const struct qr_net *n)
{
    (void)n;
    return 0;
}

int
__wrap_qr_net_is_up(const struct qr_net *n, uint16_t peer)
{
    return peer >= 1 && peer <= WORLD_MAX && n->of[peer].shown;
}

const struct qr_peer_info *
__wrap_qr_net_info(const struct qr_net *n, uint16_t peer)
{
    return __wrap_qr_net_is_up(n, peer) ? &n->of[peer].info : NULL;
}

uint64_t
__wrap_qr_net_rtt_ns(const struct qr_net *n, uint16_t peer)
{
    return __wrap_qr_net_is_up(n, peer) ? peer * 1000000u : 0;
}

size_t
__wrap_qr_net_queued(const struct qr_net *n, uint16_t peer)
{
    return peer >= 1 && peer <= WORLD_MAX ? world.q[n->p.self][peer].bytes : 0;
}

uint8_t *
__wrap_qr_net_reserve(void *net, uint16_t to, enum qr_msg type, uint32_t epoch,
                      const uint8_t sid[32], size_t len)
{
    struct qr_net *n = net;
    FUZZ_MUST(to >= 1 && to <= WORLD_MAX && to != n->p.self);
    if (!n->of[to].known || len > QR_WIRE_PAYLOAD_MAX || !qr_wire_type_known((uint32_t)type) ||
        world.q[n->p.self][to].bytes + len > QR_PEER_QUEUE_MAX) {
        return NULL;
    }
    if (n->p.self == 1 && world.reserve_ok != UINT_MAX) {
        if (world.reserve_ok == 0) {
            return NULL;
        }
        world.reserve_ok--;
    }
    return msg_new(n->p.self, to, type, epoch, sid, len)->p;
}

static struct world_msg *
of_payload(const struct qr_net *n, uint16_t to, uint8_t *p)
{
    struct world_msg *m = (struct world_msg *)(void *)(p - offsetof(struct world_msg, p));
    FUZZ_MUST(m->in.from == n->p.self && m->to == to && m->in.payload.p == p);
    return m;
}

void
__wrap_qr_net_commit(void *net, uint16_t to, uint8_t *p)
{
    struct world_msg *m = of_payload(net, to, p);
    if (m->era != world.era[m->in.from][to]) {
        qr_free(m);
        return;
    }
    if (world.on_commit) {
        world.on_commit(m);
    }
    push(m);
}

void
__wrap_qr_net_cancel(void *net, uint16_t to, uint8_t *p)
{
    qr_free(of_payload(net, to, p));
}

qr_err
__wrap_qr_net_send(struct qr_net *n, uint16_t to, enum qr_msg type, uint32_t epoch,
                   const uint8_t sid[32], qr_view payload)
{
    uint8_t *p = __wrap_qr_net_reserve(n, to, type, epoch, sid, payload.len);
    if (!p) {
        return QR_ERR_BACKPRESSURE;
    }
    if (payload.len) {
        memcpy(p, payload.p, payload.len);
    }
    __wrap_qr_net_commit(n, to, p);
    return QR_OK;
}

void
__wrap_qr_net_set_policy(struct qr_net *n, const uint8_t policy_hash[32], uint64_t policy_serial,
                         uint64_t reattest_ns, uint64_t evidence_ns)
{
    (void)reattest_ns;
    (void)evidence_ns;
    memcpy(n->p.policy_hash, policy_hash, 32);
    n->p.policy_serial = policy_serial;
}

const struct qr_ledger *
__wrap_qr_net_ledger(const struct qr_net *n)
{
    return &n->ledger;
}

/* ---- the generator -------------------------------------------------------------------------- */

struct qr_rng __wrap_qr_tee_rng(struct qr_tee *t);

struct qr_rng
__wrap_qr_tee_rng(struct qr_tee *t)
{
    static struct qr_testrng rng[64];
    static unsigned n;
    char seed[32];
    (void)t;
    (void)snprintf(seed, sizeof seed, "fuzz party %u", n);
    qr_testrng_seed(&rng[n % 64], seed);
    return qr_testrng_rng(&rng[n++ % 64]);
}

/* ---- the store ------------------------------------------------------------------------------ */

struct record {
    struct record *next;
    enum qr_table table;
    char name[QR_STORE_NAME_MAX + 1];
    uint8_t *p;
    size_t len;
};

struct qr_store {
    char path[160];
    uint64_t serial;
    uint8_t root[32];
    struct record *first; /* by table and name */
    int dead;
};

static struct qr_store disk[WORLD_MAX + 1];

qr_err __wrap_qr_store_open(const char *path, struct qr_tee *tee, struct qr_store **ret,
                            int *ret_fresh, char *err_text, size_t err_cap);
struct qr_store *__wrap_qr_store_close(struct qr_store *s);
uint64_t __wrap_qr_store_serial(const struct qr_store *s);
const uint8_t *__wrap_qr_store_root(const struct qr_store *s);
qr_err __wrap_qr_store_put(struct qr_store *s, enum qr_table t, const char *name, qr_view value);
qr_err __wrap_qr_store_del(struct qr_store *s, enum qr_table t, const char *name);
qr_err __wrap_qr_store_commit(struct qr_store *s, const struct qr_store_change *c, size_t n);
qr_err __wrap_qr_store_get(struct qr_store *s, enum qr_table t, const char *name,
                           struct qr_buf *out);
qr_err __wrap_qr_store_scan(struct qr_store *s, enum qr_table t,
                            int (*fn)(void *ctx, const char *name), void *ctx);
int __wrap_qr_store_writable(const struct qr_store *s);
const char *__wrap_qr_store_error(const struct qr_store *s);

qr_err
__wrap_qr_store_open(const char *path, struct qr_tee *tee, struct qr_store **ret, int *ret_fresh,
                     char *err_text, size_t err_cap)
{
    (void)tee;
    (void)err_text;
    (void)err_cap;
    struct qr_store *s = disk;
    while (s->path[0] && strcmp(s->path, path) != 0) {
        s++;
        FUZZ_MUST(s <= &disk[WORLD_MAX]);
    }
    *ret_fresh = !s->path[0];
    (void)snprintf(s->path, sizeof s->path, "%s", path);
    s->dead = 0;
    *ret = s;
    return QR_OK;
}

struct qr_store *
__wrap_qr_store_close(struct qr_store *s)
{
    (void)s;
    return NULL;
}

uint64_t
__wrap_qr_store_serial(const struct qr_store *s)
{
    return s->serial;
}

const uint8_t *
__wrap_qr_store_root(const struct qr_store *s)
{
    return s->root;
}

static struct record **
find(struct qr_store *s, enum qr_table t, const char *name)
{
    struct record **r = &s->first;
    while (*r && ((*r)->table < t || ((*r)->table == t && strcmp((*r)->name, name) < 0))) {
        r = &(*r)->next;
    }
    return r;
}

static int
is_it(const struct record *r, enum qr_table t, const char *name)
{
    return r && r->table == t && strcmp(r->name, name) == 0;
}

static void
apply(struct qr_store *s, const struct qr_store_change *c)
{
    struct record **at = find(s, c->table, c->name), *r = *at;
    if (is_it(r, c->table, c->name)) {
        *at = r->next;
        free(r->p);
        free(r);
    }
    if (!c->del) {
        r = calloc(1, sizeof *r);
        FUZZ_MUST(r);
        r->p = malloc(c->value.len + 1);
        FUZZ_MUST(r->p);
        memcpy(r->p, c->value.p, c->value.len);
        r->len = c->value.len;
        r->table = c->table;
        (void)snprintf(r->name, sizeof r->name, "%s", c->name);
        r->next = *at;
        *at = r;
    }
}

qr_err
__wrap_qr_store_commit(struct qr_store *s, const struct qr_store_change *c, size_t n)
{
    FUZZ_MUST(n <= QR_STORE_CHANGES_MAX);
    if (s == disk && world.put_ok != UINT_MAX) {
        s->dead |= world.put_ok == 0;
        world.put_ok -= world.put_ok > 0;
    }
    if (s->dead) {
        return QR_ERR_STORE_FULL;
    }
    for (size_t i = 0; i < n; i++) {
        FUZZ_MUST(c[i].value.len <= QR_STORE_RECORD_MAX || c[i].del);
        if (c[i].del && !is_it(*find(s, c[i].table, c[i].name), c[i].table, c[i].name)) {
            return QR_ERR_NOT_FOUND;
        }
    }
    for (size_t i = 0; i < n; i++) {
        apply(s, &c[i]);
        if (c[i].table < QR_TABLE_PEER) {
            s->serial++;
            qr_th(QR_TAG_STORE, QR_FIELDS(QR_F(s->root, 32), qr_view_str(c[i].name)), s->root);
        }
    }
    return QR_OK;
}

qr_err
__wrap_qr_store_put(struct qr_store *s, enum qr_table t, const char *name, qr_view value)
{
    struct qr_store_change c = {.table = t, .name = name, .value = value};
    return __wrap_qr_store_commit(s, &c, 1);
}

qr_err
__wrap_qr_store_del(struct qr_store *s, enum qr_table t, const char *name)
{
    struct qr_store_change c = {.table = t, .name = name, .del = 1};
    return __wrap_qr_store_commit(s, &c, 1);
}

qr_err
__wrap_qr_store_get(struct qr_store *s, enum qr_table t, const char *name, struct qr_buf *out)
{
    const struct record *r = *find(s, t, name);
    if (!is_it(r, t, name)) {
        return QR_ERR_NOT_FOUND;
    }
    qr_buf_put(out, r->p, r->len);
    return out->err;
}

qr_err
__wrap_qr_store_scan(struct qr_store *s, enum qr_table t, int (*fn)(void *ctx, const char *name),
                     void *ctx)
{
    for (const struct record *r = *find(s, t, ""); r && r->table == t; r = r->next) {
        if (fn(ctx, r->name)) {
            break;
        }
    }
    return QR_OK;
}

int
__wrap_qr_store_writable(const struct qr_store *s)
{
    return !s->dead;
}

const char *
__wrap_qr_store_error(const struct qr_store *s)
{
    return s->dead ? "the fuzzer filled the device" : "";
}
