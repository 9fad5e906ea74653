/* Dates of documents: one form, UTC, whole seconds. Days are counted as in the proleptic Gregorian
 * calendar, from 1970-01-01. */
#include "enclave-shim/verify/manifest.h"

#include "protocol/base/check.h"

#include <stdio.h>

#define DAY_MS INT64_C(86400000)
#define END_MS INT64_C(253402300800000) /* 10000-01-01 */

static int
is_leap(unsigned y)
{
    return (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
}

static unsigned
days_in(unsigned y, unsigned m)
{
    static const uint8_t days[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return days[m - 1] + (m == 2 && is_leap(y) ? 1u : 0u);
}

/* Days from 1970-01-01 to January 1 of that year. */
static int64_t
days_to(unsigned y)
{
    unsigned p = y - 1;
    return (int64_t)p * 365 + p / 4 - p / 100 + p / 400 - 719162;
}

qr_err
qr_time_parse(qr_view text, int64_t *ret_ms)
{
    static const char form[] = "dddd-dd-ddTdd:dd:ddZ";
    unsigned v[6] = {0}, k = 0;

    if (text.len != sizeof form - 1) {
        return QR_ERR_MALFORMED;
    }
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.p[i];
        if (form[i] != 'd') {
            if (c != (uint8_t)form[i]) {
                return QR_ERR_MALFORMED;
            }
            k++;
        } else if (c < '0' || c > '9') {
            return QR_ERR_MALFORMED;
        } else {
            v[k] = v[k] * 10 + (c - '0');
        }
    }
    if (v[0] < 1970 || v[1] < 1 || v[1] > 12 || v[2] < 1 || v[2] > days_in(v[0], v[1]) ||
        v[3] > 23 || v[4] > 59 || v[5] > 59) {
        return QR_ERR_MALFORMED;
    }
    int64_t days = days_to(v[0]) + v[2] - 1;
    for (unsigned m = 1; m < v[1]; m++) {
        days += days_in(v[0], m);
    }
    *ret_ms = days * DAY_MS + ((int64_t)v[3] * 3600 + v[4] * 60 + v[5]) * 1000;
    return QR_OK;
}

void
qr_time_print(int64_t ms, char out[static 21])
{
    QR_ASSERT(ms >= 0 && ms < END_MS);
    int64_t days = ms / DAY_MS;
    unsigned s = (unsigned)(ms % DAY_MS / 1000), y = 1970 + (unsigned)(days / 366), m = 1;

    while (days_to(y + 1) <= days) {
        y++;
    }
    unsigned d = (unsigned)(days - days_to(y));
    for (; d >= days_in(y, m); m++) {
        d -= days_in(y, m);
    }
    (void)snprintf(out, 21, "%04u-%02u-%02uT%02u:%02u:%02uZ", y % 10000, m % 100, (d + 1) % 100,
                   s / 3600 % 100, s / 60 % 60, s % 60);
}
