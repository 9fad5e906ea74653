#!/usr/bin/env python3
"""Replays traces of the simulator through the Promela model (replay.pml).

usage: replay.py [--pan PAN] TRACE...
PAN is the compiled replay.pml (default build/proof/replay/pan; run.sh makes it).
Exit 0: every observed step of every trace is a transition the model allows. 1: some are not; each is
printed with its file, line and reason. 2: usage, unreadable files.

A trace is `<virtual us> <event> <party> key=value...`, as `sim --trace` writes it. Read are boot,
crash, made, taken, share, dropped, released, repeated, lie; other events are counted and left out.

How a trace becomes something the model can take (and why nothing is lost by it)
  In the model, whether a step on a presignature, or on a request in one coordinator's hands, is
  allowed depends on that presignature, on the context (request, digest) it is used for, and on the
  processes whose memory holds it; never on another presignature or context. So a trace is cut into the
  connected parts of the graph whose edges are `share id context`: normally one context and the
  presignatures it was tried with; two contexts, when a presignature was used for both, and then the
  model sees both. Each part is replayed by itself, from nothing, with the processes that occur in it,
  in the trace's own order. A step that the model refuses in the whole is refused in its part.
  Steps that leave no event (a client's asking, the moving of a request on, a message's delivery) are
  supplied: asking and moving with the coordinator's next share; delivery with the member's.
  A party that the trace says lies (`lie P`) is bound to nothing: its own steps are replayed when
  allowed and otherwise left out; everybody else's dealings with it must be allowed all the same.
"""

import os
import subprocess
import sys
import tempfile

RESET, BOOT, CRASH, MADE, TAKEN, SHARE, DROPPED, RELEASED = range(8)
MAX_PROCESSES, MAX_IDS, MAX_CONTEXTS, MAX_PARTIES = 16, 24, 7, 8  # as in replay.pml

WHY = {
    1: "claim 1: this half has answered before",
    2: "claim 2: the presignature answers in a second context",
    3: "claim 3: a share from the memory of a process that has not got it (a crash wiped it)",
    5: "claim 5: released without a share of every member",
    6: "claim 6: this process has released this before",
    10: "the process does not run, or the set is no set of its party and the owner's",
    11: "this half was there before",
    12: "the owner's half before another member's",
    13: "this presignature is not in this process's pool",
    14: "a share of a presignature that was not taken out of the pool first",
    15: "the owner did not spend this presignature on this request",
    16: "this process works on no such request",
    17: "more processes or presignatures than the replay has room for",
}


