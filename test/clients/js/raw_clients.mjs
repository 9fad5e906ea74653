// The published clients of the raw-payload wire format, unmodified, against a gateway: two wallets'
// libraries have transactions mined, typed data and messages signed, and several payloads at once.
// node raw_clients.mjs CONFIG
import assert from "node:assert/strict";

import { ApiKeyStamper } from "@turnkey/api-key-stamper";
import { TurnkeySigner } from "@turnkey/ethers";
import { TurnkeyClient } from "@turnkey/http";
import { createAccount } from "@turnkey/viem";
import { JsonRpcProvider, Network, hashMessage, parseEther, verifyMessage, verifyTypedData } from "ethers";
import { createPublicClient, createWalletClient, defineChain, http, recoverAddress, recoverMessageAddress, recoverTypedDataAddress } from "viem";

import { config, result } from "./config.mjs";

const stamper = new ApiKeyStamper({ apiPublicKey: config.client_key, apiPrivateKey: config.client_secret });
const client = new TurnkeyClient({ baseUrl: config.gateways[0] }, stamper);
const organizationId = config.cluster;
const to = "0x00000000000000000000000000000000000000aa";
const typed = {
  domain: { name: "Test", version: "1", chainId: 31337, verifyingContract: "0x00000000000000000000000000000000000000bb" },
  types: { Order: [{ name: "maker", type: "address" }, { name: "amount", type: "uint256" }] },
  message: { maker: to, amount: 10n ** 20n },
};
const mined = [];
const done = [];

{
  const chain = defineChain({
    id: 31337, name: "test", nativeCurrency: { name: "Ether", symbol: "ETH", decimals: 18 }, rpcUrls: { default: { http: [config.chain] } },
  });
  const account = await createAccount({ client, organizationId, signWith: config.address, ethereumAddress: config.address });
  const wallet = createWalletClient({ account, chain, transport: http(config.chain) });
  const node = createPublicClient({ chain, transport: http(config.chain) });
  for (const tx of [{ to, value: 1n }, { to, value: 2n, type: "legacy", gasPrice: 3_000_000_000n }]) {
    const hash = await wallet.sendTransaction(tx);
    await node.waitForTransactionReceipt({ hash });
    mined.push(hash);
  }
  const same = (a) => assert.equal(a.toLowerCase(), config.address);
  if (config.digests) {
    const message = "hello, with an \u00e4";
    same(await recoverMessageAddress({ message, signature: await wallet.signMessage({ message }) }));
  }
  const t = { ...typed, primaryType: "Order" };
  same(await recoverTypedDataAddress({ ...t, signature: await wallet.signTypedData(t) }));
  done.push("viem");
}
{
  const provider = new JsonRpcProvider(config.chain, Network.from(31337), { staticNetwork: true });
  const signer = new TurnkeySigner({ client, organizationId, signWith: config.address }).connect(provider);
  const tx = await signer.sendTransaction({ to, value: parseEther("0.5"), type: 2 });
  assert.equal((await tx.wait()).status, 1);
  mined.push(tx.hash);
  const same = (a) => assert.equal(a.toLowerCase(), config.address);
  if (config.digests) same(verifyMessage("hello", await signer.signMessage("hello")));
  same(verifyTypedData(typed.domain, typed.types, typed.message, await signer.signTypedData(typed.domain, typed.types, typed.message)));
  provider.destroy();
  done.push("ethers");
}
{
  const payloads = ["hello", "hello again"].map((m) => Buffer.from(m).toString("hex"));
  const r = await client.signRawPayloads({
    type: "ACTIVITY_TYPE_SIGN_RAW_PAYLOADS", organizationId, timestampMs: String(Date.now()),
    parameters: { signWith: config.key, payloads, encoding: "PAYLOAD_ENCODING_HEXADECIMAL", hashFunction: "HASH_FUNCTION_KECCAK256" },
  });
  assert.equal(r.activity.status, "ACTIVITY_STATUS_COMPLETED");
  const { keccak256 } = await import("viem");
  const all = r.activity.result.signRawPayloadsResult.signatures;
  assert.equal(all.length, 2);
  for (const [i, s] of all.entries()) {
    const signature = `0x${s.r}${s.s}${s.v === "00" ? "1b" : "1c"}`;
    assert.equal((await recoverAddress({ hash: keccak256(`0x${payloads[i]}`), signature })).toLowerCase(), config.address);
  }
  done.push("several payloads");
}
{
  // What no rule allows is refused, in the form that these clients understand.
  const digest = {
    type: "ACTIVITY_TYPE_SIGN_RAW_PAYLOAD_V2", organizationId, timestampMs: String(Date.now()),
    parameters: { signWith: config.address, payload: hashMessage("x"), encoding: "PAYLOAD_ENCODING_HEXADECIMAL", hashFunction: "HASH_FUNCTION_NO_OP" },
  };
  if (!config.digests) await assert.rejects(client.signRawPayload(digest), /policy_denied/);
  const stranger = new TurnkeyClient({ baseUrl: config.gateways[0] }, new ApiKeyStamper({
    apiPublicKey: config.stranger_key, apiPrivateKey: config.stranger_secret,
  }));
  await assert.rejects(stranger.signRawPayload({
    type: "ACTIVITY_TYPE_SIGN_RAW_PAYLOAD_V2", organizationId, timestampMs: String(Date.now()),
    parameters: { signWith: config.address, payload: "00", encoding: "PAYLOAD_ENCODING_HEXADECIMAL", hashFunction: "HASH_FUNCTION_KECCAK256" },
  }), /client_unknown/);
  done.push("refusals");
}
result({ mined, done });
