#!/usr/bin/env python3
"""A party in a Nitro enclave, as far as an emulator goes, and two on the host: a key, signatures, a death.

The image is deploy/nitro's with test/vm/testparty for its party (test/vm/enclave_image.sh), in 256 MiB.
quorate-init asks the parent for its document; the pump carries peers, the gateway, the store and KMS; the
sealed store lies at a gateway on the host, the platform's secret comes from test/vm/kmsbox, which gives it to
this PCR0 alone. Peers check the enclave's evidence: the emulated module's registers in a document that the
throwaway root of test/common/fakensm.h signed. The product's own quorated, which does not know that root,
refuses the same enclave under the same policy.

Bars, under TCG: READY within 60 s of QEMU's start, one retry that is printed; a killed enclave has come back
and signed within 120 s. Last line: `N passed, N failed`.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import enclave  # noqa: E402
from rig import BOOT_LIMIT, TOP, Failed, need, wait, with_parent  # noqa: E402

PARTY = os.path.join(enclave.BUILD, "test/vm/testparty")
BASE = 9800 + os.getpid() % 150
DOCUMENT = """#cloud-config
quorate:
  party:
    listen: 0.0.0.0:9440
    advertise: 127.0.0.1:{port}
    cloud: aws
    operator: op-1
  pool:
    low: 16
    high: 32
    standby: 16
"""
passed = failed = 0


def check(what, ok, found=""):
    global passed, failed
    if ok:
        passed += 1
        print(f"ok   {what}", flush=True)
    else:
        failed += 1
        print(f"FAIL {what}: {found}", flush=True)


class Member:
    """A party and its gateway. Index 1 is the enclave; its sockets are the pump's."""

    def __init__(self, folder, index):
        self.folder, self.index, self.children = os.path.join(folder, f"p{index}"), index, {}
        os.makedirs(os.path.join(self.folder, "state"), mode=0o700)
        os.chmod(self.folder, 0o700)

    def path(self, name):
        return os.path.join(self.folder, name)

    def url(self):
        return f"http://127.0.0.1:{BASE + 200 + self.index}"

    def write(self, name, text):
        with open(self.path(name), "w", encoding="ascii") as f:
            f.write(text)

    def spawn(self, name, command, **kw):
        log = open(self.path(name + ".log"), "ab")
        self.children[name] = with_parent(command, stdout=log, stderr=subprocess.STDOUT, **kw)

    def log(self, name):
        with open(self.path(name + ".log"), encoding="utf-8", errors="replace") as f:
            return f.read()

    def end(self, *names):
        for name in names or list(self.children):
            p = self.children.pop(name, None)
            if p is not None and p.poll() is None:
                p.kill()
                p.wait()

    def start_gateway(self, more=""):
        self.write("gateway.conf", f"[gateway]\nlisten = 127.0.0.1:{BASE + 200 + self.index}\n"
                                   f"party_socket = {self.path('gateway.sock')}\n{more}")
        self.spawn("gateway", [os.path.join(enclave.BIN, "quorate-gateway"), "--config",
                               self.path("gateway.conf")])

    def start_host(self, program=PARTY):
        self.write("quorated.conf",
                   f"[party]\nstate_dir = {self.path('state')}\nlisten = tcp://127.0.0.1:{BASE + self.index}\n"
                   f"cloud = host-{self.index}\noperator = op-{self.index}\n"
                   f"gateway_socket = {self.path('gateway.sock')}\nadmin_socket = {self.path('admin.sock')}\n"
                   "[pool]\nlow = 16\nhigh = 32\nstandby = 16\n")
        self.spawn("quorated", [program, "--config", self.path("quorated.conf")])


class Parent:
    """What runs on the enclave's parent: the pump's outside half, the gateway, and KMS's stand-in."""

    def __init__(self, member, pcr0):
        self.member = member
        member.write("enclave.yaml", DOCUMENT.format(port=BASE + 1))
        self.kms = self.box(pcr0)
        member.start_gateway(f"[store]\npath = {member.path('store.db')}\n"
                             f"listen = unix://{member.path('store.sock')}\n")

    def box(self, pcr0):
        m = self.member
        m.spawn("kmsbox", [os.path.join(enclave.BUILD, "test/vm/kmsbox"), "--kms", "0", "--credentials", "0",
                           "--pcr0", pcr0])
        got = wait(10, "kmsbox's addresses", lambda: re.search(
            r"kms (127.0.0.1:\d+) credentials (127.0.0.1:\d+)", m.log("kmsbox")))
        return got.group(1), got.group(2)

    def pump(self, e):
        m = self.member
        routes = {2: f"dial = tcp:127.0.0.1:{BASE + 2}", 3: f"dial = tcp:127.0.0.1:{BASE + 3}",
                  32: f"listen = tcp:127.0.0.1:{BASE + 1}\nstreams = 32",
                  33: f"listen = unix:{m.path('gateway.sock')}", 34: f"listen = unix:{m.path('admin.sock')}",
                  40: f"dial = unix:{m.path('store.sock')}", 41: f"dial = tcp:{self.kms[0]}",
                  42: f"dial = tcp:{self.kms[1]}"}
        m.write("outside.conf", f"[pump]\nlisten = hybrid:{e.uds}:7000\n[document]\n"
                                f"listen = hybrid:{e.uds}:9001\nfile = {m.path('enclave.yaml')}\n"
                + "".join(f"[route {n}]\n{v}\n" for n, v in routes.items()))
        m.end("pump")
        for s in ("gateway.sock", "admin.sock"):
            if os.path.exists(m.path(s)):
                os.unlink(m.path(s))
        m.spawn("pump", [os.path.join(enclave.BIN, "quorate-pump"), "--outside", "--config",
                         m.path("outside.conf")])


