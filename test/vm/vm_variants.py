#!/usr/bin/env python3
"""The images of Google Cloud and Azure on a machine that is neither.

Each boots, has the registers that were computed from its file, takes the published user data
(deploy/gcp, deploy/azure) from its own provider's metadata service, and its party then refuses to
start, naming the device that such a machine lacks. That it starts where the device is, the clouds
have to show.
"""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import rig  # noqa: E402

BIN = os.environ.get("BIN", "build/bin")
WORK = os.path.join(rig.TOP, "build", "vm", "variants")
ASKS = {"gcp": ("/computeMetadata/v1/instance/attributes/user-data", "Metadata-Flavor", "Google"),
        "azure": ("/metadata/instance/compute/userData?", "Metadata", "true")}


def play(variant, meta, q):
    image = rig.image(variant)
    published = rig.measure(q, os.path.join(image, "quorate.efi"))
    with open(os.path.join(rig.TOP, "deploy", variant, "cloud-init.yaml"), "rb") as f:
        meta.user_data = f.read()
    for attempt in 1, 2:
        meta.asked = []
        guest = rig.Guest(os.path.join(WORK, variant), os.path.join(image, "disk.raw"))
        guest.start()
        try:
            guest.wait_for('"ev":"cannot_start"', 300, "the party's refusal")
            pcrs = {n: guest.tpm.pcr(n) for n in published}
            break
        except rig.Failed as e:
            if attempt == 2:
                raise
            print(f"retry: {variant}: {e}")
        finally:
            guest.kill()
    if pcrs != published:
        raise rig.Failed(f"{variant}: PCRs {pcrs}; published {published}")
    path, header, value = ASKS[variant]
    if [p for p, _ in meta.asked if not p.startswith(path)] or not meta.asked or \
            any(h.get(header) != value for _, h in meta.asked):
        raise rig.Failed(f"{variant}: the metadata service was asked {meta.asked}")
    line = next(x for x in guest.text().splitlines() if '"ev":"cannot_start"' in x)
    why = line.split('"msg":"')[1].split('"')[0]
    if not any(device in why for device in ("tsm", "tpm", "TPM", "/dev/")):
        raise rig.Failed(f"{variant}: the refusal names no device: {why}")
    print(f"ok: {variant}: registers as published; its party: {why}")


def main():
    rig.enter()
    for variant in ASKS:
        rig.image(variant)
    rig.fresh(WORK)
    meta = rig.Metadata()
    q = rig.Quorum(os.path.join(WORK, "quorum"), BIN)
    for variant in ASKS:
        play(variant, meta, q)
    print(f"{len(ASKS)} passed, 0 failed")


if __name__ == "__main__":
    try:
        main()
    except rig.Failed as e:
        print(f"FAILED: {e}")
        sys.exit(1)
