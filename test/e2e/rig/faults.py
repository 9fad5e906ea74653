"""Faults for real daemons: what interpose.c is told, the load that goes on meanwhile, and what must
hold whatever happens."""

import collections
import ctypes
import ctypes.util
import functools
import http.client
import json
import mmap
import os
import queue
import random
import re
import signal
import struct
import subprocess
import sys
import threading
import time

from . import documents, ec, quorum
from .quorum import Daemon, Quorum, digest_of, new_folder, program

HERE = os.path.dirname(os.path.abspath(__file__))
OPS = {1: "write", 2: "sync", 3: "truncate", 4: "create", 5: "rename", 6: "unlink", 7: "link",
       8: "mode"}
FILES = {1: "store.db-journal", 2: "store.db", 3: "store.db-wal", 4: "sim-seal.key", 5: "folder"}
OURS = re.compile(r"(\./)?(daemon|enclave-shim)/")
STORE = re.compile(r"/store(_db)?\.c$")
WRITES = {("store.db-wal", 24): "frame header", ("store.db-wal", 32): "log header",
          ("store.db-wal", 4096): "page", ("store.db", 4096): "page",
          ("store.db-journal", 512): "header"}
PHASES = ("before", "torn", "after")
CONTROL_LEN, RECORDS = 65536, 1023


def library():
    """interpose.so: what make built, or built now. Programs under a sanitizer cannot be had so."""
    with open(program("quorated"), "rb") as f:
        if re.search(rb"__[at]san_init", f.read()):
            print("a sanitizer's library must come first, and so must the one that makes faults")
            sys.exit(77)
    path = os.path.join(os.environ.get("BUILD", "build/release"), "test/e2e/rig/interpose.so")
    source = os.path.join(HERE, "interpose.c")
    if not os.path.exists(path) or os.path.getmtime(path) < os.path.getmtime(source):
        path = os.path.join(new_folder(), "interpose.so")
        subprocess.check_call([os.environ.get("CC", "cc"), "-std=c11", "-D_GNU_SOURCE", "-O2", "-g",
                               "-fPIC", "-shared", "-o", path, source, "-ldl", "-lpthread"])
    return os.path.abspath(path)


# callers: places in the program, innermost first. killed: 1 + the phase, 0 when it went on.
Call = collections.namedtuple("Call", "op file length callers killed")


class Control:
    """The page that a process under interpose.c shares with us."""

    def __init__(self, folder, name, so):
        self.path = os.path.join(folder, f"control-{name}")
        with open(self.path, "wb") as f:
            f.truncate(CONTROL_LEN)
        with open(self.path, "r+b") as f:
            self.map = mmap.mmap(f.fileno(), CONTROL_LEN)
        self.so = so

    def environment(self, state=None):
        env = {"LD_PRELOAD": self.so, "QR_FAULT_CONTROL": self.path}
        return {**env, "QR_FAULT_STATE": state} if state else env

    def _get(self, at, form="<I"):
        return struct.unpack_from(form, self.map, at)[0]

    def _put(self, at, value, form="<I"):
        struct.pack_into(form, self.map, at, value)

    count = property(lambda self: self._get(8))
    failed = property(lambda self: self._get(24))

    def arm(self, k, phase, call=0, file=0, length=0, caller=0):
        """Death at the k-th call from now of this kind (0: of any)."""
        self._put(12, 0)
        self._put(16, PHASES.index(phase))
        struct.pack_into("<IIII", self.map, 48, call, file, length, caller)
        self._put(28, 0)
        self._put(12, k)

    def disarm(self):
        self._put(12, 0)

    died_at = property(lambda self: self._get(28))

    def fail(self, errno):
        """From now on every call that changes the store fails so; 0 ends it."""
        self._put(20, errno)

    def clocks(self, wall=None, mono=None):
        """Seconds to add to the system's clocks."""
        if wall is not None:
            self._put(32, int(wall * 1e9), "<q")
        if mono is not None:
            self._put(40, int(mono * 1e9), "<q")

    def record(self, ordinal):
        """A call by its ordinal since the process began."""
        at = 64 + (ordinal - 1) % RECORDS * 64
        number, op, file, n, killed, length = struct.unpack_from("<IBBBBI", self.map, at)
        if number != ordinal:
            return None
        return Call(op, file, length, struct.unpack_from(f"<{n}I", self.map, at + 12), killed)

    def records(self, since):
        """Calls after this count."""
        return [r for r in map(self.record, range(since + 1, self.count + 1)) if r]


