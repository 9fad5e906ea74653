#!/usr/bin/env python3
"""The product's SNP back end over the kernel's own configfs-tsm, in a guest with a test provider.

Debian's cloud kernel, its tsm module, our provider (test/vm/tsm/) and tsmguest as /init. The signature
is a throwaway vendor's; the interface is genuine. See tsmguest.c for what is checked.
"""

import os
import re
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import rig  # noqa: E402

BUILD = os.environ.get("BUILD", "build/release")
WORK = os.path.join(rig.TOP, "build", "vm", "tsm")


def initrd(files, out):
    """A gzipped newc archive of {path in the guest: file here}."""
    tree = os.path.join(WORK, "tree")
    for path, source in files.items():
        os.makedirs(os.path.dirname(tree + path), exist_ok=True)
        shutil.copy(source, tree + path)
    os.chmod(tree + "/init", 0o755)
    subprocess.run(f"cd '{tree}' && find . | cpio --quiet -o -H newc -R 0:0 | gzip -1 >'{out}'", shell=True, check=True)


def libraries(program):
    out = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    return {m.group(1): m.group(1) for m in re.finditer(r"(/\S+) \(0x", out)}


def boot(made, program):
    console = os.path.join(WORK, "console")
    # A machine without a clock source that this one can calibrate hangs: one that is told does not.
    child = rig.with_parent([
        "qemu-system-x86_64", "-machine", "q35", "-accel", "tcg", "-cpu", "max,-cx16", "-m", "512", "-nodefaults",
        "-display", "none", "-no-reboot", "-serial", f"file:{console}", "-kernel", os.path.join(made, "vmlinuz"),
        "-initrd", program, "-append", "console=ttyS0 panic=-1 loglevel=4"])
    try:
        child.wait(timeout=rig.BOOT_LIMIT)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
    with open(console, encoding="utf-8", errors="replace") as f:
        return f.read()


def main():
    rig.enter()
    r = subprocess.run([os.path.join(rig.TOP, "test/vm/tsm/build.sh"), "--path"], capture_output=True, text=True,
                       check=False)
    if r.returncode != 0:
        raise rig.Failed(r.stderr.strip())
    made = os.path.join(rig.TOP, r.stdout.strip())
    program = rig.need(os.path.join(rig.TOP, BUILD, "test/vm/tsmguest"), "run make")
    rig.fresh(WORK)
    archive = os.path.join(WORK, "initrd.gz")
    files = {"/init": program, **libraries(program)}
    for m in "configfs.ko", "tsm.ko", "quorate_tsm_test.ko":
        files["/" + m] = os.path.join(made, m)
    initrd(files, archive)
    text = boot(made, archive)
    if "tsm: " not in text:
        print("retry: the guest did not end; its console: " + os.path.join(WORK, "console.first"))
        os.replace(os.path.join(WORK, "console"), os.path.join(WORK, "console.first"))
        text = boot(made, archive)
    for line in text.splitlines():
        if re.match(r"(ok|FAILED|figure|signer|probe): ", line):
            print(line)
    end = re.search(r"^tsm: (\d+) passed, (\d+) failed", text, re.M)
    if not end or int(end.group(1)) < 14:
        print(f"FAILED: the guest did not check everything; console: {WORK}/console")
        return 1
    print(f"{end.group(1)} passed, {end.group(2)} failed")
    return 0 if end.group(2) == "0" else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except rig.Failed as e:
        print(f"FAILED: {e}")
        sys.exit(1)
