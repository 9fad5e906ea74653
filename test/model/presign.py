"""Zero sharing and presigning (SPEC.md sections 4 and 8), with the check C3."""

import cot
import curve as C
import rvole
from encode import Q, Refused, TH, TS, lagrange0, parse_scalar, scalar, u8, u16, u32, u64

SLOT_LEN = 4 * 33 + 32 + rvole.PAYLOAD_LEN


def enc_set(S):
    return b"".join(u16(i) for i in S)


def batch_sid(key, S, grp_S, initiator, ctr, nonce, B):
    return TH(
        "presign",
        key.id,
        key.dkg_sid,
        u32(key.epoch),
        enc_set(S),
        grp_S,
        u16(initiator),
        u64(ctr),
        nonce,
        u16(B),
    )


def rsid(sid, a, b):
    return TH("rvole", sid, u16(a), u16(b))


def zeta(i, S, zero_seeds, sid, idx):
    acc = 0
    for j in S:
        if j != i:
            v = TS("zero", zero_seeds[j], sid, u16(idx))
            acc += v if j > i else -v
    return acc % Q


def hedge(drawn, x, sid, idx, which):
    v = TS("hedge", drawn, scalar(x), sid, u16(idx), u8(which))
    if v == 0:
        raise Refused("hedged nonce is zero")
    return v


def commitment(sid, i, points, salt):
    return TH("com/R", sid, u16(i), points, salt)


def view_hash(sid, com):
    return TH("view", sid, b"".join(u16(j) + com[j] for j in sorted(com)))


class Presignature:
    pass


class Presign:
    """One party in one batch. pairs[j]: its active pair.Pair with j."""

    def __init__(self, me, key, S, B, sid, pairs):
        self.me, self.key, self.S, self.B, self.sid, self.pairs = me, key, S, B, sid, pairs
        self.peers = [j for j in S if j != me]

    def round1(self, rng):
        self.r, self.phi = [], []
        for idx in range(self.B):
            dr, dphi = rng.fill(64), rng.fill(64)
            self.r.append(hedge(dr, self.key.x, self.sid, idx, 0))
            self.phi.append(hedge(dphi, self.key.x, self.sid, idx, 1))
        self.salt = rng.fill(32)
        self.R = [C.put(C.mul_base(r)) for r in self.r]
        com = commitment(self.sid, self.me, b"".join(self.R), self.salt)
        self.com = {self.me: com}
        self.bob, out = {}, {}
        for j in self.peers:
            beta1 = rng.fill(cot.row_bytes(self.B))
            bob = cot.Bob(rsid(self.sid, j, self.me), self.pairs[j].bob_seeds, beta1, self.B)
            self.bob[j] = bob
            out[j] = com + bob.message
        return out

    def round2(self, got, rng):
        self.alice = {}
        for j in self.peers:
            self.com[j] = got[j][:32]
            p = self.pairs[j]
            self.alice[j] = cot.Alice(
                rsid(self.sid, self.me, j), p.alice_seeds, p.delta, got[j][32:], self.B
            )
        zero_seeds = {j: self.pairs[j].zero_seed for j in self.peers}
        lam = lagrange0(self.me, self.S)
        self.view = view_hash(self.sid, self.com)
        self.sk, self.pk, self.c = [], [], []
        slots = {j: [] for j in self.peers}
        for idx in range(self.B):
            sk = (lam * self.key.x + zeta(self.me, self.S, zero_seeds, self.sid, idx)) % Q
            self.sk.append(sk)
            self.pk.append(C.put(C.mul_base(sk)))
            self.c.append({})
            for j in self.peers:
                a_hat = int.from_bytes(rng.fill(64), "big") % Q
                payload, c = rvole.alice(self.alice[j], idx, (self.r[idx], sk), a_hat)
                self.c[idx][j] = c
                psi = self.phi[idx] - rvole.mask(self.bob[j], idx)
                slots[j].append(
                    self.R[idx]
                    + self.pk[idx]
                    + C.put(C.mul_base(c[0]))
                    + C.put(C.mul_base(c[1]))
                    + scalar(psi)
                    + payload
                )
        return {j: self.salt + self.view + b"".join(slots[j]) for j in self.peers}

    def finish(self, got):
        slots = {}
        for j in self.peers:
            salt, view, body = got[j][:32], got[j][32:64], got[j][64:]
            if len(body) != SLOT_LEN * self.B:
                raise Refused("PRESIGN2 length")
            slots[j] = [body[SLOT_LEN * k : SLOT_LEN * (k + 1)] for k in range(self.B)]
            if view != self.view:
                raise Refused("view of %d" % j)
            points = b"".join(s[:33] for s in slots[j])
            if commitment(self.sid, j, points, salt) != self.com[j]:
                raise Refused("commitment of %d" % j)
        return [self._finish_one(idx, {j: slots[j][idx] for j in self.peers}) for idx in range(self.B)]

    def _finish_one(self, idx, slot):
        R = [C.parse(self.R[idx])]
        pk = [C.parse(self.pk[idx])]
        phi_sum = self.phi[idx]
        cross = [0, 0]
        for j in self.peers:
            s = slot[j]
            Rj, pkj, gu, gv = (C.parse(s[33 * k : 33 * k + 33]) for k in range(4))
            psi = parse_scalar(s[132:164])
            d = rvole.bob(self.bob[j], idx, s[164:])
            chi = rvole.mask(self.bob[j], idx)
            if C.mul(chi, Rj) != C.add(C.mul_base(d[0]), gu):
                raise Refused("C3, R of %d" % j)
            if C.mul(chi, pkj) != C.add(C.mul_base(d[1]), gv):
                raise Refused("C3, pk of %d" % j)
            R.append(Rj)
            pk.append(pkj)
            phi_sum += psi
            for i in (0, 1):
                cross[i] += self.c[idx][j][i] + d[i]
        if C.total(pk) != self.key.point:
            raise Refused("key shares do not sum to the key")
        out = Presignature()
        out.id = self.sid + u16(idx)
        out.S = self.S
        out.R = C.put(C.total(R))
        out.phi = self.phi[idx]
        out.u = (self.r[idx] * phi_sum + cross[0]) % Q
        out.v = (self.sk[idx] * phi_sum + cross[1]) % Q
        return out
