#!/usr/bin/env python3
"""Unmodified clients of the published raw-payload wire format, at a gateway, and what they stamped at
each party."""

import unittest

from lib import kit
from lib.recorder import Recorder, refused_by_each
from rig import ec

Q = None
PLAIN, STRANGER = ec.Key(), ec.Key()


def setUpModule():
    global Q
    Q = kit.Quorum().start()
    # Messages come as digests from these clients: one client may have them signed, the other not.
    rules = [kit.allow(), kit.allow("messages", clients=["client"], kinds=["digest"])]
    Q.load("LOAD_POLICY", Q.make_policy(2, rules, clients={"client": Q.client, "plain": PLAIN}))
    Q.wait_up()
    Q.keygen()


def tearDownModule():
    Q.kill()


class Raw(unittest.TestCase):
    def run_clients(self, key, digests):
        own = kit.address_of(Q.key["key"])
        with kit.Anvil() as chain, Recorder(Q.party[1].http) as wire:
            chain.fund(own)
            r = kit.node("raw_clients.mjs", kit.config(
                Q, chain=chain.url, gateways=[wire.url], digests=digests, client_key=key.public,
                client_secret=f"{key.d:064x}", stranger_key=STRANGER.public, stranger_secret=f"{STRANGER.d:064x}"))
            self.assertEqual(r["done"], ["viem", "ethers", "several payloads", "refusals"])
            self.assertEqual(len(r["mined"]), 3)
            for tx in r["mined"]:
                chain.mined(tx, own)
            return wire.requests

    def test_clients_and_one_bit_at_each_party(self):
        wire = self.run_clients(Q.client, True)
        seen = {}
        for path, body, stamp in wire:
            seen.setdefault(path.rsplit("/", 1)[1], (body, stamp))
        self.assertEqual(sorted(seen), ["sign_raw_payload", "sign_raw_payloads", "sign_transaction"])
        for body, stamp in seen.values():
            self.assertGreater(refused_by_each(self, Q, body, stamp), 600)

    def test_a_client_without_digests(self):
        self.run_clients(PLAIN, False)


if __name__ == "__main__":
    kit.main()
