#!/usr/bin/env python3
"""A measured-boot guest in a 2-of-3 quorum: boot, READY, sign, kill, rejoin, sign.

The guest is the image of deploy/image under OVMF and a swtpm; the other two parties run here. Bars,
under TCG: from QEMU's start to READY within 60 s, phases printed, one retry that is printed; a guest
that was killed has rejoined and signed within 120 s.
"""

import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import rig  # noqa: E402

BIN = os.environ.get("BIN", "build/bin")
WORK = os.path.join(rig.TOP, "build", "vm", "boot")
USER_DATA = b"""#cloud-config
quorate:
  party:
    listen: 0.0.0.0:9440
    advertise: 10.0.2.2:19440
    cloud: gcp
    operator: test
  pool:
    low: 32
    high: 64
    standby: 16
"""
PHASES = (("firmware", r"EFI stub"), ("kernel", r"systemd 257"),
          ("network", r"DHCPv4 address 10\.0\.2\.15"), ("party", r'"ev":"started"'))


def boot(guest, is_ready, what, phases=PHASES, limit=rig.BOOT_LIMIT):
    """Starts it, with one retry that is told, until is_ready; prints the phases."""
    for attempt in 1, 2:
        guest.start()
        try:
            times = [(n, guest.wait_for(p, limit, n)) for n, p in phases]
            rig.wait(max(1.0, limit - (time.monotonic() - guest.started)), "READY", is_ready, 0.2)
            break
        except rig.Failed as e:
            guest.kill()
            if attempt == 2:
                raise
            os.replace(guest.console, guest.console + ".first")
            print(f"retry: {what}: {e}; its console: {guest.console}.first")
    times.append(("ready", time.monotonic() - guest.started))
    print(f"phases: {what}: " + ", ".join(f"{n} {t:.1f} s" for n, t in times))
    return times[-1][1]


def check_registers(q, image, guest):
    """The five registers that a policy pins, computed from the image and read from the TPM."""
    uki = os.path.join(image, "quorate.efi")
    published = rig.measure(q, uki)
    other = rig.systemd_measure(uki, os.path.join(WORK, "sections"))
    if other != published[11]:
        raise rig.Failed(f"PCR 11 is {published[11]} to us and {other} to systemd-measure")
    for n, expected in published.items():
        found = guest.tpm.pcr(n)
        if found != expected:
            raise rig.Failed(f"PCR {n} is {found}; published {expected}; extended: {guest.tpm.extends}")
    print("ok: PCR " + ", ".join(map(str, published)) + " of the guest are the published ones; systemd-measure agrees on 11")


def main():
    rig.enter()
    os.chdir(rig.TOP)
    image = rig.image("sim")
    rig.fresh(WORK)
    meta = rig.Metadata()
    meta.user_data = USER_DATA
    q = rig.Quorum(os.path.join(WORK, "quorum"), BIN)
    q.add_host("p1", 19441, 8501)
    q.add_host("p2", 19442, 8502)
    relay = rig.Relay(os.path.join(WORK, "guest.sock"), 18446)
    guest = rig.Guest(os.path.join(WORK, "guest"), os.path.join(image, "disk.raw"),
                      forwards=[(19440, 9440), (18446, 8446)])
    q.sockets.append(relay.path)
    try:
        t = boot(guest, lambda: q.status(relay.path) is not None, "first boot, to the operator's socket")
        print(f"figure: vm_first_boot {t:.1f} s")
        check_registers(q, image, guest)
        q.configure()
        rig.wait(60, "the three parties to attest each other", q.linked, 0.3)
        q.keygen(2)
        rig.wait(60, "a signature of all three", lambda: q.sign("http://127.0.0.1:8501", "one"), 0.3)
        q.kill_host("p2")
        rig.wait(60, "a signature by the host's party and the guest's",
                 lambda: q.sign("http://127.0.0.1:8501", "two"), 0.3)
        print("ok: the guest signs with one party of the host's, the other being dead")
        guest.kill()
        if q.sign("http://127.0.0.1:8501", "alone"):
            raise rig.Failed("one party alone made a signature of a 2-of-3 key")
        # A new policy waits for it, at an address that user data names.
        q.new_policy(2)
        q.run("policy", "load", "--socket", q.sockets[0], q.path("policy.json"))
        for name in "policy.json", "policy.json.stamps":
            with open(q.path(name), "rb") as f:
                meta.documents["/" + name] = f.read()
        meta.user_data = USER_DATA + b"  documents:\n    policy: http://169.254.169.254/policy.json\n"
        start = time.monotonic()
        t = boot(guest, lambda: q.ready(relay.path), "a killed guest, to READY")
        print(f"figure: vm_ready {t:.1f} s")
        if t > rig.BOOT_LIMIT:
            raise rig.Failed(f"READY after {t:.1f} s; the bar is {rig.BOOT_LIMIT:.0f} s")
        rig.wait(120, "a signature with the guest that came back",
                 lambda: q.sign("http://127.0.0.1:8501", "three"), 0.3)
        t = time.monotonic() - start
        print(f"figure: vm_rejoin_and_sign {t:.1f} s")
        if t > 120:
            raise rig.Failed(f"a killed guest signed after {t:.1f} s; the bar is 120 s")
        guest.wait_for('policy serial 2 is in force', 300, "the policy that user data named")
        print("ok: the policy that user data named is in force")
    finally:
        guest.kill()
        q.stop()
    print("6 passed, 0 failed")


if __name__ == "__main__":
    try:
        main()
    except rig.Failed as e:
        print(f"FAILED: {e}")
        sys.exit(1)
