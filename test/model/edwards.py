"""The twisted Edwards curve of Ed25519 in extended coordinates, and Ed25519 itself (RFC 8032)."""

import hashlib

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
D2 = 2 * D % P
SQRT_M1 = pow(2, (P - 1) // 4, P)
ZERO = (0, 1, 1, 0)


def add(a, b):
    X1, Y1, Z1, T1 = a
    X2, Y2, Z2, T2 = b
    A = (Y1 - X1) * (Y2 - X2) % P
    B = (Y1 + X1) * (Y2 + X2) % P
    C = T1 * D2 * T2 % P
    E = 2 * Z1 * Z2 % P
    H, F, G, K = B - A, E - C, E + C, B + A
    return (H * F % P, G * K % P, F * G % P, H * K % P)


def double(a):
    X, Y, Z, _ = a
    A = X * X % P
    B = Y * Y % P
    C = 2 * Z * Z % P
    H = A + B
    E = H - (X + Y) ** 2 % P
    G = A - B
    F = C + G
    return (E * F % P, G * H % P, F * G % P, E * H % P)


def neg(a):
    X, Y, Z, T = a
    return (-X % P, Y, Z, -T % P)


def mul(k, p):
    k %= L
    table = [ZERO, p]
    while len(table) < 16:
        table.append(add(table[-1], p))
    acc = ZERO
    for shift in range(252, -4, -4):
        if acc is not ZERO:
            acc = double(double(double(double(acc))))
        d = k >> shift & 15
        if d:
            acc = add(acc, table[d])
    return acc


def _recover_x(y, sign):
    x2 = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(x2, (P + 3) // 8, P)
    if (x * x - x2) % P:
        x = x * SQRT_M1 % P
    if (x * x - x2) % P or (x == 0 and sign):
        raise ValueError("not on the curve")
    return P - x if x & 1 != sign else x


_by = 4 * pow(5, -1, P) % P
_bx = _recover_x(_by, 0)
BASE = (_bx, _by, 1, _bx * _by % P)

_base_table = []


def mul_base(k):
    k %= L
    if not _base_table:
        step = BASE
        for _ in range(64):
            row = [ZERO]
            for _ in range(15):
                row.append(add(row[-1], step))
            _base_table.append(row)
            step = add(row[-1], step)
    acc = ZERO
    for i in range(64):
        d = k >> 4 * i & 15
        if d:
            acc = add(acc, _base_table[i][d])
    return acc


def encode(p):
    X, Y, Z, _ = p
    i = pow(Z, -1, P)
    x, y = X * i % P, Y * i % P
    return (y | (x & 1) << 255).to_bytes(32, "little")


def decode(b):
    v = int.from_bytes(b, "little")
    y = v & (2**255 - 1)
    if y >= P:
        raise ValueError("not canonical")
    x = _recover_x(y, v >> 255)
    return (x, y, 1, x * y % P)


def _secret(seed):
    h = hashlib.sha512(seed).digest()
    a = int.from_bytes(h[:32], "little") & (2**254 - 8) | 2**254
    return a, h[32:]


def _hash(*parts):
    return int.from_bytes(hashlib.sha512(b"".join(parts)).digest(), "little") % L


def public(seed):
    return encode(mul_base(_secret(seed)[0]))


def sign(seed, msg):
    a, prefix = _secret(seed)
    A = encode(mul_base(a))
    r = _hash(prefix, msg)
    R = encode(mul_base(r))
    s = (r + _hash(R, A, msg) * a) % L
    return R + s.to_bytes(32, "little")


def verify(pub, msg, sig):
    s = int.from_bytes(sig[32:], "little")
    if len(sig) != 64 or s >= L:
        return False
    k = _hash(sig[:32], pub, msg)
    return encode(add(mul_base(s), neg(mul(k, decode(pub))))) == sig[:32]
