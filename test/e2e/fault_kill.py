#!/usr/bin/env python3
"""SIGKILL at every call that changes a store, under load.

A quorum of real processes signs all the while. A run without deaths lists the calls that each
operation makes (rig/interpose.c: start, first start, documents, key generation, retired pairs, what
is remembered of peers, clean stop, the log's check point); then the process is killed at each of
them, before the call, with half of its bytes written, or after it. After every death: the party
starts, has everything that was acknowledged, and signs again; nothing was signed that should not be,
and no presignature twice.

    fault_kill.py [--seed N] [--times N] [--seconds N] [--json FILE]

--times: deaths at each point, 1 unless QR_TEST_LONG=1 asks for 100, which two processes share.
--seconds: no new death after that. VERBOSE=1 tells of each.
"""

import argparse
import collections
import json
import os
import random
import subprocess
import sys
import threading
import time

from rig import documents
from rig.faults import FILES, PHASES, Books, Control, FaultyQuorum, Load, Symbols, library, slowness
from rig.quorum import Party, new_folder, until

KEYS_A_QUORUM = 12  # then a new one: a party keeps 64
VERBOSE = os.environ.get("VERBOSE") == "1"
SERVICE = 15.0      # seconds until a killed party signs again


class Lost(Exception):
    """Something that was acknowledged is gone, or the service does not return."""


class Stage:
    """A quorum, what it has acknowledged, and the load on it."""

    def __init__(self, seed, wait):
        self.q = FaultyQuorum(pool=(2, 4, 0))
        self.slow = slowness(self.q.start)
        self.keys, self.roster, self.policy, self.retired = set(), 1, 1, set()
        self.serial = collections.Counter()
        self.boots = collections.Counter()
        self.identity = {p.index: p.status()["identity"] for p in self.q.parties}
        self.keys.add(self.q.keygen()["key"])
        self.keygens = 1
        self.load = Load(self.q, seed, wait, bound=15 * self.slow).start()
        self.books = Books(self.load)
        self.note()

    def note(self):
        """What the parties have told to the world."""
        for p in self.q.parties:
            if p.running():
                s = p.status()
                self.serial[p.index] = s["store_serial"]
                self.boots[p.index] = s["boot_counter"]

    def whole(self, p):
        """A party that has just started has all that it acknowledged."""
        s = p.status()
        i = p.index
        if s["identity"] != self.identity[i]:
            raise Lost(f"party {i} has another identity")
        if s["store_serial"] < self.serial[i] or s["boot_counter"] <= self.boots[i]:
            raise Lost(f"party {i}: serial {s['store_serial']} after {self.serial[i]}, boot "
                       f"{s['boot_counter']} after {self.boots[i]}")
        if s["roster_serial"] < self.roster or s["policy_serial"] < self.policy:
            raise Lost(f"party {i}: roster {s['roster_serial']} and policy {s['policy_serial']}, "
                       f"acknowledged were {self.roster} and {self.policy}")
        self.check_keys(p)
        for peer in s["parties"]:
            if not peer["self"] and frozenset((i, peer["party"])) in self.retired:
                if peer["pair"] != "retired":
                    raise Lost(f"party {i} forgot that its pair with {peer['party']} is retired")

    def check_keys(self, p):
        there = {k["key"] for k in p.query("KEYS")["keys"]}
        if not self.keys <= there:
            raise Lost(f"party {p.index} lost keys: {self.keys - there}")

    def active(self, p):
        return {k["key"] for k in p.query("KEYS")["keys"] if k["state"] == "active"}

    def serving(self, since):
        """All pairs that are not retired are set up, and every gateway has signed since then."""
        for p in self.q.parties:
            want = {o.index for o in self.q.parties if o is not p and
                    frozenset((p.index, o.index)) not in self.retired}
            until(lambda p=p, want=want: p.pairs() >= want, f"all pairs of party {p.index}",
                  SERVICE)
        for p in self.q.parties:
            until(lambda p=p: self.load.last_good.get(p.index, 0) > since,
                  f"a signature of party {p.index}", SERVICE)

    def end(self):
        self.load.stop()
        for p in self.q.parties:
            self.books.audit(p)
            for ev in ("peer_rolled_back", "bad_share"):
                for e in p.events(ev):
                    self.load.find(f"party {p.index} logged {ev}: {e['msg']}")
            retired = sum("a consistency check failed" in e["msg"] for e in p.events("pair_retired"))
            if retired:
                self.load.find(f"party {p.index} retired a pair by itself")
        self.q.kill()


