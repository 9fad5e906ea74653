#!/usr/bin/env python3
"""A quorum's life, made with the command line: documents, key, signatures of every kind, a party
lost and back, a clean stop, a start that forgets nothing."""

import json
import os
import signal
import socket
import subprocess
import threading
import time
import unittest

from rig import documents, ec, suite, web
from rig.quorum import PATIENCE, Quorum, ctl, die_with_parent, new_folder, until, verify

# EIP-1559, chain 1, nonce 7, to 0x11..11, value 5, no data: unsigned.
ETH_TX = bytes.fromhex("02df" "01070203" "825208" "94" + "11" * 20 + "0580c0")
SIGNING = 'quorated_sessions{protocol="sign"}'
Q = F = None  # the quorum, and the folder of its documents


def path(name):
    return os.path.join(F, name)


def setUpModule():
    """All of it by the commands that an operator types."""
    global Q, F
    Q, F = Quorum(), new_folder()
    admin = ctl("key", "new", "--out", path("admin.pem"), check=0).out.strip()
    client = ctl("key", "new", "--scheme", "secp256k1", "--out", path("client.pem"), check=0)
    Q.spawn()
    sockets = []
    for p in Q.parties:
        ctl("descriptor", "--socket", p.admin_socket, "--out", path(f"d{p.index}"), check=0)
        sockets += ["--socket", p.admin_socket]
    ctl("roster", "new", "--name", "life", "--admin", f"admin:{admin}", "--need", 1,
        "--out", path("roster"), path("d1"), path("d2"), path("d3"), check=0)
    Q.client_hex = client.out.strip()
    write_policy("policy", 1, "known:allow:*:*:sha256,sha256d,eip191,eth_tx")
    for doc in ("roster", "policy"):
        ctl("stamp", "--key", path("admin.pem"), path(doc), check=0)
        ctl(doc, "load", *sockets, path(doc), check=0)
    for p in Q.parties:
        p.start_gateway()
    Q.wait_pairs()
    made = ctl("keygen", "--socket", Q.party[1].admin_socket, "--key", path("admin.pem"),
               "--roster", path("roster"), "--t", 2, "--json", check=0)
    Q.key = json.loads(made.out)
    Q.cluster = Q.key["cluster"]
    Q.client = pem_key(path("client.pem"), "secp256k1")
    Q.admins = [pem_key(path("admin.pem"), "p256")]


def tearDownModule():
    Q.kill()


def write_policy(name, serial, *rules):
    given = [x for r in rules for x in ("--rule", r)]
    ctl("policy", "new", "--roster", path("roster"), "--client",
        f"client:{Q.client_hex}:secp256k1", "--serial", serial, "--insecure-sim", *given,
        "--out", path(name), check=0)


def pem_key(file, scheme):
    """The rig's key from a PEM file, by openssl."""
    text = subprocess.check_output(["openssl", "ec", "-in", file, "-noout", "-text"],
                                   stderr=subprocess.DEVNULL).decode()
    digits = text.split("priv:")[1].split("pub:")[0].replace(":", "").split()
    key = ec.Key(scheme)
    key.d = int("".join(digits), 16)
    key.public = key.curve.encode(key.curve.mul_base(key.d)).hex()
    return key


def sign_by_ctl(name, *options, party=1):
    """Signs the file NAME; returns the printed result, NAME.der and NAME.pem."""
    r = ctl("sign", "--gateway", url(party), "--roster", path("roster"), "--client",
            path("client.pem"), "--key", Q.key["key"], "--der", path(name + ".der"), "--pem",
            path(name + ".pem"), "--json", *options, path(name), check=0)
    return json.loads(r.out)


def url(party):
    host, port = Q.party[party].http
    return f"http://{host}:{port}"


def openssl_verifies(name):
    return subprocess.run(["openssl", "dgst", "-sha256", "-verify", path(name + ".pem"),
                           "-signature", path(name + ".der"), path(name)],
                          capture_output=True, check=False).stdout == b"Verified OK\n"


