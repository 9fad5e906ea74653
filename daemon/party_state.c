/* What survives a restart, all of it sealed; and what we remember of the peers' stores. */
#include "daemon/party_int.h"

#include <sodium.h>
#include <stdio.h>

#define ID_SECRET_LEN crypto_sign_SECRETKEYBYTES

int
qr_state_sign(void *party, const uint8_t msg[32], uint8_t sig[64])
{
    const struct qr_party *p = party;
    return crypto_sign_detached(sig, NULL, msg, 32, p->id_secret);
}

/* The store's own words name the file and say what to do. */
static const char *
store_text(const struct qr_party *p, qr_err e)
{
    const char *said = qr_store_error(p->env.store);
    return said[0] ? said : qr_err_text(e);
}

/* Every change of the store ends here: one that failed leaves a store that takes no more. */
static qr_err
written(struct qr_party *p, qr_err e)
{
    if (e != QR_OK && !p->store_failed) {
        p->store_failed = 1;
        qr_party_log(QR_LOG_ERROR, "store_failed", 0,
                     "this party stops signing until it is restarted with a working store: %s",
                     store_text(p, e));
    }
    return e;
}

/* Without a word to the peers: for what does not raise our serial, or before there is a network. */
static qr_err
put(struct qr_party *p, enum qr_table t, const char *name, qr_view v)
{
    return p->store_failed ? QR_ERR_STORE : written(p, qr_store_put(p->env.store, t, name, v));
}

qr_err
qr_state_put(struct qr_party *p, enum qr_table t, const char *name, qr_view v)
{
    QR_TRY(put(p, t, name, v));
    qr_state_announce(p);
    return QR_OK;
}

qr_err
qr_state_del(struct qr_party *p, enum qr_table t, const char *name)
{
    if (p->store_failed) {
        return QR_ERR_STORE;
    }
    QR_TRY(written(p, qr_store_del(p->env.store, t, name)));
    qr_state_announce(p);
    return QR_OK;
}

qr_err
qr_state_commit(struct qr_party *p, const struct qr_store_change *c, size_t n)
{
    if (p->store_failed) {
        return QR_ERR_STORE;
    }
    QR_TRY(written(p, qr_store_commit(p->env.store, c, n)));
    qr_state_announce(p);
    return QR_OK;
}

/* ---- peers' stores ----------------------------------------------------------------------- */

void
qr_state_announce(struct qr_party *p)
{
    uint8_t buf[QR_CTL_STORE_LEN], sid[32] = {0};
    struct qr_ctl_store m = {.boot_counter = p->boot_counter,
                             .serial = qr_store_serial(p->env.store)};
    struct qr_buf b = qr_buf_over(buf, sizeof buf);
    if (!p->net) {
        return;
    }
    memcpy(m.root, qr_store_root(p->env.store), 32);
    qr_ctl_put_store(&b, &m);
    for (uint16_t i = 1; i <= p->roster->n; i++) {
        if (i != p->self && qr_net_is_up(p->net, i)) {
            qr_err e = qr_net_send(p->net, i, QR_MSG_STORE_STATE, 0, sid, qr_buf_view(&b));
            (void)e; /* HELLO carries it at the next connection */
        }
    }
}

static void
remember(struct qr_party *p, uint16_t peer, uint64_t boot, uint64_t serial, const uint8_t *root)
{
    struct qr_peerslot *s = &p->peer[peer];
    uint8_t rec[48];
    char name[8];
    if (boot == s->boot_counter && serial == s->store_serial) {
        return;
    }
    s->boot_counter = boot;
    s->store_serial = serial;
    memcpy(s->store_root, root, 32);
    qr_put64(rec, boot);
    qr_put64(rec + 8, serial);
    memcpy(rec + 16, root, 32);
    (void)snprintf(name, sizeof name, "%u", peer);
    /* Outside the hash chain: what we know of others must not raise our own serial. */
    qr_err e = put(p, QR_TABLE_PEER, name, qr_view_of(rec, sizeof rec));
    (void)e; /* the party has stopped signing and said so */
}

void
qr_state_on_store(struct qr_party *p, struct qr_msg_in *m)
{
    struct qr_ctl_store s;
    const struct qr_peerslot *known = &p->peer[m->from];
    if (qr_ctl_get_store(m->payload, &s) != QR_OK ||
        (s.boot_counter == known->boot_counter && s.serial <= known->store_serial)) {
        return; /* resent after a connection that told us more */
    }
    if (qr_state_check_store(p, m->from, s.boot_counter, s.serial, s.root) == QR_OK) {
        remember(p, m->from, s.boot_counter, s.serial, s.root);
    }
}

