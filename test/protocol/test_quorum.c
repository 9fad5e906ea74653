/*
 * Whole quorums: key generation, presigning and signing by every subset of four shapes, checked by
 * verifiers that know nothing of the protocol, and against a single-key signature with the same key
 * and nonce.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "protocol/base/hash.h"
#include "protocol/derive.h"
#include "protocol/poly.h"
#include "test/common/quorum.h"

static struct quorum_input
input(unsigned n)
{
    struct quorum_input in = {0};
    uint8_t b[2];

    qr_put16(b, (uint16_t)n);
    qr_sha256(qr_view_of(b, 2), in.digest);
    qr_sha256(qr_view_of(in.digest, 32), in.request_id);
    qr_sha256(qr_view_of(in.request_id, 32), in.rq);
    in.item = (uint16_t)(n % 64);
    return in;
}

struct grab {
    uint8_t ctx[32];
};

static void
grab_ctx(void *ctx, uint8_t (*share)[QR_SIGN_SHARE_LEN])
{
    memcpy(((struct grab *)ctx)->ctx, share[0], 32);
}

/* sum over S of one field of presignature `slot` */
static qr_fq
sum_presig(const struct quorum *q, const uint16_t *S, uint16_t t, size_t slot, char which)
{
    qr_fq sum = qr_fq_zero;

    for (uint16_t k = 0; k < t; k++) {
        const struct qr_presig *p = &q->party[S[k]].presig[slot];
        qr_fq_add(&sum, &sum, which == 'u' ? &p->u : which == 'v' ? &p->v : &p->phi);
    }
    return sum;
}

/*
 * Signs with `slot` and checks the result three ways: libsecp256k1, OpenSSL, and s computed from the
 * reconstructed key and nonce.
 */
static void
sign_and_check(struct quorum *q, const uint16_t *S, uint16_t t, size_t slot,
               const struct quorum_input *in)
{
    const struct qr_key_pub *key = &q->party[S[0]].key.pub;
    qr_fq phi = sum_presig(q, S, t, slot, 'p'), u = sum_presig(q, S, t, slot, 'u');
    qr_fq v = sum_presig(q, S, t, slot, 'v'), sk, inv, r, tau, delta, rx, h, s;
    uint8_t sig[64], wide[64], x[32], want[64], child33[33];
    struct grab g;
    qr_pt pk, child, R, recovered;
    uint16_t blame;
    int recid, odd, want_recid;

    /* the presignature is what SPEC.md says it is */
    quorum_reconstruct(q, S, t, &sk);
    qr_fq_inv_var(&inv, &phi);
    qr_fq_mul(&r, &u, &inv);
    qr_fq_mul(&v, &v, &inv);
    assert_true(qr_fq_eq(&v, &sk));
    assert_int_equal(qr_pt_mul_base(&R, &r), QR_OK);
    for (uint16_t k = 0; k < t; k++) {
        uint8_t r33[33];
        qr_pt_put(r33, &R);
        assert_memory_equal(r33, q->party[S[k]].presig[slot].R, 33);
        assert_memory_equal(q->party[S[k]].presig[slot].id, q->party[S[0]].presig[slot].id, 34);
    }

    assert_int_equal(quorum_sign(q, S, t, slot, in, grab_ctx, &g, sig, &recid, &blame), QR_OK);

    /* verifiers */
    assert_int_equal(qr_pt_parse(&pk, key->pk), QR_OK);
    assert_int_equal(qr_derive(&pk, key->cc, in->path, in->depth, &child, &tau, NULL), QR_OK);
    qr_pt_put(child33, &child);
    assert_int_equal(qr_ecdsa_verify(&child, in->digest, sig), QR_OK);
    assert_true(quorum_openssl_verify(child33, in->digest, sig));
    assert_int_equal(qr_ecdsa_recover(&recovered, in->digest, sig, recid), QR_OK);
    assert_true(qr_pt_eq_var(&recovered, &child));
    uint8_t other[32];
    memcpy(other, in->digest, 32);
    other[31] ^= 1;
    assert_false(quorum_openssl_verify(child33, other, sig));

    /* one key, one nonce, one signature */
    qr_tb(QR_TAG_RERAND, QR_FIELDS(QR_F(g.ctx, 32)), wide);
    qr_fq_reduce64(&delta, wide);
    qr_fq_add(&r, &r, &delta);
    assert_int_equal(qr_pt_mul_base(&R, &r), QR_OK);
    qr_pt_xy(&R, x, &odd);
    assert_int_equal(qr_sign_rx(x, odd, &rx, &want_recid), QR_OK);
    qr_fq_add(&sk, &sk, &tau);
    qr_fq_reduce32(&h, in->digest);
    qr_fq_mul(&s, &rx, &sk);
    qr_fq_add(&s, &s, &h);
    qr_fq_inv_var(&inv, &r);
    qr_fq_mul(&s, &s, &inv);
    if (qr_fq_is_high_var(&s)) {
        qr_fq_neg(&s, &s);
        want_recid ^= 1;
    }
    qr_fq_put(want, &rx);
    qr_fq_put(want + 32, &s);
    assert_memory_equal(want, sig, 64);
    assert_int_equal(want_recid, recid);

    /* what is used is gone at every signer */
    for (uint16_t k = 0; k < t; k++) {
        struct qr_presig zero = {0};
        assert_memory_equal(&zero, &q->party[S[k]].presig[slot], sizeof zero);
    }
    assert_int_equal(quorum_sign(q, S, t, slot, in, NULL, NULL, sig, &recid, &blame),
                     QR_ERR_CONSUMED);
}

