#!/usr/bin/env python3
"""Unmodified libraries that speak Ethereum JSON-RPC, at a facade that stands beside them."""

import json
import unittest

from lib import kit
from lib.recorder import Recorder, refused_by_each

TOKEN = "a-token-that-only-the-wallet-and-the-facade-have"
Q = None


def setUpModule():
    global Q
    Q = kit.Quorum().start(rules=[kit.allow(kinds=["eth_tx", "eip191", "eip712"])])
    Q.keygen()


def tearDownModule():
    Q.kill()


class Rpc(unittest.TestCase):
    def test_libraries_and_one_bit_at_each_party(self):
        own = kit.address_of(Q.key["key"])
        options = {"v": 1, "type": "quorate/rpc-facade", "chain_id": 31337, "token": TOKEN,
                   "accounts": [{"key": Q.key["key"], "path": []}]}
        with kit.Anvil() as chain, Recorder(Q.party[1].http) as wire, \
                kit.Facade("rpc", Q, kit.new_folder(), options, wire.url) as facade:
            chain.fund(own)
            r = kit.node("rpc_clients.mjs", kit.config(Q, chain=chain.url, facade=facade.url, token=TOKEN))
            self.assertEqual(r["done"], ["viem", "ethers", "web3"])
            self.assertEqual(len(r["mined"]), 5)
            for tx in r["mined"]:
                chain.mined(tx, own)
            kinds = {}
            for _, body, stamp in wire.requests:
                kinds.setdefault(json.loads(body)["items"][0]["kind"], (body, stamp))
        self.assertEqual(sorted(kinds), ["eip191", "eip712", "eth_tx"])
        self.assertGreater(refused_by_each(self, Q, *kinds["eth_tx"]), 600)


if __name__ == "__main__":
    kit.main()
