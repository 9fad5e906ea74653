#!/usr/bin/env python3
"""A party like one in an enclave: a network namespace with loopback and nothing else, the pump's two halves
as its only way out, no disk but its gateway's. It makes keys and signs; the outside half dies and comes
back; the parent drops, turns round, delays and invents bytes.

Emulated: the trunk is a hybrid socket (AF_UNIX), the platform the software TEE."""

import os
import random
import selectors
import socket
import subprocess
import sys
import threading
import time
import unittest

from rig import suite, web
from rig.quorum import ADDRESS, LIBC, Daemon, Party, Quorum, die_with_parent, program, until

NEWUSER, NEWNET = 0x10000000, 0x40000000
HOLD = """
import ctypes, fcntl, os, socket, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
libc.prctl(1, 9)
flags, uid, gid = int(sys.argv[1]), os.getuid(), os.getgid()
if libc.unshare(flags) != 0:
    sys.exit("no new network namespace: " + os.strerror(ctypes.get_errno()))
if flags & 0x10000000:
    open("/proc/self/setgroups", "w").write("deny")
    open("/proc/self/uid_map", "w").write(f"{uid} {uid} 1")
    open("/proc/self/gid_map", "w").write(f"{gid} {gid} 1")
s = socket.socket()
r = bytearray(struct.pack("16sH22x", b"lo", 0))
fcntl.ioctl(s, 0x8913, r)
struct.pack_into("H", r, 16, struct.unpack_from("H", r, 16)[0] | 1)
fcntl.ioctl(s, 0x8914, r)
print("up", flush=True)
sys.stdin.read()
"""


