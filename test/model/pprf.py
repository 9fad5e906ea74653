"""All-but-one PPRFs: 16 trees of 256 leaves from 128 base OT keys (SPEC.md section 3, "PPRF")."""

import aes
from encode import Refused, TB, TH, u8, u16

GROUPS, DEPTH, LEAVES = 16, 8, 256
GROUP_LEN = 7 * 32 + 64


def expand(s, g, v, node):
    """The left and right child of a node at step v."""
    h = TH("pprf-g", s, u16(g), u8(v), node)
    return h[:16], h[16:]


def leaf(s, g, node):
    """(check value, seed) of a leaf."""
    w = TB("pprf-h", s, u16(g), node)
    return w[:32], w[32:48]


def digest(s, g, checks):
    return TH("pprf-t", s, u16(g), b"".join(checks))


def xor_all(values, size):
    acc = 0
    for v in values:
        acc ^= int.from_bytes(v, "big")
    return acc.to_bytes(size, "big")


def full_tree(s, g, keys):
    """Bob's group g: keys[v] = (K_{8g+v,0}, K_{8g+v,1}). Returns (message part, 256 seeds)."""
    nodes = [keys[0][0], keys[0][1]]
    msg = []
    for v in range(1, DEPTH):
        children = [expand(s, g, v, n) for n in nodes]
        for c in (0, 1):
            msg.append(aes.xor(xor_all((k[c] for k in children), 16), keys[v][c]))
        nodes = [n for k in children for n in k]
    leaves = [leaf(s, g, n) for n in nodes]
    msg.append(xor_all((c for c, _ in leaves), 32))
    msg.append(digest(s, g, [c for c, _ in leaves]))
    return b"".join(msg), [seed for _, seed in leaves]


def path(bits):
    """The leaf that the holder of these eight choice bits does not learn."""
    return sum((1 - b) << (7 - v) for v, b in enumerate(bits))


def punctured_tree(s, g, bits, keys, msg):
    """Alice's group g: choice bits and the keys she has. Returns (Delta_g, seeds with one None)."""
    missing = 1 - bits[0]
    nodes = [None, None]
    nodes[bits[0]] = keys[0]
    for v in range(1, DEPTH):
        side = bits[v]
        correction = msg[32 * (v - 1) + 16 * side : 32 * (v - 1) + 16 * side + 16]
        children = [(None, None) if n is None else expand(s, g, v, n) for n in nodes]
        known = xor_all((k[side] for k in children if k[side] is not None), 16)
        sibling = aes.xor(aes.xor(correction, keys[v]), known)
        nodes = [n for k in children for n in k]
        nodes[2 * missing + side] = sibling
        missing = 2 * missing + 1 - side
    delta = path(bits)
    if missing != delta:
        raise AssertionError("the walk and Delta_g disagree")
    leaves = [None if n is None else leaf(s, g, n) for n in nodes]
    checks = [None if x is None else x[0] for x in leaves]
    t, h = msg[224:256], msg[256:288]
    checks[delta] = aes.xor(t, xor_all((c for c in checks if c is not None), 32))
    if digest(s, g, checks) != h:
        raise Refused("PPRF check value of group %d" % g)
    return delta, [None if x is None else x[1] for x in leaves]
