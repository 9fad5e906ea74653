"""Real daemons: parties with their gateways, in a folder that goes away with them (KEEP=1 keeps it).

Every test process has a loopback address of its own, so that ports never meet.
"""

import atexit
import ctypes
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from . import documents, frames, web
from .ec import Key

BIN = os.environ.get("BIN", "build/bin")
LINK = os.environ.get("QUORUM_LINK", "nng")
LIBC = ctypes.CDLL(None)


def program(name):
    path = os.path.join(BIN, name)
    if not os.access(path, os.X_OK):
        print(f"{path} is not there; run make")
        sys.exit(1)
    return os.path.abspath(path)


def own_address():
    pid = os.getpid()
    return f"127.{64 + (pid >> 16 & 63)}.{pid >> 8 & 255}.{pid & 255 or 1}"


ADDRESS = own_address()
patience = 1.0  # every wait may last so many times longer
_next_port = 7000
_folders = []


def new_port():
    global _next_port
    _next_port += 1
    return _next_port


PATIENCE = float(os.environ.get("PATIENCE", "1"))  # for daemons that a sanitizer slows down


def until(condition, what, seconds=20.0):
    """Waits until condition() is true and returns its value."""
    end = time.monotonic() + seconds * PATIENCE
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"gave up after {seconds:.0f} s waiting for {what}")
        time.sleep(0.005)


def die_with_parent():
    LIBC.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


@atexit.register
def _remove_folders():
    for d in _folders:
        if os.environ.get("KEEP") == "1":
            print(f"kept: {d}", file=sys.stderr)
        else:
            shutil.rmtree(d, ignore_errors=True)


def new_folder():
    d = tempfile.mkdtemp(prefix="quorate-e2e-")
    _folders.append(d)
    return d


def ctl(*args, stdin=None, check=None, env=None):
    """The command line. check: the exit code that is expected."""
    r = subprocess.run([program("quorate"), *map(str, args)], input=stdin, capture_output=True,
                       timeout=60, env={**os.environ, "NO_COLOR": "1", **(env or {})})
    r.out, r.err = r.stdout.decode(), r.stderr.decode()
    if check is not None and r.returncode != check:
        raise AssertionError(f"quorate {' '.join(map(str, args))}: exit {r.returncode}, "
                             f"not {check}\n{r.out}{r.err}")
    return r


class Daemon:
    """One process and its log."""

    def __init__(self, name, config, log):
        self.name, self.config, self.log_path, self.process = name, config, log, None
        self.env = {}  # beside ours

    def spawn(self, preexec=die_with_parent):
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen([program(self.name), "--config", self.config],
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            preexec_fn=preexec, env={**os.environ, **self.env})

    def running(self):
        return self.process is not None and self.process.poll() is None

    def kill(self):
        """As a power failure: nothing is told to anybody."""
        if self.running():
            self.process.kill()
            self.process.wait()

    def stop(self, seconds=15):
        """SIGTERM; returns the exit code."""
        self.process.terminate()
        return self.process.wait(seconds)

    def ends(self, seconds=15):
        """The exit code of a process that ends by itself."""
        return self.process.wait(seconds)

    def log(self, since=0):
        with open(self.log_path, encoding="utf-8", errors="replace") as f:
            f.seek(since)
            return f.read()

    def mark(self):
        """A place in the log, for since=."""
        return os.path.getsize(self.log_path) if os.path.exists(self.log_path) else 0

    def events(self, ev, since=0):
        out = []
        for line in self.log(since).splitlines():
            try:
                o = json.loads(line)
            except ValueError:
                continue
            if o.get("ev") == ev:
                out.append(o)
        return out

    def wait_event(self, ev, text="", since=0, seconds=20, **fields):
        """Until the log has such an event whose message holds the text; returns it."""
        def find():
            for o in self.events(ev, since):
                if text in o["msg"] and all(o.get(k) == v for k, v in fields.items()):
                    return o
            return None
        try:
            return until(find, f"the event {ev} with \"{text}\" in {self.log_path}", seconds)
        except AssertionError as e:
            raise AssertionError(f"{e}; the log ends:\n{self.log(since)[-3000:]}") from None


