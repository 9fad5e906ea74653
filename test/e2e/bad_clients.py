#!/usr/bin/env python3
"""What a wrong, careless or hostile client may send. Each case is refused with its own code and
words, and after each one the next client is served."""

import http.client
import json
import socket
import threading
import time
import unittest

from rig import documents, ec, suite, web
from rig.documents import item
from rig.quorum import Quorum, until, verify

Q = None
STRANGER = ec.Key()
SECOND = ec.Key()  # a client that no rule names
OTHER = ec.Key("secp256k1")  # one that may do the same as the first


def setUpModule():
    global Q
    Q = Quorum()
    for p in Q.parties:
        p.write_gateway_config("request_timeout = 1s\nidle_timeout = 1s\nmax_per_ip = 64\n")
    Q.start()
    clients = {"client": Q.client, "second": SECOND, "other": OTHER}
    rules = [documents.allow("known", ["client", "other"])]
    Q.load("LOAD_POLICY", Q.make_policy(2, rules, clients=clients))
    Q.wait_up()
    Q.keygen()
    Q.sign()


def tearDownModule():
    Q.kill()


class Case(unittest.TestCase):
    def refused(self, r, status, code, words=""):
        self.assertIsNotNone(r, "the connection was closed without an answer")
        self.assertEqual((r.status, r.code), (status, code), r)
        self.assertIn(words, r.json["detail"])
        self.served()

    def served(self):
        body = Q.body()
        r = Q.post(1, body)
        self.assertEqual(r.status, 200, r)
        verify(json.loads(body), r.json, Q.key)


def changed(**over):
    """A good request with members exchanged; None takes a member out."""
    o = {**json.loads(Q.body()), **over}
    return documents.dump({k: v for k, v in o.items() if v is not None})


def text(old, new):
    """A good request's text with a piece exchanged."""
    body = Q.body()
    assert old in body
    return body.replace(old, new)


def with_items(*items):
    return changed(items=list(items))


