/* The key record: its encoding, and everything anyone can check of a key. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "protocol/ids.h"
#include "test/common/quorum.h"

static struct quorum *q2of3, *q3of5;

static int
set_up(void **state)
{
    (void)state;
    q2of3 = quorum_new(3, 2, "key 2of3");
    q3of5 = quorum_new(5, 3, "key 3of5");
    return quorum_dkg(q2of3) == QR_OK && quorum_dkg(q3of5) == QR_OK ? 0 : -1;
}

static int
tear_down(void **state)
{
    (void)state;
    quorum_free(q2of3);
    quorum_free(q3of5);
    return 0;
}

static void
test_round_trip(void **state)
{
    uint8_t rec[QR_KEY_RECORD_MAX], again[QR_KEY_RECORD_MAX];

    (void)state;
    for (uint16_t i = 1; i <= 5; i++) {
        struct qr_key k = q3of5->party[i].key, back;

        k.pub.epoch = 0x01020304;
        k.pub.flags = i % 2 ? QR_KEY_INSECURE_SIM : 0;
        k.state = i % 2 ? QR_KEY_ACTIVE : QR_KEY_PENDING;
        memset(again, 0xa5, sizeof again);
        size_t len = qr_key_encode(&k, rec);
        assert_int_equal(len, 270 + 5 * 129);
        assert_int_equal(qr_key_decode(qr_view_of(rec, len), &back), QR_OK);
        assert_int_equal(back.pub.epoch, 0x01020304);
        assert_int_equal(back.pub.flags, k.pub.flags);
        assert_int_equal(back.state, k.state);
        assert_int_equal(back.self, i);
        assert_true(qr_fq_eq(&back.share, &k.share));
        assert_memory_equal(back.pub.confirm, k.pub.confirm, sizeof k.pub.confirm);
        assert_int_equal(qr_key_encode(&back, again), len);
        assert_memory_equal(rec, again, len);
    }
}

static void
test_truncations_and_tail(void **state)
{
    uint8_t rec[QR_KEY_RECORD_MAX + 1];
    struct qr_key back, untouched;

    (void)state;
    memset(&back, 0x5a, sizeof back);
    untouched = back;
    size_t len = qr_key_encode(&q2of3->party[1].key, rec);
    for (size_t k = 0; k < len; k++)
        assert_int_equal(qr_key_decode(qr_view_of(rec, k), &back), QR_ERR_TRUNCATED);
    rec[len] = 0;
    assert_int_equal(qr_key_decode(qr_view_of(rec, len + 1), &back), QR_ERR_TRAILING);
    assert_memory_equal(&back, &untouched, sizeof back);
}

/* Any change of one byte is refused or is another record with that very encoding. */
static void
test_one_encoding(void **state)
{
    uint8_t rec[QR_KEY_RECORD_MAX], again[QR_KEY_RECORD_MAX];
    unsigned refused = 0;

    (void)state;
    size_t len = qr_key_encode(&q2of3->party[2].key, rec);
    for (size_t k = 0; k < len; k++) {
        struct qr_key back;

        rec[k] ^= 0x41;
        if (qr_key_decode(qr_view_of(rec, len), &back) == QR_OK) {
            memset(again, 0, sizeof again);
            assert_int_equal(qr_key_encode(&back, again), len);
            assert_memory_equal(rec, again, len);
        } else {
            refused++;
        }
        rec[k] ^= 0x41;
    }
    /* header, key_id, pk and roster hash at the least */
    assert_true(refused > 100);
}

static void
test_strict_decode(void **state)
{
    static const struct {
        size_t at;
        uint8_t value;
        qr_err want;
    } bad[] = {
        {0, 0, QR_ERR_VERSION},   {0, 2, QR_ERR_VERSION},      {1, 0, QR_ERR_MALFORMED},
        {1, 3, QR_ERR_MALFORMED}, {2, 1, QR_ERR_SET},          {3, 17, QR_ERR_SET},
        {5, 1, QR_ERR_SET},       {5, 4, QR_ERR_SET},          {7, 0, QR_ERR_SET},
        {7, 4, QR_ERR_SET},       {8, 2, QR_ERR_SET},          {13, 0, QR_ERR_SET},
        {45, 0x04, QR_ERR_SET},   {270 + 32, 5, QR_ERR_POINT},
    };
    uint8_t rec[QR_KEY_RECORD_MAX], copy[QR_KEY_RECORD_MAX];
    struct qr_key back;

    (void)state;
    size_t len = qr_key_encode(&q2of3->party[1].key, rec);
    for (size_t k = 0; k < sizeof bad / sizeof bad[0]; k++) {
        memcpy(copy, rec, len);
        copy[bad[k].at] = bad[k].value;
        /* a byte of key_id may happen to have the bad value already */
        if (copy[bad[k].at] == rec[bad[k].at])
            copy[bad[k].at] ^= 1;
        assert_int_equal(qr_key_decode(qr_view_of(copy, len), &back), bad[k].want);
    }
    memcpy(copy, rec, len);
    memset(copy + 238, 0xff, 32);
    assert_int_equal(qr_key_decode(qr_view_of(copy, len), &back), QR_ERR_SCALAR);
    memset(copy + 238, 0, 32);
    assert_int_equal(qr_key_decode(qr_view_of(copy, len), &back), QR_ERR_SET);
}

