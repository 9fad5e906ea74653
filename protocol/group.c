/*
 * Points over libsecp256k1's public API; only names that 0.2.0 and 0.8.0 both have.
 *
 * The library answers 0 for zero scalars and for infinity. Both mean QR_ERR_INFINITY here, because
 * every scalar that gets this far is already below q.
 *
 * Constant time of secp256k1_ecdh depends on how the *library* was built: GCC >= 13 needs 0.3.2 and
 * Clang >= 14 needs 0.3.1 (its change log). Neither is visible at run time: there is no version
 * function, and distributions strip the compiler's name. So deploy/probe.sh refuses versions below
 * 0.3.2 other than Debian 12's 0.2.0, which GCC 12 compiled, and `make ctime` runs the installed
 * library under valgrind with a secret scalar.
 */
#include "protocol/group.h"

#include "protocol/base/check.h"

#include <secp256k1_ecdh.h>
#include <secp256k1_preallocated.h>
#include <secp256k1_recovery.h>

/* The context (about 200 bytes up to 0.8.0) lives here, so that no heap holds its blinding. */
static union {
    max_align_t align;
    uint8_t b[1024];
} memory;

static secp256k1_context *ctx;

static void
misuse(const char *message, void *data)
{
    (void)data;
    qr_panic("libsecp256k1", 0, message);
}

qr_err
qr_group_init(const struct qr_rng *rng)
{
    uint8_t seed[32];
    int ok;

    if (ctx) {
        return QR_OK;
    }
    secp256k1_selftest();
    if (secp256k1_context_preallocated_size(SECP256K1_CONTEXT_NONE) > sizeof memory) {
        return QR_ERR_CRYPTO_LIB;
    }
    secp256k1_context *c = secp256k1_context_preallocated_create(memory.b, SECP256K1_CONTEXT_NONE);
    if (!c) {
        return QR_ERR_CRYPTO_LIB;
    }
    secp256k1_context_set_illegal_callback(c, misuse, NULL);
    secp256k1_context_set_error_callback(c, misuse, NULL);
    qr_rng_fill(rng, seed, sizeof seed);
    ok = secp256k1_context_randomize(c, seed);
    qr_wipe(seed, sizeof seed);
    if (!ok) {
        return QR_ERR_CRYPTO_LIB;
    }
    ctx = c;
    return QR_OK;
}

qr_err
qr_pt_parse(qr_pt *ret, const uint8_t in[static 33])
{
    qr_pt p;
    /* Uncompressed and hybrid forms are longer, so that length 33 admits one encoding only. */
    if (secp256k1_ec_pubkey_parse(ctx, &p.k, in, 33) != 1) {
        return QR_ERR_POINT;
    }
    *ret = p;
    return QR_OK;
}

void
qr_pt_put(uint8_t out[static 33], const qr_pt *p)
{
    size_t len = 33;
    int ok = secp256k1_ec_pubkey_serialize(ctx, out, &len, &p->k, SECP256K1_EC_COMPRESSED);
    QR_ASSERT(ok == 1 && len == 33);
}

void
qr_pt_xy(const qr_pt *p, uint8_t x[static 32], int *ret_odd)
{
    uint8_t b[33];
    qr_pt_put(b, p);
    memcpy(x, b + 1, 32);
    *ret_odd = b[0] & 1;
}

/*
 * By the 33-byte encodings, which are unique; the layout of secp256k1_pubkey is not promised. The
 * library's serialisation tests whether a coordinate is unreduced, and a stored point's never is:
 * its time tells nothing.
 */
int
qr_pt_eq(const qr_pt *a, const qr_pt *b)
{
    uint8_t x[33], y[33];
    qr_pt_put(x, a);
    qr_pt_put(y, b);
    int equal = qr_sec_eq(x, y, sizeof x);
    qr_wipe(x, sizeof x);
    qr_wipe(y, sizeof y);
    return equal;
}

void
qr_pt_affine(const qr_pt *p, uint8_t x[static 32], uint8_t y[static 32])
{
    uint8_t b[65];
    size_t len = sizeof b;
    int ok = secp256k1_ec_pubkey_serialize(ctx, b, &len, &p->k, SECP256K1_EC_UNCOMPRESSED);

    QR_ASSERT(ok == 1 && len == sizeof b);
    memcpy(x, b + 1, 32);
    memcpy(y, b + 33, 32);
}

int
qr_pt_eq_var(const qr_pt *a, const qr_pt *b)
{
    uint8_t x[33], y[33];
    qr_pt_put(x, a);
    qr_pt_put(y, b);
    return memcmp(x, y, sizeof x) == 0;
}

qr_err
qr_pt_mul_base(qr_pt *ret, const qr_fq *k)
{
    uint8_t key[32];
    qr_pt p;

    qr_fq_put(key, k);
    int ok = secp256k1_ec_pubkey_create(ctx, &p.k, key);
    qr_wipe(key, sizeof key);
    if (ok != 1) {
        return QR_ERR_INFINITY;
    }
    *ret = p;
    return QR_OK;
}

