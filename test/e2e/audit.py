#!/usr/bin/env python3
"""Audit logs and receipts of real parties: whole logs verify, and what a host does to them is found and
named; a receipt is verified offline, and one that was touched is not."""

import glob
import hashlib
import json
import os
import re
import shutil
import struct
import unittest

from rig import documents, frames, suite
from rig.quorum import Quorum, ctl, new_folder, until

Q = F = ANSWERS = None
REFUSED = 77
TAG = hashlib.sha256(b"quorate/1/audit").digest()


def setUpModule():
    """Two boots of party 2, requests through all, refusals; all stop."""
    global Q, F, ANSWERS
    F = new_folder()
    Q = Quorum().start()
    Q.keygen()
    ANSWERS = [Q.sign(1 + i % 3, items=[documents.item()] * (1 + i % 4)) for i in range(9)]
    ANSWERS.append(Q.sign(1, path=(0, 5)))
    bad = Q.body(items=[{"kind": "digest", "digest": "ab" * 32}])
    for i in (1, 2, 3):
        assert Q.post(i, bad).status == 403
        assert Q.post(i, bad, stamp="AAAA").status == 401
    with open(F + "/roster.json", "wb") as f:
        f.write(Q.roster)
    with open(F + "/policy.json", "wb") as f:
        f.write(Q.policy)
    body = Q.body(items=[documents.item()] * 3)
    with open(F + "/body.json", "wb") as f:
        f.write(body)
    ANSWERS.append(Q.check(body))
    take_receipt()
    gateway_crashes(Q.party[3])
    for p in Q.parties:
        until(lambda p=p: kept(p), f"the log of party {p.index} at its gateway")
    assert Q.party[2].stop() == 0
    Q.party[2].start()
    Q.wait_pairs()
    ANSWERS.append(Q.sign(2))
    for i in (1, 3):
        until(lambda i=i: vouched(i, 2, 2), f"party {i} to keep a head of party 2's new boot")
    for p in Q.parties:
        p.process.terminate()
    for p in Q.parties:
        assert p.ends() == 0
    for p in Q.parties:
        p.gateway.stop()


def tearDownModule():
    Q.kill()


def gateway_crashes(p):
    """In the middle of a line: it is cut off and fetched again; a file without a record goes."""
    until(lambda: files(p.index), "the first file")
    p.gateway.kill()
    with open(files(p.index)[-1], "ab") as f:
        f.write(b'{"v":1,"party":3,"bo')
    with open(f"{p.audit}/audit-3-9-1.jsonl", "wb") as f:
        f.write(b'{"v":1,')
    p.start_gateway()
    assert p.gateway.events("cut_off")


def take_receipt():
    ctl("receipt", "get", "--gateway", f"http://{Q.party[1].http[0]}:{Q.party[1].http[1]}", "--request",
        ANSWERS[-1]["request"], "--out", F + "/receipt.json", check=0)


def files(party, folder=None):
    """In the order in which they were written."""
    names = glob.glob(f"{folder or Q.party[party].audit}/audit-{party}-*.jsonl")
    return sorted(names, key=lambda n: [int(x) for x in re.findall(r"\d+", os.path.basename(n))])


def vouched(by, of, boot):
    return any(o["event"] == "anchor" and (o["of"], o["of_boot"]) == (of, boot)
               for n in files(by) for o in map(json.loads, lines(n)))


def lines(name):
    with open(name, "rb") as f:
        return f.read().splitlines()


def kept(p):
    """The gateway holds all that the party has, and it is not about to have more."""
    names = files(p.index)
    last = json.loads(lines(names[-1])[-1]) if names else {"boot": 0, "serial": 0}
    a = p.ask(frames.ask_query("AUDIT", struct.pack(">QQ", last["boot"], last["serial"])))
    return a.error == 0 and not a.text and last.get("event") in ("head", "anchor")


def digest(line):
    """TH("audit"; line), by hand."""
    return hashlib.sha256(TAG + TAG + struct.pack(">II", 1, len(line)) + line).hexdigest()


