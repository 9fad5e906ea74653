/*
 * Shamir's sharing of 32 bytes: any `need` pieces give the secret, fewer say nothing of it.
 *
 * What: byte by byte over GF(2^8) with AES's polynomial x^8 + x^4 + x^3 + x + 1; piece i is the value
 *       of a polynomial of degree need - 1 at the point i, the secret its value at 0. A sharing is held
 *       as `need` of its points, wherever they lie; every other point follows from them, so a piece
 *       that was lost can be made again by whoever holds enough.
 * Why not a prime field: there is nothing to prove about these pieces, a commitment is a hash, and in
 *       this field every byte string is an element.
 * Invariants: points are 0..QR_MAX_PARTIES and distinct; points are public, values are secret.
 * Source: Shamir, "How to share a secret" (1979). The field is FIPS 197, section 4.2.
 * Constant time in the values: no table, no branch and no address depends on them.
 */
#ifndef QR_SHAMIR_H
#define QR_SHAMIR_H

#include "protocol/base/err.h"
#include "protocol/base/limits.h"
#include "protocol/base/rng.h"
#include "protocol/base/secret.h"

#define QR_SHAMIR_NEED_MAX (QR_MAX_PARTIES - 1u)

struct qr_shamir_point {
    uint16_t x; /* 0: the secret; 1..QR_MAX_PARTIES: a holder's index */
    struct qr_sec32 y;
};

/*
 * The value at x of the polynomial of degree need - 1 through these need points. Errors: SET (need
 * outside 1..QR_SHAMIR_NEED_MAX, a point above QR_MAX_PARTIES, one twice).
 */
qr_err QR_MUST qr_shamir_at(const struct qr_shamir_point *point, size_t need, uint16_t x,
                            struct qr_sec32 *ret);

/*
 * A fresh sharing of a fresh secret, as the points 0..need - 1: need values drawn at random, which is
 * a uniform secret and a uniform polynomial through it. Errors: SET.
 */
qr_err QR_MUST qr_shamir_draw(const struct qr_rng *rng, size_t need, struct qr_shamir_point *ret);

#endif
