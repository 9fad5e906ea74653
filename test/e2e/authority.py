#!/usr/bin/env python3
"""Who may say what to a party: rosters, policies and commands that are unsigned, signed by others,
old, repeated, for another cluster or not well formed; two of three administrators; retired
pairs."""

import json
import os
import unittest

from rig import documents, ec, frames, suite
from rig.quorum import Party, Quorum, ctl, new_folder, until

Q = F = None
STRANGER = ec.Key()
ERR = {"MALFORMED": 100, "TOO_LARGE": 101, "TRUNCATED": 102, "UNKNOWN_FIELD": 104, "VERSION": 105,
       "USAGE": 110, "POINT": 201, "SET": 202, "IDENTITY": 303, "ADDRESS": 309, "PLATFORM": 407,
       "STAMP_MISSING": 500, "STAMP_INVALID": 501, "EXPIRED": 503, "NOT_YET_VALID": 504,
       "REPLAY_CONFLICT": 507, "QUORUM": 511, "CLUSTER": 513, "ADMIN": 514, "SERIAL": 515,
       "INSECURE_SIM": 517}


def setUpModule():
    """Three administrators; two must agree."""
    global Q, F
    F = new_folder()
    Q = Quorum(admins=3, need=2).start()
    Q.keygen()


def tearDownModule():
    Q.kill()


class Case(unittest.TestCase):
    def refused(self, a, error, words=""):
        self.assertEqual(a.error, ERR[error], a.detail)
        self.assertIn(words, a.detail)

    def tearDown(self):
        s = Q.party[1].status()
        self.assertEqual((s["roster_serial"], s["policy_serial"]), self.serials())
        Q.sign(1)

    def serials(self):
        """What must be in force after a test: what was before."""
        return self.before

    def setUp(self):
        s = Q.party[1].status()
        self.before = (s["roster_serial"], s["policy_serial"])


