#!/usr/bin/env python3
"""Each party judges for itself: the same wrong requests straight to every party's socket, without any
gateway, in the native and in the raw-payload form. Whatever was changed, replayed, not approved or
above a limit is refused by every one of them, and its own log says why and by which rule."""

import hashlib
import json
import os
import random
import re
import struct
import time
import unittest

from rig import documents, ec, frames, suite
from rig.quorum import Quorum, until

STAMP_INVALID, CLIENT_UNKNOWN, EXPIRED, POLICY_DENIED = 501, 502, 503, 505
REPLAY_CONFLICT, CLUSTER, APPROVALS, APPROVAL_INVALID, LIMIT = 507, 513, 520, 521, 522
PAYEE, OTHER, BLOCKED = "11" * 20, "22" * 20, "ee" * 20
SEED = int(os.environ.get("SEED", "6"))
LONG = os.environ.get("QR_TEST_LONG") == "1"

Q = None
ALICE, BOB, EVE = ec.Key(), ec.Key("secp256k1"), ec.Key()


def rules():
    eth = {"types": ["1559"], "chain_ids": [1], "to": ["0x" + PAYEE, "0x" + BLOCKED],
           "max_value_wei": "1000"}
    return [
        {**documents.allow("blocked", kinds=["eth_tx"], effect="deny"),
         "eth": {"to": ["0x" + BLOCKED]}},
        {**documents.allow("pay", ["client"], kinds=["eth_tx"]), "eth": eth,
         "limits": [{"window_s": 31536000, "requests": 8}]},
        {**documents.allow("large", ["client"], kinds=["eth_tx"]),
         "eth": {"chain_ids": [1], "to": ["0x" + PAYEE], "max_value_wei": "1000000"},
         "approvals": {"need": 2, "of": ["alice", "bob"], "within_s": 600}},
        documents.allow("notes", ["client"], kinds=["eip191", "sha256"]),
    ]


def setUpModule():
    global Q
    random.seed(SEED)
    print(f"seed {SEED}", flush=True)
    Q = Quorum().start(gateways=False)
    Q.keygen()
    requests = {"clients": [documents.named("client", Q.client)],
                "approvers": [documents.named("alice", ALICE), documents.named("bob", BOB)],
                "rules": rules()}
    Q.load("LOAD_POLICY", Q.make_policy(2, requests=requests))
    Q.wait_up()
    Q.wait_pairs()


def tearDownModule():
    Q.kill()


# ---- bytes