class Operation:
    """name; begin(stage, p) brings p to where act(stage, p) does it; finish() completes it.

    act returns True when the operation was acknowledged. It may run several times until the call
    comes that was asked for. `after` is called with that before anything else once p has started.
    """
    tries = 1
    running = True  # act happens in a running process

    def begin(self, stage, p):
        pass

    def finish(self, stage, p):
        pass


def asked(ask):
    """Runs a question whose answer may never come; the answer or None."""
    try:
        return ask()
    except (OSError, AssertionError):
        return None


def answers(p):
    try:
        return p.answers()
    except AssertionError:
        return False  # it has gone


class Start(Operation):
    name, running = "start", False

    def begin(self, stage, p):
        p.kill()

    def act(self, stage, p):
        p.spawn()
        return False


class Stop(Operation):
    name = "clean stop"

    def act(self, stage, p):
        p.process.terminate()
        p.ends()
        return False


class Policy(Operation):
    name, rules, keys, kind = "policy", 0, 1, "LOAD_POLICY"

    def doc(self, stage):
        stage.wanted = stage.policy + 1
        rules = [documents.allow("all")]
        rules += [documents.allow(f"rule-{i}", keys=[f"02{i * 64 + j:064x}" for j in range(self.keys)])
                  for i in range(self.rules)]
        return stage.q.make_policy(stage.wanted, rules)

    def took(self, stage):
        stage.policy = stage.wanted

    def begin(self, stage, p):
        stage.doc = self.doc(stage)

    def act(self, stage, p):
        if p.index in getattr(stage, "has", set()):
            asked(lambda: self.finish(stage, p))  # again, with the next; this may be the end, too
            if not p.running():
                return False
            stage.doc = self.doc(stage)
        a = asked(lambda: p.admin(self.kind, stage.doc, stage.q.stamps(stage.doc)))
        if a is None:
            return False
        if a.error:
            raise Lost(f"party {p.index} refused a {self.name}: {a.detail}")
        stage.has = {p.index}
        self.took(stage)
        return True

    def finish(self, stage, p):
        stage.q.load(self.kind, stage.doc)
        self.took(stage)
        stage.has = set()


class BigPolicy(Policy):
    """Fills SQLite's log, so that its check point comes."""
    name, rules, keys, tries = "large policy", 200, 8, 8


class Roster(Policy):
    name, kind = "roster", "LOAD_ROSTER"

    def doc(self, stage):
        stage.wanted = stage.roster + 1
        return stage.q.make_roster(stage.wanted)

    def took(self, stage):
        stage.roster = stage.wanted


