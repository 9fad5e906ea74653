"""COT extension with its check C1 (SPEC.md section 5).

Rows of n' bits are integers, bit j of the row being bit 2^j; so a 128-bit block k of a row is
row >> 128k, and a block read that way is the polynomial of SPEC.md as it stands.
"""

import aes
from encode import Refused, TH, TX

XI = 416
MASK = 2**128 - 1
POLY = 1 << 128 | 0x87


def n_bits(B):
    return XI * B


def row_bytes(B):
    return (n_bits(B) + 128) // 8


def message_len(B):
    return 16 * row_bytes(B) + 48


def le(b):
    return int.from_bytes(b, "little")


def to_bytes(v, n):
    return v.to_bytes(n, "little")


def counter(j):
    return j.to_bytes(16, "big")


def prg(rsid, seeds, B):
    """PRG of every seed, as rows."""
    k = TH("k-prg", rsid)[:16]
    blocks = row_bytes(B) // 16
    x = aes.xor(
        b"".join(s * blocks for s in seeds),
        b"".join(counter(j) for j in range(blocks)) * len(seeds),
    )
    out = aes.xor(aes.encrypt(k, x), x)
    size = 16 * blocks
    return [le(out[i * size : (i + 1) * size]) for i in range(len(seeds))]


def gf_table(c):
    """c * x^i for i = 0..127 in GF(2^128)."""
    out = []
    for _ in range(128):
        out.append(c)
        c <<= 1
        if c >> 128:
            c ^= POLY
    return out


def gf_mul(table, v):
    acc = 0
    while v:
        low = v & -v
        acc ^= table[low.bit_length() - 1]
        v ^= low
    return acc


def challenges(rsid, us, B):
    m = n_bits(B) // 128
    raw = TX("chi", [rsid, b"".join(us)], 16 * m)
    return [gf_table(le(raw[16 * k : 16 * k + 16])) for k in range(m)]


def compress(chi, row):
    """Block m, plus the sum of chi_k times block k-1."""
    acc = row >> (128 * len(chi))
    for k, table in enumerate(chi):
        acc ^= gf_mul(table, row >> (128 * k) & MASK)
    return acc


def check_value(rsid, values):
    return TH("ot-chk", rsid, b"".join(to_bytes(v, 16) for v in values))


def columns(rows, n):
    """Column j of 128 rows as an integer, bit i from row i."""
    text = [format(r | 1 << n, "b")[:0:-1] for r in (v & ((1 << n) - 1) for v in rows)]
    return [int("".join(c)[::-1], 2) for c in zip(*text)]


class Bob:
    """Sends the message; holds beta and the rows t_j."""

    def __init__(self, rsid, seeds, beta1, B):
        self.rsid, self.B = rsid, B
        n, size = n_bits(B), row_bytes(B)
        beta1 = le(beta1)
        V, us = [], []
        for g in range(16):
            r = prg(rsid, seeds[g], B)
            u = beta1
            for v in r:
                u ^= v
            us.append(to_bytes(u, size))
            for b in range(8):
                acc = 0
                for x in range(256):
                    if x >> b & 1:
                        acc ^= r[x]
                V.append(acc)
        chi = challenges(rsid, us, B)
        self.x = compress(chi, beta1)
        h = check_value(rsid, [compress(chi, v) for v in V])
        self.message = b"".join(us) + to_bytes(self.x, 16) + h
        self.beta = beta1 & ((1 << n) - 1)
        self.rows = columns(V, n)


class Alice:
    """Takes the message; holds Delta and the rows q_j."""

    def __init__(self, rsid, seeds, delta, msg, B):
        self.rsid, self.B = rsid, B
        n, size = n_bits(B), row_bytes(B)
        if len(msg) != message_len(B):
            raise Refused("COT message length")
        us = [msg[size * g : size * (g + 1)] for g in range(16)]
        x, h = le(msg[16 * size : 16 * size + 16]), msg[16 * size + 16 :]
        W = []
        for g in range(16):
            d = delta[g]
            known = [y for y in range(256) if y != d]
            r = dict(zip(known, prg(rsid, [seeds[g][y] for y in known], B)))
            for b in range(8):
                acc = le(us[g]) if d >> b & 1 else 0
                for y in known:
                    if (y ^ d) >> b & 1:
                        acc ^= r[y]
                W.append(acc)
        self.delta = le(delta)
        chi = challenges(rsid, us, B)
        values = [compress(chi, w) ^ (x if self.delta >> i & 1 else 0) for i, w in enumerate(W)]
        if check_value(rsid, values) != h:
            raise Refused("C1")
        self.rows = columns(W, n)