class Bodies(Case):
    """Stamped correctly by a known client; what is inside is wrong."""

    def table(self, *rows):
        for name, body, status, code, words in rows:
            with self.subTest(name):
                self.refused(Q.post(1, body), status, code, words)

    def test_json(self):
        good = Q.body()
        deep = b'{"v":1,"x":' + b"[" * 40 + b"]" * 40 + b"}"
        self.table(
            ("empty object", b"{}", 400, "malformed", '"v"'),
            ("truncated", good[:-3], 400, "malformed", ""),
            ("no JSON", b"sign this please", 400, "malformed", ""),
            ("an array", b"[]", 400, "malformed", ""),
            ("a number", b"1", 400, "malformed", ""),
            ("something after it", good + b"{}", 400, "malformed", ""),
            ("two of a member", text(b'"path":', b'"path":[1],"path":'), 400, "malformed", ""),
            ("two of a member, within an item",
             text(b'"kind":', b'"kind":"sha256","kind":'), 400, "malformed", ""),
            ("too deep", deep, 413, "too_large", ""),
            ("invalid UTF-8", text(b'"sha256"', b'"sha\xff56"'), 400, "malformed", ""),
            ("escaped NUL", text(b'"sha256"', b'"sha\\u000056"'), 400, "malformed", ""),
            ("byte order mark", b"\xef\xbb\xbf" + good, 400, "malformed", ""),
            ("a fraction", text(b'"issued_ms":', b'"issued_ms":1.5e3,"x":'), 400, "malformed", ""),
            ("only spaces", b" " * 1000, 400, "malformed", ""))

    def test_members(self):
        self.table(
            ("unknown member", changed(more=1), 400, "malformed", "more"),
            ("no id", changed(id=None), 400, "malformed", "id"),
            ("no items", changed(items=None), 400, "malformed", "items"),
            ("no path", changed(path=None), 400, "malformed", "path"),
            ("version 2", changed(v=2), 400, "malformed", "v"),
            ("short id", changed(id="a" * 15), 400, "malformed", "id"),
            ("long id", changed(id="a" * 65), 413, "too_large", "id"),
            ("odd id", changed(id="aaaaaaaaaaaaaaa/"), 400, "malformed", "id"),
            ("numeric id", changed(id=7), 400, "malformed", "id"),
            ("upper-case key", changed(key=Q.key["key"].upper()), 400, "malformed", "key"),
            ("key of 04", changed(key="04" + "11" * 32), 400, "malformed", "key"),
            ("unknown key", changed(key="02" + "11" * 32), 404, "key_unknown", "no such key"),
            ("other cluster", changed(cluster="ab" * 32), 400, "wrong_cluster", "another cluster"),
            ("hardened", changed(path=[0, 2**31]), 400, "malformed",
             "path[1]: 2147483648 is a hardened index"),
            ("negative index", changed(path=[-1]), 400, "malformed",
             "only integers from 0 up"),
            ("index above 32 bits", changed(path=[2**32]), 413, "too_large", "path[0]"),
            ("path of 9", changed(path=[0] * 9), 413, "too_large", "path"),
            ("no item", changed(items=[]), 400, "malformed", "items"),
            ("65 items", with_items(*[item()] * 65), 413, "too_large", "items"))

    def test_items(self):
        self.table(
            ("unknown kind", with_items(item(b"x", "md5")), 400, "malformed", 'kind "md5"'),
            ("preimage and digest", with_items({**item(), "digest": "00" * 32}), 400, "malformed",
             'kind "sha256" takes "preimage" and nothing else'),
            ("neither", with_items({"kind": "sha256"}), 400, "malformed", "items[0]"),
            ("odd hex", with_items({"kind": "sha256", "preimage": "abc"}), 400, "malformed", "hex"),
            ("upper hex", with_items({"kind": "sha256", "preimage": "AB"}), 400, "malformed",
             "lower-case hex"),
            ("short digest", with_items({"kind": "digest", "digest": "00" * 31}), 400, "malformed",
             "items[0].digest"),
            ("digest without a rule", with_items({"kind": "digest", "digest": "00" * 32}), 403,
             "policy_denied", "client client may not have digest signed: no rule allows it"),
            ("one such among others",
             with_items(item(), {"kind": "digest", "digest": "00" * 32}), 403, "policy_denied",
             "digest"),
            ("no transaction", with_items(item(b"\x02\xc0", "eth_tx")), 422, "preimage_invalid",
             "items[0]"),
            ("signed transaction", with_items(item(b"\xc9" + b"\x01" * 9, "eth_tx")), 422,
             "preimage_invalid", "items[0]"),
            ("long preimage", with_items(item(bytes(32769))), 413, "too_large", ""))

    def test_times(self):
        now = documents.now_ms()

        def window(issued, expires):
            return changed(issued_ms=now + issued, expires_ms=now + expires)
        self.table(
            ("expired", window(-90000, -31000), 401, "expired", "expired"),
            ("not yet valid", window(40000, 90000), 401, "not_yet_valid",
             "in the future by this party's clock"),
            ("before the party started", window(-250000, 20000), 401, "expired",
             "before this party started; issue a new request"),
            ("lives too long", window(0, 300001), 403, "policy_denied", "lives"),
            ("lives for ever", window(0, 86400001), 400, "malformed", "at most 86400000"),
            ("ends before it begins", window(10, 10), 400, "malformed",
             "expires_ms must be after issued_ms"),
            ("time of 2^63", changed(expires_ms=2**63), 400, "malformed", "too big integer"))

    def test_largest_request_is_served(self):
        body = with_items(item(bytes(32000)))
        body = body[:-1] + b" " * (65536 - len(body)) + b"}"
        r = Q.post(1, body)
        self.assertEqual(r.status, 200, r)
        verify(json.loads(body), r.json, Q.key)


