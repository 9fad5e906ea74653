/*
 * Every field of every message, changed on its way to one of two honest parties.
 *
 * The list of fields and what must come of each is test/common/fields.c. First, that the list leaves
 * no byte of any message out and that a field is what it says; then every field in turn, with another
 * value that is well formed and with one that is none, at one place of it that a seed chooses.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/control.h"
#include "protocol/base/hash.h"
#include "protocol/base/mem.h"
#include "protocol/base_ot.h"
#include "test/common/fields.h"
#include "test/common/quorum.h"
#include "test/common/testrng.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define N 3
#define T 3
#define BATCH 4

static struct qr_testrng rng;
static const struct field_shape small = {
    .t = T, .B = BATCH, .items = 1, .body = 60, .stamps = 1, .stamp = 90, .n = N};

/* ---- the list ------------------------------------------------------------------------------- */

static const enum qr_msg types[] = {
    QR_MSG_PAIR1,         QR_MSG_PAIR2,        QR_MSG_PAIR3,        QR_MSG_DKG1,
    QR_MSG_DKG2,          QR_MSG_DKG3,         QR_MSG_DKG4,         QR_MSG_PRESIGN1,
    QR_MSG_PRESIGN2,      QR_MSG_SIGN_REQUEST, QR_MSG_SIGN_SHARE,   QR_MSG_ADMIN,
    QR_MSG_PRESIGN_START, QR_MSG_ABORT,        QR_MSG_RETIRE,       QR_MSG_STORE_STATE,
    QR_MSG_KEY_SYNC,      QR_MSG_PRESIGN_DONE, QR_MSG_TIME,         QR_MSG_SECRET_PUT,
    QR_MSG_SECRET_HAVE,   QR_MSG_SECRET_GET,   QR_MSG_SECRET_PIECE, QR_MSG_SECRET_KEEP,
    QR_MSG_AUDIT_HEAD,    QR_MSG_RECEIPT_ASK,  QR_MSG_RECEIPT_TELL};

/* Every byte of every message belongs to exactly one field, in every shape. */
static void
test_fields_tile_every_message(void **state)
{
    static const size_t counts[] = {1, 2, 63, 64};
    struct field f[FIELDS_MAX];

    (void)state;
    for (uint16_t t = 2; t <= QR_MAX_PARTIES; t++)
        for (uint16_t b = 4; b <= QR_BATCH_MAX; b = (uint16_t)(b + 4)) {
            struct field_shape s = {.t = t,
                                    .B = b,
                                    .items = counts[t % 4],
                                    .body = 1 + 37u * t,
                                    .stamps = t % 9,
                                    .stamp = 70u + t,
                                    .n = t};
            size_t n = fields_of(&s, f);
            for (size_t k = 0; k < sizeof types / sizeof types[0]; k++) {
                size_t len = fields_msg_len(types[k], &s), covered = 0;
                uint8_t *seen = calloc(1, len + 1);
                assert_non_null(seen);
                for (size_t x = 0; x < n; x++)
                    for (size_t i = 0; f[x].type == types[k] && i < f[x].n1; i++)
                        for (size_t j = 0; j < f[x].n2; j++) {
                            size_t at = field_at(&f[x], i, j);
                            if (at + f[x].len > len)
                                fail_msg("%s: ends behind its message", f[x].name);
                            for (size_t c = 0; c < f[x].len; c++)
                                if (seen[at + c]++)
                                    fail_msg("%s: byte %zu is another field's", f[x].name, at + c);
                            covered += f[x].len;
                        }
                if (covered != len)
                    fail_msg("message %d, t = %u, B = %u: %zu of %zu bytes", (int)types[k], t, b,
                             covered, len);
                free(seen);
            }
        }
}

