/* Pieces of the peers' secrets, held for them: taken, kept, given back to their owners alone. */
#include "daemon/party_int.h"

#include <stdio.h>

/* An owner may hand over so many pieces at once and then one in so long: each is a durable write. */
#define PUTS_BURST 4u
#define PUTS_EVERY (5 * SECOND)
#define LOGS_BURST 8u
#define LOGS_EVERY (10 * SECOND)
#define NAME_MAX_LEN 24u

static void
name_of(uint16_t owner, uint32_t epoch, char out[static NAME_MAX_LEN])
{
    (void)snprintf(out, NAME_MAX_LEN, "%u-%u", owner, (unsigned)epoch);
}

static int
is_owner(const struct qr_party *p, uint16_t peer)
{
    return memcmp(p->secret.peer[peer].id, p->roster->party[peer - 1].identity, 32) == 0;
}

/* ---- the store --------------------------------------------------------------------------- */

/* The piece of a record that is there. */
static qr_err
read_piece(struct qr_party *p, const char *name, struct qr_piece *ret)
{
    uint8_t *rec = qr_locked_alloc(QR_PIECE_RECORD_LEN, NULL);

    if (!rec) {
        return QR_ERR_NO_MEMORY;
    }
    struct qr_buf b = qr_buf_over(rec, QR_PIECE_RECORD_LEN);
    qr_err e = qr_store_get(p->env.store, QR_TABLE_PIECE, name, &b);
    if (e == QR_OK) {
        e = qr_piece_decode(qr_buf_view(&b), ret);
    }
    qr_locked_free(rec);
    return e;
}

struct load {
    struct qr_party *p;
    qr_err err;
};

static int
load_piece(void *ctx, const char *name)
{
    struct load *l = ctx;
    struct qr_piece *piece = qr_locked_alloc(sizeof *piece, NULL);
    char again[NAME_MAX_LEN];

    l->err = piece ? read_piece(l->p, name, piece) : QR_ERR_NO_MEMORY;
    if (l->err == QR_OK) {
        struct qr_secret_peer *s = &l->p->secret.peer[piece->name.owner];
        name_of(piece->name.owner, piece->name.epoch, again);
        int known = s->newer != 0;
        uint32_t e = piece->name.epoch;
        if (strcmp(name, again) != 0 || s->older != 0 ||
            (known && memcmp(s->id, piece->name.owner_id, 32) != 0)) {
            l->err = QR_ERR_STORE_CORRUPT;
        } else {
            memcpy(s->id, piece->name.owner_id, 32);
            s->older = !known ? 0 : e < s->newer ? e : s->newer;
            s->newer = e > s->newer ? e : s->newer;
        }
    } else if (l->err != QR_ERR_NO_MEMORY) {
        l->err = QR_ERR_STORE_CORRUPT;
    }
    qr_locked_free(piece);
    return l->err != QR_OK;
}

qr_err
qr_pieces_load(struct qr_party *p)
{
    struct load l = {.p = p, .err = QR_OK};
    qr_err e = qr_store_scan(p->env.store, QR_TABLE_PIECE, load_piece, &l);
    return e == QR_OK ? l.err : e;
}

/* ---- taking ------------------------------------------------------------------------------ */

void
qr_pieces_tell(struct qr_party *p, uint16_t peer, uint16_t code, uint32_t asked)
{
    const struct qr_secret_peer *s = &p->secret.peer[peer];
    uint8_t mem[QR_CTL_SECRET_HAVE_LEN], sid[32] = {0};
    struct qr_buf b = qr_buf_over(mem, sizeof mem);
    struct qr_ctl_secret_have m = {.code = code, .epoch = asked};

    if (is_owner(p, peer)) {
        m.older = s->older;
        m.newer = s->newer;
    }
    qr_ctl_put_secret_have(&b, &m);
    qr_err e = qr_net_send(p->net, peer, QR_MSG_SECRET_HAVE, 0, sid, qr_buf_view(&b));
    (void)e; /* told again at the next connection, and when it puts again */
}

/* An allowance that grows with time: `burst` at once, then one in `every`. */
static int
may(const struct qr_party *p, uint64_t *spent_to, uint64_t burst, uint64_t every)
{
    uint64_t from = *spent_to > p->now ? *spent_to : p->now;

    if (from - p->now > (burst - 1) * every) {
        return 0;
    }
    *spent_to = from + every;
    return 1;
}

/* What a peer can make us write without end is told a few times. */
static int
may_log(struct qr_party *p, uint16_t peer)
{
    return may(p, &p->secret.peer[peer].logs_to, LOGS_BURST, LOGS_EVERY);
}

static void
refuse_put(struct qr_party *p, uint16_t from, uint32_t epoch, enum qr_abort code, const char *why)
{
    if (may_log(p, from)) {
        qr_party_log(QR_LOG_WARN, "piece_not_taken", from,
                     "its piece of epoch %u was not taken: %s", (unsigned)epoch, why);
    }
    qr_pieces_tell(p, from, (uint16_t)code, epoch);
}

