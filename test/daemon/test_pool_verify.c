/*
 * The pool's own check of itself, which the verify build runs after every call: an entry that could be
 * reached twice, or that stayed behind where it was spent, is noticed.
 */
#ifndef QR_VERIFY_BUILD
#define QR_VERIFY_BUILD 1
#endif
#include "daemon/pool.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "protocol/ids.h"

static const struct qr_pool_id hot = {.key_id = {1}, .set_mask = 3, .owner = 1};

static struct qr_pool *
filled(void)
{
    struct qr_pool *p = qr_pool_new(32, NULL);

    assert_non_null(p);
    for (uint8_t n = 1; n <= 2; n++) {
        struct qr_presig v[4];
        uint8_t sid[32] = {n, n, n, n};
        memset(v, 0, sizeof v);
        for (uint16_t k = 0; k < 4; k++) {
            qr_presig_id(sid, k, v[k].id);
            v[k].set_mask = 3;
        }
        assert_int_equal(qr_pool_reserve(p, &hot, 4), QR_OK);
        assert_int_equal(qr_pool_add(p, &hot, sid, v, 4), QR_OK);
    }
    assert_true(consistent(p));
    return p;
}

static void
test_two_references(void **state)
{
    struct qr_pool *p = filled();

    (void)state;
    p->batch[0].slot[1] = p->batch[0].slot[2];
    assert_false(consistent(p));
    p = qr_pool_free(p);
    p = filled();
    p->batch[0].slot[1] = p->batch[1].slot[1]; /* of another batch */
    assert_false(consistent(p));
    p = qr_pool_free(p);
}

static void
test_free_but_there(void **state)
{
    struct qr_pool *p = filled();

    (void)state;
    p->free_slot[p->n_free++] = p->batch[0].slot[3]; /* given back, and still in its batch */
    assert_false(consistent(p));
    p = qr_pool_free(p);
    p = filled();
    p->slab[p->free_slot[0]].phi.d[0] = 1; /* spent, and not wiped */
    assert_false(consistent(p));
    p = qr_pool_free(p);
}

static void
test_counts(void **state)
{
    struct qr_pool *p = filled();

    (void)state;
    p->group[0].ready--;
    assert_false(consistent(p));
    p->group[0].ready++;
    p->n_reserved++;
    assert_false(consistent(p));
    p->n_reserved--;
    assert_true(consistent(p));
    p->batch[0].left--;
    assert_false(consistent(p));
    p = qr_pool_free(p);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_two_references),
        cmocka_unit_test(test_free_but_there),
        cmocka_unit_test(test_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
