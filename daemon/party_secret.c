/* A party's own secret: made, given to its peers in pieces, asked back after a restart, replaced. */
#include "daemon/party_int.h"

#include "enclave-shim/seal.h"

#include <stdio.h>

#define RECORD "secret"
#define TRY_FIRST SECOND
#define TRY_MAX (16 * SECOND)
#define TRY_LIAR (60 * SECOND)
#define TELL_FIRST (2 * SECOND)
#define TELL_EVERY (30 * SECOND)

struct qr_secret_mem {
    struct qr_sec32 key; /* of the secret in force */
    struct qr_shamir_point now[QR_SHAMIR_NEED_MAX], next[QR_SHAMIR_NEED_MAX];
    struct qr_shamir_point back[QR_SHAMIR_NEED_MAX]; /* pieces that came back, while locked */
    struct qr_piece piece;                           /* the one at hand */
};

static uint16_t
bit(uint16_t index)
{
    return (uint16_t)(1u << (index - 1));
}

/* The peer's place in a sharing, by its identity: an index means nothing by itself. */
static int
place_of(const struct qr_party *p, const struct qr_sharing *s, uint16_t peer)
{
    return qr_sharing_find(s, p->roster->party[peer - 1].identity);
}

/* ---- key records ------------------------------------------------------------------------- */

qr_err
qr_secret_wrap(struct qr_party *p, const char *name, qr_view record, struct qr_buf *out)
{
    const struct qr_secret *s = &p->secret;

    if (s->now.epoch == 0) {
        qr_buf_put(out, record.p, record.len);
        return out->err;
    }
    return s->open
               ? qr_sharing_seal(&s->mem->key, &p->env.rng, s->now.epoch, p->id, name, record, out)
               : QR_ERR_NOT_READY;
}

qr_err
qr_secret_unwrap(struct qr_party *p, const char *name, qr_view stored, struct qr_buf *out)
{
    const struct qr_secret *s = &p->secret;

    if (s->now.epoch == 0) {
        qr_buf_put(out, stored.p, stored.len);
        return out->err;
    }
    return s->open ? qr_sharing_unseal(&s->mem->key, s->now.epoch, p->id, name, stored, out)
                   : QR_ERR_NOT_READY;
}

/* ---- making ------------------------------------------------------------------------------ */

static void
give_up(struct qr_party *p, const char *why)
{
    struct qr_secret *s = &p->secret;

    qr_party_log(QR_LOG_WARN, "secret_given_up", 0, "peer secret of epoch %u given up: %s",
                 (unsigned)s->next.epoch, why);
    qr_wipe(s->mem->next, sizeof s->mem->next);
    s->next = (struct qr_sharing){0};
    s->acked = 0;
}

static void
send_put(struct qr_party *p, uint16_t peer, const struct qr_sharing *s,
         const struct qr_shamir_point *point, int i)
{
    struct qr_piece *piece = &p->secret.mem->piece;
    uint8_t sid[32] = {0};
    uint8_t *out = NULL;

    if (qr_sharing_piece(s, point, p->id, (size_t)i, piece) == QR_OK) {
        out = p->out.reserve(p->out.ctx, peer, QR_MSG_SECRET_PUT, 0, sid, QR_CTL_SECRET_PUT_LEN);
    }
    if (out) { /* if not, tick tries again */
        struct qr_ctl_secret_put m = {.epoch = s->epoch,
                                      .keep = p->secret.now.epoch,
                                      .need = s->need,
                                      .piece = piece->y,
                                      .blind = piece->blind};
        struct qr_buf b = qr_buf_over(out, QR_CTL_SECRET_PUT_LEN);
        memcpy(m.commitment, s->holder[i].commitment, 32);
        qr_ctl_put_secret_put(&b, &m);
        p->out.commit(p->out.ctx, peer, out);
        qr_wipe(&m, sizeof m);
    }
    qr_wipe(piece, sizeof *piece);
}

/* To a peer that is up and has not said that it holds its piece. */
static void
put_next(struct qr_party *p, uint16_t peer)
{
    struct qr_secret *s = &p->secret;
    struct qr_secret_peer *x = &s->peer[peer];
    int i = place_of(p, &s->next, peer);

    if (s->next.epoch == 0 || i < 0 || (s->acked & bit(peer)) || !qr_net_is_up(p->net, peer)) {
        return;
    }
    x->wait = x->wait == 0 ? TRY_FIRST : 2 * x->wait < TRY_MAX ? 2 * x->wait : TRY_MAX;
    x->try_at = p->now + x->wait;
    send_put(p, peer, &s->next, s->mem->next, i);
}

