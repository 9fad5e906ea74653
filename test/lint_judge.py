#!/usr/bin/env python3
"""Judges what an analyser found against test/lint.exceptions.

usage: test/lint_judge.py TOOL VERSION FINDINGS

FINDINGS has a line `tool|check|file|line|message` each. An exception is a line
`TOOL CHECK FILE FUNCTION: REASON`; FUNCTION is the one the finding's line stands in, `-` outside of
any. It covers every finding of that check in that function. A finding without one fails, and so does
an exception without a finding: it hides the next mistake in that place.

A line `version TOOL VERSION` names what the exceptions were written for. Another version of the tool
sees other things: its findings are printed, and judge nothing.
"""
import pathlib
import re
import sys

LIST = "test/lint.exceptions"
# A definition: the name at the start of a line, its return type on the line before.
NAME = re.compile(r"^([a-z_][a-z0-9_]*)\(")


def function_at(path, line, cache={}):
    if path not in cache:
        try:
            cache[path] = pathlib.Path(path).read_text(encoding="utf-8").splitlines()
        except OSError:
            cache[path] = []
    text = cache[path]
    for i in range(min(line, len(text)) - 1, -1, -1):
        if text[i].startswith("}") and i != line - 1:
            return "-"
        m = NAME.match(text[i])
        if m:
            return m.group(1)
    return "-"


def read_list(tool):
    want, version, bad = {}, None, 0
    for i, line in enumerate(pathlib.Path(LIST).read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        head, _, reason = line.partition(":")
        words = head.split()
        if words[0] == "version" and len(words) == 3:
            if words[1] == tool:
                version = words[2]
        elif len(words) == 4 and reason.strip():
            if words[0] == tool:
                want[tuple(words[1:])] = i
        else:
            print(f"{LIST}:{i}: neither `version TOOL VERSION` nor `TOOL CHECK FILE FUNCTION: REASON`")
            bad += 1
    return want, version, bad


def main():
    tool, version, findings = sys.argv[1:]
    want, known, bad = read_list(tool)
    used, fresh = set(), 0
    for line in pathlib.Path(findings).read_text(encoding="utf-8").splitlines():
        parts = line.split("|", 4)
        if len(parts) != 5 or parts[0] != tool:
            print(f"{tool}: {line}")
            fresh += 1
            continue
        _, check, path, number, message = parts
        key = (check, path, function_at(path, int(number)))
        if key in want:
            used.add(key)
        else:
            print(f"{path}:{number}: {message} [{tool} {check}, in {key[2]}]")
            fresh += 1
    if version != known:
        print(f"{tool} {version}: {fresh} findings, not judged: the list is for version {known}")
        return 1 if bad else 0
    for key, i in want.items():
        if key not in used:
            print(f"{LIST}:{i}: no longer occurs: {tool} {' '.join(key)}")
            bad += 1
    print(f"{tool} {version}: {fresh} findings, {len(used)} places excepted, {bad} lines of the list wrong")
    return 1 if fresh or bad else 0


if __name__ == "__main__":
    sys.exit(main())
