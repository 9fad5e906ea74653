#!/usr/bin/env python3
"""The host is not trusted: noise on the party's sockets, administration where it has no place, and
gateways that lie to clients."""

import http.server
import json
import os
import socket
import stat
import struct
import threading
import unittest

from rig import documents, ec, frames, suite
from rig.documents import item
from rig.quorum import Quorum, ctl, new_folder, until, verify

Q = EVIL = F = None
ERR = {"MALFORMED": 100, "STAMP_MISSING": 500, "STAMP_INVALID": 501, "ADMIN": 514,
       "APPROVAL_INVALID": 521}


def setUpModule():
    """A quorum, and another one of somebody who claims to be the same cluster."""
    global Q, EVIL, F
    F = new_folder()
    Q, EVIL = Quorum(), Quorum()
    EVIL.cluster = Q.cluster
    Q.start()
    Q.keygen()
    EVIL.start(gateways=False)
    EVIL.keygen()
    with open(path("roster"), "wb") as f:
        f.write(Q.roster)
    with open(path("file"), "wb") as f:
        f.write(b"for a lying gateway\n")
    Q.client.write_pem(path("client.pem"))
    Q.admins[0].write_pem(path("admin.pem"))
    Q.sign()


def tearDownModule():
    Q.kill()
    EVIL.kill()


def path(name):
    return os.path.join(F, name)


def framed(b):
    return struct.pack(">I", len(b)) + b


