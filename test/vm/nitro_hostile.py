#!/usr/bin/env python3
"""A parent that drops, delays and resets vsock, between an enclave's party and its quorum.

The backend of test/vm/vsock plays it. A delay costs time and nothing else; connections that are reset after so many
bytes come again, and the party attests, makes a key and signs all the same; payloads that vanish from the
stream break the pump's framing, which both halves notice: nothing is made of what is left, and when the parent
is honest again everything goes on. Under every parent: no signature that does not verify, and the party's
process in the enclave stays up. Last line: `N passed, N failed`.
"""

import os
import re
import shutil
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import enclave  # noqa: E402
import nitro_quorum as nq  # noqa: E402
from rig import BOOT_LIMIT, Failed, wait  # noqa: E402


def start(eif, parent, malice, done, limit):
    e = enclave.Enclave(eif, malice=malice)
    try:
        parent.pump(e)
        e.start()
        wait(limit, "the party under " + " ".join(malice or ["an honest parent"]), done, 0.2)
    except BaseException:
        print(e.text()[-2500:], e.errors())
        e.close()
        raise
    return e


def alive(e, what):
    """No process of the enclave ended."""
    ends = re.findall(r"quorate-init: (quorated|quorate-pump) (?:exited|was killed).*", e.text())
    nq.check(f"{what}: nothing ended inside", not ends and e.running(), ends)


def run(q, eif):
    one, two, three = q.members
    parent = nq.Parent(one, q.pcrs["pcrs.0"])
    for m in (two, three):
        m.start_gateway()
        m.start_host()
    e = start(eif, parent, ["--delay-ms", "25"], lambda: q.status(one) is not None, BOOT_LIMIT)
    try:
        for m in (two, three):
            wait(15, "a party on the host", lambda m=m: q.status(m) is not None)
        q.roster()
        q.policy({k: q.pcrs[k] for k in ("pcrs.0", "pcrs.1", "pcrs.2")})
        wait(120, "the parties to attest each other", q.linked, 0.3)
        q.make_key(two)
        why = q.signs(one, 60)
        nq.check("25 ms later each: a key and a signature", why is None, why)
        alive(e, "delay")
        e.close()

        e = start(eif, parent, ["--reset-after", "1500000"], lambda: q.ready(one), 2 * BOOT_LIMIT)
        why = q.signs(one, 90)
        nq.check("reset after 1.5 MB: it signs", why is None, why)
        nq.check("and there were resets", one.log("pump").count("trunk_down") > 0, one.log("pump")[-800:])
        alive(e, "reset")
        e.close()

        e = enclave.Enclave(eif, malice=["--drop-every", "9"])
        parent.pump(e)
        e.start()
        why = q.signs(two, 30)
        nq.check("a parent that eats data: the others sign without it", why is None, why)
        nq.check("and nothing is READY on half a stream", not q.ready(one))
        e.close()

        e = start(eif, parent, [], lambda: q.ready(one), 2 * BOOT_LIMIT)
        why = q.signs(one, 60)
        nq.check("an honest parent again: it signs", why is None, why)
        alive(e, "honest")
    finally:
        if nq.failed or sys.exc_info()[0]:
            print("console: " + e.text()[-4000:])
        e.close()


def main():
    eif = os.path.join(enclave.artefact(["test/vm/enclave_image.sh", "--path"]), "quorate.eif")
    folder = tempfile.mkdtemp(prefix="qnitro-")
    q = nq.Quorum(folder, enclave.measured(eif))
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
