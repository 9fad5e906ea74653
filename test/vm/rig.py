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
        self.documents = {}  # path: bytes
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
        if path in self.documents:
            return 200, self.documents[path]
        return 404, b""


class Swtpm:
    """A TPM whose PCRs can be read while a guest uses it.

    We stand between QEMU and swtpm: QEMU hands the control channel a socket for TPM commands, we keep
    that and give swtpm another, and carry commands across. Between two of the guest's commands we ask
    the TPM ourselves. So what a guest's PCRs are is not the guest's word, and no image needs a hook.
    """

    EXTEND = 0x182

    def __init__(self, folder):
        self.folder = os.path.abspath(folder)
        self.socket = os.path.join(self.folder, "sock")
        self.inner = os.path.join(self.folder, "swtpm")
        self.child = None
        self.lock = threading.Lock()
        if not os.path.isdir(self.folder):
            os.makedirs(self.folder)
            # One bank: OVMF hashes the whole UKI once for each.
            subprocess.run(["swtpm_setup", "--tpm2", "--tpmstate", self.folder, "--pcr-banks", "sha256",
                            "--overwrite"], check=True, capture_output=True)

    def start(self):
        for path in self.socket, self.inner:
            if os.path.exists(path):
                os.unlink(path)
        self.extends = []  # (PCR, hex digest), in order, since the start
        self.back = None
        log = open(os.path.join(self.folder, "log"), "ab")
        self.child = with_parent(["swtpm", "socket", "--tpm2", "--tpmstate", f"dir={self.folder}",
                                  "--ctrl", f"type=unixio,path={self.inner}", "--terminate"],
                                 stdout=log, stderr=log)
        wait(10, "swtpm", lambda: os.path.exists(self.inner))
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.socket)
        self.listener.listen(1)
        threading.Thread(target=self.control, daemon=True).start()

    def control(self):
        qemu, _ = self.listener.accept()
        tpm = socket.socket(socket.AF_UNIX)
        tpm.connect(self.inner)
        try:
            while True:
                data, fds, _, _ = socket.recv_fds(qemu, 65536, 1)
                if not data:
                    break
                if fds:
                    front = socket.socket(fileno=fds[0])
                    self.back, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
                    socket.send_fds(tpm, [data], [theirs.fileno()])
                    theirs.close()
                    threading.Thread(target=self.commands, args=(front, self.back), daemon=True).start()
                else:
                    tpm.sendall(data)
                # Each command has one answer, and each answer comes whole.
                qemu.sendall(tpm.recv(65536))
        except OSError:
            pass
        tpm.close()
        qemu.close()

    @staticmethod
    def message(sock):
        """One TPM command or answer: tag, size, code, rest."""
        data = b""
        while len(data) < 10 or len(data) < int.from_bytes(data[2:6], "big"):
            more = sock.recv(65536)
            if not more:
                raise OSError("closed")
            data += more
        return data

    def commands(self, front, back):
        try:
            while True:
                command = self.message(front)
                self.note(command)
                with self.lock:
                    back.sendall(command)
                    answer = self.message(back)
                front.sendall(answer)
        except OSError:
            front.close()

    def note(self, command):
        """Remembers an extension: handle, a password session, digests of one or more banks."""
        sizes = {0x4: 20, 0xb: 32, 0xc: 48, 0xd: 64, 0x12: 32}
        if int.from_bytes(command[6:10], "big") != self.EXTEND:
            return
        rest = command[18 + int.from_bytes(command[14:18], "big"):]
        count, rest = int.from_bytes(rest[:4], "big"), rest[4:]
        for _ in range(count):
            alg = int.from_bytes(rest[:2], "big")
            if alg == 0xb:
                self.extends.append((int.from_bytes(command[10:14], "big"), rest[2:34].hex()))
            rest = rest[2 + sizes.get(alg, len(rest)):]

    def pcr(self, n):
        """The SHA-256 PCR as hex."""
        select = bytearray(3)
        select[n // 8] = 1 << n % 8
        command = b"\x80\x01\0\0\0\x14\0\0\x01\x7e\0\0\0\1\0\x0b\3" + bytes(select)
        with self.lock:
            self.back.sendall(command)
            answer = self.message(self.back)
        if answer[6:10] != bytes(4) or len(answer) != 62:
            raise Failed(f"TPM2_PCR_Read of {n} answers {answer.hex()}")
        return answer[-32:].hex()

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
                # cx16: QEMU 7.2's CMPXCHG16B corrupts the flags, and a kernel that uses it panics.
                "-accel", "tcg", "-cpu", "max,-cx16", "-smp", "2", "-m", self.memory, "-nodefaults",
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


class Relay:
    """A Unix socket here that leads to a TCP port: the operator's way to a party in a guest."""

    def __init__(self, path, port):
        self.path, self.port = path, port
        if os.path.exists(path):
            os.unlink(path)
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen(16)
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            here, _ = self.listener.accept()
            threading.Thread(target=self.join, args=(here,), daemon=True).start()

    def join(self, here):
        try:
            there = socket.create_connection(("127.0.0.1", self.port), 5)
            there.settimeout(None)
        except OSError:
            here.close()
            return

        def copy(a, b):
            try:
                while data := a.recv(65536):
                    b.sendall(data)
                b.shutdown(socket.SHUT_WR)
            except OSError:
                pass
        t = threading.Thread(target=copy, args=(there, here), daemon=True)
        t.start()
        copy(here, there)
        t.join()
        here.close()
        there.close()


class Quorum:
    """A quorum of which some parties are processes here and some are guests.

    A member is known by its operator's socket: for a guest a Relay's path.
    """

    def __init__(self, folder, bin_dir):
        self.folder, self.bin = os.path.abspath(folder), os.path.abspath(bin_dir)
        os.makedirs(self.folder, exist_ok=True)
        self.sockets, self.children = [], {}
        for who in "admin", "client":
            key = self.path(who + ".pem")
            if os.path.exists(key):
                os.unlink(key)
            with open(self.path(who + ".hex"), "w", encoding="ascii") as f:
                f.write(self.run("key", "new", "--scheme", "p256", "--out", key).strip())

    def path(self, *parts):
        return os.path.join(self.folder, *parts)

    def hex(self, who):
        with open(self.path(who + ".hex"), encoding="ascii") as f:
            return f.read().strip()

    def run(self, *args, timeout=60, check=True):
        r = subprocess.run([os.path.join(self.bin, "quorate"), *args], capture_output=True, text=True,
                           timeout=timeout, stdin=subprocess.DEVNULL, check=False)
        if check and r.returncode != 0:
            raise Failed(f"quorate {' '.join(args[:3])}: exit {r.returncode}: {r.stderr.strip()[-600:]}")
        return r.stdout if check else r

    def add_host(self, name, port, gateway_port):
        """A party of the software TEE on this machine, with a gateway."""
        folder = self.path(name)
        os.makedirs(os.path.join(folder, "state"), mode=0o700, exist_ok=True)
        os.chmod(os.path.join(folder, "state"), 0o700)
        with open(os.path.join(folder, "quorated.conf"), "w", encoding="ascii") as f:
            f.write(f"[party]\nstate_dir = {folder}/state\nlisten = tcp://0.0.0.0:{port}\n"
                    f"advertise = tcp://10.0.2.2:{port}\ncloud = host-{name}\noperator = test\n"
                    f"gateway_socket = {folder}/gateway.sock\nadmin_socket = {folder}/admin.sock\n"
                    "[pool]\nlow = 32\nhigh = 64\nstandby = 16\n")
        with open(os.path.join(folder, "gateway.conf"), "w", encoding="ascii") as f:
            f.write(f"[gateway]\nlisten = 127.0.0.1:{gateway_port}\nparty_socket = {folder}/gateway.sock\n")
        self.sockets.append(os.path.join(folder, "admin.sock"))
        self.start_host(name)

    def start_host(self, name):
        for program, conf in ("quorated", "quorated.conf"), ("quorate-gateway", "gateway.conf"):
            log = open(self.path(name, program + ".log"), "ab")
            self.children[name, program] = with_parent(
                [os.path.join(self.bin, program), "--config", self.path(name, conf)],
                stdout=log, stderr=log)
        wait(15, f"party {name}", lambda: self.status(self.path(name, "admin.sock")) is not None)

    def kill_host(self, name):
        for program in "quorate-gateway", "quorated":
            child = self.children.pop((name, program), None)
            if child:
                child.kill()
                child.wait()

    def status(self, sock):
        r = self.run("status", "--socket", sock, "--json", check=False)
        if r.returncode != 0:
            return None
        return json.loads(r.stdout)

    def ready(self, sock):
        s = self.status(sock)
        return bool(s and s.get("ready"))

    def linked(self):
        """Every party sees every other."""
        all_of = [self.status(s) for s in self.sockets]
        return all(s and '"up": false' not in json.dumps(s) for s in all_of)

    def configure(self, policy_args=("--insecure-sim",)):
        """Roster and policy from everybody's descriptor, stamped and loaded."""
        descriptors = []
        for i, s in enumerate(self.sockets):
            d = self.path(f"descriptor-{i + 1}.json")
            with open(d, "w", encoding="utf-8") as f:
                f.write(self.run("descriptor", "--socket", s))
            descriptors.append(d)
        roster, policy = self.path("roster.json"), self.path("policy.json")
        for f in roster, policy:
            if os.path.exists(f):
                os.unlink(f)
        self.run("roster", "new", "--name", "test", "--admin", "admin:" + self.hex("admin"), "--need", "1",
                 "--out", roster, *descriptors)
        self.run("stamp", "--key", self.path("admin.pem"), roster)
        self.new_policy(1, policy_args)
        sockets = [a for s in self.sockets for a in ("--socket", s)]
        self.run("roster", "load", *sockets, roster)
        self.run("policy", "load", *sockets, policy)

    def new_policy(self, serial, policy_args=("--insecure-sim",)):
        policy = self.path("policy.json")
        for f in policy, policy + ".stamps":
            if os.path.exists(f):
                os.unlink(f)
        self.run("policy", "new", "--serial", str(serial), "--roster", self.path("roster.json"), "--client",
                 "client:" + self.hex("client"), "--out", policy, *policy_args)
        self.run("stamp", "--key", self.path("admin.pem"), policy)

    def keygen(self, t):
        out = self.run("keygen", "--socket", self.sockets[0], "--key", self.path("admin.pem"), "--t", str(t),
                       "--json", timeout=120)
        self.key = re.search(r'"key":"([0-9a-f]{66})"', out).group(1)
        return self.key

    def sign(self, gateway, text, kind="sha256"):
        """Signs text through a gateway; openssl verifies it. True if all went well."""
        message, der, pem = self.path("message"), self.path("sig.der"), self.path("pub.pem")
        for f in der, pem:
            if os.path.exists(f):
                os.unlink(f)
        with open(message, "w", encoding="utf-8") as f:
            f.write(text)
        r = self.run("sign", "--gateway", gateway, "--roster", self.path("roster.json"), "--client",
                     self.path("client.pem"), "--key", self.key, "--kind", kind, "--der", der, "--pem", pem,
                     message, check=False)
        if r.returncode != 0:
            self.last_error = r.stderr.strip()[-400:]
            return False
        v = subprocess.run(["openssl", "dgst", "-sha256", "-verify", pem, "-signature", der, message],
                           capture_output=True, text=True, check=False)
        if "Verified OK" not in v.stdout:
            raise Failed(f"openssl refuses a signature of the quorum: {v.stdout}{v.stderr}")
        return True

    def stop(self):
        for name in {n for n, _ in self.children}:
            self.kill_host(name)


def image(variant):
    """The folder of an image of this tree's sources; deploy/image/cached.sh makes it.

    QUORATE_IMAGES=DIR takes DIR/VARIANT instead: an image that was built elsewhere, such as a release's.
    """
    if os.environ.get("QUORATE_IMAGES"):
        return need(os.path.join(os.path.abspath(os.environ["QUORATE_IMAGES"]), variant), "see QUORATE_IMAGES")
    r = subprocess.run([os.path.join(TOP, "deploy/image/cached.sh"), "--path", variant],
                       capture_output=True, text=True, check=False)
    if r.returncode != 0:
        raise Failed(r.stderr.strip())
    return os.path.join(TOP, r.stdout.strip())


def build_root():
    """The Debian 13 system in which images are built; its tools are oracles here."""
    if os.environ.get("QUORATE_IMAGE_ROOT"):
        return os.path.abspath(os.environ["QUORATE_IMAGE_ROOT"])
    r = subprocess.run([os.path.join(TOP, "deploy/image/chroot.sh")], capture_output=True, text=True, check=False)
    if r.returncode != 0:
        raise Failed(r.stderr.strip())
    return os.path.join(TOP, r.stdout.strip())


def sections(path):
    """{name: bytes as loaded} of a PE file."""
    with open(path, "rb") as f:
        data = f.read()

    def le(at, n):
        return int.from_bytes(data[at:at + n], "little")
    pe = le(0x3c, 4)
    table = pe + 24 + le(pe + 20, 2)
    return {data[s:s + 8].rstrip(b"\0").decode(): data[le(s + 20, 4):le(s + 20, 4) + min(le(s + 8, 4), le(s + 16, 4))]
            for s in range(table, table + 40 * le(pe + 6, 2), 40)}


def systemd_measure(uki, work):
    """PCR 11 of an image as systemd's own tool computes it."""
    os.makedirs(work, exist_ok=True)
    known = (".linux", ".osrel", ".cmdline", ".initrd", ".uname", ".sbat")
    for name, data in sections(uki).items():
        if name in known:
            with open(os.path.join(work, name[1:]), "wb") as f:
                f.write(data)
    options = [f"--{n[1:]}=/mnt/{n[1:]}" for n in known]
    r = subprocess.run(["unshare", "-m", "sh", "-euc", 'mount --bind "$1" "$2/mnt"; root=$2; shift 2; '
                        'exec chroot "$root" /usr/lib/systemd/systemd-measure calculate "$@"', "sh", work, build_root(),
                        "--bank=sha256", "--phase=:", "--json=short", *options], capture_output=True, text=True, check=False)
    if r.returncode != 0:
        raise Failed(f"systemd-measure: {r.stderr}")
    return json.loads(r.stdout)["sha256"][0]["hash"]


def measure(quorum, uki):
    """{4: hex, 7: ..., 9: ..., 11: ..., 12: ...} as published for an image."""
    out = json.loads(quorum.run("image", "uki", "measure", "--json", uki))
    return {int(k.rsplit(".", 1)[1]): v for k, v in out.items()}


def fresh(folder):
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