/* Is the very piece here already? */
static int
is_same(struct qr_party *p, const struct qr_piece *piece)
{
    char name[NAME_MAX_LEN];
    uint8_t a[32], b[32];
    struct qr_piece *old = qr_locked_alloc(sizeof *old, NULL);

    name_of(piece->name.owner, piece->name.epoch, name);
    int same = old && read_piece(p, name, old) == QR_OK;
    if (same) {
        qr_piece_commitment(old, a);
        qr_piece_commitment(piece, b);
        same = qr_declassify_bit((uint64_t)qr_sec_eq(a, b, 32), "whether it is the same is told");
    }
    qr_locked_free(old);
    return same;
}

/* One commit: the new piece in, all of this index but `keep` out. */
static qr_err
write_piece(struct qr_party *p, const struct qr_piece *piece, uint32_t keep)
{
    struct qr_secret_peer *s = &p->secret.peer[piece->name.owner];
    const uint32_t held[2] = {s->older, s->newer};
    int mine = memcmp(s->id, piece->name.owner_id, 32) == 0;
    struct qr_store_change c[3] = {0};
    char name[3][NAME_MAX_LEN];
    uint32_t kept = 0;
    size_t n = 1;
    uint8_t *rec = qr_locked_alloc(QR_PIECE_RECORD_LEN, NULL);

    if (!rec) {
        return QR_ERR_NO_MEMORY;
    }
    qr_piece_encode(piece, rec);
    name_of(piece->name.owner, piece->name.epoch, name[0]);
    c[0] = (struct qr_store_change){.table = QR_TABLE_PIECE, .name = name[0]};
    c[0].value = qr_view_of(rec, QR_PIECE_RECORD_LEN);
    for (size_t i = 0; i < 2; i++) {
        if (held[i] == 0 || held[i] == piece->name.epoch) {
            continue; /* the second: of another owner of this index; it is written over */
        }
        if (mine && held[i] == keep) {
            kept = keep;
            continue;
        }
        name_of(piece->name.owner, held[i], name[n]);
        c[n] = (struct qr_store_change){.table = QR_TABLE_PIECE, .name = name[n], .del = 1};
        n++;
    }
    qr_err e = qr_state_commit(p, c, n);
    if (e == QR_OK) {
        memcpy(s->id, piece->name.owner_id, 32);
        s->older = kept;
        s->newer = piece->name.epoch;
    }
    qr_locked_free(rec);
    return e;
}

static void
take_piece(struct qr_party *p, uint16_t from, const struct qr_piece *piece, uint32_t keep)
{
    struct qr_secret_peer *s = &p->secret.peer[from];
    uint32_t epoch = piece->name.epoch;

    if (is_owner(p, from) && (epoch == s->older || epoch == s->newer)) {
        if (is_same(p, piece)) {
            qr_pieces_tell(p, from, 0, epoch);
        } else {
            refuse_put(p, from, epoch, QR_ABORT_REFUSED, "another piece of this epoch is held");
        }
        return;
    }
    if (is_owner(p, from) && epoch < s->newer) {
        refuse_put(p, from, epoch, QR_ABORT_REFUSED, "a newer one is held");
        return;
    }
    if (!may(p, &s->puts_to, PUTS_BURST, PUTS_EVERY)) {
        refuse_put(p, from, epoch, QR_ABORT_BUSY, "too many in too short a time");
        return;
    }
    qr_err e = write_piece(p, piece, keep);
    if (e != QR_OK) {
        refuse_put(p, from, epoch, QR_ABORT_BUSY, qr_err_text(e));
        return;
    }
    qr_party_log(QR_LOG_INFO, "piece_held", from,
                 "holding its piece of epoch %u (%u open its secret)", (unsigned)epoch,
                 piece->name.need);
    qr_pieces_tell(p, from, 0, epoch);
}

void
qr_pieces_on_put(struct qr_party *p, const struct qr_msg_in *m)
{
    struct qr_ctl_secret_put put;
    uint8_t commitment[32];

    if (qr_ctl_get_secret_put(m->payload, &put) != QR_OK) {
        if (may_log(p, m->from)) {
            qr_party_log(QR_LOG_WARN, "piece_malformed", m->from,
                         "its piece is ignored: malformed");
        }
        return;
    }
    struct qr_piece piece = {
        .name = {.epoch = put.epoch, .owner = m->from, .holder = p->self, .need = put.need},
        .y = put.piece,
        .blind = put.blind};
    memcpy(piece.name.owner_id, p->roster->party[m->from - 1].identity, 32);
    qr_piece_commitment(&piece, commitment);
    if (!qr_declassify_bit((uint64_t)qr_sec_eq(commitment, put.commitment, 32),
                           "whether a piece fits its commitment is told")) {
        refuse_put(p, m->from, put.epoch, QR_ABORT_FAILED, "it does not fit its commitment");
    } else {
        take_piece(p, m->from, &piece, put.keep);
    }
    qr_wipe(&piece, sizeof piece);
    qr_wipe(&put, sizeof put);
}

