#!/usr/bin/env python3
"""A party in an enclave of 256 MiB makes and holds 10,000 presignatures.

The enclave and its quorum are nitro_quorum.py's; the enclave owns all the presignatures, which is as many as a key
may have. Under TCG they take minutes to make, so the time is told and no bar; by then the emulated clock can be minutes
behind, and a request is refused as issued in the future, so that signing is left to nitro_quorum.py. What the enclave's kernel would say
if memory ran out is looked for on its console. Last line: `N passed, N failed`.
"""

import os
import re
import shutil
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import enclave  # noqa: E402
import nitro_quorum as nq  # noqa: E402
from rig import Failed, need, wait  # noqa: E402

COUNT = 10000
LIMIT = 1500


def pool(text):
    return re.sub(r"low: \d+", f"low: {COUNT}",
                  re.sub(r"high: \d+", f"high: {COUNT}", re.sub(r"standby: \d+", "standby: 0", text)))


class Host(nq.Member):
    """A member that makes no presignatures of its own."""

    def write(self, name, text):
        super().write(name, text.replace("low = 16\nhigh = 32\nstandby = 16", "low = 0\nhigh = 0\nstandby = 0"))


def made(q):
    r = enclave.quorate("status", "--socket", q.members[0].path("admin.sock"), "--json", ok=False)
    return max([int(n) for n in re.findall(r'"owner":1,"ready":(\d+)', r.stdout)] or [0])


def run(q, eif):
    one, two, three = q.members
    parent = nq.Parent(one, q.pcrs["pcrs.0"])
    for m in (two, three):
        m.start_gateway()
        m.start_host()
    e, _ = nq.start_enclave(eif, parent, lambda: q.status(one) is not None, "first boot", "operator's socket")
    try:
        for m in (two, three):
            wait(15, "a party on the host", lambda m=m: q.status(m) is not None)
        q.roster()
        q.policy({k: q.pcrs[k] for k in ("pcrs.0", "pcrs.1", "pcrs.2")})
        wait(100, "the parties to attest each other", q.linked, 0.2)
        q.make_key(two)
        begun, told = time.monotonic(), 0
        while made(q) < COUNT:
            n, now = made(q), time.monotonic() - begun
            if n - told >= COUNT // 10:
                told = n
                print(f"{n} of {COUNT} presignatures after {now:.0f} s", flush=True)
            if now > LIMIT or not e.running():
                break
            time.sleep(1)
        nq.check(f"an enclave of {e.memory} holds {COUNT} presignatures", made(q) >= COUNT, made(q))
        print(f"figure: nitro_10000_presignatures {time.monotonic() - begun:.0f} s")
        nq.check("its kernel never ran out of memory", "Out of memory" not in e.text() and "oom" not in e.text(),
                 e.text()[-2000:])
    finally:
        e.close()


def main():
    eif = os.path.join(enclave.artefact(["test/vm/enclave_image.sh", "--path"]), "quorate.eif")
    need(nq.PARTY, "make test-nitro builds it")
    nq.DOCUMENT = pool(nq.DOCUMENT)
    nq.Member, member = Host, nq.Member
    folder = tempfile.mkdtemp(prefix="qnitro-")
    q = nq.Quorum(folder, enclave.measured(eif))
    q.members[0].__class__ = member
    done = False
    try:
        run(q, eif)
        done = True
    finally:
        for m in q.members:
            m.end()
        if done and not nq.failed:
            shutil.rmtree(folder)
        else:
            print(f"kept: {folder}")
    print(f"{nq.passed} passed, {nq.failed} failed")
    return 1 if nq.failed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failed as e:
        print(f"FAIL {e}")
        print(f"{nq.passed} passed, {nq.failed + 1} failed")
        sys.exit(1)
