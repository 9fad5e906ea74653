"""Enclaves under QEMU's nitro-enclave machine, with the parent's side of vsock by our own backend.

The machine runs in a Debian 13 folder (test/vm/qemu_nitro.sh); the guest's connections to CID 2 and 3,
port P, arrive at the Unix socket Enclave.uds + "_P", and a connection to Enclave.uds that says
"CONNECT P" reaches the guest's port P. What QEMU's security module does is real up to the signature: the
registers are, the document's certificates and signature are zeros.
"""

import json
import os
import re
import shutil
import socket
import subprocess
import tempfile
import threading
import time

from rig import BOOT_LIMIT, TOP, Failed, need, wait, with_parent

BIN = os.path.join(TOP, os.environ.get("BIN", "build/bin"))
BUILD = os.path.join(TOP, os.environ.get("BUILD", "build/release"))
ROLE = "arn:aws:iam::123456789012:role/quorate-parent"
PARENT = "i-0123456789abcdef0"


def artefact(command):
    """The folder that a recipe's script names; what to do when it is not there."""
    r = subprocess.run(command, cwd=TOP, capture_output=True, text=True)
    if r.returncode != 0:
        raise Failed(r.stderr.strip() + "; or make artefacts")
    return os.path.join(TOP, r.stdout.strip())


def qemu_folder():
    return artefact(["test/vm/qemu_nitro.sh", "--path"])


def kernel():
    return os.path.join(artefact(["deploy/nitro/kernel/build.sh", "--path", "x86_64"]), "bzImage")


def quorate(*args, ok=True):
    r = subprocess.run([os.path.join(BIN, "quorate"), *args], capture_output=True, text=True)
    if ok and r.returncode != 0:
        raise Failed(f"quorate {' '.join(args)}: exit {r.returncode}: {r.stderr.strip()}")
    return r


def measured(eif, role=ROLE, parent=PARENT):
    """What `quorate image eif measure` publishes: {"pcrs.0": hex, ...}."""
    got = json.loads(quorate("image", "eif", "measure", "--json", "--parent-role", role,
                             "--parent-id", parent, eif).stdout)
    return {k: v for k, v in got.items() if k.startswith("pcrs.")}


def host_khz():
    with open("/proc/cpuinfo") as f:
        mhz = re.search(r"cpu MHz\s*:\s*([0-9.]+)", f.read())
    return round(float(mhz.group(1)) * 1000) if mhz else 0


class Listener:
    """The parent's program at one port: `serve(connection)` for every connection, each in a thread."""

    def __init__(self, uds, port, serve):
        self.path = f"{uds}_{port}"
        self.serve = serve
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(self.path)
        self.socket.listen(16)
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            try:
                c, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self.one, args=(c,), daemon=True).start()

    def one(self, c):
        with c:
            self.serve(c)

    def close(self):
        self.socket.close()
        if os.path.exists(self.path):
            os.unlink(self.path)


class Heartbeat(Listener):
    """What nitro-cli does at port 9000: one byte 0xB7, and the same back."""

    def __init__(self, uds):
        self.at = None
        super().__init__(uds, 9000, self.beat)

    def beat(self, c):
        b = c.recv(1)
        if b == b"\xb7":
            c.sendall(b)
            self.at = time.monotonic()


class Enclave:
    def __init__(self, eif, memory="256M", append="", malice=(), cpus="1"):
        # Unix sockets have short names.
        self.folder = tempfile.mkdtemp(prefix="qnitro-")
        self.eif, self.memory, self.append, self.malice = eif, memory, append, list(malice)
        self.cpus = cpus
        self.uds = os.path.join(self.folder, "v")
        self.console = os.path.join(self.folder, "console")
        self.qemu = self.vsockd = None
        self.heartbeat = Heartbeat(self.uds)

    def start(self):
        built = qemu_folder()
        with open(os.path.join(built, "root")) as f:
            root = os.path.join(TOP, "build/artefacts", f.read().strip())
        need(root, "test/vm/qemu_nitro.sh makes it")
        vhost = os.path.join(self.folder, "vhost")
        shutil.copy(self.eif, os.path.join(self.folder, "image.eif"))
        open(self.console, "wb").close()
        self.vsockd = with_parent([os.path.join(BUILD, "test/vm/vsockd"), "--vhost", vhost, "--uds",
                                   self.uds, *self.malice],
                                  stderr=open(os.path.join(self.folder, "vsockd.err"), "ab"))
        wait(5, "the vsock backend", lambda: os.path.exists(vhost))
        self.started = time.monotonic()
        self.qemu = with_parent(
            [os.path.join(TOP, "deploy/artefact.sh"), "run", root, "-b", f"{built}:/opt/qemu", "-b",
             f"{self.folder}:{self.folder}", "--", "/opt/qemu/qemu-system-x86_64",
             "-L", "/usr/share/seabios", "-L", "/usr/share/qemu", "-accel", "tcg", "-cpu", "max",
             "-smp", self.cpus, "-m", self.memory,
             "-M", f"nitro-enclave,vsock=c,id=i-0123456789abcdef0-enc0123456789abcdef,"
                   f"parent-role={ROLE},parent-id={PARENT}",
             "-chardev", f"socket,id=c,path={vhost}", "-kernel", os.path.join(self.folder, "image.eif"),
             "-append", f"tsc_early_khz={host_khz()} {self.append}".strip(),
             "-nodefaults", "-display", "none", "-serial", f"file:{self.console}", "-no-reboot"],
            stdout=subprocess.DEVNULL, stderr=open(os.path.join(self.folder, "qemu.err"), "wb"))

    def text(self):
        with open(self.console, "rb") as f:
            return f.read().decode("utf-8", "replace")

    def errors(self):
        out = []
        for name in ("qemu.err", "vsockd.err"):
            path = os.path.join(self.folder, name)
            if os.path.exists(path):
                with open(path, encoding="utf-8", errors="replace") as f:
                    out.append(f.read())
        return "".join(out).strip()

    def running(self):
        return self.qemu is not None and self.qemu.poll() is None

    def wait_for(self, pattern, what, limit=BOOT_LIMIT):
        """Until the console matches: the match. The limit counts from the start."""
        def look():
            m = re.search(pattern, self.text(), re.M)
            if not m and not self.running():
                m = re.search(pattern, self.text(), re.M)
                if not m:
                    raise Failed(f"the enclave ended before {what}: {self.errors()}\n"
                                 + self.text()[-3000:])
            return m
        try:
            return wait(max(0.1, limit - (time.monotonic() - self.started)), what, look, 0.02)
        except Failed as e:
            raise Failed(f"{e}; {self.errors()}\nconsole: {self.text()[-3000:]}") from None

    def kill(self):
        for p in (self.qemu, self.vsockd):
            if p is not None and p.poll() is None:
                p.kill()
                p.wait()
        self.qemu = self.vsockd = None

    def close(self):
        self.kill()
        self.heartbeat.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def boot(make, ready, what):
    """make() -> Enclave; ready(enclave) waits. One retry, which is told: a kernel under TCG on a busy
    machine fails to calibrate its clock now and then."""
    for attempt in (1, 2):
        e = make()
        try:
            e.start()
            return e, ready(e)
        except Failed as f:
            e.close()
            if attempt == 2:
                raise
            print(f"retry: {what}: {f}", flush=True)
        except BaseException:
            e.close()
            raise
    raise AssertionError
