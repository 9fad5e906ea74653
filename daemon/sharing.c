#include "daemon/sharing.h"

#include "enclave-shim/seal.h"
#include "protocol/base/hash.h"

#define VERSION 1u
#define SALT "quorate/share-sealing/1"
#define KEY_AD "quorate/key/1"
#define AD_MAX (sizeof KEY_AD - 1 + 32 + 64)

/* The names of a piece, as hash fields. */
struct fields {
    uint8_t epoch[4], owner[2], holder[2], need;
};

static void
fields_of(const struct qr_piece_name *n, struct fields *f)
{
    qr_put32(f->epoch, n->epoch);
    qr_put16(f->owner, n->owner);
    qr_put16(f->holder, n->holder);
    f->need = n->need;
}

void
qr_piece_commitment(const struct qr_piece *p, uint8_t out[static 32])
{
    struct fields f;

    fields_of(&p->name, &f);
    qr_th(QR_TAG_COM_PIECE,
          QR_FIELDS(QR_F(p->name.owner_id, 32), QR_F(f.epoch, 4), QR_F(f.owner, 2),
                    QR_F(f.holder, 2), QR_F(&f.need, 1), QR_F(p->y.b, 32), QR_F(p->blind.b, 32)),
          out);
}

static int
name_ok(const struct qr_piece_name *n)
{
    return n->epoch != 0 && n->owner >= 1 && n->owner <= QR_MAX_PARTIES && n->holder >= 1 &&
           n->holder <= QR_MAX_PARTIES && n->owner != n->holder && n->need >= 1 &&
           n->need <= QR_SHAMIR_NEED_MAX;
}

void
qr_piece_encode(const struct qr_piece *p, uint8_t out[static QR_PIECE_RECORD_LEN])
{
    struct qr_buf b = qr_buf_over(out, QR_PIECE_RECORD_LEN);
    uint8_t commitment[32];

    qr_piece_commitment(p, commitment);
    qr_buf_put8(&b, VERSION);
    qr_buf_put(&b, p->name.owner_id, 32);
    qr_buf_put32(&b, p->name.epoch);
    qr_buf_put16(&b, p->name.owner);
    qr_buf_put16(&b, p->name.holder);
    qr_buf_put8(&b, p->name.need);
    qr_buf_put(&b, p->y.b, 32);
    qr_buf_put(&b, p->blind.b, 32);
    qr_buf_put(&b, commitment, 32);
}

qr_err
qr_piece_decode(qr_view v, struct qr_piece *ret)
{
    struct qr_buf b = qr_buf_read(v);
    uint8_t version = qr_buf_get8(&b), commitment[32], own[32];
    struct qr_piece_name n;

    qr_buf_get(&b, n.owner_id, 32);
    n.epoch = qr_buf_get32(&b);
    n.owner = qr_buf_get16(&b);
    n.holder = qr_buf_get16(&b);
    n.need = qr_buf_get8(&b);
    qr_view y = qr_buf_take(&b, 32), blind = qr_buf_take(&b, 32);
    qr_buf_get(&b, commitment, 32);
    QR_TRY(qr_buf_end(&b));
    if (version != VERSION) {
        return QR_ERR_VERSION;
    }
    if (!name_ok(&n)) {
        return QR_ERR_MALFORMED;
    }
    struct qr_piece p = {.name = n};
    memcpy(p.y.b, y.p, 32);
    memcpy(p.blind.b, blind.p, 32);
    qr_piece_commitment(&p, own);
    int fits = qr_declassify_bit((uint64_t)qr_sec_eq(own, commitment, 32),
                                 "whether a piece fits its commitment is told");
    if (fits) {
        *ret = p;
    }
    qr_wipe(&p, sizeof p);
    return fits ? QR_OK : QR_ERR_COMMITMENT;
}

int
qr_sharing_same(const struct qr_sharing *a, const struct qr_sharing *b)
{
    if (a->owner != b->owner || a->need != b->need || a->n != b->n) {
        return 0;
    }
    for (size_t i = 0; i < a->n; i++) {
        if (a->holder[i].index != b->holder[i].index ||
            memcmp(a->holder[i].id, b->holder[i].id, 32) != 0) {
            return 0;
        }
    }
    return 1;
}

