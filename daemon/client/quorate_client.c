#include "daemon/client/quorate_client.h"

#include "daemon/client/client.h"
#include "daemon/client/ecsig.h"
#include "daemon/loop.h"
#include "daemon/stamp.h"
#include "protocol/base/enc.h"
#include "protocol/base/hash.h"

#include <openssl/evp.h>
#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

struct quorate_client {
    char *gateways, *ca_file;
    struct qr_roster *roster;
    EVP_PKEY *key;
    struct qr_client *client; /* made when all is set */
    pthread_mutex_t lock;     /* of its making */
    void (*progress)(void *ctx, const char *step, const char *gateway, const char *text);
    void *ctx;
};

/* An item and what it points to. */
struct kept {
    uint8_t *bytes;
    struct qr_btc_prevout *prev;
};

struct quorate_job {
    struct quorate_client *c;
    uint8_t key[33];
    uint32_t path[QR_PATH_MAX];
    size_t depth;
    unsigned life_s;
    struct qr_want_item item[QR_ITEMS_MAX];
    struct kept kept[QR_ITEMS_MAX];
    size_t n;
    int is_stamped, is_done;
    char *approval[QR_APPROVALS_MAX];
    struct qr_dbuf receipt;
    struct qr_client_fail fail;
    struct qr_client_job j;
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static qr_err started = QR_ERR_CRYPTO_LIB;

static void
start(void)
{
    struct qr_rng rng = qr_rng_system();
    if (sodium_init() < 0 || qr_hash_init() != QR_OK || qr_group_init(&rng) != QR_OK) {
        return;
    }
    started = qr_stamp_init();
}

static void
say(char *err, size_t cap, const char *text)
{
    if (err && cap) {
        snprintf(err, cap, "%s", text);
    }
}

unsigned
quorate_client_version(void)
{
    return QUORATE_CLIENT_VERSION;
}

/* ---- a client ---- */

struct quorate_client *
quorate_client_new(const char *gateways, const void *roster, size_t len, char *err, size_t err_cap)
{
    char why[QR_ERR_TEXT_MAX] = "out of memory";
    struct quorate_client *c = NULL;

    if (!gateways || !roster || len > QR_DOC_MAX) {
        say(err, err_cap, "gateways and a roster of at most 256 KiB are needed");
        return NULL;
    }
    if (pthread_once(&once, start) != 0 || started != QR_OK) {
        say(err, err_cap, "a cryptographic library does not start");
        return NULL;
    }
    c = qr_alloc(sizeof *c);
    if (!c || pthread_mutex_init(&c->lock, NULL) != 0) {
        qr_free(c);
        say(err, err_cap, why);
        return NULL;
    }
    c->gateways = qr_strdup(gateways);
    if (!c->gateways ||
        qr_roster_parse(qr_view_of(roster, len), &c->roster, why, sizeof why) != QR_OK) {
        say(err, err_cap, why);
        quorate_client_free(c);
        return NULL;
    }
    return c;
}

enum quorate_client_status
quorate_client_key_file(struct quorate_client *c, const char *path, char *err, size_t err_cap)
{
    char why[512] = "the key is set before the first job is stamped";
    EVP_PKEY *k = NULL;

    if (!c || !path || c->client || qr_client_key_file(path, &k, why, sizeof why) != QR_OK) {
        say(err, err_cap, why);
        return QUORATE_CLIENT_BAD_REQUEST;
    }
    EVP_PKEY_free(c->key);
    c->key = k;
    return QUORATE_CLIENT_DONE;
}

enum quorate_client_status
quorate_client_ca_file(struct quorate_client *c, const char *path)
{
    if (!c || !path || c->client) {
        return QUORATE_CLIENT_BAD_REQUEST;
    }
    qr_free(c->ca_file);
    c->ca_file = qr_strdup(path);
    return c->ca_file ? QUORATE_CLIENT_DONE : QUORATE_CLIENT_INTERNAL;
}

void
quorate_client_progress(struct quorate_client *c,
                        void (*fn)(void *ctx, const char *step, const char *gateway,
                                   const char *text),
                        void *ctx)
{
    if (c) {
        c->progress = fn;
        c->ctx = ctx;
    }
}

static void
on_step(void *ctx, enum qr_client_step step, const char *gateway, const struct qr_client_fail *f)
{
    static const char *const names[] = {[QR_CLIENT_ASKS_KEY] = "asks_key",
                                        [QR_CLIENT_SENDS] = "sends",
                                        [QR_CLIENT_FAILED] = "failed",
                                        [QR_CLIENT_NEXT] = "next",
                                        [QR_CLIENT_SIGNED] = "signed"};
    const struct quorate_client *c = ctx;
    if (c->progress) {
        c->progress(c->ctx, names[step], gateway, f ? f->text : "");
    }
}

/* The client behind the handle; NULL: err says why. */
static struct qr_client *
client_of(struct quorate_client *c, char *err, size_t cap)
{
    char why[512] = "";

    pthread_mutex_lock(&c->lock);
    if (!c->client) {
        const struct qr_client_opts o = {.gateways = c->gateways,
                                         .roster = c->roster,
                                         .key = c->key,
                                         .ca_file = c->ca_file,
                                         .on_step = on_step,
                                         .ctx = c};
        if (qr_client_new(&o, &c->client, why, sizeof why) != QR_OK) {
            say(err, cap, why);
        }
    }
    pthread_mutex_unlock(&c->lock);
    return c->client;
}

void
quorate_client_free(struct quorate_client *c)
{
    if (c) {
        qr_client_free(c->client);
        qr_roster_free(c->roster);
        EVP_PKEY_free(c->key);
        qr_free(c->gateways);
        qr_free(c->ca_file);
        pthread_mutex_destroy(&c->lock);
        qr_free(c);
    }
}

/* ---- a request ---- */

struct quorate_job *
quorate_job_new(struct quorate_client *c, const char *key)
{
    uint8_t k[33];

    if (!c || !key || strlen(key) != 66 || qr_hex_decode(key, 66, k, sizeof k) != QR_OK) {
        return NULL;
    }
    struct quorate_job *j = qr_alloc(sizeof *j);
    if (j) {
        j->c = c;
        memcpy(j->key, k, sizeof k);
        qr_dbuf_init(&j->receipt, QR_BODY_MAX * 128u);
    }
    return j;
}

enum quorate_client_status
quorate_job_path(struct quorate_job *j, const char *path)
{
    return j && path && !j->is_stamped && qr_want_path(path, j->path, &j->depth) == QR_OK
               ? QUORATE_CLIENT_DONE
               : QUORATE_CLIENT_BAD_REQUEST;
}

enum quorate_client_status
quorate_job_life(struct quorate_job *j, unsigned seconds)
{
    if (!j || j->is_stamped || seconds == 0 || seconds > QR_APPROVAL_LIFE_MS / 1000) {
        return QUORATE_CLIENT_BAD_REQUEST;
    }
    j->life_s = seconds;
    return QUORATE_CLIENT_DONE;
}

/* A place for one more item of this kind, of either sort. */
static int
may_add(const struct quorate_job *j, const char *kind, int is_btc, enum qr_kind *ret)
{
    return j && !j->is_stamped && j->n < QR_ITEMS_MAX && kind &&
           qr_kind_parse(qr_view_str(kind), ret) == QR_OK &&
           (*ret == QR_KIND_BTC_LEGACY || *ret == QR_KIND_BTC_BIP143) == is_btc;
}

static qr_view
copy(uint8_t **at, const void *p, size_t n)
{
    uint8_t *to = *at;
    if (n) {
        memcpy(to, p, n);
    }
    *at += n;
    return qr_view_of(to, n);
}

enum quorate_client_status
quorate_job_add(struct quorate_job *j, const char *kind, const void *bytes, size_t len)
{
    enum qr_kind k;

    if (!may_add(j, kind, 0, &k) || (!bytes && len) || len > QR_PREIMAGE_MAX ||
        (k == QR_KIND_DIGEST && len != 32)) {
        return QUORATE_CLIENT_BAD_REQUEST;
    }
    uint8_t *p = qr_alloc(len + 1);
    if (!p) {
        return QUORATE_CLIENT_INTERNAL;
    }
    j->kept[j->n].bytes = p;
    j->item[j->n++] = (struct qr_want_item){.kind = k, .bytes = copy(&p, bytes, len)};
    return QUORATE_CLIENT_DONE;
}

enum quorate_client_status
quorate_job_add_btc(struct quorate_job *j, const char *kind, const void *tx, size_t len,
                    unsigned input, const struct quorate_prevout *prevouts, size_t n)
{
    enum qr_kind k;
    size_t all = len;

    if (!may_add(j, kind, 1, &k) || !tx || len > QR_PREIMAGE_MAX || !prevouts || n == 0 ||
        n > QR_BTC_INPUTS_MAX) {
        return QUORATE_CLIENT_BAD_REQUEST;
    }
    for (size_t i = 0; i < n; i++) {
        const struct quorate_prevout *p = &prevouts[i];
        if (p->script_len > QR_BTC_SCRIPT_MAX || p->redeem_len > QR_BTC_SCRIPT_MAX ||
            p->witness_len > QR_BTC_SCRIPT_MAX) {
            return QUORATE_CLIENT_BAD_REQUEST;
        }
        all += p->script_len + p->redeem_len + p->witness_len;
    }
    uint8_t *bytes = qr_alloc(all);
    struct qr_btc_prevout *prev = qr_alloc(n * sizeof *prev);
    if (!bytes || !prev) {
        qr_free(bytes);
        qr_free(prev);
        return QUORATE_CLIENT_INTERNAL;
    }
    j->kept[j->n] = (struct kept){bytes, prev};
    struct qr_want_item *item = &j->item[j->n++];
    *item = (struct qr_want_item){
        .kind = k, .bytes = copy(&bytes, tx, len), .input = input, .prev = prev, .n_prev = n};
    for (size_t i = 0; i < n; i++) {
        const struct quorate_prevout *p = &prevouts[i];
        prev[i].sat = p->sat;
        prev[i].script = copy(&bytes, p->script, p->script_len);
        prev[i].redeem = copy(&bytes, p->redeem, p->redeem_len);
        prev[i].witness = copy(&bytes, p->witness, p->witness_len);
    }
    return QUORATE_CLIENT_DONE;
}

enum quorate_client_status
quorate_job_stamp(struct quorate_job *j, char *err, size_t err_cap)
{
    char why[512] = "";

    if (!j || j->is_stamped || j->n == 0) {
        say(err, err_cap, "a job is stamped once, with at least one item");
        return QUORATE_CLIENT_BAD_REQUEST;
    }
    struct qr_client *client = client_of(j->c, err, err_cap);
    if (!client) {
        return QUORATE_CLIENT_BAD_REQUEST;
    }
    uint64_t now = qr_wall_ms();
    struct qr_want w = {
        .key = j->key, .path = j->path, .depth = j->depth, .item = j->item, .n = j->n};
    if (j->life_s) {
        w.issued_ms = now;
        w.expires_ms = now + j->life_s * UINT64_C(1000);
    }
    if (qr_client_prepare(client, &w, &j->j, why, sizeof why) != QR_OK) {
        say(err, err_cap, why);
        return QUORATE_CLIENT_BAD_REQUEST;
    }
    j->is_stamped = 1;
    return QUORATE_CLIENT_DONE;
}

const char *
quorate_job_body(const struct quorate_job *j, size_t *ret_len)
{
    if (!j || !j->is_stamped) {
        return NULL;
    }
    if (ret_len) {
        *ret_len = j->j.body.len;
    }
    return (const char *)j->j.body.p;
}

const char *
quorate_job_stamp_text(const struct quorate_job *j)
{
    return j && j->is_stamped ? j->j.stamp : NULL;
}

enum quorate_client_status
quorate_job_hash(const struct quorate_job *j, uint8_t ret[32])
{
    if (!j || !j->is_stamped) {
        return QUORATE_CLIENT_BAD_REQUEST;
    }
    memcpy(ret, j->j.request.hash, 32);
    return QUORATE_CLIENT_DONE;
}

enum quorate_client_status
quorate_job_approve(struct quorate_job *j, const char *approval)
{
    if (!j || !approval || j->j.n_approvals == QR_APPROVALS_MAX ||
        strlen(approval) >= QR_STAMP_MAX) {
        return QUORATE_CLIENT_BAD_REQUEST;
    }
    char *text = qr_strdup(approval);
    if (!text) {
        return QUORATE_CLIENT_INTERNAL;
    }
    j->approval[j->j.n_approvals] = text;
    j->j.approval[j->j.n_approvals++] = text;
    return QUORATE_CLIENT_DONE;
}

static enum quorate_client_status
status_of(enum qr_client_verdict v)
{
    switch (v) {
    case QR_CLIENT_DONE:
        return QUORATE_CLIENT_DONE;
    case QR_CLIENT_BAD_REQUEST:
        return QUORATE_CLIENT_BAD_REQUEST;
    case QR_CLIENT_TEMPORARY:
        return QUORATE_CLIENT_TEMPORARY;
    case QR_CLIENT_REFUSED:
        return QUORATE_CLIENT_REFUSED;
    case QR_CLIENT_UNTRUSTED:
        return QUORATE_CLIENT_UNTRUSTED;
    case QR_CLIENT_INTERNAL:
        break;
    }
    return QUORATE_CLIENT_INTERNAL;
}

enum quorate_client_status
quorate_job_send(struct quorate_job *j, char *err, size_t err_cap)
{
    if (!j || !j->is_stamped) {
        say(err, err_cap, "a job is stamped before it is sent");
        return QUORATE_CLIENT_BAD_REQUEST;
    }
    enum qr_client_verdict v = qr_client_sign(j->c->client, &j->j, &j->fail);
    j->is_done = v == QR_CLIENT_DONE;
    say(err, err_cap, j->is_done ? "" : j->fail.text);
    return status_of(v);
}

void
quorate_job_free(struct quorate_job *j)
{
    if (j) {
        for (size_t i = 0; i < j->n; i++) {
            qr_free(j->kept[i].bytes);
            qr_free(j->kept[i].prev);
        }
        for (size_t i = 0; i < QR_APPROVALS_MAX; i++) {
            qr_free(j->approval[i]);
        }
        qr_dbuf_free(&j->receipt);
        qr_client_job_clear(&j->j);
        qr_free(j);
    }
}

/* ---- what came of it ---- */

const char *
quorate_job_code(const struct quorate_job *j)
{
    return j ? j->fail.problem.code : "";
}

const char *
quorate_job_rule(const struct quorate_job *j)
{
    return j ? j->fail.problem.rule : "";
}

size_t
quorate_job_count(const struct quorate_job *j)
{
    return j && j->is_done ? j->j.out.n : 0;
}

enum quorate_client_status
quorate_job_signature(const struct quorate_job *j, size_t i, uint8_t ret_rs[64],
                      unsigned *ret_recid)
{
    if (i >= quorate_job_count(j)) {
        return QUORATE_CLIENT_BAD_REQUEST;
    }
    memcpy(ret_rs, j->j.out.rs[i], 64);
    if (ret_recid) {
        *ret_recid = j->j.out.recid[i];
    }
    return QUORATE_CLIENT_DONE;
}

enum quorate_client_status
quorate_job_der(const struct quorate_job *j, size_t i, uint8_t ret[72], size_t *ret_len)
{
    if (i >= quorate_job_count(j)) {
        return QUORATE_CLIENT_BAD_REQUEST;
    }
    *ret_len = qr_ecsig_der(j->j.out.rs[i], ret);
    return QUORATE_CLIENT_DONE;
}

enum quorate_client_status
quorate_job_public_key(const struct quorate_job *j, uint8_t ret[33])
{
    if (quorate_job_count(j) == 0) {
        return QUORATE_CLIENT_BAD_REQUEST;
    }
    memcpy(ret, j->j.out.pk, 33);
    return QUORATE_CLIENT_DONE;
}

const char *
quorate_job_receipt(struct quorate_job *j, size_t *ret_len, char *err, size_t err_cap)
{
    struct qr_dbuf d;

    if (quorate_job_count(j) == 0) {
        say(err, err_cap, "nothing was signed");
        return NULL;
    }
    if (qr_client_receipt(j->c->client, j->j.request.hash, &d, &j->fail) != QR_CLIENT_DONE) {
        say(err, err_cap, j->fail.text);
        return NULL;
    }
    qr_dbuf_free(&j->receipt);
    j->receipt = d;
    if (ret_len) {
        *ret_len = d.len;
    }
    return (const char *)d.p;
}
