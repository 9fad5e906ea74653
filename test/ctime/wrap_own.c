/*
 * What becomes public, and when: the only place where the product's own values lose their poison.
 *
 * The functions below stand between files of the product, so that the linker can put a wrapper in
 * their place. Three kinds: a door (a verdict that everybody may learn), a publication (a value that
 * the protocol sends to everybody), and a machine's entry, where draws become secret and messages
 * that leave become public, except those parts that only their receiver may see.
 */
#include "test/ctime/wrap.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "daemon/sharing.h"
#include "daemon/store.h"
#include "enclave-shim/nitro/cms.h"
#include "protocol/base/check.h"
#include "protocol/base/hash.h"
#include "protocol/dkg.h"
#include "protocol/pair.h"
#include "protocol/presign.h"
#include "protocol/sign.h"

/* ---- doors: verdicts ---------------------------------------------------------------------- */

#define VERDICT(name, params, args)                                                                \
    WRAPPED(int, name, params)                                                                     \
    {                                                                                              \
        int verdict = __real_##name args;                                                          \
        poison_public(&verdict, sizeof verdict);                                                   \
        return verdict;                                                                            \
    }
VERDICT(qr_declassify_bit, (uint64_t bit, const char *why), (bit, why))
VERDICT(qr_fq_is_zero, (const qr_fq *a), (a))
VERDICT(qr_fq_eq, (const qr_fq *a, const qr_fq *b), (a, b))

/* Variable in time by their names: nothing secret may reach them. */
WRAPPED(int, qr_fq_is_high_var, (const qr_fq *a))
{
    poison_must_be_public(a, sizeof *a);
    return __real_qr_fq_is_high_var(a);
}

WRAPPED(void, qr_fq_inv_var, (qr_fq * ret, const qr_fq *a))
{
    poison_must_be_public(a, sizeof *a);
    __real_qr_fq_inv_var(ret, a);
}

/* ---- publications ------------------------------------------------------------------------- */

/* Hashes that are sent to everybody although secrets that are opened later went in. */
static int
is_published(enum qr_tag tag)
{
    return tag == QR_TAG_COM_DKG || tag == QR_TAG_COM_R || tag == QR_TAG_COM_ZERO ||
           tag == QR_TAG_ECHO || tag == QR_TAG_PAIR_CONFIRM || tag == QR_TAG_BINDER ||
           tag == QR_TAG_COM_PIECE;
}

WRAPPED(void, qr_th, (enum qr_tag tag, const qr_view *f, size_t m, uint8_t out[static 32]))
{
    __real_qr_th(tag, f, m, out);
    if (is_published(tag))
        poison_public(out, 32);
}

/*
 * k*G is what the protocol publishes of a secret k: Feldman's coefficients, R, pk, Gamma. The one
 * exception is C3, chi*P == d*G + Gamma: from the product chi*P to the comparison, all is secret.
 */
static int in_c3;

WRAPPED(qr_err, qr_pt_mul, (qr_pt * ret, const qr_pt *p, const qr_fq *k))
{
    in_c3 = 1;
    return __real_qr_pt_mul(ret, p, k);
}

WRAPPED(qr_err, qr_pt_mul_base, (qr_pt * ret, const qr_fq *k))
{
    qr_err err = __real_qr_pt_mul_base(ret, k);
    if (err == QR_OK && !in_c3)
        poison_public(ret, sizeof *ret);
    return err;
}

WRAPPED(int, qr_pt_eq, (const qr_pt *a, const qr_pt *b))
{
    in_c3 = 0;
    return __real_qr_pt_eq(a, b);
}

/* A share of a signature is sent to whoever combines it. */
WRAPPED(qr_err, qr_sign_share,
        (const struct qr_sign_common *c, const uint8_t digest[static 32], uint16_t item_index,
         struct qr_presig *presig, uint8_t ret_share[static QR_SIGN_SHARE_LEN],
         struct qr_sign_item *item))
{
    qr_err err = __real_qr_sign_share(c, digest, item_index, presig, ret_share, item);
    poison_public(ret_share, QR_SIGN_SHARE_LEN);
    return err;
}

/* ---- machines ----------------------------------------------------------------------------- */

/* DKG2 ends with the receiver's share; PAIR2 begins with half of the zero seed. */
static void
mark_message(enum qr_msg type, uint8_t *p, size_t len)
{
    poison_public(p, len);
    if (type == QR_MSG_DKG2)
        poison_secret(p + len - 32, 32);
    if (type == QR_MSG_PAIR2)
        poison_secret(p, 32);
}

