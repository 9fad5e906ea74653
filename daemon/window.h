/*
 * The time window of a request or command.
 *
 * What: issued_ms and expires_ms, Unix time in milliseconds, and the one rule about them.
 * Why: replay tables are in memory. They are complete for everything issued since the party
 *      started, so what was issued earlier is refused.
 * not_before_ms: the party's start by its trusted clock. A party may pass a later time: a client
 *      whose clock is ahead by up to QR_CLOCK_SKEW_MS could have had an answer from the previous
 *      process to a request that says it was issued after the start of this one.
 */
#ifndef QR_WINDOW_H
#define QR_WINDOW_H

#include "protocol/base/err.h"
#include "protocol/base/limits.h"

#include <stddef.h>
#include <stdint.h>

struct qr_window {
    uint64_t issued_ms, expires_ms;
};

/*
 * Time alone: MALFORMED if it ends before it begins or lives longer than life_ms: QR_REQUEST_LIFE_MS, or
 * QR_APPROVAL_LIFE_MS for a request, whose rule then decides how long it may wait for approvals.
 */
qr_err QR_MUST qr_window_valid(const struct qr_window *w, uint32_t life_ms, char *err_text,
                               size_t err_cap);
/*
 * EXPIRED: past its end plus QR_CLOCK_SKEW_MS, or issued before not_before_ms. NOT_YET_VALID: issued
 * more than QR_CLOCK_SKEW_MS from now. MALFORMED as for the longest life.
 */
qr_err QR_MUST qr_window_check(const struct qr_window *w, uint64_t now_ms, uint64_t not_before_ms,
                               char *err_text, size_t err_cap);
/* From this time on nobody accepts it any more: expiry plus skew. */
uint64_t qr_window_forget_ms(const struct qr_window *w);

#endif
