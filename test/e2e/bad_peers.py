#!/usr/bin/env python3
"""What may come to the port that is for peers, and parties that are not what they should be:
another identity, roster or policy, a copied state, a port or a state that is taken."""

import json
import os
import resource
import shutil
import socket
import ssl
import subprocess
import unittest

from rig import documents, ec, suite
from rig.quorum import ADDRESS, Daemon, Party, Quorum, new_folder, until

Q = F = None
EXIT_TEMPORARY, EXIT_CONFIG = 75, 78


def setUpModule():
    global Q, F
    F = new_folder()
    subprocess.check_call(["openssl", "req", "-x509", "-newkey", "ed25519", "-nodes", "-subj",
                           "/CN=party", "-days", "2", "-keyout", F + "/key", "-out", F + "/cert"],
                          stderr=subprocess.DEVNULL)
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(limit, 8192), limit))
    Q = Quorum().start()
    Q.keygen()


def tearDownModule():
    Q.kill()


def connect(p, timeout=20):
    return socket.create_connection((ADDRESS, p.port), timeout=timeout)


def ended(s):
    """True when the party has closed; False if it outlasts the socket's time-out."""
    try:
        while s.recv(65536):
            pass
    except TimeoutError:
        return False
    except OSError:
        pass
    return True


def tls(p, certificate=True, version=ssl.TLSVersion.TLSv1_3, alpn=("quorate/1",)):
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    c.check_hostname, c.verify_mode = False, ssl.CERT_NONE
    c.minimum_version, c.maximum_version = ssl.TLSVersion.TLSv1_2, version
    if alpn:
        c.set_alpn_protocols(alpn)
    if certificate:
        c.load_cert_chain(F + "/cert", F + "/key")
    return c.wrap_socket(connect(p))


class Port(unittest.TestCase):
    """Strangers at party 3's port, which dials nobody."""

    def setUp(self):
        self.p = Q.party[3]

    def tearDown(self):
        self.assertEqual(self.p.up(), {1, 2})
        self.assertIn(3, Q.sign(3)["signers"])

    def refused(self, words):
        """The log says so; all of it counts, because what is said twice a minute is left out."""
        self.p.wait_event("peer_refused", words)

    def test_no_tls(self):
        for sent in (b"GET / HTTP/1.1\r\n\r\n", bytes(range(256)) * 300, bytes(100000)):
            with connect(self.p) as s:
                try:
                    s.sendall(sent)
                except OSError:
                    pass
                self.assertTrue(ended(s))
        self.refused("TLS handshake failed")

    def test_cut_off(self):
        for sent in (b"", b"\x16", bytes.fromhex("16030102000100")):
            with connect(self.p) as s:
                s.sendall(sent)
        self.refused("closed the connection during TLS handshake")

    def test_tls_1_2(self):
        with self.assertRaises(ssl.SSLError):
            tls(self.p, version=ssl.TLSVersion.TLSv1_2)
        self.refused("TLS handshake failed: unsupported protocol")

    def test_no_certificate(self):
        with tls(self.p, certificate=False) as s:
            self.assertTrue(ended(s))
        self.refused("peer did not return a certificate")

    def test_other_protocol(self):
        with tls(self.p, alpn=()) as s:
            self.assertTrue(ended(s))
        self.refused("not a fresh TLS 1.3 session with a certificate and ALPN quorate/1")

    def test_no_hello(self):
        """Good TLS with a certificate of one's own is not enough: every byte after it is judged."""
        for sent, words in ((bytes(64), "frame of kind 0"), (b"\xff" * 70000, "frame of kind 255"),
                            (bytes.fromhex("0000001001") + bytes(16), "")):
            with tls(self.p) as s:
                try:
                    s.sendall(sent)
                except OSError:
                    pass
                self.assertTrue(ended(s))
            self.refused(words)

    def test_silence_and_slowness(self):
        """A party waits ten seconds for a stranger to say who he is."""
        with connect(self.p) as silent, tls(self.p) as greeted:
            greeted.sendall(b"\0")
            Q.sign(3)
            self.assertTrue(ended(silent), "a silent connection was kept")
            self.assertTrue(ended(greeted), "a slow connection was kept")
        self.refused("not done after 10 s, in stage: TLS handshake")


