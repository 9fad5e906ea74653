/* Attacks on whole parties; see attacks.h. Party 1 is the victim, party 2 the attacker's. */
#include "test/common/attacks.h"

#include "protocol/base/check.h"
#include "protocol/sign.h"
#include "test/common/malice.h"

#include <openssl/ec.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VICTIM 1
#define ATTACKER 2
#define PAIR_MASK 3u /* the set {1, 2} */

struct stage {
    struct cluster c;
    struct wiretap w;
    struct malice m;
    char *said;
    size_t cap;
    struct qr_pool_id pool; /* the attacker's, with the victim */
    /* the last of each that the victim sent to the attacker */
    uint8_t share[8 + QR_SIGN_SHARE_LEN], *round2;
    size_t share_len;
    int shares;
};

static void
listen(void *ctx, struct wiretap *w, struct wire_msg *m)
{
    struct stage *s = ctx;

    (void)w;
    if (m->from != VICTIM || m->to != ATTACKER)
        return;
    if (m->type == QR_MSG_SIGN_SHARE && m->len <= sizeof s->share) {
        memcpy(s->share, m->p, m->len);
        s->share_len = m->len;
        s->shares++;
    }
    if (m->type == QR_MSG_PRESIGN2 && m->len == QR_PRESIGN2_LEN(4))
        memcpy(s->round2, m->p, m->len);
    if (m->type == QR_MSG_RETIRE)
        m->drop = 1; /* the attacker does not care */
}

/* A cluster of n with a 2-of-n key. quiet: no presignatures but those somebody asks for. */
static struct stage *
raise_curtain(size_t n, int quiet, char *said, size_t cap)
{
    struct stage *s = qr_alloc(sizeof *s);
    uint8_t pk[33];

    QR_ASSERT(s != NULL);
    s->said = said;
    s->cap = cap;
    s->round2 = qr_alloc(QR_PRESIGN2_LEN(4));
    QR_ASSERT(s->round2 != NULL);
    cluster_start(&s->c, n, NULL);
    if (quiet)
        malice_quiet(&s->c);
    wiretap_on(&s->w, &s->c, listen, s);
    cluster_keygen(&s->c, 2, pk);
    malice_start(&s->m, &s->w, ATTACKER, VICTIM);
    s->pool = (struct qr_pool_id){.set_mask = PAIR_MASK, .owner = ATTACKER};
    memcpy(s->pool.key_id, s->c.p[ATTACKER].party->key[0].key->pub.key_id, 32);
    return s;
}

static enum attack_result
end(struct stage *s, enum attack_result r, const char *text)
{
    (void)snprintf(s->said, s->cap, "%s", text);
    malice_stop(&s->m);
    wiretap_off(&s->w);
    cluster_stop(&s->c);
    qr_free(s->round2);
    qr_free(s);
    return r;
}

static void
turns(struct stage *s, size_t n)
{
    while (n-- > 0)
        cluster_turn(&s->c);
}

static int
stocked(struct cluster *c, void *ctx)
{
    const struct stage *s = ctx;

    for (uint16_t i = 1; i <= c->n; i++)
        if (qr_batch_running(c->p[i].party) != 0)
            return 0;
    return qr_pool_ready(c->p[ATTACKER].party->pool, &s->pool) >= 4 &&
           qr_pool_ready(c->p[VICTIM].party->pool, &s->pool) >= 4;
}

static int
share_came(struct cluster *c, void *ctx)
{
    (void)c;
    return ((struct stage *)ctx)->shares > 0;
}

static void
body_of(struct stage *s, const char *id, char *out, size_t cap)
{
    const struct qr_key_pub *k = &s->c.p[ATTACKER].party->key[0].key->pub;
    cluster_body(&s->c, k->pk, id, "", 1, "sha256", out, cap);
}

/* Asks the victim; 1 if it answered with a share. */
static int
ask(struct stage *s, const char *body, const qr_view *stamps, size_t n, const uint8_t *presig_id,
    uint8_t ret_request[static 32])
{
    s->shares = 0;
    malice_ask(&s->m, body, stamps, n, presig_id, ret_request);
    return cluster_until(&s->c, 2000, share_came, s) && qr_get16(s->share + 4) == 0 &&
           s->share_len == sizeof s->share;
}

/* ---- one presignature, two answers --------------------------------------------------------- */

/* What two shares of one presignature say about its phi, u and v. */
struct answer {
    uint8_t share[QR_SIGN_SHARE_LEN], digest[32];
};