int
qr_sharing_find(const struct qr_sharing *s, const uint8_t id[static 32])
{
    for (int i = 0; i < s->n; i++) {
        if (memcmp(s->holder[i].id, id, 32) == 0) {
            return i;
        }
    }
    return -1;
}

uint16_t
qr_sharing_mask(const struct qr_sharing *s)
{
    unsigned mask = 0;

    for (size_t i = 0; i < s->n; i++) {
        mask |= 1u << (s->holder[i].index - 1);
    }
    return (uint16_t)mask;
}

size_t
qr_sharing_encode(uint32_t last, const struct qr_sharing *s,
                  uint8_t out[static QR_SHARING_RECORD_MAX])
{
    struct qr_buf b = qr_buf_over(out, QR_SHARING_RECORD_MAX);

    qr_buf_put8(&b, VERSION);
    qr_buf_put32(&b, last);
    qr_buf_put32(&b, s->epoch);
    qr_buf_put16(&b, s->epoch ? s->owner : 0);
    qr_buf_put8(&b, s->epoch ? s->need : 0);
    qr_buf_put8(&b, s->epoch ? (uint8_t)s->n : 0);
    for (size_t i = 0; s->epoch && i < s->n; i++) {
        qr_buf_put16(&b, s->holder[i].index);
        qr_buf_put(&b, s->holder[i].id, 32);
        qr_buf_put(&b, s->holder[i].commitment, 32);
    }
    return b.len;
}

qr_err
qr_sharing_decode(qr_view v, uint32_t *ret_last, struct qr_sharing *ret)
{
    struct qr_buf b = qr_buf_read(v);
    struct qr_sharing s = {0};
    uint8_t version = qr_buf_get8(&b);
    uint32_t last = qr_buf_get32(&b);

    s.epoch = qr_buf_get32(&b);
    s.owner = qr_buf_get16(&b);
    s.need = qr_buf_get8(&b);
    s.n = qr_buf_get8(&b);
    if (b.err == QR_OK && version != VERSION) {
        return QR_ERR_VERSION;
    }
    if (b.err == QR_OK && (s.n >= QR_MAX_PARTIES || s.epoch > last || s.need > s.n ||
                           s.owner > QR_MAX_PARTIES || (s.epoch == 0) != (s.owner == 0) ||
                           (s.epoch == 0) != (s.n == 0) || (s.epoch == 0) != (s.need == 0))) {
        return QR_ERR_MALFORMED;
    }
    for (size_t i = 0; b.err == QR_OK && i < s.n; i++) {
        s.holder[i].index = qr_buf_get16(&b);
        qr_buf_get(&b, s.holder[i].id, 32);
        qr_buf_get(&b, s.holder[i].commitment, 32);
        if (s.holder[i].index < 1 || s.holder[i].index > QR_MAX_PARTIES ||
            (i > 0 && s.holder[i].index <= s.holder[i - 1].index)) {
            return b.err ? b.err : QR_ERR_MALFORMED;
        }
    }
    QR_TRY(qr_buf_end(&b));
    *ret_last = last;
    *ret = s;
    return QR_OK;
}

qr_err
qr_sharing_piece(const struct qr_sharing *s, const struct qr_shamir_point *point,
                 const uint8_t owner_id[static 32], size_t i, struct qr_piece *ret)
{
    struct qr_piece p = {.name = {.epoch = s->epoch, .owner = s->owner, .need = s->need}};
    struct qr_sec32 secret QR_WIPE(qr_sec32);
    struct fields f;

    p.name.holder = s->holder[i].index;
    memcpy(p.name.owner_id, owner_id, 32);
    QR_TRY(qr_shamir_at(point, s->need, 0, &secret));
    QR_TRY(qr_shamir_at(point, s->need, p.name.holder, &p.y));
    fields_of(&p.name, &f);
    qr_th(QR_TAG_PIECE_BLIND,
          QR_FIELDS(QR_F(secret.b, 32), QR_F(owner_id, 32), QR_F(f.epoch, 4), QR_F(f.owner, 2),
                    QR_F(f.holder, 2), QR_F(&f.need, 1)),
          p.blind.b);
    *ret = p;
    qr_wipe(&p, sizeof p);
    return QR_OK;
}

