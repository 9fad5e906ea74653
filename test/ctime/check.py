#!/usr/bin/python3
"""Has every secret-handling function run, and is every library function that they call wrapped?

usage: check.py COVERAGE_BUILD SOURCE...     (CFLAGS in the environment, for extract.py)

COVERAGE_BUILD is a build with --coverage in which the same drivers have just run. A function that
extract.py lists and that did not run there is a failure, unless test/ctime/unexecuted names it with a
reason; a name there that is not on the list, or that did run, is a failure, too (`machine` in front
of the bar: it runs on some machines only). Last line: counts; exit status 1 for any failure.
"""
import json
import os
import subprocess
import sys

sys.dont_write_bytecode = True
import extract  # noqa: E402

# They wipe, or take nothing but algorithms and contexts; of an RSA key (Nitro's, of one start) they
# make it, free it, or tell its kind, size and public half.
NO_BOUNDARY = {
    "sodium_stackzero", "sodium_init",
    "EVP_CIPHER_fetch", "EVP_CIPHER_CTX_new", "EVP_CIPHER_CTX_free", "EVP_CIPHER_CTX_set_padding",
    "EVP_MD_fetch", "EVP_MD_CTX_new", "EVP_MD_CTX_free", "CRYPTO_zalloc", "CRYPTO_free",
    "ERR_clear_error", "EVP_PKEY_Q_keygen", "EVP_PKEY_free", "EVP_PKEY_is_a", "EVP_PKEY_get_bits",
    "i2d_PUBKEY",
}


def executed(build):
    """{file: lines that ran}, from gcov over all counters in the build."""
    counters = []
    for folder, _, names in os.walk(build):
        counters += [os.path.join(folder, n) for n in names if n.endswith(".gcda")]
    if not counters:
        sys.exit(f"{build}: no counters; did the drivers run?")
    out = subprocess.run(["gcov", "--json-format", "--stdout", *sorted(counters)], check=True,
                         stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    lines = {}
    for line in out.stdout.splitlines():
        for f in json.loads(line)["files"]:
            ran = lines.setdefault(os.path.normpath(f["file"]), set())
            ran.update(n["line_number"] for n in f["lines"] if n["count"] > 0)
    return lines


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    os.chdir(extract.ROOT)
    build, sources = sys.argv[1], sys.argv[2:]
    listed, secret, failures = extract.extract(sources)
    # The extraction itself: secret by what it holds; in a signature; by a field; in a header.
    if not secret.get("qr_key", "").startswith("holds ") or not listed.keys() >= {
            "protocol/sign.c:qr_sign_share", "protocol/key.c:qr_key_encode",
            "daemon/party_state.c:qr_state_sign", "protocol/base/secret.h:qr_wipe_qr_sec32"}:
        failures.append("extract.py no longer finds what it must find")
    lines = executed(build)
    ran = set()
    for key, f in listed.items():
        # By its lines, as a function that is always inlined counts no calls.
        if not lines.get(key.rpartition(":")[0], set()).isdisjoint(range(*f["lines"])):
            ran.add(key)

    excused = {}
    for words, reason in extract.read_table("unexecuted"):
        excused[words[0]] = (words[1:] == ["machine"], reason)
    for key in sorted(excused):
        if key not in listed:
            failures.append(f"unexecuted: {key} handles no secrets any more; remove the line")
        elif key in ran and not excused[key][0]:
            failures.append(f"unexecuted: {key} did run; remove the line")
    for key in sorted(listed):
        if key not in ran and key not in excused:
            failures.append(f"{key} handles {', '.join(listed[key]['why'])} and never ran: extend a "
                            "driver in test/ctime, or say why not in test/ctime/unexecuted")

    wrapped = {words[0] for words, _ in extract.read_table("boundary")}
    for key in sorted(listed):
        for name, library in sorted(listed[key]["calls"].items()):
            if name not in wrapped and name not in NO_BOUNDARY:
                failures.append(f"{key} calls {library}'s {name}, which test/ctime/boundary lacks")

    for f in failures:
        print(f"FAIL {f}")
    print(f"secret-handling functions: {len(listed)}, run under poison: {len(ran)}, "
          f"excused with a reason: {sum(1 for k in excused if k in listed)}, failures: {len(failures)}")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
