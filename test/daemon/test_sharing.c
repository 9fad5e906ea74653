/* Pieces, commitments, records and the share-sealing key, by test/model/sharing.py and by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "daemon/sharing.h"
#include "protocol/base/hash.h"
#include "test/common/secretkit.h"
#include "test/common/testrng.h"
#include "test/common/vectors.h"

static struct qr_rng rng;
static uint8_t id[32];

static struct qr_sharing
make(uint32_t epoch, uint8_t need, uint16_t n)
{
    struct qr_sharing s = {.epoch = epoch, .owner = 1, .need = need, .n = n};
    for (uint16_t i = 0; i < n; i++) {
        s.holder[i].index = (uint16_t)(i + 2);
        memset(s.holder[i].id, 0x40 + i, 32);
    }
    return s;
}

/* A platform whose secret is SHA-256("platform") for every epoch, and says what it was asked. */
static uint32_t asked_epoch;

static qr_err
derive(void *ctx, uint32_t epoch, const char *label, qr_view ad, struct qr_sec32 *ret)
{
    assert_string_equal(label, "share");
    assert_true(qr_view_eq(ad, qr_view_of(id, 32)));
    asked_epoch = epoch;
    if (ctx) {
        return QR_ERR_PLATFORM;
    }
    qr_sha256(qr_view_str("platform"), ret->b);
    return QR_OK;
}

static void
test_vectors(void **state)
{
    struct qr_sharing s = make(7, 2, 3);
    const struct qr_tee tee = {.derive = derive};
    struct qr_shamir_point p[2] = {{.x = 0}, {.x = 3}};
    struct qr_piece piece;
    struct qr_sec32 key;
    uint8_t c[32];

    (void)state;
    hex_bytes("573dda48e07aba8dc3f84757e4510859aa5d942e7dac3a30a59c7a77c54e28d2", p[0].y.b, 32);
    hex_bytes("36dc4d96bb59258786b3ffa6a439e8a812844cf47fcf3468009f25e7c647e33a", p[1].y.b, 32);
    assert_int_equal(qr_sharing_piece(&s, p, id, 1, &piece), QR_OK); /* of party 3 */
    assert_int_equal(piece.name.holder, 3);
    assert_memory_equal(piece.y.b, p[1].y.b, 32);
    expect_hex(piece.blind.b, 32,
               "d9c25f18b682f0b9bac1e9ade62274e3bacf6ab1630d0b776c21c92de8af0287");
    qr_piece_commitment(&piece, c);
    expect_hex(c, 32, "61c4da3b5867bd60f2930677d43384a435863b7e3f363cbb6260e3e9bf853a18");
    assert_int_equal(qr_sharing_key(&s, p, &tee, id, &key), QR_OK);
    assert_int_equal(asked_epoch, 7);
    expect_hex(key.b, 32, "4512207a3e194eb432cc7b9a04772bdcd2d1f612dc120d1a158b371532965277");
    vectors_ran("sharing", 4);
    /* without the platform there is no key, and what was there stays */
    struct qr_tee broken = {.ctx = &rng, .derive = derive};
    struct qr_sec32 before = key;
    assert_int_equal(qr_sharing_key(&s, p, &broken, id, &key), QR_ERR_PLATFORM);
    assert_memory_equal(before.b, key.b, 32);
}

/* Each name and each secret moves the commitment. */
static void
test_commitment_binds_everything(void **state)
{
    struct qr_sharing s = make(7, 2, 3);
    struct qr_shamir_point p[2];
    struct qr_piece piece, x;
    uint8_t was[32], is[32];

    (void)state;
    assert_int_equal(qr_sharing_draw(&s, &rng, id, p), QR_OK);
    assert_int_equal(qr_sharing_piece(&s, p, id, 0, &piece), QR_OK);
    qr_piece_commitment(&piece, was);
    assert_memory_equal(was, s.holder[0].commitment, 32);
    for (int i = 0; i < 7; i++) {
        x = piece;
        x.name.owner_id[31] ^= i == 0;
        x.name.epoch += i == 1;
        x.name.owner = (uint16_t)(x.name.owner + (i == 2));
        x.name.holder = (uint16_t)(x.name.holder + (i == 3));
        x.name.need = (uint8_t)(x.name.need + (i == 4));
        x.y.b[0] ^= i == 5;
        x.blind.b[0] ^= i == 6;
        qr_piece_commitment(&x, is);
        assert_memory_not_equal(was, is, 32);
    }
}

