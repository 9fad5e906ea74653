/**
 * A quorum's key as an ethers v6 Signer: `new QuorateSigner(client, provider)`.
 * ethers itself is a peer dependency; nothing of it is bundled.
 */
import { AbstractSigner, Transaction, TypedDataEncoder, copyRequest, getAddress, resolveAddress, resolveProperties, toUtf8Bytes,
         type Provider, type TransactionLike, type TransactionRequest, type TypedDataDomain,
         type TypedDataField } from "ethers";

import { hex } from "./bytes.js";
import type { QuorateClient } from "./client.js";
import type { TypedData } from "./eip712.js";
import { CheckError } from "./errors.js";
import { ethSignature, signItem, type AccountOptions } from "./ethereum.js";

export class QuorateSigner extends AbstractSigner {
  readonly #client: QuorateClient;
  readonly #options: AccountOptions;

  constructor(client: QuorateClient, provider: Provider | null = null, options: AccountOptions = {}) {
    super(provider);
    this.#client = client;
    this.#options = options;
  }

  override connect(provider: Provider | null): QuorateSigner {
    return new QuorateSigner(this.#client, provider, this.#options);
  }

  async getAddress(): Promise<string> {
    return this.#client.address(this.#options.path);
  }

  async signTransaction(request: TransactionRequest): Promise<string> {
    // What comes may be a Transaction, whose members are getters.
    const { to, from, ...rest } = await resolveProperties(copyRequest(request));
    const own = await this.getAddress();
    if (from != null && getAddress(await resolveAddress(from, this.provider)) !== own) {
      throw new CheckError("usage", "from is another account");
    }
    const like = { ...rest, ...(to != null && { to: await resolveAddress(to, this.provider) }) };
    const tx = Transaction.from(like as TransactionLike<string>);
    const s = await signItem(this.#client, { kind: "eth_tx", preimage: tx.unsignedSerialized }, this.#options);
    if (s.recid > 1) throw new CheckError("untrusted", "a recovery id that Ethereum does not have");
    tx.signature = { r: `0x${hex(s.r)}`, s: `0x${hex(s.s)}`, yParity: s.recid === 1 ? 1 : 0 };
    return tx.serialized;
  }

  async signMessage(message: string | Uint8Array): Promise<string> {
    const preimage = typeof message === "string" ? toUtf8Bytes(message) : message;
    return ethSignature(await signItem(this.#client, { kind: "eip191", preimage }, this.#options));
  }

  async signTypedData(domain: TypedDataDomain, types: Record<string, TypedDataField[]>,
                      value: Record<string, unknown>): Promise<string> {
    const document = TypedDataEncoder.getPayload(domain, types, value) as TypedData;
    return ethSignature(await signItem(this.#client, { kind: "eip712", document }, this.#options));
  }
}

export type { AccountOptions } from "./ethereum.js";