static void
read_answer(const struct answer *a, const uint8_t R33[static 33], qr_fq *h, qr_fq *delta, qr_fq *rx,
            qr_fq *w, qr_fq *u)
{
    uint8_t wide[64], x[32];
    qr_pt R;
    int odd;

    qr_tb(QR_TAG_RERAND, QR_FIELDS(QR_F(a->share, 32)), wide);
    qr_fq_reduce64(delta, wide);
    qr_fq_reduce32(h, a->digest);
    QR_ASSERT(qr_fq_parse(w, a->share + 32) == QR_OK && qr_fq_parse(u, a->share + 64) == QR_OK);
    QR_ASSERT(qr_pt_parse(&R, R33) == QR_OK && qr_pt_add_base_var(&R, &R, delta) == QR_OK);
    qr_pt_xy(&R, x, &odd);
    qr_fq_reduce32(rx, x);
}

/* sk = (v + v')/(phi + phi') from two answers of the other member and one's own half: 1 if it is. */
static int
solve(const struct answer a[static 2], const struct qr_presig *own, const uint8_t pk33[static 33])
{
    qr_fq h[2], delta[2], rx[2], w[2], u[2], phi, v, t, inv;
    uint8_t got[33];
    qr_pt P;

    for (size_t k = 0; k < 2; k++)
        read_answer(&a[k], own->R, &h[k], &delta[k], &rx[k], &w[k], &u[k]);
    qr_fq_sub(&t, &delta[0], &delta[1]);
    if (qr_fq_is_zero(&t)) {
        /* not re-randomised: phi from w = h*phi + rx*v with the same rx */
        qr_fq_sub(&t, &h[0], &h[1]);
        if (qr_fq_is_zero(&t))
            return 0;
        qr_fq_inv_var(&inv, &t);
        qr_fq_sub(&t, &w[0], &w[1]);
    } else {
        qr_fq_inv_var(&inv, &t);
        qr_fq_sub(&t, &u[0], &u[1]);
    }
    qr_fq_mul(&phi, &t, &inv);
    qr_fq_mul(&t, &h[0], &phi);
    qr_fq_sub(&t, &w[0], &t);
    qr_fq_inv_var(&inv, &rx[0]);
    qr_fq_mul(&v, &t, &inv);
    qr_fq_add(&phi, &phi, &own->phi);
    qr_fq_add(&v, &v, &own->v);
    if (qr_fq_is_zero(&phi))
        return 0;
    qr_fq_inv_var(&inv, &phi);
    qr_fq_mul(&v, &v, &inv);
    if (qr_pt_mul_base(&P, &v) != QR_OK)
        return 0;
    qr_pt_put(got, &P);
    return memcmp(got, pk33, 33) == 0;
}

/* The same against qr_sign_share itself: a caller that uses one struct twice. */
static int
reuse_of_a_struct(struct stage *s, int *ret_answers)
{
    const uint16_t S[] = {1, 2};
    const struct qr_key_pub *k = &s->c.p[ATTACKER].party->key[0].key->pub;
    uint8_t id[QR_PRESIG_ID_LEN], rq[32] = {1};
    struct answer a[2];
    struct qr_presig theirs, own;
    struct qr_sign_common common;
    struct qr_sign_item item;

    *ret_answers = 0;
    if (qr_pool_choose(s->c.p[ATTACKER].party->pool, &s->pool, 1, &id) != QR_OK ||
        qr_pool_take(s->c.p[ATTACKER].party->pool, &s->pool, id, &own) != QR_OK ||
        qr_pool_take(s->c.p[VICTIM].party->pool, &s->pool, id, &theirs) != QR_OK)
        return 0;
    for (size_t n = 0; n < 2; n++) {
        memset(a[n].digest, (int)(n + 1), 32);
        QR_ASSERT(qr_sign_prepare(k, S, 2, rq, rq, NULL, 0, &common) == QR_OK);
        if (qr_sign_share(&common, a[n].digest, 0, &theirs, a[n].share, &item) != QR_OK)
            return 0;
        ++*ret_answers;
    }
    return solve(a, &own, k->pk);
}