class Authority(unittest.TestCase):
    def tearDown(self):
        Q.wait_pairs()
        Q.sign(1)

    def test_stranger_with_a_roster_of_his_own(self):
        """Knows all addresses and identities and says that he is party 2."""
        rogue, admin = Party(F, "rogue"), ec.Key()
        rogue.start()
        told = Q.descriptors()
        told[1] = json.loads(rogue.query("DESCRIPTOR")["descriptor"])
        roster = documents.dump(documents.roster(Q.cluster, 1, told, [admin]))
        policy = documents.dump(documents.policy(Q.cluster, 1, {"client": Q.client}))
        marks = {p.index: p.mark() for p in Q.parties}
        try:
            for kind, doc in (("LOAD_ROSTER", roster), ("LOAD_POLICY", policy)):
                a = rogue.admin(kind, doc, [documents.stamp(admin, doc)])
                self.assertEqual(a.error, 0, a.detail)
            # He dials party 3, which finds that the hello is not signed by party 2.
            Q.party[3].wait_event("peer_refused", "identity", marks[3])
            rogue.wait_event("peer_refused", "refused us (identity, evidence, boot")
            self.assertEqual(rogue.up(), set())
        finally:
            rogue.kill()

    def test_rosters_of_different_serials(self):
        p1, p2, p3 = Q.parties
        marks = {p: p.mark() for p in Q.parties}
        roster = Q.make_roster(serial=p1.status()["roster_serial"] + 1)
        Q.load("LOAD_ROSTER", roster, [p2])
        p2.wait_event("peer_refused", "is behind ours (2): load the new roster there", marks[p2])
        p3.wait_event("peer_refused", "is ahead of ours (1): load the new roster here", marks[p3])
        self.assertEqual(Q.sign(1)["signers"], [1, 3])
        Q.load("LOAD_ROSTER", roster, [p1, p3])
        Q.wait_pairs()
        self.assertIn(2, Q.sign(2)["signers"])

    def test_policies_of_different_serials(self):
        p1, p2, p3 = Q.parties
        marks = {p: p.mark() for p in Q.parties}
        serial = p1.status()["policy_serial"] + 1
        policy = Q.make_policy(serial)
        Q.load("LOAD_POLICY", policy, [p3])
        p3.wait_event("peer_refused", f"is behind ours ({serial}): load the new policy there",
                      marks[p3])
        p1.wait_event("peer_refused", "refused us (version, cluster, roster or policy differ)",
                      marks[p1])
        self.assertEqual(Q.sign(1)["signers"], [1, 2])
        r = Q.post(3, Q.body())
        self.assertEqual((r.status, r.code), (503, "quorum_unavailable"))
        Q.load("LOAD_POLICY", policy, [p1, p2])
        until(lambda: p3.up() == {1, 2}, "party 3 to be back")
        self.assertIn(3, Q.sign(3)["signers"])


