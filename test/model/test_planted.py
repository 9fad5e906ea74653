#!/usr/bin/env python3
"""Plants errors under the C machines, one at a time, and expects the frozen transcripts to catch each.

The errors are in planted.c: another tag for each hash of protocol/SPEC.md, and a few changed
functions. Most change all parties alike, so that the protocol's own checks pass. Needs a finished
build (BUILD, default build/release); takes about 20 seconds.
"""

import os
import re
import subprocess
import sys

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
PACKAGES = ["libsecp256k1", "libsodium", "libcrypto", "cmocka"]
TEST_OBJECTS = ["protocol/test_transcript", "common/transcript", "common/replay", "common/testrng"]
SHORT = "v1-2of3"


def link(build):
    """Builds the test with planted.c in between; returns the program's path."""
    out = os.path.join(build, "test", "model")
    os.makedirs(out, exist_ok=True)
    with open(os.path.join(build, "flags")) as f:
        cc, *flags = f.read().split()
    with open("test/model/planted.c") as f:
        wrapped = sorted(set(re.findall(r"__wrap_(qr_\w+)\(", f.read())))
    program, obj = os.path.join(out, "planted"), os.path.join(out, "planted.o")
    subprocess.run([cc, *flags, "-c", "-o", obj, "test/model/planted.c"], check=True)
    libs = subprocess.run(
        ["pkg-config", "--libs", *PACKAGES], check=True, capture_output=True, text=True
    ).stdout.split()
    subprocess.run(
        [
            cc,
            *[f for f in flags if f.startswith(("-fsanitize", "--coverage"))],
            *["-Wl,--wrap=" + name for name in wrapped],
            "-o",
            program,
            obj,
            *[os.path.join(build, "test", name + ".o") for name in TEST_OBJECTS],
            os.path.join(build, "libquorate.a"),
            *libs,
            "-lpthread",
        ],
        check=True,
    )
    return program


def run(program, plant, *names):
    env = dict(os.environ)
    env.pop("QUORATE_PLANT", None)
    if plant:
        env["QUORATE_PLANT"] = plant
    return subprocess.run([program, *names], env=env, capture_output=True, text=True)


def spec_tags():
    with open("protocol/SPEC.md") as f:
        return sorted(set(re.findall(r'\bT[HBSX]\("([^"]+)"', f.read())))


def main():
    os.chdir(TOP)
    build = os.environ.get("BUILD", "build/release")
    if not os.path.exists(os.path.join(build, "libquorate.a")):
        print("no %s/libquorate.a: build first (make all tests)" % build)
        return 1
    program = link(build)
    passed = failed = 0

    def expect(name, good, detail):
        nonlocal passed, failed
        passed, failed = passed + good, failed + (not good)
        if not good:
            print("FAIL %s: %s" % (name, detail))

    clean = run(program, None)
    expect("nothing planted", clean.returncode == 0, clean.stdout[-500:] + clean.stderr[-500:])
    errors = run(program, "list").stdout.split("\n")[:-1]
    tags = spec_tags()
    expect("the lists", len(errors) > 5 and len(tags) > 30, "%s %s" % (errors, tags))
    for plant in ["tag " + t for t in tags] + errors:
        # 1..125: the test said no. More would be a crash, which is no comparison.
        rc = run(program, plant, SHORT).returncode
        expect(plant, 0 < rc < 126, "exit status %d; the frozen transcript did not catch it" % rc)
    print("planted errors caught: %d of %d" % (passed - 2, len(tags) + len(errors)))
    print("%d passed, %d failed" % (passed, failed))
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