/* The next t-subset of 1..n in lexicographic order; 0 after the last. */
static int
next_subset(uint16_t *S, uint16_t t, uint16_t n)
{
    for (uint16_t k = t; k-- > 0;) {
        if (S[k] < n - (t - 1 - k)) {
            S[k]++;
            for (uint16_t i = (uint16_t)(k + 1); i < t; i++)
                S[i] = (uint16_t)(S[i - 1] + 1);
            return 1;
        }
    }
    return 0;
}

static int
quick(void)
{
    const char *set = getenv("QR_TEST_QUICK");
    return set != NULL && set[0] == '1';
}

static void
every_subset(uint16_t n, uint16_t t, unsigned want_subsets)
{
    struct quorum *q = quorum_new(n, t, "every subset");
    uint16_t S[QR_MAX_PARTIES];
    unsigned subsets = 0;
    int all = getenv("QR_TEST_LONG") != NULL;
    unsigned step = quick() && want_subsets >= 10 ? want_subsets / 2 - 1 : 1; /* and the last */

    assert_int_equal(quorum_pairs_all(q), QR_OK);
    assert_int_equal(quorum_dkg(q), QR_OK);
    for (uint16_t i = 2; i <= n; i++)
        assert_memory_equal(&q->party[i].key.pub, &q->party[1].key.pub, sizeof q->party[1].key.pub);
    for (uint16_t k = 0; k < t; k++)
        S[k] = (uint16_t)(k + 1);
    do {
        struct quorum_input in = input(subsets);

        if (subsets++ % step != 0 && subsets != want_subsets)
            continue;
        assert_int_equal(quorum_presign(q, S, t, 4), QR_OK);
        sign_and_check(q, S, t, 0, &in);
        if (all || (subsets - 1) % 5 == 0) {
            in = input(1000 + subsets - 1);
            in.path[0] = 44;
            in.path[1] = 0x7fffffff;
            in.path[2] = subsets - 1;
            in.depth = 3;
            sign_and_check(q, S, t, 3, &in);
        }
    } while (next_subset(S, t, n));
    assert_int_equal(subsets, want_subsets);
    quorum_free(q);
}

static void
test_2_of_2(void **state)
{
    (void)state;
    every_subset(2, 2, 1);
}

static void
test_2_of_3(void **state)
{
    (void)state;
    every_subset(3, 2, 3);
}

static void
test_3_of_5(void **state)
{
    (void)state;
    every_subset(5, 3, 10);
}

static void
test_5_of_7(void **state)
{
    (void)state;
    every_subset(7, 5, 21);
}

/* Messages overtake one another between links; early ones must be kept, nothing may be lost. */
static void
test_any_order(void **state)
{
    const uint16_t S[] = {1, 3, 4};
    unsigned runs = getenv("QR_TEST_LONG") != NULL ? 200 : quick() ? 2 : 6;

    (void)state;
    struct quorum *q = quorum_new(4, 3, "any order");
    q->shuffle = 1;
    assert_int_equal(quorum_pairs_all(q), QR_OK);
    for (unsigned k = 0; k < runs; k++) {
        struct quorum_input in = input(k);

        assert_int_equal(quorum_dkg(q), QR_OK);
        assert_int_equal(quorum_presign(q, S, 3, 4), QR_OK);
        sign_and_check(q, S, 3, k % 4, &in);
    }
    quorum_free(q);
}

/* Two keys over the same pairs, and all batch sizes. */
static void
test_batch_sizes_and_second_key(void **state)
{
    const uint16_t S[] = {2, 3};
    const uint16_t sizes[] = {4, 8, 12, 16};
    uint8_t first[33];

    (void)state;
    struct quorum *q = quorum_new(3, 2, "batch sizes");
    assert_int_equal(quorum_pairs_all(q), QR_OK);
    assert_int_equal(quorum_dkg(q), QR_OK);
    memcpy(first, q->party[1].key.pub.pk, 33);
    for (size_t k = quick() ? 2 : 0; k < 4; k++) {
        assert_int_equal(quorum_presign(q, S, 2, sizes[k]), QR_OK);
        assert_int_equal(q->party[2].n_presig, sizes[k]);
        for (size_t slot = 0; slot < sizes[k]; slot++) {
            struct quorum_input in = input((unsigned)slot);
            sign_and_check(q, S, 2, slot, &in);
        }
    }
    q->dkg.command_hash[0] ^= 1;
    assert_int_equal(quorum_dkg(q), QR_OK);
    assert_memory_not_equal(first, q->party[1].key.pub.pk, 33);
    assert_int_equal(quorum_presign(q, S, 2, 4), QR_OK);
    struct quorum_input in = input(7);
    sign_and_check(q, S, 2, 0, &in);
    quorum_free(q);
}

/* The largest quorum the product allows. */
static void
test_16_of_16(void **state)
{
    uint16_t S[16];

    (void)state;
    if (getenv("QR_TEST_LONG") == NULL)
        return;
    struct quorum *q = quorum_new(16, 16, "sixteen");
    for (uint16_t k = 0; k < 16; k++)
        S[k] = (uint16_t)(k + 1);
    assert_int_equal(quorum_pairs_all(q), QR_OK);
    assert_int_equal(quorum_dkg(q), QR_OK);
    assert_int_equal(quorum_presign(q, S, 16, 4), QR_OK);
    struct quorum_input in = input(16);
    sign_and_check(q, S, 16, 0, &in);
    quorum_free(q);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_2_of_2),    cmocka_unit_test(test_2_of_3),
        cmocka_unit_test(test_3_of_5),    cmocka_unit_test(test_5_of_7),
        cmocka_unit_test(test_any_order), cmocka_unit_test(test_batch_sizes_and_second_key),
        cmocka_unit_test(test_16_of_16),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