def rlp(x):
    if isinstance(x, int):
        x = x.to_bytes((x.bit_length() + 7) // 8, "big")
    if isinstance(x, bytes):
        if len(x) == 1 and x[0] < 128:
            return x
        return head(0x80, len(x)) + x
    inner = b"".join(map(rlp, x))
    return head(0xC0, len(inner)) + inner


def head(base, n):
    if n < 56:
        return bytes((base + n,))
    size = n.to_bytes((n.bit_length() + 7) // 8, "big")
    return bytes((base + 55 + len(size),)) + size


def tx(to=PAYEE, value=5, chain=1, nonce=None):
    nonce = random.randrange(1 << 30) if nonce is None else nonce
    return b"\x02" + rlp([chain, nonce, 1, 30 * 10**9, 21000, bytes.fromhex(to), value, b"", []])


def payment(**over):
    return [{"kind": "eth_tx", "preimage": tx(**over).hex()}]


def native(items=None, **over):
    return Q.body(items or [documents.item(kind="eip191")], **over)


def raw(kind="sha256", issued=None, **over):
    issued = documents.now_ms() if issued is None else issued
    parameters = {"signWith": Q.key["key"]}
    if kind == "eth_tx":
        name = "ACTIVITY_TYPE_SIGN_TRANSACTION_V2"
        parameters.update(unsignedTransaction=tx(**over).hex(), type="TRANSACTION_TYPE_ETHEREUM")
    else:
        name = "ACTIVITY_TYPE_SIGN_RAW_PAYLOAD_V2"
        parameters.update(payload="0x" + random.randbytes(20).hex(),
                          encoding="PAYLOAD_ENCODING_HEXADECIMAL",
                          hashFunction="HASH_FUNCTION_SHA256")
    return documents.dump({"type": name, "timestampMs": str(issued), "organizationId": Q.cluster,
                           "parameters": parameters})


def request_hash(body):
    return hashlib.sha256(b"quorate/sign-request/v1" + struct.pack(">I", len(body)) + body).digest()


def approval(key, body):
    return documents.stamp(key, b"quorate/approval/v1\n" + request_hash(body).hex().encode() +
                           b"\n")


def stamped(body):
    return [documents.stamp(Q.client, body)]


# ---- asking

class Case(unittest.TestCase):
    def setUp(self):
        self.hosts = {p.index: frames.Host(p.gateway_socket) for p in Q.parties}
        self.marks = {p.index: p.mark() for p in Q.parties}

    def tearDown(self):
        for h in self.hosts.values():
            h.s.close()

    def ask(self, party, body, stamps):
        return self.hosts[party].ask(frames.ask_sign(body, stamps))

    def refused(self, body, stamps, error, rule=None, detail=""):
        """By every party, with the rule in its log."""
        for p in Q.parties:
            a = self.ask(p.index, body, stamps)
            self.assertEqual(a.error, error, f"party {p.index}: {a.detail}")
            self.assertIn(detail, a.detail)
            if rule is not None:
                self.assertEqual(a.rule, rule)
                self.logged(p, body, stamps, rule)

    def logged(self, p, body, stamps, rule):
        """Lines of one kind are held back after 50 (daemon/log.h): asked again until one is due."""
        def said():
            if any(o.get("rule") == rule for o in p.events("refused", self.marks[p.index])):
                return True
            time.sleep(0.05)
            self.ask(p.index, body, stamps)
            return False
        until(said, f"a line of party {p.index} with the rule {rule}")

    def signed(self, body, stamps, party=1):
        a = self.ask(party, body, stamps)
        self.assertEqual(a.error, 0, a.detail)
        self.assertTrue(a.signed)
        return a


class Bytes(Case):
    """A bit of the stamped body, anywhere."""

    def every_byte(self, body):
        stamps = stamped(body)
        for p in Q.parties:
            for at in range(len(body)):
                for bit in range(8) if LONG else [random.randrange(8)]:
                    other = bytearray(body)
                    other[at] ^= 1 << bit
                    a = self.ask(p.index, bytes(other), stamps)
                    self.assertEqual(a.error, STAMP_INVALID, f"party {p.index}, byte {at}: "
                                     f"{a.error} {a.detail}")
            self.assertTrue([o for o in p.events("stranger_refused", self.marks[p.index])
                             if o.get("err") == "STAMP_INVALID"])
        self.signed(body, stamps)  # as it was asked, it is good
        print(f"{len(body)} bytes changed at each of {Q.n} parties: none was signed", flush=True)

    def test_native(self):
        self.every_byte(native(payment()))

    def test_raw(self):
        self.every_byte(raw())

    def test_raw_transaction(self):
        self.every_byte(raw("eth_tx"))

    def test_lengths(self):
        body = native()
        stamps = stamped(body)
        for other in (body[:-1], body[1:], body + b" ", b" " + body, body + body):
            self.refused(other, stamps, STAMP_INVALID)

    def test_classes_of_the_text(self):
        """What a colleague would change: each by itself, keeping the JSON good."""
        body = native(payment())
        stamps = stamped(body)
        for pattern in (rb'"key":"0[23](.)', rb'"cluster":"(.)', rb'"id":"(.)',
                        rb'"issued_ms":1(.)', rb'"expires_ms":1(.)', rb'"preimage":"....(.)',
                        rb'1111(1)1111', rb'"kind":"(e)th_tx'):
            m = re.search(pattern, body)
            self.assertIsNotNone(m, pattern)
            at = m.start(1)
            new = b"7" if body[at:at + 1] != b"7" else b"8"
            self.refused(body[:at] + new + body[at + 1:], stamps, STAMP_INVALID)


class Meaning(Case):
    """Good stamps over what the policy does not allow."""

    def test_recipient(self):
        for make in (lambda to: native(payment(to=to)), lambda to: raw("eth_tx", to=to)):
            body = make(OTHER)
            self.refused(body, stamped(body), POLICY_DENIED)
            body = make(BLOCKED)
            self.refused(body, stamped(body), POLICY_DENIED, "blocked")

    def test_chain_and_kind(self):
        for body in (native(payment(chain=5)), raw("eth_tx", chain=5),
                     native([{"kind": "digest", "digest": "5a" * 32}]),
                     native(payment() + payment(to=OTHER))):
            self.refused(body, stamped(body), POLICY_DENIED)

    def test_other_client(self):
        for body in (native(), raw()):
            self.refused(body, [documents.stamp(EVE, body)], CLIENT_UNKNOWN)

    def test_other_cluster(self):
        body = native().replace(Q.cluster.encode(), b"00" * 32)
        self.refused(body, stamped(body), CLUSTER)
        body = raw().replace(Q.cluster.encode(), Q.cluster[::-1].encode())
        self.refused(body, stamped(body), CLUSTER)


class Approvals(Case):
    def test_skipped_moved_and_forged(self):
        for make in (lambda: native(payment(value=5000)), lambda: raw("eth_tx", value=5000)):
            body, other = make(), make()
            stamp = stamped(body)
            alice, bob = approval(ALICE, body), approval(BOB, body)
            self.refused(body, stamp, APPROVALS, "large")
            self.refused(body, stamp + [alice], APPROVALS, "large")
            self.refused(body, stamp + [alice, approval(BOB, other)], APPROVAL_INVALID)
            self.refused(body, stamp + [alice, alice], APPROVAL_INVALID)
            self.refused(body, stamp + [alice, approval(EVE, body)], APPROVAL_INVALID)
            self.refused(body, stamp + [alice, documents.stamp(BOB, body)], APPROVAL_INVALID)
            self.refused(body, [alice] + stamp + [bob], CLIENT_UNKNOWN)
            self.refused(other, stamped(other) + [alice, bob], APPROVAL_INVALID)
            above = native(payment(value=2000000))
            self.refused(above, stamped(above) + [approval(ALICE, above), approval(BOB, above)],
                         POLICY_DENIED)
            self.signed(body, stamp + [bob, alice], 2)


class Replays(Case):
    def test_the_id_again(self):
        body = native()
        first = self.signed(body, stamped(body), 1)
        again = self.signed(body, stamped(body), 1)
        # the stored answer, not another signature
        self.assertEqual(*(frames.parse(a.signed[0])[3] for a in (first, again)))
        for p in (2, 3):
            self.signed(body, stamped(body), p)  # now each party knows this id
        other = documents.dump({**json.loads(body), "items": [documents.item(b"another")]})
        self.refused(other, stamped(other), REPLAY_CONFLICT)

    def test_expired_by_the_window(self):
        old = documents.now_ms() - 400000
        body = native(issued_ms=old, expires_ms=old + 60000)
        self.refused(body, stamped(body), EXPIRED)
        body = raw(issued=old)
        self.refused(body, stamped(body), EXPIRED)


class Spending(Case):
    """The last of the classes: uses the limits up, and restarts everything."""

    def test_1_limit(self):
        """8 a year, of which each party has half, whoever is asked and in whichever form."""
        done = 0
        for k in range(12):
            for p in Q.parties:
                body = native(payment()) if k % 2 else raw("eth_tx")
                a = self.ask(p.index, body, stamped(body))
                done += a.error == 0
        self.assertLessEqual(done, 8)
        body = native(payment())
        self.refused(body, stamped(body), LIMIT, "pay")
        body = raw("eth_tx")
        self.refused(body, stamped(body), LIMIT, "pay")

    def test_2_replay_after_a_restart(self):
        bodies = [native(), raw()]
        for b in bodies:
            self.signed(b, stamped(b))
        for h in self.hosts.values():
            h.s.close()
        for p in Q.parties:
            p.kill()
        for p in Q.parties:
            p.start()
        Q.wait_up()
        self.hosts = {p.index: frames.Host(p.gateway_socket) for p in Q.parties}
        for b in bodies:
            self.refused(b, stamped(b), EXPIRED, detail="before this party started")
        body = native(payment())
        self.refused(body, stamped(body), LIMIT, "pay")  # and a restart gives nothing back


if __name__ == "__main__":
    suite.main()
