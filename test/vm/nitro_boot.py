#!/usr/bin/env python3
"""The kernel, the image format and the security module: the smallest enclave in QEMU's machine.

An image of our kernel and test/vm/probe.c as /init, signed, in two ramdisks. What /dev/nsm reports must
be what `quorate image eif measure` published; the heartbeat is given; the document carries the
registers and the question, and no policy accepts it. Prints the phases of the boot.
Needs: test/vm/qemu_nitro.sh, deploy/nitro/kernel/build.sh. Last line: `N passed, N failed`.
"""

import os
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import enclave  # noqa: E402
from rig import TOP, Failed  # noqa: E402

CMDLINE = open(os.path.join(TOP, "deploy/nitro/cmdline-x86_64")).read().strip()
passed = failed = 0


def check(what, ok, found=""):
    global passed, failed
    if ok:
        passed += 1
        print(f"ok   {what}")
    else:
        failed += 1
        print(f"FAIL {what}: {found}")


def ramdisk(folder, name, lines):
    listing, out = os.path.join(folder, name + ".list"), os.path.join(folder, name + ".cpio.gz")
    with open(listing, "w") as f:
        f.write("\n".join(lines) + "\n")
    subprocess.run([os.path.join(TOP, "deploy/nitro/ramdisk.py"), listing, out], check=True)
    return out


def openssl(*args):
    subprocess.run(["openssl", *args], check=True, capture_output=True)


def build(folder):
    key, cert = os.path.join(folder, "key.pem"), os.path.join(folder, "cert.pem")
    openssl("ecparam", "-name", "secp384r1", "-genkey", "-noout", "-out", key)
    os.chmod(key, 0o600)
    openssl("req", "-x509", "-new", "-key", key, "-sha384", "-days", "30", "-subj", "/CN=test", "-out",
            cert)
    probe = os.path.join(enclave.BUILD, "test/vm/probe")
    one = ramdisk(folder, "boot", ["dir dev 755", "node dev/console 600 5 1", f"file init 755 {probe}"])
    two = ramdisk(folder, "app", [f"file etc/issue 644 {__file__}"])
    eif = os.path.join(folder, "probe.eif")
    enclave.quorate("image", "eif", "build", "--kernel", enclave.kernel(), "--cmdline", CMDLINE,
                    "--ramdisk", one, "--ramdisk", two, "--output", eif, "--key", key, "--cert", cert)
    return eif


def boot_it(eif):
    got = {}
    question = os.urandom(32)

    def report(c):
        c.sendall(question)
        doc = b""
        while True:
            b = c.recv(65536)
            if not b:
                break
            doc += b
        got["doc"] = doc

    def make():
        e = enclave.Enclave(eif)
        e.report = enclave.Listener(e.uds, 9001, report)
        return e

    e, _ = enclave.boot(make, lambda e: e.wait_for(r"^probe: done", "the probe's end"), "probe")
    return e, got.get("doc", b""), question


def main():
    with tempfile.TemporaryDirectory(prefix="qnitro-") as folder:
        eif = build(folder)
        published = enclave.measured(eif)
        e, doc, question = boot_it(eif)
        text = e.text()
        for n in (0, 1, 2, 3, 4, 8):
            m = re.search(rf"^probe: PCR{n} ([0-9a-f]+) (\w+)", text, re.M)
            found = m.group(1) if m else "nothing"
            check(f"PCR{n} as published, and locked",
                  found == published[f"pcrs.{n}"] and m.group(2) == "locked", found)
        check("heartbeat", e.heartbeat.at is not None)
        check("the document answers the question", question in doc, f"{len(doc)} bytes")
        for n in (0, 1, 2, 3, 4, 8):
            check(f"the document has PCR{n}", bytes.fromhex(published[f"pcrs.{n}"]) in doc)
        check("its algorithm is none and its signature is zeros: the emulator's",
              doc[:6] in (b"\x84\x44\xa1\x01\x20\xa0", b"\x84\x43\xa1\x01\x20\xa0") and
              doc.endswith(b"\x58\x40" + bytes(64)), doc[:8].hex() + " ... " + doc[-70:].hex())
        phases = [(k, re.search(p, text)) for k, p in
                  (("kernel to init", r"probe: init at ([\d.]+)"),
                   ("heartbeat", r"probe: heartbeat at ([\d.]+)"),
                   ("document of 1 NSM request", r"bytes in ([\d.]+) ms"),
                   ("done", r"probe: done at ([\d.]+)"))]
        print("phases: " + ", ".join(f"{k} {m.group(1)}" for k, m in phases if m) +
              f"; from QEMU's start to the heartbeat {e.heartbeat.at - e.started:.2f} s")
        e.close()

        # A changed byte: QEMU's loader refuses it, and so does ours.
        data = bytearray(open(eif, "rb").read())
        data[len(data) // 2] ^= 1
        broken = os.path.join(folder, "broken.eif")
        with open(broken, "wb") as f:
            f.write(data)
        r = enclave.quorate("image", "eif", "measure", broken, ok=False)
        check("a changed byte: measure refuses", r.returncode == 78 and "CRC" in r.stderr, r.stderr)
        e = enclave.Enclave(broken)
        try:
            e.start()
            e.wait_for("probe: init", "nothing: it must not start")
            check("a changed byte: the machine refuses", False, "it started")
        except Failed as f:
            check("a changed byte: the machine refuses", "CRC" in str(f), str(f))
        finally:
            e.close()
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failed as e:
        print(f"FAIL {e}")
        print(f"{passed} passed, {failed + 1} failed")
        sys.exit(1)
