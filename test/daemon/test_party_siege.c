/*
 * A hostile gateway gets nothing outside of the policy: 10,000 attempts, 120 in the quick set. That it
 * gets something once a check is gone is shown where checks are removed (test/mutants/).
 * SIEGE_SEED=text: another siege; QR_TEST_LOG=1: with the parties' logs.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/log.h"
#include "test/common/siege.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

static void
no_lines(void *ctx, const char *line, size_t len)
{
    (void)ctx, (void)line, (void)len;
}

static int
quick(void)
{
    const char *set = getenv("QR_TEST_QUICK");
    return set && set[0] == '1';
}

static void
test_siege(void **state)
{
    const char *seed = getenv("SIEGE_SEED");
    static struct siege_report r;

    (void)state;
    siege_run(seed ? seed : "siege", quick() ? 120 : 10000, &r);
    print_message("siege: %zu attempts with %zu requests: %zu shares, %zu answers, %zu refusals\n",
                  r.attempts, r.stamped, r.shares, r.answers, r.errors);
    for (size_t k = 0; k < SIEGE_MOVES; k++) {
        print_message("  %6zu %s\n", r.by_move[k], siege_move_name[k]);
    }
    for (int k = 0; k < 1024; k++) {
        if (r.by_error[k]) {
            print_message("  %6zu %s\n", r.by_error[k], qr_err_name((qr_err)k));
        }
    }
    for (size_t k = 0; k < SIEGE_RULES; k++) {
        print_message("  rule %zu: %zu\n", k, r.by_rule[k]);
    }
    if (r.violation[0]) {
        fail_msg("%s", r.violation);
    }
    assert_true(r.shares > 0 && r.answers > 0);
    if (!quick()) {
        /* every rule gave something away, and every judge along the way refused something */
        static const qr_err by[] = {
            QR_ERR_MALFORMED,      QR_ERR_UNKNOWN_FIELD,    QR_ERR_STAMP_MISSING,
            QR_ERR_STAMP_INVALID,  QR_ERR_CLIENT_UNKNOWN,   QR_ERR_CLUSTER,
            QR_ERR_EXPIRED,        QR_ERR_NOT_YET_VALID,    QR_ERR_POLICY_DENIED,
            QR_ERR_APPROVALS,      QR_ERR_APPROVAL_INVALID, QR_ERR_LIMIT,
            QR_ERR_REPLAY_CONFLICT};
        for (size_t k = 0; k < SIEGE_RULES; k++) {
            assert_true(r.by_rule[k] > 3);
        }
        for (size_t k = 0; k < sizeof by / sizeof by[0]; k++) {
            if (r.by_error[by[k]] == 0) {
                fail_msg("nothing was refused for %s", qr_err_name(by[k]));
            }
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_siege)};

    if (sodium_init() < 0) {
        return 1;
    }
    qr_log_init(getenv("QR_TEST_LOG") ? QR_LOG_INFO : QR_LOG_ERROR, QR_LOG_HUMAN);
    if (!getenv("QR_TEST_LOG")) {
        qr_log_sink(no_lines, NULL);
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