static void
test_check_share(void **state)
{
    struct qr_key k = q2of3->party[2].key;

    (void)state;
    assert_int_equal(qr_key_check_share(&k), QR_OK);
    k.self = 3;
    assert_int_equal(qr_key_check_share(&k), QR_ERR_SHARE);
    k.self = 4;
    assert_int_equal(qr_key_check_share(&k), QR_ERR_SET);
    k.self = 2;
    qr_fq_add(&k.share, &k.share, &qr_fq_one);
    assert_int_equal(qr_key_check_share(&k), QR_ERR_SHARE);
    k.share = qr_fq_zero;
    assert_int_equal(qr_key_check_share(&k), QR_ERR_INFINITY);
}

static void
test_check_accepts(void **state)
{
    uint16_t party = 9;

    (void)state;
    assert_int_equal(qr_key_check(&q2of3->party[1].key.pub, &party), QR_OK);
    assert_int_equal(party, 0);
    assert_int_equal(qr_key_check(&q3of5->party[4].key.pub, &party), QR_OK);
}

/* One change each; key_id is recomputed where the change would otherwise be seen there first. */
static void
tamper(struct qr_key_pub *k, unsigned what)
{
    uint8_t other[33];

    memcpy(other, q2of3->party[1].key.pub.pk, 33);
    switch (what) {
    case 0:
        memcpy(k->pk, other, 33);
        break;
    case 1:
        k->key_id[5] ^= 1;
        break;
    case 2:
        k->roster_hash[0] ^= 1;
        break;
    case 3:
        k->t = 1;
        break;
    case 4:
        k->n = 17;
        break;
    case 5:
        k->flags = 2;
        break;
    case 6:
        memcpy(k->pk, other, 33);
        break;
    case 7:
        memcpy(k->P[4], other, 33);
        break;
    case 8:
        memcpy(k->P[0], other, 33);
        break;
    case 9:
        k->P[1][0] = 5;
        break;
    case 10:
        k->pk[0] ^= 1;
        break;
    case 11:
        k->t = 2;
        break;
    case 12:
        k->t = 4;
        break;
    case 13:
        k->n = 4;
        break;
    case 14:
        k->roster_hash[31] ^= 1;
        break;
    case 15:
        k->cc[0] ^= 1;
        break;
    case 16:
        k->dkg_sid[0] ^= 1;
        break;
    case 17:
        k->cluster[0] ^= 1;
        break;
    case 18:
        k->admin_hash[0] ^= 1;
        break;
    case 19:
        k->epoch = 1;
        break;
    case 20:
        k->flags ^= QR_KEY_INSECURE_SIM;
        break;
    case 21:
        k->id[2][0] ^= 1;
        break;
    case 22:
        k->confirm[3][0] ^= 1;
        break;
    case 23:
        memset(k->confirm[4], 0, 64);
        break;
    case 24:
        memcpy(k->confirm[1], k->confirm[0], 64);
        break;
    case 25:
        memcpy(k->confirm[1], k->confirm[0], 64);
        memcpy(k->id[1], k->id[0], 32);
        break;
    default:
        fail();
    }
    if (what >= 6)
        qr_key_id(k->pk, k->n, k->t, k->roster_hash, k->key_id);
}

static void
test_check_refuses(void **state)
{
    static const struct {
        qr_err want;
        uint16_t party;
    } verdict[] = {
        {QR_ERR_SET, 0},      {QR_ERR_SET, 0},      {QR_ERR_SET, 0},      {QR_ERR_SET, 0},
        {QR_ERR_SET, 0},      {QR_ERR_SET, 0},      {QR_ERR_SUM, 0},      {QR_ERR_SUM, 0},
        {QR_ERR_SUM, 0},      {QR_ERR_POINT, 0},    {QR_ERR_SUM, 0},      {QR_ERR_SUM, 0},
        {QR_ERR_IDENTITY, 1}, {QR_ERR_IDENTITY, 1}, {QR_ERR_IDENTITY, 1}, {QR_ERR_IDENTITY, 1},
        {QR_ERR_IDENTITY, 1}, {QR_ERR_IDENTITY, 1}, {QR_ERR_IDENTITY, 1}, {QR_ERR_IDENTITY, 1},
        {QR_ERR_IDENTITY, 1}, {QR_ERR_IDENTITY, 3}, {QR_ERR_IDENTITY, 4}, {QR_ERR_IDENTITY, 5},
        {QR_ERR_IDENTITY, 2}, {QR_ERR_IDENTITY, 2},
    };

    (void)state;
    for (unsigned what = 0; what < sizeof verdict / sizeof verdict[0]; what++) {
        struct qr_key_pub k = q3of5->party[1].key.pub;
        uint16_t party = 99;

        tamper(&k, what);
        assert_int_equal(qr_key_check(&k, &party), verdict[what].want);
        assert_int_equal(party, verdict[what].party);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),    cmocka_unit_test(test_truncations_and_tail),
        cmocka_unit_test(test_one_encoding),  cmocka_unit_test(test_strict_decode),
        cmocka_unit_test(test_check_share),   cmocka_unit_test(test_check_accepts),
        cmocka_unit_test(test_check_refuses),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