/* The control messages are as long as their encoders make them. */
static void
test_fields_agree_with_the_encoders(void **state)
{
    static uint8_t mem[QR_CTL_SIGN_MAX], bytes[8192];
    const struct field_shape s = {
        .t = 2, .B = 4, .items = 5, .body = 300, .stamps = 3, .stamp = 77, .n = 7};
    qr_view part = qr_view_of(bytes, s.stamp);

    (void)state;
    struct qr_buf b = qr_buf_over(mem, sizeof mem);
    struct qr_ctl_sign sign = {.n = 5, .presig_ids = bytes, .n_stamps = 3};
    sign.body = qr_view_of(bytes, s.body);
    sign.stamp[0] = sign.stamp[1] = sign.stamp[2] = part;
    qr_ctl_put_sign(&b, &sign);
    assert_int_equal(b.len, fields_msg_len(QR_MSG_SIGN_REQUEST, &s));
    b = qr_buf_over(mem, sizeof mem);
    qr_ctl_put_share(&b, &(struct qr_ctl_share){.n = 5, .shares = bytes});
    assert_int_equal(b.len, fields_msg_len(QR_MSG_SIGN_SHARE, &s));
    b = qr_buf_over(mem, sizeof mem);
    struct qr_ctl_admin admin = {.body = sign.body, .n_stamps = 3};
    admin.stamp[0] = admin.stamp[1] = admin.stamp[2] = part;
    qr_ctl_put_admin(&b, &admin);
    assert_int_equal(b.len, fields_msg_len(QR_MSG_ADMIN, &s));
    b = qr_buf_over(mem, sizeof mem);
    qr_ctl_put_start(&b, &(struct qr_ctl_start){0});
    assert_int_equal(b.len, fields_msg_len(QR_MSG_PRESIGN_START, &s));
    b = qr_buf_over(mem, sizeof mem);
    qr_ctl_put_retire(&b, &(struct qr_ctl_retire){0});
    assert_int_equal(b.len, fields_msg_len(QR_MSG_RETIRE, &s));
    b = qr_buf_over(mem, sizeof mem);
    qr_ctl_put_store(&b, &(struct qr_ctl_store){0});
    assert_int_equal(b.len, fields_msg_len(QR_MSG_STORE_STATE, &s));
    b = qr_buf_over(mem, sizeof mem);
    qr_ctl_put_key(&b, &(struct qr_ctl_key){.tell = 1, .n = 7, .confirm = bytes});
    assert_int_equal(b.len, fields_msg_len(QR_MSG_KEY_SYNC, &s));
    b = qr_buf_over(mem, sizeof mem);
    qr_ctl_put_time(&b, &(struct qr_ctl_time){7});
    assert_int_equal(b.len, fields_msg_len(QR_MSG_TIME, &s));
    b = qr_buf_over(mem, sizeof mem);
    qr_ctl_put_secret_put(&b, &(struct qr_ctl_secret_put){0});
    assert_int_equal(b.len, fields_msg_len(QR_MSG_SECRET_PUT, &s));
    b = qr_buf_over(mem, sizeof mem);
    qr_ctl_put_secret_have(&b, &(struct qr_ctl_secret_have){0});
    assert_int_equal(b.len, fields_msg_len(QR_MSG_SECRET_HAVE, &s));
    b = qr_buf_over(mem, sizeof mem);
    qr_ctl_put_secret_piece(&b, &(struct qr_ctl_secret_piece){0});
    assert_int_equal(b.len, fields_msg_len(QR_MSG_SECRET_PIECE, &s));
    b = qr_buf_over(mem, sizeof mem);
    qr_ctl_put_epoch(&b, 1);
    assert_int_equal(b.len, fields_msg_len(QR_MSG_SECRET_GET, &s));
    assert_int_equal(b.len, fields_msg_len(QR_MSG_SECRET_KEEP, &s));
    b = qr_buf_over(mem, sizeof mem);
    qr_ctl_put_audit_head(&b, &(struct qr_ctl_audit_head){0});
    assert_int_equal(b.len, fields_msg_len(QR_MSG_AUDIT_HEAD, &s));
    b = qr_buf_over(mem, sizeof mem);
    qr_ctl_put_receipt_ask(&b, &(struct qr_ctl_receipt_ask){0});
    assert_int_equal(b.len, fields_msg_len(QR_MSG_RECEIPT_ASK, &s));
    b = qr_buf_over(mem, sizeof mem);
    qr_ctl_put_receipt_tell(&b,
                            &(struct qr_ctl_receipt_tell){.record = sign.body, .evidence = part});
    assert_int_equal(b.len, fields_msg_len(QR_MSG_RECEIPT_TELL, &s));
}

