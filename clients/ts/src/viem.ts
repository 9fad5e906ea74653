/**
 * A quorum's key as a viem account: `createWalletClient({ account: await toQuorateAccount(client), … })`.
 * viem itself is a peer dependency; nothing of it is bundled.
 */
import { isHex, serializeTransaction, type Hex, type LocalAccount, type SerializeTransactionFn, type TransactionSerializable,
         type TypedDataDefinition } from "viem";
import { toAccount } from "viem/accounts";

import { hex, toBytes, utf8 } from "./bytes.js";
import type { QuorateClient } from "./client.js";
import type { TypedData } from "./eip712.js";
import { CheckError } from "./errors.js";
import { ethSignature, signItem, type AccountOptions } from "./ethereum.js";

/** The key's address is asked for and checked against the roster once. */
export async function toQuorateAccount(client: QuorateClient, options: AccountOptions = {}): Promise<LocalAccount> {
  const address = await client.address(options.path);
  return toAccount({
    address,
    async signMessage({ message }): Promise<Hex> {
      const raw = typeof message === "string" ? utf8(message) : toBytes(message.raw, "message");
      return ethSignature(await signItem(client, { kind: "eip191", preimage: raw }, options));
    },
    async signTransaction(tx, args): Promise<Hex> {
      const serializer = (args?.serializer ?? serializeTransaction) as SerializeTransactionFn<TransactionSerializable>;
      const unsigned = await serializer(tx as TransactionSerializable);
      const s = await signItem(client, { kind: "eth_tx", preimage: unsigned }, options);
      if (s.recid > 1) throw new CheckError("untrusted", "a recovery id that Ethereum does not have");
      return await serializer(tx as TransactionSerializable, {
        r: `0x${hex(s.r)}`, s: `0x${hex(s.s)}`, yParity: s.recid, v: BigInt(27 + s.recid),
      });
    },
    async signTypedData(parameters): Promise<Hex> {
      const d = parameters as unknown as TypedDataDefinition;
      const document = {
        types: d.types, primaryType: d.primaryType, domain: d.domain ?? {}, message: d.message,
      } as unknown as TypedData;
      return ethSignature(await signItem(client, { kind: "eip712", document }, options));
    },
    async sign({ hash }): Promise<Hex> {
      if (!isHex(hash)) throw new CheckError("usage", "hash is not hex");
      return ethSignature(await signItem(client, { kind: "digest", digest: hash }, options));
    },
  }) as LocalAccount;
}

export type { AccountOptions } from "./ethereum.js";