static qr_err
save_list(struct qr_party *p, uint32_t last)
{
    uint8_t rec[QR_SHARING_RECORD_MAX];
    size_t n = qr_sharing_encode(last, &p->secret.now, rec);
    return qr_state_put(p, QR_TABLE_META, RECORD, qr_view_of(rec, n));
}

/* The number is durable before any piece of it leaves, so that no number is used twice. */
static qr_err
begin(struct qr_party *p, const struct qr_sharing *want, uint32_t epoch)
{
    struct qr_secret *s = &p->secret;
    qr_err e = QR_OK;

    QR_TRY(save_list(p, epoch));
    s->last = epoch;
    s->next = *want;
    s->next.epoch = epoch;
    s->acked = 0;
    s->since = p->now;
    s->tell_at = p->now + TELL_FIRST;
    e = qr_sharing_draw(&s->next, &p->env.rng, p->id, s->mem->next);
    if (e != QR_OK) {
        give_up(p, qr_err_text(e));
        return e;
    }
    qr_party_log(QR_LOG_INFO, "secret_making", 0,
                 "making the peer secret of epoch %u: %u pieces, any %u of them open it",
                 (unsigned)epoch, s->next.n, s->next.need);
    for (uint16_t i = 1; i <= p->roster->n; i++) {
        s->peer[i].wait = 0;
        if (i != p->self) {
            put_next(p, i);
        }
    }
    return QR_OK;
}

/* Every key record under the next key, and the new list: one commit. */
static qr_err
write_switch(struct qr_party *p, const struct qr_sec32 *key)
{
    const struct qr_secret *s = &p->secret;
    struct qr_store_change c[QR_KEYS_MAX + 1] = {0};
    char name[QR_KEYS_MAX][65];
    uint8_t list[QR_SHARING_RECORD_MAX];
    uint8_t *plain = qr_locked_alloc(QR_KEY_RECORD_MAX, NULL);
    uint8_t *sealed = qr_alloc((p->n_keys + 1) * QR_SECRET_RECORD_MAX);
    qr_err e = plain && sealed ? QR_OK : QR_ERR_NO_MEMORY;

    for (size_t i = 0; e == QR_OK && i < p->n_keys; i++) {
        size_t n = qr_key_encode(p->key[i].key, plain);
        struct qr_buf b = qr_buf_over(sealed + i * QR_SECRET_RECORD_MAX, QR_SECRET_RECORD_MAX);
        qr_hex_encode(qr_view_of(p->key[i].key->pub.key_id, 32), name[i]);
        e = qr_sharing_seal(key, &p->env.rng, s->next.epoch, p->id, name[i], qr_view_of(plain, n),
                            &b);
        c[i] = (struct qr_store_change){
            .table = QR_TABLE_KEY, .name = name[i], .value = qr_buf_view(&b)};
    }
    size_t n = qr_sharing_encode(s->last, &s->next, list);
    c[p->n_keys] = (struct qr_store_change){
        .table = QR_TABLE_META, .name = RECORD, .value = qr_view_of(list, n)};
    if (e == QR_OK) {
        e = qr_state_commit(p, c, p->n_keys + 1);
    }
    qr_locked_free(plain);
    qr_free(sealed);
    return e;
}

static void
tell_keep(struct qr_party *p, uint16_t peer)
{
    uint8_t mem[QR_CTL_EPOCH_LEN], sid[32] = {0};
    struct qr_buf b = qr_buf_over(mem, sizeof mem);

    qr_ctl_put_epoch(&b, p->secret.now.epoch);
    if (qr_net_is_up(p->net, peer)) {
        qr_err e = qr_net_send(p->net, peer, QR_MSG_SECRET_KEEP, 0, sid, qr_buf_view(&b));
        (void)e; /* its next list of what it holds is a reason to tell it again */
    }
}

