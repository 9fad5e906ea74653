#!/usr/bin/env python3
"""A rule that asks for approvals, met by the TypeScript client and the command line."""

import unittest

from lib import kit
from rig import documents, ec
from rig.quorum import program

Q = None
WHO = {n: ec.Key() for n in ("alice", "bob", "carol")}


def setUpModule():
    global Q
    Q = kit.Quorum().start()
    rule = {**kit.allow("treasury", kinds=["eip191"]), "approvals": {"need": 2, "of": list(WHO), "within_s": 3600}}
    requests = {"clients": [documents.named("client", Q.client)],
                "approvers": [documents.named(n, k) for n, k in WHO.items()], "rules": [rule]}
    Q.policy = Q.make_policy(2, requests=requests)
    Q.load("LOAD_POLICY", Q.policy)
    Q.wait_up()
    Q.keygen()


def tearDownModule():
    Q.kill()


class Approvals(unittest.TestCase):
    def test_two_of_three(self):
        folder = kit.new_folder()
        r = kit.node("ts_approve.mjs", kit.config(
            Q, quorate=program("quorate"), approvers={n: kit.pkcs8(folder, f"{n}.pem", k) for n, k in WHO.items()}))
        self.assertEqual(r["done"], ["told whose", "too few, twice, of another request, of nobody", "signed", "an account"])


if __name__ == "__main__":
    kit.main()