static void
test_only_the_given_piece_is_taken(void **state)
{
    struct qr_sharing s = make(7, 2, 3), other = make(7, 2, 3);
    struct qr_shamir_point p[2], q[2], got = {.x = 99};
    struct qr_piece piece, x;

    (void)state;
    assert_int_equal(qr_sharing_draw(&s, &rng, id, p), QR_OK);
    assert_int_equal(qr_sharing_draw(&other, &rng, id, q), QR_OK);
    assert_int_equal(qr_sharing_piece(&s, p, id, 1, &piece), QR_OK);
    assert_int_equal(qr_sharing_take(&s, id, 1, &piece, &got), QR_OK);
    assert_int_equal(got.x, 3);
    assert_memory_equal(got.y.b, piece.y.b, 32);
    got = (struct qr_shamir_point){.x = 99};
    /* another holder's, another sharing's, changed, under another index */
    assert_int_equal(qr_sharing_take(&s, id, 0, &piece, &got), QR_ERR_COMMITMENT);
    assert_int_equal(qr_sharing_take(&other, id, 1, &piece, &got), QR_ERR_COMMITMENT);
    x = piece;
    x.y.b[5] ^= 0x10;
    assert_int_equal(qr_sharing_take(&s, id, 1, &x, &got), QR_ERR_COMMITMENT);
    x = piece;
    x.blind.b[5] ^= 0x10;
    assert_int_equal(qr_sharing_take(&s, id, 1, &x, &got), QR_ERR_COMMITMENT);
    x = piece;
    x.name.holder = 4;
    assert_int_equal(qr_sharing_take(&s, id, 1, &x, &got), QR_ERR_COMMITMENT);
    assert_int_equal(got.x, 99);
    /* a lost piece is made again as it was, from other points of the same sharing */
    struct qr_shamir_point again[2] = {{.x = 2}, {.x = 4}};
    assert_int_equal(qr_shamir_at(p, 2, 2, &again[0].y), QR_OK);
    assert_int_equal(qr_shamir_at(p, 2, 4, &again[1].y), QR_OK);
    assert_int_equal(qr_sharing_piece(&s, again, id, 1, &x), QR_OK);
    assert_memory_equal(&x, &piece, sizeof x);
}

static void
test_records(void **state)
{
    struct qr_sharing s = make(7, 2, 15), back;
    struct qr_shamir_point p[2];
    struct qr_piece piece, again;
    uint8_t rec[QR_SHARING_RECORD_MAX], hold[QR_PIECE_RECORD_LEN];
    uint32_t last = 0;

    (void)state;
    assert_int_equal(qr_sharing_draw(&s, &rng, id, p), QR_OK);
    size_t n = qr_sharing_encode(9, &s, rec);
    assert_int_equal(n, QR_SHARING_RECORD_MAX);
    assert_int_equal(qr_sharing_decode(qr_view_of(rec, n), &last, &back), QR_OK);
    assert_int_equal(last, 9);
    assert_memory_equal(&back, &s, sizeof s);
    for (size_t cut = 0; cut < n; cut++) {
        assert_int_not_equal(qr_sharing_decode(qr_view_of(rec, cut), &last, &back), QR_OK);
    }
    static const struct {
        size_t at;
        uint8_t value;
        qr_err e;
    } bad[] = {{0, 2, QR_ERR_VERSION},     {4, 6, QR_ERR_MALFORMED},   {8, 0, QR_ERR_MALFORMED},
               {10, 0, QR_ERR_MALFORMED},  {10, 17, QR_ERR_MALFORMED}, {11, 0, QR_ERR_MALFORMED},
               {11, 16, QR_ERR_MALFORMED}, {12, 16, QR_ERR_MALFORMED}, {12, 14, QR_ERR_TRAILING},
               {14, 17, QR_ERR_MALFORMED}, {14, 9, QR_ERR_MALFORMED},  {14, 0, QR_ERR_MALFORMED}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        uint8_t was = rec[bad[i].at];
        rec[bad[i].at] = bad[i].value;
        assert_string_equal(qr_err_name(qr_sharing_decode(qr_view_of(rec, n), &last, &back)),
                            qr_err_name(bad[i].e));
        rec[bad[i].at] = was;
    }
    struct qr_sharing none = {0};
    n = qr_sharing_encode(3, &none, rec);
    assert_int_equal(qr_sharing_decode(qr_view_of(rec, n), &last, &back), QR_OK);
    assert_true(last == 3 && back.epoch == 0 && back.n == 0);

    assert_int_equal(qr_sharing_piece(&s, p, id, 3, &piece), QR_OK);
    qr_piece_encode(&piece, hold);
    assert_int_equal(qr_piece_decode(qr_view_of(hold, sizeof hold), &again), QR_OK);
    assert_true(secretkit_same_piece(&again, &piece));
    for (size_t i = 0; i < sizeof hold; i++) { /* there is no byte that does not count */
        hold[i] ^= 0x40;
        assert_int_not_equal(qr_piece_decode(qr_view_of(hold, sizeof hold), &again), QR_OK);
        hold[i] ^= 0x40;
        assert_int_equal(qr_piece_decode(qr_view_of(hold, i), &again), QR_ERR_TRUNCATED);
    }
}