qr_err
qr_state_check_store(void *ctx, uint16_t peer, uint64_t boot_counter, uint64_t serial,
                     const uint8_t root[32])
{
    struct qr_party *p = ctx;
    const struct qr_peerslot *s = &p->peer[peer];
    if (boot_counter < s->boot_counter || serial < s->store_serial ||
        (serial == s->store_serial && memcmp(root, s->store_root, 32) != 0)) {
        qr_party_log(QR_LOG_ERROR, "peer_rolled_back", peer,
                     "its store says serial %llu, boot %llu; we have seen serial %llu, boot %llu: "
                     "rolled back or cloned",
                     (unsigned long long)serial, (unsigned long long)boot_counter,
                     (unsigned long long)s->store_serial, (unsigned long long)s->boot_counter);
        return QR_ERR_ROLLBACK;
    }
    return QR_OK;
}

struct load_peers {
    struct qr_party *p;
    qr_err err;
};

/* A record that cannot be read is an error: without it the peer could show an older store. */
static int
load_peer(void *ctx, const char *name)
{
    struct load_peers *l = ctx;
    uint8_t rec[48];
    struct qr_buf b = qr_buf_over(rec, sizeof rec);
    unsigned i = 0;
    for (const char *c = name; *c >= '0' && *c <= '9' && i < 100; c++) {
        i = i * 10 + (unsigned)(*c - '0');
    }
    if (i < 1 || i > QR_MAX_PARTIES) {
        return 0;
    }
    l->err = qr_store_get(l->p->env.store, QR_TABLE_PEER, name, &b);
    if (l->err == QR_OK && b.len != sizeof rec) {
        l->err = QR_ERR_STORE_CORRUPT;
    }
    if (l->err == QR_OK) {
        struct qr_peerslot *s = &l->p->peer[i];
        s->boot_counter = qr_get64(rec);
        s->store_serial = qr_get64(rec + 8);
        memcpy(s->store_root, rec + 16, 32);
    }
    return l->err != QR_OK;
}

static int
load_pair(void *ctx, const char *name)
{
    struct qr_party *p = ctx;
    unsigned v[2] = {0, 0}, k = 0;
    for (const char *c = name; *c; c++) {
        if (*c == '-' && k == 0) {
            k = 1;
        } else if (*c >= '0' && *c <= '9' && v[k] < 100) {
            v[k] = v[k] * 10 + (unsigned)(*c - '0');
        }
    }
    if (v[0] >= 1 && v[0] < v[1] && v[1] <= QR_MAX_PARTIES) {
        p->peer[v[0]].retired |= (uint16_t)(1u << (v[1] - 1));
        p->peer[v[1]].retired |= (uint16_t)(1u << (v[0] - 1));
    }
    return 0;
}

/* ---- keys -------------------------------------------------------------------------------- */

struct qr_key *
qr_state_find_key(struct qr_party *p, const uint8_t pk[static 33], size_t *ret_index)
{
    for (size_t i = 0; i < p->n_keys; i++) {
        if (memcmp(p->key[i].key->pub.pk, pk, 33) == 0) {
            *ret_index = i;
            return p->key[i].key;
        }
    }
    return NULL;
}

struct qr_key *
qr_state_find_address(struct qr_party *p, const uint8_t address[static 20], size_t *ret_index)
{
    for (size_t i = 0; i < p->n_keys; i++) {
        uint8_t a[20];
        if (qr_eth_address(p->key[i].key->pub.pk, a) == QR_OK &&
            memcmp(a, address, sizeof a) == 0) {
            *ret_index = i;
            return p->key[i].key;
        }
    }
    return NULL;
}

struct qr_key *
qr_state_find_key_id(struct qr_party *p, const uint8_t id[static 32])
{
    for (size_t i = 0; i < p->n_keys; i++) {
        if (memcmp(p->key[i].key->pub.key_id, id, 32) == 0) {
            return p->key[i].key;
        }
    }
    return NULL;
}

