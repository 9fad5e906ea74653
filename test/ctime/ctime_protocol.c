/*
 * Constant time, tested: the secrets of every primitive are marked undefined for valgrind, which
 * then reports each branch and each address that depends on one. Through `make ctime`.
 *
 * What is public by design is declared so here and nowhere else: the result of a comparison (a
 * verdict), whether an encoding is a point and not the identity (functions that the linker wraps),
 * and what a function sends out.
 * With the argument "planted" it branches on a secret instead, and must be caught.
 */
#include <secp256k1_ecdh.h>
#include <valgrind/memcheck.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/base/aes.h"
#include "protocol/base/hash.h"
#include "protocol/base_ot.h"
#include "protocol/bitmat.h"
#include "protocol/cot.h"
#include "protocol/ct.h"
#include "protocol/gf128.h"
#include "protocol/group.h"
#include "protocol/poly.h"
#include "protocol/pprf.h"
#include "protocol/rvole.h"
#include "protocol/sign.h"
#include "protocol/zero.h"

#define B 4u

static void
secret(void *p, size_t n)
{
    (void)VALGRIND_MAKE_MEM_UNDEFINED(p, n);
}

static void public(void *p, size_t n)
{
    (void)VALGRIND_MAKE_MEM_DEFINED(p, n);
}

/* "It is a point", "it is not the identity": see libsodium.supp. */
#define PUBLIC_RESULT(name, params, args)                                                          \
    int __real_##name params;                                                                      \
    int __wrap_##name params;                                                                      \
    int __wrap_##name params                                                                       \
    {                                                                                              \
        int verdict = __real_##name args;                                                          \
        public(&verdict, sizeof verdict);                                                          \
        return verdict;                                                                            \
    }
PUBLIC_RESULT(sodium_memcmp, (const void *a, const void *b, size_t n), (a, b, n))
PUBLIC_RESULT(sodium_is_zero, (const unsigned char *n, const size_t len), (n, len))
PUBLIC_RESULT(crypto_scalarmult_ristretto255,
              (unsigned char *q, const unsigned char *n, const unsigned char *p), (q, n, p))
PUBLIC_RESULT(crypto_scalarmult_ristretto255_base, (unsigned char *q, const unsigned char *n),
              (q, n))
PUBLIC_RESULT(crypto_core_ristretto255_sub,
              (unsigned char *r, const unsigned char *p, const unsigned char *q), (r, p, q))
PUBLIC_RESULT(crypto_core_ristretto255_add,
              (unsigned char *r, const unsigned char *p, const unsigned char *q), (r, p, q))
PUBLIC_RESULT(crypto_core_ristretto255_is_valid_point, (const unsigned char *p), (p))
/* "The scalar is not zero": see libsecp256k1.supp. */
PUBLIC_RESULT(secp256k1_ec_pubkey_create,
              (const secp256k1_context *ctx, secp256k1_pubkey *pubkey, const unsigned char *seckey),
              (ctx, pubkey, seckey))
PUBLIC_RESULT(secp256k1_ecdh,
              (const secp256k1_context *ctx, unsigned char *output, const secp256k1_pubkey *pubkey,
               const unsigned char *seckey, secp256k1_ecdh_hash_function hashfp, void *data),
              (ctx, output, pubkey, seckey, hashfp, data))

/* A fixed stream; everything that is drawn from it is secret. */
static void
fill_secret(void *ctx, uint8_t *out, size_t n)
{
    uint64_t *state = ctx;
    for (size_t i = 0; i < n; i++) {
        *state = *state * 6364136223846793005u + 1442695040888963407u;
        out[i] = (uint8_t)(*state >> 56);
    }
    secret(out, n);
}

static uint64_t seed_state = 1;
static const struct qr_rng rng = {&seed_state, fill_secret};

static void
draw(void *p, size_t n)
{
    fill_secret(&seed_state, p, n);
}

static void *
room(size_t n)
{
    void *p = aligned_alloc(64, (n + 63) / 64 * 64);
    if (!p) {
        abort();
    }
    memset(p, 0, n);
    return p;
}

static void
must(int ok, const char *what)
{
    if (!ok) {
        fprintf(stderr, "ctime: %s failed\n", what);
        exit(2);
    }
}