class Keygen(Operation):
    name = "key generation"

    def begin(self, stage, p):
        stage.q.wait_up()
        stage.coordinator = random.Random(stage.serial[p.index]).choice((1, 2, 3))

    def act(self, stage, p):
        """The answer may wait for the one that is killed to be back."""
        stage.keygens += 1
        stage.made = None

        def command():
            a = asked(lambda: stage.q.command("keygen", stage.coordinator, t=2))
            if a is not None and not a.error:
                stage.made = json.loads(a.json)["key"]
        stage.thread = threading.Thread(target=command)
        stage.thread.start()
        until(lambda: not p.running() or not stage.thread.is_alive(), "a key", 25)

    def finish(self, stage, p):
        """A key is everywhere or nowhere; and one that was announced signs at the one that died."""
        stage.thread.join()
        if stage.made:
            stage.keys.add(stage.made)

        def agreed():
            active = [stage.active(x) for x in stage.q.parties]
            return active[0] == active[1] == active[2] >= stage.keys
        try:
            until(agreed, "the parties to agree which keys there are", SERVICE)
        except AssertionError:
            raise Lost("keys differ: " + "; ".join(
                f"party {x.index} " + ", ".join(f"{k['key'][:10]} {k['state']}"
                                               for k in x.query("KEYS")["keys"])
                for x in stage.q.parties)) from None
        if stage.made:
            def signs():
                return stage.q.post(p.index, stage.q.body(key=stage.made)).status == 200
            until(signs, "the new key to sign", SERVICE)


class Retire(Operation):
    name, cmd = "retired pair", "retire"

    def begin(self, stage, p):
        others = [x.index for x in stage.q.parties if x is not p]
        stage.pair = frozenset((p.index, random.Random(stage.boots[p.index]).choice(others)))

    def command(self, stage, cmd, party):
        return asked(lambda: stage.q.command(cmd, party, pair=sorted(stage.pair)))

    def act(self, stage, p):
        a = self.command(stage, self.cmd, p.index)
        if a is None:
            return False
        if a.error:
            raise Lost(f"party {p.index} refused to {self.cmd} a pair: {a.detail}")
        if self.cmd == "retire":
            stage.retired.add(stage.pair)
        return True

    def everywhere(self, stage, cmd, state):
        def done():
            for x in stage.q.parties:
                if x.index in stage.pair:
                    peer, = stage.pair - {x.index}
                    now = next(y for y in x.status()["parties"] if y["party"] == peer)["pair"]
                    if (now == "retired") != (state == "retired"):
                        return False
            return True
        for x in stage.q.parties:
            a = self.command(stage, cmd, x.index)
            if a is None or a.error:
                raise Lost(f"party {x.index} refused to {cmd} a pair: {a and a.detail}")
        until(done, f"the pair to be {state}")

    def finish(self, stage, p):
        self.everywhere(stage, "retire", "retired")
        stage.retired.discard(stage.pair)
        self.everywhere(stage, "readmit", "active")


class Readmit(Retire):
    name, cmd = "re-admitted pair", "readmit"

    def begin(self, stage, p):
        super().begin(stage, p)
        self.everywhere(stage, "retire", "retired")

    def finish(self, stage, p):
        self.everywhere(stage, "readmit", "active")


class Memory(Operation):
    """A peer starts anew; what it says of its store is written down."""
    name = "peer's serial"

    def begin(self, stage, p):
        stage.peer = random.Random(stage.boots[p.index]).choice(
            [x for x in stage.q.parties if x is not p])
        stage.note()
        stage.peer.kill()

    def act(self, stage, p):
        stage.peer.start()
        until(lambda: not p.running() or self.sees(stage, p), "the peer")
        return False

    def sees(self, stage, p):
        return stage.peer.index in (asked(p.up) or ())


class FirstStart(Operation):
    """A party of its own, in a new folder each time."""
    name = "first start"


OPERATIONS = [Start(), Stop(), Policy(), BigPolicy(), Roster(), Keygen(), Retire(), Readmit(),
              Memory()]


