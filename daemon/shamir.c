#include "daemon/shamir.h"

/* Russian peasant's multiplication: each bit of b as a mask. */
static uint8_t
mul(uint8_t a, uint8_t b)
{
    unsigned x = a, r = 0;

    for (unsigned i = 0; i < 8; i++) {
        r ^= x & (0u - ((unsigned)(b >> i) & 1u));
        x = (x << 1) ^ (0x11bu & (0u - (x >> 7)));
    }
    return (uint8_t)r;
}

/* a^254, the inverse of what is not 0. Of public points only. */
static uint8_t
inverse(uint8_t a)
{
    uint8_t r = 1;

    for (unsigned i = 0; i < 7; i++) { /* 254 = 0b11111110 */
        a = mul(a, a);
        r = mul(r, a);
    }
    return r;
}

static int
points_ok(const struct qr_shamir_point *point, size_t need, uint16_t x)
{
    if (need < 1 || need > QR_SHAMIR_NEED_MAX || x > QR_MAX_PARTIES) {
        return 0;
    }
    for (size_t i = 0; i < need; i++) {
        if (point[i].x > QR_MAX_PARTIES) {
            return 0;
        }
        for (size_t k = 0; k < i; k++) {
            if (point[k].x == point[i].x) {
                return 0;
            }
        }
    }
    return 1;
}

qr_err
qr_shamir_at(const struct qr_shamir_point *point, size_t need, uint16_t x, struct qr_sec32 *ret)
{
    struct qr_sec32 sum QR_WIPE(qr_sec32) = {{0}};

    if (!points_ok(point, need, x)) {
        return QR_ERR_SET;
    }
    for (size_t i = 0; i < need; i++) {
        uint8_t above = 1, below = 1; /* Lagrange's factor; subtraction is xor */
        for (size_t k = 0; k < need; k++) {
            if (k != i) {
                above = mul(above, (uint8_t)(x ^ point[k].x));
                below = mul(below, (uint8_t)(point[i].x ^ point[k].x));
            }
        }
        uint8_t factor = mul(above, inverse(below));
        for (size_t b = 0; b < sizeof sum.b; b++) {
            sum.b[b] ^= mul(point[i].y.b[b], factor);
        }
    }
    *ret = sum;
    return QR_OK;
}

qr_err
qr_shamir_draw(const struct qr_rng *rng, size_t need, struct qr_shamir_point *ret)
{
    if (need < 1 || need > QR_SHAMIR_NEED_MAX) {
        return QR_ERR_SET;
    }
    for (size_t i = 0; i < need; i++) {
        ret[i].x = (uint16_t)i;
        qr_rng_fill(rng, ret[i].y.b, sizeof ret[i].y.b);
    }
    return QR_OK;
}
