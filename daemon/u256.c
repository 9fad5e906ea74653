#include "daemon/u256.h"

#include "protocol/base/check.h"

struct qr_u256
qr_u256_of(uint64_t v)
{
    struct qr_u256 r = {{0}};
    qr_put64(r.b + 24, v);
    return r;
}

int
qr_u256_cmp(const struct qr_u256 *a, const struct qr_u256 *b)
{
    return memcmp(a->b, b->b, sizeof a->b);
}

int
qr_u256_is_zero(const struct qr_u256 *a)
{
    static const struct qr_u256 zero;
    return qr_u256_cmp(a, &zero) == 0;
}

qr_err
qr_u256_add(const struct qr_u256 *a, const struct qr_u256 *b, struct qr_u256 *ret)
{
    struct qr_u256 r;
    unsigned carry = 0;

    for (size_t i = sizeof r.b; i-- > 0;) {
        carry += (unsigned)a->b[i] + b->b[i];
        r.b[i] = (uint8_t)carry;
        carry >>= 8;
    }
    if (carry) {
        memset(ret->b, 0xff, sizeof ret->b);
        return QR_ERR_TOO_LARGE;
    }
    *ret = r;
    return QR_OK;
}

void
qr_u256_sub(const struct qr_u256 *a, const struct qr_u256 *b, struct qr_u256 *ret)
{
    struct qr_u256 r;
    unsigned borrow = 0;

    for (size_t i = sizeof r.b; i-- > 0;) {
        unsigned have = a->b[i], take = b->b[i] + borrow;
        borrow = have < take;
        r.b[i] = (uint8_t)(have + (borrow << 8) - take);
    }
    *ret = borrow ? qr_u256_of(0) : r;
}

qr_err
qr_u256_mul(const struct qr_u256 *a, uint64_t m, struct qr_u256 *ret)
{
    const uint64_t half[2] = {m >> 32, m & UINT32_MAX};
    uint32_t out[10] = {0}; /* big-endian digits of 32 bits, two more than fit */

    for (size_t h = 0; h < 2; h++) {
        uint64_t carry = 0;
        for (size_t i = 8; i-- > 0;) {
            uint32_t *o = &out[i + 1 + h];
            carry += qr_get32(a->b + 4 * i) * half[h] + *o; /* < 2^64: (2^32-1)^2 + 2 (2^32-1) */
            *o = (uint32_t)carry;
            carry >>= 32;
        }
        out[h] = (uint32_t)carry; /* the place above the highest that this half reached */
    }
    if (out[0] || out[1]) {
        memset(ret->b, 0xff, sizeof ret->b);
        return QR_ERR_TOO_LARGE;
    }
    for (size_t i = 0; i < 8; i++) {
        qr_put32(ret->b + 4 * i, out[i + 2]);
    }
    return QR_OK;
}

/* In place; returns the remainder. */
static uint32_t
divide(struct qr_u256 *a, uint32_t d)
{
    uint32_t rest = 0;

    for (size_t i = 0; i < sizeof a->b; i++) {
        rest = rest << 8 | a->b[i];
        a->b[i] = (uint8_t)(rest / d);
        rest %= d;
    }
    return rest;
}

void
qr_u256_div(const struct qr_u256 *a, uint32_t d, struct qr_u256 *ret)
{
    QR_ASSERT(d >= 1 && d <= 1u << 24);
    *ret = *a;
    (void)divide(ret, d);
}

qr_err
qr_u256_parse(qr_view text, struct qr_u256 *ret)
{
    struct qr_u256 r = {{0}};

    if (text.len == 0 || (text.len > 1 && text.p[0] == '0')) {
        return QR_ERR_MALFORMED;
    }
    for (size_t i = 0; i < text.len; i++) {
        if (text.p[i] < '0' || text.p[i] > '9') {
            return QR_ERR_MALFORMED;
        }
    }
    if (text.len >= QR_U256_TEXT) {
        return QR_ERR_TOO_LARGE;
    }
    for (size_t i = 0; i < text.len; i++) {
        unsigned carry = text.p[i] - (unsigned)'0';
        for (size_t k = sizeof r.b; k-- > 0;) {
            carry += 10u * r.b[k];
            r.b[k] = (uint8_t)carry;
            carry >>= 8;
        }
        if (carry) {
            return QR_ERR_TOO_LARGE;
        }
    }
    *ret = r;
    return QR_OK;
}

void
qr_u256_text(const struct qr_u256 *a, char ret[static QR_U256_TEXT])
{
    char digits[QR_U256_TEXT];
    struct qr_u256 r = *a;
    size_t n = 0;

    do {
        digits[n++] = (char)('0' + divide(&r, 10));
    } while (!qr_u256_is_zero(&r));
    for (size_t i = 0; i < n; i++) {
        ret[i] = digits[n - 1 - i];
    }
    ret[n] = '\0';
}
