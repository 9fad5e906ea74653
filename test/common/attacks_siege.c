/* The siege (siege.h) as an attack: what a hostile gateway gets in 6,000 attempts. */
#include "test/common/attacks.h"

#include "test/common/siege.h"

#include <stdio.h>

#define ATTEMPTS 6000u

enum attack_result
attack_hostile_gateway(char *said, size_t cap)
{
    static struct siege_report r;

    siege_run("attack", ATTEMPTS, &r);
    if (r.violation[0]) {
        (void)snprintf(said, cap, "%s", r.violation);
        return ATTACK_SUCCEEDED;
    }
    (void)snprintf(said, cap, "%zu attempts, %zu shares for what clients and approvers meant",
                   r.attempts, r.shares);
    return r.shares > ATTEMPTS / 20 && r.by_error[QR_ERR_LIMIT] ? ATTACK_FAILED : ATTACK_BROKEN;
}
