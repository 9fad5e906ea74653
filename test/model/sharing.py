#!/usr/bin/env python3
"""A party's secret in pieces, a second time: daemon/shamir.h and daemon/sharing.h.

    python3 test/model/sharing.py            the vectors of test/daemon/test_shamir.c and test_sharing.c

The field is made of powers of 3, a polynomial is its coefficients: nothing of this is how the C side
does it. Coefficients are SHA-256 of a text, so that the vectors can be made by anybody.
"""

import hashlib
import hmac

from encode import TH, u16, u32

EXP, LOG = [0] * 255, [0] * 256
x = 1
for i in range(255):
    EXP[i], LOG[x] = x, i
    x ^= (x << 1) ^ (0x11B if x & 0x80 else 0)  # times 3
    x &= 0xFF


def mul(a, b):
    return EXP[(LOG[a] + LOG[b]) % 255] if a and b else 0


def piece(coefficients, x):
    """The polynomial's value at x, byte by byte; coefficients[0] is the secret."""
    out = bytearray(32)
    for k in range(32):
        power = 1
        for c in coefficients:
            out[k] ^= mul(c[k], power)
            power = mul(power, x)
    return bytes(out)


def coefficients(text, need):
    return [hashlib.sha256(f"{text}/{i}".encode()).digest() for i in range(need)]


def hkdf_sha512(salt, ikm, info, n):
    prk = hmac.new(salt, ikm, hashlib.sha512).digest()
    return hmac.new(prk, info + b"\x01", hashlib.sha512).digest()[:n]


def names(owner_id, epoch, owner, holder, need):
    return owner_id, u32(epoch), u16(owner), u16(holder), bytes([need])


def blind(secret, owner_id, epoch, owner, holder, need):
    return TH("piece-blind", secret, *names(owner_id, epoch, owner, holder, need))


def commitment(owner_id, epoch, owner, holder, need, y, r):
    return TH("com/piece", *names(owner_id, epoch, owner, holder, need), y, r)


def share_key(platform, secret, owner_id, epoch):
    return hkdf_sha512(b"quorate/share-sealing/1", platform + secret, owner_id + u32(epoch), 32)


def main():
    for need, points in ((1, (1, 16)), (2, (1, 2, 3)), (3, (1, 5, 16)), (15, (1, 8, 16))):
        c = coefficients(f"shamir {need}", need)
        print(f"need {need} secret {c[0].hex()}")
        for at in points:
            print(f"  at {at} {piece(c, at).hex()}")
    owner_id = bytes(range(32))
    platform = hashlib.sha256(b"platform").digest()
    c = coefficients("sharing", 2)
    print(f"sharing secret {c[0].hex()} piece 3 {piece(c, 3).hex()}")
    r = blind(c[0], owner_id, 7, 1, 3, 2)
    print(f"  blind {r.hex()}")
    print(f"  commitment {commitment(owner_id, 7, 1, 3, 2, piece(c, 3), r).hex()}")
    print(f"  key {share_key(platform, c[0], owner_id, 7).hex()}")


if __name__ == "__main__":
    main()
