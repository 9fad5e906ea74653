#!/usr/bin/python3
"""What a memory checker cannot see, looked for in the object code of one build (x86-64, objdump).

usage: instructions.py BUILD

In every object of protocol/, and of the other sources that handle secrets as bytes:
  division  an instruction whose time depends on its operands
  shift     by an amount in a register: constant time on today's processors, on older ones not
  bit       a bit of memory chosen by a register
  gather    a vector load whose addresses are data
  string    a comparison or search that stops early
In protocol/rows_ifma.c besides, whose AVX-512 instructions valgrind does not know:
  branch    a conditional jump that belongs to no loop
  lane      a vector's or a mask's value that goes to a general register or to the flags
Each must be named in test/ctime/instructions, by the function in whose source line it stands, with a
reason; a line there that nothing needs any more is not an error, as compilers differ. The leaks put
into test/ctime/plants.c must be found, too. Last line: counts; exit status 1 for any failure.
"""
import os
import re
import subprocess
import sys

sys.dont_write_bytecode = True
import extract  # noqa: E402

FOLDERS = ("protocol", "protocol/base")
FILES = ("transport/hello.o", "enclave-shim/seal.o", "enclave-shim/tee.o", "test/ctime/plants.o")
IFMA = "protocol/rows_ifma.c"
# Public by their layer's definition: buffers' lengths, text encodings, memory's bookkeeping.
NOT_SECRET = ("protocol/base/mem.o", "protocol/base/locked.o", "protocol/base/enc.o", "protocol/base/err.o",
              "protocol/base/check.o", "protocol/base/cpu.o", "protocol/ids.o")

KINDS = [
    ("division", re.compile(r"^(i?div[bwlq]?|v?f?div[ps][sdh]|v?sqrt[ps][sd])$"), None),
    ("shift", re.compile(r"^(sh[lr]d?|sa[lr]|ro[lr]|rc[lr])[bwlq]?$"), re.compile(r"^%cl,")),
    ("shift", re.compile(r"^(shl|shr|sar)x$"), None),
    ("bit", re.compile(r"^bt[src]?[wlq]?$"), re.compile(r"^%\w+,.*\(")),
    ("gather", re.compile(r"^v?p?(gather|scatter)"), None),
    ("string", re.compile(r"^(repn?[ze]|xlat)"), None),
]
IFMA_KINDS = [
    ("branch", re.compile(r"^j(?!mp)"), None),
    ("lane", re.compile(r"^kmov[bwdq]$"), re.compile(r"^%k\d,%[re]")),
    ("lane", re.compile(r"^(v?movq|v?movd|v?pextr[bwdq])$"), re.compile(r"%[xyz]mm\d+,%[re]")),
    ("lane", re.compile(r"^(kortest|ktest|v?ptest$|vtestp|v?p?movmsk|vu?comis)"), None),
]
ROW = re.compile(r"^\s*[0-9a-f]+:\s+(?:(?:cs|ds|notrack|bnd|data16) )*(\S+)\s*(.*)$")


def source_lines():
    cache = {}

    def line(path, number):
        if path not in cache:
            try:
                with open(path, encoding="utf-8") as f:
                    cache[path] = f.read().splitlines()
            except OSError:
                cache[path] = []
        text = cache[path]
        return text[number - 1] if 0 < number <= len(text) else ""

    return line


def scan(obj, line):
    """(kind, file:function of the source line, the instruction), for one object."""
    out = subprocess.run(["objdump", "-dl", "--no-show-raw-insn", obj], check=True,
                         stdout=subprocess.PIPE, text=True).stdout
    own = "protocol/" + obj.rpartition("/protocol/")[2][:-2] + ".c"
    symbol, function, path, number = "", "", "", 0
    for row in out.splitlines():
        begin = re.match(r"^[0-9a-f]+ <([^>.]+)[^>]*>:$", row)
        if begin:
            symbol = begin[1]
            continue
        if row.endswith("():"):
            function = row[:-3]
            continue
        # objdump names a file by its path in the build: ./protocol/x.c
        where = re.match(r"^(\S+):(\d+)( \(discriminator \d+\))?$", row)
        if where:
            path, number = os.path.normpath(where[1]), int(where[2])
            continue
        m = ROW.match(row)
        if not m:
            continue
        kinds = KINDS + (IFMA_KINDS if obj.endswith(IFMA[:-2] + ".o") else [])
        for kind, name, operands in kinds:
            if not name.match(m[1]) or (operands and not operands.search(m[2])):
                continue
            # A loop, or the stack protector's test at a function's end.
            if kind == "branch" and re.search(r"\b(for|while) \(|^}$", line(path, number)):
                continue
            if kind == "string" and not m[2].startswith(("cmps", "scas")):
                continue
            # A line of a system header says nothing: then it is the function around it.
            key = f"{own}:{symbol}" if path.startswith("/") else f"{path}:{function}"
            yield kind, key, f"{m[1]} {m[2]} ({path}:{number})"


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    os.chdir(extract.ROOT)
    build = sys.argv[1]
    if os.uname().machine != "x86_64":
        print("object code: not looked at, this is no x86-64")
        return
    objects = [f"{build}/{folder}/{name}" for folder in FOLDERS
               for name in sorted(os.listdir(f"{build}/{folder}")) if name.endswith(".o")]
    objects += [f"{build}/{name}" for name in FILES]
    allowed = {}
    for words, reason in extract.read_table("instructions"):
        for kind in words[1:]:
            allowed[(words[0], kind)] = reason

    line, failures, excused, planted = source_lines(), [], 0, set()
    for obj in objects:
        if obj.endswith(NOT_SECRET):
            continue
        for kind, key, text in scan(obj, line):
            if key.startswith("test/ctime/plants.c:"):
                planted.add((kind, key.rpartition(":")[2]))
            elif (key, kind) in allowed:
                excused += 1
            else:
                failures.append(f"{key}: {kind}: {text}")
    for kind in ("division", "shift"):
        if (kind, f"plant_{kind}") not in planted:
            failures.append(f"the {kind} in test/ctime/plants.c was not found")
    for f in failures:
        print(f"FAIL {f}")
    print(f"object code: {len(objects)} objects, {excused} instructions with a reason, "
          f"{len(planted)} planted ones found, {len(failures)} failures")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
