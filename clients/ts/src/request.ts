/**
 * Requests: what is to be signed, as the bytes that are stamped and sent, with the digests that are
 * expected back. Every party parses the same bytes and derives the digests itself (daemon/request.h).
 */
import { bitcoinDigest, type Prevout } from "./bitcoin.js";
import { concat, hex, toBytes, utf8, type BytesLike } from "./bytes.js";
import { typedDataDigest, typedDataJson, type TypedData } from "./eip712.js";
import { CheckError } from "./errors.js";
import { keccak256, requestHash, sha256, sha256d } from "./hash.js";
import type { Roster } from "./roster.js";
import { stamp, type Stamper } from "./stamp.js";

export const BODY_MAX = 64 * 1024;
export const ITEMS_MAX = 64;
export const PREIMAGE_MAX = 32 * 1024;
export const PATH_MAX = 8;
export const APPROVALS_MAX = 7;
/** Of an ordinary request; a rule that asks for approvals may allow up to a day. */
export const LIFE_MS_MAX = 300_000;
export const APPROVAL_LIFE_MS_MAX = 86_400_000;

export type Item =
  /** An unsigned Ethereum transaction: legacy RLP, or 0x01, 0x02 and RLP. */
  | { readonly kind: "eth_tx"; readonly preimage: BytesLike }
  /** A message, without the prefix of EIP-191. */
  | { readonly kind: "eip191"; readonly preimage: BytesLike }
  | { readonly kind: "eip712"; readonly document: TypedData }
  | { readonly kind: "btc_bip143" | "btc_legacy"; readonly transaction: BytesLike; readonly input: number;
      readonly prevouts: readonly Prevout[] }
  /** Another input of the transaction of an earlier item. */
  | { readonly kind: "btc_bip143" | "btc_legacy"; readonly input: number; readonly of: number }
  | { readonly kind: "sha256" | "sha256d" | "keccak256"; readonly preimage: BytesLike }
  /** Says nothing of what is signed; refused unless a rule of the policy names this kind. */
  | { readonly kind: "digest"; readonly digest: BytesLike };

export interface RequestOptions {
  /** BIP32, non-hardened. */
  readonly path?: readonly number[];
  /** 16 to 64 of [A-Za-z0-9_-], unique for this client; drawn at random if absent. */
  readonly id?: string;
  /** How long the request may be answered; 120 s if absent. */
  readonly lifeMs?: number;
}

/** A request that was stamped. The same bytes may be sent again, to any gateway: it is signed once. */
export interface PreparedRequest {
  readonly body: Uint8Array;
  readonly stamp: string;
  /** The request hash: what approvals and receipts are bound to. */
  readonly hash: Uint8Array;
  readonly key: Uint8Array;
  readonly path: readonly number[];
  readonly digests: readonly Uint8Array[];
}

interface Built {
  readonly json: Record<string, unknown>;
  readonly digest: Uint8Array;
}

function preimage(v: BytesLike, what: string): Uint8Array {
  const b = toBytes(v, what);
  if (b.length === 0 || b.length > PREIMAGE_MAX) {
    throw new CheckError("usage", `${what}: 1 to ${PREIMAGE_MAX} bytes, not ${b.length}`);
  }
  return b;
}

function sats(v: number | bigint, what: string): number {
  const n = Number(v);
  if (!Number.isSafeInteger(n) || n < 0) throw new CheckError("usage", `${what} is no amount`);
  return n;
}

