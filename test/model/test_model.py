#!/usr/bin/env python3
"""Tests of the model: known answers, the protocol's algebra, the frozen files, planted errors.

    python3 test/model/test_model.py            everything (about 35 s)
    python3 test/model/test_model.py --quick    without the other files and without the planted
                                                errors of the pair set-up (about 15 s); says so
"""

import copy
import hashlib
import sys
import unittest

import aes
import bip32
import chacha
import cot
import curve as C
import edwards
import make_transcripts
import planted
import presign
import quorate_model as M
import ristretto as R
import rvole
import sign
from encode import Q, Refused, TH, TS, enc, lagrange0, scalar, u16

QUICK = False
NAME = "v1-2of3"


def unhex(s):
    return bytes.fromhex(s.replace(" ", ""))


class KnownAnswers(unittest.TestCase):
    def test_aes(self):
        # FIPS-197 appendix B and C.1.
        for key, plain, cipher in (
            (
                "2b7e151628aed2a6abf7158809cf4f3c",
                "3243f6a8885a308d313198a2e0370734",
                "3925841d02dc09fbdc118597196a0b32",
            ),
            (
                "000102030405060708090a0b0c0d0e0f",
                "00112233445566778899aabbccddeeff",
                "69c4e0d86a7b0430d8cdb78070b4c55a",
            ),
        ):
            self.assertEqual(aes.encrypt(unhex(key), unhex(plain)).hex(), cipher)
        # Blocks of one call do not touch each other.
        many = bytes(i * 7 & 255 for i in range(16 * 33))
        each = b"".join(aes.encrypt(bytes(16), many[i : i + 16]) for i in range(0, len(many), 16))
        self.assertEqual(aes.encrypt(bytes(16), many), each)

    def test_chacha(self):
        # RFC 8439 section 2.3.2, and appendix A.1 test vectors 1 and 2.
        key = bytes(range(32))
        block = chacha.block(key, 1, unhex("000000090000004a00000000"))
        self.assertEqual(
            block.hex(),
            "10f1e7e4d13b5915500fdd1fa32071c4c7d1f4c733c068030422aa9ac3d46c4e"
            "d2826446079faa0914c2d705d98b02a2b5129cd1de164eb9cbd083e8a2503c4e",
        )
        self.assertEqual(
            chacha.block(bytes(32), 0, bytes(12)).hex()[:64],
            "76b8e0ada0f13d90405d6ae55386bd28bdd219b8a08ded1aa836efcc8b770dc7",
        )
        # Draws of any sizes are consecutive.
        a, b = chacha.Generator(b"seed"), chacha.Generator(b"seed")
        whole = a.fill(1000)
        self.assertEqual(b"".join(b.fill(n) for n in (1, 63, 64, 65, 0, 7, 800)), whole)
        self.assertEqual(a.drawn, b.drawn)

    def test_ristretto(self):
        # RFC 9496 section 4.1 (by their definitions) and appendix A.
        self.assertEqual(R.SQRT_AD_MINUS_ONE**2 % R.P, (-R.D - 1) % R.P)
        self.assertEqual(R.INVSQRT_A_MINUS_D**2 * (-1 - R.D) % R.P, 1)
        for i, want in enumerate(VECTORS["multiples"]):
            self.assertEqual(R.encode(R.mul_base(i)).hex(), want)
            self.assertEqual(R.encode(R.mul(i, R.BASE)).hex(), want)
            self.assertEqual(R.encode(R.decode(unhex(want))).hex(), want)
        for bad in VECTORS["bad"]:
            with self.assertRaises(ValueError):
                R.decode(unhex(bad))
        for label, want in VECTORS["hash"]:
            p = R.from_hash(hashlib.sha512(label.encode()).digest())
            self.assertEqual(R.encode(p).hex(), want)

    def test_ed25519(self):
        # RFC 8032 section 7.1, tests 1 to 3.
        for seed, pub, msg, sig in VECTORS["ed25519"]:
            seed, pub, msg, sig = (unhex(v) for v in (seed, pub, msg, sig))
            self.assertEqual(edwards.public(seed), pub)
            self.assertEqual(edwards.sign(seed, msg), sig)
            self.assertTrue(edwards.verify(pub, msg, sig))
            self.assertFalse(edwards.verify(pub, msg + b"x", sig))

    def test_secp256k1(self):
        self.assertTrue(C.on_curve(C.G))
        self.assertIsNone(C.add(C.mul(Q - 1, C.G), C.G))
        self.assertEqual(
            C.put(C.mul_base(2)).hex(),
            "02c6047f9441ed7d6d3045406e95c07cd85c778e4b8cef3ca7abac09b95c709ee5",
        )
        for k in (1, 2, 3, 2**128 + 5, Q - 1):
            self.assertEqual(C.mul_base(k), C.mul(k, C.G))
            self.assertEqual(C.parse(C.put(C.mul_base(k))), C.mul_base(k))
        # The signature of "Satoshi Nakamoto" under key 1 with the RFC 6979 nonce.
        digest = hashlib.sha256(b"Satoshi Nakamoto").digest()
        r = 0x934B1EA10A4B3C1757E2B0C017D0B6143CE3C9A7E6A4A49860D7A6AB210EE3D8
        s = 0x2442CE9D2B916064108014783E923EC36B49743E2FFA1C4496F01A512AAFD9E5
        self.assertTrue(C.ecdsa_verify(C.G, digest, r, s))
        self.assertFalse(C.ecdsa_verify(C.G, digest, r, s + 1))
        self.assertIn(C.G, [C.ecdsa_recover(digest, r, s, i) for i in (0, 1)])
        for bad in (b"\x04" + bytes(32), b"\x02" + b"\xff" * 32, b"\x02" + bytes(31) + b"\x05"):
            with self.assertRaises(ValueError):
                C.parse(bad)

    def test_bip32(self):
        # BIP32 test vector 2: m to m/0, public derivation.
        parent, child = (base58check(v) for v in VECTORS["bip32"])
        pk, tau = bip32.derive(C.parse(parent[45:]), parent[13:45], [0])
        self.assertEqual(C.put(pk), child[45:])
        self.assertEqual(C.add(C.parse(parent[45:]), C.mul_base(tau)), pk)
        with self.assertRaises(Refused):
            bip32.derive(C.parse(parent[45:]), parent[13:45], [2**31])

    def test_encoding_is_injective(self):
        fields = ([b"ab", b"c"], [b"a", b"bc"], [b"abc"], [b"abc", b""], [b"", b"abc"], [])
        self.assertEqual(len({enc("t", f) for f in fields}), len(fields))
        self.assertNotEqual(TH("t", b"x"), TH("u", b"x"))
        self.assertLess(TS("t", b"x"), Q)

    def test_gf128(self):
        # x^127 * x = x^7 + x^2 + x + 1, and the ring laws on a few elements.
        def mul(a, b):
            return cot.gf_mul(cot.gf_table(a), b)

        self.assertEqual(mul(1 << 127, 2), 0x87)
        a, b, c = (cot.le(TH("t", bytes((i,)))[:16]) for i in range(3))
        self.assertEqual(mul(a, b), mul(b, a))
        self.assertEqual(mul(a, mul(b, c)), mul(mul(a, b), c))
        self.assertEqual(mul(a, b ^ c), mul(a, b) ^ mul(a, c))


