"""Online signing (SPEC.md section 9)."""

import bip32
import curve as C
from encode import Q, Refused, TH, TS, parse_scalar, scalar, u16, u32
from presign import enc_set


def request(body, stamps):
    return TH("request", body, b"".join(u32(len(s)) + s for s in stamps))


def entropy(rq, presig_id):
    return TH("entropy", rq, presig_id)


class Item:
    """What is the same at every signer of one digest."""

    def __init__(self, key, presig, path, digest, request_id, item, body, stamps):
        self.digest = digest
        self.S = presig.S
        self.rq = request(body, stamps)
        self.pk, self.tau = bip32.derive(key.point, key.cc, path)
        self.pk33 = C.put(self.pk)
        self.ctx = TH(
            "sign",
            key.id,
            u32(key.epoch),
            presig.id,
            enc_set(presig.S),
            presig.R,
            self.pk33,
            b"".join(u32(p) for p in path),
            digest,
            request_id + u16(item),
            entropy(self.rq, presig.id),
        )
        self.delta = TS("rerand", self.ctx)
        self.R = C.add(C.parse(presig.R), C.mul_base(self.delta))
        if self.R is None or self.R[0] % Q == 0:
            raise Refused("presignature is burned")
        self.rx = self.R[0] % Q
        self.h = int.from_bytes(digest, "big") % Q


def share(item, presig):
    w = (item.h + item.rx * item.tau) * presig.phi + item.rx * presig.v
    u = presig.u + item.delta * presig.phi
    return item.ctx + scalar(w) + scalar(u)


def combine(item, shares):
    """(r, s, recid) from the t shares; verified and recovered before it is returned."""
    w = u = 0
    for i in item.S:
        b = shares[i]
        if len(b) != 96 or b[:32] != item.ctx:
            raise Refused("share of %d is for another input" % i)
        w += parse_scalar(b[32:64])
        u += parse_scalar(b[64:96])
    s = w * pow(u, -1, Q) % Q
    recid = (item.R[1] & 1) | (item.R[0] >= Q) << 1
    if s > Q // 2:
        s = Q - s
        recid ^= 1
    if not C.ecdsa_verify(item.pk, item.digest, item.rx, s):
        raise Refused("assembled signature does not verify")
    if C.ecdsa_recover(item.digest, item.rx, s, recid) != item.pk:
        raise Refused("signature does not recover to the key")
    return item.rx, s, recid