class Trace:
    """One file: its events with processes in place of parties."""

    def __init__(self, name):
        self.name = name
        self.ignored = {}
        self.liars = set()
        self.events = []  # (line number, kind, ...)
        self.party_of = []  # process -> party
        self.live = {}  # (party, host) -> process
        self.pool = {}  # (process, id) -> set mask
        self.errors = []
        with open(name, encoding="ascii") as f:
            for number, line in enumerate(f, 1):
                if not line.endswith("\n"): # its writer was stopped: a line that is cut says nothing
                    self.ignored["cut line"] = 1
                elif not line.startswith("#") and line.strip():
                    self.read(number, line.split())

    def bad(self, number, why):
        self.errors.append(f"{self.name}:{number}: {why}")

    def process(self, number, party, host, holds=None):
        """The process an event is about; with a clone beside it, the one that holds `holds`."""
        if host is not None:
            found = self.live.get((party, host))
            return found if found is not None else self.last.get((party, host))
        all_ = [q for (p, _), q in self.live.items() if p == party]
        if holds is not None:
            having = [q for q in all_ if (q, holds) in self.pool]
            if having:
                return having[-1]
        if all_:
            return all_[-1]
        gone = [q for q, p in enumerate(self.party_of) if p == party]
        return gone[-1] if gone else None

    last = {}

    def read(self, number, words):
        if len(words) < 3 or not words[2].isdigit():
            self.bad(number, "not an event")
            return
        kind, party = words[1], int(words[2])
        field = dict(w.split("=", 1) for w in words[3:] if "=" in w)
        host = int(field["host"]) if "host" in field else None
        if kind == "lie":
            self.liars.add(party)
        elif kind == "boot":
            if field.get("error", "0") == "0":
                q = len(self.party_of)
                self.party_of.append(party)
                self.live[(party, host if host is not None else 0)] = q
                self.events.append((number, BOOT, q))
        elif kind == "crash":
            key = (party, host if host is not None else 0)
            q = self.live.pop(key, None)
            if q is not None:
                self.last = dict(self.last)
                self.last[key] = q
                self.events.append((number, CRASH, q))
                for have in [k for k in self.pool if k[0] == q]:
                    del self.pool[have]
        elif kind == "made":
            q = self.process(number, party, host)
            mask, owner = int(field["set"], 0), int(field["owner"])
            self.pool[(q, field["id"])] = mask
            self.events.append((number, MADE, q, field["id"], mask, owner))
        elif kind == "taken":
            q = self.process(number, party, host, field["id"])
            self.pool.pop((q, field["id"]), None)
            self.taken = q
            self.events.append((number, TAKEN, q, field["id"]))
        elif kind == "share":
            # After the `taken` of the same id, with nothing in between.
            q = self.process(number, party, host)
            if host is None and self.events and self.events[-1][1] == TAKEN:
                if self.events[-1][3] == field["id"] and self.party_of[self.events[-1][2]] == party:
                    q = self.events[-1][2]
            self.events.append((number, SHARE, q, field["id"], self.context(field)))
        elif kind == "dropped":
            mask = int(field["mask"], 0) if "mask" in field else None
            ids = [field["id"]] if "id" in field else None
            for (q, i), have in list(self.pool.items()):
                if self.party_of[q] != party or (host is not None and self.live.get((party, host)) != q):
                    continue
                if (ids is not None and i in ids) or (mask is not None and have & mask == mask):
                    del self.pool[(q, i)]
                    self.events.append((number, DROPPED, q, i))
        elif kind == "released":
            self.events.append((number, RELEASED, party, host, self.context(field)))
        else:
            self.ignored[kind] = self.ignored.get(kind, 0) + 1

    @staticmethod
    def context(field):
        return (field["request"], field["digest"])

    def parts(self):
        """Yields lists of (line number, op, a, b, c, d, is it a liar's)."""
        root = {}

        def find(x):
            while root.setdefault(x, x) != x:
                root[x] = root[root[x]]
                x = root[x]
            return x

        for e in self.events:
            if e[1] == SHARE:
                root[find(e[3])] = find(e[4])
        # Which process owns an id: the owner's own `made` says it; else the owner's newest process.
        owner_of, newest = {}, {}
        for e in self.events:
            if e[1] == BOOT:
                newest[self.party_of[e[2]]] = e[2]
            elif e[1] == MADE:
                if self.party_of[e[2]] == e[5]:
                    owner_of[e[3]] = e[2]
                else:
                    owner_of.setdefault(e[3], newest.get(e[5]))
        group, need, spent = {}, {}, {}
        for e in self.events:
            if e[1] in (BOOT, CRASH):
                continue
            if e[1] == RELEASED:
                # The process that released: of this party, with a share of its own in this context.
                mine = [q for q in spent.get(e[4], []) if self.party_of[q] == e[2]]
                q = mine[-1] if mine else self.process(e[0], e[2], e[3])
                if e[3] is not None and (e[2], e[3]) in self.live and not mine:
                    q = self.live[(e[2], e[3])]
                part, event = find(e[4]), (e[0], RELEASED, q, e[4])
                need.setdefault(part, set()).add(q)
            else:
                part, event = find(e[3]), e
                need.setdefault(part, set()).update((e[2], owner_of.get(e[3], e[2])))
                if e[1] == SHARE:
                    spent.setdefault(e[4], []).append(e[2])
            group.setdefault(part, []).append(event)
        lives = [e for e in self.events if e[1] in (BOOT, CRASH)]
        for part, events in group.items():
            mine = sorted(e for e in lives if e[2] in need[part])
            yield self.numbered(merge(mine, events), owner_of)

    def numbered(self, events, owner_of):
        process, ids, contexts, out = {}, {}, {}, []

        def index(table, key, limit):
            if key not in table:
                table[key] = len(table)
            return min(table[key], limit)

        for e in events:
            if e[1] == BOOT:
                index(process, e[2], MAX_PROCESSES)
                op = (BOOT, self.party_of[e[2]] - 1, 0, 0, 0)
            elif e[1] == CRASH:
                op = (CRASH, process.get(e[2], MAX_PROCESSES), 0, 0, 0)
            elif e[1] == RELEASED:
                op = (RELEASED, process.get(e[2], MAX_PROCESSES),
                      index(contexts, e[3], MAX_CONTEXTS), 0, 0)
            else:
                q, i = process.get(e[2], MAX_PROCESSES), index(ids, e[3], MAX_IDS)
                if e[1] == MADE:
                    op = (MADE, i, q, process.get(owner_of.get(e[3]), MAX_PROCESSES), e[4])
                elif e[1] == SHARE:
                    op = (SHARE, i, q, index(contexts, e[4], MAX_CONTEXTS), 0)
                else:
                    op = (e[1], i, q, 0, 0)
            out.append((e[0], op, self.party_of[e[2]] in self.liars))
        return out


