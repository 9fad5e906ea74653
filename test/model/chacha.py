"""The seeded generator of the transcripts: one ChaCha20 key stream (RFC 8439) per party.

key = SHA-256(seed string), nonce = 12 zero bytes, block counter from 0. fill(k) returns the next k
bytes of the stream, whatever the sizes of the calls before it.
"""

import hashlib
import struct

_M = 0xFFFFFFFF


def block(key, counter, nonce):
    s = list(struct.unpack("<4I", b"expand 32-byte k"))
    s += struct.unpack("<8I", key)
    s.append(counter)
    s += struct.unpack("<3I", nonce)
    w = s[:]

    def quarter(a, b, c, d):
        for x, y, z, n in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
            w[x] = (w[x] + w[y]) & _M
            v = w[z] ^ w[x]
            w[z] = (v << n | v >> (32 - n)) & _M

    for _ in range(10):
        quarter(0, 4, 8, 12)
        quarter(1, 5, 9, 13)
        quarter(2, 6, 10, 14)
        quarter(3, 7, 11, 15)
        quarter(0, 5, 10, 15)
        quarter(1, 6, 11, 12)
        quarter(2, 7, 8, 13)
        quarter(3, 4, 9, 14)
    return struct.pack("<16I", *((a + b) & _M for a, b in zip(s, w)))


class Generator:
    def __init__(self, seed):
        self.key = hashlib.sha256(seed).digest()
        self.counter = 0
        self.rest = b""
        self.drawn = 0

    def fill(self, n):
        parts = [self.rest]
        have = len(self.rest)
        while have < n:
            parts.append(block(self.key, self.counter, bytes(12)))
            self.counter += 1
            have += 64
        buf = b"".join(parts)
        self.rest = buf[n:]
        self.drawn += n
        return buf[:n]
