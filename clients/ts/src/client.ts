/**
 * The client: asks a quorum for signatures through gateways that it does not trust.
 *
 * A gateway can refuse, delay and lie. So the key is checked against the roster before it is used,
 * the request's digests are computed here, and what comes back is verified before it is returned. A
 * gateway that is away, busy, or lying is left for the next one, with the same bytes.
 */
import { equal, hex, text, toBytes, unhex, type BytesLike } from "./bytes.js";
import { AllGatewaysFailed, CheckError, NetworkError, Problem } from "./errors.js";
import { checkKey, checkSignature, derive, ethereumAddress, type EcdsaSignature, type QuorumKey } from "./key.js";
import { APPROVALS_MAX, prepareRequest, type Item, type PreparedRequest, type RequestOptions } from "./request.js";
import { integer, list, members, parseJson, parseRoster, type Roster } from "./roster.js";
import type { Stamper } from "./stamp.js";

const ANSWER_MAX = 4 * 1024 * 1024;

export interface ClientOptions {
  /** Base addresses, tried in this order. */
  readonly gateways: readonly string[];
  /** The roster you trust: its exact bytes or text. */
  readonly roster: string | Uint8Array;
  /** The quorum's public key: 33 bytes, or hex. */
  readonly key: BytesLike;
  readonly stamper: Stamper;
  /** Take a key of the software TEE, which protects nothing. Tests only. */
  readonly allowInsecureSim?: boolean;
  /** For one gateway; 30 s if absent. */
  readonly timeoutMs?: number;
  /** Another fetch than the platform's: for certificates of one's own, say. */
  readonly fetch?: typeof globalThis.fetch;
}

export type Progress =
  | { readonly stage: "asking"; readonly gateway: string }
  | { readonly stage: "key-checked"; readonly gateway: string }
  | { readonly stage: "failed"; readonly gateway: string; readonly error: Error }
  | { readonly stage: "verified"; readonly gateway: string };

export interface SendOptions {
  /** X-Approval values that approvers gave for this very request. */
  readonly approvals?: readonly string[];
  readonly onProgress?: (p: Progress) => void;
  readonly signal?: AbortSignal;
}

export interface SignResult {
  readonly request: Uint8Array;
  /** What the signatures verify under: the key, or its child along the path. */
  readonly publicKey: Uint8Array;
  readonly signatures: readonly (EcdsaSignature & { readonly digest: Uint8Array })[];
  readonly signers: readonly number[];
  readonly insecureSim: boolean;
}

interface Reply {
  readonly text: string;
}

/** A body of at most `max` bytes; a gateway may send for ever. */
async function readAll(r: Response, max: number, gateway: string): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let n = 0;
  const reader = r.body?.getReader();
  for (;;) {
    const step = await reader?.read();
    if (step === undefined || step.done) break;
    n += step.value.length;
    if (n > max) {
      await reader?.cancel();
      throw new CheckError("untrusted", `${gateway} sent more than ${max} bytes`);
    }
    parts.push(step.value);
  }
  const out = new Uint8Array(n);
  let at = 0;
  for (const p of parts) {
    out.set(p, at);
    at += p.length;
  }
  return out;
}

export class QuorateClient {
  readonly roster: Roster;
  readonly publicKey: Uint8Array;
  readonly #o: ClientOptions;
  readonly #gateways: readonly string[];
  #key: QuorumKey | undefined;

