/*
 * PROVES: the time window of a request, for all 64-bit times: no arithmetic wraps round; accepted is exactly
 *         what ends after it begins, lives at most QR_APPROVAL_LIFE_MS, has not ended by more than the skew,
 *         begins at most the skew in the future, and was issued no earlier than the party started. And
 *         what is remembered until qr_window_forget_ms is refused from then on.
 * BOUND:  none: all inputs.
 * CBMC:   --unwind 2 --unsigned-overflow-check
 * BITE:   daemon/window.c s/w->expires_ms > UINT64_MAX - QR_CLOCK_SKEW_MS ? UINT64_MAX/0 ? UINT64_MAX/
 * BITE:   daemon/window.c s/if (now_ms >= qr_window_forget_ms(w))/if (now_ms > qr_window_forget_ms(w))/
 * BITE:   daemon/window.c s/w->issued_ms > now_ms \&\& w->issued_ms - now_ms/w->issued_ms - now_ms/
 */
#include "daemon/window.c"

#include "test/proof/cbmc/proof.h"

#ifdef __CPROVER
typedef unsigned __CPROVER_bitvector[66] wide; /* sums of 64-bit times fit */
#else
typedef uint64_t wide;
#endif

void
proof(void)
{
    struct qr_window w = {.issued_ms = nondet_u64(), .expires_ms = nondet_u64()};
    uint64_t now = nondet_u64(), start = nondet_u64();
    wide i = w.issued_ms, x = w.expires_ms, n = now, skew = QR_CLOCK_SKEW_MS;

    int want = x > i && x - i <= (wide)QR_APPROVAL_LIFE_MS && n < x + skew && i <= n + skew &&
               w.issued_ms >= start && now != UINT64_MAX;
    int got = qr_window_check(&w, now, start, NULL, 0) == QR_OK;
    PROVE(now == UINT64_MAX || got == want, "exactly these");
    PROVE(!got || now < qr_window_forget_ms(&w),
          "nothing is accepted that may have been forgotten");
}