class Documents(Case):
    def test_stamps(self):
        a, b, _ = Q.admins
        for kind, doc in (("LOAD_ROSTER", Q.make_roster(serial=9)),
                          ("LOAD_POLICY", Q.make_policy(serial=9))):
            other = documents.stamp(b, doc + b" ")
            stamps = {k: documents.stamp(k, doc) for k in (a, b, STRANGER)}
            for name, given, error, words in (
                    ("none", [], "STAMP_MISSING", "no administrator's stamp; 2 of 3 are needed"),
                    ("one", [stamps[a]], "ADMIN",
                     "1 of 2 needed administrators signed (admin-1), 0 stamps are by others"),
                    ("one, twice", [stamps[a], documents.stamp(a, doc)], "ADMIN",
                     "1 of 2 needed administrators signed (admin-1)"),
                    ("a stranger", [stamps[STRANGER]], "ADMIN",
                     "0 of 2 needed administrators signed (none), 1 stamps are by others"),
                    ("one and a stranger", [stamps[a], stamps[STRANGER]], "ADMIN",
                     "1 of 2 needed administrators signed (admin-1), 1 stamps are by others"),
                    ("one over other bytes", [stamps[a], other], "STAMP_INVALID",
                     'stamp of administrator "admin-2" is not over these bytes'),
                    ("another's name on it",
                     [stamps[a], documents.stamp(STRANGER, doc, publicKey=b.public)],
                     "STAMP_INVALID", "is not over these bytes"),
                    ("no stamp at all", [stamps[a], "rubbish"], "STAMP_INVALID", "")):
                with self.subTest(f"{kind}: {name}"):
                    for p in Q.parties:
                        self.refused(p.admin(kind, doc, given), error, words)

    def test_serials_and_clusters(self):
        """A party never goes back behind the highest serial it has seen."""
        p, (roster, policy) = Q.party[1], self.before
        for name, kind, doc, error, words in (
                ("lower", "LOAD_POLICY", Q.make_policy(policy - 1 or 1, rules=[]), "SERIAL", ""),
                ("same, other content", "LOAD_POLICY", Q.make_policy(policy, rules=[]), "SERIAL",
                 f"another policy with serial {policy} is in force; raise the serial"),
                ("same, other content", "LOAD_ROSTER", Q.make_roster(roster, name="x"), "SERIAL",
                 f"another roster with serial {roster} is in force; raise the serial"),
                ("other cluster", "LOAD_POLICY", Q.make_policy(policy + 1, cluster="ab" * 32),
                 "CLUSTER", "policy is for another cluster"),
                ("other cluster", "LOAD_ROSTER", Q.make_roster(roster + 1, cluster="ab" * 32),
                 "CLUSTER", "roster is of another cluster")):
            with self.subTest(f"{kind}: {name}"):
                self.refused(p.admin(kind, doc, Q.stamps(doc)), error, words)
        newer = Q.make_policy(policy + 2)
        Q.load("LOAD_POLICY", newer)
        older = Q.make_policy(policy + 1)
        for q in Q.parties:
            self.refused(q.admin("LOAD_POLICY", older, Q.stamps(older)), "SERIAL",
                         f"policy has serial {policy + 1} but {policy + 2} is in force")
            # The same again is no harm, and needs no stamps.
            self.assertEqual(q.admin("LOAD_POLICY", newer).error, 0)
        self.before = (roster, policy + 2)
        # Nor does it after a restart.
        Q.party[1].stop()
        Q.party[1].start()
        until(Q.party[1].gateway_up, "the gateway")
        Q.wait_pairs()
        self.refused(p.admin("LOAD_POLICY", older, Q.stamps(older)), "SERIAL", "is in force")

    def test_form(self):
        p = Q.party[1]
        roster, policy = Q.make_roster(99), Q.make_policy(99)
        parties = json.loads(roster)["parties"]

        def party(**over):
            return Q.make_roster(99, parties=[{**parties[0], **over}, *parties[1:]])

        def admins(**over):
            return Q.make_roster(99, admins={**json.loads(roster)["admins"], **over})

        def rule(**over):
            return Q.make_policy(99, rules=[{**documents.allow("r"), **over}])
        client = documents.named("client", Q.client)

        def clients(*c):
            return Q.make_policy(99, requests={"clients": list(c), "rules": []})
        for kind, name, doc, error, words in (
                ("LOAD_ROSTER", "cut off", roster[:-9], "MALFORMED", ""),
                ("LOAD_ROSTER", "a policy", policy, "MALFORMED", "quorate/policy"),
                ("LOAD_ROSTER", "version 2", Q.make_roster(99, v=2), "VERSION", ""),
                ("LOAD_ROSTER", "more members", Q.make_roster(99, x=1), "UNKNOWN_FIELD", "x"),
                ("LOAD_ROSTER", "twice a member",
                 roster.replace(b'"name":', b'"name":"a","name":', 1), "MALFORMED", ""),
                ("LOAD_ROSTER", "serial 0", Q.make_roster(0), "MALFORMED", "serial"),
                ("LOAD_ROSTER", "one party", Q.make_roster(99, parties=parties[:1]), "MALFORMED",
                 "parties"),
                ("LOAD_ROSTER", "17 parties", Q.make_roster(99, parties=parties * 6), "TOO_LARGE",
                 "parties"),
                ("LOAD_ROSTER", "index", party(index=2), "SET", "parties[0]"),
                ("LOAD_ROSTER", "same identity", party(identity=parties[1]["identity"]), "SET",
                 "same identity as party 1"),
                ("LOAD_ROSTER", "same address", party(address=parties[1]["address"]), "SET",
                 "same address as party 1"),
                ("LOAD_ROSTER", "no address", party(address="somewhere"), "ADDRESS",
                 "is not tcp://HOST:PORT"),
                ("LOAD_ROSTER", "no point", party(identity="ff" * 32), "POINT", "Ed25519"),
                ("LOAD_ROSTER", "unknown tee", party(tee="oracle"), "MALFORMED", "unknown tee"),
                ("LOAD_ROSTER", "another tee", party(tee="amd-sev-snp"), "PLATFORM",
                 "the roster says party 1 runs on amd-sev-snp, but it runs on sim"),
                ("LOAD_ROSTER", "without us", party(identity=STRANGER_ID), "IDENTITY",
                 "this party's identity key is not in the roster"),
                ("LOAD_ROSTER", "need above keys", admins(need=4), "MALFORMED",
                 "need is 4 but there are only 3 keys"),
                ("LOAD_ROSTER", "need 0", admins(need=0), "MALFORMED", "need"),
                ("LOAD_ROSTER", "administrator twice",
                 admins(keys=[documents.named(n, Q.admins[0]) for n in ("a", "b")]), "MALFORMED",
                 "have the same key"),
                ("LOAD_POLICY", "cut off", policy[:-9], "MALFORMED", ""),
                ("LOAD_POLICY", "a roster", roster, "MALFORMED", "quorate/roster"),
                ("LOAD_POLICY", "more members", Q.make_policy(99, x=1), "UNKNOWN_FIELD", "x"),
                ("LOAD_POLICY", "unknown kind", rule(kinds=["md5"]), "MALFORMED", 'kind "md5"'),
                ("LOAD_POLICY", "all kinds", rule(kinds=["*"]), "MALFORMED", "one by one"),
                ("LOAD_POLICY", "unknown client", rule(clients=["bob"]), "MALFORMED",
                 'no client is called "bob"'),
                ("LOAD_POLICY", "unknown effect", rule(effect="maybe"), "MALFORMED",
                 "neither allow nor deny"),
                ("LOAD_POLICY", "star and more", rule(keys=["*", Q.key["key"]]), "MALFORMED",
                 "must stand alone"),
                ("LOAD_POLICY", "no such peers", Q.make_policy(99, peers={"sim": True}),
                 "UNKNOWN_FIELD", "peers"),
                ("LOAD_POLICY", "client twice", clients(client, client), "MALFORMED", "clients[1]"),
                ("LOAD_POLICY", "key of another curve", clients({**client, "scheme": "ed25519"}),
                 "MALFORMED", "clients[0]"),
                ("LOAD_POLICY", "no point", clients({**client, "key": "02" + "ff" * 32}), "POINT",
                 "not a p256 public key")):
            with self.subTest(f"{kind}: {name}"):
                self.refused(p.admin(kind, doc, Q.stamps(doc)), error, words)

    def test_oversized(self):
        """A frame that could not be of use is not read to its end."""
        doc = Q.make_policy(99)
        doc += b" " * (256 * 1024 + 1 - len(doc))
        with frames.Host(Q.party[1].admin_socket) as h:
            h.send(frames.ask_admin("LOAD_POLICY", doc, Q.stamps(doc)))
            self.assertTrue(h.closed())
        doc = doc[:-1]
        a = Q.party[1].admin("LOAD_POLICY", doc, ["x"])
        self.refused(a, "STAMP_INVALID")

    def test_policy_without_the_software_tee(self):
        doc = Q.make_policy(99, sim=False)
        for p in Q.parties:
            self.refused(p.admin("LOAD_POLICY", doc, Q.stamps(doc)), "INSECURE_SIM",
                         "this party runs in the software TEE, which the policy does not accept")

    def test_order(self):
        """A party that has no roster yet takes no policy and no command."""
        p = Party(F, "new")
        p.start()
        try:
            doc = Q.make_policy(1)
            self.refused(p.admin("LOAD_POLICY", doc, Q.stamps(doc)), "USAGE",
                         "load the roster first")
            doc = documents.dump(documents.command(Q.cluster, "keygen", t=2))
            a = p.admin("COMMAND", doc, Q.stamps(doc))
            self.assertIn("this party has no roster and policy yet", a.detail)
            self.assertEqual(p.status()["status"], "waiting for a roster")
        finally:
            p.kill()

    def test_change_of_administrators(self):
        """Only the old ones appoint new ones."""
        old, new = Q.admins, [ec.Key() for _ in range(2)]

        def next_roster(admins):
            return documents.dump(documents.roster(Q.cluster, self.before[0] + 1, Q.descriptors(),
                                                   admins, 2))
        roster = next_roster(new)
        a = Q.party[1].admin("LOAD_ROSTER", roster, [documents.stamp(k, roster) for k in new])
        self.refused(a, "ADMIN", "0 of 2 needed administrators signed (none), 2 stamps are by")
        Q.load("LOAD_ROSTER", roster)  # stamped by two of the old ones
        self.before = (self.before[0] + 1, self.before[1])
        Q.wait_pairs()
        Q.sign(1)
        doc = documents.dump(documents.command(Q.cluster, "retire", pair=[1, 2]))
        self.refused(Q.party[1].admin("COMMAND", doc, Q.stamps(doc, old)), "ADMIN",
                     "0 of 2 needed administrators signed")
        back = next_roster(old)
        for p in Q.parties:
            self.assertEqual(
                p.admin("LOAD_ROSTER", back, [documents.stamp(k, back) for k in new]).error, 0)
        self.before = (self.before[0] + 1, self.before[1])
        Q.wait_pairs()