static qr_err
decode(enum qr_msg type, qr_view v)
{
    static struct qr_ctl_sign sign;
    static struct qr_ctl_admin admin;
    struct qr_ctl_share share;
    struct qr_ctl_start start;
    struct qr_ctl_retire retire;
    struct qr_ctl_store store;
    struct qr_ctl_time wall;
    struct qr_ctl_key key;
    struct qr_ctl_secret_put put;
    struct qr_ctl_secret_have have;
    struct qr_ctl_secret_piece piece;
    struct qr_ctl_audit_head head;
    struct qr_ctl_receipt_ask ask;
    struct qr_ctl_receipt_tell tell;
    uint32_t epoch;

    switch (type) {
    case QR_MSG_SECRET_PUT:
        return qr_ctl_get_secret_put(v, &put);
    case QR_MSG_SECRET_HAVE:
        return qr_ctl_get_secret_have(v, &have);
    case QR_MSG_SECRET_PIECE:
        return qr_ctl_get_secret_piece(v, &piece);
    case QR_MSG_SECRET_GET:
    case QR_MSG_SECRET_KEEP:
        return qr_ctl_get_epoch(v, &epoch);
    case QR_MSG_AUDIT_HEAD:
        return qr_ctl_get_audit_head(v, &head);
    case QR_MSG_RECEIPT_ASK:
        return qr_ctl_get_receipt_ask(v, &ask);
    case QR_MSG_RECEIPT_TELL:
        return qr_ctl_get_receipt_tell(v, &tell);
    case QR_MSG_TIME:
        return qr_ctl_get_time(v, &wall);
    case QR_MSG_SIGN_REQUEST:
        return qr_ctl_get_sign(v, &sign);
    case QR_MSG_SIGN_SHARE:
        return qr_ctl_get_share(v, &share);
    case QR_MSG_ADMIN:
        return qr_ctl_get_admin(v, &admin);
    case QR_MSG_PRESIGN_START:
        return qr_ctl_get_start(v, &start);
    case QR_MSG_RETIRE:
        return qr_ctl_get_retire(v, &retire);
    case QR_MSG_STORE_STATE:
        return qr_ctl_get_store(v, &store);
    case QR_MSG_KEY_SYNC:
        return qr_ctl_get_key(v, &key);
    default:
        return v.len == fields_msg_len(type, &small) ? QR_OK : QR_ERR_LENGTH;
    }
}

/* A well-formed control message of the small shape: counts and lengths right, the rest zero. */
static size_t
control_message(enum qr_msg type, uint8_t *out)
{
    static const uint8_t zero[4096];
    struct qr_buf b = qr_buf_over(out, 4096);
    qr_view stamp = qr_view_of(zero, small.stamp), text = qr_view_of(zero, small.body);

    memset(out, 0, 4096);
    if (type == QR_MSG_SIGN_REQUEST)
        qr_ctl_put_sign(
            &b, &(struct qr_ctl_sign){
                    .n = 1, .presig_ids = zero, .body = text, .stamp = {stamp}, .n_stamps = 1});
    else if (type == QR_MSG_SIGN_SHARE)
        qr_ctl_put_share(&b, &(struct qr_ctl_share){.n = 1, .shares = zero});
    else if (type == QR_MSG_ADMIN)
        qr_ctl_put_admin(&b, &(struct qr_ctl_admin){.body = text, .stamp = {stamp}, .n_stamps = 1});
    else if (type == QR_MSG_RETIRE)
        qr_ctl_put_retire(&b, &(struct qr_ctl_retire){.lo = 1, .hi = 2, .by = 1});
    else if (type == QR_MSG_KEY_SYNC)
        qr_ctl_put_key(&b, &(struct qr_ctl_key){.tell = 1, .n = N, .confirm = zero});
    else if (type == QR_MSG_SECRET_PUT)
        qr_ctl_put_secret_put(&b, &(struct qr_ctl_secret_put){.epoch = 1, .need = 1});
    else if (type == QR_MSG_SECRET_PIECE)
        qr_ctl_put_secret_piece(&b, &(struct qr_ctl_secret_piece){.epoch = 1, .holder = 1});
    else if (type == QR_MSG_SECRET_GET || type == QR_MSG_SECRET_KEEP)
        qr_ctl_put_epoch(&b, 1);
    else if (type == QR_MSG_AUDIT_HEAD)
        qr_ctl_put_audit_head(&b, &(struct qr_ctl_audit_head){.boot = 1, .serial = 1});
    else if (type == QR_MSG_RECEIPT_TELL)
        qr_ctl_put_receipt_tell(&b,
                                &(struct qr_ctl_receipt_tell){.record = text, .evidence = stamp});
    return fields_msg_len(type, &small);
}

