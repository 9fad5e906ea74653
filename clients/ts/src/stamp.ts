/**
 * Stamps: the client's own signature over the exact bytes of its request. Keys stay where they are:
 * WebCrypto's may be non-extractable, and any other signer (a key store, a hardware token) will do.
 */
import { base64url, concat, hex, unbase64, utf8 } from "./bytes.js";
import { CheckError } from "./errors.js";

export type StampScheme = "p256" | "secp256k1" | "ed25519";

const WIRE: Record<StampScheme, string> = {
  p256: "SIGNATURE_SCHEME_TK_API_P256",
  secp256k1: "SIGNATURE_SCHEME_TK_API_SECP256K1",
  ed25519: "SIGNATURE_SCHEME_TK_API_ED25519",
};

/** Who stamps. */
export interface Stamper {
  readonly scheme: StampScheme;
  /** 33 bytes compressed; Ed25519: 32. As the policy has it, in hex. */
  readonly publicKey: string;
  /** ECDSA: DER over SHA-256 of the bytes. Ed25519: 64 bytes over the bytes. */
  sign(body: Uint8Array): Promise<Uint8Array>;
}

/** The header's value. */
export async function stamp(who: Stamper, body: Uint8Array): Promise<string> {
  const signature = hex(await who.sign(body));
  return base64url(utf8(JSON.stringify({ publicKey: who.publicKey, signature, scheme: WIRE[who.scheme] })));
}

/** r || s, as WebCrypto gives it, to DER. */
export function derOf(rs: Uint8Array): Uint8Array {
  const integer = (v: Uint8Array): Uint8Array => {
    let at = 0;
    while (at < v.length - 1 && v[at] === 0) at++;
    const body = (v[at] ?? 0) > 127 ? concat(Uint8Array.of(0), v.subarray(at)) : v.subarray(at);
    return concat(Uint8Array.of(2, body.length), body);
  };
  const half = rs.length / 2;
  const both = concat(integer(rs.subarray(0, half)), integer(rs.subarray(half)));
  return concat(Uint8Array.of(0x30, both.length), both);
}

async function publicHex(key: CryptoKey, scheme: StampScheme): Promise<string> {
  const raw = new Uint8Array(await crypto.subtle.exportKey("raw", key));
  if (scheme === "ed25519") return hex(raw);
  return hex(concat(Uint8Array.of(2 + ((raw[64] ?? 0) & 1)), raw.subarray(1, 33)));
}

/** A key pair of WebCrypto: ECDSA on P-256, or Ed25519. The private key need not be extractable. */
export async function webCryptoStamper(pair: CryptoKeyPair): Promise<Stamper> {
  const name = pair.privateKey.algorithm.name;
  const scheme = name === "ECDSA" ? "p256" : name === "Ed25519" ? "ed25519" : undefined;
  const curve = (pair.privateKey.algorithm as EcKeyAlgorithm).namedCurve;
  if (scheme === undefined || (scheme === "p256" && curve !== "P-256")) {
    throw new CheckError("usage", "stamps are made with ECDSA on P-256 or with Ed25519");
  }
  return {
    scheme,
    publicKey: await publicHex(pair.publicKey, scheme),
    async sign(body) {
      const how = scheme === "p256" ? { name: "ECDSA", hash: "SHA-256" } : { name: "Ed25519" };
      const raw = new Uint8Array(await crypto.subtle.sign(how, pair.privateKey, body as BufferSource));
      return scheme === "p256" ? derOf(raw) : raw;
    },
  };
}

/** A new non-extractable P-256 pair, for a browser to keep in IndexedDB. */
export async function newStampKey(): Promise<CryptoKeyPair> {
  return crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, false, ["sign", "verify"]);
}

/**
 * A private key in PEM, as `quorate key new` writes it (PKCS #8; P-256 or Ed25519). The imported key
 * cannot be exported again; what the text itself is kept in is the caller's business.
 */
export async function pemStamper(pem: string): Promise<Stamper> {
  const m = /^\s*-----BEGIN PRIVATE KEY-----\s([A-Za-z0-9+/=\s]+)-----END PRIVATE KEY-----\s*$/.exec(pem);
  if (m?.[1] === undefined) throw new CheckError("usage", "this is no PKCS #8 private key in PEM");
  const der = unbase64(m[1].replace(/\s/g, ""));
  // Which of the two is tried, not read out of the DER.
  for (const how of [{ name: "ECDSA", namedCurve: "P-256" }, { name: "Ed25519" }]) {
    let extractable: CryptoKey;
    try {
      extractable = await crypto.subtle.importKey("pkcs8", der as BufferSource, how, true, ["sign"]);
    } catch {
      continue;
    }
    const jwk = await crypto.subtle.exportKey("jwk", extractable);
    const { d: _d, key_ops: _k, ...pub } = jwk;
    const publicKey = await crypto.subtle.importKey("jwk", pub, how, true, ["verify"]);
    const privateKey = await crypto.subtle.importKey("pkcs8", der as BufferSource, how, false, ["sign"]);
    return webCryptoStamper({ privateKey, publicKey });
  }
  throw new CheckError("usage", "the key is neither P-256 nor Ed25519");
}