qr_err
qr_sharing_draw(struct qr_sharing *s, const struct qr_rng *rng, const uint8_t owner_id[static 32],
                struct qr_shamir_point *point)
{
    struct qr_piece p;

    QR_TRY(qr_shamir_draw(rng, s->need, point));
    for (size_t i = 0; i < s->n; i++) {
        QR_TRY(qr_sharing_piece(s, point, owner_id, i, &p));
        qr_piece_commitment(&p, s->holder[i].commitment);
        qr_wipe(&p, sizeof p);
    }
    return QR_OK;
}

qr_err
qr_sharing_take(const struct qr_sharing *s, const uint8_t owner_id[static 32], size_t i,
                const struct qr_piece *piece, struct qr_shamir_point *ret)
{
    struct qr_piece p = *piece;
    uint8_t commitment[32];

    memcpy(p.name.owner_id, owner_id, 32);
    p.name.epoch = s->epoch;
    p.name.owner = s->owner;
    p.name.need = s->need;
    qr_piece_commitment(&p, commitment);
    int fits = p.name.holder == s->holder[i].index &&
               qr_declassify_bit((uint64_t)qr_sec_eq(commitment, s->holder[i].commitment, 32),
                                 "a piece that does not fit is told, and its holder named");
    if (fits) {
        ret->x = p.name.holder;
        ret->y = p.y;
    }
    qr_wipe(&p, sizeof p);
    return fits ? QR_OK : QR_ERR_COMMITMENT;
}

qr_err
qr_sharing_key(const struct qr_sharing *s, const struct qr_shamir_point *point,
               const struct qr_tee *tee, const uint8_t owner_id[static 32], struct qr_sec32 *ret)
{
    struct qr_sec32 platform QR_WIPE(qr_sec32), secret QR_WIPE(qr_sec32);
    uint8_t ikm[64], info[36];

    QR_TRY(qr_shamir_at(point, s->need, 0, &secret));
    QR_TRY(tee->derive(tee->ctx, s->epoch, "share", qr_view_of(owner_id, 32), &platform));
    memcpy(ikm, platform.b, 32);
    memcpy(ikm + 32, secret.b, 32);
    memcpy(info, owner_id, 32);
    qr_put32(info + 32, s->epoch);
    qr_hkdf_sha512(qr_view_str(SALT), qr_view_of(ikm, sizeof ikm), qr_view_of(info, sizeof info),
                   ret->b, sizeof ret->b);
    qr_wipe(ikm, sizeof ikm);
    return QR_OK;
}

static qr_view
key_ad(const uint8_t owner_id[static 32], const char *name, uint8_t out[static AD_MAX])
{
    struct qr_buf b = qr_buf_over(out, AD_MAX);

    qr_buf_put(&b, KEY_AD, sizeof KEY_AD - 1);
    qr_buf_put(&b, owner_id, 32);
    qr_buf_put(&b, name, strlen(name));
    return qr_buf_view(&b);
}

qr_err
qr_sharing_seal(const struct qr_sec32 *key, const struct qr_rng *rng, uint32_t epoch,
                const uint8_t owner_id[static 32], const char *name, qr_view plain,
                struct qr_buf *out)
{
    uint8_t ad[AD_MAX];
    return qr_seal_blob(key, rng, epoch, key_ad(owner_id, name, ad), plain, out);
}

qr_err
qr_sharing_unseal(const struct qr_sec32 *key, uint32_t epoch, const uint8_t owner_id[static 32],
                  const char *name, qr_view sealed, struct qr_buf *out)
{
    uint8_t ad[AD_MAX];
    return qr_unseal_blob(key, epoch, key_ad(owner_id, name, ad), sealed, out);
}
