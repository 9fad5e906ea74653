"""Random vector OLE over the COT rows, with its check C2 (SPEC.md section 6)."""

import aes
from cot import XI, to_bytes
from encode import Q, Refused, TH, TS, TX, parse_scalar, scalar, u8, u16, u32

PAYLOAD_LEN = XI * 96 + 64


def gadget(rsid):
    raw = TX("gadget", [rsid], XI * 32)
    return [int.from_bytes(raw[32 * j : 32 * j + 32], "big") % Q for j in range(XI)]


def tweak(J, i, h):
    return u32(J) + u8(i) + u8(h) + bytes(10)


def pads(rsid, k, rows):
    """pad(row_j; 416k + j, i) as out[i][j]."""
    key = TH("k-pad", rsid)[:16]
    inner = aes.encrypt(key, b"".join(to_bytes(r, 16) for r in rows))
    out = []
    for i in range(3):
        half = []
        for h in (0, 1):
            tw = b"".join(tweak(XI * k + j, i, h) for j in range(XI))
            half.append(aes.xor(aes.encrypt(key, aes.xor(inner, tw)), inner))
        out.append(
            [
                int.from_bytes(half[0][16 * j : 16 * j + 16] + half[1][16 * j : 16 * j + 16], "big") % Q
                for j in range(XI)
            ]
        )
    return out


def thetas(rsid, k, a_tilde):
    h = TH("theta-in", rsid, u16(k), a_tilde)
    return [TS("theta", rsid, u16(k), u8(i), h) for i in (0, 1)]


def combine(theta, x2, x0, x1):
    return (x2 + theta[0] * x0 + theta[1] * x1) % Q


def mu_hash(rsid, k, values):
    return TH("mu", rsid, u16(k), b"".join(scalar(v) for v in values))


def dot(g, values):
    return sum(a * b for a, b in zip(g, values)) % Q


def alice(cot, k, a, a_hat):
    """cot: cot.Alice; a: her two inputs. Returns (payload, [c_0, c_1])."""
    rsid = cot.rsid
    g = gadget(rsid)
    q = cot.rows[XI * k : XI * (k + 1)]
    alpha0 = pads(rsid, k, q)
    alpha1 = pads(rsid, k, [v ^ cot.delta for v in q])
    c = [-dot(g, alpha0[i]) % Q for i in (0, 1)]
    inputs = (a[0], a[1], a_hat)
    a_tilde = b"".join(
        scalar(alpha0[i][j] - alpha1[i][j] + inputs[i]) for j in range(XI) for i in range(3)
    )
    theta = thetas(rsid, k, a_tilde)
    eta = combine(theta, a_hat, a[0], a[1])
    mu = mu_hash(
        rsid, k, [combine(theta, alpha0[2][j], alpha0[0][j], alpha0[1][j]) for j in range(XI)]
    )
    return a_tilde + scalar(eta) + mu, c


def choice(cot, k):
    return [cot.beta >> (XI * k + j) & 1 for j in range(XI)]


def mask(cot, k):
    """Bob's output chi of presignature k; cot: cot.Bob."""
    return dot(gadget(cot.rsid), choice(cot, k))


def bob(cot, k, payload):
    """Returns [d_0, d_1]."""
    rsid = cot.rsid
    if len(payload) != PAYLOAD_LEN:
        raise Refused("RVOLE payload length")
    a_tilde, mu = payload[: XI * 96], payload[XI * 96 + 32 :]
    try:
        eta = parse_scalar(payload[XI * 96 : XI * 96 + 32])
        rows = [
            [parse_scalar(a_tilde[96 * j + 32 * i : 96 * j + 32 * i + 32]) for j in range(XI)]
            for i in range(3)
        ]
    except ValueError as e:
        raise Refused("RVOLE payload: %s" % e) from None
    beta = choice(cot, k)
    gamma = pads(rsid, k, cot.rows[XI * k : XI * (k + 1)])
    d = [[(gamma[i][j] + beta[j] * rows[i][j]) % Q for j in range(XI)] for i in range(3)]
    theta = thetas(rsid, k, a_tilde)
    values = [combine(theta, d[2][j], d[0][j], d[1][j]) - beta[j] * eta for j in range(XI)]
    if mu_hash(rsid, k, values) != mu:
        raise Refused("C2")
    g = gadget(rsid)
    return [dot(g, d[0]), dot(g, d[1])]