class Difference(Exception):
    pass


class Compared(M.Run):
    """A run that stops at the first line that differs from the frozen one."""

    frozen = None

    def put(self, name, value):
        super().put(name, value)
        want = self.frozen[len(self.lines) - 1]
        if self.lines[-1] != want:
            raise Difference("%s, wanted %s" % (name, want[0]))


def outputs(text):
    lines = [tuple(line.split(" ", 1)) for line in text.splitlines() if line[0] != "#"]
    return [line for line in lines if not line[0].startswith("in.")]


def frozen_text(name):
    with open(make_transcripts.path_of(name), encoding="ascii") as f:
        return f.read()


class Played(unittest.TestCase):
    """One 2-of-3 run, compared with the frozen file as it goes, kept at every stage."""

    @classmethod
    def setUpClass(cls):
        if hasattr(Played, "stage"):
            return
        Compared.frozen = outputs(frozen_text(NAME))
        scn = make_transcripts.TRANSCRIPTS[NAME][0]()
        run = Compared(scn)
        Played.stage = [copy.deepcopy(run)]
        for step in (run.set_up_pairs, run.make_key, run.make_batch):
            step()
            Played.stage.append(copy.deepcopy(run))
        for k in range(len(scn.sign)):
            run.make_signature(k)
        Played.done, Played.scn = run, scn