qr_err
qr_state_add_key(struct qr_party *p, const struct qr_key *k)
{
    struct qr_key *old = qr_state_find_key_id(p, k->pub.key_id);
    if (old) {
        *old = *k;
        return QR_OK;
    }
    if (p->n_keys >= QR_KEYS_MAX) {
        return QR_ERR_TOO_LARGE;
    }
    struct qr_key *mem = qr_locked_alloc(sizeof *mem, NULL);
    if (!mem) {
        return QR_ERR_NO_MEMORY;
    }
    *mem = *k;
    p->key[p->n_keys++].key = mem;
    return QR_OK;
}

/* A key on its way into the store or out of it; locked. */
struct key_mem {
    uint8_t plain[QR_KEY_RECORD_MAX], stored[QR_SECRET_RECORD_MAX];
    struct qr_key key;
};

qr_err
qr_state_save_key(struct qr_party *p, const struct qr_key *k)
{
    char name[65];
    struct key_mem *m = qr_locked_alloc(sizeof *m, NULL);
    if (!m) {
        return QR_ERR_NO_MEMORY;
    }
    struct qr_buf b = qr_buf_over(m->stored, sizeof m->stored);
    size_t len = qr_key_encode(k, m->plain);
    qr_hex_encode(qr_view_of(k->pub.key_id, 32), name);
    qr_err e = qr_secret_wrap(p, name, qr_view_of(m->plain, len), &b);
    if (e == QR_OK) {
        e = qr_state_put(p, QR_TABLE_KEY, name, qr_buf_view(&b));
    }
    m = qr_locked_free(m);
    return e;
}

struct load_keys {
    struct qr_party *p;
    struct key_mem *mem;
    qr_err err;
};

static int
load_key(void *ctx, const char *name)
{
    struct load_keys *l = ctx;
    struct qr_key *k = &l->mem->key;
    struct qr_buf stored = qr_buf_over(l->mem->stored, sizeof l->mem->stored);
    struct qr_buf b = qr_buf_over(l->mem->plain, sizeof l->mem->plain);
    l->err = qr_store_get(l->p->env.store, QR_TABLE_KEY, name, &stored);
    if (l->err == QR_OK) {
        l->err = qr_secret_unwrap(l->p, name, qr_buf_view(&stored), &b);
    }
    if (l->err == QR_OK) {
        l->err = qr_key_decode(qr_buf_view(&b), k);
    }
    if (l->err == QR_OK) {
        l->err = qr_key_check_share(k);
    }
    if (l->err == QR_OK) {
        l->err = qr_state_add_key(l->p, k);
    }
    return l->err != QR_OK;
}

qr_err
qr_state_load_keys(struct qr_party *p, char *err_text, size_t err_cap)
{
    struct load_keys l = {.p = p, .mem = qr_locked_alloc(sizeof *l.mem, NULL)};
    qr_err e = l.mem ? qr_store_scan(p->env.store, QR_TABLE_KEY, load_key, &l) : QR_ERR_NO_MEMORY;
    e = e == QR_OK ? l.err : e;
    if (e != QR_OK) {
        (void)snprintf(err_text, err_cap, "%s", store_text(p, e));
    }
    l.mem = qr_locked_free(l.mem);
    return e;
}

void
qr_state_drop_keys(struct qr_party *p)
{
    for (size_t i = 0; i < p->n_keys; i++) {
        p->key[i].key = qr_locked_free(p->key[i].key);
    }
    p->n_keys = 0;
}

/* ---- documents --------------------------------------------------------------------------- */

/* The record is the document alone: the seal vouches that its stamps were checked. */
static qr_err
load_doc(struct qr_party *p, const char *name, uint8_t **ret, size_t *ret_len)
{
    uint8_t *mem = qr_alloc(QR_DOC_MAX);
    if (!mem) {
        return QR_ERR_NO_MEMORY;
    }
    struct qr_buf b = qr_buf_over(mem, QR_DOC_MAX);
    qr_err e = qr_store_get(p->env.store, QR_TABLE_DOC, name, &b);
    if (e != QR_OK) {
        mem = qr_free(mem);
        return e;
    }
    *ret = mem;
    *ret_len = b.len;
    return QR_OK;
}

static qr_err
keep_doc(uint8_t **doc, size_t *len, qr_view v)
{
    uint8_t *copy = qr_alloc(v.len);
    if (!copy) {
        return QR_ERR_NO_MEMORY;
    }
    memcpy(copy, v.p, v.len);
    *doc = qr_free(*doc);
    *doc = copy;
    *len = v.len;
    return QR_OK;
}