/* Control messages: each field of 0xff, each length but the right one. */
static void
attack_07_every_field_of_control_messages(void **state)
{
    struct field f[FIELDS_MAX];
    uint8_t msg[4096];
    size_t n = fields_of(&small, f);

    (void)state;
    for (size_t k = 0; k < n; k++) {
        if (f[k].type < QR_MSG_SIGN_REQUEST)
            continue;
        size_t len = control_message(f[k].type, msg);
        assert_int_equal(decode(f[k].type, qr_view_of(msg, len)), QR_OK);
        memset(msg + f[k].at, 0xff, f[k].len);
        qr_err e = decode(f[k].type, qr_view_of(msg, len));
        if (f[k].kind != FIELD_SCALAR && e != f[k].malformed)
            fail_msg("%s: %s", f[k].name, qr_err_name(e));
    }
    for (size_t k = 0; k < sizeof types / sizeof types[0]; k++) {
        if (types[k] < QR_MSG_SIGN_REQUEST)
            continue;
        size_t len = control_message(types[k], msg);
        for (size_t l = 0; l <= len + 4; l++)
            assert_int_equal(decode(types[k], qr_view_of(msg, l)) == QR_OK, l == len);
    }
}

/* ---- one change on its way ------------------------------------------------------------------- */

struct change {
    const struct field *f;
    size_t i, j;
    int malformed;
    unsigned done;
};

/* Another value of the same kind, or one of no kind. */
static void
apply(const struct change *c, uint8_t *at)
{
    uint8_t r[64];
    qr_pt P, G;
    qr_fq a;

    if (c->malformed) {
        memset(at, 0xff, c->f->len);
        return;
    }
    switch (c->f->kind) {
    case FIELD_POINT:
        assert_int_equal(qr_pt_parse(&P, at), QR_OK);
        assert_int_equal(qr_pt_mul_base(&G, &qr_fq_one), QR_OK);
        assert_int_equal(qr_pt_add(&P, &P, &G), QR_OK);
        qr_pt_put(at, &P);
        break;
    case FIELD_RPOINT:
        qr_testrng_fill(&rng, r, sizeof r);
        (void)crypto_core_ristretto255_from_hash(at, r);
        break;
    case FIELD_SCALAR:
        assert_int_equal(qr_fq_parse(&a, at), QR_OK);
        qr_fq_add(&a, &a, &qr_fq_one);
        qr_fq_put(at, &a);
        break;
    default:
        at[qr_testrng_below(&rng, c->f->len)] ^= (uint8_t)(1u << qr_testrng_below(&rng, 8));
    }
}

static void
change_tap(void *ctx, struct quorum *q, struct quorum_msg *m)
{
    struct change *c = ctx;

    (void)q;
    if (m->from == 1 && m->to == 2 && m->type == c->f->type) {
        apply(c, m->p + field_at(c->f, c->i, c->j));
        c->done++;
    }
}

static void
expect(const struct change *c, const struct quorum *q, uint16_t party, qr_err err, uint16_t blame)
{
    const struct quorum_party *p = &q->party[party];

    if (p->err != err || (err != QR_OK && p->blame != blame))
        fail_msg("%s[%zu][%zu]%s: party %u has %s blaming %u, expected %s blaming %u", c->f->name,
                 c->i, c->j, c->malformed ? " malformed" : "", party, qr_err_name(p->err), p->blame,
                 qr_err_name(err), blame);
}

/* Both variants of a field; `run` plays what the message belongs to. */
static void
each_change(struct quorum *q, const struct field *f, void (*run)(struct quorum *q),
            void (*after)(const struct change *c, struct quorum *q))
{
    for (int malformed = 0; malformed < 2; malformed++) {
        struct change c = {.f = f, .malformed = malformed};

        if (malformed && f->malformed == QR_OK)
            continue;
        c.i = qr_testrng_below(&rng, f->n1);
        c.j = qr_testrng_below(&rng, f->n2);
        q->tap = change_tap;
        q->tap_ctx = &c;
        run(q);
        q->tap = NULL;
        if (c.done != 1)
            fail_msg("%s: changed %u times", f->name, c.done);
        after(&c, q);
        assert_int_equal(q->outstanding, 0);
    }
}

