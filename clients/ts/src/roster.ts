/**
 * The roster: who the parties are. It is the caller's root of trust; whoever hands it over vouches
 * for it, and nothing here looks at its administrators' stamps (`quorate roster verify` does).
 */
import { secp256k1 } from "@noble/curves/secp256k1.js";
import { p256 } from "@noble/curves/nist.js";

import { be, concat, text, unhex, utf8 } from "./bytes.js";
import { CheckError } from "./errors.js";
import { taggedHash } from "./hash.js";

export interface RosterParty {
  readonly index: number;
  readonly identity: Uint8Array;
  readonly cloud: string;
  readonly operator: string;
  readonly tee: string;
}

export interface Roster {
  readonly cluster: Uint8Array;
  readonly serial: number;
  readonly parties: readonly RosterParty[];
  readonly adminsHash: Uint8Array;
  readonly hash: Uint8Array;
}

const SCHEMES: Record<string, number> = { p256: 1, secp256k1: 2, ed25519: 3 };

/** An object with exactly these members; `optional` ones may be missing. */
export function members(v: unknown, what: string, names: readonly string[],
                        optional: readonly string[] = []): Record<string, unknown> {
  if (typeof v !== "object" || v === null || Array.isArray(v)) {
    throw new CheckError("malformed", `${what} is not an object`);
  }
  for (const n of Object.keys(v)) {
    if (!names.includes(n) && !optional.includes(n)) {
      throw new CheckError("malformed", `${what} has the unknown member "${n.slice(0, 40)}"`);
    }
  }
  for (const n of names) {
    if (!Object.hasOwn(v, n)) throw new CheckError("malformed", `${what} has no "${n}"`);
  }
  return v as Record<string, unknown>;
}

export function integer(v: unknown, min: number, max: number, what: string): number {
  if (typeof v !== "number" || !Number.isInteger(v) || v < min || v > max) {
    throw new CheckError("malformed", `${what} is no integer from ${min} to ${max}`);
  }
  return v;
}

export function list(v: unknown, min: number, max: number, what: string): unknown[] {
  if (!Array.isArray(v) || v.length < min || v.length > max) {
    throw new CheckError("malformed", `${what} is no list of ${min} to ${max} elements`);
  }
  return v;
}

export function string(v: unknown, max: number, what: string): string {
  if (typeof v !== "string" || v.length > max) {
    throw new CheckError("malformed", `${what} is no text of up to ${max} characters`);
  }
  return v;
}

export function parseJson(s: string, what: string): unknown {
  try {
    return JSON.parse(s);
  } catch (e) {
    throw new CheckError("malformed", `${what} is no JSON: ${(e as Error).message}`);
  }
}

/** TH("admins"; u16 need, u16 n, each key as scheme || bytes, ascending). */
function adminsHash(v: unknown): Uint8Array {
  const o = members(v, "admins", ["need", "keys"]);
  const keys = list(o["keys"], 1, 16, "admins.keys").map((k, i) => {
    const what = `admins.keys[${i}]`;
    const a = members(k, what, ["name", "scheme", "key"]);
    const scheme = SCHEMES[string(a["scheme"], 16, `${what}.scheme`)];
    if (scheme === undefined) throw new CheckError("malformed", `${what}.scheme is unknown`);
    const key = unhex(a["key"], scheme === 3 ? 32 : 33, `${what}.key`);
    try {
      if (scheme !== 3) (scheme === 1 ? p256 : secp256k1).Point.fromBytes(key);
    } catch {
      throw new CheckError("malformed", `${what}.key is no point`);
    }
    return concat(be(scheme, 1), key);
  });
  const need = integer(o["need"], 1, keys.length, "admins.need");
  keys.sort((a, b) => {
    const i = a.findIndex((x, k) => x !== b[k]);
    return i < 0 ? 0 : (a[i] ?? 0) - (b[i] ?? 0);
  });
  return taggedHash("admins", be(need, 2), be(keys.length, 2), ...keys);
}

/** Reads a roster from its exact bytes. */
export function parseRoster(doc: string | Uint8Array): Roster {
  const bytes = typeof doc === "string" ? utf8(doc) : doc;
  const o = members(parseJson(text(bytes, "the roster"), "the roster"), "the roster",
                    ["v", "type", "cluster", "name", "serial", "parties", "admins"]);
  if (o["v"] !== 1 || o["type"] !== "quorate/roster") {
    throw new CheckError("malformed", "this is no roster of version 1");
  }
  const parties = list(o["parties"], 2, 16, "parties").map((p, i) => {
    const what = `parties[${i}]`;
    const q = members(p, what, ["index", "identity", "address", "cloud", "operator", "tee"]);
    return {
      index: integer(q["index"], i + 1, i + 1, `${what}.index`),
      identity: unhex(q["identity"], 32, `${what}.identity`),
      cloud: string(q["cloud"], 64, `${what}.cloud`),
      operator: string(q["operator"], 64, `${what}.operator`),
      tee: string(q["tee"], 64, `${what}.tee`),
    };
  });
  return {
    cluster: unhex(o["cluster"], 32, "cluster"),
    serial: integer(o["serial"], 1, Number.MAX_SAFE_INTEGER, "serial"),
    parties,
    adminsHash: adminsHash(o["admins"]),
    hash: taggedHash("doc", utf8("roster"), bytes),
  };
}
