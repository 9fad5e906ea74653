#!/usr/bin/env python3
"""Three daemons on three platforms, on this machine: one on Azure's back end, one on Google's, each over
a software TPM of its own, one on the software TEE.

Everything between device and verdict is the product's: acquisition, sealing by the TPM, the gateway's
errands (the metadata service is played), evidence on attested channels, one policy with the measured
PCRs. The vendors are throwaway ones that only test/vm/testparty believes.

They make a key and sign with each pair; each party is killed and comes back with its share; a party
whose TPM measured another image does not open its store; a party that only the policy's measurements
refuse stays outside. Start-up is timed: from exec to READY's `started`, at most 2 s.
"""

import ctypes
import http.server
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(TOP, os.environ.get("BUILD", "build/release"))
BIN = os.path.join(TOP, os.environ.get("BIN", "build/bin"))
PARTY = os.path.join(BUILD, "test/vm/testparty")
BOX = os.path.join(BUILD, "test/vm/vtpmbox")
LIMIT_S = 2.0
BASE = 9300 + os.getpid() % 400

passed = failed = 0


def check(what, ok, found=""):
    global passed, failed
    if ok:
        passed += 1
    else:
        failed += 1
        print(f"FAILED: {what}: {found}", flush=True)


def child(command, **kw):
    def die():
        ctypes.CDLL(None).prctl(1, 9)
    return subprocess.Popen(command, preexec_fn=die, stdin=subprocess.DEVNULL, **kw)


def wait(seconds, what, test):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        got = test()
        if got:
            return got
        time.sleep(0.01)
    raise SystemExit(f"gave up waiting {seconds} s for {what}")


class Metadata(http.server.BaseHTTPRequestHandler):
    """Azure's, and AMD's key service, as far as a gateway asks them."""
    thim = vek = chain = b""

    def do_GET(self):
        body = None
        if self.path == "/metadata/THIM/amd/certification" and self.headers.get("Metadata") == "true":
            body = self.thim
        elif self.path == "/kds/vcek/v1/Genoa/cert_chain":
            body = self.chain
        elif self.path.startswith("/kds/vcek/v1/Genoa/") and "snpSPL=24&ucodeSPL=85" in self.path:
            body = self.vek
        self.send_response(404 if body is None else 200)
        self.send_header("Content-Length", str(len(body or b"")))
        self.end_headers()
        self.wfile.write(body or b"")

    def log_message(self, *_):
        pass


