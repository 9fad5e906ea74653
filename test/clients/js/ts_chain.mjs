// The account adapters of the TypeScript client: transactions that a chain mines, signatures that
// the wallets' own libraries recover. node ts_chain.mjs CONFIG
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";

import { JsonRpcProvider, Network, parseEther, verifyMessage, verifyTypedData } from "ethers";
import { createPublicClient, createWalletClient, defineChain, http, recoverMessageAddress, recoverTypedDataAddress } from "viem";
import { QuorateClient, pemStamper } from "quorate-client";
import { QuorateSigner } from "quorate-client/ethers";
import { toQuorateAccount } from "quorate-client/viem";

import { config, result } from "./config.mjs";

const client = new QuorateClient({
  gateways: config.gateways, roster: config.roster, key: config.key, allowInsecureSim: true,
  stamper: await pemStamper(readFileSync(config.client_pem, "utf8")),
});
const to = "0x00000000000000000000000000000000000000aa";
const typed = {
  domain: { name: "Test", version: "1", chainId: 31337, verifyingContract: "0x00000000000000000000000000000000000000bb" },
  types: { Order: [{ name: "maker", type: "address" }, { name: "amount", type: "uint256" }, { name: "notes", type: "string[]" }] },
  message: { maker: to, amount: 10n ** 20n, notes: ["a", "b"] },
};
const mined = [];

{
  const chain = defineChain({
    id: 31337, name: "test", nativeCurrency: { name: "Ether", symbol: "ETH", decimals: 18 }, rpcUrls: { default: { http: [config.chain] } },
  });
  const account = await toQuorateAccount(client);
  const wallet = createWalletClient({ account, chain, transport: http(config.chain) });
  const node = createPublicClient({ chain, transport: http(config.chain) });
  for (const tx of [
    { to, value: 1n },
    { to, value: 2n, type: "legacy", gasPrice: 3_000_000_000n },
    { to, value: 3n, type: "eip2930", gasPrice: 3_000_000_000n, accessList: [{ address: to, storageKeys: [] }] },
    { to, data: "0xa9059cbb" + "00".repeat(64) },
  ]) {
    const hash = await wallet.sendTransaction(tx);
    await node.waitForTransactionReceipt({ hash });
    mined.push(hash);
  }
  const message = "a message, with an \u00e4";
  assert.equal(await recoverMessageAddress({ message, signature: await wallet.signMessage({ message }) }), account.address);
  const t = { ...typed, primaryType: "Order" };
  assert.equal(await recoverTypedDataAddress({ ...t, signature: await wallet.signTypedData(t) }), account.address);
}
{
  const provider = new JsonRpcProvider(config.chain, Network.from(31337), { staticNetwork: true });
  const signer = new QuorateSigner(client, provider, { path: [0, 7] });
  const own = await signer.getAddress();
  assert.equal(own, await client.address([0, 7]));
  await provider.send("anvil_setBalance", [own, "0x8ac7230489e80000"]);
  const tx = await signer.sendTransaction({ to, value: parseEther("0.5") });
  assert.equal((await tx.wait()).status, 1);
  assert.equal((await provider.getTransaction(tx.hash)).from, own);
  assert.equal(verifyMessage("hello", await signer.signMessage("hello")), own);
  assert.equal(verifyTypedData(typed.domain, typed.types, typed.message, await signer.signTypedData(typed.domain, typed.types, typed.message)), own);
  await assert.rejects(signer.signTransaction({ to, from: to, value: 1 }), /another account/);
  provider.destroy();
}
result({ mined });
