#!/usr/bin/env python3
"""The TypeScript client (clients/ts): offline, against a running quorum in Node, and in a browser."""

import os
import unittest

from lib import kit

Q = CONFIG = None
PAGE = f"http://127.0.0.1:{20000 + os.getpid() % 20000}"  # where the browser's page comes from


def setUpModule():
    global Q, CONFIG
    Q = kit.Quorum()
    for p in Q.parties:
        p.write_gateway_config(f"[api]\ncors = {PAGE}\n")
    Q.start(rules=[kit.allow()])
    Q.keygen()
    CONFIG = kit.config(Q)


def tearDownModule():
    Q.kill()


class Chain(unittest.TestCase):
    def test_accounts_of_viem_and_ethers(self):
        with kit.Anvil() as chain:
            own = kit.address_of(Q.key["key"])
            chain.fund(own)
            r = kit.node("ts_chain.mjs", kit.config(Q, chain=chain.url))
            self.assertEqual(len(r["mined"]), 4)
            for tx in r["mined"]:
                chain.mined(tx, own)


class Node(unittest.TestCase):
    def test_offline(self):
        ts = os.path.join(kit.WORK, "ts")
        kit.run("npx", "--no-install", "tsc", "-p", "test", cwd=ts)
        built = os.path.join(ts, "build-test")
        kit.node_tests(*sorted(os.path.join(built, f) for f in os.listdir(built) if f.endswith(".test.js")))

    def test_live(self):
        kit.node_tests(kit.js("ts_live.mjs"), config_file=CONFIG)


class Browser(unittest.TestCase):
    def test_a_page(self):
        r = kit.node("ts_browser.mjs", kit.config(Q, page_origin=PAGE), timeout=120)
        self.assertEqual(r["failed"], [])
        self.assertEqual(r["passed"], 9)


if __name__ == "__main__":
    kit.main()