/* All hold their piece: from the commit on, the new one counts. */
static void
finish(struct qr_party *p)
{
    struct qr_secret *s = &p->secret;
    struct qr_sec32 key QR_WIPE(qr_sec32) = {{0}};
    uint32_t was = s->now.epoch;
    qr_err e = qr_sharing_key(&s->next, s->mem->next, p->env.tee, p->id, &key);

    if (e == QR_OK) {
        e = write_switch(p, &key);
    }
    if (e != QR_OK) {
        give_up(p, qr_err_text(e)); /* a store that failed has stopped the party */
        return;
    }
    s->now = s->next;
    s->mem->key = key;
    memcpy(s->mem->now, s->mem->next, sizeof s->mem->now);
    qr_wipe(s->mem->next, sizeof s->mem->next);
    s->next = (struct qr_sharing){0};
    s->acked = 0;
    s->open = 1;
    p->pool_want = 1;
    qr_party_log(QR_LOG_INFO, "secret_made", 0,
                 "peer secret of epoch %u is in force, %zu keys sealed under it, %u ms; %s",
                 (unsigned)s->now.epoch, p->n_keys, (unsigned)((p->now - s->since) / MS),
                 was ? "pieces of the one before may go" : "there was none before");
    for (uint16_t i = 1; was != 0 && i <= p->roster->n; i++) {
        if (i != p->self) {
            tell_keep(p, i);
        }
    }
}

qr_err
qr_secret_rotate(struct qr_party *p, uint32_t epoch)
{
    struct qr_secret *s = &p->secret;
    struct qr_sharing want;

    if (!qr_secret_wanted(p, &want)) {
        return QR_ERR_USAGE;
    }
    if (!p->net || !qr_secret_keys_open(p) || s->broken[0]) {
        return QR_ERR_NOT_READY;
    }
    if (s->next.epoch != 0) {
        return QR_ERR_BUSY;
    }
    return epoch > s->last ? begin(p, &want, epoch) : QR_ERR_SERIAL;
}

void
qr_secret_check(struct qr_party *p)
{
    struct qr_secret *s = &p->secret;
    struct qr_sharing want;

    if (!p->net || p->store_failed || !qr_secret_keys_open(p) || s->broken[0] ||
        !qr_secret_wanted(p, &want)) {
        return;
    }
    if (s->next.epoch != 0 && !qr_sharing_same(&want, &s->next)) {
        give_up(p, "roster or policy ask for another one");
    }
    if (s->next.epoch == 0 && (s->now.epoch == 0 || !qr_sharing_same(&want, &s->now)) &&
        s->last < UINT32_MAX) {
        qr_err e = begin(p, &want, s->last + 1);
        if (e != QR_OK) {
            qr_party_log(QR_LOG_ERROR, "secret_not_made", 0, "peer secret was not begun: %s",
                         qr_err_text(e));
        }
    }
}

/* ---- opening ----------------------------------------------------------------------------- */

static void
ask_back(struct qr_party *p, uint16_t peer)
{
    struct qr_secret *s = &p->secret;
    struct qr_secret_peer *x = &s->peer[peer];
    uint8_t mem[QR_CTL_EPOCH_LEN], sid[32] = {0};
    struct qr_buf b = qr_buf_over(mem, sizeof mem);

    if (place_of(p, &s->now, peer) < 0 || !qr_net_is_up(p->net, peer) || (s->got & bit(peer))) {
        return;
    }
    x->wait = x->wait == 0 ? TRY_FIRST : 2 * x->wait < TRY_MAX ? 2 * x->wait : TRY_MAX;
    x->try_at = p->now + x->wait;
    qr_ctl_put_epoch(&b, s->now.epoch);
    qr_err e = qr_net_send(p->net, peer, QR_MSG_SECRET_GET, 0, sid, qr_buf_view(&b));
    (void)e; /* tick asks again */
}

static void
open_keys(struct qr_party *p)
{
    struct qr_secret *s = &p->secret;
    char why[QR_ERR_TEXT_MAX] = "";

    memcpy(s->mem->now, s->mem->back, sizeof s->mem->now);
    qr_wipe(s->mem->back, sizeof s->mem->back);
    qr_err e = qr_sharing_key(&s->now, s->mem->now, p->env.tee, p->id, &s->mem->key);
    if (e == QR_OK) {
        s->open = 1;
        e = qr_state_load_keys(p, why, sizeof why);
    }
    if (e != QR_OK) {
        s->open = 0;
        qr_state_drop_keys(p);
        (void)snprintf(s->broken, sizeof s->broken, "keys do not open with the peer secret: %s",
                       qr_err_text(e));
        qr_party_log(QR_LOG_ERROR, "secret_broken", 0,
                     "all pieces fit, but the keys do not open (%s): the store or the platform is "
                     "not the one that sealed them; replace the store by the newest good copy",
                     why[0] ? why : qr_err_text(e));
        return;
    }
    p->pool_want = 1;
    qr_party_log(QR_LOG_INFO, "secret_open", 0,
                 "peer secret of epoch %u is back, %zu keys are open, %u ms after the first peer",
                 (unsigned)s->now.epoch, p->n_keys, (unsigned)((p->now - s->since) / MS));
    for (uint16_t i = 1; i <= p->roster->n; i++) {
        if (i != p->self && qr_net_is_up(p->net, i)) {
            qr_keygen_sync(p, i);
        }
    }
    qr_secret_check(p);
}