class Party:
    def __init__(self, folder, index, platform):
        self.folder, self.index, self.platform = os.path.join(folder, platform), index, platform
        self.cloud = {"azure-vtpm": "azure", "gcp-vtpm": "gcp"}.get(platform, "laptop")
        self.swtpm = self.process = self.gateway = None
        self.pcrs = None
        os.makedirs(self.path("state"), mode=0o700)
        os.makedirs(self.path("tpm"), mode=0o700)

    def path(self, *parts):
        return os.path.join(self.folder, *parts)

    def start_tpm(self):
        if self.platform == "sim":
            return
        self.swtpm = child(["swtpm", "socket", "--tpm2", "--tpmstate", "dir=" + self.path("tpm"),
                            "--server", "type=unixio,path=" + self.path("tpm", "data"),
                            "--ctrl", "type=unixio,path=" + self.path("tpm", "ctrl"),
                            "--flags", "not-need-init,startup-clear"],
                           stderr=subprocess.DEVNULL)
        wait(10, "swtpm", lambda: os.path.exists(self.path("tpm", "data")))

    def provision(self):
        if self.platform != "sim":
            out = subprocess.run([BOX, "azure" if self.cloud == "azure" else "google",
                                  "unix:" + self.path("tpm", "data"), self.folder],
                                 check=True, capture_output=True, text=True).stdout
            self.pcrs = out.split()

    def configure(self, metadata_port):
        tee = ""
        if self.platform != "sim":
            tee = (f"platform = {self.platform}\ntpm = unix:{self.path('tpm', 'data')}\n"
                   f"release = {self.path('release.stmt')}\nrelease_key = {self.path('release.key')}\n")
        if self.platform == "gcp-vtpm":
            tee += f"ak_chain = {self.path('ak_chain.pem')}\n"
        with open(self.path("quorated.conf"), "w", encoding="ascii") as f:
            f.write(f"[party]\nstate_dir = {self.path('state')}\n"
                    f"listen = tcp://127.0.0.1:{BASE + self.index}\ncloud = {self.cloud}\n"
                    f"operator = op-{self.index}\ngateway_socket = {self.path('gw')}\n"
                    f"admin_socket = {self.path('admin')}\n[tee]\n{tee or 'platform = sim'}\n"
                    "[pool]\nlow = 16\nhigh = 32\nstandby = 16\n")
        with open(self.path("gateway.conf"), "w", encoding="ascii") as f:
            f.write(f"[gateway]\nlisten = 127.0.0.1:{BASE + 100 + self.index}\n"
                    f"party_socket = {self.path('gw')}\n[collateral]\n"
                    f"azure_thim = http://127.0.0.1:{metadata_port}\n"
                    f"amd_kds = http://127.0.0.1:{metadata_port}/kds\n"
                    f"google_ca = http://127.0.0.1:{metadata_port}/google\n")

    def log(self):
        with open(self.path("log"), encoding="utf-8", errors="replace") as f:
            return f.read()

    def start(self, roots):
        """Seconds until the party says that it has started."""
        env = dict(os.environ, QUORATE_TEST_ROOTS=roots, QUORATE_TEST_CPU="snp")
        before = self.log().count('"ev":"started"') if os.path.exists(self.path("log")) else 0
        begun = time.monotonic()
        self.process = child([PARTY, "--config", self.path("quorated.conf")], env=env,
                             stdout=open(self.path("log"), "ab"), stderr=subprocess.STDOUT)

        def started():
            if self.process.poll() is not None:
                return True
            return self.log().count('"ev":"started"') > before
        wait(30, f"{self.platform} to start", started)
        took = time.monotonic() - begun
        if self.process.poll() is None and self.gateway is None:
            self.gateway = child([os.path.join(BIN, "quorate-gateway"), "--config",
                                  self.path("gateway.conf")],
                                 stdout=open(self.path("gateway.log"), "ab"),
                                 stderr=subprocess.STDOUT)
        return took

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.flush()

    def flush(self):
        """What /dev/tpmrm0 does for a process that ended: keys and sessions it left are let go."""
        if self.swtpm is None:
            return
        tpm = socket.socket(socket.AF_UNIX)
        tpm.connect(self.path("tpm", "data"))
        for handle in [k << 24 | i for k in (0x80, 0x02, 0x03) for i in range(3)]:
            tpm.sendall(b"\x80\x01\0\0\0\x0e\0\0\x01\x65" + handle.to_bytes(4, "big"))
            tpm.recv(10)
        tpm.close()

    def stop(self):
        for p in self.process, self.gateway, self.swtpm:
            if p and p.poll() is None:
                p.kill()
                p.wait()


def quorate(*args, ok=True):
    r = subprocess.run([os.path.join(BIN, "quorate"), *args], capture_output=True, text=True,
                       timeout=60, stdin=subprocess.DEVNULL, check=False)
    if ok and r.returncode != 0:
        raise SystemExit(f"quorate {' '.join(args[:3])}: exit {r.returncode}: {r.stderr[-800:]}")
    return r.stdout if ok else r


def status(p):
    r = quorate("status", "--socket", p.path("admin"), "--json", ok=False)
    return json.loads(r.stdout) if r.returncode == 0 else {}


def linked(parties):
    return all('"up":true' in json.dumps(s := status(p), separators=(",", ":")) and
               '"up":false' not in json.dumps(s, separators=(",", ":")) for p in parties)


