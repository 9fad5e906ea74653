"""A model of the Quorate protocol, version 1: parties, their generators and the message order.

Written from protocol/SPEC.md and from nothing else. Every party is an object with its own seeded
generator and its own state; messages are bytes, handed over in the order that README.md states.
run() plays one scenario and returns the transcript: a list of (name, value) lines.
"""

import hashlib

import chacha
import curve as C
import dkg
import edwards
import pair
import presign
import sign
from encode import scalar, u16, u32


class Scenario:
    """The inputs of one run; see make_transcripts.py. Indices are party numbers."""


class Party:
    def __init__(self, i, scn):
        self.i = i
        self.rng = chacha.Generator(scn.seed[i])
        self.pairs = {}
        self.dkg = self.key = self.presign = self.presigs = None


class Run:
    """One run of one scenario, stage by stage: pairs, key, batch, signatures."""

    def __init__(self, scn):
        self.scn = scn
        self.parties = {i: Party(i, scn) for i in range(1, scn.n + 1)}
        self.ids = {i: edwards.public(scn.id_seed[i]) for i in self.parties}
        self.lines = []

    def put(self, name, value):
        self.lines.append((name, value.hex() if isinstance(value, bytes) else str(value)))

    def messages(self, number, name, sent):
        """sent[i][j]: what i sends j."""
        for i in sorted(sent):
            for j in sorted(sent[i]):
                m = sent[i][j]
                value = "%d %s" % (len(m), hashlib.sha256(m).hexdigest())
                self.put("msg.%d.%s.%d.%d" % (number, name, i, j), value)

    @staticmethod
    def received(sent, i):
        return {j: sent[j][i] for j in sorted(sent) if i in sent[j]}

    def peers(self, i):
        return sorted({a + b - i for a, b in self.scn.attempt if i in (a, b)})

    def set_up_pairs(self):
        scn, rng = self.scn, {i: p.rng for i, p in self.parties.items()}
        for (a, b), attempt in sorted(scn.attempt.items()):
            for x, y in ((a, b), (b, a)):
                p = pair.Pair(x, y, self.ids, scn.nonce, attempt)
                self.parties[x].pairs[y] = p
            self.put("pair.%d.%d.sid" % (a, b), p.sid)
        who = [i for i in self.parties if self.peers(i)]
        at = {i: self.parties[i].pairs for i in who}
        sent = {i: {j: at[i][j].start(rng[i]) for j in self.peers(i)} for i in who}
        self.messages(1, "PAIR1", sent)
        sent = {i: {j: at[i][j].on_pair1(sent[j][i], rng[i]) for j in self.peers(i)} for i in who}
        self.messages(2, "PAIR2", sent)
        sent = {i: {j: at[i][j].on_pair2(sent[j][i]) for j in self.peers(i)} for i in who}
        self.messages(3, "PAIR3", sent)
        for i in who:
            for j in self.peers(i):
                p = at[i][j]
                p.on_pair3(sent[j][i])
                name = "pair.%d.%d." % (i, j)
                self.put(name + "zero_seed", p.zero_seed)
                self.put(name + "delta", p.delta)
                seeds = b"".join(s for tree in p.bob_seeds for s in tree)
                self.put(name + "bob_seeds", "sha256 " + hashlib.sha256(seeds).hexdigest())

    def make_key(self):
        scn = self.scn
        everyone = list(self.parties)
        grp = dkg.grp(everyone, self.ids, scn.measurement, scn.nonce)
        e = scn.env
        sid = dkg.dkg_sid(
            e["cluster"], e["roster_hash"], e["admin_hash"], e["command_hash"], scn.t, scn.n, grp
        )
        self.put("dkg.sid", sid)
        m = {i: dkg.Dkg(i, scn.t, scn.n, sid, e, self.ids, scn.id_seed[i]) for i in everyone}
        sent = {i: m[i].round1(self.parties[i].rng) for i in everyone}
        self.messages(1, "DKG1", sent)
        sent = {i: m[i].round2(self.received(sent, i)) for i in everyone}
        self.messages(2, "DKG2", sent)
        sent = {i: m[i].round3(self.received(sent, i)) for i in everyone}
        self.messages(3, "DKG3", sent)
        sent = {i: m[i].round4(self.received(sent, i)) for i in everyone}
        self.messages(4, "DKG4", sent)
        for i in everyone:
            self.parties[i].key = m[i].finish(self.received(sent, i))
        key = self.parties[1].key
        self.put("key.out", m[1].out())
        self.put("key.id", key.id)
        self.put("key.pk", key.pk)
        self.put("key.cc", key.cc)
        self.put("key.epoch", key.epoch)
        for i in everyone:
            self.put("key.P.%d" % i, key.P[i])
        for i in everyone:
            self.put("key.share.%d" % i, scalar(self.parties[i].key.x))

    def make_batch(self):
        scn = self.scn
        S = scn.S
        grp = dkg.grp(S, self.ids, scn.measurement, scn.nonce)
        sid = presign.batch_sid(
            self.parties[S[0]].key, S, grp, scn.initiator, scn.ctr, scn.batch_nonce, scn.B
        )
        self.put("batch.grp", grp)
        self.put("batch.sid", sid)
        m = {}
        for i in S:
            p = self.parties[i]
            m[i] = p.presign = presign.Presign(i, p.key, S, scn.B, sid, p.pairs)
            for j in m[i].peers:
                self.put("batch.rsid.%d.%d" % (i, j), presign.rsid(sid, i, j))
        sent = {i: m[i].round1(self.parties[i].rng) for i in S}
        self.messages(1, "PRESIGN1", sent)
        sent = {i: m[i].round2(self.received(sent, i), self.parties[i].rng) for i in S}
        self.messages(2, "PRESIGN2", sent)
        for i in S:
            self.parties[i].presigs = m[i].finish(self.received(sent, i))
        for idx in range(scn.B):
            self.put("presig.%d.R" % idx, self.parties[S[0]].presigs[idx].R)
            for i in S:
                ps = self.parties[i].presigs[idx]
                secret = scalar(ps.phi) + scalar(ps.u) + scalar(ps.v)
                digest = hashlib.sha256(secret).hexdigest()
                self.put("presig.%d.secret.%d" % (idx, i), "sha256 " + digest)
        for i in self.parties:
            self.put("drawn.%d" % i, self.parties[i].rng.drawn)

    def make_signature(self, k):
        scn, req = self.scn, self.scn.sign[k]
        name = "sign.%d." % k
        shares = {}
        for i in scn.S:
            p = self.parties[i]
            ps, p.presigs[req["idx"]] = p.presigs[req["idx"]], None
            item = sign.Item(
                p.key,
                ps,
                req["path"],
                req["digest"],
                req["request_id"],
                req["item"],
                req["body"],
                req["stamps"],
            )
            shares[i] = sign.share(item, ps)
            if i == scn.S[0]:
                self.put(name + "rq", item.rq)
                self.put(name + "pk", item.pk33)
                self.put(name + "tau", scalar(item.tau))
                self.put(name + "ctx", item.ctx)
                self.put(name + "R", C.put(item.R))
            self.put(name + "share.%d" % i, shares[i])
        r, s, recid = sign.combine(item, shares)
        self.put(name + "r", scalar(r))
        self.put(name + "s", scalar(s))
        self.put(name + "recid", recid)

    def all(self):
        self.set_up_pairs()
        self.make_key()
        self.make_batch()
        for k in range(len(self.scn.sign)):
            self.make_signature(k)
        return self.lines