class Algebra(Played):
    def setUp(self):
        self.run_ = self.stage[3]
        self.S = self.scn.S

    def cots(self):
        for a in self.S:
            for b in self.S:
                if a != b:
                    p = self.run_.parties
                    yield p[a].presign.alice[b], p[b].presign.bob[a]

    def test_pprf(self):
        for a, b in self.scn.attempt:
            for x, y in ((a, b), (b, a)):
                alice = self.run_.parties[x].pairs[y]
                bob = self.run_.parties[y].pairs[x]
                for g in range(16):
                    for leaf in range(256):
                        want = None if leaf == alice.delta[g] else bob.bob_seeds[g][leaf]
                        self.assertEqual(alice.alice_seeds[g][leaf], want)
                self.assertEqual(alice.zero_seed, bob.zero_seed)

    def test_cot_relation(self):
        for alice, bob in self.cots():
            for j in range(cot.n_bits(self.scn.B)):
                beta = bob.beta >> j & 1
                self.assertEqual(bob.rows[j], alice.rows[j] ^ (alice.delta if beta else 0))

    def test_rvole_product(self):
        for alice, bob in self.cots():
            for k in range(self.scn.B):
                a = [TS("t", u16(k), bytes((i,))) for i in range(3)]
                payload, c = rvole.alice(alice, k, a[:2], a[2])
                d = rvole.bob(bob, k, payload)
                for i in (0, 1):
                    self.assertEqual((c[i] + d[i]) % Q, a[i] * rvole.mask(bob, k) % Q)
                bad = bytearray(payload)
                bad[96 * 5 + 31] ^= 1
                with self.assertRaisesRegex(Refused, "C2"):
                    rvole.bob(bob, k, bytes(bad))

    def test_zero_shares(self):
        for S in ((1, 2), (1, 2, 4), (1, 2, 3, 4, 5)):
            seeds = {(i, j): TH("t", u16(min(i, j)), u16(max(i, j))) for i in S for j in S}
            for idx in range(3):
                parts = [
                    presign.zeta(i, S, {j: seeds[i, j] for j in S}, bytes(32), idx) for i in S
                ]
                self.assertEqual(sum(parts) % Q, 0)
                self.assertTrue(all(parts))

    def test_shares_interpolate(self):
        p = self.run_.parties
        secrets = []
        for S in ((1, 2), (1, 3), (2, 3), (1, 2, 3)):
            secrets.append(sum(lagrange0(i, S) * p[i].key.x for i in S) % Q)
        self.assertEqual(len(set(secrets)), 1)
        self.assertEqual(C.mul_base(secrets[0]), p[1].key.point)

    def test_presignature(self):
        p = self.run_.parties
        key = sum(lagrange0(i, self.S) * p[i].key.x for i in self.S) % Q
        for idx in range(self.scn.B):
            ps = [p[i].presigs[idx] for i in self.S]
            nonce = sum(p[i].presign.r[idx] for i in self.S) % Q
            phi = sum(v.phi for v in ps)
            self.assertEqual(sum(v.u for v in ps) % Q, nonce * phi % Q)
            self.assertEqual(sum(v.v for v in ps) % Q, key * phi % Q)
            self.assertEqual({v.R for v in ps}, {C.put(C.mul_base(nonce))})

    def test_signature_is_the_single_key_one(self):
        p = self.run_.parties
        key = sum(lagrange0(i, self.S) * p[i].key.x for i in self.S) % Q
        for req in self.scn.sign:
            shares = {}
            for i in self.S:
                ps = p[i].presigs[req["idx"]]
                fields = ("path", "digest", "request_id", "item", "body", "stamps")
                item = sign.Item(p[i].key, ps, *(req[k] for k in fields))
                shares[i] = sign.share(item, ps)
            r, s, recid = sign.combine(item, shares)
            nonce = sum(p[i].presign.r[req["idx"]] for i in self.S) + item.delta
            want = pow(nonce, -1, Q) * (item.h + r * (key + item.tau)) % Q
            self.assertIn(s, (want, Q - want))
            self.assertLessEqual(s, Q // 2)
            self.assertEqual(C.ecdsa_recover(req["digest"], r, s, recid), item.pk)
            bad = dict(shares)
            first = self.S[0]
            bad[first] = shares[first][:95] + bytes((shares[first][95] ^ 1,))
            with self.assertRaises(Refused):
                sign.combine(item, bad)


class Cheating(Played):
    """Altered messages must be refused by the check that is there for them."""

    def batch(self):
        run = copy.deepcopy(self.stage[2])
        m = {}
        for i in self.scn.S:
            p = run.parties[i]
            m[i] = presign.Presign(i, p.key, self.scn.S, self.scn.B, bytes(32), p.pairs)
        one = {i: m[i].round1(run.parties[i].rng) for i in m}
        return run, m, one

    def flip(self, msg, at):
        return msg[:at] + bytes((msg[at] ^ 1,)) + msg[at + 1 :]

    def test_c1(self):
        run, m, one = self.batch()
        size = cot.row_bytes(self.scn.B)
        for at in (32, 32 + size * 15, 32 + 16 * size, len(one[3][1]) - 1):
            bad = {3: self.flip(one[3][1], at)}
            with self.assertRaisesRegex(Refused, "C1"):
                copy.copy(m[1]).round2(bad, run.parties[1].rng)

    def test_round_two(self):
        run, m, one = self.batch()
        sent = {i: m[i].round2({4 - i: one[4 - i][i]}, run.parties[i].rng) for i in m}
        good = sent[3][1]
        m[1].finish({3: good})
        slot = 64 + presign.SLOT_LEN
        for at, check in (
            (0, "commitment"),
            (32, "view"),
            (slot + 164, "C2"),
            (slot + 164 + 416 * 96 + 31, "C2"),
            (len(good) - 1, "C2"),
        ):
            with self.assertRaisesRegex(Refused, check):
                m[1].finish({3: self.flip(good, at)})
        other = C.put(C.mul_base(12345))
        for at, check in ((slot + 33, "C3, pk"), (slot + 66, "C3, R"), (slot + 99, "C3, pk")):
            with self.assertRaisesRegex(Refused, check):
                m[1].finish({3: good[:at] + other + good[at + 33 :]})
        # psi is masked by nothing that can be checked here: the signature fails instead.
        at = slot + 132
        psi = scalar(int.from_bytes(good[at : at + 32], "big") + 1)
        ps = m[1].finish({3: good[:at] + psi + good[at + 32 :]})
        honest = m[3].finish({1: sent[1][3]})
        key = run.parties[1].key
        item = sign.Item(key, ps[1], (), bytes(32), bytes(32), 0, b"", [])
        with self.assertRaisesRegex(Refused, "does not verify"):
            sign.combine(item, {1: sign.share(item, ps[1]), 3: sign.share(item, honest[1])})


class Frozen(Played):
    def test_two_of_three(self):
        text = make_transcripts.text_of(NAME, self.scn, self.done)
        self.assertEqual(text, frozen_text(NAME))

    def test_the_other_files(self):
        if QUICK:
            self.skipTest("--quick: only %s is regenerated" % NAME)
        for name in make_transcripts.TRANSCRIPTS:
            if name != NAME:
                with self.subTest(name):
                    self.assertEqual(make_transcripts.generate(name), frozen_text(name))

    def test_a_changed_digit_in_the_file_is_caught(self):
        lines = list(Compared.frozen)
        for n, (name, value) in enumerate(lines):
            last = value[-1]
            wrong = value[:-1] + ("0" if last != "0" else "1")
            changed = lines[:n] + [(name, wrong)] + lines[n + 1 :]
            bad = [i for i, (a, b) in enumerate(zip(self.done.lines, changed)) if a != b]
            self.assertEqual(bad, [n])
        self.assertEqual(len(lines), len(self.done.lines))

    def test_planted_errors_are_caught(self):
        caught = 0
        for name, stage, where, attribute, wrong in planted.ERRORS:
            if QUICK and stage == planted.PAIRS:
                continue
            with self.subTest(name):
                run = copy.deepcopy(self.stage[stage])
                right = getattr(where, attribute)
                setattr(where, attribute, wrong)
                try:
                    with self.assertRaises((Difference, Refused)):
                        self.rest(run, stage)
                    caught += 1
                finally:
                    setattr(where, attribute, right)
        print("planted errors caught: %d of %d" % (caught, len(planted.ERRORS)))

    def rest(self, run, stage):
        if stage == planted.SIGN:
            for k in range(len(self.scn.sign)):
                run.make_signature(k)
        else:
            (run.set_up_pairs, run.make_key, run.make_batch)[stage]()

    def test_without_an_error_the_stages_repeat(self):
        # The counterpart of the test above: the kept stages are sound.
        for stage in (planted.KEY, planted.BATCH, planted.SIGN):
            run = copy.deepcopy(self.stage[stage])
            self.rest(run, stage)
            self.assertEqual(run.lines, Compared.frozen[: len(run.lines)])

    def test_another_seed_differs_everywhere(self):
        run = copy.deepcopy(self.stage[planted.BATCH])
        run.parties[1].rng = chacha.Generator(b"another seed")
        with self.assertRaises(Difference):
            run.make_batch()


def base58check(text):
    alphabet = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
    v = 0
    for c in text:
        v = v * 58 + alphabet.index(c)
    raw = v.to_bytes(82, "big")
    check = hashlib.sha256(hashlib.sha256(raw[:78]).digest()).digest()[:4]
    if check != raw[78:]:
        raise ValueError("base58 checksum")
    return raw[:78]


VECTORS = {
    "bip32": (
        "xpub661MyMwAqRbcFW31YEwpkMuc5THy2PSt5bDMsktWQcFF8syAmRUapSCGu8ED9W6oDMSgv6Zz8idoc4a6mr8BD"
        "zTJY47LJhkJ8UB7WEGuduB",
        "xpub69H7F5d8KSRgmmdJg2KhpAK8SR3DjMwAdkxj3ZuxV27CprR9LgpeyGmXUbC6wb7ERfvrnKZjXoUmmDznezpbZ"
        "b7ap6r1D3tgFxHmwMkQTPH",
    ),
    "ed25519": [
        (
            "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
            "",
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e3970"
            "1cf9b46bd25bf5f0595bbe24655141438e7a100b",
        ),
        (
            "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
            "72",
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613"
            "d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
        ),
        (
            "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
            "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
            "af82",
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760"
            "984dc6594a7c15e9716ed28dc027beceea1ec40a",
        ),
    ],
    "multiples": """
        0000000000000000000000000000000000000000000000000000000000000000
        e2f2ae0a6abc4e71a884a961c500515f58e30b6aa582dd8db6a65945e08d2d76
        6a493210f7499cd17fecb510ae0cea23a110e8d5b901f8acadd3095c73a3b919
        94741f5d5d52755ece4f23f044ee27d5d1ea1e2bd196b462166b16152a9d0259
        da80862773358b466ffadfe0b3293ab3d9fd53c5ea6c955358f568322daf6a57
        e882b131016b52c1d3337080187cf768423efccbb517bb495ab812c4160ff44e
        f64746d3c92b13050ed8d80236a7f0007c3b3f962f5ba793d19a601ebb1df403
        44f53520926ec81fbd5a387845beb7df85a96a24ece18738bdcfa6a7822a176d
        903293d8f2287ebe10e2374dc1a53e0bc887e592699f02d077d5263cdd55601c
        02622ace8f7303a31cafc63f8fc48fdc16e1c8c8d234b2f0d6685282a9076031
        20706fd788b2720a1ed2a5dad4952b01f413bcf0e7564de8cdc816689e2db95f
        bce83f8ba5dd2fa572864c24ba1810f9522bc6004afe95877ac73241cafdab42
        e4549ee16b9aa03099ca208c67adafcafa4c3f3e4e5303de6026e3ca8ff84460
        aa52e000df2e16f55fb1032fc33bc42742dad6bd5a8fc0be0167436c5948501f
        46376b80f409b29dc2b5f6f0c52591990896e5716f41477cd30085ab7f10301e
        e0c418f7c8d9c4cdd7395b93ea124f3ad99021bb681dfc3302a9d99a2e53e64e
    """.split(),
    "bad": """
        00ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff
        ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f
        f3ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f
        edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f
        0100000000000000000000000000000000000000000000000000000000000000
        01ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f
        ed57ffd8c914fb201471d1c3d245ce3c746fcbe63a3679d51b6a516ebebe0e20
        c34c4e1826e5d403b78e246e88aa051c36ccf0aafebffe137d148a2bf9104562
        c940e5a4404157cfb1628b108db051a8d439e1a421394ec4ebccb9ec92a8ac78
        47cfc5497c53dc8e61c91d17fd626ffb1c49e2bca94eed052281b510b1117a24
        f1c6165d33367351b0da8f6e4511010c68174a03b6581212c71c0e1d026c3c72
        87260f7a2f12495118360f02c26a470f450dadf34a413d21042b43b9d93e1309
        26948d35ca62e643e26a83177332e6b6afeb9d08e4268b650f1f5bbd8d81d371
        4eac077a713c57b4f4397629a4145982c661f48044dd3f96427d40b147d9742f
        de6a7b00deadc788eb6b6c8d20c0ae96c2f2019078fa604fee5b87d6e989ad7b
        bcab477be20861e01e4a0e295284146a510150d9817763caf1a6f4b422d67042
        2a292df7e32cababbd9de088d1d1abec9fc0440f637ed2fba145094dc14bea08
        f4a9e534fc0d216c44b218fa0c42d99635a0127ee2e53c712f70609649fdff22
        8268436f8c4126196cf64b3c7ddbda90746a378625f9813dd9b8457077256731
        2810e5cbc2cc4d4eece54f61c6f69758e289aa7ab440b3cbeaa21995c2f4232b
        3eb858e78f5a7254d8c9731174a94f76755fd3941c0ac93735c07ba14579630e
        a45fdc55c76448c049a1ab33f17023edfb2be3581e9c7aade8a6125215e04220
        d483fe813c6ba647ebbfd3ec41adca1c6130c2beeee9d9bf065c8d151c5f396e
        8a2e1d30050198c65a54483123960ccc38aef6848e1ec8f5f780e8523769ba32
        32888462f8b486c68ad7dd9610be5192bbeaf3b443951ac1a8118419d9fa097b
        227142501b9d4355ccba290404bde41575b037693cef1f438c47f8fbf35d1165
        5c37cc491da847cfeb9281d407efc41e15144c876e0170b499a96a22ed31e01e
        445425117cb8c90edcbc7c1cc0e74f747f2c1efa5630a967c64f287792a48a4b
        ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f
    """.split(),
    "hash": [
        (
            "Ristretto is traditionally a short shot of espresso coffee",
            "3066f82a1a747d45120d1740f14358531a8f04bbffe6a819f86dfe50f44a0a46",
        ),
        (
            "made with the normal amount of ground coffee but extracted with",
            "f26e5b6f7d362d2d2a94c5d0e7602cb4773c95a2e5c31a64f133189fa76ed61b",
        ),
        (
            "about half the amount of water in the same amount of time",
            "006ccd2a9e6867e6a2c5cea83d3302cc9de128dd2a9a57dd8ee7b9d7ffe02826",
        ),
        (
            "by using a finer grind.",
            "f8f0c87cf237953c5890aec3998169005dae3eca1fbb04548c635953c817f92a",
        ),
        (
            "This produces a concentrated shot of coffee per volume.",
            "ae81e7dedf20a497e10c304a765c1767a42d6e06029758d2d7e8ef7cc4c41179",
        ),
        (
            "Just pulling a normal shot short will produce a weaker shot",
            "e2705652ff9f5e44d3e841bf1c251cf7dddb77d140870d1ab2ed64f1a9ce8628",
        ),
        (
            "and is not a Ristretto as some believe.",
            "80bd07262511cdde4863f8a7434cef696750681cb9510eea557088f76d9e5065",
        ),
    ],
}

if __name__ == "__main__":
    if "--quick" in sys.argv:
        sys.argv.remove("--quick")
        QUICK = True
        print("--quick: the files but 2-of-3 and the planted errors of the pair set-up are left out")
    result = unittest.main(exit=False).result
    bad = len(result.failures) + len(result.errors)
    skipped = len(result.skipped)
    sys.stderr.flush()
    print("%d passed, %d failed, %d skipped" % (result.testsRun - bad - skipped, bad, skipped))
    sys.exit(bad != 0)