/*
 * A machine's outbox, with the real one behind it. A presigning machine keeps the table for longer
 * than a call, so there is one per real outbox, found by its context.
 */
struct box {
    struct qr_outbox real;
};
struct reserved {
    uint8_t *p;
    size_t len;
    enum qr_msg type;
};

static struct box boxes[64];
static struct reserved reserved[64];

static uint8_t *
box_reserve(void *ctx, uint16_t to, enum qr_msg type, uint32_t epoch, const uint8_t sid[32],
            size_t len)
{
    const struct box *b = ctx;
    uint8_t *p = b->real.reserve(b->real.ctx, to, type, epoch, sid, len);
    size_t i = 0;

    while (p != NULL && i < 64 && reserved[i].p != NULL)
        i++;
    QR_ASSERT(i < 64);
    if (p != NULL)
        reserved[i] = (struct reserved){p, len, type};
    return p;
}

static struct reserved
take(uint8_t *p)
{
    size_t i = 0;
    while (i < 64 && reserved[i].p != p)
        i++;
    QR_ASSERT(i < 64);
    struct reserved r = reserved[i];
    reserved[i].p = NULL;
    return r;
}

static void
box_commit(void *ctx, uint16_t to, uint8_t *p)
{
    const struct box *b = ctx;
    struct reserved r = take(p);
    mark_message(r.type, p, r.len);
    b->real.commit(b->real.ctx, to, p);
}

static void
box_cancel(void *ctx, uint16_t to, uint8_t *p)
{
    const struct box *b = ctx;
    (void)take(p);
    b->real.cancel(b->real.ctx, to, p);
}

static struct qr_outbox
watched(const struct qr_outbox *out)
{
    size_t i = 0;
    while (i < 64 && boxes[i].real.reserve != NULL && boxes[i].real.ctx != out->ctx)
        i++;
    QR_ASSERT(i < 64);
    boxes[i].real = *out;
    return (struct qr_outbox){&boxes[i], box_reserve, box_commit, box_cancel};
}

/* What arrives is as public, or as secret, as what was sent. */
static qr_view
received(enum qr_msg type, qr_view v, uint8_t *copy, size_t cap)
{
    QR_ASSERT(v.len <= cap);
    if (v.len > 0)
        memcpy(copy, v.p, v.len);
    if (v.len >= 64)
        mark_message(type, copy, v.len);
    return qr_view_of(copy, v.len);
}

WRAPPED(qr_err, qr_pair_start,
        (struct qr_pair * p, const struct qr_rng *rng, const struct qr_outbox *out))
{
    struct poison_rng secret = {rng, 0};
    const struct qr_rng r = poison_rng_of(&secret);
    const struct qr_outbox o = watched(out);
    return __real_qr_pair_start(p, &r, &o);
}

WRAPPED(qr_err, qr_pair_recv,
        (struct qr_pair * p, enum qr_msg type, qr_view payload, const struct qr_rng *rng,
         const struct qr_outbox *out))
{
    static uint8_t copy[QR_PAIR2_LEN + 4096];
    struct poison_rng secret = {rng, 0};
    const struct qr_rng r = poison_rng_of(&secret);
    const struct qr_outbox o = watched(out);
    return __real_qr_pair_recv(p, type, received(type, payload, copy, sizeof copy), &r, &o);
}

WRAPPED(qr_err, qr_dkg_start,
        (struct qr_dkg * d, const struct qr_rng *rng, const struct qr_outbox *out))
{
    struct poison_rng secret = {rng, 32}; /* chain code part, salt */
    const struct qr_rng r = poison_rng_of(&secret);
    const struct qr_outbox o = watched(out);
    return __real_qr_dkg_start(d, &r, &o);
}

WRAPPED(qr_err, qr_dkg_recv,
        (struct qr_dkg * d, uint16_t from, enum qr_msg type, qr_view payload,
         const struct qr_outbox *out, uint16_t *ret_blame))
{
    static uint8_t copy[4096];
    const struct qr_outbox o = watched(out);
    return __real_qr_dkg_recv(d, from, type, received(type, payload, copy, sizeof copy), &o,
                              ret_blame);
}

WRAPPED(qr_err, qr_dkg_confirm,
        (struct qr_dkg * d, const struct qr_id_signer *s, const struct qr_outbox *out))
{
    const struct qr_outbox o = watched(out);
    return __real_qr_dkg_confirm(d, s, &o);
}

