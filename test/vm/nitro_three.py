#!/usr/bin/env python3
"""One quorum, three platforms, as far as emulators go: an enclave, a measured-boot guest, a host.

  1  QEMU's nitro-enclave machine from our .eif: the Nitro back end, its secret from test/vm/kmsbox
  2  OVMF, a software TPM and the UKI of deploy/image: Azure's back end on /dev/tpmrm0, sealed by that TPM
     for images that a release key signed
  3  a program on this host: Google's back end over another software TPM

Each proves itself on its own platform's path to the two others. One policy pins PCR 0, 1 and 2 of the .eif,
PCR 4, 7, 9, 11 and 12 of the UKI as `quorate image uki measure` computes them from the file, and the host's; it
allows no software TEE and demands the peer secret. What no emulator has is a vendor's signature: QEMU's
module signs nothing, and there is no processor behind the TPMs. So vendors are throwaway ones, believed by
test/vm/testparty alone (test/vm/three_images.sh); the product's own quorated, and `quorate verify`, refuse
the same evidence, which is shown at the end.

Bars, under TCG: READY within 60 s of QEMU's start (of the second one, if a boot is tried again, which is
printed); a machine that was killed has come back and signed within 120 s of the kill, whatever was tried again,
the host's party being dead so that it must. Last line: `N passed, N failed`.
"""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import enclave  # noqa: E402
import nitro_quorum as nq  # noqa: E402
import rig  # noqa: E402
import vm_boot  # noqa: E402
from rig import Failed, wait, with_parent  # noqa: E402

ENCLAVE, GUEST, HOST = 9451, 9452, 9453  # ports of the three; the network is our own
ADDRESS = "10.0.2.2"
ADMIN = 18446  # the guest's operator's socket, forwarded
BOX = os.path.join(enclave.BUILD, "test/vm/vtpmbox")
REGISTERS = (4, 7, 9, 11, 12)
DOCUMENT = """#cloud-config
quorate:
  party:
    listen: 0.0.0.0:9440
    advertise: {address}:{port}
    cloud: {cloud}
    operator: op-{cloud}
  pool:
    low: 16
    high: 32
    standby: 16
"""
RELEASE = "  documents:\n    release: http://169.254.169.254/release.stmt\n"


class Metadata(rig.Metadata):
    """Azure's metadata service for the guest; AMD's key service for the host's gateway."""

    def __init__(self, made):
        def read(*name):
            with open(os.path.join(made, *name), "rb") as f:
                return f.read()
        super().__init__()
        self.user_data = (DOCUMENT.format(address=ADDRESS, port=GUEST, cloud="azure") + RELEASE).encode()
        self.documents["/release.stmt"] = read("release.stmt")
        self.thim, self.vek = read("azure", "thim.json"), read("gcp", "vek.der")
        self.documents["/kds/vcek/v1/Genoa/cert_chain"] = read("gcp", "cert_chain.pem")

    def answer(self, path, headers):
        if path == "/metadata/THIM/amd/certification" and headers.get("Metadata") == "true":
            return 200, self.thim
        if path.startswith("/kds/vcek/v1/Genoa/") and "snpSPL=24&ucodeSPL=85" in path:
            return 200, self.vek
        return super().answer(path, headers)