static const char *
code_text(uint16_t code)
{
    switch (code) {
    case QR_ABORT_REFUSED:
        return "it is in doubt of the policy; its log says why";
    case QR_ABORT_GONE:
        return "it has no piece of this epoch and identity";
    case QR_ABORT_BUSY:
        return "it is busy";
    default:
        return "it failed; its log says why";
    }
}

void
qr_secret_on_piece(struct qr_party *p, const struct qr_msg_in *m)
{
    struct qr_secret *s = &p->secret;
    struct qr_ctl_secret_piece a = {0};

    if (qr_secret_state(p) != QR_SECRET_LOCKED || (s->got & bit(m->from)) ||
        qr_ctl_get_secret_piece(m->payload, &a) != QR_OK || a.epoch != s->now.epoch) {
        qr_wipe(&a, sizeof a);
        return;
    }
    int i = place_of(p, &s->now, m->from);
    if (i < 0 || a.code != 0) {
        if (a.code != s->peer[m->from].said) {
            qr_party_log(QR_LOG_WARN, "piece_refused", m->from,
                         "it did not give back our piece of epoch %u: %s", (unsigned)a.epoch,
                         code_text(a.code));
        }
        s->peer[m->from].said = a.code;
        return;
    }
    struct qr_piece *piece = &s->mem->piece;
    *piece = (struct qr_piece){.name = {.holder = a.holder}, .y = a.piece, .blind = a.blind};
    unsigned n = (unsigned)__builtin_popcount(s->got);
    qr_err e = qr_sharing_take(&s->now, p->id, (size_t)i, piece, &s->mem->back[n]);
    qr_wipe(piece, sizeof *piece);
    qr_wipe(&a, sizeof a);
    if (e != QR_OK) {
        s->peer[m->from].try_at = p->now + TRY_LIAR;
        if (!(s->lied & bit(m->from))) {
            qr_party_log(
                QR_LOG_ERROR, "piece_wrong", m->from,
                "the piece it gave back is not the one it was given: it lies, or its store "
                "was changed; it is asked again every minute");
        }
        s->lied |= bit(m->from);
        return;
    }
    s->lied &= (uint16_t)~bit(m->from);
    s->got |= bit(m->from);
    if (n + 1 == s->now.need) {
        open_keys(p);
    }
}

/* ---- what peers hold --------------------------------------------------------------------- */

/* We are open and it lacks the piece in force: the same once more, if it can take it. */
static void
heal(struct qr_party *p, uint16_t peer)
{
    struct qr_secret *s = &p->secret;
    int i = place_of(p, &s->now, peer);

    if (i < 0 || s->now.holder[i].index != peer) {
        return; /* qr_secret_check makes a new one for this roster */
    }
    if (s->peer[peer].has > s->now.epoch) { /* it takes nothing older: everybody gets a new one */
        s->last = s->peer[peer].has > s->last ? s->peer[peer].has : s->last;
        if (s->next.epoch == 0 && qr_secret_rotate(p, s->last + 1) == QR_OK) {
            qr_party_log(QR_LOG_WARN, "piece_lost", peer,
                         "it lost its piece of epoch %u: all get a new one",
                         (unsigned)s->now.epoch);
        }
        return;
    }
    if (p->now >= s->peer[peer].heal_at && qr_net_is_up(p->net, peer)) {
        s->peer[peer].heal_at = p->now + TRY_MAX;
        qr_party_log(QR_LOG_WARN, "piece_lost", peer,
                     "it has no piece of epoch %u any more, and is given it anew",
                     (unsigned)s->now.epoch);
        send_put(p, peer, &s->now, s->mem->now, i);
    }
}

