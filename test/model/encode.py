"""The injective hash encoding and the four random oracles of SPEC.md section 1.

Fields are bytes; u8/u16/u32/u64 make the big-endian integers. SHAKE256 and the SHA-2 family come
from hashlib. Scalars are integers modulo q.
"""

import hashlib

# The order of secp256k1 (SEC 2 v2, section 2.4.1).
Q = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


def u8(v):
    return v.to_bytes(1, "big")


def u16(v):
    return v.to_bytes(2, "big")


def u32(v):
    return v.to_bytes(4, "big")


def u64(v):
    return v.to_bytes(8, "big")


def enc(tag, fields):
    t = hashlib.sha256(b"quorate/1/" + tag.encode()).digest()
    parts = [t, t, u32(len(fields))]
    for f in fields:
        parts.append(u32(len(f)))
        parts.append(f)
    return b"".join(parts)


def TH(tag, *fields):
    return hashlib.sha256(enc(tag, fields)).digest()


def TB(tag, *fields):
    return hashlib.sha512(enc(tag, fields)).digest()


def TS(tag, *fields):
    return int.from_bytes(TB(tag, *fields), "big") % Q


def TX(tag, fields, n):
    return hashlib.shake_256(enc(tag, fields)).digest(n)


def wide(b):
    """A uniform scalar from 64 drawn bytes."""
    if len(b) != 64:
        raise ValueError("a scalar is drawn from 64 bytes")
    return int.from_bytes(b, "big") % Q


def scalar(v):
    """32 bytes big-endian."""
    return (v % Q).to_bytes(32, "big")


def parse_scalar(b):
    v = int.from_bytes(b, "big")
    if len(b) != 32 or v >= Q:
        raise ValueError("scalar is not canonical")
    return v


def lagrange0(i, S):
    """The coefficient of party i at 0 for the set S."""
    num, den = 1, 1
    for j in S:
        if j != i:
            num = num * j % Q
            den = den * (j - i) % Q
    return num * pow(den, -1, Q) % Q


class Refused(Exception):
    """A message or a check that SPEC.md says must be refused; the text names the check."""
