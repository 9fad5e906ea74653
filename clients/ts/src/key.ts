/**
 * A quorum's key: its public record, and why a client may believe it.
 *
 * The record comes from a gateway, which may invent one. It counts when all n parties of the roster
 * confirmed it with their identity keys, and when their public shares lie on one polynomial of degree
 * t-1 that has the key at 0, so that any t of them make the key (protocol/SPEC.md, section 7).
 */
import { ed25519 } from "@noble/curves/ed25519.js";
import { secp256k1 } from "@noble/curves/secp256k1.js";

import { be, concat, equal, hex, number, unhex } from "./bytes.js";
import { CheckError } from "./errors.js";
import { hmacSha512, keccak256, taggedHash } from "./hash.js";
import { integer, list, members, parseJson, type Roster } from "./roster.js";

const Point = secp256k1.Point;
const Fn = Point.Fn;

/** A key whose confirmations were checked against a roster. */
export interface QuorumKey {
  /** 33 bytes. */
  readonly publicKey: Uint8Array;
  readonly chainCode: Uint8Array;
  readonly keyId: Uint8Array;
  readonly threshold: number;
  readonly parties: number;
  readonly epoch: number;
  /** Made with the software TEE, which protects nothing. */
  readonly insecureSim: boolean;
}

function point(b: Uint8Array, what: string): InstanceType<typeof Point> {
  try {
    return Point.fromBytes(b);
  } catch {
    throw new CheckError("untrusted", `${what} is no point of the curve`);
  }
}

const lie = (why: string): CheckError => new CheckError("untrusted", `the key's record: ${why}`);

/** The shares of 1..t-1 and j interpolate to the key at 0, for each j. */
function checkShares(pk: InstanceType<typeof Point>, shares: InstanceType<typeof Point>[], t: number): void {
  for (let j = t; j <= shares.length; j++) {
    const set = Array.from({ length: t - 1 }, (_, i) => i + 1).concat(j);
    let sum = Point.ZERO;
    for (const i of set) {
      let lambda = 1n;
      for (const k of set) {
        if (k !== i) lambda = Fn.mul(lambda, Fn.mul(BigInt(k), Fn.inv(Fn.create(BigInt(k - i)))));
      }
      const share = shares[i - 1];
      if (share === undefined) throw lie("a share is missing");
      sum = sum.add(share.multiplyUnsafe(lambda));
    }
    if (!sum.equals(pk)) throw lie(`the shares do not make the key with party ${j}'s`);
  }
}