class Symbols:
    """Places in a program by name, from its debugging information."""

    def __init__(self, name):
        self.program, self.known = program(name), {}

    def resolve(self, addresses):
        """Each: a list of (function, file, line), inlined ones first."""
        new = sorted({a for a in addresses if a not in self.known})
        if new:
            out = subprocess.run(["addr2line", "-f", "-i", "-a", "-e", self.program],
                                 input="".join(f"{a - 1:#x}\n" for a in new).encode(),
                                 capture_output=True, check=True).stdout.decode().splitlines()
            at = None
            lines = iter(out)
            for line in lines:
                if line.startswith("0x"):
                    at = new[[a - 1 for a in new].index(int(line, 16))]
                    self.known[at] = []
                else:
                    where = next(lines).split(" ")[0]
                    file, _, number = where.rpartition(":")
                    self.known[at].append((line, file, number))
        return [self.known[a] for a in addresses]

    @staticmethod
    def _is_user(function, file):
        return not STORE.search(file) and function not in ("qr_state_put", "qr_state_save_key")

    def user(self, call):
        """The place in the program by which name() tells who used the store; 0 if there is none."""
        for at, place in zip(call.callers, self.resolve(call.callers)):
            if any(OURS.match(file) and self._is_user(f, file) for f, file, _ in place):
                return at
        return 0

    def name(self, call):
        """A point: what is written where, the store's function, and who used the store."""
        frames = [f for place in self.resolve(call.callers) for f in place
                  if OURS.match(f[1])]
        store = [f for f, file, _ in frames if STORE.search(file)]
        # The first says little: what it is used for comes next.
        store = [f for f in store if f not in ("execute", "pragma", "run")] or store
        users = [f"{f}:{line}" for f, file, line in frames if self._is_user(f, file)]
        what = WRITES.get((FILES[call.file], call.length), f"{call.length} bytes")
        chain = " of ".join(x[0] for x in (store, users) if x)
        return (f"{OPS[call.op]} {FILES[call.file]}{', ' + what if call.op == 1 else ''}"
                f"{' in ' + chain if chain else ''}")


class Verifier:
    """OpenSSL's ECDSA by its C interface; every fiftieth by our own arithmetic as well."""

    def __init__(self):
        c = ctypes.CDLL(ctypes.util.find_library("crypto"))
        p = ctypes.c_void_p
        for name, result, arguments in (
                ("EC_KEY_new_by_curve_name", p, [ctypes.c_int]),
                ("EC_KEY_oct2key", ctypes.c_int, [p, ctypes.c_char_p, ctypes.c_size_t, p]),
                ("ECDSA_verify", ctypes.c_int, [ctypes.c_int, ctypes.c_char_p, ctypes.c_int,
                                                ctypes.c_char_p, ctypes.c_int, p])):
            f = getattr(c, name)
            f.restype, f.argtypes = result, arguments
        self.c, self.keys, self.count, self.lock = c, {}, 0, threading.Lock()

    def verify(self, pk, digest, r, s):
        with self.lock:
            if pk not in self.keys:
                k = self.c.EC_KEY_new_by_curve_name(714)  # secp256k1
                assert self.c.EC_KEY_oct2key(k, pk, len(pk), None) == 1
                self.keys[pk] = k
            self.count += 1
            der = ec.der(r, s)
            good = self.c.ECDSA_verify(0, digest, 32, der, len(der), self.keys[pk]) == 1
        if good and self.count % 50 == 0:
            good = ec.SECP256K1.verify(pk, digest, r, s)
        return good


# What a request may be answered with while things break; anything else is a finding.
CLEAR = {"not_ready", "quorum_unavailable", "no_presignatures", "round_timeout", "expired",
         "not_yet_valid", "rate_limited", "replay_conflict"}
PATHS = ((), (), (), (0,), (7, 1))