class Party(Daemon):
    """quorated with its folder, sockets and gateway."""

    def __init__(self, folder, index, pool=(32, 64, 16), link=LINK, more=""):
        self.folder, self.index = os.path.join(folder, f"p{index}"), index
        self.state = os.path.join(self.folder, "state")
        self.store = os.path.join(self.state, "store.db")
        self.admin_socket = os.path.join(self.folder, "admin.sock")
        self.gateway_socket = os.path.join(self.folder, "gateway.sock")
        self.port, self.http_port = new_port(), new_port()
        self.address = f"tcp://{ADDRESS}:{self.port}"
        self.http = (ADDRESS, self.http_port)
        self.audit = os.path.join(self.folder, "audit")
        os.makedirs(self.state, mode=0o700)
        os.makedirs(self.audit, mode=0o700)
        super().__init__("quorated", os.path.join(self.folder, "quorated.conf"),
                         os.path.join(self.folder, "log"))
        self.write_config(pool, link, more)
        self.gateway = Daemon("quorate-gateway", os.path.join(self.folder, "gateway.conf"),
                              os.path.join(self.folder, "gateway.log"))
        self.write_gateway_config()

    def write_config(self, pool=(32, 64, 16), link=LINK, more=""):
        with open(self.config, "w", encoding="ascii") as f:
            f.write(f"""[party]
state_dir = {self.state}
listen = {self.address}
cloud = cloud-{self.index}
operator = test
gateway_socket = {self.gateway_socket}
admin_socket = {self.admin_socket}
link = {link}
[pool]
low = {pool[0]}
high = {pool[1]}
standby = {pool[2]}
[log]
format = json
{more}""")

    def write_gateway_config(self, more=""):
        with open(self.gateway.config, "w", encoding="ascii") as f:
            f.write(f"""[gateway]
listen = {ADDRESS}:{self.http_port}
party_socket = {self.gateway_socket}
{more}[audit]
path = {self.audit}
[log]
format = json
""")

    def answers(self):
        """True when the operator's socket answers."""
        if not self.running():
            raise AssertionError(f"party {self.index} ended with {self.process.returncode}:\n"
                                 f"{self.log()[-3000:]}")
        try:
            with frames.Host(self.admin_socket) as h:
                h.send(frames.ask_query("STATUS"))
                return h.receive() is not None
        except OSError:
            return False

    def start(self):
        self.spawn()
        until(self.answers, f"party {self.index}")

    def start_gateway(self):
        self.gateway.spawn()
        until(self.gateway_up, f"the gateway of party {self.index}")

    def gateway_up(self):
        try:
            r = web.request(self.http, "GET", "/healthcheck")
            return {"id": "party", "status": "UP"} in r.json["checks"]
        except OSError:
            return False

    def ask(self, ask, socket=None):
        with frames.Host(socket or self.admin_socket) as h:
            return h.ask(ask)

    def query(self, kind, arg=b""):
        a = self.ask(frames.ask_query(kind, arg))
        assert a.error == 0, f"{kind}: {a.error} {a.detail}"
        return json.loads(a.json) if a.json else a.text.decode()

    def admin(self, kind, doc=b"", stamps=()):
        return self.ask(frames.ask_admin(kind, doc, stamps))

    def status(self):
        return self.query("STATUS")

    def up(self):
        """Indices of the peers that are attested."""
        return {p["party"] for p in self.status().get("parties", []) if p["up"] and not p["self"]}

    def pairs(self):
        return {p["party"] for p in self.status().get("parties", []) if p.get("pair") == "active"}


