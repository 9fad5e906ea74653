#!/usr/bin/env python3
"""What a hostile cloud can hand to the measured image: nothing of it runs, or a pinned PCR tells.

Each row boots the image with one thing more: user data, SMBIOS strings, fw_cfg files, files on the ESP,
another loader, a changed image. The thing asks for a canary: a unit whose output would be on the
console as "CANARY", a request to the metadata service, a connection to a port of the host. A row says
whether the canary was made and which PCRs are not the published ones. It fails if the canary was made
while PCR 4, 7, 9, 11 and 12 were as published, or if what happened is not what the row expects.

One row is an image whose initrd was made to run the canary, so that its absence elsewhere means something.
"""

import base64
import os
import shutil
import socket
import subprocess
import sys
import threading

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import rig  # noqa: E402

BIN = os.environ.get("BIN", "build/bin")
WORK = os.path.join(rig.TOP, "build", "vm", "hostile")
PINNED = (4, 7, 9, 11, 12)
PLAIN = b"""#cloud-config
quorate:
  party:
    listen: 0.0.0.0:9440
    advertise: 10.0.2.2:19440
    cloud: gcp
    operator: test
"""
ASK = "curl http://169.254.169.254/canary; echo CANARY >/dev/console; exec 3<>/dev/tcp/10.0.2.2/7777"
HOSTILE = b"""#cloud-config
runcmd:
  - [sh, -c, "ASK"]
bootcmd:
  - ASK
write_files:
  - path: /etc/systemd/system/canary.service
    content: |
      [Service]
      ExecStart=/usr/bin/udevadm --version
      SyslogIdentifier=CANARY
users:
  - name: canary
    shell: /bin/sh
    sudo: ALL=(ALL) NOPASSWD:ALL
ssh_authorized_keys:
  - ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA canary
chpasswd: {list: "root:canary", expire: false}
vendor_data: {enabled: true}
""".replace(b"ASK", ASK.encode()) + PLAIN[len("#cloud-config\n"):]
UNIT = """[Unit]
DefaultDependencies=no
[Service]
ExecStart=/usr/bin/udevadm --version
SyslogIdentifier=CANARY
StandardOutput=journal+console
"""
WANTS = "[Unit]\nWants=canary.service\n"
CREDENTIALS = {
    "systemd.extra-unit.canary.service": UNIT,
    "systemd.unit-dropin.quorate.target": WANTS,
    "passwd.hashed-password.root": "",
    "tmpfiles.extra": "f /run/canary 0644 root root - CANARY\n",
}
SMBIOS = [a for k, v in CREDENTIALS.items() for a in
          ("-smbios", f"type=11,value=io.systemd.credential.binary:{k}=" + base64.b64encode(v.encode()).decode())]


class Row:
    def __init__(self, name, executes, changed, user_data=PLAIN, extra=(), disk=None):
        self.name, self.executes, self.changed = name, executes, set(changed)
        self.user_data, self.extra, self.disk = user_data, extra, disk


def esp(image, out, files, uki=None):
    """A copy of the disk with more files on its ESP; uki replaces the image itself."""
    shutil.copy(os.path.join(image, "disk.raw"), out)
    where = f"{out}@@1M"
    env = dict(os.environ, MTOOLS_SKIP_CHECK="1")

    def run(*args):
        subprocess.run(args, check=True, env=env, capture_output=True)
    made = {"/EFI", "/EFI/BOOT"}
    if uki:
        run("mcopy", "-o", "-i", where, uki, "::/EFI/BOOT/BOOTX64.EFI")
    for path, source in files.items():
        parts = [p for p in os.path.dirname(path).split("/") if p]
        for i in range(len(parts)):
            folder = "/" + "/".join(parts[:i + 1])
            if folder not in made:
                run("mmd", "-i", where, "::" + folder)
                made.add(folder)
        run("mcopy", "-o", "-i", where, source, "::" + path)
    return out


def text_file(name, text):
    path = os.path.join(WORK, name)
    with open(path, "wb") as f:
        f.write(text)
    return path