class Load:
    """Clients that ask every gateway all the time, and remember every answer.

    wait: seconds between two requests of a client. bound: seconds within which every request must be
    answered. conflicts: also send another body under the same id to another gateway, which must
    never be signed as well (clocks are not moved then).
    """

    def __init__(self, q, seed, wait=0.02, bound=15.0, conflicts=True):
        self.q, self.wait, self.bound, self.conflicts = q, wait, bound, conflicts
        self.seed, self.verifier = seed, Verifier()
        self.lock = threading.Lock()
        self.codes, self.found = collections.Counter(), []
        self.asked = self.signed = self.repeated = self.probes = 0
        self.r, self.body_of, self.last_good, self.slowest = {}, {}, {}, 0.0
        self.pk = {}
        self.stopping, self.paused, self.threads = threading.Event(), threading.Event(), []
        self.stalled = set()  # parties whose gateway or process is held: their time does not count

    def start(self):
        for p in self.q.parties:
            t = threading.Thread(target=self._client, args=(p.index,), daemon=True)
            t.start()
            self.threads.append(t)
        return self

    def stop(self):
        self.stopping.set()
        for t in self.threads:
            t.join(40)
            if t.is_alive():
                self.find("a request was never answered")

    def find(self, text):
        with self.lock:
            self.found.append(text)
        print(f"VIOLATION {text}", flush=True)

    def _key(self, record, path):
        k = (record["key"], path)
        if k not in self.pk:
            self.pk[k] = ec.child(bytes.fromhex(record["key"]),
                                  bytes.fromhex(record["chain_code"]), list(path))
        return self.pk[k]

    def _client(self, index):
        rng = random.Random(f"{self.seed}/{index}")
        while not self.stopping.is_set():
            if not self.paused.is_set():
                try:
                    signed = self._round(index, rng)
                    if not signed:
                        time.sleep(self.wait)
                except Exception as e:  # of the test itself
                    self.find(f"client of party {index}: {type(e).__name__}: {e}")
            time.sleep(self.wait * (0.5 + rng.random()))

    def _round(self, index, rng):
        path = rng.choice(PATHS)
        items = [documents.item(rng.randbytes(1 + rng.randrange(40)),
                                rng.choice(("sha256", "sha256d", "eip191")))
                 for _ in range(1 + rng.randrange(3))]
        o = documents.request(self.q.cluster, self.q.key["key"], items, path)
        body = documents.dump(o)
        other = rng.choice([p.index for p in self.q.parties if p.index != index])
        probe = None
        if self.conflicts and rng.random() < 0.1:
            o2 = {**o, "items": [documents.item(b"another " + rng.randbytes(8))]}
            probe = threading.Thread(target=self.ask, args=(other, documents.dump(o2)))
            with self.lock:
                self.probes += 1
            probe.start()
        code = self.ask(index, body)
        if code == "signed" and rng.random() < 0.05 or code != "signed" and rng.random() < 0.3:
            self.ask(index if rng.random() < 0.5 else other, body)
            with self.lock:
                self.repeated += 1
        if probe:
            probe.join(40)
        return code == "signed"

    def ask(self, index, body):
        """One request; checks the answer; returns "signed" or the code."""
        start = time.monotonic()
        try:
            r = self.q.post(index, body)
        except (OSError, http.client.HTTPException) as e:
            code = f"connection ({type(e).__name__})"
        else:
            code = "signed" if r.status == 200 else r.code or f"status {r.status}"
        took = time.monotonic() - start
        with self.lock:
            self.asked += 1
            self.codes[code] += 1
            self.slowest = max(self.slowest, took)
        if took > self.bound:
            self.find(f"an answer ({code}) of party {index} took {took:.1f} s")
        if code == "signed":
            self._check(index, body, r)
            with self.lock:
                self.last_good[index] = time.monotonic()
        elif code not in CLEAR and not code.startswith("connection"):
            self.find(f"party {index} answered {r.status} {r.body[:200]!r}")
        return code

    def _check(self, index, body, reply):
        o, a = json.loads(body), reply.json
        record = self.q.record_of(o["key"])
        pk = self._key(record, tuple(o["path"]))
        if a["key"] != o["key"] or len(a["signatures"]) != len(o["items"]):
            self.find(f"party {index}: an answer to another request")
            return
        for item, s in zip(o["items"], a["signatures"]):
            digest, r, sv = digest_of(item), int(s["r"], 16), int(s["s"], 16)
            if s["digest"] != digest.hex() or not self.verifier.verify(pk, digest, r, sv):
                self.find(f"party {index} released a signature that does not verify")
            with self.lock:
                self.signed += 1
                # One nonce for two digests is the private key, whatever the path.
                if self.r.setdefault((o["key"], r), digest) != digest:
                    self.find(f"party {index}: one r for two digests")
        with self.lock:
            if self.body_of.setdefault(o["id"], body) != body:
                self.found.append("two bodies of one id were both signed")
                print("VIOLATION two bodies of one id were both signed", flush=True)

    def summary(self):
        codes = ", ".join(f"{k} {v}" for k, v in self.codes.most_common())
        return (f"{self.asked} requests ({self.repeated} repeated, {self.probes} with a rival under "
                f"the same id): {codes}; {self.signed} signatures verified, {len(self.r)} distinct "
                f"r; slowest answer {self.slowest:.2f} s")