class Run:
    def __init__(self, seed, times):
        # Of many deaths most come before the last one's damage is mended.
        self.patience, self.wait = (1.0, 0.03) if times < 10 else (0.1, 0.1)
        self.seed, self.rng = seed, random.Random(seed)
        self.symbols, self.so = Symbols("quorated"), library()
        self.stage, self.stages = None, []
        # (operation, point) -> list of ((call, file, length, caller), k); and -> deaths by phase
        self.points, self.deaths = {}, collections.defaultdict(collections.Counter)
        self.failures, self.missed, self.restarts = [], 0, []
        self.times, self.tries = 1, collections.Counter()
        self.fresh_folder, self.fresh = new_folder(), 0

    # ---- the list of points

    def list_points(self):
        self.need_stage()
        for op in OPERATIONS:
            p = self.stage.q.party[2]
            c = self.stage.q.control[2]
            op.begin(self.stage, p)
            began = time.monotonic()
            for _ in range(op.tries):
                since = c.count if op.running else 0
                op.act(self.stage, p)
                if not op.running:
                    until(p.answers, "the party")
                self.add(op.name, c.records(since))
            if not p.running():
                p.start()
            op.finish(self.stage, p)
            self.stage.serving(time.monotonic())
            if VERBOSE:
                print(f"{time.monotonic() - began:.2f} s listing {op.name}", flush=True)
        p, c = self.new_party()
        p.start()
        self.add(FirstStart.name, c.records(0))
        p.kill()

    def add(self, op, calls):
        seen = collections.Counter()
        for call in calls:
            name = self.symbols.name(call)
            if " of remember:" in name and op != Memory.name:
                continue  # it happens beside any other
            kind = (call.op, call.file, call.length if call.op == 1 else 0,
                    self.symbols.user(call))
            seen[kind] += 1
            where = self.points.setdefault((op, name), [])
            if (kind, seen[kind]) not in where:
                where.append((kind, seen[kind]))

    # ---- a death

    def need_stage(self):
        if self.stage and self.stage.keygens >= KEYS_A_QUORUM:
            self.stage.end()
            self.stage = None
        if not self.stage:
            self.stage = Stage(f"{self.seed}/{len(self.stages)}", self.wait)
            self.stages.append(self.stage)

    def new_party(self):
        self.fresh += 1
        p = Party(self.fresh_folder, f"n{self.fresh}", pool=(0, 0, 0))
        c = Control(p.folder, "c", self.so)
        p.env = c.environment(p.state)
        return p, c

    def first_start(self, kind, k, phase):
        p, c = self.new_party()
        c.arm(k, phase, *kind)
        p.spawn()
        if not self.end_of(p):
            p.kill()
            return None
        call = c.record(c.died_at)
        c.disarm()
        try:
            p.start()
        except AssertionError as e:
            raise Lost(f"a new party does not start again: {e}") from None
        identity = p.status()["identity"]
        if self.rng.random() < self.patience:
            p.kill()
            p.start()
            if p.status()["identity"] != identity:
                raise Lost("a new party changed its identity")
        p.kill()
        return call

    def end_of(self, p):
        """True once the process is killed, False if it goes on."""
        until(lambda: not p.running() or answers(p), "an end or an answer")
        if p.running():
            return False
        if p.process.returncode != -9:
            raise Lost(f"party {p.index} ended with {p.process.returncode} instead of being killed")
        return True

    def strike(self, op, kind, k, phase):
        """One death; returns the call. None: it did not come."""
        if op is FirstStart:
            return self.first_start(kind, k, phase)
        self.need_stage()
        stage = self.stage
        p = self.rng.choice(stage.q.parties)
        c = stage.q.control[p.index]
        stage.note()
        stage.books.audit(p)
        op.begin(stage, p)
        c.arm(k, phase, *kind)
        for _ in range(op.tries):
            op.act(stage, p)
            if not op.running:
                self.end_of(p)
            elif not p.running():
                break
        # What follows an acknowledgement comes a moment later.
        deadline = time.monotonic() + 0.3
        while op.running and p.running() and time.monotonic() < deadline:
            time.sleep(0.005)
        hit = c.record(c.died_at) if p.process.poll() == -9 and c.died_at else None
        c.disarm()
        if not p.running():
            if p.process.returncode not in (-9, 0):
                raise Lost(f"party {p.index} ended with {p.process.returncode}:\n{p.log()[-1500:]}")
            start = time.monotonic()
            try:
                p.start()
            except AssertionError as e:
                raise Lost(f"party {p.index} does not start again: {e}") from None
            stage.whole(p)
            op.finish(stage, p)
        else:
            start = 0
            op.finish(stage, p)
        if self.rng.random() < self.patience:
            stage.serving(start)
            if start:
                self.restarts.append(time.monotonic() - start)
        return hit

    def attempt(self, op, point, phase):
        kind, k = self.rng.choice(self.points[point])
        began = time.monotonic()
        if op is not FirstStart and self.tries[point] > self.times + 1:
            # Calls of peers' records come between; look around.
            k = 1 + self.rng.randrange(k + 3)
        try:
            call = self.strike(op, kind, k, phase)
        except (Lost, AssertionError) as e:
            text = (f"seed {self.seed}: {op.name}, killed {phase} call {k} of kind "
                    f"{kind[0]}/{FILES.get(kind[1])}/{kind[2]}: {e}")
            print(f"VIOLATION {text}", flush=True)
            self.failures.append(text)
            if self.stage:
                self.stage.load.stop()
                self.stage.q.kill()
                self.stage = None
            return
        if VERBOSE:
            print(f"{time.monotonic() - began:.2f} s {point[0]}: {kind} {k} {phase}: "
                  f"{'missed' if call is None else self.symbols.name(call)}", flush=True)
        if call is None:
            self.missed += 1
            return
        at = op.name, self.symbols.name(call)
        self.deaths[at][PHASES[call.killed - 1] if call.killed else phase] += 1

    # ---- all of it

    def go(self, times, seconds):
        began = time.monotonic()
        try:
            self.list_points()
        except (Lost, AssertionError) as e:
            self.failures.append(f"seed {self.seed}: without any death: {e}")
            self.points.clear()
        ops = {op.name: op for op in OPERATIONS}
        ops[FirstStart.name] = FirstStart
        self.times, said = times, 0

        def over():
            return (seconds and time.monotonic() - began > seconds) or len(self.failures) >= 5
        while not over():
            left = [x for x in self.points
                    if sum(self.deaths[x].values()) < times and self.tries[x] < 4 * times + 20]
            if not left:
                break
            if time.monotonic() - said > 60:
                said = time.monotonic()
                kills = sum(sum(v.values()) for v in self.deaths.values())
                print(f"{said - began:.0f} s: {kills} kills, {len(left)} points to go", flush=True)
            self.rng.shuffle(left)
            for x in left:
                if over():
                    break
                self.tries[x] += 1
                done = self.deaths[x]
                can = PHASES if x[1].startswith("write") else ("before", "after")
                few = min(done[ph] for ph in can)
                phase = self.rng.choice([ph for ph in can if done[ph] == few])
                self.attempt(ops[x[0]], x, phase)
        if self.stage:
            self.stage.end()
        return self.result(times, time.monotonic() - began)

    def result(self, times, took):
        for s in self.stages:
            self.failures += [f"seed {self.seed}: {x}" for x in s.load.found]
        books = collections.Counter()
        for s in self.stages:
            books.update(s.books.sums())
            books["audits"] += s.books.audits
        loads = [s.load for s in self.stages]
        codes = collections.Counter()
        for x in loads:
            codes.update(x.codes)
        return {"seed": self.seed, "seconds": took, "failures": self.failures, "times": times,
                "missed": self.missed, "restarts": self.restarts,
                "points": {f"{a}: {b}": dict(self.deaths[a, b]) for a, b in
                           {**self.points, **self.deaths}},
                "listed": [f"{a}: {b}" for a, b in self.points],
                "signatures": sum(x.signed for x in loads), "codes": codes,
                "nonces": sum(len(x.r) for x in loads), "quorums": len(self.stages),
                "rivals": sum(x.probes for x in loads), "books": books,
                "slowest": max(x.slowest for x in loads)}