class Quorum:
    def __init__(self, folder, pcrs):
        self.folder, self.pcrs, self.serial = folder, pcrs, 0
        self.members = [Member(folder, i) for i in (1, 2, 3)]
        for who in ("admin", "client"):
            with open(self.path(who + ".hex"), "w", encoding="ascii") as f:
                f.write(enclave.quorate("key", "new", "--scheme", "p256", "--out",
                                        self.path(who + ".pem")).stdout.strip())

    def path(self, name):
        return os.path.join(self.folder, name)

    def hex(self, who):
        with open(self.path(who + ".hex"), encoding="ascii") as f:
            return f.read()

    def status(self, m):
        r = enclave.quorate("status", "--socket", m.path("admin.sock"), "--json", ok=False)
        return json.loads(r.stdout) if r.returncode == 0 else None

    def ready(self, m):
        s = self.status(m)
        return bool(s and s.get("ready"))

    def linked(self):
        got = [json.dumps(self.status(m), separators=(",", ":")) for m in self.members]
        return all('"up":true' in s and '"up":false' not in s for s in got)

    def sockets(self):
        return [x for m in self.members for x in ("--socket", m.path("admin.sock"))]

    def roster(self):
        names = []
        for m in self.members:
            m.write("descriptor.json", enclave.quorate("descriptor", "--socket", m.path("admin.sock")).stdout)
            names.append(m.path("descriptor.json"))
        with open(self.path("roster.json"), "w", encoding="utf-8") as f:
            f.write(enclave.quorate("roster", "new", "--name", "nitro", "--admin", "admin:" + self.hex("admin"),
                                    "--need", "1", *names).stdout)
        enclave.quorate("stamp", "--key", self.path("admin.pem"), self.path("roster.json"))
        enclave.quorate("roster", "load", *self.sockets(), self.path("roster.json"))

    def policy(self, expect, sockets=None):
        """The software TEE is allowed, and enclaves of this image."""
        self.serial += 1
        policy = json.loads(enclave.quorate("policy", "new", "--roster", self.path("roster.json"),
                                            "--insecure-sim", "--serial", str(self.serial), "--client",
                                            "client:" + self.hex("client")).stdout)
        policy["peers"].update(
            freshness={"max_age_s": 300, "reattest_s": 600, "clock_spread_s": 60,
                       "stages": {"warn_s": 3600, "no_peers_s": 86400, "no_keys_s": 172800, "stop_s": 259200},
                       "collateral_grace_s": 0},
            require=["validity", "binder"],
            measurements=[{"name": "image", "platform": "aws-nitro", "valid_from": "2020-01-01T00:00:00Z",
                           "valid_until": "2035-01-01T00:00:00Z", "expect": expect}],
            platforms={"aws-nitro": {"require": ["timestamp"]}}, peer_secret={"threshold": 2})
        path = self.path(f"policy-{self.serial}.json")
        with open(path, "w", encoding="utf-8") as f:
            json.dump(policy, f)
        enclave.quorate("stamp", "--key", self.path("admin.pem"), path)
        enclave.quorate("policy", "load", *(sockets or self.sockets()), path)

    def make_key(self, m):
        out = enclave.quorate("keygen", "--socket", m.path("admin.sock"), "--key", self.path("admin.pem"), "--t",
                              "2", "--json").stdout
        self.key = json.loads(out.splitlines()[0])["key"]

    def sign(self, m):
        """Through m's gateway; openssl verifies it. None, or why not."""
        with open(self.path("body"), "wb") as f:
            f.write(os.urandom(64))
        der, pem = self.path("sig.der"), self.path("pub.pem")
        for f in (der, pem):
            if os.path.exists(f):
                os.unlink(f)
        r = enclave.quorate("sign", "--gateway", m.url(), "--roster", self.path("roster.json"), "--client",
                            self.path("client.pem"), "--key", self.key, "--kind", "sha256", "--der", der,
                            "--pem", pem, self.path("body"), ok=False)
        if r.returncode != 0:
            return r.stderr.strip()[-300:]
        v = subprocess.run(["openssl", "dgst", "-sha256", "-verify", pem, "-signature", der,
                            self.path("body")], capture_output=True, text=True)
        return None if "Verified OK" in v.stdout else v.stdout + v.stderr

    def signs(self, m, seconds=30):
        end = time.monotonic() + seconds
        while True:
            why = self.sign(m)
            if why is None or time.monotonic() > end:
                return why
            time.sleep(0.2)


