"""Keccak-256 as Ethereum uses it."""

ROUNDS = (
    0x0000000000000001, 0x0000000000008082, 0x800000000000808A, 0x8000000080008000,
    0x000000000000808B, 0x0000000080000001, 0x8000000080008081, 0x8000000000008009,
    0x000000000000008A, 0x0000000000000088, 0x0000000080008009, 0x000000008000000A,
    0x000000008000808B, 0x800000000000008B, 0x8000000000008089, 0x8000000000008003,
    0x8000000000008002, 0x8000000000000080, 0x000000000000800A, 0x800000008000000A,
    0x8000000080008081, 0x8000000000008080, 0x0000000080000001, 0x8000000080008008)
MASK = 2**64 - 1


def _rol(v, n):
    return (v << n | v >> (64 - n)) & MASK if n else v


def _permute(a):
    for constant in ROUNDS:
        c = [a[x] ^ a[x + 5] ^ a[x + 10] ^ a[x + 15] ^ a[x + 20] for x in range(5)]
        d = [c[(x + 4) % 5] ^ _rol(c[(x + 1) % 5], 1) for x in range(5)]
        a = [a[i] ^ d[i % 5] for i in range(25)]
        b, x, y, v = [0] * 25, 1, 0, a[1]
        b[0] = a[0]
        for t in range(24):
            x, y = y, (2 * x + 3 * y) % 5
            b[x + 5 * y], v = _rol(v, (t + 1) * (t + 2) // 2 % 64), a[x + 5 * y]
        a = [b[i] ^ (~b[i - i % 5 + (i + 1) % 5] & MASK & b[i - i % 5 + (i + 2) % 5])
             for i in range(25)]
        a[0] ^= constant
    return a


def keccak256(data):
    rate, state = 136, [0] * 25
    data = bytearray(data) + b"\x01"
    data += bytes(-len(data) % rate)
    data[-1] |= 0x80
    for at in range(0, len(data), rate):
        for i in range(rate // 8):
            state[i] ^= int.from_bytes(data[at + 8 * i:at + 8 * i + 8], "little")
        state = _permute(state)
    return b"".join(v.to_bytes(8, "little") for v in state[:4])