static void
test_key_records(void **state)
{
    struct qr_sec32 key, other;
    uint8_t mem[200], plain[64];
    static const char secret[] = "a key record";
    qr_view v = qr_view_of(secret, sizeof secret);

    (void)state;
    qr_rng_fill(&rng, key.b, 32);
    other = key;
    other.b[0] ^= 1;
    struct qr_buf b = qr_buf_over(mem, sizeof mem);
    assert_int_equal(qr_sharing_seal(&key, &rng, 7, id, "k1", v, &b), QR_OK);
    assert_null(memmem(mem, b.len, secret, sizeof secret));
    uint8_t stranger[32] = {9};
    const struct {
        const struct qr_sec32 *key;
        uint32_t epoch;
        const uint8_t *id;
        const char *name;
        qr_err e;
    } tries[] = {{&key, 7, id, "k1", QR_OK},
                 {&other, 7, id, "k1", QR_ERR_SEAL},
                 {&key, 6, id, "k1", QR_ERR_SEAL},
                 {&key, 8, id, "k1", QR_ERR_SEAL},
                 {&key, 7, stranger, "k1", QR_ERR_SEAL},
                 {&key, 7, id, "k2", QR_ERR_SEAL}};
    for (size_t i = 0; i < sizeof tries / sizeof tries[0]; i++) {
        struct qr_buf out = qr_buf_over(plain, sizeof plain);
        assert_int_equal(qr_sharing_unseal(tries[i].key, tries[i].epoch, tries[i].id, tries[i].name,
                                           qr_buf_view(&b), &out),
                         tries[i].e);
        assert_int_equal(out.len, tries[i].e == QR_OK ? sizeof secret : 0);
    }
}

static void
test_same(void **state)
{
    struct qr_sharing a = make(7, 2, 3), b = make(9, 2, 3);

    (void)state;
    assert_true(qr_sharing_same(&a, &b)); /* epochs do not count */
    assert_int_equal(qr_sharing_mask(&a), 0xe);
    assert_int_equal(qr_sharing_find(&a, b.holder[2].id), 2);
    assert_int_equal(qr_sharing_find(&a, id), -1);
    b.need = 1;
    assert_false(qr_sharing_same(&a, &b));
    b = make(7, 2, 4);
    assert_false(qr_sharing_same(&a, &b));
    b = make(7, 2, 3);
    b.holder[1].id[0] ^= 1;
    assert_false(qr_sharing_same(&a, &b));
    b = make(7, 2, 3);
    b.holder[2].index = 5;
    assert_false(qr_sharing_same(&a, &b));
    b = make(7, 2, 3);
    b.owner = 9;
    assert_false(qr_sharing_same(&a, &b));
}

static int
set_up(void **state)
{
    static struct qr_testrng t;

    (void)state;
    qr_testrng_seed(&t, "sharing");
    rng = qr_testrng_rng(&t);
    for (uint8_t i = 0; i < 32; i++) {
        id[i] = i;
    }
    return qr_hash_init() == QR_OK ? 0 : -1;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_commitment_binds_everything),
        cmocka_unit_test(test_only_the_given_piece_is_taken),
        cmocka_unit_test(test_records),
        cmocka_unit_test(test_key_records),
        cmocka_unit_test(test_same),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