def merge(results):
    out = results[0]
    for r in results[1:]:
        for k in ("seconds", "slowest"):
            out[k] = max(out[k], r[k])
        for k in ("failures", "restarts"):
            out[k] += r[k]
        for k in ("missed", "signatures", "nonces", "rivals", "times", "quorums"):
            out[k] += r[k]
        for k in ("codes", "books"):
            out[k] = collections.Counter(out[k]) + collections.Counter(r[k])
        for k, v in r["points"].items():
            out["points"][k] = dict(collections.Counter(out["points"].get(k, {})) +
                                    collections.Counter(v))
        out["listed"] += [x for x in r["listed"] if x not in out["listed"]]
    return out


def say(r):
    """
    The figures; ends with the line that test/run reads. A call that was listed under an operation
    because what came before it was late is hardly met there: it counts where it belongs.
    """
    poor, anywhere = 0, collections.Counter()
    for k, v in r["points"].items():
        anywhere[k.split(": ", 1)[1]] += sum(v.values())
    for k, v in sorted(r["points"].items()):
        n = sum(v.values())
        mark = ""
        if k in r["listed"] and n < r["times"]:
            all_of_it = anywhere[k.split(": ", 1)[1]]
            poor += all_of_it < r["times"]
            mark = f"   wanted: {r['times']}, met elsewhere: {all_of_it - n}"
        print(f"{n:5d}  {k}  ({', '.join(f'{a} {b}' for a, b in sorted(v.items()))}){mark}")
    kills = sum(sum(v.values()) for v in r["points"].values())
    times = sorted(r["restarts"]) or [0]
    codes = ", ".join(f"{k} {v}" for k, v in sorted(r["codes"].items(), key=lambda x: -x[1]))
    b = r["books"]
    print(f"kills: {kills} at {len(r['points'])} points, {r['missed']} did not meet their call; "
          f"{r['seconds']:.0f} s, {r['quorums']} quorums")
    print(f"restart to all pairs and a signature at each party: median "
          f"{times[len(times) // 2]:.2f} s, worst {times[-1]:.2f} s")
    print(f"requests: {codes}; {r['rivals']} rivals under one id; slowest {r['slowest']:.2f} s")
    print(f"signatures: {r['signatures']} verified, {r['nonces']} distinct r; presignatures: "
          f"{b['presignatures_made_total']} made, {b['presignatures_spent_total']} spent, "
          f"{b['presignatures_dropped_total']} dropped in {b['audits']} audits; pairs retired by "
          f"a check: {b['pairs_retired_total']}")
    for f in r["failures"]:
        print(f"failure: {f}")
    if poor:
        print(f"{poor} points were not met often enough")
    bad = len(r["failures"]) + poor
    print(f"{len(r['listed']) - poor} passed, {bad} failed", flush=True)
    return bad != 0


