/** The pieces that need no quorum: stamps, requests, the roster, Bitcoin's digests. */
import assert from "node:assert/strict";
import { createHash, createPublicKey, generateKeyPairSync, verify } from "node:crypto";
import { test } from "node:test";

import {
  CheckError, Problem, QuorateClient, bitcoinDigest, derOf, derive, newStampKey, parseRoster, pemStamper, prepareRequest, stamp,
  webCryptoStamper, type Item, type Roster,
} from "../dist/index.js";

const bytes = (h: string): Uint8Array => Uint8Array.from(Buffer.from(h, "hex"));
const hex = (b: Uint8Array): string => Buffer.from(b).toString("hex");
const roster = (over: object = {}): string => JSON.stringify({
  v: 1, type: "quorate/roster", cluster: "11".repeat(32), name: "t", serial: 1,
  parties: [1, 2].map((i) => ({
    index: i, identity: `0${i}`.repeat(32), address: `tcp://127.0.0.1:700${i}`, cloud: "local", operator: "t", tee: "sim",
  })),
  admins: { need: 1, keys: [{ name: "a", scheme: "p256", key: "036b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296" }] },
  ...over,
});

test("stamps verify under the key they name: P-256 and Ed25519, WebCrypto and PEM", async () => {
  const body = new TextEncoder().encode("exact bytes");
  const ed = generateKeyPairSync("ed25519"), ec = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const pem = (k: typeof ed): string => k.privateKey.export({ type: "pkcs8", format: "pem" }) as string;
  const stampers = [await webCryptoStamper(await newStampKey()), await pemStamper(pem(ec)), await pemStamper(pem(ed))];
  for (const s of stampers) {
    const o = JSON.parse(Buffer.from(await stamp(s, body), "base64url").toString()) as Record<string, string>;
    assert.deepEqual(Object.keys(o), ["publicKey", "signature", "scheme"]);
    const raw = bytes(o["publicKey"] as string);
    const spki = s.scheme === "ed25519" ? Buffer.concat([bytes("302a300506032b6570032100"), raw]) :
      Buffer.concat([bytes("3039301306072a8648ce3d020106082a8648ce3d030107032200"), raw]);
    const key = createPublicKey({ key: spki, format: "der", type: "spki" });
    const algorithm = s.scheme === "ed25519" ? null : "sha256";
    assert.equal(verify(algorithm, body, key, bytes(o["signature"] as string)), true, s.scheme);
    assert.equal(verify(algorithm, Buffer.from("other bytes"), key, bytes(o["signature"] as string)), false);
  }
  await assert.rejects(pemStamper("no key"), CheckError);
  await assert.rejects(pemStamper(generateKeyPairSync("ec", { namedCurve: "P-384" }).privateKey
    .export({ type: "pkcs8", format: "pem" }) as string), CheckError);
});

test("a new stamp key cannot be exported", async () => {
  await assert.rejects(crypto.subtle.exportKey("pkcs8", (await newStampKey()).privateKey));
});

test("DER: short integers, and those with the top bit set", () => {
  const rs = bytes("00".repeat(31) + "7f" + "80" + "00".repeat(31));
  assert.equal(hex(derOf(rs)), "3026" + "02017f" + "022100" + "80" + "00".repeat(31));
  assert.equal(hex(derOf(new Uint8Array(64))), "3006020100020100");
});

test("BIP143's published examples", () => {
  // P2WPKH, native.
  const tx = "0100000002fff7f7881a8099afa6940d42d1e7f6362bec38171ea3edf433541db4e4ad969f0000000000eeffffffef51e1b804cc89d182d2" +
    "79655c3aa89e815b1b309fe287d9b2b55d57b90ec68a0100000000ffffffff02202cb206000000001976a9148280b37df378db99f66f85c95a783a76ac" +
    "7a6d5988ac9093510d000000001976a9143bde42dbee7e4dbe6a21b2d50ce2f0167faa815988ac11000000";
  const prevouts = [
    { sat: 625000000, script: "2103c9f4836b9a4f77fc0d81f7bcb01d7f1b35916864b9476c241ce9fc198bd25432ac" },
    { sat: 600000000n, script: "00141d0f172a0ecb48aee1be1f2687d2963ae33f71a1" },
  ];
  assert.equal(hex(bitcoinDigest("btc_bip143", tx, 1, prevouts)), "c37af31116d1b27caf68aae9e3ac82f1477929014d5b917657d0eb49478cb670");
  // P2SH-P2WPKH.
  const nested = "0100000001db6b1b20aa0fd7b23880be2ecbd4a98130974cf4748fb66092ac4d3ceb1a54770100000000feffffff02b8b4eb0b0000000" +
    "01976a914a457b684d7f0d539a46a45bbc043f35b59d0d96388ac0008af2f000000001976a914fd270b1ee6abcaea97fea7ad0402e8bd8ad6d77c88ac92040000";
  const program = "001479091972186c449eb1ded22b78e40d009bdf0089";
  assert.equal(hex(bitcoinDigest("btc_bip143", nested, 0, [
    { sat: 1000000000, script: "a9144733f37cf4db86fbc2efed2500b4f4e49f31202387", redeem: program },
  ])), "64f3b0f4dd2bb3aa1ce8566d220cc74dda9df97d8490cc81d89d735c92e59fb6");
});

