"""Reads what `llvm-cov export` says and compares it with TARGETS and FLOORS; see coverage.sh."""

import json
import os
import sys


def table(path):
    """Lines of words; '#' starts a comment."""
    with open(path, encoding="utf-8") as f:
        for line in f:
            words = line.split("#", 1)[0].split()
            if words:
                yield words


def main():
    export, targets, floors = sys.argv[1:4]
    with open(export, encoding="utf-8") as f:
        data = json.load(f)["data"][0]
    here = os.getcwd() + "/"

    def own(name):
        return name[len(here):] if name.startswith(here) else name.removeprefix("./")

    ran = {}
    for fn in data["functions"]:
        file = own(fn["filenames"][0])
        name = fn["name"].rsplit(":", 1)[-1]
        ran[file, name] = ran.get((file, name), 0) + fn["count"]
    lines = {own(f["filename"]): f["summary"]["lines"] for f in data["files"]}

    files, bad = {}, 0
    for file, name, target, *_ in table(targets):
        if target == "-":
            continue
        files.setdefault(file, set()).update(target.split(","))
        if not ran.get((file, name)):
            print(f"{file} {name}: not run by any input, though TARGETS says {target}")
            bad += 1
    floor = {file: float(percent) for file, percent, *_ in table(floors)}
    for file in sorted(set(floor) - set(files)):
        print(f"{file}: in FLOORS, but nothing of it is in TARGETS")
        bad += 1
    total = covered = 0
    for file in sorted(files):
        c = lines.get(file, {"count": 0, "covered": 0})
        percent = 100 * c["covered"] / c["count"] if c["count"] else 0
        total += c["count"]
        covered += c["covered"]
        mark = ""
        if percent < floor.get(file, 0):
            mark = "  BELOW ITS FLOOR"
            bad += 1
        print(f"{file:32} {percent:5.1f} % of {c['count']:4} lines, floor {floor.get(file, 0):3.0f}"
              f"  {','.join(sorted(files[file]))}{mark}")
    print(f"{len(files)} files, {100 * covered / max(total, 1):.1f} % of {total} lines, "
          f"{bad} failures")
    sys.exit(1 if bad else 0)


main()