class Stamps(Case):
    def send(self, stamp, body=None):
        return Q.post(1, Q.body() if body is None else body, stamp)

    def test_missing_empty_and_doubled(self):
        body = Q.body()
        kind = ("Content-Type", "application/json")
        good = ("X-Stamp", documents.stamp(Q.client, body))
        self.refused(Q.post(1, body, headers=[kind]), 401, "stamp_missing", "X-Stamp")
        self.refused(Q.post(1, body, headers=[kind, ("X-Stamp", "")]), 401, "stamp_missing",
                     "empty")
        self.refused(Q.post(1, body, headers=[kind, good, good]), 400, "malformed",
                     "more than one X-Stamp")
        self.refused(Q.post(1, body, headers=[kind, ("X-Stamp", "a" * 2049)]), 413, "too_large",
                     "2048")

    def test_strangers(self):
        body = Q.body()
        self.refused(self.send(documents.stamp(STRANGER, body), body), 401, "client_unknown",
                     "no client with the stamp's key")
        # Nothing that a stranger sends is parsed.
        self.refused(self.send(documents.stamp(STRANGER, b"{"), b"{"), 401, "client_unknown", "")
        # Known to the policy, but no rule speaks of it.
        self.refused(self.send(documents.stamp(SECOND, body), body), 403, "policy_denied",
                     "client second may not have sha256 signed: no rule allows it")

    def test_over_something_else(self):
        body, other = Q.body(), Q.body()
        self.refused(self.send(documents.stamp(Q.client, other), body), 401, "stamp_invalid",
                     'the stamp of client "client" is not over these bytes')
        flipped = bytearray(body)
        flipped[-20] ^= 1
        self.refused(self.send(documents.stamp(Q.client, body), bytes(flipped)), 401,
                     "stamp_invalid", "not over these bytes")
        # Another's signature under a known client's name.
        forged = documents.stamp(STRANGER, body, publicKey=Q.client.public)
        self.refused(self.send(forged, body), 401, "stamp_invalid", "not over these bytes")

    def test_form(self):
        body = Q.body()
        signature = Q.client.sign(body)
        while len(signature) > 70:  # so that a byte more is still not too long
            signature = Q.client.sign(body)
        padded = bytes((0x30, signature[1] + 1, 2, signature[3] + 1, 0)) + signature[4:]
        good = {"publicKey": Q.client.public, "signature": signature.hex(),
                "scheme": documents.SCHEMES["p256"]}
        pack = documents.pack_stamp
        for name, stamp, words in (
                ("no base64url", "!!!!", "base64url"),
                ("padding", pack(good) + "=", "base64url"),
                ("no JSON", "AAAA", ""),
                ("unknown scheme", pack({**good, "scheme": "none"}), "unknown scheme"),
                ("another curve", pack({**good, "scheme": documents.SCHEMES["secp256k1"]}), None),
                ("more members", pack({**good, "x": 1}), "x"),
                ("member missing", pack({k: good[k] for k in ("scheme", "signature")}),
                 "publicKey"),
                ("upper case", pack({**good, "publicKey": Q.client.public.upper()}), "lower-case"),
                ("not DER", pack({**good, "signature": "00" * 64}), "DER"),
                ("DER with a byte too many", pack({**good, "signature": padded.hex()}), "DER")):
            with self.subTest(name):
                code = "client_unknown" if words is None else "stamp_invalid"
                self.refused(self.send(stamp, body), 401, code, words or "")