# A point of the curve that is nobody's: the base point.
STRANGER_ID = "58" + "66" * 31


class Commands(Case):
    def send(self, doc, who=None, party=1):
        return Q.party[party].admin("COMMAND", doc, Q.stamps(doc, who))

    def keys(self):
        return len(Q.party[2].query("KEYS")["keys"])

    def test_refusals(self):
        def command(cmd="keygen", cluster=Q.cluster, **more):
            if cmd == "keygen":
                more.setdefault("t", 2)
            return documents.dump(documents.command(cluster, cmd, **more))
        now, n = documents.now_ms(), self.keys()
        two = Q.admins[:2]
        for name, doc, who, error, words in (
                ("unsigned", command(), [], "STAMP_MISSING", "no administrator's stamp"),
                ("signed by one", command(), Q.admins[2:], "ADMIN", "(admin-3)"),
                ("signed by a client", command(), [Q.client], "ADMIN", "1 stamps are by others"),
                ("expired", command(issued_ms=now - 95000), two, "EXPIRED", "expired"),
                ("of tomorrow", command(issued_ms=now + 40000), two, "NOT_YET_VALID", "future"),
                ("issued before the start", command(issued_ms=now - 200000, life_ms=200000), two,
                 "EXPIRED", "before this party started"),
                ("for another cluster", command(cluster="ab" * 32), two, "CLUSTER",
                 "command is for another cluster"),
                ("unknown", command("explode"), two, "MALFORMED", 'unknown cmd "explode"'),
                ("without t", documents.dump(documents.command(Q.cluster, "keygen")), two,
                 "MALFORMED", 'cmd "keygen" takes "t" and nothing else'),
                ("t = 1", command(t=1), two, "MALFORMED", "t"),
                ("t = 4 of 3", command(t=4), two, "SET", ""),
                ("a pair of one", command("retire", pair=[2, 2]), two, "SET", "two different"),
                ("a pair that is not there", command("retire", pair=[2, 9]), two, "SET", ""),
                ("no JSON", b"make me a key", two, "MALFORMED", ""),
                ("a policy", b'{"v":1,"type":"quorate/policy"}', two, "MALFORMED",
                 "quorate/policy")):
            with self.subTest(name):
                self.refused(self.send(doc, who), error, words)
        self.assertEqual(self.keys(), n)

    def test_repetition(self):
        """A command is carried out once, wherever it is given again."""
        doc = documents.dump(documents.command(Q.cluster, "keygen", t=2))
        n = self.keys()
        self.assertEqual(self.send(doc).error, 0)
        for p in Q.parties:
            until(lambda p=p: len(p.query("KEYS")["keys"]) == n + 1, "the key")
        for party in (1, 2, 3):
            self.refused(self.send(doc, party=party), "REPLAY_CONFLICT",
                         "this very command was carried out already")
        other = documents.dump({**json.loads(doc), "t": 3})
        self.refused(self.send(other), "REPLAY_CONFLICT")
        self.assertEqual(self.keys(), n + 1)

    def test_key_needs_all_parties(self):
        Q.party[3].kill()
        try:
            until(lambda: 3 not in Q.party[1].up(), "party 1 to notice")
            doc = documents.dump(documents.command(Q.cluster, "keygen", t=2))
            self.refused(self.send(doc), "QUORUM",
                         "party 3 is not connected; a key needs all 3 parties")
        finally:
            Q.party[3].start()
        Q.wait_pairs()
        # The same command, now that it can be followed, is refused or followed: once at most.
        n = self.keys()
        a = self.send(doc)
        self.assertIn(a.error, (0, ERR["REPLAY_CONFLICT"]))
        self.assertEqual(self.keys(), n + (a.error == 0))

    def test_pair_retired_and_readmitted(self):
        for p, other in ((1, 2), (2, 1)):
            self.assertIn(other, Q.party[p].pairs())
        doc = documents.dump(documents.command(Q.cluster, "retire", pair=[1, 2]))
        self.assertEqual(self.send(doc, party=3).error, 0)
        until(lambda: 2 not in Q.party[1].pairs() and 1 not in Q.party[2].pairs(), "the retirement")
        for _ in range(3):
            self.assertEqual(Q.sign(1)["signers"], [1, 3])
            self.assertEqual(Q.sign(2)["signers"], [2, 3])
        # It outlives a restart of either side.
        Q.party[1].stop()
        Q.party[1].start()
        until(Q.party[1].gateway_up, "the gateway")
        until(lambda: Q.party[1].pairs() == {3} and Q.party[1].up() == {2, 3}, "party 3")
        shown = [p for p in Q.party[1].status()["parties"] if p["party"] == 2]
        self.assertEqual(shown[0]["pair"], "retired")
        self.assertEqual(Q.sign(1)["signers"], [1, 3])
        doc = documents.dump(documents.command(Q.cluster, "readmit", pair=[1, 2]))
        self.assertEqual(self.send(doc).error, 0)
        Q.wait_pairs()
        Q.party[3].kill()
        until(lambda: 3 not in Q.party[1].up(), "party 1 to notice")
        self.assertEqual(Q.sign(1)["signers"], [1, 2])
        Q.party[3].start()
        Q.wait_pairs()


