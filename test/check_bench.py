#!/usr/bin/env python3
"""Checks the form of bench results, not their values: every line of every *.jsonl in a folder is one
JSON object with the members that readers of the figures rely on, and every case is there.

usage: test/check_bench.py FOLDER
"""
import json
import math
import pathlib
import sys

MEMBERS = {"name": str, "n": int, "t": int, "value": (int, float), "unit": str, "commit": str}
CASES = """cpu_sign_total cpu_sign_online cpu_presign cpu_keygen cpu_pair_setup bytes_pair rounds
mem_party load_sustained load_burst_1 load_burst_64 latency_burst_1""".split()


def check_line(line):
    """Returns what is wrong with a line, or None, and the name of its case."""
    try:
        o = json.loads(line)
    except ValueError as e:
        return f"not JSON: {e}", None
    if not isinstance(o, dict):
        return "not an object", None
    for name, kind in MEMBERS.items():
        if not isinstance(o.get(name), kind) or isinstance(o.get(name), bool):
            return f"member {name} is missing or of another type", None
    for name in ("value", "ratio"):
        v = o.get(name)
        if v is not None and not (math.isfinite(v) and v >= 0):
            return f"{name} is {v}", None
    if "ratio" not in o:
        return "member ratio is missing (null where there is none)", None
    return None, o["name"]


def main():
    folder = pathlib.Path(sys.argv[1])
    seen, bad = set(), 0
    for path in sorted(folder.glob("*.jsonl")):
        for i, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            wrong, name = check_line(line)
            if wrong:
                print(f"{path}:{i}: {wrong}")
                bad += 1
            else:
                seen.add(name)
    for name in CASES:
        if name not in seen:
            print(f"{folder}: no case {name}")
            bad += 1
    print(f"{len(seen)} cases, {bad} wrong or missing")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
