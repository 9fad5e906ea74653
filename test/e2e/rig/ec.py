"""ECDSA over P-256 and secp256k1, and BIP32 public derivation. Not constant time: test keys."""

import base64
import hashlib
import hmac
import os
import secrets


class Curve:
    def __init__(self, p, a, b, n, gx, gy):
        self.p, self.a, self.b, self.n, self.g = p, a, b, n, (gx, gy)
        self.table = None

    def _add(self, u, v):  # Jacobian; z = 0 is infinity
        p = self.p
        (x1, y1, z1), (x2, y2, z2) = u, v
        if z1 == 0:
            return v
        if z2 == 0:
            return u
        a, b = z1 * z1 % p, z2 * z2 % p
        u1, u2 = x1 * b % p, x2 * a % p
        s1, s2 = y1 * b * z2 % p, y2 * a * z1 % p
        if u1 == u2:
            return self._double(u) if s1 == s2 else (0, 1, 0)
        h, r = (u2 - u1) % p, (s2 - s1) % p
        hh = h * h % p
        hhh, w = h * hh % p, u1 * hh % p
        x3 = (r * r - hhh - 2 * w) % p
        return x3, (r * (w - x3) - s1 * hhh) % p, z1 * z2 * h % p

    def _double(self, u):
        p = self.p
        x, y, z = u
        if z == 0 or y == 0:
            return 0, 1, 0
        yy = y * y % p
        s = 4 * x * yy % p
        m = (3 * x * x + self.a * pow(z, 4, p)) % p
        x3 = (m * m - 2 * s) % p
        return x3, (m * (s - x3) - 8 * yy * yy) % p, 2 * y * z % p

    def _affine(self, u):
        x, y, z = u
        if z == 0:
            return None
        i = pow(z, -1, self.p)
        return x * i * i % self.p, y * i * i * i % self.p

    def add(self, u, v):
        return self._affine(self._add((*u, 1), (*v, 1)))

    def _mul(self, k, point):
        acc, row = (0, 1, 0), (*point, 1)
        for bit in bin(k % self.n)[2:]:
            acc = self._double(acc)
            if bit == "1":
                acc = self._add(acc, row)
        return acc

    def mul(self, k, point):
        return self._affine(self._mul(k, point))

    def mul_base(self, k):
        if self.table is None:  # 2^i G, affine; whole before any other thread sees it
            table, row = [], (*self.g, 1)
            for _ in range(256):
                table.append((*self._affine(row), 1))
                row = self._double(row)
            self.table = table
        acc = (0, 1, 0)
        for i in range(256):
            if k >> i & 1:
                acc = self._add(acc, self.table[i])
        return self._affine(acc)

    def encode(self, point):
        return bytes((2 + (point[1] & 1),)) + point[0].to_bytes(32, "big")

    def decode(self, b):
        x = int.from_bytes(b[1:], "big")
        yy = (x * x * x + self.a * x + self.b) % self.p
        y = pow(yy, (self.p + 1) // 4, self.p)
        if len(b) != 33 or b[0] not in (2, 3) or x >= self.p or y * y % self.p != yy:
            raise ValueError("not a point")
        return x, y if y & 1 == b[0] & 1 else self.p - y

    def verify(self, pk, digest, r, s):
        """pk: 33 bytes."""
        if not (0 < r < self.n and 0 < s < self.n):
            return False
        w, h = pow(s, -1, self.n), int.from_bytes(digest, "big")
        u = self._mul(h * w, self.g)
        v = self._mul(r * w, self.decode(pk))
        point = self._affine(self._add(u, v))
        return point is not None and point[0] % self.n == r

    def recover(self, digest, r, s, recid):
        """The 33-byte key under which (r, s) verifies."""
        x = r + (self.n if recid & 2 else 0)
        point = self.decode(bytes((2 + (recid & 1),)) + x.to_bytes(32, "big"))
        i, h = pow(r, -1, self.n), int.from_bytes(digest, "big")
        return self.encode(self._affine(
            self._add(self._mul(s * i, point), self._mul(-h * i, self.g))))


P256 = Curve(
    2**256 - 2**224 + 2**192 + 2**96 - 1, -3,
    0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B,
    0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5)
SECP256K1 = Curve(
    2**256 - 2**32 - 977, 0, 7,
    0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141,
    0x79BE667EF9DCBBAC55A06295CE870B07029BFCDB2DCE28D959F2815B16F81798,
    0x483ADA7726A3C4655DA4FBFC0E1108A8FD17B448A68554199C47D08FFB10D4B8)


def der(r, s):
    def integer(v):
        b = v.to_bytes(v.bit_length() // 8 + 1, "big")
        return bytes((2, len(b))) + b
    body = integer(r) + integer(s)
    return bytes((0x30, len(body))) + body


class Key:
    """A client's or administrator's key pair."""

    def __init__(self, scheme="p256"):
        self.scheme = scheme
        self.curve = {"p256": P256, "secp256k1": SECP256K1}[scheme]
        self.d = secrets.randbelow(self.curve.n - 1) + 1
        self.public = self.curve.encode(self.curve.mul_base(self.d)).hex()

    def sign(self, message):
        n = self.curve.n
        k = secrets.randbelow(n - 1) + 1
        r = self.curve.mul_base(k)[0] % n
        h = int.from_bytes(hashlib.sha256(message).digest(), "big")
        return der(r, pow(k, -1, n) * (h + r * self.d) % n)

    def write_pem(self, file):
        """SEC 1 and RFC 5915: the private number and the curve's name."""
        oid = {"p256": "06082a8648ce3d030107", "secp256k1": "06052b8104000a"}[self.scheme]
        body = (bytes.fromhex("0201010420") + self.d.to_bytes(32, "big") +
                bytes((0xA0, len(oid) // 2)) + bytes.fromhex(oid))
        text = base64.encodebytes(bytes((0x30, len(body))) + body).decode()
        with open(os.open(file, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="ascii") as f:
            f.write(f"-----BEGIN EC PRIVATE KEY-----\n{text}-----END EC PRIVATE KEY-----\n")


def child(pk, chain_code, path):
    """The non-hardened BIP32 child of a 33-byte key, as 33 bytes."""
    c = SECP256K1
    for index in path:
        h = hmac.new(chain_code, pk + index.to_bytes(4, "big"), hashlib.sha512).digest()
        left = int.from_bytes(h[:32], "big")
        assert left < c.n
        pk = c.encode(c.add(c.mul_base(left), c.decode(pk)))
        chain_code = h[32:]
    return pk
