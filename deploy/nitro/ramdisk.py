#!/usr/bin/env python3
"""Writes a ramdisk: a newc archive, compressed, from a list of what is in it.

usage: ramdisk.py LIST OUTPUT

A line of LIST is one of

    dir   PATH MODE
    file  PATH MODE SOURCE
    link  PATH TARGET
    node  PATH MODE MAJOR MINOR      a character device

Paths have no leading slash; modes are octal; # begins a comment. Everything belongs to root and is of
1970; entries are sorted by path, inodes counted from 1, parents of a path that are not listed are made
with mode 755. So the archive is a function of the list and of the sources' bytes alone: neither this
file system, nor the clock, nor who runs it gets in. Compressed by zlib at level 9 without name or date.
"""

import gzip
import stat
import sys


class Bad(Exception):
    pass


def read_list(path):
    entries = {}
    with open(path, encoding="ascii") as f:
        for number, line in enumerate(f, 1):
            words = line.split("#")[0].split()
            if not words:
                continue
            kind, name = words[0], words[1]
            if name.startswith("/") or ".." in name.split("/") or name in entries:
                raise Bad(f"{path}:{number}: {name}: absolute, upwards, or there twice")
            try:
                entries[name] = entry(kind, words[2:])
            except (IndexError, ValueError, OSError) as e:
                raise Bad(f"{path}:{number}: {e}") from None
    for name in list(entries):
        parts = name.split("/")[:-1]
        for i in range(1, len(parts) + 1):
            entries.setdefault("/".join(parts[:i]), (stat.S_IFDIR | 0o755, b"", 0, 0))
    return entries


def entry(kind, rest):
    """(mode, content, major, minor)"""
    if kind == "dir":
        return stat.S_IFDIR | int(rest[0], 8), b"", 0, 0
    if kind == "file":
        with open(rest[1], "rb") as f:
            return stat.S_IFREG | int(rest[0], 8), f.read(), 0, 0
    if kind == "link":
        return stat.S_IFLNK | 0o777, rest[0].encode("ascii"), 0, 0
    if kind == "node":
        return stat.S_IFCHR | int(rest[0], 8), b"", int(rest[1]), int(rest[2])
    raise ValueError(f"{kind}: none of dir, file, link, node")


def record(name, inode, mode, content, major, minor):
    links = 2 if stat.S_ISDIR(mode) else 1
    encoded = name.encode("ascii") + b"\0"
    fields = (inode, mode, 0, 0, links, 0, len(content), 0, 0, major, minor, len(encoded), 0)
    head = b"070701" + b"".join(b"%08x" % f for f in fields) + encoded
    return pad(head) + pad(content)


def pad(b):
    return b + b"\0" * (-len(b) % 4)


def archive(entries):
    out = bytearray()
    for inode, name in enumerate(sorted(entries), 1):
        out += record(name, inode, *entries[name])
    out += record("TRAILER!!!", 0, 0, b"", 0, 0)
    return bytes(out) + b"\0" * (-len(out) % 512)


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    try:
        data = archive(read_list(sys.argv[1]))
    except (Bad, OSError) as e:
        sys.exit(f"ramdisk: {e}")
    with open(sys.argv[2], "wb") as f, gzip.GzipFile("", "wb", 9, f, 0) as z:
        z.write(data)


if __name__ == "__main__":
    main()
