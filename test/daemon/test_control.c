/* Control messages between daemons: round trips, and every truncation and extension refused. */
#include "daemon/control.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static uint8_t mem[QR_CTL_SIGN_MAX + 16];

typedef qr_err (*get_fn)(qr_view v);

/* The whole decodes; no proper prefix does, and nothing longer does. */
static void
strict(struct qr_buf *b, get_fn get)
{
    assert_int_equal(b->err, QR_OK);
    assert_int_equal(get(qr_buf_view(b)), QR_OK);
    for (size_t n = 0; n < b->len; n++) {
        assert_int_not_equal(get(qr_view_of(b->p, n)), QR_OK);
    }
    b->p[b->len] = 0;
    assert_int_equal(get(qr_view_of(b->p, b->len + 1)), QR_ERR_TRAILING);
}

static qr_err
get_sign(qr_view v)
{
    struct qr_ctl_sign m;
    return qr_ctl_get_sign(v, &m);
}

static qr_err
get_share(qr_view v)
{
    struct qr_ctl_share m;
    return qr_ctl_get_share(v, &m);
}

static qr_err
get_admin(qr_view v)
{
    struct qr_ctl_admin m;
    return qr_ctl_get_admin(v, &m);
}

static qr_err
get_start(qr_view v)
{
    struct qr_ctl_start m;
    return qr_ctl_get_start(v, &m);
}

static qr_err
get_retire(qr_view v)
{
    struct qr_ctl_retire m;
    return qr_ctl_get_retire(v, &m);
}

static qr_err
get_store(qr_view v)
{
    struct qr_ctl_store m;
    return qr_ctl_get_store(v, &m);
}

static qr_err
get_time(qr_view v)
{
    struct qr_ctl_time m;
    return qr_ctl_get_time(v, &m);
}

static qr_err
get_key(qr_view v)
{
    struct qr_ctl_key m;
    return qr_ctl_get_key(v, &m);
}

static void
test_sign(void **state)
{
    uint8_t ids[3 * QR_PRESIG_ID_LEN] = {9};
    struct qr_ctl_sign m = {.attempt = 7, .set_mask = 5, .n = 3, .presig_ids = ids, .n_stamps = 2};
    struct qr_ctl_sign r;
    (void)state;
    m.body = qr_view_str("{\"v\":1}");
    m.stamp[0] = qr_view_str("stamp one");
    m.stamp[1] = qr_view_str("stamp two");
    struct qr_buf b = qr_buf_over(mem, sizeof mem);
    qr_ctl_put_sign(&b, &m);
    assert_int_equal(qr_ctl_get_sign(qr_buf_view(&b), &r), QR_OK);
    assert_int_equal(r.attempt, 7);
    assert_int_equal(r.set_mask, 5);
    assert_int_equal(r.n, 3);
    assert_memory_equal(r.presig_ids, ids, sizeof ids);
    assert_true(qr_view_eq(r.body, m.body) && qr_view_eq(r.stamp[1], m.stamp[1]));
    strict(&b, get_sign);
    /* counts beyond their limits, before anything is read by them */
    qr_put16(mem + 6, 0);
    assert_int_equal(get_sign(qr_buf_view(&b)), QR_ERR_TOO_LARGE);
    qr_put16(mem + 6, QR_ITEMS_MAX + 1);
    assert_int_equal(get_sign(qr_buf_view(&b)), QR_ERR_TOO_LARGE);
}

static void
test_share(void **state)
{
    uint8_t shares[2 * QR_SIGN_SHARE_LEN] = {1};
    struct qr_ctl_share m = {.attempt = 1, .n = 2, .shares = shares}, r;
    (void)state;
    struct qr_buf b = qr_buf_over(mem, sizeof mem);
    qr_ctl_put_share(&b, &m);
    assert_int_equal(qr_ctl_get_share(qr_buf_view(&b), &r), QR_OK);
    assert_memory_equal(r.shares, shares, sizeof shares);
    strict(&b, get_share);
    qr_put16(mem + 4, 505); /* a refusal carries no shares */
    assert_int_equal(get_share(qr_buf_view(&b)), QR_ERR_MALFORMED);
}

static void
test_fixed(void **state)
{
    struct qr_ctl_start st = {.epoch = 0, .set_mask = 3, .B = 16, .ctr = 1ull << 40}, st2;
    struct qr_ctl_retire rt = {.lo = 1, .hi = 3, .by = 3}, rt2;
    struct qr_ctl_store so = {.boot_counter = 4, .serial = 9};
    (void)state;
    struct qr_buf b = qr_buf_over(mem, sizeof mem);
    qr_ctl_put_start(&b, &st);
    assert_int_equal(b.len, QR_CTL_START_LEN);
    assert_int_equal(qr_ctl_get_start(qr_buf_view(&b), &st2), QR_OK);
    assert_true(st2.ctr == st.ctr && st2.B == 16);
    strict(&b, get_start);

    b = qr_buf_over(mem, sizeof mem);
    qr_ctl_put_retire(&b, &rt);
    assert_int_equal(b.len, QR_CTL_RETIRE_LEN);
    assert_int_equal(qr_ctl_get_retire(qr_buf_view(&b), &rt2), QR_OK);
    strict(&b, get_retire);
    const uint16_t bad[][3] = {{0, 3, 3}, {3, 1, 3}, {1, 1, 1}, {1, 17, 1}, {1, 3, 2}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        for (size_t k = 0; k < 3; k++) {
            qr_put16(mem + 2 * k, bad[i][k]);
        }
        assert_int_equal(get_retire(qr_buf_view(&b)), QR_ERR_MALFORMED);
    }

    b = qr_buf_over(mem, sizeof mem);
    qr_ctl_put_store(&b, &so);
    assert_int_equal(b.len, QR_CTL_STORE_LEN);
    strict(&b, get_store);

    b = qr_buf_over(mem, sizeof mem);
    qr_ctl_put_time(&b, &(struct qr_ctl_time){.wall_ms = UINT64_MAX - 1});
    assert_int_equal(b.len, QR_CTL_TIME_LEN);
    strict(&b, get_time);
    struct qr_ctl_time t = {0};
    assert_int_equal(qr_ctl_get_time(qr_buf_view(&b), &t), QR_OK);
    assert_true(t.wall_ms == UINT64_MAX - 1);
}

static void
test_admin_and_key(void **state)
{
    struct qr_ctl_admin a = {.n_stamps = 1};
    uint8_t confirm[2 * 64] = {3};
    struct qr_ctl_key k = {.tell = 1, .n = 2, .confirm = confirm};
    (void)state;
    a.body = qr_view_str("command");
    a.stamp[0] = qr_view_str("s");
    struct qr_buf b = qr_buf_over(mem, sizeof mem);
    qr_ctl_put_admin(&b, &a);
    strict(&b, get_admin);

    b = qr_buf_over(mem, sizeof mem);
    qr_ctl_put_key(&b, &k);
    strict(&b, get_key);
    mem[0] = 2;
    assert_int_equal(get_key(qr_buf_view(&b)), QR_ERR_MALFORMED);
    mem[0] = 1;
    qr_put16(mem + 33, QR_MAX_PARTIES + 1);
    assert_int_equal(get_key(qr_buf_view(&b)), QR_ERR_TOO_LARGE);
    k.tell = 0;
    b = qr_buf_over(mem, sizeof mem);
    qr_ctl_put_key(&b, &k);
    assert_int_equal(b.len, 33);
    strict(&b, get_key);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sign),
        cmocka_unit_test(test_share),
        cmocka_unit_test(test_fixed),
        cmocka_unit_test(test_admin_and_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
