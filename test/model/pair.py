"""Pair set-up (SPEC.md sections 2 and 3): three messages each way, both orders at once."""

import base_ot
import pprf
from encode import Refused, TH, u16, u32

PAIR1_LEN, PAIR2_LEN = 8224, 12864


def pair_sid(a, b, ids, nonces, attempt):
    lo, hi = sorted((a, b))
    return TH("pair", u16(lo), u16(hi), ids[lo], ids[hi], nonces[lo], nonces[hi], u32(attempt))


def setup_sid(sid, a, b):
    return TH("otsetup", sid, u16(a), u16(b))


def com_zero(sid, x, part, salt):
    return TH("com/zero", sid, u16(x), part, salt)


class Pair:
    """One party's half of both ordered pairs with one peer."""

    def __init__(self, me, peer, ids, nonces, attempt):
        self.me, self.peer = me, peer
        self.lo, self.hi = sorted((me, peer))
        self.sid = pair_sid(me, peer, ids, nonces, attempt)
        self.sent, self.got = {}, {}
        self.active = False

    def start(self, rng):
        self.part, self.salt = rng.fill(32), rng.fill(32)
        self.alice_sid = setup_sid(self.sid, self.me, self.peer)
        self.alice = base_ot.Receiver(self.alice_sid, rng)
        com = com_zero(self.sid, self.me, self.part, self.salt)
        self.sent[1] = com + self.alice.message
        return self.sent[1]

    def on_pair1(self, msg, rng):
        if len(msg) != PAIR1_LEN:
            raise Refused("PAIR1 length")
        self.got[1] = msg
        s = setup_sid(self.sid, self.peer, self.me)
        bob = base_ot.Sender(s, msg[32:], rng)
        trees = [pprf.full_tree(s, g, bob.keys[8 * g : 8 * g + 8]) for g in range(pprf.GROUPS)]
        self.bob_seeds = [seeds for _, seeds in trees]
        self.sent[2] = self.part + self.salt + bob.message + b"".join(m for m, _ in trees)
        return self.sent[2]

    def on_pair2(self, msg):
        if len(msg) != PAIR2_LEN:
            raise Refused("PAIR2 length")
        self.got[2] = msg
        part, salt = msg[:32], msg[32:64]
        if com_zero(self.sid, self.peer, part, salt) != self.got[1][:32]:
            raise Refused("zero seed commitment")
        parts = {self.me: self.part, self.peer: part}
        self.zero_seed = TH("zero-seed", self.sid, parts[self.lo], parts[self.hi])
        keys = self.alice.keys(msg[64 : 64 + 8192])
        delta, self.alice_seeds = [], []
        for g in range(pprf.GROUPS):
            at = 64 + 8192 + pprf.GROUP_LEN * g
            d, seeds = pprf.punctured_tree(
                self.alice_sid,
                g,
                self.alice.b[8 * g : 8 * g + 8],
                keys[8 * g : 8 * g + 8],
                msg[at : at + pprf.GROUP_LEN],
            )
            delta.append(d)
            self.alice_seeds.append(seeds)
        self.delta = bytes(delta)
        mine, theirs = (self.sent, self.got) if self.me == self.lo else (self.got, self.sent)
        self.sent[3] = TH("pair-confirm", self.sid, mine[1], theirs[1], mine[2], theirs[2])
        return self.sent[3]

    def on_pair3(self, msg):
        if msg != self.sent[3]:
            raise Refused("pair confirmation")
        self.active = True