class Signing(unittest.TestCase):
    def test_openssl_accepts_and_notices_a_changed_file(self):
        with open(path("file"), "wb") as f:
            f.write(b"pay 5 to nobody\n")
        out = sign_by_ctl("file")
        self.assertTrue(out["verified"])
        self.assertEqual(out["public_key"], Q.key["key"])
        self.assertTrue(openssl_verifies("file"))
        ctl("verify", "--key", Q.key["key"], "--signature", path("file.der"), path("file"), check=0)
        with open(path("file"), "ab") as f:
            f.write(b" ")
        self.assertFalse(openssl_verifies("file"))
        ctl("verify", "--key", Q.key["key"], "--signature", path("file.der"), path("file"),
            check=77)

    def test_every_kind_at_every_party(self):
        items = [documents.item(b"one"), documents.item(b"two", "sha256d"),
                 documents.item(b"three", "eip191"), documents.item(ETH_TX, "eth_tx"),
                 documents.item(b"")]
        for p in (1, 2, 3):
            a = Q.sign(p, items)
            self.assertIn(p, a["signers"])

    def test_children_by_path(self):
        for where in ([0], [0, 5], [2147483647, 0, 1, 2, 3, 4, 5, 6]):
            Q.sign(1, path=where)
        with open(path("child"), "wb") as f:
            f.write(b"of a child\n")
        out = sign_by_ctl("child", "--path", "44/0/7", party=2)
        chain_code = bytes.fromhex(Q.key["chain_code"])
        child = ec.child(bytes.fromhex(Q.key["key"]), chain_code, [44, 0, 7])
        self.assertEqual(out["public_key"], child.hex())
        self.assertTrue(openssl_verifies("child"))

    def test_64_items(self):
        a = Q.sign(3, [documents.item(b"item %d" % i) for i in range(64)], path=[1])
        self.assertEqual(len({s["r"] for s in a["signatures"]}), 64)

    def test_digest_only_where_a_rule_names_it(self):
        item = {"kind": "digest", "digest": "5a" * 32}
        r = Q.post(1, Q.body([item]))
        self.assertEqual((r.status, r.code, r.json["party"]), (403, "policy_denied", 1))
        self.assertIn("may not have digest signed: no rule allows it", r.json["detail"])
        write_policy("policy2", 2, "known:allow:*:*:sha256,sha256d,eip191,eth_tx",
                     f"raw:allow:client:{Q.key['key']}:digest")
        ctl("stamp", "--key", path("admin.pem"), path("policy2"), check=0)
        sockets = [x for p in Q.parties for x in ("--socket", p.admin_socket)]
        ctl("policy", "load", *sockets, path("policy2"), check=0)
        Q.wait_up()
        Q.sign(1, [item])
        with open(path("hashed"), "wb") as f:
            f.write(b"by its digest")
        sign_by_ctl("hashed", "--kind", "digest")
        self.assertTrue(openssl_verifies("hashed"))

    def test_plain_sockets_and_nng_together(self):
        with Quorum(pool=(0, 4, 0)) as q:
            q.party[2].write_config((0, 4, 0), "sock")
            q.party[3].write_config((0, 4, 0), "sock")
            q.start()
            q.keygen(t=3)
            self.assertEqual(q.sign(3)["signers"], [1, 2, 3])

    def test_a_second_key_that_needs_all(self):
        made = ctl("keygen", "--socket", Q.party[2].admin_socket, "--key", path("admin.pem"),
                   "--t", 3, "--json", check=0)
        key = json.loads(made.out)
        self.assertNotEqual(key["key"], Q.key["key"])
        self.assertEqual(Q.sign(2, key=key["key"])["signers"], [1, 2, 3])

    def test_listings_show_the_software_tee(self):
        keys = web.request(Q.party[3].http, "GET", "/v1/keys").json["keys"]
        shown = {k["key"]: k for k in keys}[Q.key["key"]]
        self.assertIs(shown["insecure_sim"], True)
        self.assertEqual((shown["t"], shown["n"], shown["state"]), (2, 3, "active"))
        record = web.request(Q.party[3].http, "GET", "/v1/keys/" + Q.key["key"]).json
        self.assertIs(record["insecure_sim"], True)
        self.assertEqual(len(record["parties"]), 3)
        self.assertIn("SOFTWARE TEE: NOT SECURE", ctl("keys", "--gateway", url(1), check=0).out)
        self.assertIn("SOFTWARE TEE: NOT SECURE",
                      ctl("status", "--socket", Q.party[1].admin_socket, check=0).out)

    def test_health_and_metrics(self):
        for route, text in (("/livez", b"alive\n"), ("/readyz", b"ready\n"), ("/upcheck", b"OK")):
            r = web.request(Q.party[1].http, "GET", route)
            self.assertEqual((r.status, r.body), (200, text))
        text = web.request(Q.party[1].http, "GET", "/metrics").body.decode()
        before = metric(text, "quorated_signatures_total")
        Q.sign(1, [documents.item()] * 3)
        text = web.request(Q.party[1].http, "GET", "/metrics").body.decode()
        self.assertEqual(metric(text, "quorated_signatures_total"), before + 3)
        self.assertEqual(metric(text, "quorated_ready"), 1)