class Copies(unittest.TestCase):
    """One party, two processes."""

    def tearDown(self):
        Q.wait_pairs()
        Q.sign(1)

    def spare(self, name, **config):
        p = Party(F, name)
        for k, v in config.items():
            setattr(p, k, v)
        p.write_config()
        return p

    def ends_with(self, p, code, *words):
        p.spawn()
        try:
            self.assertEqual(p.ends(), code, p.log())
        finally:
            p.kill()
        last = p.events("cannot_start")[-1]["msg"]
        for w in words:
            self.assertIn(w, last)

    def test_one_state_folder_twice(self):
        self.ends_with(self.spare("same-state", state=Q.party[1].state), EXIT_TEMPORARY,
                       Q.party[1].store, "another quorated uses this store")

    def test_one_socket_twice(self):
        self.ends_with(self.spare("same-socket", admin_socket=Q.party[1].admin_socket), EXIT_CONFIG,
                       Q.party[1].admin_socket, "another quorated answers here")

    def test_a_file_where_the_socket_should_be(self):
        name = os.path.join(F, "precious")
        with open(name, "w", encoding="ascii") as f:
            f.write("data")
        self.ends_with(self.spare("file-socket", gateway_socket=name), EXIT_CONFIG, name,
                       "exists and is not a socket")
        self.assertEqual(os.path.getsize(name), 4)

    def test_port_that_is_taken(self):
        p = Q.party[2]
        self.assertEqual(p.stop(), 0)
        with socket.create_server((ADDRESS, p.port)):
            self.ends_with(p, EXIT_CONFIG, p.address, "in use")
        p.start()
        Q.wait_pairs()

    def test_port_that_is_taken_when_the_roster_comes(self):
        """The documents are kept; loading them again, with the port free, links."""
        with Quorum(2) as q:
            q.spawn()
            roster, policy = q.make_roster(), q.make_policy()
            p = q.party[1]
            with socket.create_server((ADDRESS, p.port)):
                q.load("LOAD_ROSTER", roster)
                a = p.admin("LOAD_POLICY", policy, q.stamps(policy))
                self.assertNotEqual(a.error, 0)
                self.assertIn(p.address, a.detail)
                self.assertIn("in use", a.detail)
            q.load("LOAD_POLICY", policy)
            q.wait_pairs()

    def test_gateway_port_that_is_taken(self):
        g = Daemon("quorate-gateway", Q.party[1].gateway.config, os.path.join(F, "gateway.log"))
        g.spawn()
        try:
            self.assertEqual(g.ends(), EXIT_TEMPORARY)
        finally:
            g.kill()
        said = g.events("start")[-1]["msg"]
        self.assertIn(f"cannot listen on {ADDRESS}:{Q.party[1].http_port}", said)
        self.assertIn("another process", said)

    def test_copied_state(self):
        """A second process with the same identity and keys is refused while the first one lives;
        once peers have seen the copy, the first one is the stale one."""
        p1, p2, p3 = Q.parties
        copy = self.spare("copy")
        shutil.rmtree(copy.state)
        shutil.copytree(p2.state, copy.state)
        mark = p3.mark()
        copy.start()
        try:
            p3.wait_event("peer_refused", "two instances of the same party", mark, peer=2)
            self.assertIn("stop one of them", p3.events("peer_refused", mark)[-1]["msg"])
            copy.wait_event("peer_refused", "refused us (identity, evidence, boot or stored state)")
            self.assertIn(2, Q.sign(2)["signers"])
            p2.kill()
            until(lambda: 3 in copy.up(), "the copy in the place of the dead")
        finally:
            copy.kill()
        mark = p3.mark()
        p2.start()
        p3.wait_event("peer_refused", "its sealed store was copied or rolled back", mark, peer=2)
        # Party 1 never met the copy; the quorum goes on without the pair 2-3.
        until(lambda: p1.up() == {2, 3}, "party 1")
        self.assertIn(1, Q.sign(1)["signers"])
        # The operator brings the state back that the peers know.
        p2.stop()
        for _ in range(4):  # its store goes on, beyond all that party 1 saw of the other one
            copy.start()
            copy.kill()
        for name in os.listdir(p2.state):
            os.unlink(os.path.join(p2.state, name))
        for name in os.listdir(copy.state):
            shutil.copy(os.path.join(copy.state, name), p2.state)
        p2.start()


class Storm(unittest.TestCase):
    def test_a_thousand_connections(self):
        """While they are held, a peer restarts, comes back and signs."""
        p, held = Q.party[3], []
        try:
            for _ in range(1000):
                s = socket.socket()
                s.setblocking(False)
                s.connect_ex((ADDRESS, p.port))
                held.append(s)
            p.wait_event("peer_refused", "too many connections that do not say who they are")
            Q.party[2].kill()
            Q.party[2].start()
            Q.wait_pairs()
            self.assertIn(3, Q.sign(3)["signers"])
        finally:
            for s in held:
                s.close()
        self.assertEqual(p.up(), {1, 2})


if __name__ == "__main__":
    suite.main()
