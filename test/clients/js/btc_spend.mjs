// Spends of a quorum's coins: made with one Bitcoin library, signed by the quorum, verified by another.
// node btc_spend.mjs CONFIG
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";

import * as btc from "@scure/btc-signer";
import { Psbt, Transaction as Tx, initEccLib, payments, script as scripts } from "bitcoinjs-lib";
import * as ecc from "tiny-secp256k1";
import { AllGatewaysFailed, CheckError, QuorateClient, derOf, pemStamper } from "quorate-client";

import { config, result } from "./config.mjs";

initEccLib(ecc);
const client = new QuorateClient({
  gateways: config.gateways, roster: config.roster, key: config.key, allowInsecureSim: true,
  stamper: await pemStamper(readFileSync(config.client_pem, "utf8")),
});
const path = [0, 1];
const pubkey = await client.child(path);
const hex = (b) => Buffer.from(b).toString("hex");
const verifier = (key, digest, signature) => ecc.verify(digest, key, signature);
const all = (s) => Buffer.concat([derOf(Buffer.concat([s.r, s.s])), Buffer.of(1)]); // SIGHASH_ALL
const own = { wpkh: btc.p2wpkh(pubkey), nested: btc.p2sh(btc.p2wpkh(pubkey)), pkh: btc.p2pkh(pubkey), wsh: btc.p2wsh(btc.p2pk(pubkey)) };
const to = btc.p2wpkh(Buffer.from("02c6047f9441ed7d6d3045406e95c07cd85c778e4b8cef3ca7abac09b95c709ee5", "hex")).script;

// One transaction that spends these, unsigned; by the first library.
function unsigned(inputs, outputs) {
  const tx = new btc.Transaction({ allowLegacyWitnessUtxo: true });
  for (const [i, p] of inputs.entries()) {
    tx.addInput({ txid: Buffer.alloc(32, 0x11 + i), index: i, witnessUtxo: { script: p.script, amount: BigInt(p.sat) } });
  }
  for (const o of outputs) tx.addOutput({ script: o.script, amount: BigInt(o.sat) });
  return tx.unsignedTx;
}
const done = [];

{
  // Three inputs by BIP143: native, nested in P2SH, and a script of its own; all in one request.
  const inputs = [
    { script: own.wpkh.script, sat: 100_000 },
    { script: own.nested.script, sat: 200_000, redeem: own.nested.redeemScript },
    { script: own.wsh.script, sat: 300_000, witness: own.wsh.witnessScript },
  ];
  const outputs = [{ script: to, sat: 500_000 }, { script: own.wpkh.script, sat: 99_000 }];
  const raw = unsigned(inputs, outputs);
  const prevouts = inputs.map(({ sat, script, redeem, witness }) => ({ sat, script, ...(redeem && { redeem }), ...(witness && { witness }) }));
  const r = await client.sign([
    { kind: "btc_bip143", transaction: raw, input: 0, prevouts },
    { kind: "btc_bip143", input: 1, of: 0 },
    { kind: "btc_bip143", input: 2, of: 0 },
  ], { path });
  // The second library: builds the PSBT, takes the signatures, verifies and finalizes.
  const psbt = new Psbt();
  psbt.setVersion(Tx.fromHex(hex(raw)).version);
  inputs.forEach((p, i) => {
    const input = Tx.fromHex(hex(raw)).ins[i];
    psbt.addInput({
      hash: input.hash, index: input.index, sequence: input.sequence, witnessUtxo: { script: Buffer.from(p.script), value: BigInt(p.sat) },
      ...(p.redeem && { redeemScript: Buffer.from(p.redeem) }), ...(p.witness && { witnessScript: Buffer.from(p.witness) }),
    });
  });
  for (const o of outputs) psbt.addOutput({ script: Buffer.from(o.script), value: BigInt(o.sat) });
  inputs.forEach((_, i) => psbt.updateInput(i, { partialSig: [{ pubkey: Buffer.from(pubkey), signature: all(r.signatures[i]) }] }));
  for (let i = 0; i < 3; i++) assert.equal(psbt.validateSignaturesOfInput(i, verifier), true, `input ${i}`);
  psbt.finalizeAllInputs();
  const tx = psbt.extractTransaction();
  assert.equal(tx.ins.every((i) => i.witness.length > 0), true);
  assert.equal(psbt.getFee(), 1000n);
  done.push("three spends by BIP143");
  // Another amount is another digest: the second library does not take the signature for it.
  const output = payments.p2pkh({ pubkey: Buffer.from(pubkey) }).output;
  assert.equal(hex(tx.hashForWitnessV0(0, output, 100_000n, 1)), hex(r.signatures[0].digest));
  const other = tx.hashForWitnessV0(0, output, 100_001n, 1);
  assert.equal(ecc.verify(other, pubkey, Buffer.concat([r.signatures[0].r, r.signatures[0].s])), false);
  done.push("another amount");
}
{
  // An input from before SegWit.
  const inputs = [{ script: own.pkh.script, sat: 50_000 }];
  const raw = unsigned(inputs, [{ script: to, sat: 49_000 }]);
  const r = await client.sign([{ kind: "btc_legacy", transaction: raw, input: 0, prevouts: [{ sat: 50_000, script: own.pkh.script }] }], { path });
  const tx = Tx.fromHex(hex(raw));
  assert.equal(hex(tx.hashForSignature(0, Buffer.from(own.pkh.script), 1)), hex(r.signatures[0].digest));
  assert.equal(ecc.verify(r.signatures[0].digest, pubkey, Buffer.concat([r.signatures[0].r, r.signatures[0].s])), true);
  tx.setInputScript(0, scripts.compile([all(r.signatures[0]), Buffer.from(pubkey)]));
  done.push("a legacy spend");
}
{
  // Taproot is refused: by this client, and by the parties when it is asked for all the same.
  const tr = Buffer.concat([Buffer.of(0x51, 0x20), Buffer.alloc(32, 3)]);
  const raw = unsigned([{ script: own.wpkh.script, sat: 10 }], [{ script: to, sat: 5 }]);
  await assert.rejects(client.sign([{ kind: "btc_bip143", transaction: raw, input: 0, prevouts: [{ sat: 10, script: tr }] }]),
                       (e) => e instanceof CheckError && e.kind === "usage");
  // Outputs above what is spent.
  const more = unsigned([{ script: own.wpkh.script, sat: 10 }], [{ script: to, sat: 11 }]);
  await assert.rejects(client.sign([{ kind: "btc_bip143", transaction: more, input: 0, prevouts: [{ sat: 10, script: own.wpkh.script }] }], { path }),
                       (e) => e instanceof AllGatewaysFailed && e.errors.every((x) => x.code === "preimage_invalid"));
  done.push("refusals");
}
result({ done });