def metric(text, name):
    return next(float(x.split()[1]) for x in text.splitlines() if x.startswith(name + " "))


def ready(p, key, members):
    """Presignatures of a key that party p owns with these members."""
    pools = next(k["pools"] for k in p.query("KEYS")["keys"] if k["key"] == key)
    return sum(x["ready"] for x in pools if x["set"] == members and x["owner"] == p.index)


class LossAndReturn(unittest.TestCase):
    def test_a_silent_signer_is_left_and_said(self):
        # Which set is asked first depends on round trips, so the silent one may be passed over.
        for _ in range(20):
            lazy = Q.party[next(i for i in Q.sign(1)["signers"] if i != 1)]
            lazy.process.send_signal(signal.SIGSTOP)
            try:
                a = Q.sign(1)
            finally:
                lazy.process.send_signal(signal.SIGCONT)
            self.assertNotIn(lazy.index, a["signers"])
            Q.wait_pairs()
            if "moves" in a:
                break
        self.assertEqual(a["moves"], 1)
        self.assertEqual(a["move_reason"], f"party {lazy.index}: it did not answer in time")

    def test_kill_sign_restart(self):
        times = []
        for victim in (2, 3):
            Q.party[victim].kill()
            old = Q.body()
            a = Q.sign(1)
            self.assertEqual(a["signers"], [1, 5 - victim])
            self.assertEqual(web.request(Q.party[victim].http, "GET", "/readyz").status, 503)
            start = time.monotonic()
            Q.party[victim].spawn()
            until(lambda p=victim: Q.post(p, Q.body()).status == 200, "the restarted to sign")
            times.append(time.monotonic() - start)
            self.assertIn(victim, Q.sign(victim)["signers"])
            # Its replay table is empty, so what was issued before its start is not signed there.
            r = Q.post(victim, old)
            self.assertEqual((r.status, r.code), (401, "expired"))
            self.assertIn("before this party started; issue a new request", r.json["detail"])
            Q.wait_pairs()
        print(f"restart to signature: {', '.join(f'{t:.2f} s' for t in times)}", flush=True)
        self.assertLessEqual(min(times), 2.0 * PATIENCE)

    def test_two_of_three_lost(self):
        Q.party[2].kill()
        Q.party[3].kill()
        try:
            until(lambda: not Q.party[1].up(), "party 1 to notice")
            r = Q.post(1, Q.body())
            self.assertEqual((r.status, r.code), (503, "quorum_unavailable"))
            self.assertEqual(r.headers["retry-after"], "1")
            self.assertIn("too few parties can sign", r.json["detail"])
            r = web.request(Q.party[1].http, "GET", "/readyz")
            self.assertEqual((r.status, r.code), (503, "not_ready"))
        finally:
            Q.party[2].start()
            Q.party[3].start()
        Q.wait_pairs()
        Q.sign(1)