class Sockets(unittest.TestCase):
    def setUp(self):
        self.p = Q.party[1]
        self.gateway = frames.Host(self.p.gateway_socket)  # of somebody else, all the time
        self.mark = self.p.mark()

    def tearDown(self):
        self.served()
        self.gateway.s.close()

    def served(self):
        body = Q.body()
        a = self.gateway.ask(frames.ask_sign(body, [documents.stamp(Q.client, body)]))
        self.assertEqual((a.error, a.detail), (0, ""))

    def test_bytes_that_are_no_question(self):
        good = frames.ask_query("READY")
        query = frames.number(1, frames.QUERY["READY"])
        for name, sent in (
                ("noise", bytes(range(255, -1, -1)) * 4),
                ("HTTP", b"GET /v1/keys HTTP/1.1\r\n\r\n"),
                ("empty frame", struct.pack(">I", 0)),
                ("frame of 4 GiB", struct.pack(">I", 2**32 - 1)),
                ("frame just too long", struct.pack(">I", 310000)),
                ("cut-off message", framed(good[:-1])),
                ("bytes after it", framed(good + b"\0")),
                ("unknown field", framed(good + frames.number(15, 1))),
                ("unknown field within", framed(frames.number(1, 1) + frames.number(2, 1) +
                                                frames.block(4, query + frames.number(9, 1)))),
                ("fields out of order", framed(frames.number(2, 1) + frames.number(1, 1) +
                                               frames.block(4, query))),
                ("a field twice", framed(frames.number(1, 1) + good)),
                ("a number with a byte too many", framed(b"\x08\x81\x00" + frames.number(2, 1) +
                                                         frames.block(4, query))),
                ("no question", framed(frames.number(1, 1) + frames.number(2, 1))),
                ("two questions", framed(good + frames.block(5, frames.number(1, 4)))),
                ("version 2", framed(frames.ask_query("READY", version=2))),
                ("unknown query", framed(frames.ask_query(77))),
                ("query 0", framed(frames.ask_query(0))),
                ("unknown administration", framed(frames.ask_admin(77))),
                ("key of 32 bytes", framed(frames.ask_query("KEY", bytes(32)))),
                ("argument that is not wanted", framed(frames.ask_query("STATUS", b"x"))),
                ("empty body", framed(frames.ask_sign(b"", []))),
                ("body of 64 KiB and a byte", framed(frames.ask_sign(bytes(65537), ["x"]))),
                ("nine stamps", framed(frames.ask_sign(b"{}", ["x"] * 9))),
                ("stamp of 2 KiB and a byte", framed(frames.ask_sign(b"{}", ["x" * 2049])))):
            with self.subTest(name), frames.Host(self.p.gateway_socket) as h:
                mark = self.p.mark()
                h.raw(sent)
                self.assertTrue(h.closed(), "it was not closed")
                self.p.wait_event("bad_frame", "closed", mark)
            self.served()

    def test_good_questions_before_a_bad_one_are_answered(self):
        with frames.Host(self.p.gateway_socket) as h:
            h.raw(framed(frames.ask_query("READY", ask_id=5)) * 3)
            self.assertEqual([h.receive().id for _ in range(3)], [5, 5, 5])
            h.raw(b"\0" * 4)
            self.assertTrue(h.closed())

    def test_one_byte_at_a_time(self):
        with frames.Host(self.p.gateway_socket) as h:
            for b in framed(frames.ask_query("READY", ask_id=2**63)):
                h.raw(bytes((b,)))
            self.assertEqual(h.receive().id, 2**63)

    def test_cut_off(self):
        for n in (1, 3, 4, 10):
            with frames.Host(self.p.gateway_socket) as h:
                h.raw(framed(frames.ask_query("STATUS"))[:n])
            self.served()

    def test_administration_by_the_gateway(self):
        doc = Q.make_policy(9)
        for name, ask in (
                ("policy", frames.ask_admin("LOAD_POLICY", doc, Q.stamps(doc))),
                ("roster", frames.ask_admin("LOAD_ROSTER", Q.roster, Q.stamps(Q.roster))),
                ("command", frames.ask_admin("COMMAND", b"{}", ["x"])),
                ("drain", frames.ask_admin("DRAIN"))):
            with self.subTest(name):
                a = self.gateway.ask(ask)
                self.assertEqual(a.error, ERR["ADMIN"])
                self.assertEqual(a.detail,
                                 "administration is only answered on the operator's socket")
        self.assertEqual(self.p.status()["policy_serial"], 1)

    def test_every_party_checks_the_stamp_itself(self):
        """What a gateway could change, each party refuses alone."""
        body = Q.body()
        stamp = documents.stamp(Q.client, body)
        changed = bytearray(body)
        changed[len(body) // 2] ^= 1
        for p in Q.parties:
            for name, stamps, sent, error, words in (
                    ("a bit", [stamp], bytes(changed), "STAMP_INVALID", "not over these bytes"),
                    ("no stamp", [], body, "STAMP_MISSING", "missing"),
                    ("two stamps", [stamp, stamp], body, "APPROVAL_INVALID", "no approver with its key")):
                with self.subTest(f"{name}, party {p.index}"):
                    a = p.ask(frames.ask_sign(sent, stamps), p.gateway_socket)
                    self.assertEqual(a.error, ERR[error], a.detail)
                    self.assertIn(words, a.detail)
        self.assertEqual(Q.post(1, body, stamp).status, 200)

    def test_host_that_does_not_read(self):
        """Its answers are not kept for ever, and nobody waits for it."""
        with frames.Host(self.p.gateway_socket) as h:
            h.s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
            h.s.settimeout(20)
            asks = framed(frames.ask_query("STATUS")) * 500
            try:
                for _ in range(40):
                    h.raw(asks)
            except OSError:
                pass  # closed while we were writing
            self.p.wait_event("host_stalled", "answers pile up unread", self.mark)

    def test_host_that_leaves(self):
        """The request it brought is signed all the same; asked again, the answer is there."""
        body = Q.body()
        stamp = documents.stamp(Q.client, body)
        with frames.Host(self.p.gateway_socket) as h:
            h.send(frames.ask_sign(body, [stamp]))
        until(lambda: Q.post(1, body, stamp).status == 200, "the answer")
        first, second = Q.post(1, body, stamp).json, Q.post(1, body, stamp).json
        self.assertEqual(first["signatures"], second["signatures"])

    def test_all_connections_taken(self):
        """The operator still gets in."""
        held = []
        try:
            for _ in range(80):
                held.append(frames.Host(self.p.gateway_socket))
            self.p.wait_event("connection_refused", "too many host connections", self.mark)
            self.assertEqual(self.p.status()["party"], 1)
            self.served()
        finally:
            for h in held:
                h.s.close()
        until(lambda: Q.post(1, Q.body()).status == 200, "service")

    def test_modes_of_the_sockets(self):
        for name, mode in ((self.p.gateway_socket, 0o660), (self.p.admin_socket, 0o600)):
            self.assertEqual(stat.S_IMODE(os.stat(name).st_mode), mode)

    @unittest.skipIf(os.geteuid() != 0, "needs root, to be another user")
    def test_another_user_on_the_operators_socket(self):
        """Even when its file lets him in."""
        os.chmod(Q.folder, 0o755)
        os.chmod(self.p.admin_socket, 0o666)
        child = os.fork()
        if child == 0:
            code = 9
            try:
                os.setgid(65534)
                os.setuid(65534)
                h = frames.Host(self.p.admin_socket)
                code = 1 if h.closed() else 2
            finally:
                os._exit(code)
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), 1)
        os.chmod(self.p.admin_socket, 0o600)
        self.p.wait_event("connection_refused", "this user may not use the operator's socket",
                          self.mark)


class Liar(http.server.ThreadingHTTPServer):
    """A gateway that passes requests on to party 1 and does something to the answers."""

    def __init__(self, change):
        self.change, self.asked = change, 0
        super().__init__(("127.0.0.1", 0), Passing)
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.shutdown()
        self.server_close()