/** Reads and checks a key record. `wanted`: the key that was asked for, 33 bytes. */
export function checkKey(text: string, wanted: Uint8Array, roster: Roster): QuorumKey {
  const o = members(parseJson(text, "the key's record"), "the key's record",
                    ["v", "key", "key_id", "chain_code", "dkg_sid", "cluster", "admin_hash",
                     "roster_hash", "epoch", "t", "n", "parties"], ["insecure_sim"]);
  if (o["v"] !== 1) throw new CheckError("malformed", "the key's record is of another version");
  const n = integer(o["n"], 2, 16, "n");
  const t = integer(o["t"], 2, n, "t");
  const epoch = integer(o["epoch"], 0, 0xffffffff, "epoch");
  const sim = o["insecure_sim"] ?? false;
  if (typeof sim !== "boolean") throw new CheckError("malformed", "insecure_sim is no boolean");
  const field = (name: string, len: number): Uint8Array => unhex(o[name], len, name);
  const publicKey = field("key", 33);
  const keyId = field("key_id", 32), chainCode = field("chain_code", 32), sid = field("dkg_sid", 32);
  const cluster = field("cluster", 32), admins = field("admin_hash", 32);
  const rosterHash = field("roster_hash", 32);
  const parties = list(o["parties"], n, n, "parties").map((p, i) => {
    const q = members(p, `parties[${i}]`, ["party", "id", "share", "confirmation"]);
    integer(q["party"], i + 1, i + 1, `parties[${i}].party`);
    return {
      id: unhex(q["id"], 32, "id"),
      share: unhex(q["share"], 33, "share"),
      confirmation: unhex(q["confirmation"], 64, "confirmation"),
    };
  });

  if (!equal(publicKey, wanted)) throw lie("it is of another key than the one asked for");
  if (!equal(cluster, roster.cluster)) throw lie("it belongs to another cluster than the roster's");
  if (!equal(admins, roster.adminsHash)) throw lie("it was made under other administrators than the roster's");
  if (n !== roster.parties.length) throw lie(`it has ${n} parties, the roster ${roster.parties.length}`);
  parties.forEach((p, i) => {
    const want = roster.parties[i];
    if (want === undefined || !equal(p.id, want.identity)) {
      throw lie(`its party ${i + 1} is not party ${i + 1} of the roster`);
    }
    if (parties.some((q, k) => k < i && equal(p.id, q.id))) throw lie("one identity stands twice");
  });
  if (!equal(keyId, taggedHash("key", publicKey, be(n, 2), be(t, 2), rosterHash))) {
    throw lie("key_id does not belong to it");
  }
  checkShares(point(publicKey, "the key"), parties.map((p, i) => point(p.share, `share ${i + 1}`)), t);
  const out = taggedHash("dkg-out", sid, keyId, publicKey, concat(...parties.map((p) => p.share)),
                         chainCode, be(t, 2), be(n, 2), be(epoch, 4), cluster, admins, rosterHash,
                         be(sim ? 1 : 0, 1));
  parties.forEach((p, i) => {
    if (!ed25519.verify(p.confirmation, out, p.id, { zip215: false })) {
      throw lie(`the confirmation by party ${i + 1} does not verify`);
    }
  });
  return { publicKey, chainCode, keyId, threshold: t, parties: n, epoch, insecureSim: sim };
}

/** The non-hardened BIP32 child of a key: 33 bytes. */
export function derive(key: Pick<QuorumKey, "publicKey" | "chainCode">, path: readonly number[]): Uint8Array {
  let pk = key.publicKey, cc = key.chainCode;
  for (const index of path) {
    const h = hmacSha512(cc, concat(pk, be(index, 4)));
    const left = number(h.subarray(0, 32));
    if (left === 0n || left >= Fn.ORDER) throw new CheckError("usage", "this child does not exist");
    pk = Point.fromBytes(pk).add(Point.BASE.multiply(left)).toBytes(true);
    cc = h.slice(32);
  }
  return pk;
}

/** The Ethereum address of a key of 33 bytes, with its checksum (EIP-55). */
export function ethereumAddress(publicKey: Uint8Array): `0x${string}` {
  const full = Point.fromBytes(publicKey).toBytes(false);
  const a = hex(keccak256(full.subarray(1)).subarray(12));
  const sum = hex(keccak256(new TextEncoder().encode(a)));
  return `0x${[...a].map((c, i) => (parseInt(sum[i] ?? "0", 16) > 7 ? c.toUpperCase() : c)).join("")}`;
}

export interface EcdsaSignature {
  /** 32 bytes each, s in the lower half. */
  readonly r: Uint8Array;
  readonly s: Uint8Array;
  /** 0..3: which point r came from. */
  readonly recid: number;
}

/** Throws unless the signature is good, its s low, and its recovery id gives this key back. */
export function checkSignature(publicKey: Uint8Array, digest: Uint8Array, sig: EcdsaSignature): void {
  let good = false;
  try {
    const parsed = new secp256k1.Signature(number(sig.r), number(sig.s), sig.recid);
    good = secp256k1.verify(concat(sig.r, sig.s), digest, publicKey, { prehash: false, lowS: true }) &&
      equal(parsed.recoverPublicKey(digest).toBytes(true), publicKey);
  } catch {
    good = false;
  }
  if (!good) throw new CheckError("untrusted", "the signature does not verify under the key");
}