WRAPPED(qr_err, qr_presign_start,
        (struct qr_presign * p, const struct qr_rng *rng, const struct qr_outbox *out))
{
    struct poison_rng secret = {rng, 32}; /* salt */
    const struct qr_rng r = poison_rng_of(&secret);
    const struct qr_outbox o = watched(out);
    return __real_qr_presign_start(p, &r, &o);
}

WRAPPED(qr_err, qr_presign_work,
        (struct qr_presign * p, const struct qr_rng *rng, const struct qr_outbox *out,
         int *ret_more, uint16_t *ret_blame))
{
    struct poison_rng secret = {rng, 0};
    const struct qr_rng r = poison_rng_of(&secret);
    const struct qr_outbox o = watched(out);
    return __real_qr_presign_work(p, &r, &o, ret_more, ret_blame);
}

/* ---- what is kept on disk ----------------------------------------------------------------- */

/* Where the share stands in a key record (protocol/key.h). */
#define SHARE_AT (1 + 1 + 2 + 2 + 2 + 1 + 4 + 32 + 33 + 5 * 32)

/* Where piece and blind stand in a holder's record (daemon/sharing.h). */
#define PIECE_AT (1 + 32 + 4 + 2 + 2 + 1)

WRAPPED(qr_err, qr_sharing_unseal,
        (const struct qr_sec32 *key, uint32_t epoch, const uint8_t *owner_id, const char *name,
         qr_view sealed, struct qr_buf *out))
{
    const size_t at = out->len;
    qr_err err = __real_qr_sharing_unseal(key, epoch, owner_id, name, sealed, out);

    if (err == QR_OK && out->len - at >= SHARE_AT + 32)
        poison_secret(out->p + at + SHARE_AT, 32);
    return err;
}

/* A secret is born here. */
WRAPPED(qr_err, qr_shamir_draw,
        (const struct qr_rng *rng, size_t need, struct qr_shamir_point *ret))
{
    qr_err err = __real_qr_shamir_draw(rng, need, ret);

    for (size_t i = 0; err == QR_OK && i < need; i++)
        poison_secret(ret[i].y.b, sizeof ret[i].y.b);
    return err;
}

WRAPPED(qr_err, qr_store_get,
        (struct qr_store * s, enum qr_table table, const char *name, struct qr_buf *out))
{
    const size_t at = out->len;
    qr_err err = __real_qr_store_get(s, table, name, out);

    /* A record under the peer secret is sealed once more and begins with that form's version, 2. */
    if (err == QR_OK && table == QR_TABLE_KEY && out->len - at >= SHARE_AT + 32 && out->p[at] == 1)
        poison_secret(out->p + at + SHARE_AT, 32);
    if (err == QR_OK && table == QR_TABLE_PIECE && out->len - at >= PIECE_AT + 64)
        poison_secret(out->p + at + PIECE_AT, 64); /* piece and blind */
    if (err == QR_OK && table == QR_TABLE_META && strcmp(name, "identity") == 0)
        poison_secret(out->p + at, 32); /* libsodium's form: seed || public key */
    return err;
}

/* The software TEE's key file is the one file that holds a secret in the clear. */
static int
is_key_file(int fd)
{
    char link[64], path[512];
    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    path[n > 0 ? n : 0] = 0;
    return strstr(path, "/sim-seal.key") != NULL;
}

WRAPPED(ssize_t, read, (int fd, void *buf, size_t n))
{
    ssize_t got = __real_read(fd, buf, n);
    if (got == 32 && is_key_file(fd))
        poison_secret(buf, 32);
    return got;
}

WRAPPED(ssize_t, write, (int fd, const void *buf, size_t n))
{
    struct hold h;
    (void)poison_hold(&h, buf, n);
    ssize_t done = __real_write(fd, buf, n);
    poison_release(&h);
    return done;
}

/* KMS's data key comes into being here: OpenSSL opens it, which is not watched. */
WRAPPED(qr_err, qr_cms_decrypt, (const struct qr_cms *c, EVP_PKEY *key, struct qr_sec32 *ret))
{
    qr_err err = __real_qr_cms_decrypt(c, key, ret);
    if (err == QR_OK)
        poison_secret(ret->b, sizeof ret->b);
    return err;
}

/* The key that the software TEE makes on its first start, or the sealing secret of a platform. */
static void
system_fill(void *ctx, uint8_t *out, size_t n)
{
    (void)ctx;
    randombytes_buf(out, n);
    poison_output(out, n, n == 32);
}

WRAPPED(struct qr_rng, qr_rng_system, (void))
{
    return (struct qr_rng){NULL, system_fill};
}