class Parent(nq.Parent):
    """The enclave's parent: the pump's routes lead to where this quorum's parties are."""

    def pump(self, e):
        m = self.member
        m.write("enclave.yaml", DOCUMENT.format(address=ADDRESS, port=ENCLAVE, cloud="aws"))
        routes = {2: f"dial = tcp:{ADDRESS}:{GUEST}", 3: f"dial = tcp:{ADDRESS}:{HOST}",
                  32: f"listen = tcp:0.0.0.0:{ENCLAVE}\nstreams = 32",
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


class Host(nq.Member):
    """Google's back end over a software TPM; `start_product` is the product's own on the software TEE."""

    def start_tpm(self, made):
        self.made = made
        shutil.copytree(os.path.join(made, "gcp", "tpm"), self.path("tpm"))
        self.spawn("swtpm", ["swtpm", "socket", "--tpm2", "--tpmstate", "dir=" + self.path("tpm"), "--server",
                             "type=unixio,path=" + self.path("tpm/data"), "--ctrl",
                             "type=unixio,path=" + self.path("tpm/ctrl"), "--flags",
                             "not-need-init,startup-clear"])
        wait(10, "swtpm", lambda: os.path.exists(self.path("tpm/data")))
        # PCR 4 and 11 as a boot leaves them.
        subprocess.run([BOX, "boot", "unix:" + self.path("tpm/data"), self.folder], check=True,
                       capture_output=True)

    def conf(self, tee):
        self.write("quorated.conf",
                   f"[party]\nstate_dir = {self.path('state')}\nlisten = tcp://0.0.0.0:{HOST}\n"
                   f"advertise = tcp://{ADDRESS}:{HOST}\ncloud = gcp\noperator = op-gcp\n"
                   f"gateway_socket = {self.path('gateway.sock')}\nadmin_socket = {self.path('admin.sock')}\n"
                   f"[tee]\n{tee}[pool]\nlow = 16\nhigh = 32\nstandby = 16\n")

    def start_host(self, program=nq.PARTY):
        made = self.made
        self.conf(f"platform = gcp-vtpm\ntpm = unix:{self.path('tpm/data')}\n"
                  f"release = {made}/gcp/release.stmt\nrelease_key = {made}/gcp/release.key\n"
                  f"ak_chain = {made}/gcp/ak_chain.pem\n")
        env = dict(os.environ, QUORATE_TEST_ROOTS=os.path.join(made, "roots"), QUORATE_TEST_CPU="snp")
        self.spawn("quorated", [program, "--config", self.path("quorated.conf")], env=env)

    def start_product(self):
        self.conf("platform = sim\n")
        self.spawn("quorated", [os.path.join(enclave.BIN, "quorated"), "--config", self.path("quorated.conf")])

    def kill(self):
        """As a crash; then what /dev/tpmrm0 does for a process that ended: what it left is let go."""
        self.end("quorated")
        tpm = socket.socket(socket.AF_UNIX)
        tpm.connect(self.path("tpm/data"))
        for handle in [k << 24 | i for k in (0x80, 0x02, 0x03) for i in range(3)]:
            tpm.sendall(b"\x80\x01\0\0\0\x0e\0\0\x01\x65" + handle.to_bytes(4, "big"))
            tpm.recv(10)
        tpm.close()


class Quorum(nq.Quorum):
    def __init__(self, folder, made):
        super().__init__(folder, enclave.measured(os.path.join(made, "eif", "quorate.eif")))
        self.made = made
        shutil.rmtree(self.members[2].folder)
        self.members[2] = Host(folder, 3)
        with open(os.path.join(made, "uki", "registers.json"), encoding="ascii") as f:
            self.uki = {k: v for k, v in json.load(f).items() if k.startswith("quote.pcrs.")}
        if sorted(self.uki) != sorted(f"quote.pcrs.{n}" for n in REGISTERS):
            raise Failed(f"image uki measure gives {sorted(self.uki)}")
        with open(os.path.join(made, "gcp", "registers"), encoding="ascii") as f:
            four, eleven, _ = f.read().split()
        self.host = {"quote.pcrs.4": four, "quote.pcrs.11": eleven}
        with open(os.path.join(made, "azure", "registers"), encoding="ascii") as f:
            self.paravisor = f.read().split()[2]

    def write_policy(self, sim=False, uki=None):
        self.serial += 1
        args = ["--insecure-sim"] if sim else []
        made = enclave.quorate("policy", "new", "--roster", self.path("roster.json"), "--serial",
                               str(self.serial), "--client", "client:" + self.hex("client"), *args).stdout
        policy = json.loads(made)
        amd = {"products": [{"product": "Genoa", "bootloader": 10, "tee": 2, "snp": 24, "microcode": 85}]}

        def image(name, platform, expect):
            return {"name": name, "platform": platform, "valid_from": "2020-01-01T00:00:00Z",
                    "valid_until": "2035-01-01T00:00:00Z", "expect": expect}
        policy["peers"].update(
            freshness={"max_age_s": 300, "reattest_s": 600, "clock_spread_s": 60,
                       "stages": {"warn_s": 3600, "no_peers_s": 86400, "no_keys_s": 172800, "stop_s": 259200},
                       "collateral_grace_s": 0},
            require=["validity", "binder"],
            measurements=[image("eif", "aws-nitro", {k: self.pcrs[k] for k in ("pcrs.0", "pcrs.1", "pcrs.2")}),
                          image("uki", "azure-snp-vtpm", uki or self.uki),
                          image("host", "gcp-snp-vtpm", self.host)],
            platforms={"aws-nitro": {"require": ["timestamp"]},
                       "azure-snp-vtpm": dict(amd, id_key_digests=[self.paravisor], min_guest_svn=1),
                       "gcp-snp-vtpm": amd},
            peer_secret={"threshold": 2})
        if not sim and "sim" in json.dumps(policy):
            raise Failed("the policy allows the software TEE")
        path = self.path(f"policy-{self.serial}.json")
        with open(path, "w", encoding="utf-8") as f:
            json.dump(policy, f)
        enclave.quorate("stamp", "--key", self.path("admin.pem"), path)
        return path

    def load_policy(self, **kw):
        enclave.quorate("policy", "load", *self.sockets(), self.write_policy(**kw))


class Machines:
    """The two that QEMU runs, and what they stand on."""

    def __init__(self, q, made, name):
        self.q, self.eif = q, os.path.join(made, "eif", "quorate.eif")
        folder = os.path.join(q.folder, "g" + name)
        shutil.copytree(os.path.join(made, "azure", "tpm"), os.path.join(folder, "tpm"))
        self.guest = rig.Guest(folder, os.path.join(made, "uki", "disk.raw"),
                               forwards=[(GUEST, 9440), (ADMIN, 8446)])
        self.relay = rig.Relay(q.members[1].path("admin.sock"), ADMIN)
        self.parent = Parent(q.members[0], q.pcrs["pcrs.0"])
        self.enclave = None

    def start_enclave(self, done, what, word):
        self.enclave, t = nq.start_enclave(self.eif, self.parent, done, what, word)
        return t

    def start_guest(self, done, what, phases=vm_boot.PHASES, limit=rig.BOOT_LIMIT):
        return vm_boot.boot(self.guest, done, what, phases, limit)

    def kill_enclave(self):
        if self.enclave:
            self.enclave.close()
        self.enclave = None

    def end(self):
        self.kill_enclave()
        self.guest.kill()

    def consoles(self):
        if self.enclave:
            print("the enclave's console: " + self.enclave.text()[-5000:])
        print("the guest's console: " + self.guest.text()[-5000:])


def first_boot(q, vms, what):
    one, two, _ = q.members
    t = vms.start_guest(lambda: q.status(two) is not None, f"{what}: the guest, to its operator's socket")
    print(f"figure: three_guest_first {t:.1f} s")
    t = vms.start_enclave(lambda: q.status(one) is not None, f"{what}: the enclave", "operator's socket")
    print(f"figure: three_enclave_first {t:.1f} s")


def signature(q, through, what, seconds=30):
    why = q.signs(through, seconds)
    nq.check(what, why is None, why)


def check_registers(q, guest):
    found = {f"quote.pcrs.{n}": guest.tpm.pcr(n) for n in REGISTERS}
    nq.check("the guest's registers are those computed from the image", found == q.uki, found)


def platforms(q):
    """What each party says it runs on, and what each other one believes."""
    return [(q.status(m) or {}).get("platform", "") for m in q.members]


def run(q, made):
    one, two, three = q.members
    vms = Machines(q, made, "run")
    try:
        three.start_tpm(made)
        three.start_host()
        three.start_gateway("[collateral]\namd_kds = http://127.0.0.1/kds\n"
                            "google_ca = http://127.0.0.1/google\n")
        first_boot(q, vms, "first boot")
        check_registers(q, vms.guest)
        q.roster()
        q.load_policy()
        begun = time.monotonic()
        wait(100, "the three to attest each other", q.linked, 0.2)
        print(f"figure: three_attested {time.monotonic() - begun:.1f} s")
        nq.check("the three have attested each other, each on its platform's path", True)
        print("platforms: " + ", ".join(platforms(q)))
        q.make_key(three)
        for m in (one, three):
            signature(q, m, f"a signature through party {m.index}'s gateway")
        refused_by_verify(q, (one, three))
        three.kill()
        signature(q, one, "the enclave and the guest sign; the host's party is dead")

        killed(q, vms, "guest")
        three.start_host()
        wait(100, "the host's party to be back", q.linked, 0.2)
        nq.check("the host's party is back", True)
        vms.kill_enclave()
        signature(q, three, "the guest and the host's party sign; the enclave is dead")
        three.kill()
        killed(q, vms, "enclave")
        three.start_host()
        wait(100, "the host's party to be back", q.linked, 0.2)

        other_image(vms)
        before = three.log("quorated").count("measurement")
        q.load_policy(uki=dict(q.uki, **{"quote.pcrs.11": "11" * 32}))
        wait(60, "the refusal", lambda: three.log("quorated").count("measurement") > before, 0.2)
        nq.check("a policy with another PCR 11 refuses the guest", not q.linked())
    finally:
        if nq.failed or sys.exc_info()[0]:
            vms.consoles()
        vms.end()


def killed(q, vms, which):
    """QEMU is killed and starts again; then the enclave and the guest sign, nobody else being there."""
    one, two, _ = q.members
    begun = time.monotonic()
    if which == "guest":
        vms.guest.kill()
        nq.check("one party alone signs nothing", q.sign(one) is not None)
        t = vms.start_guest(lambda: q.ready(two), "a killed guest, to READY")
    else:
        vms.kill_enclave()
        t = vms.start_enclave(lambda: q.ready(one), "a killed enclave", "READY")
    print(f"figure: three_{which}_ready {t:.1f} s")
    nq.check(f"the {which} is READY within 60 s", t <= rig.BOOT_LIMIT, t)
    signature(q, one, f"the {which} has its share again: it and the other machine sign", 60)
    t = time.monotonic() - begun  # from the kill, a boot that was tried again included
    print(f"figure: three_{which}_rejoin_and_sign {t:.1f} s")
    nq.check(f"the {which} has rejoined and signed within 120 s", t <= 120, t)


def other_image(vms):
    """The same disks and TPM with a word more on the kernel's command line, which is PCR 12 and 9."""
    guest = vms.guest
    guest.kill()
    whole = guest.extra
    guest.extra = whole + ["-smbios", "type=11,value=io.systemd.stub.kernel-cmdline-extra=another=image"]

    def refusal():
        line = [x for x in guest.text().splitlines() if '"ev":"cannot_start"' in x]
        return line[0] if line else None
    vms.start_guest(refusal, "the guest with another command line, to its refusal", vm_boot.PHASES[:3], 120)
    nq.check("another image does not open the store: the TPM keeps its secret, and the party says why",
             "PCR 9 12 differ" in refusal(), refusal())
    print(refusal()[:300])
    guest.kill()
    guest.extra = whole
    vms.start_guest(lambda: vms.q.ready(vms.q.members[1]), "the right image again, to READY",
                    limit=120)
    nq.check("the right image opens it", True)
    wait(100, "the guest to be back", vms.q.linked, 0.2)


def refused_by_verify(q, members):
    """The product's verifier has the product's roots."""
    for m in members:
        nonce = os.urandom(32).hex()
        with urllib.request.urlopen(f"{m.url()}/v1/attestation?nonce={nonce}", timeout=30) as r:
            m.write("attestation.json", r.read().decode("ascii"))
        r = enclave.quorate("verify", "--attestation", m.path("attestation.json"), "--nonce", nonce, "--roster",
                            q.path("roster.json"), "--policy", q.path(f"policy-{q.serial}.json"), ok=False)
        said = r.stdout + r.stderr
        nq.check(f"quorate verify refuses party {m.index}'s evidence: its root is not the vendor's",
                 r.returncode == 77 and "untrusted-root" in said, f"exit {r.returncode}: {said[-600:]}")


def strangers(q, made):
    """New machines of the same images; the host's party is the product's own."""
    three = q.members[2]
    vms = Machines(q, made, "strangers")
    try:
        three.start_product()
        first_boot(q, vms, "among strangers")
        q.roster()
        q.load_policy(sim=True)

        def refused():
            return {p for x in three.log("quorated").splitlines() if "untrusted-root" in x
                    for p in re.findall(r'\bpeer["= :]+(\d)', x)}
        wait(90, "the product's party to refuse both", lambda: refused() >= {"1", "2"}, 0.2)
        nq.check("the product's own quorated believes neither the enclave nor the guest", True)
        for line in three.log("quorated").splitlines():
            if "untrusted-root" in line:
                print(line[:300])
                break
        nq.check("and links with nobody", "0/2 peers" in (q.status(three) or {}).get("status", ""),
                 q.status(three))
    finally:
        if nq.failed or sys.exc_info()[0]:
            vms.consoles()
            print(three.log("quorated")[-3000:])
        vms.end()


def main():
    rig.enter()
    os.chdir(rig.TOP)
    made = enclave.artefact(["test/vm/three_images.sh", "--path"])
    for program in (nq.PARTY, BOX):
        rig.need(program, "make test-nitro builds it")
    Metadata(made)
    for part in (run, strangers):
        folder = tempfile.mkdtemp(prefix="qthree-", dir="/tmp")
        q = Quorum(folder, made)
        done = False
        try:
            part(q, made)
            done = True
        finally:
            for m in q.members:
                m.end()
            if done and not nq.failed and not os.environ.get("KEEP"):
                shutil.rmtree(folder)
            else:
                print(f"kept: {folder}")
    print(f"{nq.passed} passed, {nq.failed} failed")
    return 1 if nq.failed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failed as e:
        print(f"FAIL {e}")
        print(f"{nq.passed} passed, {nq.failed + 1} failed")
        sys.exit(1)
