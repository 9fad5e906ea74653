#!/usr/bin/env python3
"""A gateway under 5,000 hostile connections of four kinds: it stays within its limits, clients that it
knows are served, newcomers get in, and afterwards all is as before. What that costs: bench/flood.py."""

import json
import re
import time
import unittest

from rig import documents, suite, web
from rig.flood import Flood
from rig.quorum import Quorum, until, verify

Q = None
CONNECTIONS = 5000
STANDS = 2500  # so many, and the first closed again, are a flood: more than the gateway takes
LIMIT = 1500  # max_connections: more than that come


def setUpModule():
    global Q
    Q = Quorum()
    for p in Q.parties:
        p.write_gateway_config(f"max_connections = {LIMIT}\nrequest_timeout = 3s\n")
    Q.start()
    Q.keygen()
    Q.sign()


def tearDownModule():
    Q.kill()


def post(body):
    head = (f"POST /v1/sign HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\n"
            f"X-Stamp: {documents.stamp(Q.client, body)}\r\nContent-Length: {len(body)}\r\n\r\n")
    return head.encode() + body


def served(address):
    """Repeats the same bytes over new connections, as a client does, until they are signed."""
    body, tries = Q.body(), 0

    def once():
        nonlocal tries
        tries += 1
        try:
            with web.Raw(address, timeout=3) as c:
                c.send(post(body))
                r = c.reply()
        except OSError:
            return None
        if r is None or r.status == 503:
            return None
        assert r.status == 200, r
        verify(json.loads(body), r.json, Q.key)
        return r
    until(once, "a signature for a newcomer", 15)
    return tries


def gauge(address, name):
    text = web.request(address, "GET", "/metrics").body.decode()
    return int(re.search(rf"^quorate_gateway_{name} (\d+)$", text, re.M)[1])


class Floods(unittest.TestCase):
    def test_flood(self):
        """A flood that stands, while it grows to its full size."""
        address = Q.party[1].http
        with web.Raw(address, timeout=15) as known:
            body = Q.body()
            known.send(post(body))
            self.assertEqual(known.reply().status, 200)
            with Flood(address, CONNECTIONS) as flood:
                until(lambda: flood.opened >= STANDS and flood.closed, "the flood", 40)
                for _ in range(5):
                    # Over its connection of before, which is not closed for others.
                    body = Q.body()
                    known.send(post(body))
                    r = known.reply()
                    self.assertIsNotNone(r, "a client that is known lost its connection")
                    self.assertEqual(r.status, 200, r)
                    verify(json.loads(body), r.json, Q.key)
                tries = [served(address) for _ in range(3)]
                # As many as it takes, and not more: those at its limit are being closed.
                shed = until(lambda: flood.closed, "closed connections", 10)
                print(f"{flood.summary()}; newcomers tried {tries} times", flush=True)
            self.assertGreater(shed, 0)
        until(lambda: gauge(address, "connections") <= 5, "an empty gateway")
        self.assertEqual(gauge(address, "in_flight"), 0)
        self.assertGreater(gauge(address, "shed_connections_total"), 0)
        self.assertTrue(Q.party[1].gateway.events("crowded"))
        start = time.monotonic()
        Q.sign()
        self.assertLess(time.monotonic() - start, 5)
        self.assertTrue(all(p.running() and p.gateway.running() for p in Q.parties))


if __name__ == "__main__":
    suite.main()