static qr_err
wanted(const struct change *c)
{
    return c->malformed ? c->f->malformed : c->f->changed;
}

/* ---- pair set-up ------------------------------------------------------------------------------ */

static void
run_pairs(struct quorum *q)
{
    static const uint16_t S[] = {1, 2};
    assert_int_not_equal(quorum_pairs(q, S, 2), QR_OK);
}

static void
after_pairs(const struct change *c, struct quorum *q)
{
    uint16_t who = c->f->sender && !c->malformed ? 1 : 2;

    expect(c, q, who, wanted(c), 0);
    assert_false(qr_pair_active(q->party[who].pair[3 - who]));
    assert_null(qr_pair_keys(q->party[who].pair[3 - who]));
    assert_int_not_equal(wanted(c), QR_ERR_CHECK); /* nothing in set-up ever bans */
}

static void
attack_10_every_field_of_pair_set_up(void **state)
{
    struct quorum *q = quorum_new(2, 2, "malice-pairs");
    struct field f[FIELDS_MAX];
    size_t n = fields_of(&small, f);
    const char *quick = getenv("QR_TEST_QUICK");
    size_t step = quick != NULL && quick[0] == '1' ? 3 : 1; /* a set-up costs a tenth of a second */

    (void)state;
    for (size_t k = 0; k < n; k += step)
        if (f[k].type <= QR_MSG_PAIR3)
            each_change(q, &f[k], run_pairs, after_pairs);
    quorum_free(q);
}

/* ---- key generation --------------------------------------------------------------------------- */

static void
run_dkg(struct quorum *q)
{
    assert_int_not_equal(quorum_dkg(q), QR_OK);
}

static void
after_dkg(const struct change *c, struct quorum *q)
{
    expect(c, q, 2, wanted(c), c->f->blame);
    expect(c, q, 3, c->f->third, 0);
    assert_false(qr_dkg_done(q->party[2].dkg));
    assert_int_not_equal(wanted(c), QR_ERR_CHECK);
}

static void
attack_25_every_field_of_key_generation(void **state)
{
    struct quorum *q = quorum_new(N, T, "malice-dkg");
    struct field f[FIELDS_MAX];
    size_t n = fields_of(&small, f);

    (void)state;
    for (size_t k = 0; k < n; k++)
        if (f[k].type >= QR_MSG_DKG1 && f[k].type <= QR_MSG_DKG4)
            each_change(q, &f[k], run_dkg, after_dkg);
    assert_int_equal(quorum_dkg(q), QR_OK);
    quorum_free(q);
}

/* ---- presigning and signing ------------------------------------------------------------------- */

static const uint16_t S123[] = {1, 2, 3};

static void
run_presign(struct quorum *q)
{
    (void)!quorum_presign(q, S123, T, BATCH);
}

static void
after_presign(const struct change *c, struct quorum *q)
{
    struct quorum_input in = {.digest = {9}};
    uint8_t sig[64];
    uint16_t blame = 9;
    int recid;

    expect(c, q, 2, wanted(c), c->f->blame);
    expect(c, q, 3, c->f->third, 0);
    if (wanted(c) != QR_OK)
        return;
    /* psi: no machine notices; no signature comes of that slot, and nobody is named */
    assert_int_equal(quorum_sign(q, S123, T, c->i, &in, NULL, NULL, sig, &recid, &blame),
                     QR_ERR_BAD_SIGNATURE);
    assert_int_equal(blame, 0);
    assert_int_equal(
        quorum_sign(q, S123, T, (c->i + 1) % BATCH, &in, NULL, NULL, sig, &recid, &blame), QR_OK);
}

static void
share_tap(void *ctx, uint8_t (*share)[QR_SIGN_SHARE_LEN])
{
    const struct change *c = ctx;
    apply(c, share[1] + c->f->at - 8);
}