enum attack_result
attack_presig_reuse(char *said, size_t cap)
{
    static char body[4096];
    struct stage *s = raise_curtain(2, 0, said, cap);
    const struct qr_key_pub *k = &s->c.p[ATTACKER].party->key[0].key->pub;
    uint8_t id[QR_PRESIG_ID_LEN], request[32];
    struct answer a[2];
    struct qr_presig own;
    char text[160];
    int answers = 0, by_struct = 0;

    if (!cluster_until(&s->c, 20000, stocked, s))
        return end(s, ATTACK_BROKEN, "no presignatures were made");
    malice_quiet(&s->c);
    if (qr_pool_choose(s->c.p[ATTACKER].party->pool, &s->pool, 1, &id) != QR_OK ||
        qr_pool_take(s->c.p[ATTACKER].party->pool, &s->pool, id, &own) != QR_OK)
        return end(s, ATTACK_BROKEN, "no presignature to begin with");
    for (size_t n = 0; n < 2; n++) {
        struct qr_request *req = qr_alloc(sizeof *req);
        char why[256];
        body_of(s, n ? "the-second-request-1" : "the-first-request-01", body, sizeof body);
        body[strlen(body) - 5] = n ? '7' : '6'; /* another preimage, hence another digest */
        qr_view stamp = cluster_stamp(s->c.client, body, 1);
        QR_ASSERT(req != NULL &&
                  qr_request_parse(qr_view_str(body), req, why, sizeof why) == QR_OK);
        memcpy(a[n].digest, req->items[0].digest, 32);
        qr_request_clear(req);
        qr_free(req);
        if (!ask(s, body, &stamp, 1, id, request))
            break;
        memcpy(a[n].share, s->share + 8, QR_SIGN_SHARE_LEN);
        answers++;
    }
    if (answers == 0)
        return end(s, ATTACK_BROKEN, "the victim does not even answer once");
    if (answers == 2 && solve(a, &own, k->pk))
        return end(s, ATTACK_SUCCEEDED, "the secret key, from two answers of one presignature");
    if (reuse_of_a_struct(s, &by_struct))
        return end(s, ATTACK_SUCCEEDED, "the secret key, from two shares of one presignature");
    (void)snprintf(text, sizeof text, "%d answer by the party and %d by the machine, then none",
                   answers, by_struct);
    return end(s, answers == 1 && by_struct == 1 ? ATTACK_FAILED : ATTACK_BROKEN, text);
}

/* ---- no stamp ------------------------------------------------------------------------------ */

enum attack_result
attack_forged_stamp(char *said, size_t cap)
{
    static char body[4096];
    struct stage *s = raise_curtain(2, 0, said, cap);
    uint8_t id[3][QR_PRESIG_ID_LEN], request[32];
    static const char *const how[] = {"no stamp at all", "a stamp by a stranger's key",
                                      "a stamp over other bytes"};

    if (!cluster_until(&s->c, 20000, stocked, s) ||
        qr_pool_choose(s->c.p[ATTACKER].party->pool, &s->pool, 3, id) != QR_OK)
        return end(s, ATTACK_BROKEN, "no presignatures were made");
    malice_quiet(&s->c);
    EVP_PKEY *stranger = EVP_EC_gen("P-256");
    enum attack_result r = ATTACK_FAILED;
    for (size_t n = 0; n < 3; n++) {
        char name[40], text[128];
        (void)snprintf(name, sizeof name, "nobody-asked-for-it-%zu", n);
        body_of(s, name, body, sizeof body);
        qr_view stamp = cluster_stamp(n == 1 ? stranger : s->c.client, n == 2 ? "{}" : body, 1);
        if (ask(s, body, &stamp, n == 0 ? 0 : 1, id[n], request)) {
            (void)snprintf(text, sizeof text, "a share of a signature with %s", how[n]);
            EVP_PKEY_free(stranger);
            return end(s, ATTACK_SUCCEEDED, text);
        }
        if (s->shares == 0)
            r = ATTACK_BROKEN;
    }
    EVP_PKEY_free(stranger);
    /* the control: with the client's stamp it is answered */
    body_of(s, "somebody-asked-for-it", body, sizeof body);
    qr_view stamp = cluster_stamp(s->c.client, body, 1);
    if (!ask(s, body, &stamp, 1, id[0], request))
        r = ATTACK_BROKEN;
    return end(s, r,
               r == ATTACK_FAILED ? "3 requests without the client's stamp, no share"
                                  : "the victim answers nobody");
}

/* ---- one session twice --------------------------------------------------------------------- */

static struct {
    struct stage *s;
    uint8_t sid[32], start[QR_CTL_START_LEN], round1[QR_PRESIGN1_LEN(4)];
    int have;
} record;

static void
record_first_batch(void *ctx, struct wiretap *w, struct wire_msg *m)
{
    listen(ctx, w, m);
    if (m->from != ATTACKER || m->to != VICTIM)
        return;
    if (m->type == QR_MSG_PRESIGN_START && record.have == 0) {
        memcpy(record.sid, m->sid, 32);
        memcpy(record.start, m->p, sizeof record.start);
        record.have = 1;
    } else if (m->type == QR_MSG_PRESIGN1 && record.have == 1 &&
               memcmp(m->sid, record.sid, 32) == 0) {
        memcpy(record.round1, m->p, sizeof record.round1);
        record.have = 2;
    }
}