class Repetition(Case):
    def test_same_bytes_same_answer(self):
        body = Q.body([item(), item(b"two")])
        stamp = documents.stamp(Q.client, body)
        first = Q.post(1, body, stamp).json
        for again in (stamp, documents.stamp(Q.client, body)):
            second = Q.post(1, body, again)
            self.assertEqual(second.status, 200, second)
            for member in ("request", "key", "signatures", "signers"):
                self.assertEqual(second.json[member], first[member])
        self.served()

    def test_same_id_other_bytes(self):
        body = Q.body()
        name = json.loads(body)["id"]
        self.assertEqual(Q.post(1, body).status, 200)
        self.refused(Q.post(1, Q.body([item(b"other")], id=name)), 409, "replay_conflict",
                     "id: was used with another body before")
        # Nor does any other party lend a hand: two sets of signers always meet.
        for party in (2, 3):
            r = Q.post(party, Q.body([item(b"third")], id=name))
            self.assertIn(r.status, (409, 503), r)
        # The first one is not disturbed.
        self.assertEqual(Q.post(1, body).status, 200)
        self.served()

    def test_at_once_at_all_parties(self):
        """Three bodies with one id race: at most one is signed."""
        name = documents.new_id()
        bodies = [Q.body([item(b"%d" % i)], id=name) for i in range(6)]
        replies = [None] * 6

        def send(i):
            replies[i] = Q.post(1 + i % 3, bodies[i])
        threads = [threading.Thread(target=send, args=(i,)) for i in range(6)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.assertLessEqual(sum(r.status == 200 for r in replies), 1, replies)
        for r in replies:
            self.assertIn(r.status, (200, 409, 503), r)
        self.served()

    def test_the_same_at_once(self):
        """A client that does not wait: one signature at one party, however often it asks."""
        body = Q.body()
        stamp = documents.stamp(Q.client, body)
        replies = []
        threads = [threading.Thread(target=lambda: replies.append(Q.post(1, body, stamp)))
                   for _ in range(8)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.assertEqual(len(replies), 8)
        for r in replies:
            if r.status != 200:
                self.assertEqual((r.status, r.code), (503, "not_ready"), r)
                self.assertIn("this very request is being worked on", r.json["detail"])
        signed = {r.json["signatures"][0]["r"] for r in replies if r.status == 200}
        self.assertEqual(len(signed), 1)
        self.assertEqual(Q.post(1, body, stamp).json["signatures"][0]["r"], signed.pop())
        self.served()

    def test_one_clients_id_is_not_anothers(self):
        body = Q.body()
        name = json.loads(body)["id"]
        other = Q.body([item(b"another")], id=name)
        self.assertEqual(Q.post(1, other, documents.stamp(OTHER, other)).status, 200)
        r = Q.post(1, body)
        self.assertEqual(r.status, 200, r)
        verify(json.loads(body), r.json, Q.key)


def head(*lines):
    return "\r\n".join(lines + ("", "")).encode("latin-1")


def good_request(close=False):
    body = Q.body()
    return body, head("POST /v1/sign HTTP/1.1", "Host: q", "Content-Type: application/json",
                      f"X-Stamp: {documents.stamp(Q.client, body)}", f"Content-Length: {len(body)}",
                      *(["Connection: close"] if close else [])) + body


class Http(Case):
    def raw(self, *pieces):
        """The reply to bytes sent one after the other; None if there is none."""
        with web.Raw(Q.party[1].http) as c:
            for piece in pieces:
                c.send(piece)
            return c.reply()

    def test_framing(self):
        body, request = good_request()
        start, rest = request.split(b"Content-Length: ")
        n = b"%d" % len(body)
        for name, lines, status, code, words in (
                ("two lengths", b"Content-Length: %s\r\nContent-Length: 5" % n, 400, "malformed",
                 "more than one Content-Length"),
                ("two equal lengths", b"Content-Length: %s\r\nContent-Length: %s" % (n, n), 400,
                 "malformed", "more than one Content-Length"),
                ("signed length", b"Content-Length: +%s" % n, 400, None, None),
                ("chunked", b"Transfer-Encoding: chunked", 411, "length_required",
                 "Content-Length"),
                # newer HTTP libraries answer this one themselves, older ones leave it to us
                ("chunked and length", b"Content-Length: %s\r\nTransfer-Encoding: chunked" % n, 400,
                 None, None),
                ("no length", b"X-None: 1", 411, "length_required", "send a Content-Length"),
                ("length 0", b"Content-Length: 0", 400, "malformed", "empty"),
                ("too long", b"Content-Length: 65537", 413, "too_large", "65536 bytes"),
                ("far too long", b"Content-Length: 99999999999", 413, "too_large", "65536 bytes")):
            with self.subTest(name):
                message = start + lines + b"\r\n\r\n" + (body if status != 413 else b"")
                if code:
                    self.refused(self.raw(message + (b"x" * 65537 if b"65537" in lines else b"")),
                                 status, code, words)
                else:  # refused by the HTTP library in words of its own
                    self.assertEqual(self.raw(message).status, status)
                    self.served()
        self.assertIn(b"\r\n\r\n", rest)

    def test_headers(self):
        body = Q.body()
        stamp = ("X-Stamp", documents.stamp(Q.client, body))
        kind = ("Content-Type", "application/json")
        for name, headers, status, code, words in (
                ("no type", [stamp], 415, "media_type", "application/json"),
                ("text", [stamp, ("Content-Type", "text/plain")], 415, "media_type",
                 "application/json"),
                ("other character set",
                 [stamp, ("Content-Type", "application/json; charset=utf-7")],
                 415, "media_type", ""),
                ("two types", [stamp, kind, kind], 400, "malformed", "Content-Type"),
                ("packed", [stamp, kind, ("Content-Encoding", "gzip")], 415,
                 "media_type", "content codings"),
                ("two hosts", [stamp, kind, ("Host", "other")], 400, "malformed", "Host")):
            with self.subTest(name):
                self.refused(Q.post(1, body, headers=headers), status, code, words)
        many = [stamp, kind] + [(f"X-{i}", "1") for i in range(64)]
        self.refused(Q.post(1, body, headers=many), 400, "malformed", "64 header fields")
        with web.Raw(Q.party[1].http) as c:
            c.send(b"GET /livez HTTP/1.1\r\nHost: q\r\nX-Long: " + b"a" * 30000)
            self.assertEqual(c.reply().status, 431)
        self.served()

    def test_paths_and_methods(self):
        for method, where, status, code in (
                ("GET", "/", 404, "route_unknown"), ("GET", "/v1/sign", 405, "method_not_allowed"),
                ("POST", "/v1/keys", 405, "method_not_allowed"),
                ("PUT", "/v1/sign", 405, "method_not_allowed"),
                ("DELETE", "/v1/keys/" + Q.key["key"], 405, "method_not_allowed"),
                ("GET", "/v1/keys/xyz", 404, "key_unknown"),
                ("GET", "/v1/keys/" + "02" + "11" * 32, 404, "key_unknown"),
                ("GET", "/v1/keys?all", 400, "malformed"),
                ("GET", "/v1/attestation", 400, "malformed"),
                ("GET", "/v1/attestation?nonce=12", 400, "malformed"),
                ("GET", "/v1/../v1/keys", 404, "route_unknown"),
                ("GET", "/v1%2fkeys", 404, "route_unknown"),
                ("GET", "/v1/admin", 404, "route_unknown"),
                ("POST", "/v1/keygen", 404, "route_unknown")):
            with self.subTest(f"{method} {where}"):
                body = b"{}" if method in ("POST", "PUT") else None
                r = web.request(Q.party[1].http, method, where, body)
                self.refused(r, status, code)
                self.assertEqual("allow" in r.headers, status == 405)

    def test_no_http(self):
        for name, bytes_ in (
                ("noise", bytes(range(256)) * 8),
                ("TLS hello", bytes.fromhex("160301020001000101fc")),
                ("zeros", bytes(70000)), ("HTTP/0.9", b"GET /v1/keys\r\n\r\n"),
                ("a mad version", b"GET / HTTP/9.9\r\nHost: q\r\n\r\n"),
                ("no host", b"GET /livez HTTP/1.1\r\n\r\n"),
                ("endless request line", b"GET /" + b"a" * 100000)):
            with self.subTest(name), web.Raw(Q.party[1].http) as c:
                try:
                    c.send(bytes_)
                    c.shut()
                except OSError:
                    pass  # closed under our hands
                r = c.reply()
                if r is not None:
                    self.assertGreaterEqual(r.status, 400)
                self.served()

    def test_pipelining(self):
        """Requests without waiting are answered in order; a refused one ends the connection."""
        with web.Raw(Q.party[1].http) as c:
            sent = [good_request() for _ in range(5)]
            c.send(b"".join(r for _, r in sent))
            for body, _ in sent:
                r = c.reply()
                self.assertEqual(r.status, 200, r)
                verify(json.loads(body), r.json, Q.key)
        _, request = good_request()
        smuggled = request.replace(b"Content-Length:",
                                   b"Transfer-Encoding: chunked\r\nContent-Length:")
        with web.Raw(Q.party[1].http) as c:
            c.send(smuggled + request)
            r = c.reply()
            self.assertEqual(r.status, 400)  # in the library's words or ours
            self.assertIsNone(c.reply(), "what followed was read as a request")
        self.served()

    def test_cut_off(self):
        _, request = good_request()
        for n in (1, 20, len(request) // 2, len(request) - 1):
            with web.Raw(Q.party[1].http) as c:
                c.send(request[:n])
            self.served()

    def test_byte_by_byte_is_served(self):
        body, request = good_request()
        with web.Raw(Q.party[1].http) as c:
            for i in range(0, len(request), 16):
                c.send(request[i:i + 16])
            r = c.reply()
        self.assertEqual(r.status, 200, r)
        verify(json.loads(body), r.json, Q.key)

    def test_slow_ones_are_left(self):
        """Header and body that never end: closed after request_timeout, others served meanwhile."""
        _, request = good_request()
        slow = [web.Raw(Q.party[1].http) for _ in range(20)]
        body_only = web.Raw(Q.party[1].http)
        body_only.send(request[:-10])
        drip = threading.Event()

        def dripping():
            for i in range(len(request) - 20):
                for c in slow:
                    try:
                        c.send(request[i:i + 1])
                    except OSError:
                        return
                if drip.wait(0.05):
                    return
        t = threading.Thread(target=dripping)
        t.start()
        try:
            self.served()
            start = time.monotonic()
            for c in slow + [body_only]:
                self.assertTrue(c.ended())
            self.assertLess(time.monotonic() - start, 15)
        finally:
            drip.set()
            t.join()
            for c in slow + [body_only]:
                c.s.close()
        self.served()

    def test_too_many_connections(self):
        """One address may hold max_per_ip of them; the gateway says no to more and stays."""
        held = []
        try:
            for _ in range(80):
                c = socket.create_connection(Q.party[1].http, timeout=10)
                c.settimeout(10)
                held.append(c)
            # Those above the limit are closed at once, the others when they have idled.
            for c in held:
                self.assertEqual(c.recv(1), b"")
        finally:
            for c in held:
                c.close()
        def again():
            try:
                return Q.post(1, Q.body()).status == 200
            except (OSError, http.client.HTTPException):
                return False  # still counted
        until(again, "service")
        self.served()


if __name__ == "__main__":
    suite.main()