static void
scalars(void)
{
    uint8_t wide[64], out[32];
    qr_fq a, b, c;
    qr_fq_acc acc;
    uint64_t bit = 1;

    draw(wide, sizeof wide);
    qr_fq_reduce64(&a, wide);
    draw(wide, sizeof wide);
    qr_fq_reduce32(&b, wide);
    secret(&bit, sizeof bit);
    qr_fq_add(&c, &a, &b);
    qr_fq_sub(&c, &c, &b);
    qr_fq_neg(&c, &c);
    qr_fq_mul(&c, &c, &b);
    qr_fq_cmov(&c, &a, &b, bit);
    qr_fq_cadd(&c, &b, bit);
    int zero = qr_fq_is_zero(&c) + qr_fq_eq(&a, &b);
    public(&zero, sizeof zero);
    qr_fq_acc_zero(&acc);
    for (int i = 0; i < 20; i++) {
        qr_fq_acc_mul(&acc, &a, &b);
        qr_fq_acc_add(&acc, &c);
    }
    qr_fq_acc_reduce(&c, &acc);
    qr_fq_put(out, &c);
    public(out, sizeof out);
    must(zero == 0 && out[0] + out[31] >= 0, "scalars");
}

/*
 * What the installed libsecp256k1 does with a secret scalar: whether a build of it is constant time
 * depends on its compiler, and nothing but such a run can tell (protocol/group.c).
 */
static void
points(void)
{
    const uint16_t x = 3;
    uint8_t wide[64];
    qr_fq k, coef[3];
    qr_pt G, kG, kkG;

    must(qr_pt_mul_base(&G, &qr_fq_one) == QR_OK, "G");
    public(&G, sizeof G); /* its way through the library's blinding made it secret */
    draw(wide, sizeof wide);
    qr_fq_reduce64(&k, wide);
    must(qr_pt_mul_base(&kG, &k) == QR_OK, "k*G");
    must(qr_pt_mul(&kkG, &G, &k) == QR_OK, "k*P");
    must(qr_pt_eq(&kG, &kkG), "the two products");
    for (int i = 0; i < 3; i++) {
        draw(wide, sizeof wide);
        qr_fq_reduce64(&coef[i], wide);
    }
    qr_poly_eval(coef, 3, x, &k);
}

static void
bits(void)
{
    uint8_t *block = room(QR_BITMAT_BLOCK), *leaf = room(4096), sum[144] = {0};
    uint8_t chi[16 * 4], x[16 * 4], last[16], r[16];

    draw(block, QR_BITMAT_BLOCK);
    qr_bitmat_transpose(block, 1);
    draw(leaf, 4096);
    qr_bitmat_fold(sum, sum, leaf);
    qr_bitmat_fold_portable(sum, sum, leaf);
    draw(chi, sizeof chi);
    draw(x, sizeof x);
    draw(last, sizeof last);
    qr_gf128_combine(r, chi, x, 16, 4, last);
    qr_gf128_combine_portable(r, chi, x, 16, 4, last);
    qr_bitmat_add_each(leaf, leaf, r, 256);
    free(block);
    free(leaf);
}