static int
recorded(struct cluster *c, void *ctx)
{
    struct stage *s = ctx;
    return record.have == 2 && qr_batch_running(c->p[VICTIM].party) == 0 &&
           qr_batch_running(c->p[ATTACKER].party) == 0 &&
           qr_pool_ready(c->p[ATTACKER].party->pool, &s->pool) == 4;
}

/*
 * The victim's inputs are hidden by pads of the session id and of rows that follow from what the
 * attacker sent. The same id and the same bytes again: the same pads over other nonces.
 */
enum attack_result
attack_rsid_twice(char *said, size_t cap)
{
    static uint8_t first[QR_PRESIGN2_LEN(4)];
    struct stage *s = raise_curtain(2, 1, said, cap);
    unsigned found = 0;

    memset(&record, 0, sizeof record);
    s->w.on_msg = record_first_batch;
    s->c.p[ATTACKER].party->cfg.pool_high = s->c.p[ATTACKER].party->cfg.pool_low = 4;
    if (!cluster_until(&s->c, 20000, recorded, s))
        return end(s, ATTACK_BROKEN, "no batch was recorded");
    malice_quiet(&s->c);
    memcpy(first, s->round2, sizeof first);
    turns(s, 50);

    size_t from = s->w.n;
    wiretap_say(&s->w, ATTACKER, VICTIM, QR_MSG_PRESIGN_START, 0, record.sid,
                qr_view_of(record.start, sizeof record.start));
    wiretap_say(&s->w, ATTACKER, VICTIM, QR_MSG_PRESIGN1, 0, record.sid,
                qr_view_of(record.round1, sizeof record.round1));
    enum malice_reply r = malice_wait(&s->m, from, record.sid, 3000);
    if (r == REPLY_REFUSED)
        return end(s, ATTACK_FAILED, "the second run under one name was refused");
    if (r != REPLY_ROUND2)
        return end(s, ATTACK_BROKEN, "the second run was neither refused nor answered");
    for (size_t k = 0; k < 4; k++) {
        const size_t slot = 64 + k * QR_PRESIGN2_SLOT_LEN;
        uint8_t want[33];
        qr_fq a, b;
        qr_pt R, D;
        /* a~ = alpha0 - alpha1 + r in both: the difference is that of the nonces */
        QR_ASSERT(qr_fq_parse(&a, s->round2 + slot + 164) == QR_OK);
        QR_ASSERT(qr_fq_parse(&b, first + slot + 164) == QR_OK);
        qr_fq_sub(&a, &a, &b);
        if (qr_fq_is_zero(&a) || qr_pt_mul_base(&D, &a) != QR_OK)
            continue;
        QR_ASSERT(qr_pt_parse(&R, first + slot) == QR_OK);
        if (qr_pt_add(&R, &R, &D) != QR_OK)
            continue;
        qr_pt_put(want, &R);
        found += memcmp(want, s->round2 + slot, 33) == 0;
    }
    if (found == 4)
        return end(s, ATTACK_SUCCEEDED,
                   "the differences of the victim's nonces in two batches: two signatures away "
                   "from its key");
    return end(s, ATTACK_BROKEN, "a second run under one name, but nothing came of it");
}

/* ---- a disk that goes back ----------------------------------------------------------------- */

static void
disk(struct cluster *c, size_t i, int restore)
{
    char cmd[512];
    const char *d = c->p[i].dir;

    (void)snprintf(cmd, sizeof cmd,
                   restore ? "rm -f '%s'/store.db*; cp -p '%s'/old/* '%s'/"
                           : "mkdir -p '%s'/old && cp -p '%s'/store.db* '%s'/old/",
                   d, d, d);
    QR_ASSERT(system(cmd) == 0);
}