def addon(root, name, cmdline):
    """A UKI add-on that carries a command line, made by systemd's own tool."""
    out = os.path.join(WORK, name)
    subprocess.run(["unshare", "-m", "sh", "-ec", 'mount --bind "$1" "$2/mnt"; exec chroot "$2" ukify build '
                    '--stub=/usr/lib/systemd/boot/efi/addonx64.efi.stub --cmdline="$3" --output=/mnt/"$4"',
                    "sh", WORK, root, cmdline, name], check=True, capture_output=True)
    return out


def changed_byte(image):
    """The image with one letter of its command line changed: import_credentials=no becomes =yo."""
    with open(os.path.join(image, "quorate.efi"), "rb") as f:
        data = f.read()
    at = data.index(b"systemd.import_credentials=no") + len("systemd.import_credentials=")
    return text_file("changed.efi", data[:at] + b"y" + data[at + 1:])


def control(image, root):
    """The image made again by systemd's own tool, with another /init that says CANARY."""
    where = os.path.join(WORK, "control")
    os.makedirs(where)
    subprocess.run(["gcc", "-static", "-O2", "-o", os.path.join(where, "init"), "-x", "c", "-"], check=True, text=True,
                   input="#include <stdio.h>\n#include <unistd.h>\n"
                         "int main(void) { for (;;) { puts(\"CANARY\"); fflush(stdout); sleep(1); } }\n")
    for name, data in rig.sections(os.path.join(image, "quorate.efi")).items():
        if name in (".linux", ".initrd", ".cmdline", ".osrel"):
            with open(os.path.join(where, name[1:]), "wb") as f:
                f.write(data)
    subprocess.run(["unshare", "-m", "sh", "-euc", """
        mount --bind "$1" "$2/mnt"
        exec chroot "$2" sh -euc '
            cd /mnt
            echo init | cpio --quiet -o -H newc -R 0:0 >more && cat more >>initrd
            ukify build --linux=linux --initrd=initrd --cmdline=@cmdline --os-release=@osrel --uname="$(uname -r)" \
                --stub=/usr/lib/systemd/boot/efi/linuxx64.efi.stub --output=control.efi'
        """, "sh", where, root], check=True, capture_output=True)
    return os.path.join(where, "control.efi")


def rows(image, root):
    extra = "/EFI/BOOT/BOOTX64.EFI.extra.d/"
    junk = text_file("junk", b"CANARY" * 100)
    entry = text_file("entry.conf", b"title canary\nefi /quorate.efi\n"
                      b"options console=ttyS0 systemd.import_credentials=yes systemd.unit=quorate.target "
                      b"systemd.log_target=console systemd.wants=canary.service\n")
    uki = os.path.join(image, "quorate.efi")
    boot = os.path.join(root, "usr/lib/systemd/boot/efi/systemd-bootx64.efi")
    allow = addon(root, "allow.addon.efi", "systemd.import_credentials=yes")
    shell = addon(root, "shell.addon.efi", "init=/bin/sh systemd.debug_shell=1 systemd.wants=canary.service "
                  "systemd.run=/bin/sh systemd.mask=quorate-userdata.service rd.break")

    def disk(name, files, uki=None):
        return esp(image, os.path.join(WORK, name + ".raw"), files, uki)
    return [
        Row("user data: runcmd, bootcmd, write_files, users, ssh keys, vendor data", False, [], HOSTILE),
        Row("SMBIOS: credentials with a unit, a password, tmpfiles", False, [], extra=SMBIOS),
        # Its names have 55 bytes, too few for the drop-in that would start the unit.
        Row("fw_cfg: credentials with a unit, a password, tmpfiles", False, [], extra=[
            a for k, v in (("systemd.extra-unit.c.service", UNIT), ("passwd.hashed-password.root", "x"),
                           ("tmpfiles.extra", CREDENTIALS["tmpfiles.extra"]))
            for a in ("-fw_cfg", f"name=opt/io.systemd.credentials/{k},file=" + text_file(k, v.encode()))]),
        Row("SMBIOS: more kernel command line for the stub", False, [9, 12], extra=[
            "-smbios", "type=11,value=io.systemd.stub.kernel-cmdline-extra=systemd.wants=canary.service"]),
        Row("ESP: an add-on with a command line", False, [4, 9, 12],
            disk=disk("addon", {extra + "shell.addon.efi": shell})),
        Row("ESP: an add-on that allows credentials, and credentials", False, [4, 9, 12], extra=SMBIOS,
            disk=disk("allow", {extra + "allow.addon.efi": allow})),
        Row("ESP: credential files beside the image and for all images", False, [9, 12],
            disk=disk("cred", {extra + "systemd.extra-unit.canary.service.cred": text_file("u", UNIT.encode()),
                               "/loader/credentials/systemd.unit-dropin.quorate.target.cred":
                               text_file("w", WANTS.encode())})),
        Row("ESP: a system extension and a configuration extension", False, [9, 12, 13],
            disk=disk("ext", {extra + "canary.sysext.raw": junk, extra + "canary.confext.raw": junk})),
        Row("ESP: another initrd and other loaders' files", False, [],
            disk=disk("files", {"/initrd.img": junk, "/loader/loader.conf": entry,
                                "/loader/entries/canary.conf": entry, "/EFI/Linux/canary.efi": junk,
                                "/startup.nsh": junk})),
        Row("a loader in front that hands over a command line", False, [4, 9, 12],
            disk=disk("loader", {"/quorate.efi": uki, "/loader/entries/canary.conf": entry}, boot)),
        Row("one letter of the image's command line changed", False, [4, 9, 11],
            disk=disk("changed", {}, changed_byte(image))),
        Row("an image with another program in its initrd (the control)", True, [4, 9, 11],
            disk=disk("control", {}, control(image, root))),
    ]


