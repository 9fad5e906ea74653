#!/usr/bin/env python3
"""Unmodified libraries that speak Ethereum JSON-RPC, at a facade that stands beside them."""

import json
import unittest

from lib import kit
from lib.recorder import Recorder, refused_by_each
from rig import documents, frames

TOKEN = "a-token-that-only-the-wallet-and-the-facade-have"
TO = "0x00000000000000000000000000000000000000aa"
POLICY_DENIED = 505  # protocol/base/err.def
Q = None


def rlp(v):
    if isinstance(v, list):
        body, base = b"".join(map(rlp, v)), 0xC0
    else:
        body, base = (v if isinstance(v, bytes) else v.to_bytes((v.bit_length() + 7) // 8, "big")), 0x80
        if len(body) == 1 and body[0] < 128:
            return body
    assert len(body) < 56
    return bytes((base + len(body),)) + body


def setUpModule():
    global Q
    Q = kit.Quorum().start(rules=[
        {**kit.allow("payments", kinds=["eth_tx"]), "eth": {"chain_ids": [31337], "to": [TO], "max_value_wei": "5"}},
        kit.allow("words", kinds=["eip191", "eip712"])])
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

    def test_a_hostile_facade(self):
        """It has the client's key: what it stamps itself is held to the client's rules by each party."""
        def tx(chain=31337, to=TO, value=5, data=b""):
            unsigned = [chain, 0, 1, 10**9, 21000, bytes.fromhex(to[2:]), value, data, []]
            return documents.item(b"\x02" + rlp(unsigned), "eth_tx")

        def ask(party, item):
            body = Q.body([item])
            with frames.Host(party.gateway_socket) as h:
                return h.ask(frames.ask_sign(body, [documents.stamp(Q.client, body)]))
        for p in Q.parties:
            for name, item in (("another chain", tx(chain=1)), ("another recipient", tx(to=TO[:-1] + "b")), ("more", tx(value=6)),
                               ("a contract made", {**tx(), "preimage": (b"\x02" + rlp([31337, 0, 1, 1, 9, b"", 0, b"\x00", []])).hex()}),
                               ("a hash", documents.item(b"x")), ("a digest", {"kind": "digest", "digest": "11" * 32})):
                a = ask(p, item)
                self.assertEqual(a.error, POLICY_DENIED, f"party {p.index}, {name}: {a.detail}")
                self.assertIsNone(a.signed)
            a = ask(p, tx())
            self.assertEqual(a.error, 0, f"party {p.index}: {a.detail}")


if __name__ == "__main__":
    kit.main()