def inputs(scn, ids):
    """The input lines of a transcript file, from which a run can be repeated."""
    out = []

    def put(name, value):
        if isinstance(value, bytes):
            value = value.hex() or "-"
        out.append(("in." + name, str(value)))

    put("version", 1)
    put("n", scn.n)
    put("t", scn.t)
    put("B", scn.B)
    put("S", b"".join(u16(i) for i in scn.S))
    for name in ("cluster", "roster_hash", "admin_hash", "command_hash", "flags"):
        put(name, scn.env[name])
    for i in range(1, scn.n + 1):
        put("seed.%d" % i, scn.seed[i])
        put("id_seed.%d" % i, scn.id_seed[i])
        put("id.%d" % i, ids[i])
        put("measurement.%d" % i, scn.measurement[i])
        put("nonce.%d" % i, scn.nonce[i])
    for (a, b), attempt in sorted(scn.attempt.items()):
        put("attempt.%d.%d" % (a, b), attempt)
    put("batch.initiator", scn.initiator)
    put("batch.ctr", scn.ctr)
    put("batch.nonce", scn.batch_nonce)
    put("sign.count", len(scn.sign))
    for k, req in enumerate(scn.sign):
        name = "sign.%d." % k
        put(name + "idx", req["idx"])
        put(name + "path", b"".join(u32(p) for p in req["path"]))
        put(name + "digest", req["digest"])
        put(name + "request_id", req["request_id"])
        put(name + "item", req["item"])
        put(name + "body", req["body"])
        put(name + "stamps", len(req["stamps"]))
        for m, s in enumerate(req["stamps"]):
            put(name + "stamp.%d" % m, s)
    return out
