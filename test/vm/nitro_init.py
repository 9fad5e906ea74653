#!/usr/bin/env python3
"""PID 1 and the pump in an enclave: quorate-init, the inside half over real AF_VSOCK, a stand-in for
quorated (test/vm/standin.c), and on the parent quorate-pump --outside with an echo behind it.

The parent first says nothing at the document's port, then garbage, then too much, then a document that wants
another listener; then the good one. Needs: test/vm/qemu_nitro.sh, deploy/nitro/kernel/build.sh. Emulated:
the machine, its security module, and vsock's host side. Last line: `N passed, N failed`.
"""

import os
import re
import socket
import subprocess
import sys
import tempfile
import threading

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import enclave  # noqa: E402
from nitro_boot import CMDLINE, ramdisk  # noqa: E402
from rig import TOP, Failed, wait, with_parent  # noqa: E402

GOOD = b"""#cloud-config
runcmd: [touch /run/owned]
quorate:
  party:
    listen: 0.0.0.0:9440
    advertise: party-1.example.net:9440
    cloud: aws
    operator: example
"""
DOCUMENTS = [b"", b"\x7fELF" * 100, b"#" * 70000,
             b"#cloud-config\nquorate:\n  party:\n    state_dir: /\n", GOOD]
passed = failed = 0


def check(what, ok, found=""):
    global passed, failed
    if ok:
        passed += 1
        print(f"ok   {what}")
    else:
        failed += 1
        print(f"FAIL {what}: {found}")


def libc():
    """What a program that is not static loads, from this machine."""
    out = subprocess.check_output(["ldd", os.path.join(enclave.BIN, "quorate-pump")], text=True)
    for path in re.findall(r"(/\S+\.so\S*)", out):
        yield path


def build(folder):
    standin = os.path.join(enclave.BUILD, "test/vm/standin")
    one = ramdisk(folder, "boot", ["dir dev 755", "node dev/console 600 5 1",
                                   "file init 755 " + os.path.join(enclave.BIN, "quorate-init")])
    app = [f"file usr/bin/quorated 755 {standin}",
           "file usr/bin/quorate-pump 755 " + os.path.join(enclave.BIN, "quorate-pump"),
           "file etc/quorate/pump.conf 644 " + os.path.join(TOP, "deploy/nitro/pump-inside.conf")]
    app += [f"file {p[1:]} 755 {os.path.realpath(p)}" for p in sorted(set(libc()))]
    two = ramdisk(folder, "app", app)
    eif = os.path.join(folder, "init.eif")
    enclave.quorate("image", "eif", "build", "--kernel", enclave.kernel(), "--cmdline", CMDLINE,
                    "--ramdisk", one, "--ramdisk", two, "--output", eif)
    return eif


def echo_server():
    s = socket.create_server(("127.0.0.1", 0))

    def one(c):
        with c:
            while True:
                data = c.recv(65536)
                if not data:
                    return
                c.sendall(data)

    def run():
        while True:
            try:
                c, _ = s.accept()
            except OSError:
                return
            threading.Thread(target=one, args=(c,), daemon=True).start()
    threading.Thread(target=run, daemon=True).start()
    return s


class Parent:
    """The document's port, and the pump's outside half."""

    def __init__(self, e, echo):
        self.asked = 0
        self.documents = enclave.Listener(e.uds, 9001, self.give)
        conf = os.path.join(e.folder, "outside.conf")
        with open(conf, "w") as f:
            f.write(f"[pump]\nlisten = hybrid:{e.uds}:7000\n[route 1]\n"
                    f"dial = tcp:127.0.0.1:{echo.getsockname()[1]}\n")
        self.log = os.path.join(e.folder, "outside.log")
        self.pump = with_parent([os.path.join(enclave.BIN, "quorate-pump"), "--outside", "--config",
                                 conf], stderr=open(self.log, "wb"))

    def give(self, c):
        d = DOCUMENTS[min(self.asked, len(DOCUMENTS) - 1)]
        self.asked += 1
        try:
            c.sendall(d)
        except OSError:
            pass

    def close(self):
        self.pump.terminate()
        self.pump.wait()
        self.documents.close()


def run(eif, echo):
    def make():
        e = enclave.Enclave(eif)
        e.parent = Parent(e, echo)
        return e
    return enclave.boot(make, lambda e: e.wait_for(r"quorate-init: stopped", "its end"), "init")[0]


def judge(e):
    text = e.text().replace("\r", "")

    def line(what, pattern):
        m = re.search(pattern, text, re.M)
        check(what, m, text[-2500:])
        return m

    line("entropy before anything else", r"256 bytes of the security module[\s\S]*heartbeat")
    check("the heartbeat", e.heartbeat.at is not None)
    check("garbage is refused, the parent asked again", e.parent.asked == len(DOCUMENTS),
          e.parent.asked)
    line("a key of the image's in the document", r"configuration from the parent .*state_dir")
    line("too long a document", r"configuration from the parent .*exceeds a limit")
    line("users and limits", r"^standin: uid 990 gid 990 groups 991; root again: no; "
         r"new privileges: no; lock: all; core: none; session: own$")
    line("no inherited descriptors", r"^standin: descriptors 0 1 2$")
    line("the security module is the party's", r"^standin: nsm: ok, mode 600 owner 990$")
    line("a read-only root", r"^standin: root: Read-only file system$")
    line("other processes are hidden", r"^standin: init: No such file or directory$")
    line("folders", r"^standin: run: Permission denied; state: ok$")
    line("the image's listener, not the document's", r"^standin: conf: listen = tcp://127.0.0.1:7000$")
    line("the document's name", r"^standin: conf: operator = example$")
    check("nothing of runcmd", "owned" not in text)
    line("started again after 75", r"quorated exited with 75 .*again in 500 ms")
    line("and after a signal", r"quorated was killed by signal 9; .*again in 1000 ms")
    m = line("a mebibyte through both halves and back", r"^standin: echo of 1048576 bytes in (\d+) ms$")
    line("the end", r"the party has drained: stopping[\s\S]*quorate-pump exited with 0[\s\S]*stopped")
    try:
        wait(20, "the machine's end", lambda: not e.running())
        check("the machine is off", True)
    except Failed as f:
        check("the machine is off", False, f)
    with open(e.parent.log) as f:
        check("the trunk was met", '"trunk_up"' in f.read())
    if m:
        print(f"figure: pump_vsock_mib {m.group(1)} ms")
    print(f"figure: init_heartbeat {e.heartbeat.at - e.started:.2f} s")


def main():
    echo = echo_server()
    with tempfile.TemporaryDirectory(prefix="qnitro-") as folder:
        e = run(build(folder), echo)
        try:
            judge(e)
        finally:
            e.parent.close()
            e.close()
    echo.close()
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failed as f:
        print(f"failed: {f}")
        print(f"{passed} passed, {failed + 1} failed")
        sys.exit(1)
