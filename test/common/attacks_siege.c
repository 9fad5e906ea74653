/* The siege (siege.h) as an attack: what a hostile gateway gets in 10,000 attempts. */
#include "test/common/attacks.h"

#include "test/common/siege.h"

#include <stdio.h>
#include <stdlib.h>

enum attack_result
attack_hostile_gateway(char *said, size_t cap)
{
    static struct siege_report r;
    const char *set = getenv("QR_TEST_QUICK");
    int quick = set && set[0] == '1';
    size_t attempts = quick ? 40 : 10000;

    siege_run("attack", attempts, &r);
    if (r.violation[0]) {
        (void)snprintf(said, cap, "%s", r.violation);
        return ATTACK_SUCCEEDED;
    }
    (void)snprintf(said, cap, "%zu attempts, %zu shares for what clients and approvers meant",
                   r.attempts, r.shares);
    /* a quorum that gives nothing at all, or never comes to its limits, shows nothing */
    return quick || (r.shares > attempts / 20 && r.by_error[QR_ERR_LIMIT] > 0) ? ATTACK_FAILED
                                                                               : ATTACK_BROKEN;
}