/* secp256k1_ecdh's hash function that does not hash: the uncompressed point. */
static int
copy_point(unsigned char *out, const unsigned char *x32, const unsigned char *y32, void *data)
{
    (void)data;
    out[0] = 4;
    memcpy(out + 1, x32, 32);
    memcpy(out + 33, y32, 32);
    return 1;
}

qr_err
qr_pt_mul(qr_pt *ret, const qr_pt *p, const qr_fq *k)
{
    uint8_t key[32], point[65];
    qr_pt product;

    qr_fq_put(key, k);
    int ok = secp256k1_ecdh(ctx, point, &p->k, key, copy_point, NULL);
    qr_wipe(key, sizeof key);
    if (ok == 1) {
        int parsed = secp256k1_ec_pubkey_parse(ctx, &product.k, point, sizeof point);
        QR_ASSERT(parsed == 1);
        *ret = product;
        qr_wipe(&product, sizeof product);
    }
    qr_wipe(point, sizeof point);
    return ok == 1 ? QR_OK : QR_ERR_INFINITY;
}

qr_err
qr_pt_mul_var(qr_pt *ret, const qr_pt *p, const qr_fq *k)
{
    uint8_t b[32];
    qr_pt product = *p;

    qr_fq_put(b, k);
    if (secp256k1_ec_pubkey_tweak_mul(ctx, &product.k, b) != 1) {
        return QR_ERR_INFINITY;
    }
    *ret = product;
    return QR_OK;
}

qr_err
qr_pt_add(qr_pt *ret, const qr_pt *a, const qr_pt *b)
{
    return qr_pt_sum(ret, (const qr_pt *const[]){a, b}, 2);
}

/* One call for all points: a partial sum may be infinity where the whole is not. */
qr_err
qr_pt_sum(qr_pt *ret, const qr_pt *const *p, size_t n)
{
    const secp256k1_pubkey *in[QR_PT_SUM_MAX];
    qr_pt sum;

    QR_ASSERT(n <= QR_PT_SUM_MAX);
    for (size_t i = 0; i < n; i++) {
        in[i] = &p[i]->k;
    }
    if (n == 0 || secp256k1_ec_pubkey_combine(ctx, &sum.k, in, n) != 1) {
        return QR_ERR_INFINITY;
    }
    *ret = sum;
    return QR_OK;
}

qr_err
qr_pt_add_base_var(qr_pt *ret, const qr_pt *p, const qr_fq *k)
{
    uint8_t b[32];
    qr_pt sum = *p;

    qr_fq_put(b, k);
    if (!qr_fq_is_zero(k) && secp256k1_ec_pubkey_tweak_add(ctx, &sum.k, b) != 1) {
        return QR_ERR_INFINITY;
    }
    *ret = sum;
    return QR_OK;
}

void
qr_pt_neg(qr_pt *ret, const qr_pt *p)
{
    qr_pt t = *p;
    QR_ASSERT(secp256k1_ec_pubkey_negate(ctx, &t.k) == 1);
    *ret = t;
}

qr_err
qr_ecdsa_verify(const qr_pt *pk, const uint8_t digest[static 32], const uint8_t sig[static 64])
{
    secp256k1_ecdsa_signature s;
    /* The library's verification takes low s only, as we want it. */
    if (secp256k1_ecdsa_signature_parse_compact(ctx, &s, sig) != 1 ||
        secp256k1_ecdsa_verify(ctx, &s, digest, &pk->k) != 1) {
        return QR_ERR_BAD_SIGNATURE;
    }
    return QR_OK;
}

qr_err
qr_ecdsa_recover(qr_pt *ret, const uint8_t digest[static 32], const uint8_t sig[static 64],
                 int recid)
{
    secp256k1_ecdsa_recoverable_signature s;
    qr_fq low;
    qr_pt p;

    /* Recovery alone would take both s and q - s. */
    if (recid < 0 || recid > 3 || qr_fq_parse(&low, sig + 32) != QR_OK || qr_fq_is_high_var(&low) ||
        secp256k1_ecdsa_recoverable_signature_parse_compact(ctx, &s, sig, recid) != 1 ||
        secp256k1_ecdsa_recover(ctx, &p.k, &s, digest) != 1) {
        return QR_ERR_BAD_SIGNATURE;
    }
    *ret = p;
    return QR_OK;
}

qr_err
qr_ecdsa_sign(uint8_t sig[static 64], const uint8_t digest[static 32], const uint8_t key[static 32])
{
    secp256k1_ecdsa_signature s;
    if (secp256k1_ecdsa_sign(ctx, &s, digest, key, NULL, NULL) != 1) {
        return QR_ERR_SCALAR;
    }
    QR_ASSERT(secp256k1_ecdsa_signature_serialize_compact(ctx, sig, &s) == 1);
    return QR_OK;
}
