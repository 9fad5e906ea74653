#!/usr/bin/env python3
"""Hostile HTTP, row by row: what is sent byte for byte, and the one answer that is right. After each row
an honest client is served, and no row has had anything signed."""

import json
import socket
import threading
import time
import unittest

from rig import documents, suite, web
from rig.quorum import Quorum, until, verify

Q = None
CLOSED = "closed"  # the connection ends without an answer


def setUpModule():
    global Q
    Q = Quorum()
    for p in Q.parties:
        p.write_gateway_config("request_timeout = 1s\nidle_timeout = 1s\n")
    Q.start()
    Q.keygen()
    Q.sign()


def tearDownModule():
    Q.kill()


def head(*lines, start="POST /v1/sign HTTP/1.1", host=True):
    """A request's head."""
    first = [start] + (["Host: h"] if host else [])
    return "\r\n".join([*first, *lines, "", ""]).encode("latin-1")


def stamped(body):
    return ["Content-Type: application/json", f"X-Stamp: {documents.stamp(Q.client, body)}"]


def signatures():
    return sum(int(float(line.split()[1])) for p in Q.parties
               for line in p.query("METRICS").splitlines()
               if line.startswith("quorated_signatures_total "))


class Table(unittest.TestCase):
    def rows(self, *rows):
        """name, bytes, right answer: (status, code) | (status, None) | CLOSED; more than one where
        two versions of the HTTP library differ, each of them safe."""
        before = signatures()
        for name, sent, *right in rows:
            with self.subTest(name):
                with web.Raw(Q.party[1].http, timeout=4) as c:
                    c.send(sent)
                    r = c.reply()
                    got = CLOSED if r is None else (r.status, r.code or None)
                    self.assertIn(got, right, r)
                    if r is not None and r.status != 200:
                        self.assertLess(len(r.body), 2048)
        self.assertEqual(signatures(), before, "one of these had something signed")
        self.honest()

    def honest(self):
        body = Q.body()
        r = Q.post(1, body)
        self.assertEqual(r.status, 200, r)
        verify(json.loads(body), r.json, Q.key)

    def good(self, *more, body=None):
        body = Q.body() if body is None else body
        return head(*stamped(body), *more, f"Content-Length: {len(body)}") + body

    def test_lengths(self):
        body = Q.body()
        st, n = stamped(body), len(body)
        bad = (400, "malformed")
        self.rows(
            ("two lengths that differ",
             head(*st, f"Content-Length: {n}", f"Content-Length: {n + 1}") + body, bad),
            ("two lengths that agree",
             head(*st, f"Content-Length: {n}", f"Content-Length: {n}") + body, bad),
            ("a list of lengths", head(*st, f"Content-Length: {n}, {n}") + body, (400, None), bad),
            ("a sign", head(*st, f"Content-Length: +{n}") + body, (400, None), bad),
            ("a minus", head(*st, "Content-Length: -1") + body, (400, None), bad),
            ("hex", head(*st, f"Content-Length: {n:#x}") + body, (400, None), bad),
            ("a leading zero", head(*st, f"Content-Length: 0{n}") + body, (400, None), bad),
            ("letters", head(*st, "Content-Length: many") + body, (400, None), bad),
            ("nothing", head(*st, "Content-Length:") + body, (400, None), bad),
            ("beyond 64 bits", head(*st, "Content-Length: 99999999999999999999") + body,
             (413, None), (400, None), bad),
            ("beyond 63 bits", head(*st, "Content-Length: 9223372036854775808") + body,
             (413, None), (400, None), bad),
            ("none", head(*st) + body, (411, "length_required")),
            ("zero", head(*st, "Content-Length: 0"), bad),
            ("100 KB above the limit",
             head(*st, "Content-Length: 100000") + b"x" * 100000, (413, "too_large")),
            ("a gigabyte, announced", head(*st, "Content-Length: 1000000000"),
             (413, "too_large")),
            ("shorter than announced, then the end",
             head(*st, f"Content-Length: {n + 9}") + body, CLOSED))

    def test_codings(self):
        body = Q.body()
        st, n = stamped(body), len(body)
        chunk = b"%x\r\n%s\r\n0\r\n\r\n" % (n, body)
        refused = (411, "length_required")
        self.rows(
            ("chunked", head(*st, "Transfer-Encoding: chunked") + chunk, refused),
            ("a chunk not closed",
             head(*st, "Transfer-Encoding: chunked") + b"%x\r\n%sXX" % (n, body), refused),
            ("a length and chunks", head(*st, f"Content-Length: {n}", "Transfer-Encoding: chunked") +
             chunk, (400, "malformed"), (400, None)),
            ("chunks and a length", head(*st, "Transfer-Encoding: chunked", f"Content-Length: {n}") +
             chunk, (400, "malformed"), (400, None)),
            ("chunked, hidden", head(*st, "Transfer-Encoding: xchunked") + chunk, refused,
             (400, None)),
            ("identity", head(*st, "Transfer-Encoding: identity", f"Content-Length: {n}") + body,
             (400, "malformed"), (400, None)),
            ("gzip", head(*st, "Content-Encoding: gzip", f"Content-Length: {n}") + body,
             (415, "media_type")),
            ("a chunk size beyond 64 bits", head(*st, "Transfer-Encoding: chunked") +
             b"fffffffffffffffff\r\n", refused))

    def test_smuggled(self):
        """A second request hidden behind the first is never served."""
        body = Q.body()
        st, n, second = stamped(body), len(body), self.good()
        before = signatures()
        for name, sent in (
                ("behind two lengths",
                 head(*st, f"Content-Length: {n}", "Content-Length: 0") + body + second),
                ("behind a length and chunks",
                 head(*st, "Content-Length: 4", "Transfer-Encoding: chunked") + b"0\r\n\r\n" + second),
                ("behind chunks", head(*st, "Transfer-Encoding: chunked") + b"0\r\n\r\n" + second),
                ("behind a length with a sign", head(*st, "Content-Length: +0") + second),
                ("behind a GET with chunks",
                 head("Transfer-Encoding: chunked", start="GET /upcheck HTTP/1.1") + b"0\r\n\r\n" +
                 second)):
            with self.subTest(name):
                with web.Raw(Q.party[1].http, timeout=4) as c:
                    c.send(sent)
                    r = c.reply()
                    self.assertTrue(r is None or 400 <= r.status <= 431, r)
                    self.assertIsNone(c.reply())
        self.assertEqual(signatures(), before)
        self.honest()

    def test_heads(self):
        body = Q.body()
        st, n = stamped(body), len(body)
        many = [f"X-{i}: 1" for i in range(65)]
        self.rows(
            ("no Host", head(*st, f"Content-Length: {n}", host=False) + body, (400, None)),
            ("two Hosts", head("Host: other", *st, f"Content-Length: {n}") + body,
             (400, "malformed"), (400, None)),
            ("65 fields more", head(*st, *many, f"Content-Length: {n}") + body,
             (400, "malformed")),
            ("40 KiB of head", head(*st, "X-Long: " + "a" * 40000, f"Content-Length: {n}") + body,
             (431, None), CLOSED),
            ("a NUL in a field's name", head(*st, "X-A\0: b", f"Content-Length: {n}") + body,
             (400, "malformed"), (400, None), CLOSED),
            ("a NUL in the stamp", head(st[0], "X-Stamp: \0" + st[1][9:], f"Content-Length: {n}") +
             body, (400, "malformed"), (400, None), (401, "stamp_missing"), CLOSED),
            ("two stamps", head(*st, st[1], f"Content-Length: {n}") + body, (400, "malformed")),
            ("two stamps in one", head(st[0], st[1] + ", " + st[1].split(" ")[1],
                                       f"Content-Length: {n}") + body, (401, "stamp_invalid")),
            ("a stamp of 2,049 bytes", head(st[0], "X-Stamp: " + "a" * 2049, f"Content-Length: {n}") +
             body, (413, "too_large")),
            ("eight approvals", head(*st, *["X-Approval: YQ"] * 8, f"Content-Length: {n}") + body,
             (400, "malformed")),
            ("an empty approval", head(*st, "X-Approval:", f"Content-Length: {n}") + body,
             (400, "malformed")),
            ("an approval of 2,049 bytes",
             head(*st, "X-Approval: " + "a" * 2049, f"Content-Length: {n}") + body,
             (413, "too_large")),
            ("an approval of nobody", head(*st, "X-Approval: YQ", f"Content-Length: {n}") + body,
             (401, "approval_invalid")),
            ("two types", head(*st, st[0], f"Content-Length: {n}") + body, (400, "malformed")),
            ("no stamp", head(st[0], f"Content-Length: {n}") + body, (401, "stamp_missing")),
            ("a form", head("Content-Type: application/x-www-form-urlencoded", st[1],
                            f"Content-Length: {n}") + body, (415, "media_type")),
            ("a preflight", head("Origin: https://evil.example",
                                 "Access-Control-Request-Method: POST",
                                 start="OPTIONS /v1/sign HTTP/1.1"), (405, "method_not_allowed")))
        # What is only unusual is served: 9 KiB of head, white space, and a NUL in a value that
        # nobody reads (versions of the HTTP library before 1.0 take it for the value's end).
        for more, right in (("X-Long: " + "a" * 9000, (200,)), ("X-Space:" + " " * 500 + "a", (200,)),
                            ("X-A: a\0b", (200, 400))):
            with web.Raw(Q.party[1].http) as c:
                c.send(self.good(more))
                self.assertIn(c.reply().status, right)

    def test_lines(self):
        self.rows(
            ("a path ending in %41", head(start="GET /v1/keys%41 HTTP/1.1"), (404, "route_unknown")),
            ("a path ending in %", head(start="GET /v1/keys% HTTP/1.1"), (404, "route_unknown")),
            ("an encoded path", head(start="GET /v1/%6beys HTTP/1.1"), (404, "route_unknown")),
            ("dots", head(start="GET /v1/../v1/keys HTTP/1.1"), (404, "route_unknown")),
            ("two slashes", head(start="GET //v1/keys HTTP/1.1"), (404, "route_unknown")),
            ("another host's URL", head(start="GET http://evil.example/v1/keys HTTP/1.1"),
             (404, "route_unknown"), (400, None)),
            ("a key in capitals", head(start="GET /v1/keys/02" + "AB" * 32 + " HTTP/1.1"),
             (404, "key_unknown")),
            ("a key too long", head(start="GET /v1/keys/02" + "ab" * 4000 + " HTTP/1.1"),
             (404, "key_unknown")),
            ("a parameter nobody knows", head(start="GET /v1/status?debug=1 HTTP/1.1"),
             (400, "malformed")),
            ("two nonces", head(start=f"GET /v1/attestation?nonce={'0' * 64}&nonce={'1' * 64} "
                                      "HTTP/1.1"), (400, "malformed")),
            ("an unknown method", head(start="BREW /v1/sign HTTP/1.1"), (405, "method_not_allowed")),
            ("TRACE", head(start="TRACE /v1/sign HTTP/1.1"), (405, "method_not_allowed")),
            ("CONNECT", head(start="CONNECT evil.example:443 HTTP/1.1"), (404, "route_unknown"),
             (405, "method_not_allowed"), (400, None)),
            ("HTTP/9.9", head(start="GET /v1/keys HTTP/9.9"), (505, None), (400, None), CLOSED),
            ("HTTP/2's preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", (505, None), (400, None),
             (404, "route_unknown"), CLOSED),
            ("TLS where there is none", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
             (400, None), (505, None), CLOSED),
            ("no line at all", b"\r\n\r\nrubbish\r\n\r\n", (400, None), (505, None), CLOSED),
            ("no version", b"GET /v1/keys\r\n\r\n", (400, None), (505, None), CLOSED),
            ("a body with a GET",
             head("Content-Length: 2", start="GET /v1/keys HTTP/1.1") + b"{}", (400, "malformed")))

    def test_administration_is_not_here(self):
        self.rows(*[(path, self.at(path), (404, "route_unknown")) for path in (
            "/v1/admin", "/v1/policy", "/v1/roster", "/v1/keygen", "/admin", "/debug", "/.git/config")])

    def at(self, path):
        body = Q.body()
        return head(*stamped(body), f"Content-Length: {len(body)}",
                    start=f"POST {path} HTTP/1.1") + body

    def test_raw_payload_form(self):
        """The other form's routes refuse in their own words; the codes are the same."""
        path = "/public/v1/submit/sign_raw_payload"
        body = Q.body()

        def ask(body, *headers):
            with web.Raw(Q.party[1].http) as c:
                c.send(head(*headers, f"Content-Length: {len(body)}",
                            start=f"POST {path} HTTP/1.1") + body)
                r = c.reply()
                return r.status, r.json["code"], r.json["details"][0]["code"]
        self.assertEqual(ask(body, *stamped(body)), (400, 3, "malformed"))  # the native form
        self.assertEqual(ask(body, "Content-Type: application/json"), (401, 16, "stamp_missing"))
        self.assertEqual(ask(body, "Content-Type: text/plain", "X-Stamp: YQ"),
                         (415, 3, "media_type"))
        self.honest()


