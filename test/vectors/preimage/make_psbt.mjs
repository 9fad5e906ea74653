// Writes psbt.json: PSBTs with inputs of each kind, and the signatures that another library makes for
// one key. Run below a folder with bitcoinjs-lib and @noble/curves in node_modules:
//     npm i bitcoinjs-lib@7 @noble/curves@2 && node make_psbt.mjs OUTDIR
// Signatures are deterministic (RFC 6979), so the product's must be the same bytes.
import { writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
const require = createRequire(process.cwd() + '/');
const bitcoin = require('bitcoinjs-lib');
const { secp256k1 } = require('@noble/curves/secp256k1.js');

const hexed = (b) => Buffer.from(b).toString('hex');
const signer = (n) => {
  const key = Buffer.alloc(32); key[31] = n;
  const publicKey = Buffer.from(secp256k1.getPublicKey(key, true));
  return { key, publicKey, sign: (h) => Buffer.from(secp256k1.sign(h, key, { prehash: false })) };
};
const me = signer(1), other = signer(2);
const { payments, script, opcodes } = bitcoin;
const multi = (keys) => script.compile([opcodes.OP_1, ...keys, opcodes.OP_1 - 1 + keys.length, opcodes.OP_CHECKMULTISIG]);
const both = multi([me.publicKey, other.publicKey]);
const kinds = {
  p2pkh: (pk) => ({ out: payments.p2pkh({ pubkey: pk }).output }),
  p2wpkh: (pk) => ({ out: payments.p2wpkh({ pubkey: pk }).output }),
  'p2sh-p2wpkh': (pk) => { const redeemScript = payments.p2wpkh({ pubkey: pk }).output; return { out: payments.p2sh({ redeem: { output: redeemScript } }).output, redeemScript }; },
  p2pk: (pk) => ({ out: payments.p2pk({ pubkey: pk }).output }),
  'p2sh multi': () => ({ out: payments.p2sh({ redeem: { output: both } }).output, redeemScript: both }),
  'p2wsh multi': () => ({ out: payments.p2wsh({ redeem: { output: both } }).output, witnessScript: both }),
  'p2sh-p2wsh multi': () => {
    const w = payments.p2wsh({ redeem: { output: both } }).output;
    return { out: payments.p2sh({ redeem: { output: w } }).output, redeemScript: w, witnessScript: both };
  },
};
function make(name, list) {
  const psbt = new bitcoin.Psbt();
  let total = 0n;
  list.forEach(([kind, who, how], i) => {
    const { out, redeemScript, witnessScript } = kinds[kind](who.publicKey);
    const prev = new bitcoin.Transaction();
    prev.addInput(Buffer.alloc(32, i + 1), i, 0xffffffff, how === 'segwit prev' ? undefined : Buffer.from('51', 'hex'));
    if (how === 'segwit prev') prev.setWitness(0, [Buffer.alloc(71, 7), Buffer.alloc(33, 2)]);
    prev.addOutput(Buffer.from('6a0100', 'hex'), 0n);
    prev.addOutput(out, BigInt(10000 * (i + 1)));
    total += BigInt(10000 * (i + 1));
    const input = { hash: prev.getHash(), index: 1, sequence: 0xfffffffd };
    if (how !== 'output only') input.nonWitnessUtxo = prev.toBuffer();
    if (how === 'output only' || how === 'both') input.witnessUtxo = { script: out, value: BigInt(10000 * (i + 1)) };
    if (redeemScript) input.redeemScript = redeemScript;
    if (witnessScript) input.witnessScript = witnessScript;
    if (how === 'all') input.sighashType = 1;
    psbt.addInput(input);
  });
  psbt.addOutput({ script: kinds.p2wpkh(other.publicKey).out, value: total - 3000n });
  psbt.addOutput({ script: kinds.p2wpkh(me.publicKey).out, value: 1000n });
  psbt.addUnknownKeyValToGlobal({ key: Buffer.from('f00102', 'hex'), value: Buffer.from('kept') });
  psbt.addUnknownKeyValToInput(0, { key: Buffer.from('f0', 'hex'), value: Buffer.from('too') });
  const asked = psbt.toBase64(), sigs = [];
  list.forEach(([kind, who], i) => {
    if (who !== me && !kind.includes('multi')) return;
    psbt.signInput(i, me);
    const mine = psbt.data.inputs[i].partialSig.find((s) => Buffer.from(s.pubkey).equals(me.publicKey));
    sigs.push({ input: i, bip143: kind.includes('w'), sig: hexed(mine.signature) });
  });
  return { name, psbt: asked, sigs };
}
const cases = [
  make('one p2wpkh', [['p2wpkh', me, 'output only']]),
  make('every kind', Object.keys(kinds).map((k, i) => [k, me, k.includes('w') ? ['output only', 'both', 'segwit prev'][i % 3] : 'all'])),
  make('others beside ours', [['p2pkh', other], ['p2wpkh', me, 'both'], ['p2wpkh', other, 'output only'], ['p2wsh multi', other, 'output only']]),
];
writeFileSync((process.argv[2] ?? '.') + '/psbt.json', '{"key":"' + hexed(me.key) + '","cases":[\n' + cases.map((c) => JSON.stringify(c)).join(',\n') + '\n]}\n');
