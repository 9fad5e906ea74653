"""BIP32 public derivation as SPEC.md section 9 uses it."""

import hashlib
import hmac

import curve as C
from encode import Q, Refused, u32


def derive(pk, cc, path):
    """(pk', tau) along a path of non-hardened indices; tau is the sum of the tweaks."""
    tau = 0
    for p in path:
        if p >= 2**31:
            raise Refused("hardened derivation")
        h = hmac.new(cc, C.put(pk) + u32(p), hashlib.sha512).digest()
        left, cc = int.from_bytes(h[:32], "big"), h[32:]
        if left >= Q:
            raise Refused("tweak is not a scalar")
        pk = C.add(pk, C.mul_base(left))
        if pk is None:
            raise Refused("derived key is the point at infinity")
        tau = (tau + left) % Q
    return pk, tau