static uint16_t
find_self(const struct qr_party *p, const struct qr_roster *r)
{
    const struct qr_roster_party *me = qr_roster_find(r, p->id);
    return me ? me->index : 0;
}

qr_err
qr_state_load_roster(struct qr_party *p, qr_view doc, const qr_view *stamps, size_t n, char *why,
                     size_t cap)
{
    struct qr_roster *next = NULL;
    int same = 0;
    QR_TRY(qr_roster_parse(doc, &next, why, cap));
    qr_err e = qr_roster_accept(p->roster, next, doc, stamps, n, &same, why, cap);
    uint16_t self = e == QR_OK ? find_self(p, next) : 0;
    if (e == QR_OK && self == 0) {
        (void)snprintf(why, cap, "this party's identity key is not in the roster");
        e = QR_ERR_IDENTITY;
    }
    if (e == QR_OK && next->party[self - 1].platform != p->env.tee->platform) {
        (void)snprintf(why, cap, "the roster says party %u runs on %s, but it runs on %s", self,
                       qr_platform_name(next->party[self - 1].platform),
                       qr_platform_name(p->env.tee->platform));
        e = QR_ERR_PLATFORM;
    }
    if (e == QR_OK && !same) {
        e = qr_state_put(p, QR_TABLE_DOC, "roster", doc);
    }
    if (e == QR_OK && !same) {
        e = keep_doc(&p->roster_doc, &p->roster_len, doc);
    }
    if (e != QR_OK || same) {
        next = qr_roster_free(next);
        return e;
    }
    p->roster = qr_roster_free(p->roster);
    p->roster = next;
    p->self = self;
    return QR_OK;
}

qr_err
qr_state_load_policy(struct qr_party *p, qr_view doc, const qr_view *stamps, size_t n, char *why,
                     size_t cap)
{
    struct qr_policy *next = NULL;
    struct qr_budget *budget = NULL;
    int same = 0;
    if (!p->roster) {
        (void)snprintf(why, cap, "load the roster first: it says whose signatures a policy needs");
        return QR_ERR_USAGE;
    }
    QR_TRY(qr_policy_parse(doc, &next, why, cap));
    qr_err e = qr_policy_accept(p->policy, next, p->roster->cluster, &p->roster->admins, doc,
                                stamps, n, &same, why, cap);
    uint16_t threshold = e == QR_OK ? qr_peers_secret(qr_policy_peers(next)) : 0;
    if (threshold > p->roster->n) {
        (void)snprintf(why, cap, "peer_secret.threshold is %u, but the roster has %zu parties",
                       threshold, p->roster->n);
        e = QR_ERR_SET;
    }
    if (e == QR_OK && p->env.tee->insecure && !qr_policy_insecure_sim(next)) {
        (void)snprintf(why, cap,
                       "this party runs in the software TEE, which the policy does not accept");
        e = QR_ERR_INSECURE_SIM;
    }
    if (e == QR_OK && !same) {
        e = qr_limits_make(p, next, &budget);
    }
    if (e == QR_OK && !same) {
        e = qr_state_put(p, QR_TABLE_DOC, "policy", doc);
    }
    if (e == QR_OK && !same) {
        e = keep_doc(&p->policy_doc, &p->policy_len, doc);
    }
    if (e != QR_OK || same) {
        budget = qr_budget_free(budget);
        next = qr_policy_free(next);
        return e;
    }
    p->policy = qr_policy_free(p->policy);
    p->policy = next;
    qr_limits_set(p, budget);
    qr_release_apply(p);
    return QR_OK;
}

/* ---- open -------------------------------------------------------------------------------- */

static qr_err
open_identity(struct qr_party *p)
{
    p->id_secret = qr_locked_alloc(ID_SECRET_LEN, NULL);
    if (!p->id_secret) {
        return QR_ERR_NO_MEMORY;
    }
    struct qr_buf b = qr_buf_over(p->id_secret, ID_SECRET_LEN);
    qr_err e = qr_store_get(p->env.store, QR_TABLE_META, "identity", &b);
    if (e == QR_ERR_NOT_FOUND) {
        uint8_t *seed = qr_locked_alloc(crypto_sign_SEEDBYTES, NULL);
        if (!seed) {
            return QR_ERR_NO_MEMORY;
        }
        qr_rng_fill(&p->env.rng, seed, crypto_sign_SEEDBYTES);
        (void)crypto_sign_seed_keypair(p->id, p->id_secret, seed);
        seed = qr_locked_free(seed);
        e = qr_store_put(p->env.store, QR_TABLE_META, "identity",
                         qr_view_of(p->id_secret, ID_SECRET_LEN));
    } else if (e == QR_OK && b.len != ID_SECRET_LEN) {
        e = QR_ERR_STORE_CORRUPT;
    }
    if (e == QR_OK) {
        (void)crypto_sign_ed25519_sk_to_pk(p->id, p->id_secret);
    }
    return e;
}

