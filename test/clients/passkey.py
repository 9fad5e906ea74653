#!/usr/bin/env python3
"""A passkey of a real browser approves a request of a running quorum, on the approvers' page."""

import json
import unittest

from lib import kit
from rig import documents
from rig.quorum import program

Q = None


def setUpModule():
    global Q
    Q = kit.Quorum().start()


def tearDownModule():
    Q.kill()


class Passkey(unittest.TestCase):
    def page(self, folder, **more):
        return kit.node("approve_page.mjs", kit.write(folder, "page.json", json.dumps({"folder": folder, **more})))

    def test_browser_to_signature(self):
        folder = kit.new_folder()
        enrolled = self.page(folder)
        rule = {**kit.allow("treasury", kinds=["eip191"]), "approvals": {"need": 1, "of": ["alice"], "within_s": 3600}}
        Q.policy = Q.make_policy(2, requests={"clients": [documents.named("client", Q.client)],
                                              "approvers": [enrolled["approver"]], "rules": [rule]})
        Q.load("LOAD_POLICY", Q.policy)
        Q.wait_up()
        Q.keygen()
        roster, policy = kit.write(folder, "roster", Q.roster), kit.write(folder, "policy", Q.policy)
        message, request = kit.write(folder, "message", "pay the rent"), f"{folder}/request.json"
        kit.run(program("quorate"), "request", "--roster", roster, "--key", Q.key["key"], "--client",
                kit.pkcs8(folder, "client.pem", Q.client), "--kind", "eip191", "--life", 3600, "--out", request, message)
        shown = kit.run(program("quorate"), "approve", "show", "--policy", policy, request).out
        self.assertIn('text: "pay the rent"\n', shown)
        self.assertIn("asked by: client\n", shown)
        self.assertIn("rule: treasury asks for approvals: 1 of alice\n", shown)

        with open(request, encoding="utf-8") as f:
            text = f.read()
        made = self.page(folder, **{k: enrolled[k] for k in ("entry", "credential", "port")},
                         request=text)
        good = kit.write(folder, "good", made["approval"] + "\n")
        elsewhere = kit.write(folder, "elsewhere", made["elsewhere"] + "\n")

        def sign(*approvals):
            return kit.run(program("quorate"), "sign", "--json", "--gateway", ",".join(kit.gateways(Q)), "--roster", roster,
                           "--request", request, *(x for a in approvals for x in ("--approval", a)), check=False)

        none = sign()
        self.assertNotEqual(none.returncode, 0)
        self.assertIn("treasury", none.err)
        # made by the very same passkey, at a copy of the page behind another port
        bad = sign(elsewhere)
        self.assertNotEqual(bad.returncode, 0)
        self.assertIn("none of alice's origins", bad.err)
        r = sign(good)
        self.assertEqual(r.returncode, 0, r.err)
        self.assertTrue(json.loads(r.out)["verified"])


if __name__ == "__main__":
    kit.main()
