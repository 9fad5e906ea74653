// Three libraries that speak Ethereum JSON-RPC, unmodified, at the facade. node rpc_clients.mjs CONFIG
import assert from "node:assert/strict";

import { FetchRequest, JsonRpcProvider, Transaction, hashMessage, recoverAddress as recoverByEthers, verifyMessage, verifyTypedData } from "ethers";
import { createPublicClient, createWalletClient, defineChain, http, parseTransaction, recoverMessageAddress, recoverTypedDataAddress } from "viem";
import { HttpProvider, Web3 } from "web3";

import { config, result } from "./config.mjs";

const headers = { Authorization: `Bearer ${config.token}` };
const to = "0x00000000000000000000000000000000000000aa";
const domain = { name: "Test", version: "1", chainId: 31337, verifyingContract: "0x00000000000000000000000000000000000000bb" };
const types = { Order: [{ name: "maker", type: "address" }, { name: "amount", type: "uint256" }] };
const message = { maker: to, amount: 10n ** 20n };
const same = (a) => assert.equal(a.toLowerCase(), config.address);
const chain = defineChain({
  id: 31337, name: "test", nativeCurrency: { name: "Ether", symbol: "ETH", decimals: 18 }, rpcUrls: { default: { http: [config.chain] } },
});
const node = createPublicClient({ chain, transport: http(config.chain) });
const mined = [];
const done = [];

// The facade signs and has no node: what it signed is sent by the test.
async function send(raw) {
  const hash = await node.sendRawTransaction({ serializedTransaction: raw });
  await node.waitForTransactionReceipt({ hash });
  mined.push(hash);
}
const nonce = () => node.getTransactionCount({ address: config.address });

{
  const wallet = createWalletClient({ chain, transport: http(config.facade, { fetchOptions: { headers } }) });
  const [account] = await wallet.getAddresses();
  same(account);
  assert.equal(await wallet.getChainId(), 31337);
  for (const tx of [
    { to, value: 1n, gas: 21000n, maxFeePerGas: 3_000_000_000n, maxPriorityFeePerGas: 1n },
    { to, value: 2n, gas: 21000n, gasPrice: 3_000_000_000n, type: "legacy" },
    { to, value: 3n, gas: 30000n, gasPrice: 3_000_000_000n, type: "eip2930", accessList: [{ address: to, storageKeys: [`0x${"01".repeat(32)}`] }] },
  ]) {
    const signed = await wallet.signTransaction({ account, nonce: await nonce(), ...tx });
    assert.equal(parseTransaction(signed.raw).to, to);
    await send(signed.raw);
  }
  const text = "hello, with an \u00e4";
  same(await recoverMessageAddress({ message: text, signature: await wallet.signMessage({ account, message: text }) }));
  const typed = { domain, types, primaryType: "Order", message };
  same(await recoverTypedDataAddress({ ...typed, signature: await wallet.signTypedData({ account, ...typed }) }));
  await assert.rejects(wallet.signMessage({ account: to, message: text }));
  const nobody = createWalletClient({ chain, transport: http(config.facade, { retryCount: 0 }) });
  await assert.rejects(nobody.getAddresses(), /401/);
  done.push("viem");
}
{
  const request = new FetchRequest(config.facade);
  request.setHeader("Authorization", headers.Authorization);
  const provider = new JsonRpcProvider(request); // asks for the chain, and sends batches
  assert.equal((await provider.getNetwork()).chainId, 31337n);
  const signer = await provider.getSigner();
  same(await signer.getAddress());
  const signed = await signer.signTransaction({
    type: 2, chainId: 31337, to, value: 4, nonce: await nonce(), gasLimit: 21000, maxFeePerGas: 3_000_000_000n, maxPriorityFeePerGas: 1n,
  });
  same(Transaction.from(signed.raw).from);
  await send(signed.raw);
  const [a, b, c] = await Promise.all([signer.signMessage("one"), signer._legacySignMessage("two"), signer.signTypedData(domain, types, message)]);
  same(verifyMessage("one", a));
  same(recoverByEthers(hashMessage("two"), b));
  same(verifyTypedData(domain, types, message, c));
  provider.destroy();
  done.push("ethers");
}
{
  const web3 = new Web3(new HttpProvider(config.facade, { providerOptions: { headers } }));
  const [account] = await web3.eth.getAccounts();
  same(account);
  const signed = await web3.eth.signTransaction({
    from: account, to, value: "5", nonce: await nonce(), gas: "21000", maxFeePerGas: "3000000000", maxPriorityFeePerGas: "1", chainId: 31337, type: 2,
  });
  same(web3.eth.accounts.recoverTransaction(signed.raw));
  await send(signed.raw);
  const data = web3.utils.utf8ToHex("three");
  same(web3.eth.accounts.recover("three", await web3.eth.sign(data, account)));
  same(web3.eth.accounts.recover("three", await web3.eth.personal.sign(data, account, "")));
  const typed = { domain, types: { EIP712Domain: [
    { name: "name", type: "string" }, { name: "version", type: "string" }, { name: "chainId", type: "uint256" },
    { name: "verifyingContract", type: "address" }], ...types }, primaryType: "Order", message: { ...message, amount: message.amount.toString() } };
  same(verifyTypedData(domain, types, message, await web3.eth.signTypedData(account, typed)));
  done.push("web3");
}
result({ mined, done });