class Namespace:
    """A network namespace with loopback alone. Works as any user that may make user namespaces."""

    def __init__(self):
        self.flags = NEWNET | (0 if os.geteuid() == 0 else NEWUSER)
        self.holder = subprocess.Popen([sys.executable, "-c", HOLD, str(self.flags)],
                                       stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        if self.holder.stdout.readline() != b"up\n":
            raise AssertionError("a network namespace is needed: run as root, or allow user "
                                 "namespaces (sysctl kernel.unprivileged_userns_clone=1)")

    def enter(self):
        """In a child, before it becomes a program."""
        die_with_parent()
        for kind, flag in (("user", NEWUSER), ("net", NEWNET)):
            if self.flags & flag:
                fd = os.open(f"/proc/{self.holder.pid}/ns/{kind}", os.O_RDONLY)
                if LIBC.setns(fd, flag) != 0:
                    os._exit(70)
                os.close(fd)

    def close(self):
        self.holder.stdin.close()
        self.holder.stdout.close()
        self.holder.wait()


class Parent:
    """The hostile parent: carries the trunk between two Unix sockets, as it pleases."""

    def __init__(self, listen, target):
        self.target, self.delay = target, 0.0
        self.drop = self.swap = self.garbage = 0  # so many chunks, from the next on
        self.seen = 0
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(listen)
        self._listener.listen(8)
        self._stop = False
        threading.Thread(target=self._run, daemon=True).start()

    def close(self):
        self._stop = True

    def _run(self):
        self._listener.settimeout(0.05)
        while not self._stop:
            try:
                a, _ = self._listener.accept()
            except OSError:
                continue
            b = socket.socket(socket.AF_UNIX)
            try:
                b.connect(self.target)
            except OSError:
                a.close()
                continue
            threading.Thread(target=self._carry, args=(a, b), daemon=True).start()
        self._listener.close()

    def _carry(self, a, b):
        held = None
        with selectors.DefaultSelector() as s:
            s.register(a, selectors.EVENT_READ, b)
            s.register(b, selectors.EVENT_READ, a)
            try:
                while not self._stop:
                    for key, _ in s.select(0.05):
                        data = key.fileobj.recv(65536)
                        if not data:
                            return
                        time.sleep(self.delay)
                        self.seen += 1
                        if self.drop:
                            self.drop -= 1
                            # in the middle: whole frames are missing as well as parts
                            data = data[:len(data) // 3]
                        elif self.garbage:
                            self.garbage -= 1
                            data = random.Random(self.seen).randbytes(len(data)) + data
                        elif self.swap and key.fileobj is a:
                            self.swap -= 1
                            held = data
                            continue
                        elif held and key.fileobj is a:
                            data, held = data + held, None
                        key.data.sendall(data)
            except OSError:
                pass
            finally:
                a.close()
                b.close()


class Enclave(Party):
    """Party 2 of the quorum: it dials party 3 and is dialled by party 1."""

    def __init__(self, folder, index, others):
        self.space = Namespace()
        self.others = others
        super().__init__(folder, index)
        # What the test uses are the outside half's sockets; the party's own are behind the pump.
        self.admin_socket = os.path.join(self.folder, "outer-admin.sock")
        self.inside = Daemon("quorate-pump", self.path("inside.conf"), self.path("inside.log"))
        self.outside = Daemon("quorate-pump", self.path("outside.conf"), self.path("outside.log"))
        self.kept = self.path("kept.db")
        self.write_pump_configs()
        self.parent = Parent(self.path("vm_7000"), self.path("real_7000"))

    def path(self, name):
        return os.path.join(self.folder, name)

    def write_config(self, pool=(32, 64, 16), link="nng", more=""):
        with open(self.config, "w", encoding="ascii") as f:
            f.write(f"""[party]
state_dir = {self.state}
listen = tcp://127.0.0.1:7000
advertise = {self.address}
cloud = cloud-{self.index}
operator = test
gateway_socket = {self.path("gateway.sock")}
admin_socket = {self.path("admin.sock")}
link = {link}
[link]
via = 127.0.0.1:7100
[store]
socket = unix://{self.path("inner-store.sock")}
[pool]
low = {pool[0]}
high = {pool[1]}
standby = {pool[2]}
[log]
format = json
""")

    def write_gateway_config(self, more=""):
        self.gateway_socket = os.path.join(self.folder, "outer-gateway.sock")
        super().write_gateway_config(f"[store]\npath = {self.path('kept.db')}\n"
                                     f"listen = unix://{self.path('store.sock')}\n")

    def write_pump_configs(self):
        inside = f"[pump]\ndial = unix:{self.path('vm_7000')}\n"
        outside = f"[pump]\nlisten = hybrid:{self.path('real')}:7000\n"
        for p in self.others:
            inside += f"[route {p.index}]\nlisten = tcp:127.0.0.1:{7100 + p.index}\n"
            outside += f"[route {p.index}]\ndial = tcp:{ADDRESS}:{p.port}\n"
        inside += f"""[route 32]
dial = tcp:127.0.0.1:7000
[route 33]
dial = unix:{self.path("gateway.sock")}
[route 34]
dial = unix:{self.path("admin.sock")}
[route 40]
listen = unix:{self.path("inner-store.sock")}
"""
        outside += f"""[route 32]
listen = tcp:{ADDRESS}:{self.port}
[route 33]
listen = unix:{self.gateway_socket}
[route 34]
listen = unix:{self.admin_socket}
[route 40]
dial = unix:{self.path("store.sock")}
"""
        for name, text in (("inside.conf", inside), ("outside.conf", outside)):
            with open(self.path(name), "w", encoding="ascii") as f:
                f.write(text)

    def spawn_pump(self, half, preexec=die_with_parent):
        with open(half.log_path, "ab") as log:
            side = "--inside" if half is self.inside else "--outside"
            half.process = subprocess.Popen([program("quorate-pump"), side, "--config", half.config],
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            preexec_fn=preexec)

    def spawn(self, preexec=None):
        """What is not running yet: both halves, the gateway (it has the store), the party."""
        if not self.outside.running():
            self.spawn_pump(self.outside)
        if not self.inside.running():
            self.spawn_pump(self.inside, self.space.enter)
        if not self.gateway.running():
            self.gateway.spawn()
        super().spawn(self.space.enter)

    def start_gateway(self):
        if not self.gateway.running():
            self.gateway.spawn()
        until(self.gateway_up, "the enclave's gateway")


class PumpQuorum(Quorum):
    def __init__(self):
        super().__init__()
        e = Enclave(self.folder + "/e", 2, [self.party[1], self.party[3]])
        self.party[2] = self.parties[1] = e
        self.enclave = e

    def kill(self):
        super().kill()
        for d in (self.enclave.inside, self.enclave.outside):
            d.kill()
        self.enclave.parent.close()


Q = E = None


def setUpModule():
    global Q, E
    os.umask(0o077)
    Q = PumpQuorum()
    E = Q.enclave
    Q.spawn()
    Q.roster, Q.policy = Q.make_roster(), Q.make_policy()
    Q.load("LOAD_ROSTER", Q.roster)
    Q.load("LOAD_POLICY", Q.policy)
    for p in Q.parties:
        p.start_gateway()
    Q.wait_pairs()
    Q.keygen()


def tearDownModule():
    Q.kill()
    E.space.close()


def together():
    """The enclave's party signs, as coordinator and when another one asks; all three are linked."""
    Q.wait_pairs()
    for party in (2, 1):
        until(lambda p=party: Q.post(p, Q.body()).status == 200, f"a signature by party {party}")
        Q.sign(party=party)


class Pump(unittest.TestCase):
    def test_0_signs(self):
        together()
        made = Q.keygen(party=2)
        self.assertEqual(made["t"], 2)

    def test_1_no_other_way(self):
        """Loopback is all there is: the parent's own address cannot be reached from inside."""
        code = f"""import socket, sys
s = socket.socket()
s.settimeout(2)
try:
    s.connect(("192.0.2.1", 80))
except OSError as e:
    sys.exit(0 if e.errno == 101 else str(e))
sys.exit("connected")"""
        r = subprocess.run([sys.executable, "-c", code], preexec_fn=E.space.enter, timeout=20)
        self.assertEqual(r.returncode, 0)
        with self.assertRaises(OSError):  # nor is its listener there for anybody outside
            socket.create_connection(("127.0.0.1", 7000), timeout=2).close()

    def test_1_filters(self):
        """Both processes inside have given up most system calls, debuggers and new privileges."""
        for d in (E, E.inside):
            with open(f"/proc/{d.process.pid}/status", encoding="ascii") as f:
                status = dict(line.split(":\t", 1) for line in f.read().splitlines() if ":\t" in line)
            self.assertEqual((status["Seccomp"], status["NoNewPrivs"]), ("2", "1"), d.config)

    def test_2_store_at_the_gateway(self):
        """The party's folder has no store; a killed party is who it was, with its key."""
        self.assertFalse(os.path.exists(E.store))
        self.assertGreater(os.path.getsize(E.kept), 0)
        who = E.query("DESCRIPTOR")["descriptor"]
        E.kill()
        E.start()
        self.assertEqual(E.query("DESCRIPTOR")["descriptor"], who)
        E.start_gateway()
        together()

    def test_3_gateway_dies(self):
        """The store is away for a while; nothing is lost and the next commit is made."""
        E.gateway.kill()
        E.start_gateway()
        made = Q.keygen(party=2)
        E.kill()
        E.start()
        E.start_gateway()
        self.assertIn(made["key"], [k["key"] for k in E.query("KEYS")["keys"]])
        together()

    def test_4_outside_dies(self):
        mark = E.inside.mark()
        E.outside.kill()
        E.inside.wait_event("trunk_lost", since=mark)
        until(lambda: 2 not in Q.party[1].up() and 2 not in Q.party[3].up(), "the links' end")
        Q.sign(party=1)  # the others go on
        started = time.monotonic()
        E.spawn_pump(E.outside)
        E.inside.wait_event("trunk_up", since=mark)
        together()
        print(f"figure: pump_rejoin {time.monotonic() - started:.2f} s", flush=True)

    def test_5_inside_dies(self):
        E.inside.kill()
        until(lambda: 2 not in Q.party[1].up(), "the links' end")
        E.spawn_pump(E.inside, E.space.enter)
        E.start_gateway()
        together()

    def bad_parent(self, what):
        mark_in, mark_out = E.inside.mark(), E.outside.mark()
        setattr(E.parent, what, 4)

        def noticed():
            return (E.inside.events("trunk_broken", mark_in) +
                    E.outside.events("trunk_broken", mark_out) +
                    E.inside.events("trunk_lost", mark_in) +
                    E.outside.events("trunk_lost", mark_out))

        def traffic():  # so that there are bytes to spoil
            try:
                web.request(E.http, "GET", "/v1/status")
            except OSError:
                pass
            return noticed()
        self.assertTrue(until(traffic, f"the end of the trunk after {what}"))
        setattr(E.parent, what, 0)
        E.start_gateway()
        together()

    def test_6_drops(self):
        self.bad_parent("drop")

    def test_7_turns_round(self):
        """Bytes in another order: either the trunk ends, or TLS above it does; then it goes on."""
        E.parent.swap = 6
        for _ in range(8):
            try:
                Q.post(2, Q.body())
            except OSError:
                pass
        E.parent.swap = 0
        E.start_gateway()
        together()

    def test_8_invents(self):
        self.bad_parent("garbage")
        self.assertTrue(E.inside.running() and E.outside.running() and E.running())

    def test_9_delays(self):
        E.parent.delay = 0.02
        try:
            until(lambda: Q.post(1, Q.body()).status == 200, "a signature through a slow parent")
        finally:
            E.parent.delay = 0.0
        together()


if __name__ == "__main__":
    suite.main()
