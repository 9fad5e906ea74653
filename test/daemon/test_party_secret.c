/* The peer secret of whole parties: made, asked back after restarts, waited for, refused in doubt. */
#include "test/common/cluster.h"
#include "test/common/secretkit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

static struct cluster c;

static int
tear_down(void **state)
{
    (void)state;
    secretkit_stop(&c);
    return 0;
}

static void
test_all_restart_at_once(void **state)
{
    uint8_t pk[33];

    (void)state;
    secretkit_start(&c, 3, 2);
    for (size_t i = 1; i <= 3; i++) {
        assert_int_equal(qr_secret_state(c.p[i].party), QR_SECRET_OPEN);
    }
    cluster_keygen(&c, 2, pk);
    secretkit_sign(&c, 1, pk);
    for (size_t i = 1; i <= 3; i++) {
        cluster_kill(&c, i);
    }
    for (size_t i = 1; i <= 3; i++) {
        cluster_boot(&c, i);
        assert_int_equal(qr_secret_state(c.p[i].party), QR_SECRET_LOCKED);
        assert_int_equal(c.p[i].party->n_keys, 0);
    }
    assert_true(cluster_until(&c, 5000, secretkit_open, NULL));
    for (size_t i = 1; i <= 3; i++) {
        assert_int_equal(c.p[i].party->n_keys, 1);
    }
    assert_true(cluster_until(&c, 5000, cluster_linked, NULL));
    for (size_t i = 1; i <= 3; i++) {
        secretkit_sign(&c, i, pk);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_all_restart_at_once, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
