"""secp256k1: points, their 33-byte encoding, ECDSA verification and recovery.

A point is an affine pair (x, y); None is infinity. Arithmetic runs in Jacobian coordinates.
Nothing here is constant time: the model only ever sees test secrets.
"""

from encode import Q

P = 2**256 - 2**32 - 977
G = (
    0x79BE667EF9DCBBAC55A06295CE870B07029BFCDB2DCE28D959F2815B16F81798,
    0x483ADA7726A3C4655DA4FBFC0E1108A8FD17B448A68554199C47D08FFB10D4B8,
)


def on_curve(pt):
    x, y = pt
    return (y * y - x * x * x - 7) % P == 0


def _dbl(a):
    X, Y, Z = a
    if Y == 0 or Z == 0:
        return (0, 1, 0)
    S = 4 * X * Y * Y % P
    M = 3 * X * X % P
    X3 = (M * M - 2 * S) % P
    Y2 = Y * Y % P
    return (X3, (M * (S - X3) - 8 * Y2 * Y2) % P, 2 * Y * Z % P)


def _add(a, b):
    X1, Y1, Z1 = a
    X2, Y2, Z2 = b
    if Z1 == 0:
        return b
    if Z2 == 0:
        return a
    A, B = Z1 * Z1 % P, Z2 * Z2 % P
    U1, U2 = X1 * B % P, X2 * A % P
    S1, S2 = Y1 * B * Z2 % P, Y2 * A * Z1 % P
    if U1 == U2:
        return _dbl(a) if S1 == S2 else (0, 1, 0)
    H, R = U2 - U1, S2 - S1
    HH = H * H % P
    HHH = HH * H % P
    V = U1 * HH % P
    X3 = (R * R - HHH - 2 * V) % P
    return (X3, (R * (V - X3) - S1 * HHH) % P, Z1 * Z2 * H % P)


def _jac(p):
    return (0, 1, 0) if p is None else (p[0], p[1], 1)


def _affine(a):
    X, Y, Z = a
    if Z == 0:
        return None
    i = pow(Z, -1, P)
    return (X * i * i % P, Y * i * i * i % P)


def add(a, b):
    return _affine(_add(_jac(a), _jac(b)))


def total(points):
    acc = (0, 1, 0)
    for p in points:
        acc = _add(acc, _jac(p))
    return _affine(acc)


def neg(p):
    return None if p is None else (p[0], -p[1] % P)


def mul(k, p):
    k %= Q
    base = _jac(p)
    table = [(0, 1, 0), base]
    while len(table) < 16:
        table.append(_add(table[-1], base))
    acc = (0, 1, 0)
    for shift in range(252, -4, -4):
        for _ in range(4):
            acc = _dbl(acc)
        acc = _add(acc, table[k >> shift & 15])
    return _affine(acc)


_base_table = []


def mul_base(k):
    k %= Q
    if not _base_table:
        step = _jac(G)
        for _ in range(64):
            row = [(0, 1, 0)]
            for _ in range(15):
                row.append(_add(row[-1], step))
            _base_table.append([_jac(_affine(v)) for v in row])
            step = _add(row[-1], step)
    acc = (0, 1, 0)
    for i in range(64):
        acc = _add(acc, _base_table[i][k >> 4 * i & 15])
    return _affine(acc)


def put(p):
    if p is None:
        raise ValueError("point at infinity")
    return bytes((2 + (p[1] & 1),)) + p[0].to_bytes(32, "big")


def parse(b):
    if len(b) != 33 or b[0] not in (2, 3):
        raise ValueError("not a compressed point")
    return lift(int.from_bytes(b[1:], "big"), b[0] & 1)


def lift(x, odd):
    if x >= P:
        raise ValueError("x is out of range")
    y2 = (x * x * x + 7) % P
    y = pow(y2, (P + 1) // 4, P)
    if y * y % P != y2:
        raise ValueError("x is not on the curve")
    return (x, P - y if y & 1 != odd else y)


def ecdsa_verify(pk, digest, r, s):
    if not (0 < r < Q and 0 < s < Q):
        return False
    w = pow(s, -1, Q)
    h = int.from_bytes(digest, "big")
    v = add(mul_base(h * w), mul(r * w, pk))
    return v is not None and v[0] % Q == r


def ecdsa_recover(digest, r, s, recid):
    R = lift(r + (Q if recid & 2 else 0), recid & 1)
    i = pow(r, -1, Q)
    h = int.from_bytes(digest, "big")
    return add(mul(s * i, R), mul_base(-h * i))