  constructor(options: ClientOptions) {
    this.#o = options;
    this.roster = parseRoster(options.roster);
    this.publicKey = toBytes(options.key, "key");
    if (this.publicKey.length !== 33) throw new CheckError("usage", "key: 33 bytes, compressed");
    this.#gateways = options.gateways.map((g) => {
      const u = new URL(g);
      const loopback = /^(127\.[0-9.]+|\[::1\]|localhost)$/.test(u.hostname);
      if (u.protocol !== "https:" && !(u.protocol === "http:" && loopback)) {
        throw new CheckError("usage", `${g}: https, or http on this machine`);
      }
      return g.replace(/\/+$/, "");
    });
    if (this.#gateways.length === 0) throw new CheckError("usage", "no gateway is given");
  }

  /** The key, checked against the roster; asked for once. */
  async key(options: SendOptions = {}): Promise<QuorumKey> {
    return this.#key ?? this.#each(options, (g) => this.#fetchKey(g, options));
  }

  /** What signatures along this path verify under. */
  async child(path: readonly number[] = []): Promise<Uint8Array> {
    return derive(await this.key(), path);
  }

  /** Its Ethereum address, with checksum. */
  async address(path: readonly number[] = []): Promise<`0x${string}`> {
    return ethereumAddress(await this.child(path));
  }

  /** Writes and stamps a request without sending it: for approvers to look at first. */
  async prepare(items: readonly Item[], options: RequestOptions = {}): Promise<PreparedRequest> {
    return prepareRequest(this.roster, this.publicKey, this.#o.stamper, items, options);
  }

  /** Sends a prepared request. Sending it again is harmless: it is signed once. */
  async send(request: PreparedRequest, options: SendOptions = {}): Promise<SignResult> {
    const approvals = options.approvals ?? [];
    if (approvals.length > APPROVALS_MAX || approvals.some((a) => !/^[A-Za-z0-9_-]+$/.test(a))) {
      throw new CheckError("usage", `up to ${APPROVALS_MAX} approvals, each base64url`);
    }
    return this.#each(options, async (g) => {
      const key = this.#key ?? (await this.#fetchKey(g, options));
      const headers = new Headers({ "Content-Type": "application/json", "X-Stamp": request.stamp });
      for (const a of approvals) headers.append("X-Approval", a);
      const r = await this.#call(g, "/v1/sign", { method: "POST", headers, body: request.body as BodyInit }, options);
      return this.#check(r, request, key);
    });
  }

  /** prepare and send. */
  async sign(items: readonly Item[], options: RequestOptions & SendOptions = {}): Promise<SignResult> {
    return this.send(await this.prepare(items, options), options);
  }

  /** The receipt of a request that was signed, as text; verifyReceipt says what it is worth. */
  async receipt(request: Uint8Array, options: SendOptions = {}): Promise<string> {
    return this.#each(options, async (g) => (await this.#call(g, `/v1/receipts/${hex(request)}`, {}, options)).text);
  }

  async #fetchKey(gateway: string, options: SendOptions): Promise<QuorumKey> {
    const r = await this.#call(gateway, `/v1/keys/${hex(this.publicKey)}`, {}, options);
    const key = checkKey(r.text, this.publicKey, this.roster);
    if (key.insecureSim && this.#o.allowInsecureSim !== true) {
      throw new CheckError("untrusted", "the key was made with the software TEE, which protects nothing");
    }
    this.#key = key;
    options.onProgress?.({ stage: "key-checked", gateway });
    return key;
  }

  #check(r: Reply, asked: PreparedRequest, key: QuorumKey): SignResult {
    const o = members(parseJson(r.text, "the answer"), "the answer", ["v", "request", "key", "signatures", "signers"],
                      ["micros", "bytes", "moves", "move_reason", "insecure_sim"]);
    if (o["v"] !== 1) throw new CheckError("malformed", "the answer is of another version");
    if (!equal(unhex(o["request"], 32, "request"), asked.hash)) throw new CheckError("untrusted", "the answer is to another request");
    if (!equal(unhex(o["key"], 33, "key"), this.publicKey)) throw new CheckError("untrusted", "the answer is for another key");
    const publicKey = derive(key, asked.path);
    const n = asked.digests.length;
    const signatures = list(o["signatures"], n, n, "signatures").map((v, i) => {
      const s = members(v, `signatures[${i}]`, ["digest", "r", "s", "recid"]);
      const digest = unhex(s["digest"], 32, "digest");
      if (!equal(digest, asked.digests[i] as Uint8Array)) {
        throw new CheckError("untrusted", `signature ${i + 1} is of another digest than what was asked for`);
      }
      const sig = { digest, r: unhex(s["r"], 32, "r"), s: unhex(s["s"], 32, "s"), recid: integer(s["recid"], 0, 3, "recid") };
      checkSignature(publicKey, digest, sig);
      return sig;
    });
    const signers = list(o["signers"], key.threshold, key.threshold, "signers")
      .map((v) => integer(v, 1, key.parties, "signers"));
    return { request: asked.hash, publicKey, signatures, signers, insecureSim: key.insecureSim };
  }

  async #call(gateway: string, path: string, init: RequestInit, options: SendOptions): Promise<Reply> {
    const limit = AbortSignal.timeout(this.#o.timeoutMs ?? 30_000);
    const signal = options.signal ? AbortSignal.any([options.signal, limit]) : limit;
    let status: number, retry: string | null, type: string, bytes: Uint8Array;
    try {
      const r = await (this.#o.fetch ?? globalThis.fetch)(gateway + path, {
        ...init, signal, redirect: "error", cache: "no-store", credentials: "omit", referrerPolicy: "no-referrer",
      });
      status = r.status;
      retry = r.headers.get("Retry-After");
      type = r.headers.get("Content-Type") ?? "";
      bytes = await readAll(r, ANSWER_MAX, gateway);
    } catch (e) {
      if (e instanceof CheckError) throw e;
      const why = e instanceof Error ? (e.cause instanceof Error ? e.cause.message : e.message) : String(e);
      throw new NetworkError(gateway, why, e);
    }
    if (status === 200) return { text: text(bytes, "the answer") };
    let o: unknown = {};
    try {
      if (/^application\/problem\+json\b/.test(type)) o = JSON.parse(text(bytes, "the problem"));
    } catch {
      o = {};
    }
    const problem = typeof o === "object" && o !== null ? (o as Record<string, unknown>) : {};
    throw new Problem(gateway, status, problem, retry);
  }

  /** One gateway after the other. Any refusal may be a lie, so all of them are asked. */
  async #each<T>(options: SendOptions, ask: (gateway: string) => Promise<T>): Promise<T> {
    const errors: Error[] = [];
    for (const gateway of this.#gateways) {
      options.onProgress?.({ stage: "asking", gateway });
      try {
        const result = await ask(gateway);
        options.onProgress?.({ stage: "verified", gateway });
        return result;
      } catch (e) {
        if (options.signal?.aborted) throw e;
        const error = e instanceof Error ? e : new Error(String(e));
        errors.push(error);
        options.onProgress?.({ stage: "failed", gateway, error });
      }
    }
    throw errors.length === 1 ? (errors[0] as Error) : new AllGatewaysFailed(errors);
  }
}
