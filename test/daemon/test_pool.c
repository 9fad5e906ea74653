/* Presignature pools: single use, ownership, bounds, dropping. */
#include "daemon/pool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "protocol/ids.h"

static const struct qr_pool_id hot = {.key_id = {1}, .set_mask = 3, .owner = 1};
static const struct qr_pool_id other_owner = {.key_id = {1}, .set_mask = 3, .owner = 2};
static const struct qr_pool_id other_set = {.key_id = {1}, .set_mask = 5, .owner = 1};
static const struct qr_pool_id other_key = {.key_id = {2}, .set_mask = 3, .owner = 1};

/* A batch whose entries tell where they came from. */
static void
add(struct qr_pool *p, const struct qr_pool_id *id, unsigned number, size_t B)
{
    struct qr_presig v[QR_BATCH_MAX];
    uint8_t sid[32] = {0};
    memset(v, 0, sizeof v);
    qr_put32(sid, number * 2654435761u);
    qr_put32(sid + 4, number);
    for (size_t k = 0; k < B; k++) {
        qr_presig_id(sid, (uint16_t)k, v[k].id);
        v[k].set_mask = id->set_mask;
        qr_fq_set_u64(&v[k].phi, number * 100 + k);
    }
    assert_int_equal(qr_pool_reserve(p, id, B), QR_OK);
    assert_int_equal(qr_pool_add(p, id, sid, v, B), QR_OK);
}

static void
attack_23_take_once(void **state)
{
    struct qr_pool *p = qr_pool_new(64, NULL);
    uint8_t ids[4][QR_PRESIG_ID_LEN];
    struct qr_presig out;
    (void)state;
    add(p, &hot, 7, 4);
    assert_int_equal(qr_pool_ready(p, &hot), 4);
    assert_int_equal(qr_pool_choose(p, &hot, 4, ids), QR_OK);
    for (size_t k = 0; k < 4; k++) {
        qr_fq want;
        qr_fq_set_u64(&want, 700 + k);
        assert_int_equal(qr_pool_take(p, &hot, ids[k], &out), QR_OK);
        assert_true(qr_fq_eq(&out.phi, &want));
        assert_int_equal(qr_pool_take(p, &hot, ids[k], &out), QR_ERR_CONSUMED);
    }
    assert_int_equal(qr_pool_ready(p, &hot), 0);
    assert_int_equal(qr_pool_choose(p, &hot, 1, ids), QR_ERR_NO_PRESIGS);
    p = qr_pool_free(p);
}

static void
test_only_its_own_pool(void **state)
{
    struct qr_pool *p = qr_pool_new(64, NULL);
    uint8_t ids[1][QR_PRESIG_ID_LEN];
    struct qr_presig out;
    (void)state;
    add(p, &hot, 1, 4);
    assert_int_equal(qr_pool_choose(p, &hot, 1, ids), QR_OK);
    assert_int_equal(qr_pool_take(p, &other_owner, ids[0], &out), QR_ERR_CONSUMED);
    assert_int_equal(qr_pool_take(p, &other_set, ids[0], &out), QR_ERR_CONSUMED);
    assert_int_equal(qr_pool_take(p, &other_key, ids[0], &out), QR_ERR_CONSUMED);
    ids[0][33] ^= 0x80; /* index out of range */
    assert_int_equal(qr_pool_take(p, &hot, ids[0], &out), QR_ERR_CONSUMED);
    ids[0][33] ^= 0x80;
    assert_int_equal(qr_pool_take(p, &hot, ids[0], &out), QR_OK);
    p = qr_pool_free(p);
}

static void
test_bounds(void **state)
{
    struct qr_pool *p = qr_pool_new(32, NULL);
    (void)state;
    assert_int_equal(qr_pool_reserve(p, &hot, 0), QR_ERR_BUSY);
    assert_int_equal(qr_pool_reserve(p, &hot, QR_BATCH_MAX + 1), QR_ERR_BUSY);
    assert_int_equal(qr_pool_reserve(p, &hot, 16), QR_OK);
    assert_int_equal(qr_pool_reserve(p, &other_key, 16), QR_OK);
    assert_int_equal(qr_pool_reserve(p, &hot, 4), QR_ERR_BUSY); /* slab */
    qr_pool_unreserve(p, &other_key, 16);
    assert_int_equal(qr_pool_reserve(p, &hot, 4), QR_OK);
    assert_int_equal(qr_pool_outstanding(p, hot.key_id), 20);
    p = qr_pool_free(p);

    p = qr_pool_new(QR_PRESIG_PER_KEY + 64, NULL);
    for (unsigned i = 0; i < QR_PRESIG_PER_KEY / 16; i++) {
        add(p, i & 1 ? &hot : &other_set, i, 16);
    }
    assert_int_equal(qr_pool_outstanding(p, hot.key_id), QR_PRESIG_PER_KEY);
    assert_int_equal(qr_pool_reserve(p, &other_owner, 4), QR_ERR_BUSY); /* per key, all pools */
    assert_int_equal(qr_pool_reserve(p, &other_key, 4), QR_OK);
    p = qr_pool_free(p);
}

static void
test_drop(void **state)
{
    struct qr_pool *p = qr_pool_new(128, NULL);
    uint8_t ids[1][QR_PRESIG_ID_LEN];
    struct qr_presig out;
    (void)state;
    add(p, &hot, 1, 16);
    add(p, &other_set, 2, 16);
    assert_int_equal(qr_pool_choose(p, &hot, 1, ids), QR_OK);
    assert_int_equal(qr_pool_drop_parties(p, 2), 16); /* party 2 restarted */
    assert_int_equal(qr_pool_ready(p, &hot), 0);
    assert_int_equal(qr_pool_take(p, &hot, ids[0], &out), QR_ERR_CONSUMED);
    assert_int_equal(qr_pool_ready(p, &other_set), 16);
    assert_int_equal(qr_pool_drop_parties(p, 6), 0); /* pair 2-3 retired: set {1,3} lives */
    assert_int_equal(qr_pool_drop_parties(p, 5), 16);
    p = qr_pool_free(p);
}

/* Batches are emptied out of order, thousands of times: every entry once, none lost. */
static void
test_churn(void **state)
{
    struct qr_pool *p = qr_pool_new(256, NULL);
    uint8_t ids[64][QR_PRESIG_ID_LEN];
    struct qr_presig out;
    size_t spent = 0;
    (void)state;
    for (unsigned round = 0; round < 2000; round++) {
        while (qr_pool_ready(p, &hot) < 64) {
            static unsigned number = 1000;
            add(p, &hot, number++, 16);
        }
        assert_int_equal(qr_pool_choose(p, &hot, 64, ids), QR_OK);
        for (size_t k = 0; k < 24; k++) {
            size_t i = (k * 37 + round) % 64;
            qr_err e = qr_pool_take(p, &hot, ids[i], &out);
            assert_true(e == QR_OK);
            memset(ids[i], 0xff, 2);
            spent++;
        }
    }
    assert_int_equal(spent, 48000);
    p = qr_pool_free(p);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(attack_23_take_once), cmocka_unit_test(test_only_its_own_pool),
        cmocka_unit_test(test_bounds),         cmocka_unit_test(test_drop),
        cmocka_unit_test(test_churn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
