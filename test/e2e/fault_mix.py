#!/usr/bin/env python3
"""Everything that happens to machines, at once, from a seed, while clients ask for signatures.

Processes that stop for a while, are killed, or restart; devices that are full, read-only or fail;
links that are reset in mid-frame, slow, or silent in one direction; clocks that jump, drift, or stand
still while the machine sleeps. Whatever happens, every request ends with a valid signature or a clear
code within its time; no nonce signs two digests; no presignature is unaccounted for; no pair is
retired; memory stays bounded; the logs name what happened; and once it is over all parties sign again.

    fault_mix.py [--seed N] [--seconds N]

The schedule follows from seed and seconds alone and is printed. 25 seconds, 600 with QR_TEST_LONG=1.
"""

import argparse
import atexit
import collections
import errno
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time

from rig.faults import Books, FaultyQuorum, Load, slowness
from rig.proxy import Proxy
from rig.quorum import ADDRESS, LIBC, new_port, until, web

BACK = 20.0      # seconds after the last fault within which every party signs and all pairs stand
RSS_MAX = 400    # MiB of one process
BOUND = 20.0     # seconds for an answer: 10 of the party's, the gateway's limit, and what is held
ROOT = os.geteuid() == 0

# kind: weight, and how its numbers are drawn
KINDS = {
    "stop party": (4, lambda r: {"for": r.choice((0.05, 0.3, 0.8, 2.0, 4.0))}),
    "stop gateway": (2, lambda r: {"for": r.choice((0.1, 0.5, 1.5))}),
    "kill party": (4, lambda r: {"for": r.choice((0.0, 0.3, 1.5))}),
    "restart party": (1, lambda r: {}),
    "kill gateway": (2, lambda r: {"for": r.choice((0.0, 0.5))}),
    "restart gateway": (1, lambda r: {}),
    "full disk": (2, lambda r: {"for": 0.3}),
    "read-only disk": (1, lambda r: {"for": 0.3}),
    "failing disk": (1, lambda r: {"for": 0.3}),
    "read-only at start": (1, lambda r: {}),
    "cut link": (4, lambda r: {"after": r.choice((0, 1, 5, 100, 1500, 40000, 300000))}),
    "slow link": (2, lambda r: {"delay": r.choice((0.02, 0.1, 0.3)), "for": 1.5}),
    "hold link": (2, lambda r: {"way": r.choice(("in", "out", "both")),
                                "for": r.choice((0.5, 2.0, 4.5))}),
    "wall clock": (3, lambda r: {"by": r.choice((-3600, -60, -20, -1, 1, 20, 60, 3600)), "for": 1.5}),
    "monotonic jump": (2, lambda r: {"by": r.choice((0.5, 5, 40, 700))}),
    "drift": (1, lambda r: {"rate": r.choice((-0.3, 0.3)), "for": 2.0}),
    "sleep": (2, lambda r: {"for": 1.0, "by": r.choice((0, 10, 300))}),
}

# What some log must say within a few seconds of a fault: event, text.
NAMED = {
    "kill party": ("peer", "peer_up", "new process"),
    "restart party": ("peer", "peer_up", "new process"),
    "full disk": ("self", "store_failed", "free space on the device"),
    "read-only disk": ("self", "store_failed", "stops signing"),
    "failing disk": ("self", "store_failed", "stops signing"),
    "read-only at start": ("self", "cannot_start", "store.db"),
}


def schedule(seed, seconds):
    rng = random.Random(seed)
    out, t = [], 1.0
    kinds = list(KINDS)
    weights = [KINDS[k][0] for k in kinds]
    first = rng.sample(kinds, len(kinds))  # each kind once, then as it comes
    while t < seconds:
        kind = first.pop() if first else rng.choices(kinds, weights)[0]
        out.append((round(t, 2), kind, rng.choice((1, 2, 3)), KINDS[kind][1](rng)))
        # Now and then two at once.
        t += rng.choice((0.0, 0.3, 0.9, 1.6, 2.2)) if seconds < 120 else rng.uniform(0, 3)
    return out


