"""AES-128 encryption of many independent blocks under one key (FIPS-197).

The blocks are held as 16 byte planes: plane i is byte i of every block. SubBytes and the doubling
of MixColumns are then bytes.translate over a plane, and exclusive-or is one big integer operation,
so 10^5 blocks take a fraction of a second without any extension module.
"""


def _xtime(v):
    return (v << 1) ^ (0x11B if v & 0x80 else 0)


def _make_sbox():
    # Multiplicative inverses by logarithms to the base 3, then the affine map.
    exp, log, v = [0] * 256, [0] * 256, 1
    for i in range(255):
        exp[i], log[v] = v, i
        v ^= _xtime(v)
    box = []
    for a in range(256):
        inv = exp[(255 - log[a]) % 255] if a else 0
        r = 0x63
        for k in range(5):
            r ^= (inv << k | inv >> (8 - k)) & 0xFF
        box.append(r)
    return bytes(box)


SBOX = _make_sbox()
XTIME = bytes(_xtime(v) for v in range(256))


def expand_key(key):
    w = [key[4 * i : 4 * i + 4] for i in range(4)]
    rcon = 1
    for i in range(4, 44):
        t = w[i - 1]
        if i % 4 == 0:
            t = t[1:] + t[:1]
            t = bytes(SBOX[b] for b in t)
            t = bytes((t[0] ^ rcon,)) + t[1:]
            rcon = _xtime(rcon)
        w.append(bytes(a ^ b for a, b in zip(w[i - 4], t)))
    return [b"".join(w[4 * r : 4 * r + 4]) for r in range(11)]


def encrypt(key, data):
    """data: a whole number of 16-byte blocks; each is encrypted by itself."""
    if len(key) != 16 or len(data) % 16:
        raise ValueError("AES-128 takes whole blocks")
    n = len(data) // 16
    if n == 0:
        return b""
    ones = int.from_bytes(b"\x01" * n, "big")
    rk = expand_key(key)

    def num(plane):
        return int.from_bytes(plane, "big")

    p = [num(data[i::16]) ^ rk[0][i] * ones for i in range(16)]
    for r in range(1, 11):
        b = [v.to_bytes(n, "big").translate(SBOX) for v in p]
        # ShiftRows: row k of column c comes from column c + k.
        b = [b[4 * ((i // 4 + i % 4) % 4) + i % 4] for i in range(16)]
        p = [num(v) for v in b]
        if r < 10:
            out = []
            for c in range(0, 16, 4):
                col = p[c : c + 4]
                t = col[0] ^ col[1] ^ col[2] ^ col[3]
                for k in range(4):
                    d = (col[k] ^ col[(k + 1) % 4]).to_bytes(n, "big").translate(XTIME)
                    out.append(col[k] ^ t ^ num(d))
            p = out
        p = [v ^ rk[r][i] * ones for i, v in enumerate(p)]
    out = bytearray(16 * n)
    for i in range(16):
        out[i::16] = p[i].to_bytes(n, "big")
    return bytes(out)


def xor(a, b):
    if len(a) != len(b):
        raise ValueError("lengths differ")
    return (int.from_bytes(a, "big") ^ int.from_bytes(b, "big")).to_bytes(len(a), "big")