def main():
    a = argparse.ArgumentParser()
    long = os.environ.get("QR_TEST_LONG") == "1"
    a.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    a.add_argument("--times", type=int, default=100 if long else 1)
    a.add_argument("--seconds", type=float, default=0)
    a.add_argument("--json")
    o = a.parse_args()
    print(f"seed {o.seed}", flush=True)
    if o.json:
        r = Run(o.seed, o.times).go(o.times, o.seconds)
        with open(o.json, "w", encoding="utf-8") as f:
            json.dump(r, f)
        sys.exit(0)
    if o.times < 20:
        sys.exit(say(Run(o.seed, o.times).go(o.times, o.seconds)))
    folder = new_folder()
    files = [os.path.join(folder, f"{i}.json") for i in (0, 1)]
    children = [subprocess.Popen([sys.executable, "-B", __file__, "--seed", str(o.seed + i),
                                  "--times", str((o.times + 1 - i) // 2), "--seconds", str(o.seconds),
                                  "--json", files[i]])
                for i in (0, 1)]
    results = []
    for c, name in zip(children, files):
        if c.wait() == 0:
            with open(name, encoding="utf-8") as f:
                results.append(json.load(f))
    sys.exit(say(merge(results)) if len(results) == 2 else 1)


if __name__ == "__main__":
    main()
