"""Planted errors: each changes one detail of the model, and the frozen files must catch it.

Most of them change both sides of the protocol in the same way, so that every check of the protocol
itself still passes and only a fixed transcript can tell. ERRORS lists (name, stage at which the run
starts, module or class, attribute, replacement); test_model.py puts the replacement in, runs that
stage and expects a difference.
"""

import aes
import base_ot
import bip32
import chacha
import cot
import dkg
import pprf
import presign
import ristretto
import rvole
import sign
from encode import Q, TB, TH, TS, scalar, u8, u16, u32

PAIRS, KEY, BATCH, SIGN = range(4)

_expand, _gadget, _pads = pprf.expand, rvole.gadget, rvole.pads
_zeta, _round1 = presign.zeta, presign.Presign.round1


def fill_whole_blocks(self, n):
    parts = []
    for _ in range((n + 63) // 64):
        parts.append(chacha.block(self.key, self.counter, bytes(12)))
        self.counter += 1
    self.drawn += n
    return b"".join(parts)[:n]


def other_branch(s, c, j, p):
    return ristretto.from_hash(TB("eot-h", s, u16(j), u8(1 - c), p))


def scalar_big_endian(b):
    return int.from_bytes(b, "big") % ristretto.L


def children_swapped(s, g, v, node):
    return _expand(s, g, v, node)[::-1]


def wrong_echo_tag(tag, *fields):
    return TH("echo2" if tag == "echo" else tag, *fields)


def pok_without_index(sid, i, F, R):
    return TS("pok", sid, u16(0), F, R)


def key_id_swapped(pk, n, t, roster_hash):
    return TH("key", pk, u16(t), u16(n), roster_hash)


class SwappedPairs:
    """A generator that gives out every second 64-byte draw before the one ahead of it."""

    def __init__(self, rng):
        self.rng, self.saved = rng, None

    def fill(self, n):
        if n != 64:
            return self.rng.fill(n)
        if self.saved is None:
            self.saved = self.rng.fill(64)
            return self.rng.fill(64)
        out, self.saved = self.saved, None
        return out


def phi_before_r(self, rng):
    return _round1(self, SwappedPairs(rng))


def counter_little_endian(j):
    return j.to_bytes(16, "little")


def theta_flipped(theta, x2, x0, x1):
    return (x2 - theta[0] * x0 + theta[1] * x1) % Q


def tweak_swapped(J, i, h):
    return u8(i) + u32(J) + u8(h) + bytes(10)


def pads_little_endian(rsid, k, rows):
    return [[int.from_bytes(scalar(v), "little") % Q for v in c] for c in _pads(rsid, k, rows)]


def pads_without_feed_forward(rsid, k, rows):
    key = TH("k-pad", rsid)[:16]
    inner = aes.encrypt(key, b"".join(cot.to_bytes(r, 16) for r in rows))
    out = []
    for i in range(3):
        half = []
        for h in (0, 1):
            tw = b"".join(rvole.tweak(cot.XI * k + j, i, h) for j in range(cot.XI))
            half.append(aes.encrypt(key, aes.xor(inner, tw)))
        pieces = [half[0][n : n + 16] + half[1][n : n + 16] for n in range(0, 16 * cot.XI, 16)]
        out.append([int.from_bytes(p, "big") % Q for p in pieces])
    return out


def one_gadget(rsid):
    return _gadget(bytes(32))


def zeta_other_sign(i, S, zero_seeds, sid, idx):
    return -_zeta(i, S, zero_seeds, sid, idx) % Q


def hedge_without_index(drawn, x, sid, idx, which):
    return TS("hedge", drawn, scalar(x), sid, u16(0), u8(which))


def view_descending(sid, com):
    return TH("view", sid, b"".join(u16(j) + com[j] for j in sorted(com, reverse=True)))


def stamps_without_lengths(body, stamps):
    return TH("request", body, b"".join(stamps))


def entropy_without_request(rq, presig_id):
    return TH("entropy", bytes(32), presig_id)


def child_little_endian(v):
    return v.to_bytes(4, "little")


def wrong_rerand_tag(tag, *fields):
    return TS("re-rand" if tag == "rerand" else tag, *fields)


ERRORS = [
    ("generator drops the rest of a block", PAIRS, chacha.Generator, "fill", fill_whole_blocks),
    ("base OT hash with the other branch", PAIRS, base_ot, "H", other_branch),
    ("ristretto scalars big-endian", PAIRS, ristretto, "wide", scalar_big_endian),
    ("PPRF children swapped", PAIRS, pprf, "expand", children_swapped),
    ("wrong tag in the echo", KEY, dkg, "TH", wrong_echo_tag),
    ("proof challenge without the index", KEY, dkg, "pok_challenge", pok_without_index),
    ("key_id with t and n swapped", KEY, dkg, "key_id", key_id_swapped),
    ("phi drawn before r", BATCH, presign.Presign, "round1", phi_before_r),
    ("hedge without the index", BATCH, presign, "hedge", hedge_without_index),
    ("PRG counter little-endian", BATCH, cot, "counter", counter_little_endian),
    ("another field polynomial", BATCH, cot, "POLY", 1 << 128 | 0x1B),
    ("theta with a flipped sign", BATCH, rvole, "combine", theta_flipped),
    ("row and column swapped in the pad tweak", BATCH, rvole, "tweak", tweak_swapped),
    ("pads little-endian", BATCH, rvole, "pads", pads_little_endian),
    ("pads without the feed-forward", BATCH, rvole, "pads", pads_without_feed_forward),
    ("one gadget for all pairs", BATCH, rvole, "gadget", one_gadget),
    ("zero shares with the other sign", BATCH, presign, "zeta", zeta_other_sign),
    ("view in descending order", BATCH, presign, "view_hash", view_descending),
    ("stamps without their lengths", SIGN, sign, "request", stamps_without_lengths),
    ("entropy without the request", SIGN, sign, "entropy", entropy_without_request),
    ("child index little-endian", SIGN, bip32, "u32", child_little_endian),
    ("wrong tag in the re-randomiser", SIGN, sign, "TS", wrong_rerand_tag),
]