class CommandLine(Case):
    """Two administrators who meet by file only."""

    def path(self, name):
        return os.path.join(F, name)

    def test_command_by_two_of_three(self):
        for i, key in enumerate(Q.admins):
            key.write_pem(self.path(f"admin-{i}"))
        with open(self.path("roster"), "wb") as f:
            f.write(Q.party[1].query("ROSTER").encode())
        command, socket = self.path("command"), Q.party[1].admin_socket
        ctl("keygen", "--roster", self.path("roster"), "--t", 2, "--out", command, check=0)
        r = ctl("send", "--socket", socket, command, check=78)
        self.assertIn("must hold 1 to 16 stamps", r.err)
        ctl("stamp", "--key", self.path("admin-0"), command, check=0)
        r = ctl("send", "--socket", socket, command, check=77)
        self.assertIn("1 of 2 needed administrators signed (admin-1)", r.err)
        ctl("stamp", "--key", self.path("admin-0"), command, check=0)
        r = ctl("send", "--socket", socket, command, check=77)
        self.assertIn("1 of 2 needed administrators signed (admin-1)", r.err)
        ctl("stamp", "--key", self.path("admin-2"), command, check=0)
        r = ctl("send", "--socket", socket, "--roster", self.path("roster"), command, check=0)
        self.assertRegex(r.out, "^0[23][0-9a-f]{64}\n$")
        r = ctl("send", "--socket", socket, command, check=78)
        self.assertIn("this very command was carried out already", r.err)
        # A document that was changed after a stamp takes no more stamps.
        with open(command, "ab") as f:
            f.write(b" ")
        r = ctl("stamp", "--key", self.path("admin-1"), command, check=77)
        self.assertIn("does not belong to this document", r.err)

    def test_documents_are_checked_before_they_travel(self):
        roster = self.path("checked")
        with open(roster, "wb") as f:
            f.write(Q.make_roster(99))
        r = ctl("roster", "check", roster, check=77)
        self.assertIn("no administrator's stamp; 2 of 3 are needed", r.err)
        with open(roster, "ab") as f:
            f.write(b"}")
        self.assertIn(roster, ctl("roster", "check", roster, check=78).err)
        descriptor = self.path("descriptor")
        ctl("descriptor", "--socket", Q.party[1].admin_socket, "--out", descriptor, check=0)
        with open(descriptor, "rb") as f:
            text = f.read()
        with open(descriptor, "wb") as f:
            f.write(text.replace(b"cloud-1", b"cloud-7"))
        r = ctl("roster", "new", "--name", "x", "--need", 1, "--admin",
                f"a:{Q.admins[0].public}", descriptor, descriptor, check=77)
        self.assertIn(descriptor, r.err)


if __name__ == "__main__":
    suite.main()