function bitcoinItem(items: readonly Item[], i: number, what: string): Built {
  const it = items[i] as Extract<Item, { kind: "btc_bip143" | "btc_legacy" }>;
  if ("of" in it) {
    const first = items[it.of];
    if (it.of >= i || first === undefined || first.kind !== it.kind || !("prevouts" in first)) {
      throw new CheckError("usage", `${what}.of names no earlier item of this kind with a transaction`);
    }
    return {
      json: { kind: it.kind, input: it.input, of: it.of },
      digest: bitcoinDigest(it.kind, first.transaction, it.input, first.prevouts),
    };
  }
  const script = (v: BytesLike | undefined): string | undefined => (v === undefined ? undefined : hex(toBytes(v, what)));
  const prevouts = it.prevouts.map((p) => ({
    sat: sats(p.sat, `${what}.prevouts`), script: script(p.script), redeem: script(p.redeem), witness: script(p.witness),
  }));
  return {
    json: { kind: it.kind, preimage: hex(preimage(it.transaction, what)), input: it.input, prevouts },
    digest: bitcoinDigest(it.kind, it.transaction, it.input, it.prevouts),
  };
}

function build(items: readonly Item[], i: number): Built {
  const it = items[i] as Item;
  const what = `items[${i}]`;
  switch (it.kind) {
    case "digest": {
      const digest = toBytes(it.digest, what);
      if (digest.length !== 32) throw new CheckError("usage", `${what}.digest has ${digest.length} bytes, not 32`);
      return { json: { kind: it.kind, digest: hex(digest) }, digest };
    }
    case "eip712": {
      const b = preimage(utf8(typedDataJson(it.document)), what);
      return { json: { kind: it.kind, preimage: hex(b) }, digest: typedDataDigest(it.document) };
    }
    case "btc_bip143":
    case "btc_legacy":
      return bitcoinItem(items, i, what);
    case "eth_tx":
    case "eip191":
    case "sha256":
    case "sha256d":
    case "keccak256": {
      const b = preimage(it.preimage, what);
      const prefix = utf8(`\x19Ethereum Signed Message:\n${b.length}`);
      const digest = it.kind === "eip191" ? keccak256(concat(prefix, b)) :
        it.kind === "sha256" ? sha256(b) : it.kind === "sha256d" ? sha256d(b) : keccak256(b);
      return { json: { kind: it.kind, preimage: hex(b) }, digest };
    }
    default:
      throw new CheckError("usage", `${what}: "${(it as { kind: string }).kind}" is no kind`);
  }
}

/** Writes and stamps a request. Nothing is sent. */
export async function prepareRequest(roster: Roster, key: Uint8Array, stamper: Stamper, items: readonly Item[],
                                     options: RequestOptions = {}): Promise<PreparedRequest> {
  const path = options.path ?? [];
  const life = options.lifeMs ?? 120_000;
  const id = options.id ?? hex(crypto.getRandomValues(new Uint8Array(16)));
  if (items.length < 1 || items.length > ITEMS_MAX) throw new CheckError("usage", `1 to ${ITEMS_MAX} items, not ${items.length}`);
  if (path.length > PATH_MAX || path.some((v) => !Number.isInteger(v) || v < 0 || v >= 2 ** 31)) {
    throw new CheckError("usage", `path: up to ${PATH_MAX} numbers below 2^31; hardened children are impossible`);
  }
  if (!/^[A-Za-z0-9_-]{16,64}$/.test(id)) throw new CheckError("usage", "id: 16 to 64 of [A-Za-z0-9_-]");
  if (!Number.isInteger(life) || life < 1 || life > APPROVAL_LIFE_MS_MAX) {
    throw new CheckError("usage", `lifeMs: 1 to ${APPROVAL_LIFE_MS_MAX}`);
  }
  const built = items.map((_, i) => build(items, i));
  const now = Date.now();
  const body = utf8(JSON.stringify({
    v: 1, cluster: hex(roster.cluster), key: hex(key), id, issued_ms: now, expires_ms: now + life,
    path, items: built.map((b) => b.json),
  }));
  if (body.length > BODY_MAX) throw new CheckError("usage", `the request has ${body.length} bytes; ${BODY_MAX} are allowed`);
  return {
    body, stamp: await stamp(stamper, body), hash: requestHash(body), key, path,
    digests: built.map((b) => b.digest),
  };
}