/* Pair set-up's halves, then one batch's extension and multiplication, each side with its secrets. */
static void
pair_and_batch(void)
{
    uint8_t sid[32] = {7}, rsid[32] = {9}, *ot1 = room(QR_OT1_LEN), *ot2 = room(QR_OT2_LEN);
    struct qr_base_ot st;
    struct qr_sec16 *alice_key = room(QR_OT_COUNT * 16), *bob_key = room(2 * QR_OT_COUNT * 16);
    struct qr_pprf_work *work = room(sizeof *work);
    uint8_t *pprf = room(QR_PPRF_LEN);
    struct qr_sec16(*alice_seed)[256] = room(16 * 256 * 16), (*bob_seed)[256] = room(16 * 256 * 16);
    struct qr_sec16 delta;

    must(qr_base_ot_request(sid, &rng, &st, ot1) == QR_OK, "base OT, first message");
    public(ot1, QR_OT1_LEN);
    must(qr_base_ot_answer(sid, ot1, &rng, ot2, bob_key) == QR_OK, "base OT, second message");
    public(ot2, QR_OT2_LEN);
    must(qr_base_ot_finish(&st, sid, ot1, ot2, alice_key) == QR_OK, "base OT, end");
    qr_pprf_build(sid, bob_key, work, pprf, bob_seed);
    public(pprf, QR_PPRF_LEN);
    must(qr_pprf_open(sid, &st.choice, alice_key, pprf, work, alice_seed, &delta) == QR_OK, "PPRF");

    struct qr_aes *aes = qr_aes_new();
    must(aes != NULL, "AES");
    uint8_t *beta = room(QR_COT_BETA_LEN(B)), *msg = room(QR_COT_LEN(B));
    void *scratch =
        room(qr_cot_scratch(B) > qr_rvole_scratch() ? qr_cot_scratch(B) : qr_rvole_scratch());
    struct qr_sec16 *t = room(QR_COT_ROWS(B) * 16), *q = room(QR_COT_ROWS(B) * 16);
    draw(beta, QR_COT_BETA_LEN(B));
    qr_cot_send(rsid, (const struct qr_sec16(*)[256])bob_seed, B, beta, aes, scratch, msg, t);
    public(msg, QR_COT_LEN(B));
    must(qr_cot_recv(rsid, (const struct qr_sec16(*)[256])alice_seed, &delta, B, msg, aes, scratch,
                     q) == QR_OK,
         "COT extension");

    qr_fq *g = room(QR_XI * sizeof *g), in[2], a_hat, c[2], d[2], b;
    uint8_t wide[64], *payload = room(QR_RVOLE_LEN);
    qr_gadget(rsid, g);
    for (int i = 0; i < 3; i++) {
        draw(wide, sizeof wide);
        qr_fq_reduce64(i < 2 ? &in[i] : &a_hat, wide);
    }
    struct qr_rvole v = {rsid, g, aes, scratch};
    qr_rvole_key(aes, rsid);
    qr_rvole_alice(&v, 0, q, &delta, in, &a_hat, payload, c);
    public(payload, QR_RVOLE_LEN);
    qr_rvole_mask(g, beta, 0, &b);
    must(qr_rvole_bob(&v, 0, t, beta, payload, d) == QR_OK, "RVOLE");
    for (int i = 0; i < 2; i++) {
        qr_fq sum, product;
        qr_fq_add(&sum, &c[i], &d[i]);
        qr_fq_mul(&product, &in[i], &b);
        int equal = qr_fq_eq(&sum, &product);
        public(&equal, sizeof equal);
        must(equal, "product");
    }
    /* A wrong answer takes the same path up to its verdict. */
    payload[100] ^= 1;
    must(qr_rvole_bob(&v, 0, t, beta, payload, d) == QR_ERR_CHECK, "C2 must refuse");

    qr_aes_free(aes);
    void *all[] = {ot1,  ot2, alice_key, bob_key, work, pprf, alice_seed, bob_seed,
                   beta, msg, scratch,   t,       q,    g,    payload};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        free(all[i]);
    }
}

static void
zero_sharing(void)
{
    struct qr_sec32 z[3];
    const struct qr_sec32 *at[3] = {&z[0], &z[1], &z[2]};
    const uint16_t S[3] = {1, 2, 4};
    uint8_t sid[32] = {3};
    qr_fq zeta;

    draw(z, sizeof z);
    qr_zero_share(at, S, 3, 2, sid, 1, &zeta);
}

int
main(int argc, char **argv)
{
    must(RUNNING_ON_VALGRIND != 0, "running under valgrind");
    must(qr_hash_init() == QR_OK && qr_aes_init() == QR_OK && qr_group_init(&rng) == QR_OK,
         "start");
    if (argc > 1 && strcmp(argv[1], "planted") == 0) {
        uint8_t s[1];
        draw(s, 1);
        puts(s[0] & 1 ? "odd" : "even");
        return 0;
    }
    scalars();
    points();
    bits();
    pair_and_batch();
    zero_sharing();
    puts(
        "ctime: scalars, points, bit matrices, GF(2^128), base OT, PPRF, COT, RVOLE, zero sharing");
    return 0;
}
