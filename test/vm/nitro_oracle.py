#!/usr/bin/env python3
"""Our enclave images against AWS's own tools, `eif_build` and `nitro-cli describe-eif`.

For x86_64 and arm64, one to three ramdisks, signed and unsigned: the PCRs that eif_build, nitro-cli and
we compute are the same; each reads the other's file; an unsigned file of ours with eif_build's metadata is
eif_build's file, byte for byte. What nitro-cli refuses, we refuse.
Needs: test/vm/eif_oracles.sh. Last line: `N passed, N failed`.
"""

import gzip
import itertools
import json
import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import enclave  # noqa: E402
from rig import Failed  # noqa: E402

passed = failed = 0


def check(what, ok, found=""):
    global passed, failed
    if ok:
        passed += 1
    else:
        failed += 1
        print(f"FAIL {what}: {found}")


def run(*args, ok=True):
    r = subprocess.run(args, capture_output=True, text=True)
    if ok and r.returncode != 0:
        raise Failed(f"{' '.join(args)}: exit {r.returncode}: {r.stderr.strip()}")
    return r


def theirs_pcrs(text):
    """The measurements in eif_build's or nitro-cli's output."""
    d = json.JSONDecoder()
    for i, c in enumerate(text):
        if c == "{":
            try:
                got, _ = d.raw_decode(text[i:])
            except ValueError:
                continue
            m = got.get("Measurements", got)
            return {f"pcrs.{k[3:]}": v for k, v in m.items() if k.startswith("PCR")}, got
    raise Failed(f"no measurements in {text!r}")


def materials(folder):
    rnd = os.urandom
    x86 = bytearray(rnd(40000))
    x86[0x202:0x206] = b"HdrS"
    arm = bytearray(rnd(30000))
    arm[56:60] = b"ARM\x64"
    files = {"x86_64": bytes(x86), "arm64": bytes(arm)}
    for i, size in enumerate((5000, 70001, 333)):
        files[f"ramdisk{i}"] = gzip.compress(b"070701" + rnd(size), 9, mtime=0)
    for name, data in files.items():
        with open(os.path.join(folder, name), "wb") as f:
            f.write(data)
    key, cert = os.path.join(folder, "key.pem"), os.path.join(folder, "cert.pem")
    run("openssl", "ecparam", "-name", "secp384r1", "-genkey", "-noout", "-out", key)
    os.chmod(key, 0o600)
    run("openssl", "req", "-x509", "-new", "-key", key, "-sha384", "-days", "30", "-subj",
        "/O=Quorate/CN=releases", "-out", cert)
    return key, cert


def one(folder, tools, arch, ramdisks, sign, n):
    at = lambda name: os.path.join(folder, name)  # noqa: E731
    what = f"{arch}, {ramdisks} ramdisks, {'signed' if sign else 'unsigned'}"
    cmdline = "reboot=k panic=30 console=ttyS0"
    disks = [x for i in range(ramdisks) for x in ("--ramdisk", at(f"ramdisk{i}"))]
    key, cert = at("key.pem"), at("cert.pem")
    a, b = at(f"theirs{n}.eif"), at(f"ours{n}.eif")
    out = run(f"{tools}/bin/eif_build", "--kernel", at(arch), "--cmdline", cmdline, "--output", a, "--name",
              "quorate", "--arch", "aarch64" if arch == "arm64" else arch, *disks,
              *(["--private-key", key, "--signing-certificate", cert] if sign else []))
    theirs, _ = theirs_pcrs(out.stdout)
    meta = at(f"meta{n}.json")
    described = json.loads(enclave.quorate("image", "eif", "describe", "--json", a).stdout)
    with open(meta, "w") as f:
        f.write(described["metadata"])
    built = json.loads(enclave.quorate(
        "image", "eif", "build", "--json", "--kernel", at(arch), "--cmdline", cmdline, "--output", b,
        "--arch", arch, "--metadata", meta, *disks, *(["--key", key, "--cert", cert] if sign else [])).stdout)
    ours = {k: v for k, v in built.items() if k.startswith("pcrs.")}
    check(f"{what}: PCRs of eif_build", ours == theirs, f"{ours} {theirs}")
    check(f"{what}: PCR8 there or not", ("pcrs.8" in ours) == bool(sign), ours)
    check(f"{what}: ours measures theirs",
          json.loads(enclave.quorate("image", "eif", "measure", "--json", a).stdout) == built)
    if not sign:
        check(f"{what}: the same bytes", open(a, "rb").read() == open(b, "rb").read())
    # Ours and the plain one (our own metadata), as nitro-cli reads them.
    plain = at(f"plain{n}.eif")
    enclave.quorate("image", "eif", "build", "--kernel", at(arch), "--cmdline", cmdline, "--output",
                    plain, "--arch", arch, *disks, *(["--key", key, "--cert", cert] if sign else []))
    for path in (b, plain):
        r = run(f"{tools}/bin/nitro-cli", "describe-eif", "--eif-path", path, ok=False)
        if r.returncode != 0:
            check(f"{what}: nitro-cli describes it", False, r.stderr + r.stdout)
            continue
        got, whole = theirs_pcrs(r.stdout)
        check(f"{what}: PCRs of nitro-cli", got == ours, f"{got} {ours}")
        check(f"{what}: nitro-cli finds the CRC good", whole.get("CheckCRC") is True, r.stdout)
        check(f"{what}: nitro-cli finds the signature", whole.get("IsSigned") is bool(sign), r.stdout)
        if sign:
            check(f"{what}: and finds it good", whole.get("SignatureCheck") is True, r.stdout)
    return b


def refused(folder, tools, image):
    """What nitro-cli refuses, or calls broken, we refuse."""
    data = open(image, "rb").read()
    rows = {"empty": b"", "cut in the header": data[:300], "cut in a section": data[:-9],
            "garbage": os.urandom(4000), "a flipped byte": data[:900] + bytes([data[900] ^ 1]) + data[901:]}
    for name, content in rows.items():
        path = os.path.join(folder, "bad.eif")
        with open(path, "wb") as f:
            f.write(content)
        r = enclave.quorate("image", "eif", "describe", path, ok=False)
        check(f"{name}: we refuse it, and say why", r.returncode == 78 and len(r.stderr) > 30, r.stderr)
        t = run(f"{tools}/bin/nitro-cli", "describe-eif", "--eif-path", path, ok=False)
        bad = t.returncode != 0 or '"CheckCRC": false' in t.stdout
        check(f"{name}: nitro-cli too", bad, t.stdout)


def main():
    tools = enclave.artefact(["test/vm/eif_oracles.sh", "--path"])
    with tempfile.TemporaryDirectory(prefix="qnitro-") as folder:
        os.environ["NITRO_CLI_LOGS_PATH"] = folder  # or it writes below /var/log
        materials(folder)
        image = None
        for n, (arch, ramdisks, sign) in enumerate(
                itertools.product(("x86_64", "arm64"), (1, 2, 3), (0, 1))):
            image = one(folder, tools, arch, ramdisks, sign, n)
        refused(folder, tools, image)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failed as e:
        print(f"FAIL {e}")
        print(f"{passed} passed, {failed + 1} failed")
        sys.exit(1)