void
qr_secret_on_have(struct qr_party *p, const struct qr_msg_in *m)
{
    struct qr_secret *s = &p->secret;
    struct qr_ctl_secret_have have;

    if (qr_ctl_get_secret_have(m->payload, &have) != QR_OK) {
        qr_party_log(QR_LOG_WARN, "piece_malformed", m->from,
                     "its list of pieces is ignored: malformed");
        return;
    }
    if (!qr_secret_keys_open(p)) {
        return;
    }
    int has_now = s->now.epoch != 0 && (have.older == s->now.epoch || have.newer == s->now.epoch);
    int has_next =
        s->next.epoch != 0 && (have.older == s->next.epoch || have.newer == s->next.epoch);
    if (have.code != 0 && have.code != s->peer[m->from].said) {
        qr_party_log(QR_LOG_WARN, "piece_not_taken", m->from,
                     "it did not take its piece of epoch %u: %s", (unsigned)have.epoch,
                     have.code == QR_ABORT_BUSY ? "it is busy" : "its log says why");
    }
    s->peer[m->from].said = have.code;
    s->peer[m->from].has = have.newer;
    s->lost &= (uint16_t)~bit(m->from);
    if (s->open && !has_now && have.code == 0) {
        s->lost |= bit(m->from);
        heal(p, m->from);
    }
    if (s->next.epoch == 0) {
        if (has_now && (have.older != 0 && have.code == 0)) {
            tell_keep(p, m->from);
        }
        return;
    }
    if (has_next && place_of(p, &s->next, m->from) >= 0) {
        s->acked |= bit(m->from);
        s->peer[m->from].wait = 0;
    } else {
        s->acked &= (uint16_t)~bit(m->from);
        if (have.code == 0 && (s->peer[m->from].wait == 0 || p->now >= s->peer[m->from].try_at)) {
            put_next(p, m->from);
        }
    }
    if (s->acked == qr_sharing_mask(&s->next)) {
        finish(p);
    }
}

/* ---- life -------------------------------------------------------------------------------- */

qr_err
qr_secret_load(struct qr_party *p, int *ret_locked)
{
    struct qr_secret *s = &p->secret;
    uint8_t rec[QR_SHARING_RECORD_MAX];
    struct qr_buf b = qr_buf_over(rec, sizeof rec);

    s->mem = qr_locked_alloc(sizeof *s->mem, NULL);
    if (!s->mem) {
        return QR_ERR_NO_MEMORY;
    }
    qr_err e = qr_store_get(p->env.store, QR_TABLE_META, RECORD, &b);
    if (e == QR_OK) {
        e = qr_sharing_decode(qr_buf_view(&b), &s->last, &s->now);
        e = e == QR_OK ? e : QR_ERR_STORE_CORRUPT;
    }
    *ret_locked = s->now.epoch != 0;
    s->tell_at = p->now + TELL_FIRST;
    return e == QR_ERR_NOT_FOUND ? QR_OK : e;
}

void
qr_secret_close(struct qr_party *p)
{
    p->secret.mem = qr_locked_free(p->secret.mem);
}

void
qr_secret_up(struct qr_party *p, uint16_t peer)
{
    struct qr_secret *s = &p->secret;
    struct qr_secret_peer *x = &s->peer[peer];

    x->wait = 0;
    x->said = 0;
    x->heal_at = 0;
    s->lied &= (uint16_t)~bit(peer);
    if (qr_secret_state(p) == QR_SECRET_LOCKED) {
        s->since = s->since ? s->since : p->now;
        ask_back(p, peer);
    }
    if (qr_peers_secret(qr_policy_peers(p->policy)) != 0 || x->newer != 0) {
        qr_pieces_tell(p, peer, 0, 0); /* upon which it puts what is not here */
    }
}

/* Ten times a second: what was refused or lost is tried again; whom it waits for is told again. */
void
qr_secret_tick(struct qr_party *p)
{
    struct qr_secret *s = &p->secret;
    char text[QR_SECRET_TEXT_MAX];

    qr_secret_check(p);
    enum qr_secret_state state = qr_secret_state(p);
    for (uint16_t i = 1; s->open && s->lost && i <= p->roster->n; i++) {
        if (s->lost & bit(i)) {
            heal(p, i);
        }
    }
    if (state != QR_SECRET_LOCKED && state != QR_SECRET_MAKING) {
        return;
    }
    for (uint16_t i = 1; i <= p->roster->n; i++) {
        if (i != p->self && p->now >= s->peer[i].try_at) {
            if (state == QR_SECRET_LOCKED) {
                ask_back(p, i);
            } else {
                put_next(p, i);
            }
        }
    }
    if (p->now >= s->tell_at) {
        s->tell_at = p->now + TELL_EVERY;
        qr_secret_text(p, text);
        qr_party_log(QR_LOG_WARN, "secret_waits", 0, "%s", text);
    }
}