void
qr_pieces_on_keep(struct qr_party *p, const struct qr_msg_in *m)
{
    struct qr_secret_peer *s = &p->secret.peer[m->from];
    uint32_t epoch = 0, drop;
    char name[NAME_MAX_LEN];

    if (qr_ctl_get_epoch(m->payload, &epoch) != QR_OK || !is_owner(p, m->from)) {
        return;
    }
    drop = epoch == s->newer ? s->older : epoch == s->older ? s->newer : 0;
    if (drop == 0) {
        return; /* nothing to drop, or nothing that would be left */
    }
    name_of(m->from, drop, name);
    if (qr_state_del(p, QR_TABLE_PIECE, name) == QR_OK) {
        s->older = 0;
        s->newer = epoch;
        qr_party_log(QR_LOG_INFO, "piece_dropped", m->from,
                     "its piece of epoch %u is dropped: epoch %u counts", (unsigned)drop,
                     (unsigned)epoch);
    }
    qr_pieces_tell(p, m->from, 0, epoch);
}

/* ---- giving back ------------------------------------------------------------------------- */

/* 1: somebody is in doubt of the policy, and why. */
static int
in_doubt(const struct qr_party *p, uint16_t peer, char *why, size_t cap)
{
    const struct qr_attest *a = &p->attest;

    if (!a->self_known || a->self_failed) {
        (void)snprintf(why, cap, "our own evidence does not pass the policy");
    } else if (a->quorum_broken) {
        (void)snprintf(why, cap, "a constraint of the quorum is broken: %s", a->quorum_why);
    } else if (a->peer[peer].stage >= QR_FRESH_NO_PEERS) {
        (void)snprintf(why, cap, "its evidence is too old (stage %s)",
                       qr_fresh_stage_name(a->peer[peer].stage));
    } else if (a->stage >= QR_FRESH_NO_PEERS) {
        (void)snprintf(why, cap, "the evidence of our peers is too old (stage %s)",
                       qr_fresh_stage_name(a->stage));
    } else {
        return 0;
    }
    return 1;
}

static void
answer_get(struct qr_party *p, uint16_t to, const struct qr_ctl_secret_piece *m)
{
    uint8_t sid[32] = {0};
    uint8_t *out =
        p->out.reserve(p->out.ctx, to, QR_MSG_SECRET_PIECE, 0, sid, QR_CTL_SECRET_PIECE_LEN);

    if (out) { /* if not, it asks again */
        struct qr_buf b = qr_buf_over(out, QR_CTL_SECRET_PIECE_LEN);
        qr_ctl_put_secret_piece(&b, m);
        p->out.commit(p->out.ctx, to, out);
    }
}

void
qr_pieces_on_get(struct qr_party *p, const struct qr_msg_in *m)
{
    const struct qr_secret_peer *s = &p->secret.peer[m->from];
    struct qr_ctl_secret_piece a = {.code = QR_ABORT_REFUSED};
    struct qr_piece *piece = NULL;
    char why[QR_SENTENCE_MAX + 64] = "", name[NAME_MAX_LEN];

    if (qr_ctl_get_epoch(m->payload, &a.epoch) != QR_OK) {
        if (may_log(p, m->from)) {
            qr_party_log(QR_LOG_WARN, "piece_malformed", m->from,
                         "its question is ignored: malformed");
        }
        return;
    }
    if (in_doubt(p, m->from, why, sizeof why)) {
        a.code = QR_ABORT_REFUSED;
    } else if (!is_owner(p, m->from) || (a.epoch != s->older && a.epoch != s->newer)) {
        (void)snprintf(why, sizeof why, "there is none here of this epoch and identity");
        a.code = QR_ABORT_GONE;
    } else {
        name_of(m->from, a.epoch, name);
        piece = qr_locked_alloc(sizeof *piece, NULL);
        qr_err e = piece ? read_piece(p, name, piece) : QR_ERR_NO_MEMORY;
        a.code = e == QR_OK ? 0 : e == QR_ERR_NO_MEMORY ? QR_ABORT_BUSY : QR_ABORT_FAILED;
        if (e != QR_OK) {
            (void)snprintf(why, sizeof why, "it cannot be read: %s", qr_err_text(e));
        }
    }
    if (a.code == 0) {
        a.holder = piece->name.holder;
        a.piece = piece->y;
        a.blind = piece->blind;
        qr_party_log(may_log(p, m->from) ? QR_LOG_INFO : QR_LOG_DEBUG, "piece_given", m->from,
                     "gave it back its piece of epoch %u", (unsigned)a.epoch);
    } else if (may_log(p, m->from)) {
        qr_party_log(QR_LOG_WARN, "piece_refused", m->from,
                     "its piece of epoch %u was not given: %s", (unsigned)a.epoch, why);
    }
    answer_get(p, m->from, &a);
    qr_wipe(&a, sizeof a);
    qr_locked_free(piece);
}