def canary_port(hits):
    listener = socket.create_server(("0.0.0.0", 7777))

    def serve():
        while True:
            c, a = listener.accept()
            hits.append(f"connection from {a[0]}")
            c.close()
    threading.Thread(target=serve, daemon=True).start()


def play(row, number, image, published, meta, hits):
    """Boots, with one retry that is told. Returns what is wrong, or None."""
    for attempt in 1, 2:
        folder = os.path.join(WORK, f"row{number}")
        rig.fresh(folder)
        meta.user_data, meta.asked = row.user_data, []
        hits.clear()
        guest = rig.Guest(folder, row.disk or os.path.join(image, "disk.raw"), extra=row.extra)
        guest.start()
        try:
            if row.executes:
                guest.wait_for("CANARY", 300, "the canary")
            else:
                guest.wait_for(r'"ev":"started"', 300, "the party's start")
            pcrs = {n: guest.tpm.pcr(n) for n in PINNED + (13,)}
            break
        except rig.Failed as e:
            if attempt == 2:
                return str(e)
            print(f"retry: row {number}: {e}")
        finally:
            guest.kill()
    expected = {**published, 13: "0" * 64}
    changed = {n for n in pcrs if pcrs[n] != expected[n]}
    other = [p for p, _ in meta.asked if p != "/computeMetadata/v1/instance/attributes/user-data"]
    ran = bool(hits) or bool(other) or "CANARY" in guest.text()
    print(f"row {number:2}: {row.name}: " + ("RAN" if ran else "nothing ran") +
          "; PCRs changed: " + (", ".join(map(str, sorted(changed))) or "none"))
    if ran and not changed & set(PINNED):
        return f"row {number}: something ran and no pinned PCR tells: {hits} {other}; {guest.console}"
    if ran != row.executes or changed != row.changed:
        return f"row {number}: expected " + ("it to run" if row.executes else "nothing to run") + \
            f" and PCRs {sorted(row.changed)} to change; {guest.console}"
    return None


def main():
    rig.enter()
    image = rig.image("sim")
    root = rig.build_root()
    rig.fresh(WORK)
    meta = rig.Metadata()
    hits = []
    canary_port(hits)
    q = rig.Quorum(os.path.join(WORK, "quorum"), BIN)
    published = rig.measure(q, os.path.join(image, "quorate.efi"))
    passed, failed = 0, 0
    only = [int(a) for a in sys.argv[1:]]
    for number, row in enumerate(rows(image, root), 1):
        if only and number not in only:
            continue
        why = play(row, number, image, published, meta, hits)
        passed, failed = (passed, failed + 1) if why else (passed + 1, failed)
        if why:
            print(f"FAILED: {why}", flush=True)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except rig.Failed as e:
        print(f"FAILED: {e}")
        sys.exit(1)
