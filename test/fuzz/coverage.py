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


def line_counts(segments, last):
    """Executions by line, as llvm-cov shows them; lines without code are left out."""
    by_line = {}
    for line, col, count, has_count, is_entry, is_gap in segments:
        by_line.setdefault(line, []).append((col, count, has_count, is_entry, is_gap))
    counts, wrapped = {}, None
    for line in range(1, last + 1):
        here = by_line.get(line, [])
        entries = [c for _, c, has, entry, gap in here if entry and has and not gap]
        if wrapped is not None and wrapped[1]:
            entries.append(wrapped[0])
        starts_skipped = here and not here[0][2] and here[0][3]
        if entries and not starts_skipped:
            counts[line] = max(entries)
        if here:
            wrapped = (here[-1][1], here[-1][2])
    return counts


def main():
    export, targets, floors = sys.argv[1:4]
    with open(export, encoding="utf-8") as f:
        data = json.load(f)["data"][0]
    here = os.getcwd() + "/"

    def own(name):
        return name[len(here):] if name.startswith(here) else name.removeprefix("./")

    ran, where = {}, {}
    for fn in data["functions"]:
        key = own(fn["filenames"][0]), fn["name"].rsplit(":", 1)[-1]
        ran[key] = ran.get(key, 0) + fn["count"]
        # file 0 is the function's own; the others are those of macros
        own_regions = [r for r in fn["regions"] if r[5] == 0]
        where[key] = min(r[0] for r in own_regions), max(r[2] for r in own_regions)
    lines, whole = {}, {}
    for f in data["files"]:
        name = own(f["filename"])
        lines[name] = line_counts(f["segments"], max((s[0] for s in f["segments"]), default=0))
        whole[name] = f["summary"]["lines"]["percent"]

    files, parsers, bad = {}, {}, 0
    for file, name, target, *_ in table(targets):
        if target == "-":
            continue
        files.setdefault(file, set()).update(target.split(","))
        parsers.setdefault(file, set())
        if not ran.get((file, name)):
            print(f"{file} {name}: not run by any input, though TARGETS says {target}")
            bad += 1
        if (file, name) in where:
            first, last = where[file, name]
            parsers[file].update(n for n in lines.get(file, {}) if first <= n <= last)
    floor = {file: float(percent) for file, percent, *_ in table(floors)}
    for file in sorted(set(floor) - set(files)):
        print(f"{file}: in FLOORS, but nothing of it is in TARGETS")
        bad += 1
    total = covered = 0
    for file in sorted(files):
        reached = sum(1 for n in parsers[file] if lines[file][n] > 0)
        missed = [n for n in sorted(parsers[file]) if lines[file][n] == 0]
        percent = 100 * reached / len(parsers[file]) if parsers[file] else 0
        total += len(parsers[file])
        covered += reached
        mark = ""
        if percent < floor.get(file, 0):
            mark = "  BELOW ITS FLOOR"
            bad += 1
        print(f"{file:28} {percent:5.1f} % of {len(parsers[file]):4} parser lines, floor "
              f"{floor.get(file, 0):3.0f}; whole file {whole.get(file, 0):5.1f} %; "
              f"{','.join(sorted(files[file]))}{mark}")
        if missed and os.environ.get("MISSED"):
            print("    not reached:", *missed)
    print(f"{len(files)} files, {100 * covered / max(total, 1):.1f} % of {total} parser lines, "
          f"{bad} failures")
    sys.exit(1 if bad else 0)


main()