class Mix:
    def __init__(self, seed, seconds):
        self.q = FaultyQuorum(pool=(8, 16, 4))
        self.seed, self.seconds = seed, seconds
        self.mounts, self.how = [], {}
        self.proxy = [None]
        for p in self.q.parties:
            port = new_port()
            with open(p.config, encoding="ascii") as f:
                text = f.read()
            with open(p.config, "w", encoding="ascii") as f:
                f.write(text.replace(f"listen = {p.address}\n", f"listen = {p.address}\n"
                                     f"advertise = tcp://{ADDRESS}:{port}\n"))
            self.proxy.append(Proxy((ADDRESS, port), (ADDRESS, p.port)))
            self.mount(p)
        atexit.register(self.close)
        self.slow = slowness(self.q.start)
        self.q.keygen()
        self.lock = [threading.Lock() for _ in range(4)]
        self.gateway_lock = [threading.Lock() for _ in range(4)]
        self.policy_lock, self.policy = threading.Lock(), 1
        self.mono = [0.0] * 4
        self.wall = [0.0] * 4
        self.late = set()  # parties that were started by a clock that is ahead
        self.count, self.named, self.rss = collections.Counter(), collections.Counter(), {}
        self.load = Load(self.q, seed, wait=0.02, bound=BOUND * self.slow, conflicts=False)
        self.books = Books(self.load)

    def mount(self, p):
        """A device of its own for the state, if that is allowed."""
        if ROOT and shutil.which("mount"):
            r = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m,mode=700", "quorate",
                                p.state], capture_output=True, check=False)
            if r.returncode == 0:
                self.mounts.append(p.state)

    def find(self, text):
        self.load.find(text)

    # ---- faults

    def stop_party(self, i, a):
        p = self.q.party[i]
        with self.lock[i]:
            p.process.send_signal(signal.SIGSTOP)
            time.sleep(a["for"])
            p.process.send_signal(signal.SIGCONT)

    def stop_gateway(self, i, a):
        g = self.q.party[i].gateway
        with self.gateway_lock[i]:
            g.process.send_signal(signal.SIGSTOP)
            time.sleep(a["for"])
            g.process.send_signal(signal.SIGCONT)

    def start(self, i):
        """Where the clock stands then is where requests may begin."""
        p = self.q.party[i]
        p.start()
        self.late.discard(i)
        if self.wall[i] > 0:
            self.late.add(i)

    def kill_party(self, i, a):
        p = self.q.party[i]
        with self.lock[i]:
            self.audit(p)
            p.kill()
            time.sleep(a["for"])
            self.start(i)

    def restart_party(self, i, a):
        p = self.q.party[i]
        with self.lock[i]:
            p.process.terminate()
            code = p.ends(20)
            if code != 0:
                self.find(f"party {i} ended with {code} after SIGTERM:\n{p.log()[-1500:]}")
            self.start(i)

    def kill_gateway(self, i, a):
        g = self.q.party[i].gateway
        with self.gateway_lock[i]:
            g.kill()
            time.sleep(a["for"])
            g.spawn()

    def restart_gateway(self, i, a):
        g = self.q.party[i].gateway
        with self.gateway_lock[i]:
            g.process.terminate()
            if g.ends(20) != 0:
                self.find(f"gateway {i} ended with {g.process.returncode} after SIGTERM")
            g.spawn()

    def broken(self, i, a, code, break_it, mend):
        """The device fails; a new policy must be written; the party stops signing until restarted."""
        p, c = self.q.party[i], self.q.control[i]
        with self.policy_lock, self.lock[i]:  # in this order, everywhere
            self.audit(p)
            break_it()
            self.policy += 1
            doc = self.q.make_policy(self.policy)
            answers = {}
            for x in self.q.parties:
                if x is p or not self.lock[x.index].locked():
                    try:
                        answers[x.index] = x.admin("LOAD_POLICY", doc, self.q.stamps(doc))
                    except (OSError, AssertionError):
                        pass  # it is down or stopped itself; it is told below
            if i in answers and answers[i].error == 0:
                self.find(f"party {i} acknowledged a policy that its {code} cannot hold")
            r = None
            try:
                r = self.q.post(i, self.q.body())
            except (OSError, web.http.client.HTTPException):
                pass  # its gateway is away
            if r is not None and (r.status == 200 or r.code not in ("not_ready", "expired",
                                                                   "not_yet_valid")):
                self.find(f"party {i} with a {code} answered {r}")
            time.sleep(a["for"])
            p.kill()
            mend()
            c.fail(0)
            self.start(i)
        self.tell_policy()

    def tell_policy(self):
        """The newest policy to everybody, as an operator would after trouble."""
        with self.policy_lock:
            doc = self.q.make_policy(self.policy)
            for x in self.q.parties:
                with self.lock[x.index]:
                    until(lambda x=x: self.took(x, doc), f"party {x.index} to take the policy")

    def took(self, x, doc):
        try:
            a = x.admin("LOAD_POLICY", doc, self.q.stamps(doc))
        except (OSError, AssertionError):
            return False
        if a.error and "serial" not in a.detail:
            self.find(f"party {x.index} refused the policy: {a.detail}")
        return True

    def full_disk(self, i, a):
        p = self.q.party[i]
        filler = os.path.join(p.state, "filler")
        if p.state in self.mounts:
            self.how["full disk"] = "a tmpfs of 1 MiB, filled"

            def fill():
                with open(filler, "wb", buffering=0) as f:
                    for size in (4096, 1):
                        try:
                            while f.write(bytes(size)):
                                pass
                        except OSError:
                            pass

            self.broken(i, a, "full disk", fill, lambda: os.unlink(filler))
        else:
            self.how["full disk"] = "ENOSPC from the interposer"
            self.broken(i, a, "full disk", lambda: self.q.control[i].fail(errno.ENOSPC),
                        lambda: None)

    def read_only_disk(self, i, a):
        self.how["read-only disk"] = "EROFS from the interposer"
        self.broken(i, a, "read-only disk", lambda: self.q.control[i].fail(errno.EROFS),
                    lambda: None)

    def failing_disk(self, i, a):
        self.how["failing disk"] = "EIO from the interposer"
        self.broken(i, a, "failing disk", lambda: self.q.control[i].fail(errno.EIO), lambda: None)

    def read_only_at_start(self, i, a):
        p, c = self.q.party[i], self.q.control[i]
        with self.lock[i]:
            self.audit(p)
            p.kill()
            if p.state in self.mounts:
                self.how["read-only at start"] = "mount -o remount,ro"
                subprocess.run(["mount", "-o", "remount,ro", p.state], check=True)
            else:
                self.how["read-only at start"] = "EROFS from the interposer"
                c.fail(errno.EROFS)
            p.spawn()
            try:
                if p.ends(10) != 75:
                    self.find(f"party {i} ended with {p.process.returncode} on a read-only disk")
            except subprocess.TimeoutExpired:
                self.find(f"party {i} runs on a read-only disk")
                p.kill()
            if p.state in self.mounts:
                subprocess.run(["mount", "-o", "remount,rw", p.state], check=True)
            c.fail(0)
            self.start(i)

    def cut_link(self, i, a):
        """Also says so, if so many bytes passed at all."""
        x = self.proxy[i]
        before, marks = x.cuts, {p.index: p.mark() for p in self.q.parties}
        x.cut(a["after"])
        deadline = time.monotonic() + 5
        while x.cuts == before and time.monotonic() < deadline:
            time.sleep(0.02)
        if x.cuts > before:
            until(lambda: any(p.events(ev, marks[p.index]) for p in self.q.parties
                              for ev in ("peer_down", "peer_refused")),
                  "a log to say that a connection is lost", BACK)
            self.named["cut link"] += 1

    def slow_link(self, i, a):
        self.proxy[i].delay = a["delay"]
        time.sleep(a["for"])
        self.proxy[i].delay = 0.0

    def hold_link(self, i, a):
        marks = {p.index: p.mark() for p in self.q.parties}
        self.proxy[i].hold |= {"in", "out"} if a["way"] == "both" else {a["way"]}
        time.sleep(a["for"])
        self.proxy[i].hold.clear()
        self.named["hold link"] += any(p.events("peer_down", marks[p.index])
                                       for p in self.q.parties)

    def set_wall(self, i, by):
        self.wall[i] = by
        self.q.control[i].clocks(wall=by)
        self.q.gateway_control[i].clocks(wall=by)

    def set_mono(self, i, by):
        self.mono[i] += by
        self.q.control[i].clocks(mono=self.mono[i])
        self.q.gateway_control[i].clocks(mono=self.mono[i])

    def wall_clock(self, i, a):
        p = self.q.party[i]
        mark = p.mark()
        self.set_wall(i, a["by"])
        time.sleep(a["for"])
        self.set_wall(i, 0)
        self.named["wall clock"] += any("by this party's clock" in e["msg"] for ev in
                                        ("refused", "sign_refused") for e in p.events(ev, mark))

    def monotonic_jump(self, i, a):
        self.set_mono(i, a["by"])

    def drift(self, i, a):
        for _ in range(int(a["for"] / 0.02)):
            time.sleep(0.02)
            self.set_mono(i, 0.02 * a["rate"])

    def sleep(self, i, a):
        """The machine is suspended; with some hypervisors the monotonic clock has gone on meanwhile,
        and further than anything the processes saw."""
        p = self.q.party[i]
        with self.lock[i], self.gateway_lock[i]:
            for d in (p, p.gateway):
                d.process.send_signal(signal.SIGSTOP)
            time.sleep(a["for"])
            self.set_mono(i, a["by"])
            for d in (p.gateway, p):
                d.process.send_signal(signal.SIGCONT)

    # ---- the run

    def audit(self, p):
        try:
            self.books.audit(p)
        except (OSError, AssertionError):
            pass  # it is stopped or away

    def one(self, kind, i, a):
        marks = {p.index: p.mark() for p in self.q.parties}
        try:
            getattr(self, kind.replace(" ", "_").replace("-", "_"))(i, a)
        except Exception as e:
            self.find(f"{kind} at {i}: {type(e).__name__}: {e}")
            return
        self.count[kind] += 1
        if kind in NAMED:
            who, ev, text = NAMED[kind]
            logs = [p for p in self.q.parties if (p.index == i) == (who == "self")]

            def said():
                return any(text in e["msg"] and (who == "self" or e.get("peer") == i)
                           for p in logs for e in p.events(ev, marks[p.index]))
            try:
                until(said, f"a log to say {ev} \"{text}\"", BACK)
                self.named[kind] += 1
            except AssertionError as e:
                self.find(f"{kind} at {i}: {e}")

    def sample(self):
        for p in self.q.parties:
            for d in (p, p.gateway):
                try:
                    with open(f"/proc/{d.process.pid}/status", encoding="ascii") as f:
                        kb = next(int(x.split()[1]) for x in f if x.startswith("VmRSS"))
                except (OSError, StopIteration, AttributeError):
                    continue
                self.rss[d.name] = max(self.rss.get(d.name, 0), kb // 1024)

    def go(self):
        plan = schedule(self.seed, self.seconds)
        for t, kind, i, a in plan:
            print(f"{t:7.2f} s  {kind}, {i}{''.join(f', {k} {v}' for k, v in a.items())}")
        sys.stdout.flush()
        self.load.start()
        begin, threads = time.monotonic(), []
        for t, kind, i, a in plan:
            while time.monotonic() - begin < t:
                time.sleep(0.02)
            th = threading.Thread(target=self.one, args=(kind, i, a), daemon=True)
            th.start()
            threads.append(th)
            self.sample()
        for th in threads:
            th.join(120)
            if th.is_alive():
                self.find("a fault did not end")
        back = self.heal()
        self.load.stop()
        self.check_logs()
        self.say(time.monotonic() - begin, back, len(plan))

    def heal(self):
        """Nothing is wrong any more; how long until all is well?"""
        for i in sorted(self.late):
            # It was started while its clock was ahead, and refuses what was issued before.
            p = self.q.party[i]
            p.kill()
            p.start()
        self.tell_policy()
        start = time.monotonic()
        try:
            for p in self.q.parties:
                until(lambda p=p: p.pairs() >= {1, 2, 3} - {p.index}, f"pairs of {p.index}", BACK)
            for p in self.q.parties:
                until(lambda p=p: self.load.last_good.get(p.index, 0) > start,
                      f"a signature of party {p.index}", BACK)
        except AssertionError as e:
            self.find(f"{e}; the log of party 1 ends:\n{self.q.party[1].log()[-2000:]}")
        for p in self.q.parties:
            self.audit(p)
            self.sample()
        return time.monotonic() - start

    def check_logs(self):
        for p in self.q.parties:
            for ev in ("pair_retired", "peer_rolled_back", "bad_share"):
                for e in p.events(ev):
                    self.find(f"party {p.index} logged {ev}: {e['msg']}")
        for name, mib in self.rss.items():
            if mib > RSS_MAX:
                self.find(f"{name} took {mib} MiB")
        if self.load.signed < 10 * self.seconds / 25:
            self.find(f"only {self.load.signed} signatures: no load")

    def say(self, took, back, planned):
        print(f"faults: {sum(self.count.values())} of {planned} planned: " +
              ", ".join(f"{k} {v}" for k, v in sorted(self.count.items())))
        print("how: " + "; ".join(f"{k}: {v}" for k, v in sorted(self.how.items())))
        print("named in logs: " + ", ".join(f"{k} {v} of {self.count[k]}"
                                            for k, v in sorted(self.named.items())))
        print(f"links: {sum(p.connections for p in self.proxy[1:])} connections, "
              f"{sum(p.cuts for p in self.proxy[1:])} cuts, "
              f"{sum(p.passed for p in self.proxy[1:])} bytes")
        print(f"load: {self.load.summary()}")
        print(f"books: {self.books.summary()}")
        print("memory: " + ", ".join(f"{k} {v} MiB" for k, v in sorted(self.rss.items())))
        print(f"service: every party signs {back:.2f} s after the last fault; {took:.0f} s in all; "
              f"bounds stretched {self.slow:.1f} times")
        print(f"replay: python3 test/e2e/fault_mix.py --seed {self.seed} --seconds {self.seconds}")
        for f in self.load.found:
            print(f"failure: {f}")
        bad = len(self.load.found)
        print(f"{max(len(self.count) - bad, 0)} passed, {bad} failed", flush=True)

    def close(self):
        self.q.kill()
        for p in self.proxy[1:]:
            p.close()
        for m in self.mounts:
            subprocess.run(["umount", "-l", m], check=False)


def main():
    a = argparse.ArgumentParser()
    long = os.environ.get("QR_TEST_LONG") == "1"
    a.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    a.add_argument("--seconds", type=int, default=600 if long else 25)
    o = a.parse_args()
    print(f"seed {o.seed}", flush=True)
    # Also when the time is up: what is mounted is taken down.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    m = Mix(o.seed, o.seconds)
    m.go()
    sys.exit(len(m.load.found) != 0)


if __name__ == "__main__":
    main()
