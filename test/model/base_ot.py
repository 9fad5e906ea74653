"""The 128 endemic base OTs of one ordered pair (SPEC.md section 3, "Base OT")."""

import ristretto as R
from encode import Refused, TB, TH, u8, u16

COUNT = 128


def H(s, c, j, enc_p):
    """H_c(j, P), with P given by its encoding."""
    return R.from_hash(TB("eot-h", s, u16(j), u8(c), enc_p))


def key(s, j, c, p0, p1, y, product):
    if product == bytes(32):
        raise Refused("base OT product is the identity")
    return TH("eot-k", s, u16(j), u8(c), p0, p1, y, product)[:16]


class Receiver:
    """Alice: holds choice bits and learns one key of each instance."""

    def __init__(self, s, rng):
        self.s = s
        bits = rng.fill(16)
        self.b = [bits[j // 8] >> (j % 8) & 1 for j in range(COUNT)]
        self.t, self.P = [], []
        for j in range(COUNT):
            t = R.wide(rng.fill(64))
            w = rng.fill(64)
            b = self.b[j]
            other = R.encode(R.from_hash(w))
            mine = R.encode(R.sub(R.mul_base(t), H(s, b, j, other)))
            self.t.append(t)
            self.P.append((other, mine) if b else (mine, other))
        self.message = b"".join(p0 + p1 for p0, p1 in self.P)

    def keys(self, ot2):
        out = []
        for j in range(COUNT):
            y = (ot2[64 * j : 64 * j + 32], ot2[64 * j + 32 : 64 * j + 64])
            points = [decode(v) for v in y]
            b = self.b[j]
            product = R.encode(R.mul(self.t[j], points[b]))
            out.append(key(self.s, j, b, *self.P[j], y[b], product))
        return out


class Sender:
    """Bob: learns both keys of every instance."""

    def __init__(self, s, ot1, rng):
        self.keys = []
        ys = []
        for j in range(COUNT):
            enc = (ot1[64 * j : 64 * j + 32], ot1[64 * j + 32 : 64 * j + 64])
            points = [decode(v) for v in enc]
            pair = []
            for c in (0, 1):
                y = R.wide(rng.fill(64))
                m = R.add(points[c], H(s, c, j, enc[1 - c]))
                Y = R.encode(R.mul_base(y))
                ys.append(Y)
                pair.append(key(s, j, c, enc[0], enc[1], Y, R.encode(R.mul(y, m))))
            self.keys.append(pair)
        self.message = b"".join(ys)


def decode(b):
    try:
        return R.decode(b)
    except ValueError as e:
        raise Refused("base OT: %s" % e) from None