class StopAndStart(unittest.TestCase):
    def test_sigterm_finishes_what_is_in_flight(self):
        """Requests wait for a member that does not move, and are answered once it does."""
        p1, p3 = Q.party[1], Q.party[3]
        key = Q.keygen(t=3)["key"]
        keys = {k["key"] for k in p1.query("KEYS")["keys"]}
        self.assertEqual(p1.stop(), 0)
        p1.write_config(more="[sign]\ntimeout = 30s\n")
        p1.start()
        Q.wait_pairs()
        self.assertEqual({k["key"] for k in p1.query("KEYS")["keys"]}, keys)
        serial, mark, answers = p1.status()["store_serial"], p1.mark(), []
        until(lambda: ready(p1, key, [1, 2, 3]) >= 8, "presignatures")
        bodies = [Q.body(key=key) for _ in range(4)]
        threads = [threading.Thread(target=lambda b=b: answers.append((b, Q.post(1, b))))
                   for b in bodies]
        p3.process.send_signal(signal.SIGSTOP)
        try:
            for t in threads:
                t.start()
            until(lambda: metric(p1.query("METRICS"), SIGNING) == 4, "four requests in flight")
            p1.process.terminate()
            p1.wait_event("draining", since=mark)
        finally:
            p3.process.send_signal(signal.SIGCONT)
        for t in threads:
            t.join()
        self.assertEqual(p1.ends(), 0)
        for body, r in answers:
            self.assertEqual(r.status, 200, r)
            verify(json.loads(body), r.json, Q.record_of(key))
        p1.wait_event("stopped", "drained and stopped", mark)
        r = Q.post(1, Q.body())
        self.assertEqual((r.status, r.code), (503, "not_ready"))
        p1.write_config()
        p1.start()
        self.assertEqual({k["key"] for k in p1.query("KEYS")["keys"]}, keys)
        self.assertGreater(p1.status()["store_serial"], serial)
        Q.wait_pairs()
        Q.sign(1)

    def test_sigterm_and_no_presignatures(self):
        """What cannot be finished is answered, at once, so that the client can go elsewhere."""
        p1, p3 = Q.party[1], Q.party[3]
        key = Q.keygen(t=3)["key"]
        self.assertEqual(p1.stop(), 0)
        p1.write_config(pool=(0, 0, 0))
        p1.start()
        Q.wait_pairs()
        replies = []
        threads = [threading.Thread(target=lambda: replies.append(Q.post(1, Q.body(key=key))))
                   for _ in range(4)]
        p3.process.send_signal(signal.SIGSTOP)
        try:
            for t in threads:
                t.start()
            until(lambda: metric(p1.query("METRICS"), SIGNING) == 4, "four requests in flight")
            p1.process.terminate()
            for t in threads:
                t.join()
            self.assertEqual(p1.ends(), 0)
        finally:
            p3.process.send_signal(signal.SIGCONT)
        for r in replies:
            self.assertEqual((r.status, r.code), (503, "not_ready"), r)
            self.assertIn("this party is shutting down; ask another one", r.json["detail"])
        p1.write_config()
        p1.start()
        Q.wait_pairs()
        Q.sign(1)

    def test_drain_by_the_operators_socket_and_gateway(self):
        p3 = Q.party[3]
        self.assertEqual(p3.admin("DRAIN").error, 0)
        self.assertEqual(p3.ends(), 0)
        self.assertEqual(p3.gateway.stop(), 0)
        p3.start()
        p3.start_gateway()
        Q.wait_pairs()
        Q.sign(3)

    def test_service_manager_is_told(self):
        p2, name = Q.party[2], path("notify")
        p2.stop()
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
            s.bind(name)
            s.settimeout(20)
            os.environ["NOTIFY_SOCKET"] = name
            try:
                p2.spawn(die_with_parent)
            finally:
                del os.environ["NOTIFY_SOCKET"]
            said = ""
            while "READY=1" not in said:
                said += s.recv(4096).decode() + "\n"
            self.assertIn("STATUS=", said)
            p2.process.terminate()
            while "STOPPING=1" not in said:
                said += s.recv(4096).decode() + "\n"
        self.assertEqual(p2.ends(), 0)
        p2.start()
        Q.wait_pairs()