class Passing(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def handle_any(self):
        from rig import web
        self.server.asked += 1
        n = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(n) if n else None
        sent = [(k, v) for k, v in self.headers.items() if k in ("Content-Type", "X-Stamp")]
        r = web.request(Q.party[1].http, self.command, self.path, body, sent)
        status, out, length = self.server.change(self.path, r.status, r.body)
        if status is None:
            return  # no answer at all
        self.send_response(status)
        self.send_header("Content-Type", r.headers["content-type"])
        self.send_header("Content-Length", str(len(out) if length is None else length))
        self.end_headers()
        self.wfile.write(out)

    do_GET = do_POST = handle_any


def sign(gateways, *options, key=None):
    return ctl("sign", "--gateway", gateways, "--roster", path("roster"), "--client",
               path("client.pem"), "--key", key or Q.key["key"], "--json", *options, path("file"))


def true_url():
    host, port = Q.party[1].http
    return f"http://{host}:{port}"


def on_key(change):
    """Something done to the key's record alone."""
    def f(where, status, body):
        if "/keys/" not in where:
            return status, body, None
        o = json.loads(body)
        new = change(o)
        return 200, json.dumps(o if new is None else new).encode(), None
    return f


def on_signed(change):
    """Something done to the answer with the signature."""
    def f(where, status, body):
        if where != "/v1/sign":
            return status, body, None
        o = json.loads(body)
        new = change(o)
        return status, json.dumps(o if new is None else new).encode(), None
    return f


def flip(o, name):
    o[name] = f"{int(o[name], 16) ^ 1:0{len(o[name])}x}"


def put(o, **members):
    o.update(members)


class LyingGateways(unittest.TestCase):
    def refused(self, change, words, key=None):
        """The client says no with exit code 77 and these words, shows nothing, and goes on to the
        next gateway if it has one."""
        with Liar(change) as liar:
            r = sign(liar.url, key=key)
            self.assertEqual((r.returncode, r.out), (77, ""), r.err)
            self.assertIn(f"{liar.url} is not to be trusted: ", r.err)
            self.assertIn(words, r.err)
            if key is None:
                r = sign(f"{liar.url},{true_url()}")
                self.assertEqual(r.returncode, 0, r.err)
                self.assertIn("trying the next gateway", r.err)
                self.assertTrue(json.loads(r.out)["verified"])

    def test_honest(self):
        with Liar(lambda where, status, body: (status, body, None)) as g:
            r = sign(g.url)
            self.assertEqual(r.returncode, 0, r.err)
            self.assertEqual(g.asked, 2)

    def test_key_of_another_quorum(self):
        # A quorum of the attacker's: everything in its record is consistent and confirmed.
        self.refused(on_key(lambda o: EVIL.key), "party 1 of the key is not party 1 of the roster",
                     key=EVIL.key["key"])
        self.refused(on_key(lambda o: EVIL.key), "it showed another key than the one asked for")
        self.refused(on_key(lambda o: {**EVIL.key, "key": Q.key["key"]}), "contradicts itself")

    def test_changed_key_record(self):
        parties = EVIL.key["parties"]
        for name, change, words in (
                ("confirmation", lambda o: flip(o["parties"][1], "confirmation"),
                 "the key's confirmation by party 2 does not verify"),
                ("confirmations of others", lambda o: put(o, parties=parties), ""),
                ("chain code", lambda o: flip(o, "chain_code"), ""),
                ("threshold", lambda o: put(o, t=3), ""),
                ("cluster", lambda o: flip(o, "cluster"), ""),
                ("administrators", lambda o: flip(o, "admin_hash"), ""),
                ("flag of the software TEE", lambda o: o.pop("insecure_sim") and None, ""),
                ("a party less", lambda o: put(o, parties=o["parties"][:2]), "cannot be read"),
                ("a member more", lambda o: put(o, more=1), "cannot be read"),
                ("no record", lambda o: [], "cannot be read")):
            with self.subTest(name):
                self.refused(on_key(change), words)

    def test_changed_signature(self):
        n = ec.SECP256K1.n

        def first(o):
            return o["signatures"][0]
        for name, change, words in (
                ("r", lambda o: flip(first(o), "r"), "does not verify"),
                ("s", lambda o: flip(first(o), "s"), "does not verify"),
                ("high s", lambda o: put(first(o), s=f"{n - int(first(o)['s'], 16):064x}"), ""),
                ("zero", lambda o: put(first(o), r="00" * 32), ""),
                ("recovery id", lambda o: put(first(o), recid=first(o)["recid"] ^ 1),
                 "does not verify"),
                ("digest", lambda o: flip(first(o), "digest"), "digest"),
                ("request", lambda o: flip(o, "request"), "request"),
                ("key", lambda o: put(o, key=EVIL.key["key"]), "key"),
                ("one more", lambda o: o["signatures"].append(first(o)), "signatures"),
                ("none", lambda o: put(o, signatures=[]), ""),
                ("a member more", lambda o: put(o, more=1), "more"),
                ("no object", lambda o: [o], "")):
            with self.subTest(name):
                self.refused(on_signed(change), words)

    def test_answer_to_another_request(self):
        """A true signature of the quorum, over something else."""
        other = Q.sign(1, [item(b"another file")])
        self.refused(on_signed(lambda o: other), "")

    def test_broken_answers(self):
        for name, change in (
                ("cut off", lambda w, s, b: (s, b[:-5], len(b))),
                ("empty", lambda w, s, b: (s, b"", 0)),
                ("half the JSON", lambda w, s, b: (s, b[:len(b) // 2], None)),
                ("nothing", lambda w, s, b: (None, b"", 0)),
                ("far too long", lambda w, s, b: (s, b + b" " * 5000000, None)),
                ("500", lambda w, s, b: (500, b"oops", None)),
                ("no such key", lambda w, s, b: (404, b'{"code":"key_unknown"}', None)),
                ("not allowed", lambda w, s, b: (403, b'{"code":"policy_denied"}', None)),
                ("503 without reason", lambda w, s, b: (503, b"", None))):
            with self.subTest(name), Liar(change) as liar:
                r = sign(liar.url)
                self.assertIn(r.returncode, (64, 70, 75, 77), r.err)
                self.assertEqual(r.out, "")
                self.assertIn(liar.url, r.err)
                r = sign(f"{liar.url},{true_url()}")
                self.assertEqual(r.returncode, 0, r.err)

    def test_gateway_that_is_not_there(self):
        s = socket.socket()
        s.bind(("127.0.0.1", 0))  # bound, not listening: nobody else gets this port meanwhile
        with s:
            dead = f"http://127.0.0.1:{s.getsockname()[1]}"
            r = sign(dead)
            self.assertEqual(r.returncode, 75, r.err)
            self.assertIn(dead, r.err)
            r = sign(f"{dead},{true_url()}")
            self.assertEqual(r.returncode, 0, r.err)
            self.assertIn("trying the next gateway", r.err)

    def test_refusal_by_all(self):
        """A gateway's refusal may be a lie, so the next one is asked; the quorum's is the same."""
        ec.Key().write_pem(path("stranger.pem"))
        with Liar(lambda w, s, b: (s, b, None)) as g:
            r = ctl("sign", "--gateway", f"{true_url()},{g.url}", "--roster", path("roster"),
                    "--client", path("stranger.pem"), "--key", Q.key["key"], path("file"))
            self.assertEqual(r.returncode, 77, r.err)
            self.assertEqual(r.err.count("client_unknown"), 2)
            self.assertEqual(g.asked, 1)  # the key is known by then


class LyingParty(unittest.TestCase):
    def test_keygen_answered_with_another_key(self):
        """A host between the operator and his party: the new key is checked before it is shown."""
        name = path("fake.sock")
        server = socket.socket(socket.AF_UNIX)
        server.bind(name)
        server.listen()
        records = [json.dumps(EVIL.key).encode(),
                   json.dumps({**Q.key, "chain_code": "00" * 32}).encode(), b"{}"]

        def serve():
            for record in records:
                c, _ = server.accept()
                n = struct.unpack(">I", c.recv(4, socket.MSG_WAITALL))[0]
                ask = frames.parse(c.recv(n, socket.MSG_WAITALL))
                c.sendall(framed(frames.number(1, ask[1][0]) + frames.number(2, 1) +
                                 frames.blob(8, record)))
                c.close()
        t = threading.Thread(target=serve, daemon=True)
        t.start()
        for words in ("is not party 1 of the roster", "", "no key record"):
            r = ctl("keygen", "--socket", name, "--key", path("admin.pem"), "--roster",
                    path("roster"), "--t", 2)
            self.assertEqual((r.returncode, r.out), (77, ""), r.err)
            self.assertIn(words, r.err)
        t.join()
        server.close()

    def test_key_file_that_others_can_read(self):
        Q.client.write_pem(path("open.pem"))
        os.chmod(path("open.pem"), 0o640)
        r = ctl("sign", "--gateway", true_url(), "--roster", path("roster"), "--client",
                path("open.pem"), "--key", Q.key["key"], path("file"))
        self.assertEqual(r.returncode, 78)
        self.assertIn("mode 0640 lets others use this private key; chmod 0600 it", r.err)


if __name__ == "__main__":
    suite.main()
