#!/usr/bin/env python3
"""Writes the frozen transcripts of test/vectors/transcripts; --check compares instead of writing.

    python3 test/model/make_transcripts.py            write the files
    python3 test/model/make_transcripts.py --check    regenerate and compare, exit status 1 if not equal
"""

import hashlib
import os
import sys

import quorate_model as M

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "vectors", "transcripts")

HEADER = """\
# Quorate protocol version 1, frozen transcript {name}: {title}.
# Written by test/model/make_transcripts.py from an independent model of protocol/SPEC.md. Frozen:
# a change of this file is a change of the protocol version. Every secret in it is a test value.
#
# One line is "name value". Integers are decimal, byte strings hexadecimal ("-" is the empty one),
# "sha256 X" stands for a secret too long to list. Names that begin with "in." are inputs, the others
# outputs, in the order in which they arise. A message is
#     msg.<round>.<type>.<from>.<to> <length> <SHA-256 of the payload>
# in ascending order of (from, to) within its round.
#
# Party i's generator: fill(k) returns the next k bytes of one ChaCha20 stream (RFC 8439; key =
# SHA-256 of in.seed.i, nonce 12 zero bytes, counter from 0), across all calls. Party i draws for
#   1. PAIR1 to each of its peers in ascending order, then PAIR2 to each in ascending order;
#   2. key generation;
#   3. presigning round 1, then round 2 (for idx, for peer ascending: the check input a^);
# each as SPEC.md orders it. Only the pairs that have an in.attempt line are set up.
# drawn.i is the number of bytes that party i has drawn by the end.
"""


def tag(name, *parts):
    """A fixed test value of 32 bytes."""
    text = "/".join(("quorate transcript", name) + tuple(str(p) for p in parts))
    return hashlib.sha256(text.encode()).digest()


def scenario(name, n, t, S, B, pairs, flags, initiator, ctr, requests):
    s = M.Scenario()
    s.n, s.t, s.S, s.B = n, t, S, B
    s.env = {k: tag(name, k) for k in ("cluster", "roster_hash", "admin_hash", "command_hash")}
    s.env["flags"] = flags
    everyone = range(1, n + 1)
    s.seed = {i: ("quorate/%s/party %d" % (name, i)).encode() for i in everyone}
    s.id_seed = {i: tag(name, "identity", i) for i in everyone}
    s.measurement = {i: tag(name, "measurement", i) for i in everyone}
    s.nonce = {i: tag(name, "boot nonce", i) for i in everyone}
    s.attempt = pairs
    s.initiator, s.ctr, s.batch_nonce = initiator, ctr, tag(name, "batch nonce")
    s.sign = []
    for k, (idx, path, item, body, stamps) in enumerate(requests):
        s.sign.append(
            {
                "idx": idx,
                "path": path,
                "item": item,
                "body": body,
                "stamps": stamps,
                "digest": tag(name, "digest", k),
                "request_id": tag(name, "request", k),
            }
        )
    return s


def two_of_three():
    return scenario(
        "v1-2of3",
        n=3,
        t=2,
        S=(1, 3),
        B=4,
        pairs={(1, 2): 0, (1, 3): 1, (2, 3): 0},
        flags=1,
        initiator=3,
        ctr=1,
        requests=[
            (0, (), 0, b'{"payload":"plain"}', [b"stamp of the first client"]),
            (2, (0, 5), 7, b'{"payload":"derived"}', [b"stamp one", b"", b"stamp three"]),
        ],
    )


def three_of_five():
    return scenario(
        "v1-3of5",
        n=5,
        t=3,
        S=(1, 2, 4),
        B=4,
        pairs={(1, 2): 0, (1, 4): 0, (2, 4): 65537},
        flags=0,
        initiator=2,
        ctr=2**40 + 3,
        requests=[
            (3, (2**31 - 1,), 63, b"", []),
            (0, (44, 60, 0, 0, 1), 1, bytes(range(256)) * 3, [b"\x00\xff" * 20, b"x"]),
        ],
    )


def two_of_two():
    return scenario(
        "v1-2of2",
        n=2,
        t=2,
        S=(1, 2),
        B=16,
        pairs={(1, 2): 2**32 - 1},
        flags=1,
        initiator=1,
        ctr=2**64 - 1,
        requests=[
            (15, (1, 2, 3, 4, 5, 6, 7, 8), 0, b"a body", [b"stamp %d" % k for k in range(8)]),
            (9, (2**31 - 1, 0), 2, b"a body", [b"stamp"]),
            (0, (), 1, b"another body", [b"stamp"]),
        ],
    )


TRANSCRIPTS = {
    "v1-2of3": (two_of_three, "2 of 3, S = {1, 3}, B = 4, two signatures"),
    "v1-3of5": (three_of_five, "3 of 5, S = {1, 2, 4}, B = 4, two signatures"),
    "v1-2of2": (two_of_two, "2 of 2, B = 16, three signatures"),
}


def path_of(name):
    return os.path.normpath(os.path.join(FOLDER, name + ".txt"))


def text_of(name, scn, run):
    lines = M.inputs(scn, run.ids) + run.lines
    return HEADER.format(name=name, title=TRANSCRIPTS[name][1]) + "".join(
        "%s %s\n" % line for line in lines
    )


def generate(name):
    scn = TRANSCRIPTS[name][0]()
    run = M.Run(scn)
    run.all()
    return text_of(name, scn, run)


def main(argv):
    if argv not in ([], ["--check"]):
        sys.stderr.write(__doc__)
        return 2
    status = 0
    for name in TRANSCRIPTS:
        text = generate(name)
        if argv:
            with open(path_of(name), encoding="ascii") as f:
                same = f.read() == text
            print("%s: %s" % (name, "equal" if same else "DIFFERS from the frozen file"))
            status |= not same
        else:
            os.makedirs(FOLDER, exist_ok=True)
            with open(path_of(name), "w", encoding="ascii") as f:
                f.write(text)
            print("%s: %d lines, %d bytes" % (name, text.count("\n"), len(text)))
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