class Https(unittest.TestCase):
    """The gateway's own TLS, and the client that checks it."""

    def setUp(self):
        self.g = Q.party[3].gateway
        self.assertEqual(self.g.stop(), 0)
        for name in ("https", "other"):
            subprocess.check_call(
                ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                 "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=gateway", "-addext",
                 f"subjectAltName=IP:{Q.party[3].http[0]}", "-days", "2", "-keyout",
                 path(name + ".key"), "-out", path(name + ".pem")], stderr=subprocess.DEVNULL)
            os.chmod(path(name + ".key"), 0o600)
        Q.party[3].write_gateway_config(
            f"tls_cert = {path('https.pem')}\ntls_key = {path('https.key')}\n")

    def tearDown(self):
        self.g.kill()
        for name in ("https", "other"):
            os.unlink(path(name + ".key"))
        Q.party[3].write_gateway_config()
        Q.party[3].start_gateway()

    def ends(self, words):
        mark = self.g.mark()
        self.g.spawn()
        self.assertEqual(self.g.ends(), 78)
        self.assertIn(words, self.g.log(mark))

    def test_signs(self):
        mark = self.g.mark()
        self.g.spawn()
        self.g.wait_event("listening", "serving HTTPS", mark)
        self.g.wait_event("party_up", since=mark)
        with open(path("safe"), "wb") as f:
            f.write(b"over https\n")
        host, port = Q.party[3].http
        args = ["sign", "--gateway", f"https://{host}:{port}", "--roster", path("roster"),
                "--client", path("client.pem"), "--key", Q.key["key"], path("safe")]
        ctl(*args, "--ca", path("https.pem"), "--der", path("safe.der"), "--pem", path("safe.pem"),
            check=0)
        self.assertTrue(openssl_verifies("safe"))
        for wrong in (["--ca", path("other.pem")], []):
            r = ctl(*args, *wrong)
            self.assertNotEqual(r.returncode, 0)
            self.assertIn("certificate", r.err)
        # Plain HTTP to the TLS port is no way in.
        with web.Raw(Q.party[3].http) as c:
            c.send(b"GET /v1/keys HTTP/1.1\r\nHost: q\r\n\r\n")
            self.assertIsNone(c.reply())

    def test_refusals(self):
        os.chmod(path("https.key"), 0o644)
        self.ends("mode 0644 lets others use the private key; chmod 0600 it")
        os.chmod(path("https.key"), 0o600)
        Q.party[3].write_gateway_config(f"tls_cert = {path('https.pem')}\n")
        self.ends("tls_cert and tls_key must be set together")
        Q.party[3].write_gateway_config(
            f"tls_cert = {path('nowhere.pem')}\ntls_key = {path('https.key')}\n")
        self.ends(f"{path('nowhere.pem')}: No such file or directory")
        Q.party[3].write_gateway_config()
        with open(self.g.config, encoding="ascii") as f:
            text = f.read().replace(f"listen = {Q.party[3].http[0]}", "listen = 0.0.0.0")
        with open(self.g.config, "w", encoding="ascii") as f:
            f.write(text)
        self.ends("is not a loopback address")


if __name__ == "__main__":
    suite.main()
