#!/usr/bin/env python3
"""CPU of the daemons per honest signature, alone and while a gateway is flooded.

usage: bench/flood.py [--seconds 6] [--rate 60] [--connections 5000]

Three parties and their gateways on this machine; honest clients ask gateway 1 for `rate` signatures a
second over kept connections (quorate-load, which verifies each); the flood opens its connections to
the same gateway from 100 addresses and opens them again when they are closed. CPU is user and system
time of the six daemons from /proc. Pools are filled before and not again, so that presigning, which
would hide what a flood costs, is in none of the runs. One line of JSON a run; exit 1 when a signature
costs more than twice as much under flood as alone, or honest requests fail.
"""

import argparse
import json
import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "test", "e2e"))
from rig.flood import KINDS, Flood  # noqa: E402
from rig.quorum import Quorum, program, until  # noqa: E402

TICK = os.sysconf("SC_CLK_TCK")


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


def honest(q, client, a):
    host, port = q.party[1].http
    gateways = [p.gateway for p in q.parties]
    before, before_gw = cpu(q.parties), cpu(gateways)
    r = subprocess.run([program("quorate-load"), "--gateway", f"http://{host}:{port}", "--client",
                        client, "--key", q.key["key"], "--cluster", q.cluster, "--rate",
                        str(a.rate), "--concurrency", "4", "--seconds", str(a.seconds)], capture_output=True,
                       timeout=a.seconds + 60)
    if not r.stdout:
        raise AssertionError(r.stderr.decode())
    out = json.loads(r.stdout)
    out["gateways_cpu_s"] = round(cpu(gateways) - before_gw, 2)
    out["daemons_cpu_s"] = round(out["gateways_cpu_s"] + cpu(q.parties) - before, 2)
    out["cpu_ms_per_signature"] = round(1000 * out["daemons_cpu_s"] / max(out["signatures"], 1), 3)
    return out


def made(q):
    return max((x["ready"] for k in q.party[1].status()["keys"] for x in k["pools"]
                if x["owner"] == 1), default=0)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--seconds", type=int, default=6)
    p.add_argument("--rate", type=int, default=60)
    p.add_argument("--connections", type=int, default=5000)
    a = p.parse_args()
    want = 8 * a.rate * a.seconds
    q = Quorum(pool=(0, want, 0))
    q.start()
    q.keygen()
    until(lambda: made(q) >= want * 0.95, f"{want} presignatures", 300)
    q.sign()
    client = os.path.join(q.folder, "client.pem")
    q.client.write_pem(client)
    honest(q, client, a)  # warms up
    rows, bad = [("alone", honest(q, client, a), "")], 0
    for kinds in (KINDS[:1], KINDS[1:3], KINDS[3:], KINDS):
        with Flood(q.party[1].http, a.connections, kinds) as f:
            end = time.monotonic() + 20
            while len(f.open) < min(a.connections, 4000) and time.monotonic() < end:
                time.sleep(0.05)  # the gateway's own limit is 4,096
            rows.append(("+".join(kinds), honest(q, client, a), f.summary()))
            rows[-1][1]["gateway_rss_mib"] = round(gateway_rss_mib(q), 1)
    rows.append(("alone again", honest(q, client, a), ""))
    base = min(rows[0][1]["cpu_ms_per_signature"], rows[-1][1]["cpu_ms_per_signature"])
    for name, out, said in rows:
        ratio = out["cpu_ms_per_signature"] / base
        failed = out["errors"] + out["bad_signatures"] + (out["signatures"] == 0)
        bad += ratio > 2 or failed > 0
        print(json.dumps({"bench": "flood", "flood": name, "signatures": out["signatures"],
                          "errors": failed, "by_code": out["by_code"],
                          "sigs_per_s": out["sigs_per_s"], "reopened": out["reopened"],
                          "p50_us": out["p50_us"], "p99_us": out["p99_us"],
                          "gateways_cpu_s": out["gateways_cpu_s"],
                          "cpu_ms_per_signature": out["cpu_ms_per_signature"],
                          "ratio": round(ratio, 2), "gateway_rss_mib": out.get("gateway_rss_mib"),
                          "connections": said}), flush=True)
    q.kill()
    sys.exit(bad != 0)


if __name__ == "__main__":
    main()