class Slow(unittest.TestCase):
    """Clients that take their time: request_timeout and idle_timeout are 1 s here."""

    def ends_within(self, sent, drip, seconds):
        with web.Raw(Q.party[1].http, timeout=seconds + 4) as c:
            start = time.monotonic()
            c.send(sent)
            c.s.settimeout(0.1)
            while time.monotonic() - start < seconds + 4:
                try:
                    if drip:
                        c.send(drip)
                    if not c.s.recv(4096):
                        break
                except socket.timeout:
                    continue
                except OSError:
                    break
            took = time.monotonic() - start
        self.assertLess(took, seconds)

    def test_slow(self):
        body = Q.body()
        announced = head(*stamped(body), f"Content-Length: {len(body)}")
        jobs = [(b"", b"", 4), (b"POST /v1/sign HTTP/1.1\r\nHost: h\r\n", b"", 4),
                (b"POST /v1/sign HTTP/1.1\r\nHost: h\r\n", b"X-A: b\r\n", 4),
                (announced, b"", 4), (announced, b" ", 4), (head(start="GET /upcheck HTTP/1.1"),
                                                            b"", 4)]
        found = []

        def one(job):
            try:
                self.ends_within(*job)
            except AssertionError as e:
                found.append((job[:2], e))
        threads = [threading.Thread(target=one, args=(j,)) for j in jobs]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.assertEqual(found, [])
        Q.sign()

    def test_reader_that_does_not_read(self):
        """Answers nobody takes do not pile up: the connection is closed."""
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            s.settimeout(4)
            s.connect(Q.party[1].http)
            one = head(start="GET /v1/openapi.json HTTP/1.1")

            def closed():
                try:
                    s.send(one * 20, socket.MSG_DONTWAIT)
                except BlockingIOError:
                    return False
                except OSError:
                    return True
                return False
            until(closed, "the end of a connection that takes no answers", 8)
        Q.sign()


if __name__ == "__main__":
    suite.main()
