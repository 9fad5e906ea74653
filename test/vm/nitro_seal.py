#!/usr/bin/env python3
"""The Nitro back end in QEMU's machine: a root out of a key service, and the same one after a restart.

test/vm/sealer.c as /init over the real /dev/nsm; test/vm/kmsbox on the host in KMS's place, which gives
keys to this image's PCR0 alone; what the enclave keeps lies with the host. First start, second start,
a host that changes what it keeps, a key whose policy names another image. What the emulator's module
leaves unsigned is refused by the back end, and signed with a throwaway root for the rest.
Needs: test/vm/qemu_nitro.sh, deploy/nitro/kernel/build.sh. Last line: `N passed, N failed`.
"""

import os
import re
import socket
import struct
import subprocess
import sys
import tempfile
import threading

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import enclave  # noqa: E402
import nitro_boot  # noqa: E402
from rig import Failed, need, with_parent  # noqa: E402

passed = failed = 0


def check(what, ok, found=""):
    global passed, failed
    if ok:
        passed += 1
        print(f"ok   {what}")
    else:
        failed += 1
        print(f"FAIL {what}: {found}")


def program(name):
    return need(os.path.join(enclave.BUILD, "test/vm", name), "make test-nitro builds it")


def build(folder):
    """The image: sealer and what it loads."""
    sealer = program("sealer")
    listed = subprocess.run(["ldd", sealer], capture_output=True, text=True, check=True).stdout
    libs = sorted({m.group(1) for m in re.finditer(r"(/\S+) \(0x", listed)})
    if not libs:
        raise Failed(f"ldd {sealer}: no libraries in: {listed}")
    one = nitro_boot.ramdisk(folder, "boot", ["dir dev 755", "dir proc 755", "dir run 755",
                                              "node dev/console 600 5 1", f"file init 755 {sealer}"])
    two = nitro_boot.ramdisk(folder, "app", [f"file {p.lstrip('/')} 755 {os.path.realpath(p)}"
                                             for p in libs])
    eif = os.path.join(folder, "sealer.eif")
    enclave.quorate("image", "eif", "build", "--kernel", enclave.kernel(), "--cmdline",
                    nitro_boot.CMDLINE, "--ramdisk", one, "--ramdisk", two, "--output", eif)
    return eif


class Box:
    """kmsbox on two ports of its own choice."""

    def __init__(self, folder, pcr0):
        self.log = os.path.join(folder, "kmsbox.log")
        self.out = open(self.log, "wb")
        self.p = with_parent([program("kmsbox"), "--kms", "0", "--credentials", "0", "--pcr0", pcr0],
                             stdout=self.out, stderr=subprocess.STDOUT)
        m = enclave.wait(5, "kmsbox's addresses",
                         lambda: re.search(r"kms 127.0.0.1:(\d+) credentials 127.0.0.1:(\d+)", self.text()))
        self.kms, self.credentials = int(m.group(1)), int(m.group(2))

    def text(self):
        with open(self.log, encoding="utf-8", errors="replace") as f:
            return f.read()

    def close(self):
        self.p.kill()
        self.p.wait()
        self.out.close()


def relay_to(port):
    def pump(a, b):
        try:
            while True:
                x = a.recv(65536)
                if not x:
                    break
                b.sendall(x)
        except OSError:
            pass
        try:
            b.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def serve(c):
        with socket.create_connection(("127.0.0.1", port)) as s:
            t = threading.Thread(target=pump, args=(s, c), daemon=True)
            t.start()
            pump(c, s)
            t.join()
    return serve


def exactly(c, n):
    out = b""
    while len(out) < n:
        x = c.recv(n - len(out))
        if not x:
            raise OSError("cut off")
        out += x
    return out


class Host:
    """What the enclave keeps."""

    def __init__(self):
        self.kept, self.saves = b"", 0

    def serve(self, c):
        if exactly(c, 1) == b"L":
            c.sendall(struct.pack(">I", len(self.kept)) + self.kept)
        else:
            self.kept = exactly(c, struct.unpack(">I", exactly(c, 4))[0])
            self.saves += 1
            c.sendall(b"\x01")
        c.recv(1)


def run(eif, box, host, what):
    listeners = []

    def make():
        e = enclave.Enclave(eif)
        for port, serve in ((7443, relay_to(box.kms)), (7444, relay_to(box.credentials)),
                            (9002, host.serve)):
            listeners.append(enclave.Listener(e.uds, port, serve))
        return e

    e, _ = enclave.boot(make, lambda e: e.wait_for(r"^sealer: done", "the sealer's end"), what)
    text = e.text()
    e.close()
    for x in listeners:
        x.close()
    for m in re.finditer(r"^sealer: (opened with.*|evidence of.*)$", text, re.M):
        print(f"     {what}: {m.group(1).strip()}")
    return text


def key_of(text):
    m = re.search(r"^sealer: key OK ([0-9a-f]{64})", text, re.M)
    return m.group(1) if m else None


def main():
    with tempfile.TemporaryDirectory(prefix="qseal-") as folder:
        eif = build(folder)
        pcr0 = enclave.measured(eif)["pcrs.0"]
        box, host = Box(folder, pcr0), Host()
        try:
            first = run(eif, box, host, "first start")
            check("the emulator's unsigned document opens nothing",
                  re.search(r"opened as it is: PLATFORM .*the module's document", first), first[-1500:])
            check("first start: a root", key_of(first), first[-1500:])
            check("it was kept once", host.saves == 1, host.saves)
            check("the service made one key and gave it back once",
                  "generated 1, decrypted 1" in box.text(), box.text())
            check("evidence believed by the throwaway root, with our own measurement",
                  "by the throwaway root: OK, measurement ours" in first, first[-1500:])
            check("and refused by the vendors'",
                  "by the vendors' roots: ATTESTATION" in first, first[-1500:])
            kept = host.kept
            second = run(eif, box, host, "second start")
            check("second start: the same root", key_of(second) and key_of(second) == key_of(first),
                  second[-1500:])
            check("nothing new was kept or made", host.saves == 1 and "generated 1," in box.text())
            host.kept = kept[:-1] + bytes([kept[-1] ^ 1])
            third = run(eif, box, host, "changed keep")
            check("what the host changed does not open",
                  "opened with a signature: SEAL" in third and not key_of(third), third[-1500:])
            host.kept = kept
        finally:
            box.close()
        box = Box(folder, "0" * 96)
        try:
            other = run(eif, box, host, "another image's key")
            check("a key for another image refuses this one, with what to do",
                  re.search(r"with a signature: PLATFORM .*AccessDeniedException.*PCR0 begins "
                            + pcr0[:16], other) and not key_of(other), other[-1500:])
        finally:
            box.close()
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failed as e:
        print(f"FAIL {e}")
        print(f"{passed} passed, {failed + 1} failed")
        sys.exit(1)