/* A new process: a new nonce, and a counter that no rollback can raise. */
qr_err
qr_state_boot(struct qr_party *p)
{
    uint8_t rec[8] = {0};
    struct qr_buf b = qr_buf_over(rec, sizeof rec);
    qr_err e = qr_store_get(p->env.store, QR_TABLE_META, "boot", &b);
    if (e != QR_OK && e != QR_ERR_NOT_FOUND) {
        return e;
    }
    p->boot_counter = qr_get64(rec) + 1;
    qr_put64(rec, p->boot_counter);
    QR_TRY(put(p, QR_TABLE_META, "boot", qr_view_of(rec, sizeof rec)));
    qr_rng_fill(&p->env.rng, p->boot_nonce, 32);
    return QR_OK;
}

qr_err
qr_state_open(struct qr_party *p, char *err_text, size_t err_cap)
{
    const char *what = "identity key";
    int locked = 0;
    qr_err e = open_identity(p);
    if (e == QR_OK) {
        what = "boot counter";
        e = qr_state_boot(p);
    }
    if (e == QR_OK) {
        what = "marks of collateral";
        e = qr_attest_open(p);
    }
    if (e == QR_OK) {
        what = "peer records";
        struct load_peers l = {.p = p};
        e = qr_store_scan(p->env.store, QR_TABLE_PEER, load_peer, &l);
        e = e == QR_OK ? l.err : e;
    }
    if (e == QR_OK) {
        what = "retired pairs";
        e = qr_store_scan(p->env.store, QR_TABLE_PAIR, load_pair, p);
    }
    if (e == QR_OK) {
        what = "pieces of the peers' secrets";
        e = qr_pieces_load(p);
    }
    if (e == QR_OK) {
        what = "list of the peer secret's holders";
        e = qr_secret_load(p, &locked);
    }
    if (e == QR_OK && !locked) {
        char why[QR_ERR_TEXT_MAX];
        what = "keys";
        e = qr_state_load_keys(p, why, sizeof why);
    }
    if (e == QR_OK) {
        what = "roster";
        e = load_doc(p, "roster", &p->roster_doc, &p->roster_len);
        if (e == QR_OK) {
            QR_TRY(qr_roster_parse(qr_view_of(p->roster_doc, p->roster_len), &p->roster, err_text,
                                   err_cap));
            p->self = find_self(p, p->roster);
        }
        e = e == QR_ERR_NOT_FOUND ? QR_OK : e;
    }
    if (e == QR_OK) {
        what = "manifests";
        e = qr_release_open(p);
    }
    if (e == QR_OK) {
        what = "policy";
        e = load_doc(p, "policy", &p->policy_doc, &p->policy_len);
        if (e == QR_OK) {
            QR_TRY(qr_policy_parse(qr_view_of(p->policy_doc, p->policy_len), &p->policy, err_text,
                                   err_cap));
            qr_release_apply(p);
        }
        e = e == QR_ERR_NOT_FOUND ? QR_OK : e;
    }
    if (e == QR_OK && p->roster && p->policy) {
        struct qr_budget *b = NULL;
        what = "what the limits have given out";
        e = qr_limits_make(p, p->policy, &b);
        if (e == QR_OK) {
            qr_limits_set(p, b);
        }
    }
    if (e != QR_OK) {
        (void)snprintf(err_text, err_cap, "%s: %s", what, store_text(p, e));
    }
    return e;
}

void
qr_state_close(struct qr_party *p)
{
    qr_state_drop_keys(p);
    qr_secret_close(p);
    p->id_secret = qr_locked_free(p->id_secret);
    p->roster = qr_roster_free(p->roster);
    p->policy = qr_policy_free(p->policy);
    qr_limits_close(p);
    qr_release_close(p);
    p->roster_doc = qr_free(p->roster_doc);
    p->policy_doc = qr_free(p->policy_doc);
}
