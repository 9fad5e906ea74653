#!/usr/bin/env python3
"""Bitcoin: spends of a quorum's coins, made with one library and verified by another."""

import json
import os
import unittest

from lib import kit
from rig import ec
from rig.quorum import ctl

Q = None


def setUpModule():
    global Q
    Q = kit.Quorum().start(rules=[kit.allow(kinds=["btc_bip143", "btc_legacy"])])
    Q.keygen()


def tearDownModule():
    Q.kill()


class Bitcoin(unittest.TestCase):
    def test_spends(self):
        r = kit.node("btc_spend.mjs", kit.config(Q))
        self.assertEqual(r["done"], ["three spends by BIP143", "another amount", "a legacy spend", "refusals"])

    def test_a_psbt_by_the_command_line(self):
        child = ec.child(bytes.fromhex(Q.key["key"]), bytes.fromhex(Q.key["chain_code"]), [0, 1]).hex()
        folder = kit.new_folder()
        config = kit.config(Q, child=child, folder=folder)
        roster, pem = kit.write(folder, "roster.json", Q.roster), kit.pkcs8(folder, "client.pem", Q.client)

        def step(name):
            return json.loads(kit.run("node", kit.js("psbt.mjs"), name, config).out)

        def sign(out, path):
            return ctl("sign", "--gateway", ",".join(kit.gateways(Q)), "--roster", roster, "--client", pem, "--key", Q.key["key"],
                       "--path", path, "--psbt", os.path.join(folder, "unsigned.psbt"), "--out", os.path.join(folder, out))
        self.assertEqual(step("make"), {"inputs": 4})
        r = sign("signed.psbt", "0/1")
        self.assertEqual(r.returncode, 0, r.err)
        self.assertEqual(step("check"), {"inputs": 4})
        # Another child's: nothing in it is that key's.
        r = sign("other.psbt", "0/2")
        self.assertNotEqual(r.returncode, 0)
        self.assertFalse(os.path.exists(os.path.join(folder, "other.psbt")))


if __name__ == "__main__":
    kit.main()
