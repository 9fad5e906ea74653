#include "daemon/window.h"

#include <stdio.h>

#define EXPLAIN(...) ((void)(err_text ? snprintf(err_text, err_cap, __VA_ARGS__) : 0))

qr_err
qr_window_valid(const struct qr_window *w, uint32_t life_ms, char *err_text, size_t err_cap)
{
    if (w->expires_ms <= w->issued_ms) {
        EXPLAIN("expires_ms must be after issued_ms");
        return QR_ERR_MALFORMED;
    }
    if (w->expires_ms - w->issued_ms > life_ms) {
        EXPLAIN("expires_ms is %llu ms after issued_ms; at most %u are allowed",
                (unsigned long long)(w->expires_ms - w->issued_ms), life_ms);
        return QR_ERR_MALFORMED;
    }
    return QR_OK;
}

uint64_t
qr_window_forget_ms(const struct qr_window *w)
{
    return w->expires_ms > UINT64_MAX - QR_CLOCK_SKEW_MS ? UINT64_MAX
                                                         : w->expires_ms + QR_CLOCK_SKEW_MS;
}

qr_err
qr_window_check(const struct qr_window *w, uint64_t now_ms, uint64_t not_before_ms, char *err_text,
                size_t err_cap)
{
    QR_TRY(qr_window_valid(w, QR_APPROVAL_LIFE_MS, err_text, err_cap));
    if (now_ms >= qr_window_forget_ms(w)) {
        EXPLAIN("expired %llu ms ago by this party's clock",
                (unsigned long long)(now_ms - w->expires_ms));
        return QR_ERR_EXPIRED;
    }
    if (w->issued_ms > now_ms && w->issued_ms - now_ms > QR_CLOCK_SKEW_MS) {
        EXPLAIN("issued %llu ms in the future by this party's clock; %u are tolerated",
                (unsigned long long)(w->issued_ms - now_ms), QR_CLOCK_SKEW_MS);
        return QR_ERR_NOT_YET_VALID;
    }
    if (w->issued_ms < not_before_ms) {
        EXPLAIN("issued %llu ms before this party started; issue a new request",
                (unsigned long long)(not_before_ms - w->issued_ms));
        return QR_ERR_EXPIRED;
    }
    return QR_OK;
}
