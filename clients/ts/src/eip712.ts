/**
 * EIP-712: the digest of typed data, from the JSON document that is sent.
 *
 * It only serves to compare with what the quorum says it signed, so it is as strict as the parties'
 * own reader: what could be read in two ways is refused. Source: EIP-712; arrays as
 * eth_signTypedData_v4 has them.
 */
import { be, concat, toBytes, utf8 } from "./bytes.js";
import { CheckError } from "./errors.js";
import { keccak256 } from "./hash.js";

interface Member {
  readonly name: string;
  readonly type: string;
}
export interface TypedData {
  readonly types: Readonly<Record<string, readonly Member[]>>;
  readonly primaryType: string;
  readonly domain: Readonly<Record<string, unknown>>;
  readonly message: Readonly<Record<string, unknown>>;
}

const DOMAIN: readonly Member[] = [
  { name: "name", type: "string" },
  { name: "version", type: "string" },
  { name: "chainId", type: "uint256" },
  { name: "verifyingContract", type: "address" },
  { name: "salt", type: "bytes32" },
];
const DEPTH = 16;
const bad = (why: string): CheckError => new CheckError("usage", `the typed data: ${why}`);
const ARRAY = /^(.+)\[([0-9]*)\]$/;
const baseOf = (type: string): string => {
  let t = type;
  for (let m = ARRAY.exec(t); m?.[1] !== undefined; m = ARRAY.exec(t)) t = m[1];
  return t;
};

/** "Mail(Person from,...)Person(...)": the type and what it refers to, those in order. */
function encodeType(types: TypedData["types"], name: string): string {
  const found = new Set<string>();
  const open = [name];
  for (let n = open.pop(); n !== undefined; n = open.pop()) {
    if (found.has(n)) continue;
    found.add(n);
    for (const m of types[n] ?? []) {
      if (Object.hasOwn(types, baseOf(m.type))) open.push(baseOf(m.type));
    }
  }
  found.delete(name);
  return [name, ...[...found].sort()]
    .map((n) => `${n}(${(types[n] ?? []).map((m) => `${m.type} ${m.name}`).join(",")})`)
    .join("");
}

function integerOf(v: unknown, type: string, what: string): bigint {
  let n: bigint;
  if (typeof v === "bigint") n = v;
  else if (typeof v === "number" && Number.isSafeInteger(v)) n = BigInt(v);
  else if (typeof v === "string" && /^(0x[0-9a-fA-F]+|-?(0|[1-9][0-9]*))$/.test(v)) n = BigInt(v);
  else throw bad(`${what} is no ${type}`);
  const signed = type.startsWith("i");
  const bits = BigInt(type.slice(signed ? 3 : 4) || "256");
  const top = 1n << (signed ? bits - 1n : bits);
  if (n >= top || n < (signed ? -top : 0n)) throw bad(`${what} does not fit ${type}`);
  return n < 0n ? (1n << 256n) + n : n;
}

function word(b: Uint8Array, left: boolean): Uint8Array {
  const pad = new Uint8Array(32 - b.length);
  return left ? concat(pad, b) : concat(b, pad);
}

function encodeValue(types: TypedData["types"], type: string, v: unknown, what: string, depth: number): Uint8Array {
  if (depth > DEPTH) throw bad(`${what} is nested deeper than ${DEPTH}`);
  const array = ARRAY.exec(type);
  if (array?.[1] !== undefined) {
    const of = array[1];
    if (!Array.isArray(v) || (array[2] !== "" && v.length !== Number(array[2]))) throw bad(`${what} is no ${type}`);
    return keccak256(concat(...v.map((x, i) => encodeValue(types, of, x, `${what}[${i}]`, depth + 1))));
  }
  if (Object.hasOwn(types, type)) return hashStruct(types, type, v, what, depth + 1);
  if (type === "string") {
    if (typeof v !== "string") throw bad(`${what} is no string`);
    return keccak256(utf8(v));
  }
  if (type === "bool") {
    if (typeof v !== "boolean") throw bad(`${what} is no bool`);
    return be(v ? 1 : 0, 32);
  }
  const fixed = /^bytes([0-9]*)$/.exec(type);
  if (fixed || type === "address") {
    if (typeof v !== "string" || !v.startsWith("0x")) throw bad(`${what} is no hex with 0x`);
    const b = toBytes(v, what);
    if (type === "bytes") return keccak256(b);
    const want = type === "address" ? 20 : Number(fixed?.[1]);
    if (want < 1 || want > 32 || b.length !== want) throw bad(`${what} is no ${type}`);
    return word(b, type === "address");
  }
  const int = /^u?int([0-9]*)$/.exec(type);
  const bits = Number(int?.[1] || 256);
  if (!int || bits < 8 || bits > 256 || bits % 8 !== 0) throw bad(`the type ${type} is not defined`);
  return be(integerOf(v, type, what), 32);
}

function hashStruct(types: TypedData["types"], name: string, v: unknown, what: string, depth: number): Uint8Array {
  if (typeof v !== "object" || v === null || Array.isArray(v)) throw bad(`${what} is no ${name}`);
  const fields = types[name] ?? [];
  const o = v as Record<string, unknown>;
  for (const k of Object.keys(o)) {
    if (!fields.some((m) => m.name === k)) throw bad(`${what}.${k} is in no type`);
  }
  const parts = fields.map((m) => {
    if (!Object.hasOwn(o, m.name)) throw bad(`${what}.${m.name} is missing`);
    return encodeValue(types, m.type, o[m.name], `${what}.${m.name}`, depth);
  });
  return keccak256(concat(keccak256(utf8(encodeType(types, name))), ...parts));
}

/** keccak256(0x1901 || domain || message). Throws CheckError for what cannot be hashed in one way. */
export function typedDataDigest(doc: TypedData): Uint8Array {
  const domain = doc.types["EIP712Domain"] ?? DOMAIN.filter((m) => Object.hasOwn(doc.domain, m.name));
  const types = { ...doc.types, EIP712Domain: domain };
  if (!Object.hasOwn(doc.types, doc.primaryType)) throw bad(`primaryType ${doc.primaryType} is not defined`);
  return keccak256(concat(Uint8Array.of(0x19, 0x01),
                          hashStruct(types, "EIP712Domain", doc.domain, "domain", 0),
                          hashStruct(types, doc.primaryType, doc.message, "message", 0)));
}

/** The JSON text that is sent: big integers as decimal text. */
export function typedDataJson(doc: TypedData): string {
  return JSON.stringify(doc, (_, v: unknown) => (typeof v === "bigint" ? v.toString() : v));
}
