#!/usr/bin/env python3
"""CPU of the daemons per honest signature, alone and while a gateway is flooded.

usage: bench/flood.py [--seconds 4] [--rate 100] [--connections 5000] [--per-second 2000] [--only asks]

Three parties and their gateways on this machine; honest clients ask gateway 1 for `rate` signatures a
second over kept connections (quorate-load, which verifies each). The flood opens its connections to
the same gateway from 100 addresses, and opens them again when they are closed, `per-second` at most.
CPU is user and system time of the six daemons from /proc, over `seconds` in which the flood stands,
divided by the signatures that party 1 released in them. Pools are filled before and not again, so that
presigning, which would hide what a flood costs, is in none of the runs. One line of JSON a run; exit 1
when a signature costs more than twice as much under flood as alone, or an honest request fails otherwise
than by a 503 that says when to come again.
"""

import argparse
import contextlib
import json
import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "test", "e2e"))
from rig.faults import counters  # noqa: E402
from rig.flood import KINDS, Flood  # noqa: E402
from rig.quorum import Quorum, die_with_parent, program, until  # noqa: E402

TICK = os.sysconf("SC_CLK_TCK")
BEFORE, AFTER = 2, 8  # seconds of honest load before the flood, and at most until it stands


def cpu(daemons):
    total = 0
    for d in daemons:
        with open(f"/proc/{d.process.pid}/stat", encoding="ascii") as f:
            fields = f.read().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / TICK


def gateway_rss_mib(q):
    with open(f"/proc/{q.party[1].gateway.process.pid}/status", encoding="ascii") as f:
        return next(int(x.split()[1]) for x in f if x.startswith("VmRSS")) / 1024


def signatures(q):
    return counters(q.party[1])["signatures_total"]


def run(q, client, a, kinds):
    host, port = q.party[1].http
    gateways = [p.gateway for p in q.parties]
    load = subprocess.Popen(
        [program("quorate-load"), "--gateway", f"http://{host}:{port}", "--client", client, "--key",
         q.key["key"], "--cluster", q.cluster, "--rate", str(a.rate), "--seconds",
         str(BEFORE + AFTER + a.seconds)], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        preexec_fn=die_with_parent)
    first = signatures(q)
    until(lambda: signatures(q) >= first + BEFORE * a.rate * 0.5, "honest signatures", 20)
    flood = Flood(q.party[1].http, a.connections, kinds, per_s=a.per_second) if kinds else None
    with flood or contextlib.nullcontext():
        if flood:  # the gateway's own limit is 4,096
            until(lambda: flood.most >= min(a.connections, 4096), "the flood", AFTER)
        start, s, c, g = time.monotonic(), signatures(q), cpu(q.parties), cpu(gateways)
        time.sleep(a.seconds)
        s, c, g = signatures(q) - s, cpu(q.parties) - c, cpu(gateways) - g
        took, rss = time.monotonic() - start, gateway_rss_mib(q)
        said = flood.summary() if flood else ""
    text, err = load.communicate(timeout=120)
    if not text:
        raise AssertionError(err.decode())
    out = json.loads(text)
    return {"bench": "flood", "flood": "+".join(kinds) or "none", "signatures": int(s),
            "sigs_per_s": round(s / took, 1), "parties_cpu_s": round(c, 2), "gateways_cpu_s": round(g, 2),
            "cpu_ms_per_signature": round(1000 * (c + g) / max(s, 1), 3), "gateway_rss_mib": round(rss, 1),
            "errors": out["errors"] + out["bad_signatures"], "by_code": out["by_code"],
            "reopened": out["reopened"], "p50_us": out["p50_us"], "p99_us": out["p99_us"],
            "load_average": round(os.getloadavg()[0], 1), "connections": said}


def made(q):
    return max((x["ready"] for k in q.party[1].status()["keys"] for x in k["pools"]
                if x["owner"] == 1), default=0)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--seconds", type=int, default=4)
    p.add_argument("--rate", type=int, default=100)
    p.add_argument("--connections", type=int, default=5000)
    p.add_argument("--per-second", type=int, default=2000)
    p.add_argument("--only", choices=KINDS, help="this kind of connection alone")
    a = p.parse_args()
    floods = ((a.only,),) if a.only else (KINDS[:1], KINDS[1:3], KINDS[3:], KINDS)
    rows = ((), *floods, ())
    want = min(len(rows) * a.rate * (BEFORE + AFTER + a.seconds), 9000)
    q = Quorum(pool=(0, want, 0))
    q.start()
    q.keygen()
    until(lambda: made(q) >= want * 0.9, f"{want} presignatures", 300)
    q.sign()
    client = os.path.join(q.folder, "client.pem")
    q.client.write_pem(client)
    done = []
    for kinds in rows:
        done.append(run(q, client, a, kinds))
        print(json.dumps(done[-1]), flush=True)
    alone = min(done[0]["cpu_ms_per_signature"], done[-1]["cpu_ms_per_signature"])
    worst = max(r["cpu_ms_per_signature"] for r in done)
    # 503 with Retry-After is what a newcomer may get; known clients do not.
    failed = sum(r["errors"] - r["by_code"].get("not_ready", 0) for r in done)
    print(json.dumps({"bench": "flood", "alone_ms": alone, "worst_ms": worst, "failed": failed,
                      "ratio": round(worst / alone, 2), "bar": 2}), flush=True)
    q.kill()
    sys.exit(worst > 2 * alone or failed > 0)


if __name__ == "__main__":
    main()