def policy_of(folder, parties, wrong=None):
    """The policy: the software TEE is allowed, the two clouds by what their TPMs measured."""
    text = quorate("policy", "new", "--roster", os.path.join(folder, "roster.json"), "--insecure-sim",
                   "--serial", "2" if wrong else "1",
                   "--client", "client:" + open(os.path.join(folder, "client.hex"), encoding="ascii").read())
    policy = json.loads(text)
    amd = {"products": [{"product": "Genoa", "bootloader": 10, "tee": 2, "snp": 24, "microcode": 85}]}
    peers = policy["peers"]
    peers["freshness"] = {"max_age_s": 300, "reattest_s": 600, "clock_spread_s": 60,
                          "stages": {"warn_s": 3600, "no_peers_s": 86400, "no_keys_s": 172800,
                                     "stop_s": 259200}, "collateral_grace_s": 0}
    peers["require"] = ["validity", "binder"]
    peers["measurements"] = []
    peers["platforms"] = {}
    for p in parties:
        if p.platform == "sim":
            continue
        kind = {"azure": "azure-snp-vtpm", "gcp": "gcp-snp-vtpm"}[p.cloud]
        pcr11 = p.pcrs[1] if p is not wrong else "11" * 32
        peers["measurements"].append({
            "name": "release-" + p.cloud, "platform": kind,
            "valid_from": "2020-01-01T00:00:00Z", "valid_until": "2035-01-01T00:00:00Z",
            "expect": {"quote.pcrs.4": p.pcrs[0], "quote.pcrs.11": pcr11}})
        peers["platforms"][kind] = dict(amd)
        if p.cloud == "azure":
            peers["platforms"][kind].update(id_key_digests=[p.pcrs[2]], min_guest_svn=1)
    peers["peer_secret"] = {"threshold": 2}
    path = os.path.join(folder, "policy.json")
    with open(path, "w", encoding="utf-8") as f:
        json.dump(policy, f)
    if os.path.exists(path + ".stamps"):
        os.unlink(path + ".stamps")
    quorate("stamp", "--key", os.path.join(folder, "admin.pem"), path)
    return path


def sockets(parties):
    return [x for p in parties for x in ("--socket", p.path("admin"))]


def main():
    folder = tempfile.mkdtemp(prefix="quorate-platforms-", dir="/tmp")
    os.chmod(folder, 0o700)
    parties = [Party(folder, i + 1, name) for i, name in enumerate(("azure-vtpm", "gcp-vtpm", "sim"))]
    done = False
    try:
        run(folder, parties)
        done = True
    finally:
        for p in parties:
            p.stop()
        if done and failed == 0 and not os.environ.get("KEEP"):
            shutil.rmtree(folder)
        else:
            print(f"kept: {folder}")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


def sign(folder, parties, key, through):
    body = os.path.join(folder, "body")
    with open(body, "wb") as f:
        f.write(os.urandom(64))
    r = quorate("sign", "--gateway", f"http://127.0.0.1:{BASE + 100 + through.index}",
                "--roster", os.path.join(folder, "roster.json"),
                "--client", os.path.join(folder, "client.pem"), "--key", key, "--kind", "sha256",
                body, ok=False)
    return r.returncode == 0, r.stderr[-300:]