def phases(e, what, t):
    found = [(n, re.search(p, e.text())) for n, p in
             (("kernel", r"\[ *([\d.]+)\] Run /init"),)]
    beat = e.heartbeat.at - e.started if e.heartbeat.at else float("nan")
    print(f"phases: {what}: " + "".join(f"kernel to init {m.group(1)} s, " for _, m in found if m) +
          f"heartbeat {beat:.1f} s, {t[0]} {t[1]:.1f} s", flush=True)


def start_enclave(eif, parent, done, what, word):
    def make():
        e = enclave.Enclave(eif)
        parent.pump(e)
        return e

    def ready(e):
        def look():
            if not e.running():
                raise Failed(f"the enclave ended: {e.errors()}\n{e.text()[-3000:]}")
            return done()
        try:
            wait(BOOT_LIMIT - (time.monotonic() - e.started), what, look, 0.1)
        except Failed as f:
            raise Failed(f"{f}\n{e.text()[-3000:]}") from None
        return time.monotonic() - e.started

    e, t = enclave.boot(make, ready, what)
    phases(e, what, (word, t))
    return e, t


def run(q, eif):
    one, two, three = q.members
    parent = Parent(one, q.pcrs["pcrs.0"])
    for m in (two, three):
        m.start_gateway()
        m.start_host()
    e, t = start_enclave(eif, parent, lambda: q.status(one) is not None, "first boot", "operator's socket")
    print(f"figure: nitro_first_boot {t:.1f} s")
    try:
        for m in (two, three):
            wait(15, "a party on the host", lambda m=m: q.status(m) is not None)
        q.roster()
        q.policy({k: q.pcrs[k] for k in ("pcrs.0", "pcrs.1", "pcrs.2")})
        wait(100, "the parties to attest each other", q.linked, 0.2)
        check("the three have attested each other", True)
        q.make_key(two)
        for m in (one, two):
            why = q.signs(m)
            check(f"a signature through party {m.index}'s gateway", why is None, why)
        three.end("quorated")
        why = q.signs(one)
        check("the enclave signs with one party of the host's, the other being dead", why is None, why)

        three.start_host()
        wait(100, "the third party back", q.linked, 0.2)

        begun = time.monotonic()
        e.close()
        e, t = start_enclave(eif, parent, lambda: q.ready(one), "a killed enclave", "READY")
        print(f"figure: nitro_ready {t:.1f} s")
        check("READY within 60 s", t <= BOOT_LIMIT, t)
        why = q.signs(one, 60)
        t = time.monotonic() - begun
        check("it has its share and signs", why is None, why)
        print(f"figure: nitro_rejoin_and_sign {t:.1f} s")
        check("within 120 s", t <= 120, t)

        # Another measurement than the image's.
        wrong = dict(q.pcrs, **{"pcrs.2": "22" * 48})
        before = two.log("quorated").count("measurement")
        q.policy({k: wrong[k] for k in ("pcrs.0", "pcrs.1", "pcrs.2")})
        wait(60, "the refusal", lambda: two.log("quorated").count("measurement") > before, 0.2)
        check("a policy with another PCR2 refuses it", not q.linked(), q.status(two))
    finally:
        if failed or sys.exc_info()[0]:
            print("console: " + e.text()[-6000:])
        e.close()


def strangers(q, eif):
    """The same enclave and policy, but the parties on the host are the product's own."""
    one, two, three = q.members
    parent = Parent(one, q.pcrs["pcrs.0"])
    for m in (two, three):
        m.start_host(os.path.join(enclave.BIN, "quorated"))
    e, _ = start_enclave(eif, parent, lambda: q.status(one) is not None, "among strangers", "operator's socket")
    try:
        for m in (two, three):
            wait(15, "a party on the host", lambda m=m: q.status(m) is not None)
        q.roster()
        q.policy({k: q.pcrs[k] for k in ("pcrs.0", "pcrs.1", "pcrs.2")})
        for m in (two, three):
            wait(60, f"party {m.index}, the product's, to refuse the enclave",
                 lambda m=m: "untrusted-root" in m.log("quorated"), 0.2)
            line = [x for x in m.log("quorated").splitlines() if "untrusted-root" in x][-1]
            check(f"party {m.index}, the product's, does not believe the emulator's evidence", True)
        print(line)
        check("nobody linked with the enclave", "0/2 peers" in (q.status(one) or {}).get("status", ""),
              q.status(one))
    finally:
        e.close()


def main():
    eif = os.path.join(enclave.artefact(["test/vm/enclave_image.sh", "--path"]), "quorate.eif")
    need(PARTY, "make test-nitro builds it")
    for part in (run, strangers):
        folder = tempfile.mkdtemp(prefix="qnitro-")
        q = Quorum(folder, enclave.measured(eif))
        done = False
        try:
            part(q, eif)
            done = True
        finally:
            for m in q.members:
                m.end()
            if done and not failed:
                shutil.rmtree(folder)
            else:
                print(f"kept: {folder}")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failed as e:
        print(f"FAIL {e}")
        print(f"{passed} passed, {failed + 1} failed")
        sys.exit(1)
