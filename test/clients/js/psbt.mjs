// A PSBT for the command line, made by one Bitcoin library and taken back by another.
// node psbt.mjs make CONFIG  |  node psbt.mjs check CONFIG
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import * as btc from "@scure/btc-signer";
import { Psbt, initEccLib } from "bitcoinjs-lib";
import * as ecc from "tiny-secp256k1";

const [, , step, file] = process.argv;
const config = JSON.parse(readFileSync(file, "utf8"));
initEccLib(ecc);
const own = Buffer.from(config.child, "hex");
const partner = Buffer.alloc(32, 9); // whose key signs beside the quorum's in a two-of-two
const both = btc.p2wsh(btc.p2ms(2, [own, Buffer.from(ecc.pointFromScalar(partner, true))]));
const nested = btc.p2sh(btc.p2wpkh(own));
const spends = [
  { script: btc.p2wpkh(own).script, amount: 100_000n },
  { script: nested.script, redeemScript: nested.redeemScript, amount: 200_000n },
  { script: both.script, witnessScript: both.witnessScript, amount: 300_000n },
];

if (step === "make") {
  const tx = new btc.Transaction();
  const previous = new btc.Transaction({ allowUnknownOutputs: true });
  previous.addInput({ txid: Buffer.alloc(32, 5), index: 0, witnessUtxo: { script: spends[0].script, amount: 700_000n } });
  previous.addOutput({ script: btc.p2pkh(own).script, amount: 50_000n });
  for (const [i, s] of spends.entries()) {
    const { script, amount, ...scripts } = s;
    tx.addInput({ txid: Buffer.alloc(32, 0x21 + i), index: i, witnessUtxo: { script, amount }, ...scripts });
  }
  const legacy = Buffer.from(previous.unsignedTx);
  tx.addInput({ txid: Buffer.from(btc.Transaction.fromRaw(legacy, { allowUnknownInputs: true, disableScriptCheck: true }).id, "hex"), index: 0, nonWitnessUtxo: legacy });
  tx.addOutput({ script: btc.p2wpkh(Buffer.from("02c6047f9441ed7d6d3045406e95c07cd85c778e4b8cef3ca7abac09b95c709ee5", "hex")).script, amount: 640_000n });
  writeFileSync(join(config.folder, "unsigned.psbt"), Buffer.from(tx.toPSBT()).toString("base64"));
  console.log(JSON.stringify({ inputs: tx.inputsLength }));
} else {
  const psbt = Psbt.fromBase64(readFileSync(join(config.folder, "signed.psbt"), "utf8").trim());
  const verifier = (key, digest, signature) => ecc.verify(digest, key, signature);
  psbt.data.inputs.forEach((input, i) => {
    assert.equal(input.partialSig?.length, 1, `input ${i}`);
    assert.equal(Buffer.from(input.partialSig[0].pubkey).toString("hex"), config.child);
    assert.equal(psbt.validateSignaturesOfInput(i, verifier), true, `input ${i}`);
  });
  psbt.signInput(2, { publicKey: ecc.pointFromScalar(partner, true), sign: (h) => ecc.sign(h, partner) });
  psbt.finalizeAllInputs();
  const tx = psbt.extractTransaction();
  assert.equal(psbt.getFee(), 10_000n);
  assert.equal(tx.ins[3].script.length > 100, true);
  console.log(JSON.stringify({ inputs: tx.ins.length }));
}