test("transactions that are not what they should be", () => {
  const good = "0100000001" + "aa".repeat(32) + "00000000" + "00" + "ffffffff" + "01" + "e803000000000000" + "00" + "00000000";
  const prev = [{ sat: 2000, script: "0014" + "bb".repeat(20) }];
  assert.equal(bitcoinDigest("btc_bip143", good, 0, prev).length, 32);
  for (const [name, tx, input, p] of [
    ["cut", good.slice(0, -2), 0, prev], ["longer", good + "00", 0, prev], ["another input", good, 1, prev],
    ["a scriptSig", good.replace("00000000" + "00" + "ffffffff", "00000000" + "0151" + "ffffffff"), 0, prev],
    ["Taproot", good, 0, [{ sat: 2000, script: "5120" + "bb".repeat(32) }]],
    ["too few prevouts", good, 0, []],
    ["P2WSH without its script", good, 0, [{ sat: 1, script: "0020" + "bb".repeat(32) }]],
    ["P2WSH with another's", good, 0, [{ sat: 1, script: "0020" + "bb".repeat(32), witness: "51" }]],
  ] as const) {
    assert.throws(() => bitcoinDigest("btc_bip143", tx, input, p), CheckError, name);
  }
});

test("a request: its bytes, its hash, its digests", async () => {
  const s = await webCryptoStamper(await newStampKey());
  const key = bytes("02" + "11".repeat(32));
  const r = await prepareRequest(parseRoster(roster()), key, s, [{ kind: "sha256", preimage: "0x6869" }], { path: [1], id: "a".repeat(16) });
  const text = Buffer.from(r.body).toString();
  assert.match(text, /^\{"v":1,"cluster":"(11){32}","key":"02(11){32}","id":"a{16}","issued_ms":\d+,"expires_ms":\d+,"path":\[1\],"items":\[\{"kind":"sha256","preimage":"6869"\}\]\}$/);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(r.body.length);
  assert.equal(hex(r.hash), createHash("sha256").update("quorate/sign-request/v1").update(length).update(r.body).digest("hex"));
  assert.equal(hex(r.digests[0] as Uint8Array), createHash("sha256").update("hi").digest("hex"));
});

test("requests that would be refused are not made", async () => {
  const s = await webCryptoStamper(await newStampKey());
  const r = parseRoster(roster()), key = bytes("02" + "11".repeat(32));
  const item: Item = { kind: "sha256", preimage: "68" };
  const make = (items: readonly Item[], o = {}): Promise<unknown> => prepareRequest(r, key, s, items, o);
  const cases: [string, () => Promise<unknown>][] = [
    ["no item", () => make([])], ["65 items", () => make(Array<Item>(65).fill(item))],
    ["an empty preimage", () => make([{ kind: "sha256", preimage: "" }])],
    ["a long preimage", () => make([{ kind: "sha256", preimage: new Uint8Array(32769) }])],
    ["a body above its limit", () => make(Array<Item>(3).fill({ kind: "sha256", preimage: new Uint8Array(20000) }))],
    ["no hex", () => make([{ kind: "sha256", preimage: "0xzz" }])],
    ["an odd number of digits", () => make([{ kind: "sha256", preimage: "0x123" }])],
    ["a hardened path", () => make([item], { path: [2 ** 31] })],
    ["a deep path", () => make([item], { path: Array(9).fill(0) })],
    ["a short id", () => make([item], { id: "abc" })],
    ["a life of two days", () => make([item], { lifeMs: 172_800_000 })],
    ["an unknown kind", () => make([{ kind: "taproot" } as unknown as Item])],
    ["an input of a later item", () => make([{ kind: "btc_bip143", input: 0, of: 0 }])],
  ];
  for (const [name, f] of cases) await assert.rejects(f, CheckError, name);
});

test("rosters that are none", () => {
  assert.equal(parseRoster(roster()).parties.length, 2);
  const bad = [
    "{", "[]", roster({ v: 2 }), roster({ type: "quorate/policy" }), roster({ more: 1 }), roster({ parties: [] }),
    roster({ cluster: "AA".repeat(32) }), roster({ serial: 0.5 }), roster({ admins: { need: 2, keys: [] } }),
    roster({ admins: { need: 1, keys: [{ name: "a", scheme: "p256", key: "02" + "ff".repeat(32) }] } }),
  ];
  for (const text of bad) assert.throws(() => parseRoster(text), CheckError, text.slice(0, 60));
  assert.throws(() => parseRoster(Uint8Array.of(0x22, 0xff, 0x22)), CheckError);
});

test("addresses of gateways: https, or this machine", async () => {
  const s = await webCryptoStamper(await newStampKey());
  const make = (g: string): Roster =>
    new QuorateClient({ gateways: [g], roster: roster(), key: "02" + "11".repeat(32), stamper: s }).roster;
  for (const g of ["https://a.example", "http://127.0.0.1:8080", "http://localhost:1"]) make(g);
  for (const g of ["http://a.example", "ftp://a.example", "http://127.evil.example"]) assert.throws(() => make(g), CheckError, g);
});

test("BIP32's published public derivation", () => {
  // Test vector 2 of BIP32: chain m, then m/0.
  const m = {
    publicKey: bytes("03cbcaa9c98c877a26977d00825c956a238e8dddfbd322cce4f74b0b5bd6ace4a7"),
    chainCode: bytes("60499f801b896d83179a4374aeb7822aaeaceaa0db1f85ee3e904c4defbd9689"),
  };
  assert.equal(hex(derive(m, [0])), "02fc9e5af0ac8d9b3cecfe2a888e2117ba3d089d8585886c9c826b6b22a98d12ea");
});

test("a problem's text is made safe and its members typed", () => {
  const p = new Problem("g", 403, { code: "approval_needed", detail: "a\u001b[31m\u202e", need: 2, approvers: ["a", 3, "b"], rule: "r" }, "7");
  assert.equal(p.detail, "a?[31m?");
  assert.deepEqual([p.code, p.need, p.approvers, p.rule, p.retryAfter, p.temporary], ["approval_needed", 2, ["a", "b"], "r", 7, false]);
  assert.equal(new Problem("g", 502, {}, "soon").retryAfter, undefined);
});