METRIC = re.compile(r"^quorated_(\w+)(?:\{[^}]*\})? ([0-9.]+)$")


def counters(p):
    """Metrics of a party's process, those with labels added up."""
    out = collections.Counter()
    for line in p.query("METRICS").splitlines():
        m = METRIC.match(line)
        if m:
            out[m[1]] += float(m[2])
    return out


class Books:
    """Every presignature that a process ever made is spent, dropped or held, each once.

    One spent twice makes the sum too large, and so does one that comes from a disk.
    """

    def __init__(self, load):
        self.load, self.last, self.total, self.audits = load, {}, collections.Counter(), 0

    def audit(self, p):
        c = counters(p)
        made, gone = c["presignatures_made_total"], (
            c["presignatures_spent_total"] + c["presignatures_dropped_total"] + c["presignatures"])
        if made != gone:
            self.load.find(
                f"party {p.index}: {made:.0f} presignatures made, but {gone:.0f} accounted for: "
                f"{c['presignatures_spent_total']:.0f} spent, "
                f"{c['presignatures_dropped_total']:.0f} dropped, {c['presignatures']:.0f} held")
        pid = p.process.pid
        self.last[p.index, pid] = c
        self.audits += 1
        return c

    def sums(self):
        t = collections.Counter()
        for c in self.last.values():
            for k in ("presignatures_made_total", "presignatures_spent_total", "signatures_total",
                      "presignatures_dropped_total", "pairs_retired_total",
                      "bad_signatures_total"):
                t[k] += int(c[k])
        return t

    def summary(self):
        t = self.sums()
        return (f"{self.audits} audits of {len(self.last)} processes: "
                f"{t['presignatures_made_total']} presignatures made, "
                f"{t['presignatures_spent_total']} spent, "
                f"{t['presignatures_dropped_total']} dropped; {t['signatures_total']} signatures "
                f"released; {t['pairs_retired_total']} pairs retired")


def slowness(start):
    """How many times longer than a second the start of a quorum took, 1 to 10: from then on every
    wait may last so many times longer, on a machine that is busy with other things."""
    began = time.monotonic()
    quorum.patience = 10.0
    start()
    quorum.patience = min(10.0, max(1.0, time.monotonic() - began))
    return quorum.patience


class Spawner:
    """Starts processes from a thread that lasts: each dies with the thread that started it."""

    def __init__(self):
        self.jobs = queue.Queue()
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        while True:
            job, done = self.jobs.get()
            job()
            done.set()

    def spawn(self, daemon):
        done = threading.Event()
        self.jobs.put((lambda: Daemon.spawn(daemon), done))
        done.wait()


class FaultyQuorum(Quorum):
    """All processes under interpose.c."""

    def __init__(self, *args, **kw):
        super().__init__(*args, **kw)
        spawner = Spawner()
        for p in self.parties:
            for d in (p, p.gateway):
                d.spawn = functools.partial(spawner.spawn, d)
        so = library()
        self.control, self.gateway_control = [None], [None]
        for p in self.parties:
            c, g = Control(self.folder, p.index, so), Control(self.folder, f"g{p.index}", so)
            self.control.append(c)
            self.gateway_control.append(g)
            p.env, p.gateway.env = c.environment(p.state), g.environment()