def merge(a, b):
    """By line; a (boots and crashes) before b on the same line."""
    return sorted(a + b, key=lambda e: e[0])


def run(pan, events):
    """Event numbers that the model refuses, with the reason."""
    with tempfile.TemporaryDirectory() as tmp:
        name = os.path.join(tmp, "events")
        with open(name, "w", encoding="ascii") as f:
            f.writelines("%d %d %d %d %d\n" % e for e in events)
        done = subprocess.run(
            [pan, "-m%d" % (4 * len(events) + 1000), "-w26", "-n"], env=dict(os.environ, REPLAY_FILE=name),
            cwd=tmp, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    refused, end = [], -1
    for line in done.stdout.splitlines():
        w = line.split()
        if len(w) == 3 and w[0] == "REJECTED":
            refused.append((int(w[1]), int(w[2])))
        elif len(w) == 2 and w[0] == "REPLAYED":
            end = int(w[1])
    if end != len(events):
        print(done.stdout, file=sys.stderr)
        sys.exit(f"replay: the model stopped at event {end} of {len(events)}")
    return refused


def main():
    args = sys.argv[1:]
    pan = os.path.join("build", "proof", "replay", "pan")
    if args[:1] == ["--pan"] and len(args) > 1:
        pan, args = args[1], args[2:]
    if not args:
        print(__doc__.splitlines()[2], file=sys.stderr)
        return 2
    events, where, parts, bad, ignored, read, lies = [], [], 0, [], {}, 0, 0
    for name in args:
        trace = Trace(name)
        bad += trace.errors
        read += len(trace.events)
        for kind, n in trace.ignored.items():
            ignored[kind] = ignored.get(kind, 0) + n
        for part in trace.parts():
            parts += 1
            if any(op[0] == MADE and op[3] >= MAX_PROCESSES for _, op, _ in part):
                bad.append(f"{name}:{part[0][0]}: made before its owner started")
            events.append((RESET, 0, 0, 0, 0))
            where.append((name, part[0][0], False))
            for number, op, liar in part:
                events.append(op)
                where.append((name, number, liar))
    # A refusal ends its part, so what a liar did amiss is taken out and the part tried again.
    for _ in range(1000):
        refused = run(os.path.abspath(pan), events)
        out = {n for n, _ in refused if where[n][2]}
        lies += len(out)
        if not out:
            break
        events = [e for n, e in enumerate(events) if n not in out]
        where = [w for n, w in enumerate(where) if n not in out]
    for n, why in refused:
        name, number, _ = where[n]
        with open(name, encoding="ascii") as f:
            text = f.read().splitlines()[number - 1]
        bad.append(f"{name}:{number}: {WHY.get(why, why)}\n    {text}")
    for line in bad:
        print(line)
    print("replay: %d traces, %d steps in %d parts (%d events with what they need), %d refused, "
          "%d of liars left out; not looked at: %s"
          % (len(args), read, parts, len(events), len(bad), lies,
             ", ".join(f"{k} {v}" for k, v in sorted(ignored.items())) or "nothing"))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
