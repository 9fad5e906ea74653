/** What both account adapters share: a client and a path, seen as an Ethereum account. */
import type { QuorateClient, SendOptions } from "./client.js";
import { be, concat, hex } from "./bytes.js";
import { CheckError } from "./errors.js";
import type { EcdsaSignature } from "./key.js";
import type { Item, RequestOptions } from "./request.js";

export interface AccountOptions extends SendOptions {
  readonly path?: readonly number[];
  /** Of each request; see RequestOptions. */
  readonly lifeMs?: number;
  /**
   * Called before each request is sent, with the bytes that were stamped; returns the approvals that
   * the policy's rule asks for. Absent: none are sent.
   */
  readonly approve?: (request: { readonly body: Uint8Array; readonly hash: Uint8Array; readonly stamp: string }) =>
    Promise<readonly string[]>;
}

/** Has one item signed. */
export async function signItem(client: QuorateClient, item: Item, o: AccountOptions): Promise<EcdsaSignature> {
  const request: RequestOptions = { ...(o.path && { path: o.path }), ...(o.lifeMs !== undefined && { lifeMs: o.lifeMs }) };
  const prepared = await client.prepare([item], request);
  const approvals = o.approve ? await o.approve(prepared) : o.approvals;
  const r = await client.send(prepared, { ...o, ...(approvals && { approvals }) });
  const s = r.signatures[0];
  if (s === undefined) throw new CheckError("untrusted", "no signature came back");
  return s;
}

/** r || s || v as 0x-hex: 65 bytes, v 27 or 28. */
export function ethSignature(s: EcdsaSignature): `0x${string}` {
  if (s.recid > 1) throw new CheckError("untrusted", "a recovery id that Ethereum does not have");
  return `0x${hex(concat(s.r, s.s, be(27 + s.recid, 1)))}`;
}
