#!/usr/bin/env python3
"""Bitcoin: spends of a quorum's coins, made with one library and verified by another."""

import unittest

from lib import kit

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


if __name__ == "__main__":
    kit.main()
