"""Key generation (SPEC.md section 7)."""

import curve as C
import edwards
from encode import Q, Refused, TH, TS, parse_scalar, scalar, u8, u16, u32, wide

NEW_KEY_EPOCH = 0


def grp(S, ids, measurements, nonces):
    return TH("grp", *(u16(i) + ids[i] + measurements[i] + nonces[i] for i in S))


def dkg_sid(cluster, roster_hash, admin_hash, command_hash, t, n, grp_all):
    return TH("dkg", cluster, roster_hash, admin_hash, command_hash, u16(t), u16(n), grp_all)


def key_id(pk, n, t, roster_hash):
    return TH("key", pk, u16(n), u16(t), roster_hash)


def commitment(sid, i, F, cc, pok, salt):
    return TH("com/dkg", sid, u16(i), F + cc + pok, salt)


def pok_challenge(sid, i, F, R):
    return TS("pok", sid, u16(i), F, R)


def echo(sid, level, items):
    return TH("echo", sid, u8(level), b"".join(u16(j) + items[j] for j in sorted(items)))


def evaluate_points(F, x):
    """sum of x^k * F_k."""
    acc = None
    for p in reversed(F):
        acc = C.add(C.mul(x, acc), p) if acc is not None else p
    return acc


class Key:
    """What one party keeps."""


class Dkg:
    def __init__(self, me, t, n, sid, env, ids, id_seed):
        self.me, self.t, self.n, self.sid, self.env = me, t, n, sid, env
        self.ids, self.id_seed = ids, id_seed
        self.others = [j for j in range(1, n + 1) if j != me]

    def round1(self, rng):
        self.coeff = [wide(rng.fill(64)) for _ in range(self.t)]
        self.cc_part = rng.fill(32)
        k = wide(rng.fill(64))
        self.salt = rng.fill(32)
        self.F = b"".join(C.put(C.mul_base(a)) for a in self.coeff)
        R = C.put(C.mul_base(k))
        e = pok_challenge(self.sid, self.me, self.F, R)
        self.pok = R + scalar(k + e * self.coeff[0])
        com = commitment(self.sid, self.me, self.F, self.cc_part, self.pok, self.salt)
        self.com = {self.me: com}
        return {j: com for j in self.others}

    def share_for(self, j):
        return sum(a * pow(j, k, Q) for k, a in enumerate(self.coeff)) % Q

    def round2(self, got):
        self.com.update(got)
        self.echo1 = echo(self.sid, 1, self.com)
        own = self.F + self.cc_part + self.pok + self.salt + self.echo1
        self.bcast = {self.me: own}
        return {j: own + scalar(self.share_for(j)) for j in self.others}

    def round3(self, got):
        t = self.t
        size = 33 * t + 161
        shares = {self.me: self.share_for(self.me)}
        for j, msg in got.items():
            if len(msg) != size + 32:
                raise Refused("DKG2 length")
            self.bcast[j] = msg[:size]
            shares[j] = parse_scalar(msg[size:])
        cc, F = {}, {}
        for j in sorted(self.bcast):
            b = self.bcast[j]
            enc_F, b = b[: 33 * t], b[33 * t :]
            cc[j], pok, salt, echo1 = b[:32], b[32:97], b[97:129], b[129:]
            if commitment(self.sid, j, enc_F, cc[j], pok, salt) != self.com[j]:
                raise Refused("DKG commitment of %d" % j)
            if echo1 != self.echo1:
                raise Refused("first echo of %d" % j)
            F[j] = [C.parse(enc_F[33 * k : 33 * k + 33]) for k in range(t)]
            R, z = pok[:33], parse_scalar(pok[33:])
            e = pok_challenge(self.sid, j, enc_F, R)
            if C.mul_base(z) != C.add(C.parse(R), C.mul(e, F[j][0])):
                raise Refused("proof of knowledge of %d" % j)
            if C.mul_base(shares[j]) != evaluate_points(F[j], self.me):
                raise Refused("share from %d" % j)
        if len({f[0] for f in F.values()}) != self.n:
            raise Refused("two parties share one F_0")
        key = self.key = Key()
        total = [C.total([F[j][k] for j in F]) for k in range(t)]
        key.point = total[0]
        key.pk = C.put(key.point)
        key.x = sum(shares.values()) % Q
        key.P = {j: C.put(evaluate_points(total, j)) for j in range(1, self.n + 1)}
        if C.put(C.mul_base(key.x)) != key.P[self.me]:
            raise AssertionError("the share does not match its public point")
        key.cc = TH("cc", self.sid, *(cc[j] for j in sorted(cc)))
        key.n, key.t, key.epoch, key.dkg_sid = self.n, t, NEW_KEY_EPOCH, self.sid
        key.id = key_id(key.pk, self.n, t, self.env["roster_hash"])
        self.echo2 = echo(self.sid, 2, self.bcast)
        return {j: self.echo2 + u8(0) for j in self.others}

    def out(self):
        k, e = self.key, self.env
        return TH(
            "dkg-out",
            self.sid,
            k.id,
            k.pk,
            b"".join(k.P[j] for j in sorted(k.P)),
            k.cc,
            u16(self.t),
            u16(self.n),
            u32(k.epoch),
            e["cluster"],
            e["admin_hash"],
            e["roster_hash"],
            u8(e["flags"]),
        )

    def round4(self, got):
        for j, msg in got.items():
            if msg[:32] != self.echo2 or msg[32:] != b"\0":
                raise Refused("second echo of %d" % j)
        sig = edwards.sign(self.id_seed, self.out())
        return {j: sig for j in self.others}

    def finish(self, got):
        for j, sig in got.items():
            if not edwards.verify(self.ids[j], self.out(), sig):
                raise Refused("confirmation of %d" % j)
        return self.key