def run(folder, parties):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Metadata)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    for who in "admin", "client":
        with open(os.path.join(folder, who + ".hex"), "w", encoding="ascii") as f:
            f.write(quorate("key", "new", "--scheme", "p256", "--out",
                            os.path.join(folder, who + ".pem")).strip())
    roots = os.path.join(folder, "roots")
    lines = set()
    for p in parties:
        p.start_tpm()
        p.provision()
        p.configure(server.server_port)
        if p.platform != "sim":
            with open(p.path("roots"), encoding="ascii") as f:
                lines |= set(f.read().splitlines())
            # The chip's certificates are signed anew by each run of the box: one of them is believed.
            for name, file in ("thim", "thim.json"), ("vek", "vek.der"), ("chain", "cert_chain.pem"):
                with open(p.path(file), "rb") as f:
                    setattr(Metadata, name, f.read())
    with open(roots, "w", encoding="ascii") as f:
        f.write("".join(line + "\n" for line in sorted(lines)))

    first = {p.platform: p.start(roots) for p in parties}
    for p in parties:
        check(f"{p.platform} starts", p.process.poll() is None, p.log()[-600:])
        check(f"{p.platform} starts in {LIMIT_S} s", first[p.platform] <= LIMIT_S, first[p.platform])
    if failed:
        return

    descriptors = []
    for p in parties:
        d = p.path("descriptor.json")
        with open(d, "w", encoding="utf-8") as f:
            f.write(quorate("descriptor", "--socket", p.path("admin")))
        descriptors.append(d)
    with open(os.path.join(folder, "admin.hex"), encoding="ascii") as f:
        admin = f.read()
    roster = os.path.join(folder, "roster.json")
    with open(roster, "w", encoding="utf-8") as f:
        f.write(quorate("roster", "new", "--name", "platforms", "--admin", "admin:" + admin,
                        "--need", "1", *descriptors))
    quorate("stamp", "--key", os.path.join(folder, "admin.pem"), roster)
    quorate("roster", "load", *sockets(parties), roster)
    quorate("policy", "load", *sockets(parties), policy_of(folder, parties))
    begun = time.monotonic()
    wait(100, "the parties to attest each other", lambda: linked(parties))
    print(f"figure: attested_after_policy {time.monotonic() - begun:.2f} s", flush=True)
    for p in parties:
        platform = status(p).get("platform") or json.dumps(status(p))
        check(f"{p.platform} says where it runs", p.platform == "sim" or "vtpm" in platform, platform)

    out = quorate("keygen", "--socket", parties[2].path("admin"), "--key",
                  os.path.join(folder, "admin.pem"), "--t", "2", "--json")
    key = json.loads(out.splitlines()[0])["key"]
    for p in parties:
        ok, why = wait_sign(folder, parties, key, p)
        check(f"a signature through {p.platform}", ok, why)

    again = {}
    for p in parties:
        p.kill()
        again[p.platform] = p.start(roots)
        check(f"{p.platform} comes back", p.process.poll() is None, p.log()[-600:])
        check(f"{p.platform} comes back in {LIMIT_S} s", again[p.platform] <= LIMIT_S, again[p.platform])
        wait(100, f"{p.platform} to be attested again", lambda: linked(parties))
        ok, why = wait_sign(folder, parties, key, p)
        check(f"a signature through {p.platform}, which was killed", ok, why)

    # Another image on the same machine: the TPM keeps the secret to itself.
    azure = parties[0]
    azure.kill()
    subprocess.run([BOX, "extend", "unix:" + azure.path("tpm", "data"), azure.folder], check=True,
                   capture_output=True)
    azure.start(roots)
    check("another image does not open the store", azure.process.poll() == 78,
          f"exit {azure.process.poll()}")
    check("and says why", "PCR" in azure.log().splitlines()[-1] and "11" in azure.log().splitlines()[-1],
          azure.log()[-400:])
    azure.swtpm.kill()
    azure.swtpm.wait()
    os.unlink(azure.path("tpm", "data"))
    azure.start_tpm()  # a reboot into the right one
    subprocess.run([BOX, "boot", "unix:" + azure.path("tpm", "data"), azure.folder], check=True,
                   capture_output=True)
    azure.start(roots)
    check("the right image opens it again", azure.process.poll() is None, azure.log()[-400:])
    wait(100, "the rebooted party", lambda: linked(parties))

    # A policy with another measurement for one of them: it is refused, by that word.
    gcp = parties[1]
    quorate("policy", "load", *sockets(parties), policy_of(folder, parties, wrong=gcp))
    wait(60, "the refusal", lambda: "measurement" in parties[2].log())
    check("another measurement is refused", not linked(parties))

    for name in first:
        word = name.split("-")[0]
        print(f"figure: start_{word}_first {first[name]:.2f} s")
        print(f"figure: start_{word}_again {again[name]:.2f} s", flush=True)


def wait_sign(folder, parties, key, p):
    end = time.monotonic() + 30
    while True:
        ok, why = sign(folder, parties, key, p)
        if ok or time.monotonic() > end:
            return ok, why
        time.sleep(0.1)


if __name__ == "__main__":
    sys.exit(main())