class Logs(unittest.TestCase):
    def setUp(self):
        self.folder = new_folder()
        for p in Q.parties:
            shutil.copytree(p.audit, f"{self.folder}/{p.index}")

    def log(self, party, boot=0):
        """The file of a party's nth boot."""
        return files(party, f"{self.folder}/{party}")[boot]

    def verify(self, *more, parties=(1, 2, 3)):
        r = ctl("audit", "verify", *(f"{self.folder}/{i}" for i in parties), "--roster",
                F + "/roster.json", "--json", *more)
        o = json.loads(r.stdout)
        self.assertEqual(r.returncode, 0 if o["whole"] else REFUSED, r.err)
        self.assertEqual(o["whole"], not o["findings"])
        return o

    def change(self, name, edit):
        out = edit(lines(name))
        with open(name, "wb") as f:
            f.write(b"".join(x + b"\n" for x in out))

    def refused(self, words, *more, **which):
        """One finding that says so."""
        o = self.verify(*more, **which)
        self.assertFalse(o["whole"])
        self.assertRegex(o["findings"][0]["text"], words)
        return o

    def middle(self, name):
        """A place in the middle, after a head and before another, whose record is neither."""
        events = [json.loads(x)["event"] for x in lines(name)]
        at = [i for i, e in enumerate(events) if e == "signed" and "head" in events[:i] and
              "head" in events[i + 1:]]
        return at[len(at) // 2]

    def test_whole(self):
        o = self.verify()
        self.assertTrue(o["whole"], o)
        self.assertGreater(o["anchors"], 6)
        self.assertGreater(o["heads"], 6)
        self.assertEqual(o["boots"], 4)
        self.assertEqual(o["unrecorded"], 3)  # stamps that do not verify are counted, not recorded
        text = ctl("audit", "verify", self.folder + "/1", self.folder + "/2", "--roster",
                   F + "/roster.json", check=0)
        self.assertTrue(text.out.startswith("whole: "), text.out)
        self.assertIn("no log of party 3", text.err)

    def test_everything_is_recorded(self):
        """Every request stands in the log of each signer, and every refusal in that of its party."""
        for a in ANSWERS:
            for i in a["signers"]:
                found = [o for n in files(i) for o in map(json.loads, lines(n))
                         if o["event"] == "signed" and o["request"] == a["request"]]
                self.assertEqual(len(found), 1)
                self.assertEqual([m["party"] for m in found[0]["set"]], a["signers"])
                self.assertEqual(found[0]["digests"], [s["digest"] for s in a["signatures"]])
                if found[0]["coordinator"] == i:
                    self.assertEqual(found[0]["signatures"],
                                     [s["r"] + s["s"] + f"{s['recid']:02x}" for s in a["signatures"]])
                    for link in found[0]["links"]:
                        self.assertGreater(min(link["out"], link["in"]), 100)
        for i in (1, 2, 3):
            refused = [o for n in files(i) for o in map(json.loads, lines(n))
                       if o["event"] == "refused"]
            self.assertEqual([o["code"] for o in refused], ["policy_denied"])
            self.assertEqual(refused[0]["client"], "client")

    def test_a_record_deleted(self):
        name, at = self.log(1), self.middle(self.log(1))
        serial = json.loads(lines(name)[at])["serial"]
        self.change(name, lambda x: x[:at] + x[at + 1:])
        o = self.refused(rf"party 1, boot 1: record {serial} is missing here; between the signed "
                         r"head at \d+ and that at \d+")
        self.assertTrue(o["findings"][0]["where"].endswith(f":{at + 1}"), o)

    def test_a_record_changed(self):
        name, at = self.log(1), self.middle(self.log(1))
        serial = json.loads(lines(name)[at])["serial"]
        self.change(name, lambda x: x[:at] + [x[at].replace(b'"client":"', b'"client":"x')] +
                    x[at + 1:])
        o = self.refused(rf"record {serial} (was changed|is another one .*: it was changed, .*); between")
        self.assertTrue(o["findings"][0]["where"].endswith(f":{at + 1}"), o)

    def test_the_chain_computed_anew(self):
        """A host that changes a record and all hashes after it cannot sign the heads."""
        def edit(x):
            x[at] = x[at].replace(b'"client":"', b'"client":"x')
            for i in range(at + 1, len(x)):
                x[i] = re.sub(rb'"prev":"[0-9a-f]{64}"', b'"prev":"%s"' % digest(x[i - 1]).encode(),
                              x[i], count=1)
            return x
        name, at = self.log(1), self.middle(self.log(1))
        self.change(name, edit)
        self.refused("does not carry the party.s signature: records before it were changed|it was changed, or")

    def test_hash_by_hand(self):
        """The chain as a program of another language computes it."""
        x = lines(self.log(1))
        for a, b in zip(x, x[1:]):
            self.assertEqual(json.loads(b)["prev"], digest(a))

    def test_records_swapped(self):
        name, at = self.log(2), self.middle(self.log(2))
        self.change(name, lambda x: x[:at] + [x[at + 1], x[at]] + x[at + 2:])
        self.refused(r"party 2, boot 1: record \d+ is missing here; between")

    def test_a_record_repeated(self):
        name, at = self.log(2), self.middle(self.log(2))
        self.change(name, lambda x: x[:at] + [x[at]] + x[at:])
        self.refused(r"stands after record \d+: repeated, or out of its place")

    def test_a_record_of_somebody_else(self):
        name, at = self.log(2), self.middle(self.log(2))
        other = lines(self.log(1))[5]
        self.change(name, lambda x: x[:at] + [other] + x[at:])
        self.refused("a record of party 1 stands in the log of party 2")

    def test_a_line_that_is_no_record(self):
        name, at = self.log(3), self.middle(self.log(3))
        for junk in (b"", b"{}", b"x" * 30000, lines(name)[at].replace(b'"v":1', b'"v":01')):
            self.change(name, lambda x, junk=junk: x[:at] + [junk] + x[at + 1:])
            self.refused(r"the line after record \d+ is no record")

    def test_the_end_cut_off(self):
        """The other parties' logs hold the heads of what is gone."""
        name = self.log(1)
        self.change(name, lambda x: x[:len(x) // 2])
        self.refused(r"party 1, boot 1: the end is missing: records \d+ to \d+; party [23]'s log")
        whole = self.verify(parties=(1,))  # alone it looks like a log that ends there
        self.assertTrue(whole["whole"], whole)

    def test_the_end_of_an_earlier_boot_cut_off(self):
        """The party's own next boot names what its store knew of."""
        name = self.log(2, 0)
        self.change(name, lambda x: x[:3])
        self.refused(r"party 2, boot 1: the end is missing: .* the party's next boot vouches",
                     parties=(2,))

    def test_a_file_dropped(self):
        os.unlink(self.log(2, 0))
        self.refused(r"party 2, boot 1: its log is missing; ")
        self.refused(r"party 2, boot 1: its log is missing; ", parties=(2,))
        self.assertTrue(self.verify("--partial", parties=(2,))["whole"])

    def test_the_newest_boot_dropped(self):
        os.unlink(self.log(2, 1))
        self.refused(r"party 2, boot 2: its log is missing; party [13]'s log vouches")

    def test_another_roster(self):
        with open(F + "/other.json", "wb") as f:
            o = json.loads(Q.roster)
            o["cluster"] = "ab" * 32
            f.write(documents.dump(o))
        r = ctl("audit", "verify", self.folder + "/1", "--roster", F + "/other.json", "--json",
                check=REFUSED)
        self.assertRegex(json.loads(r.stdout)["findings"][0]["text"], "another cluster")

    def test_copied_while_it_was_written(self):
        """A last line without its end is left out."""
        name = self.log(1)
        x = lines(name)
        with open(name, "wb") as f:
            f.write(b"".join(i + b"\n" for i in x[:-3]) + x[-3][:100])
        r = ctl("audit", "verify", self.folder + "/1", "--roster", F + "/roster.json", check=0)
        self.assertIn("an unfinished line at the end", r.err)

    def test_export(self):
        out = ctl("audit", "export", *(f"{self.folder}/{i}" for i in (1, 2, 3)), check=0).out
        want = sum(len(lines(n)) for i in (1, 2, 3) for n in files(i))
        self.assertEqual(len(out.splitlines()), want)
        at = {}
        for o in map(json.loads, out.splitlines()):  # a party's records keep their order
            self.assertGreater((o["boot"], o["serial"]), at.get(o["party"], (0, 0)))
            at[o["party"]] = (o["boot"], o["serial"])
        csv = ctl("audit", "export", "--csv", self.folder + "/1", check=0).out.splitlines()
        self.assertEqual(csv[0], "time,party,boot,serial,event,what,request,key,client,rule,code,detail")
        self.assertTrue(any(ANSWERS[0]["request"] in row and '"signed"' in row for row in csv))

    def test_diff(self):
        r = ctl("audit", "diff", self.folder + "/1", self.folder + "/2", check=0)
        self.assertIn("0 differences", r.out)
        a = next(a for a in ANSWERS if a["signers"] == [1, 2])
        for n in files(2, self.folder + "/2"):
            self.change(n, lambda x: [i for i in x if a["request"].encode() not in i])
        r = ctl("audit", "diff", self.folder + "/1", self.folder + "/2", "--json", check=REFUSED)
        o = [json.loads(i) for i in r.out.splitlines()]
        self.assertEqual([(i["request"], i["party"], i["other"]) for i in o], [(a["request"], 1, 2)])


class Receipts(unittest.TestCase):
    def setUp(self):
        with open(F + "/receipt.json", encoding="ascii") as f:
            self.receipt = json.load(f)

    def verify(self, receipt=None, *more, roster=None, policy=None):
        name = F + "/tried.json"
        with open(name, "wb") as f:
            f.write(documents.dump(receipt or self.receipt))
        return ctl("receipt", "verify", name, "--roster", roster or F + "/roster.json", "--policy",
                   policy or F + "/policy.json", *more)

    def refused(self, words, receipt, *more, **which):
        r = self.verify(receipt, *more, **which)
        self.assertEqual(r.returncode, REFUSED, r.out)
        self.assertRegex(r.err, words)

    def test_valid(self):
        r = self.verify(None, "--body", F + "/body.json", "--json")
        self.assertEqual(r.returncode, 0, r.err)
        o = json.loads(r.stdout)
        a = next(a for a in ANSWERS if a["request"] == o["request"])
        self.assertEqual((o["signers"], o["signatures"], o["key"]), (a["signers"], 3, Q.key["key"]))

    def test_touched(self):
        def touched(edit):
            o = json.loads(json.dumps(self.receipt))
            edit(o)
            return o

        def record(i, old, new):
            def edit(o):
                self.assertIn(old, o["parties"][i]["record"])
                o["parties"][i]["record"] = o["parties"][i]["record"].replace(old, new, 1)
            return edit
        sig = re.search(r'"signatures":\["([0-9a-f]+)"', self.receipt["parties"][0]["record"]).group(1)
        flipped = ("0" if sig[10] != "0" else "1").join((sig[:10], sig[11:]))
        for words, edit in (
                ("do not agree: request", lambda o: o.update(request="00" * 32)),
                ("not signed by the identity key", record(0, '"micros":', '"micros":1')),
                ("do not agree: client", record(1, '"client":"', '"client":"x')),
                ("do not agree: policy, roster or rule", record(1, '"rule":"', '"rule":"x')),
                ("does not verify under the key", record(0, sig, flipped)),
                ("the record is party", lambda o: o["parties"].reverse()
                 or o["parties"][0].update(party=9)),
                ("at least 2 elements|parties", lambda o: o["parties"].pop()),
                ("not signed by", lambda o: o["parties"][0].update(nonce="00" * 32)),
                ("not signed by", lambda o: o["parties"][0].update(boot_nonce="00" * 32)),
                ("not signed by", lambda o: o["parties"][0].update(made_ms=1)),
                ("not signed by",
                 lambda o: o["parties"][0].update(evidence=o["parties"][1]["evidence"])),
                ("not signed by",
                 lambda o: o["parties"][0].update(signature=o["parties"][1]["signature"])),
        ):
            with self.subTest(words=words):
                r = self.verify(touched(edit))
                self.assertNotEqual(r.returncode, 0)
                self.assertRegex(r.err, words)

    def test_another_request(self):
        with open(F + "/other-body.json", "wb") as f:
            f.write(Q.body())
        self.refused("of another request", None, "--body", F + "/other-body.json")

    def test_other_documents(self):
        p = json.loads(Q.policy)
        p["serial"] = 2
        with open(F + "/other-policy.json", "wb") as f:
            f.write(documents.dump(p))
        r = json.loads(Q.roster)
        r["serial"] = 2
        with open(F + "/other-roster.json", "wb") as f:
            f.write(documents.dump(r))
        self.refused("another policy", None, policy=F + "/other-policy.json")
        self.refused("another roster", None, roster=F + "/other-roster.json")

    def test_software_tee_where_the_policy_does_not_take_it(self):
        self.assertIn("software TEE", self.verify().err)  # told, even when it is accepted


if __name__ == "__main__":
    suite.main()
