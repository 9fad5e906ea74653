/** Bytes, hex, base64url and big-endian integers; strict, since most of it comes from strangers. */
import { CheckError } from "./errors.js";

/** Hex with or without 0x, or the bytes themselves. */
export type BytesLike = Uint8Array | string;

export function hex(b: Uint8Array): string {
  let s = "";
  for (const v of b) s += v.toString(16).padStart(2, "0");
  return s;
}

/** Lower-case hex of exactly `length` bytes, as the wire format demands it. */
export function unhex(text: unknown, length: number, what: string): Uint8Array {
  if (typeof text !== "string" || text.length !== 2 * length || !/^[0-9a-f]*$/.test(text)) {
    throw new CheckError("malformed", `${what} is not ${2 * length} digits of lower-case hex`);
  }
  return fromHex(text);
}

function fromHex(text: string): Uint8Array {
  const b = new Uint8Array(text.length / 2);
  for (let i = 0; i < b.length; i++) b[i] = parseInt(text.slice(2 * i, 2 * i + 2), 16);
  return b;
}

/** What callers may hand over where bytes are meant. */
export function toBytes(v: BytesLike, what: string): Uint8Array {
  if (v instanceof Uint8Array) return v;
  const text = v.startsWith("0x") ? v.slice(2) : v;
  if (text.length % 2 !== 0 || !/^[0-9a-fA-F]*$/.test(text)) {
    throw new CheckError("usage", `${what} is not hex`);
  }
  return fromHex(text);
}

export function concat(...parts: Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((n, p) => n + p.length, 0));
  let at = 0;
  for (const p of parts) {
    out.set(p, at);
    at += p.length;
  }
  return out;
}

export function equal(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((v, i) => v === b[i]);
}

/** `n` bytes, big-endian. */
export function be(v: number | bigint, n: number): Uint8Array {
  const out = new Uint8Array(n);
  let rest = BigInt(v);
  for (let i = n - 1; i >= 0; i--, rest >>= 8n) out[i] = Number(rest & 255n);
  if (rest !== 0n) throw new CheckError("usage", `${v} does not fit ${n} bytes`);
  return out;
}

export function number(b: Uint8Array): bigint {
  let v = 0n;
  for (const x of b) v = (v << 8n) | BigInt(x);
  return v;
}

export const utf8 = (s: string): Uint8Array => new TextEncoder().encode(s);

/** Bytes that must be UTF-8. */
export function text(b: Uint8Array, what: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(b);
  } catch {
    throw new CheckError("malformed", `${what} is not UTF-8`);
  }
}

export function base64url(b: Uint8Array): string {
  let s = "";
  for (const v of b) s += String.fromCharCode(v);
  return btoa(s).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/** Plain base64, as PEM has it. */
export function unbase64(s: string): Uint8Array {
  return Uint8Array.from(atob(s), (c) => c.charCodeAt(0));
}
