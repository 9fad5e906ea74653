"""The guests of test/vm: QEMU with TCG, OVMF and a swtpm, in a network of their own.

Everything runs in a private network namespace (`enter`), so that ports, addresses and the metadata
service collide with nobody. In it:

  10.0.2.2         what a guest calls its host; an address of the loopback device here, so that the
                   parties on the host and the one in the guest all dial the same roster
  169.254.169.254  the metadata service, a plain HTTP server on port 80, which a guest reaches
                   through a second network card

A boot has a limit and one retry, which is printed: under TCG a kernel on a busy machine fails to
calibrate its clock now and then. The serial console of a guest that failed is kept.
"""

import ctypes
import http.server
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
OVMF = "/usr/share/OVMF"
BOOT_LIMIT = 60.0


class Failed(Exception):
    """Says what was expected, what was found and where to look."""


def need(path, how):
    if not os.path.exists(path):
        raise Failed(f"{path} is missing; {how}")
    return path


def enter():
    """Runs the program again in a network namespace of its own, if it is not in one yet."""
    if os.environ.get("QUORATE_VM_NETNS"):
        return
    if os.geteuid() != 0:
        raise Failed("needs root: guests have a network namespace of their own")
    os.environ["QUORATE_VM_NETNS"] = "1"
    os.execvp("unshare", ["unshare", "-n", "sh", "-ec",
                          "ip link set lo up; ip address add 10.0.2.2/32 dev lo; exec \"$@\"",
                          "sh", sys.executable] + sys.argv)


def with_parent(command, **kw):
    """A child that dies with us."""
    def die():
        ctypes.CDLL(None).prctl(1, 9)
    return subprocess.Popen(command, preexec_fn=die, stdin=subprocess.DEVNULL, **kw)


def wait(seconds, what, test, step=0.05):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        got = test()
        if got:
            return got
        time.sleep(step)
    raise Failed(f"gave up waiting {seconds:.0f} s for {what}")


class Metadata:
    """The providers' metadata service. `user_data` is served as each of them does."""

    def __init__(self):
        self.user_data = b""
        self.asked = []
        rig = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                rig.asked.append((self.path, dict(self.headers)))
                code, body = rig.answer(self.path, self.headers)
                self.send_response(code)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 80), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, path, headers):
        import base64
        if path == "/computeMetadata/v1/instance/attributes/user-data":
            return (200, self.user_data) if headers.get("Metadata-Flavor") == "Google" else (403, b"")
        if path.startswith("/metadata/instance/compute/userData?"):
            return (200, base64.b64encode(self.user_data)) if headers.get("Metadata") == "true" \
                else (400, b"")
        return 404, b""


class Swtpm:
    def __init__(self, folder):
        self.folder = os.path.abspath(folder)
        os.makedirs(self.folder, exist_ok=True)
        self.socket = os.path.join(self.folder, "sock")
        self.child = None

    def start(self):
        self.child = with_parent(["swtpm", "socket", "--tpm2", "--tpmstate", f"dir={self.folder}",
                                  "--ctrl", f"type=unixio,path={self.socket}", "--terminate"])
        wait(10, "swtpm", lambda: os.path.exists(self.socket))

    def stop(self):
        if self.child and self.child.poll() is None:
            self.child.terminate()
            self.child.wait()
        self.child = None


class Guest:
    """One machine: its disks, its TPM and its console stay in `folder` from boot to boot."""

    def __init__(self, folder, boot_disk, forwards=(), memory="1024", extra=()):
        self.folder = os.path.abspath(folder)
        os.makedirs(self.folder, exist_ok=True)
        self.boot_disk, self.forwards, self.memory, self.extra = boot_disk, forwards, memory, list(extra)
        self.tpm = Swtpm(os.path.join(self.folder, "tpm"))
        self.console = os.path.join(self.folder, "console")
        self.vars = os.path.join(self.folder, "vars.fd")
        self.state = os.path.join(self.folder, "state.raw")
        self.child = None
        if not os.path.exists(self.vars):
            shutil.copy(need(f"{OVMF}/OVMF_VARS_4M.fd", "install ovmf"), self.vars)
        if not os.path.exists(self.state):
            with open(self.state, "wb") as f:
                f.truncate(64 << 20)

    def command(self):
        net = "user,id=n0,net=10.0.2.0/24" + "".join(
            f",hostfwd=tcp:0.0.0.0:{h}-:{g}" for h, g in self.forwards)
        return ["qemu-system-x86_64", "-name", os.path.basename(self.folder), "-machine", "q35",
                "-accel", "tcg", "-cpu", "max", "-smp", "1", "-m", self.memory, "-nodefaults",
                "-display", "none", "-no-reboot", "-serial", f"file:{self.console}",
                "-drive", f"if=pflash,format=raw,unit=0,readonly=on,file={OVMF}/OVMF_CODE_4M.fd",
                "-drive", f"if=pflash,format=raw,unit=1,file={self.vars}",
                "-drive", f"if=none,id=boot,format=raw,snapshot=on,file={self.boot_disk}",
                "-device", "virtio-blk-pci,drive=boot,bootindex=1",
                "-drive", f"if=none,id=state,format=raw,file={self.state}",
                "-device", "virtio-blk-pci,drive=state",
                "-netdev", net, "-device", "virtio-net-pci,netdev=n0,romfile=",
                "-netdev", "user,id=n1,net=169.254.169.0/24,host=169.254.169.254,restrict=off",
                "-device", "virtio-net-pci,netdev=n1,romfile=",
                "-device", "virtio-rng-pci",
                "-chardev", f"socket,id=tpm,path={self.tpm.socket}",
                "-tpmdev", "emulator,id=tpm0,chardev=tpm", "-device", "tpm-crb,tpmdev=tpm0",
                ] + self.extra

    def start(self):
        open(self.console, "wb").close()
        self.tpm.start()
        self.started = time.monotonic()
        self.child = with_parent(self.command(), stderr=open(os.path.join(self.folder, "qemu.err"), "wb"))

    def text(self):
        with open(self.console, "rb") as f:
            return f.read().decode("utf-8", "replace")

    def running(self):
        return self.child is not None and self.child.poll() is None

    def wait_for(self, pattern, seconds, what):
        """Until the console matches; the time since the start."""
        def look():
            if re.search(pattern, self.text()):
                return True
            if not self.running():
                raise Failed(f"the guest ended before {what}; console: {self.console}")
            return False
        left = seconds - (time.monotonic() - self.started)
        try:
            wait(max(left, 0.1), what, look, 0.1)
        except Failed as e:
            raise Failed(f"{e}; console: {self.console}") from None
        return time.monotonic() - self.started

    def kill(self):
        if self.running():
            self.child.kill()
            self.child.wait()
        self.child = None
        self.tpm.stop()