class Quorum:
    """n parties. start() brings them as far as attested pairs, keygen() makes a key."""

    def __init__(self, n=3, pool=(32, 64, 16), admins=1, need=1, link=LINK, more=""):
        self.folder = new_folder()
        self.n, self.need = n, need
        self.party = [None] + [Party(self.folder, i, pool, link, more) for i in range(1, n + 1)]
        self.parties = self.party[1:]
        self.admins = [Key() for _ in range(admins)]
        self.client = Key()
        self.cluster = secrets.token_hex(32)
        self.roster = self.policy = self.key = None
        atexit.register(self.kill)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()

    def kill(self):
        for p in self.parties:
            for d in (p, p.gateway):
                if d.process is not None and d.process.poll() not in (None, 0, -signal.SIGKILL):
                    print(f"{d.name} {p.index} had ended with {d.process.poll()}; its log ends:\n"
                          f"{d.log()[-2000:]}", flush=True)
                d.kill()

    # ---- documents

    def stamps(self, doc, who=None):
        return [documents.stamp(k, doc) for k in (self.admins[:self.need] if who is None else who)]

    def descriptors(self):
        return [json.loads(p.query("DESCRIPTOR")["descriptor"]) for p in self.parties]

    def make_roster(self, serial=1, **over):
        o = documents.roster(self.cluster, serial, self.descriptors(), self.admins, self.need)
        return documents.dump({**o, **over})

    def make_policy(self, serial=1, rules=None, sim=True, clients=None, **over):
        o = documents.policy(self.cluster, serial, clients or {"client": self.client}, rules, sim)
        return documents.dump({**o, **over})

    def load(self, kind, doc, parties=None):
        """To all parties; all must accept."""
        stamps = self.stamps(doc)
        for p in parties or self.parties:
            a = p.admin(kind, doc, stamps)
            assert a.error == 0, f"party {p.index}: {kind}: {a.detail}"

    # ---- life

    def spawn(self):
        for p in self.parties:
            p.spawn()
        for p in self.parties:
            until(p.answers, f"party {p.index}")

    def start(self, rules=None, gateways=True):
        self.spawn()
        self.roster = self.make_roster()
        self.policy = self.make_policy(rules=rules)
        self.load("LOAD_ROSTER", self.roster)
        self.load("LOAD_POLICY", self.policy)
        if gateways:
            for p in self.parties:
                p.gateway.spawn()
            for p in self.parties:
                until(p.gateway_up, f"the gateway of party {p.index}")
        self.wait_pairs()
        return self

    def wait_up(self, parties=None):
        live = [p for p in parties or self.parties if p.running()]
        want = {p.index for p in live}
        for p in live:
            until(lambda p=p: p.up() >= want - {p.index}, f"all peers of party {p.index}")

    def wait_pairs(self, parties=None):
        live = [p for p in parties or self.parties if p.running()]
        want = {p.index for p in live}
        for p in live:
            until(lambda p=p: p.pairs() >= want - {p.index}, f"all pairs of party {p.index}")

    def command(self, cmd, party=1, who=None, **more):
        doc = documents.dump(documents.command(self.cluster, cmd, **more))
        return self.party[party].admin("COMMAND", doc, self.stamps(doc, who))

    def keygen(self, t=2, party=1):
        a = self.command("keygen", party, t=t)
        assert a.error == 0, a.detail
        record = json.loads(a.json)
        self.key = self.key or record
        return record

    # ---- signing

    def body(self, items=None, path=(), key=None, **over):
        items = [documents.item()] if items is None else items
        return documents.dump(documents.request(self.cluster, key or self.key["key"], items, path,
                                                **over))

    def post(self, party, body, stamp=None, headers=None):
        if headers is None:
            headers = [("Content-Type", "application/json"),
                       ("X-Stamp", documents.stamp(self.client, body) if stamp is None else stamp)]
        return web.request(self.party[party].http, "POST", "/v1/sign", body, headers)

    def sign(self, party=1, items=None, path=(), **over):
        """Has it signed, checks every signature; returns the answer."""
        return self.check(self.body(items, path, **over), party)

    def check(self, body, party=1):
        r = self.post(party, body)
        assert r.status == 200, r
        verify(json.loads(body), r.json, self.record_of(json.loads(body)["key"]))
        return r.json

    def record_of(self, key):
        if self.key and self.key["key"] == key:
            return self.key
        live = next(p for p in self.parties if p.running())
        return live.query("KEY", bytes.fromhex(key))


def verify(request, answer, record):
    """Every signature of an answer, by arithmetic of our own."""
    from . import ec
    curve = ec.SECP256K1
    assert answer["key"] == request["key"] == record["key"]
    assert len(answer["signatures"]) == len(request["items"])
    pk = ec.child(bytes.fromhex(record["key"]), bytes.fromhex(record["chain_code"]),
                  request["path"])
    for item, s in zip(request["items"], answer["signatures"]):
        digest = digest_of(item)
        assert s["digest"] == digest.hex(), f"{item['kind']}: digest {s['digest']}"
        r, sv = int(s["r"], 16), int(s["s"], 16)
        assert sv <= curve.n // 2, "s is not low"
        assert curve.verify(pk, digest, r, sv), "a signature does not verify"
    last = answer["signatures"][-1]
    assert curve.recover(digest, r, sv, last["recid"]) == pk, "the recovery id is wrong"
    assert len(answer["signers"]) == record["t"]
    assert answer.get("insecure_sim") is True


def digest_of(item):
    import hashlib
    from .keccak import keccak256
    if item["kind"] == "digest":
        return bytes.fromhex(item["digest"])
    b = bytes.fromhex(item["preimage"])
    if item["kind"] == "eip191":
        return keccak256(b"\x19Ethereum Signed Message:\n" + str(len(b)).encode() + b)
    if item["kind"] == "eth_tx":
        return keccak256(b)
    once = hashlib.sha256(b).digest()
    return hashlib.sha256(once).digest() if item["kind"] == "sha256d" else once
