"""ristretto255 (RFC 9496): decoding, encoding and the one-way map, over edwards.py.

A group element is any point of its coset in extended Edwards coordinates; compare encodings.
"""

import edwards
from edwards import BASE, D, L, P, SQRT_M1, ZERO, add, mul, mul_base, neg  # noqa: F401

# RFC 9496 section 4.1; each is checked against its definition in test_model.py.
SQRT_AD_MINUS_ONE = 25063068953384623474111414158702152701244531502492656460079210482610430750235
INVSQRT_A_MINUS_D = 54469307008909316920995813868745141605393597292927456921205312896311721017578
ONE_MINUS_D_SQ = (1 - D * D) % P
D_MINUS_ONE_SQ = (D - 1) ** 2 % P


def _abs(v):
    v %= P
    return P - v if v & 1 else v


def sqrt_ratio(u, v):
    """(1, sqrt(u/v)) if u/v is a square, else (0, sqrt(i*u/v)); the root is non-negative."""
    v3 = v * v * v % P
    r = u * v3 * pow(u * v3 * v3 * v, (P - 5) // 8, P) % P
    check = v * r * r % P
    u %= P
    correct = check == u
    flipped = check == -u % P
    flipped_i = check == -u * SQRT_M1 % P
    if flipped or flipped_i:
        r = r * SQRT_M1 % P
    return correct or flipped, _abs(r)


def decode(b):
    s = int.from_bytes(b, "little")
    if len(b) != 32 or s >= P or s & 1:
        raise ValueError("not a canonical ristretto255 encoding")
    ss = s * s % P
    u1, u2 = (1 - ss) % P, (1 + ss) % P
    u2s = u2 * u2 % P
    v = (-(D * u1 * u1) - u2s) % P
    square, inv = sqrt_ratio(1, v * u2s % P)
    dx = inv * u2 % P
    dy = inv * dx * v % P
    x = _abs(2 * s * dx)
    y = u1 * dy % P
    t = x * y % P
    if not square or t & 1 or y == 0:
        raise ValueError("not a canonical ristretto255 encoding")
    return (x, y, 1, t)


def encode(p):
    x0, y0, z0, t0 = p
    u1 = (z0 + y0) * (z0 - y0) % P
    u2 = x0 * y0 % P
    _, inv = sqrt_ratio(1, u1 * u2 * u2 % P)
    d1, d2 = inv * u1 % P, inv * u2 % P
    z_inv = d1 * d2 * t0 % P
    if t0 * z_inv % P & 1:
        x, y = y0 * SQRT_M1 % P, x0 * SQRT_M1 % P
        d = d1 * INVSQRT_A_MINUS_D % P
    else:
        x, y, d = x0, y0, d2
    if x * z_inv % P & 1:
        y = -y % P
    return _abs(d * (z0 - y)).to_bytes(32, "little")


def _map(b):
    t = int.from_bytes(b, "little") & (2**255 - 1)
    r = SQRT_M1 * t * t % P
    u = (r + 1) * ONE_MINUS_D_SQ % P
    v = (-1 - r * D) * (r + D) % P
    square, s = sqrt_ratio(u, v)
    c = -1
    if not square:
        s = -_abs(s * t) % P
        c = r
    n = (c * (r - 1) * D_MINUS_ONE_SQ - v) % P
    w0, w1 = 2 * s * v % P, n * SQRT_AD_MINUS_ONE % P
    w2, w3 = (1 - s * s) % P, (1 + s * s) % P
    return (w0 * w3 % P, w2 * w1 % P, w1 * w3 % P, w0 * w2 % P)


def from_hash(b):
    """64 bytes to a group element."""
    if len(b) != 64:
        raise ValueError("the one-way map takes 64 bytes")
    return add(_map(b[:32]), _map(b[32:]))


def sub(a, b):
    return edwards.add(a, edwards.neg(b))


def is_identity(p):
    return encode(p) == bytes(32)


def wide(b):
    """A scalar from 64 drawn bytes, little-endian."""
    return int.from_bytes(b, "little") % L
