#include "enclave-shim/verify/utf8.h"

size_t
qr_utf8_next(qr_view v, size_t at)
{
    const uint8_t *p = v.p + at;
    size_t left = v.len - at, n = 0;
    uint8_t low = 0x80, high = 0xbf; /* bounds of the second byte */

    if (p[0] < 0x80) {
        return 1;
    }
    if (p[0] >= 0xc2 && p[0] <= 0xdf) {
        n = 2;
    } else if (p[0] >= 0xe0 && p[0] <= 0xef) {
        n = 3;
        low = p[0] == 0xe0 ? 0xa0 : 0x80;  /* overlong below */
        high = p[0] == 0xed ? 0x9f : 0xbf; /* surrogates above */
    } else if (p[0] >= 0xf0 && p[0] <= 0xf4) {
        n = 4;
        low = p[0] == 0xf0 ? 0x90 : 0x80;
        high = p[0] == 0xf4 ? 0x8f : 0xbf; /* U+10FFFF is the last */
    }
    if (n == 0 || n > left || p[1] < low || p[1] > high) {
        return 0;
    }
    for (size_t i = 2; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    return n;
}

int
qr_utf8_valid(qr_view v)
{
    size_t at = 0, n = 1;
    while (at < v.len && n > 0) {
        n = qr_utf8_next(v, at);
        at += n;
    }
    return n > 0;
}
