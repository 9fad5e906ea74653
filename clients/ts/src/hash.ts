/** Hashes: the protocol's tagged hash (protocol/SPEC.md, section 1) and the plain ones. */
import { keccak_256 } from "@noble/hashes/sha3.js";
import { sha256, sha512 } from "@noble/hashes/sha2.js";
import { hmac } from "@noble/hashes/hmac.js";

import { be, concat, utf8 } from "./bytes.js";

export const keccak256 = (b: Uint8Array): Uint8Array => keccak_256(b);
export const sha256d = (b: Uint8Array): Uint8Array => sha256(sha256(b));
export const hmacSha512 = (key: Uint8Array, b: Uint8Array): Uint8Array => hmac(sha512, key, b);
export { sha256 };

/** TH(tag; fields): every use has a tag of its own, every field its length. */
export function taggedHash(tag: string, ...fields: Uint8Array[]): Uint8Array {
  const t = sha256(utf8(`quorate/1/${tag}`));
  const parts = [t, t, be(fields.length, 4)];
  for (const f of fields) parts.push(be(f.length, 4), f);
  return sha256(concat(...parts));
}

/** The request hash: what the session, the answer, the approvals and the receipt are bound to. */
export function requestHash(body: Uint8Array): Uint8Array {
  return sha256(concat(utf8("quorate/sign-request/v1"), be(body.length, 4), body));
}