static void
attack_17_every_field_of_presigning(void **state)
{
    struct quorum *q = quorum_new(N, T, "malice-presign");
    struct field f[FIELDS_MAX];
    size_t n = fields_of(&small, f);
    unsigned bans = 0;

    (void)state;
    assert_int_equal(quorum_pairs_all(q), QR_OK);
    assert_int_equal(quorum_dkg(q), QR_OK);
    for (size_t k = 0; k < n; k++)
        if (f[k].type == QR_MSG_PRESIGN1 || f[k].type == QR_MSG_PRESIGN2) {
            each_change(q, &f[k], run_presign, after_presign);
            bans += f[k].changed == QR_ERR_CHECK;
            /* a value that cannot be read is no failed check */
            assert_int_not_equal(f[k].malformed, QR_ERR_CHECK);
        }
    assert_int_equal(bans, 11); /* u, x~, h_T; pk, two Gammas; a~ 0, 1, 2, eta, mu */

    /* one item of a share, as member 2 sends it */
    assert_int_equal(quorum_presign(q, S123, T, BATCH), QR_OK);
    for (size_t k = 0, slot = 0; k < n; k++)
        for (int malformed = 0; malformed < 2; malformed++) {
            struct change c = {.f = &f[k], .malformed = malformed};
            struct quorum_input in = {.digest = {7}, .request_id = {(uint8_t)k}};
            uint8_t sig[64], zero[64] = {0};
            uint16_t blame;
            int recid;
            if (f[k].type != QR_MSG_SIGN_SHARE || f[k].n1 == 0 || f[k].at < 8 ||
                (malformed && f[k].malformed == QR_OK))
                continue;
            if (slot == BATCH) {
                assert_int_equal(quorum_presign(q, S123, T, BATCH), QR_OK);
                slot = 0;
            }
            assert_int_equal(
                quorum_sign(q, S123, T, slot++, &in, share_tap, &c, sig, &recid, &blame),
                wanted(&c));
            assert_int_equal(blame, wanted(&c) == QR_ERR_BAD_SIGNATURE ? 0 : 2);
            assert_memory_equal(sig, zero, 64);
        }
    quorum_free(q);
}

/* Messages as they are: every field of a real one is of the kind that the list says. */
static struct {
    struct field f[FIELDS_MAX];
    size_t n;
    unsigned looked[64];
} kinds;

static void
kinds_tap(void *ctx, struct quorum *q, struct quorum_msg *m)
{
    qr_pt P;
    qr_fq a;

    (void)ctx, (void)q;
    assert_int_equal(m->len, fields_msg_len(m->type, &small));
    for (size_t k = 0; k < kinds.n; k++) {
        const struct field *f = &kinds.f[k];
        for (size_t i = 0; f->type == m->type && i < f->n1; i++)
            for (size_t j = 0; j < f->n2; j++) {
                const uint8_t *at = m->p + field_at(f, i, j);
                int right = f->kind == FIELD_POINT    ? qr_pt_parse(&P, at) == QR_OK
                            : f->kind == FIELD_SCALAR ? qr_fq_parse(&a, at) == QR_OK
                            : f->kind == FIELD_RPOINT
                                ? crypto_core_ristretto255_is_valid_point(at) == 1
                                : 1;
                if (!right)
                    fail_msg("%s[%zu][%zu] is not of its kind", f->name, i, j);
                if (f->kind == FIELD_BYTES && f->len >= 16)
                    assert_false(sodium_is_zero(at, f->len));
            }
    }
    kinds.looked[m->type]++;
}

static void
test_fields_are_what_they_say(void **state)
{
    struct quorum *q = quorum_new(N, T, "malice-kinds");

    (void)state;
    kinds.n = fields_of(&small, kinds.f);
    q->tap = kinds_tap;
    assert_int_equal(quorum_pairs_all(q), QR_OK);
    assert_int_equal(quorum_dkg(q), QR_OK);
    assert_int_equal(quorum_presign(q, S123, T, BATCH), QR_OK);
    for (size_t k = 0; k < 9; k++)
        assert_int_equal(kinds.looked[types[k]], N * (N - 1));
    quorum_free(q);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fields_tile_every_message),
        cmocka_unit_test(test_fields_agree_with_the_encoders),
        cmocka_unit_test(test_fields_are_what_they_say),
        cmocka_unit_test(attack_07_every_field_of_control_messages),
        cmocka_unit_test(attack_10_every_field_of_pair_set_up),
        cmocka_unit_test(attack_25_every_field_of_key_generation),
        cmocka_unit_test(attack_17_every_field_of_presigning),
    };
    if (sodium_init() < 0)
        return 1;
    qr_testrng_seed(&rng, "malice");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