enum attack_result
attack_rolled_back_store(char *said, size_t cap)
{
    struct stage *s = raise_curtain(3, 1, said, cap);
    uint8_t pk[33];
    char text[160];

    cluster_kill(&s->c, VICTIM);
    disk(&s->c, VICTIM, 0);
    cluster_boot(&s->c, VICTIM);
    if (!cluster_until(&s->c, 20000, cluster_linked, NULL))
        return end(s, ATTACK_BROKEN, "a restarted party did not come back");
    cluster_keygen(&s->c, 2, pk);
    qr_pairs_retire(s->c.p[VICTIM].party, ATTACKER);
    turns(s, 300);
    uint64_t before = qr_store_serial(s->c.p[VICTIM].store);
    cluster_kill(&s->c, VICTIM);
    disk(&s->c, VICTIM, 1);
    cluster_boot(&s->c, VICTIM);
    uint64_t after = qr_store_serial(s->c.p[VICTIM].store);
    /* the honest party as it runs, and restarted, when it has only its own disk's word */
    for (int restarted = 0; restarted < 2; restarted++) {
        if (restarted) {
            cluster_kill(&s->c, 3);
            cluster_boot(&s->c, 3);
        }
        turns(s, 3000);
        if (qr_net_is_up(s->c.p[3].party->net, VICTIM)) {
            (void)snprintf(text, sizeof text,
                           "party 3 accepts party 1 at serial %llu after it was at %llu",
                           (unsigned long long)after, (unsigned long long)before);
            return end(s, ATTACK_SUCCEEDED, text);
        }
        if (s->c.p[3].party->c.attest_refused == 0)
            return end(s, ATTACK_BROKEN, "the honest party was not even asked");
    }
    return end(s, ATTACK_FAILED, "the honest party refused the old disk, restarted or not");
}

/* ---- Delta, eight bits at a time ------------------------------------------------------------ */

/* The victim's host puts the old disk back; the attacker forgets what it saw of the newer one. */
static int
roll_back(struct stage *s)
{
    cluster_kill(&s->c, VICTIM);
    disk(&s->c, VICTIM, 1);
    cluster_boot(&s->c, VICTIM);
    if (qr_store_del(s->c.p[ATTACKER].store, QR_TABLE_PEER, "1") != QR_OK)
        return 0;
    cluster_kill(&s->c, ATTACKER);
    cluster_boot(&s->c, ATTACKER);
    return cluster_until(&s->c, 20000, cluster_linked, NULL);
}

/*
 * A Bob who uses another beta' in one group passes C1 if he guessed the 8 bits of Delta that belong
 * to the group. Told whether he did, as often as he likes, he has all of Delta after some 2,000
 * batches, and with it what every batch of this pair ever hid.
 */
enum attack_result
attack_delta_oracle(char *said, size_t cap)
{
    struct stage *s = raise_curtain(2, 1, said, cap);
    unsigned asked = 0, told = 0, after_failure = 0, rolled = 0, best = 0, known = 0, guess = 0;
    int failed = 0;
    uint8_t delta[16] = {0}, sid[32];
    char text[200];

    cluster_kill(&s->c, VICTIM);
    disk(&s->c, VICTIM, 0);
    cluster_boot(&s->c, VICTIM);
    if (!cluster_until(&s->c, 20000, cluster_linked, NULL))
        return end(s, ATTACK_BROKEN, "a restarted party did not come back");
    while (known < 16 && rolled < 2 && asked < 16 * 256 + 64) {
        size_t from = s->w.n;
        malice_open(&s->m, sid);
        malice_guess(&s->m, sid, known, guess);
        asked++;
        enum malice_reply r = malice_wait(&s->m, from, sid, 2000);
        told += r == REPLY_ROUND2 || r == REPLY_FAILED;
        after_failure += failed && (r == REPLY_ROUND2 || r == REPLY_FAILED);
        if (r == REPLY_ROUND2) {
            malice_abort(&s->m, sid);
            delta[known++] = (uint8_t)guess;
            guess = 0;
        } else if (r == REPLY_FAILED) {
            failed = 1;
            if (guess++ == 255)
                return end(s, ATTACK_BROKEN, "no guess of 8 bits was ever right");
        } else if (r == REPLY_REFUSED) {
            /* retired: an older disk, and what was learned is put together with what comes */
            if (!roll_back(s))
                return end(s, ATTACK_BROKEN, "the pair did not come back after a roll-back");
            rolled++;
            failed = 0;
        } else {
            return end(s, ATTACK_BROKEN, "a batch got no reply");
        }
        best = known > best ? known : best;
    }
    const struct qr_pair_keys *k = qr_pair_keys(s->c.p[VICTIM].party->peer[ATTACKER].pair);
    int all = known == 16 && k != NULL && memcmp(delta, k->delta.b, 16) == 0;
    (void)snprintf(text, sizeof text,
                   all ? "all 128 bits of Delta after %u batches (%u verdicts, %u of them after a "
                         "failure, %u roll-backs)"
                       : "%u batches, %u verdicts, %u of them after a failure, %u roll-backs: no "
                         "Delta",
                   asked, told, after_failure, rolled);
    if (!all && (after_failure > 0 || told == 0))
        return end(s, ATTACK_BROKEN, text);
    return end(s, all ? ATTACK_SUCCEEDED : ATTACK_FAILED, text);
}
