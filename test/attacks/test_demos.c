/*
 * Every attack of test/common/attacks.h fails against this tree. That each one succeeds once its
 * protection is gone is shown where protections are removed (test/mutants/).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/log.h"
#include "test/common/attacks.h"

#include <sodium.h>
#include <string.h>

static void
no_lines(void *ctx, const char *line, size_t len)
{
    (void)ctx, (void)line, (void)len;
}

static void
demo(const char *name)
{
    char said[256] = "";

    for (size_t k = 0; k < attacks_n; k++) {
        if (strcmp(attacks[k].name, name) != 0) {
            continue;
        }
        enum attack_result r = attacks[k].run(said, sizeof said);
        if (r != ATTACK_FAILED) {
            fail_msg("%s %s: %s", name, r == ATTACK_SUCCEEDED ? "succeeded" : "was not played",
                     said);
        }
        return;
    }
    fail_msg("there is no attack %s", name);
}

#define DEMO(name)                                                                                 \
    static void test_demo_##name(void **state)                                                     \
    {                                                                                              \
        (void)state;                                                                               \
        demo(#name);                                                                               \
    }

DEMO(presig_reuse)
DEMO(delta_oracle)
DEMO(raw_hash_forgery)
DEMO(base_ot_known_dlog)
DEMO(bad_signature)
DEMO(rsid_twice)
DEMO(split_view)
DEMO(forged_stamp)
DEMO(rolled_back_store)
DEMO(cloned_process)
DEMO(hostile_gateway)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_demo_presig_reuse),
        cmocka_unit_test(test_demo_delta_oracle),
        cmocka_unit_test(test_demo_raw_hash_forgery),
        cmocka_unit_test(test_demo_base_ot_known_dlog),
        cmocka_unit_test(test_demo_bad_signature),
        cmocka_unit_test(test_demo_rsid_twice),
        cmocka_unit_test(test_demo_split_view),
        cmocka_unit_test(test_demo_forged_stamp),
        cmocka_unit_test(test_demo_rolled_back_store),
        cmocka_unit_test(test_demo_cloned_process),
        cmocka_unit_test(test_demo_hostile_gateway),
    };
    if (sodium_init() < 0 || sizeof tests / sizeof tests[0] != attacks_n) {
        return 1;
    }
    qr_log_init(QR_LOG_ERROR, QR_LOG_HUMAN);
    qr_log_sink(no_lines, NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
