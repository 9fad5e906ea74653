// Writes typed.json and btc.json: documents and transactions with the digests that other libraries take
// from them. Run below a folder with ethers, viem and bitcoinjs-lib in node_modules:
//     npm i ethers@6 viem@2 bitcoinjs-lib@7 && node make.mjs OUTDIR
// Seeded, so that it writes the same again. Where two libraries can hash a document, both must agree.
import { writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
const require = createRequire(process.cwd() + '/');
const { TypedDataEncoder, getAddress } = require('ethers');
const { hashTypedData } = require('viem');
const bitcoin = require('bitcoinjs-lib');

let state = 20261122n;
const random = (n) => {
  state = (state * 6364136223846793005n + 1442695040888963407n) & ((1n << 64n) - 1n);
  return Number((state >> 33n) % BigInt(n));
};
const hex = (n) => Array.from({ length: n }, () => random(256).toString(16).padStart(2, '0')).join('');
const pick = (a) => a[random(a.length)];

// ---- EIP-712 ----

// A value twice: as libraries take it, and as it stands in the document.
function single(type) {
  let m;
  if (type === 'bool') { const v = random(2) === 1; return [v, v]; }
  if (type === 'address') {
    const v = '0x' + hex(20);
    return [v, pick([v, getAddress(v)])];
  }
  if (type === 'string') {
    const v = pick(['', 'plain', 'tab\tquote"back\\slash', 'Grüße, 世界 🎉', 'x'.repeat(200)]);
    return [v, v];
  }
  if (type === 'bytes') { const v = '0x' + hex(pick([0, 1, 31, 32, 33, 200])); return [v, v]; }
  if ((m = /^bytes(\d+)$/.exec(type))) { const v = '0x' + hex(+m[1]); return [v, v]; }
  m = /^(u?)int(\d+)$/.exec(type);
  const bits = BigInt(m[2]), signed = m[1] === '';
  const top = 1n << (signed ? bits - 1n : bits);
  let v = BigInt('0x' + hex(32)) % top;
  v = pick([v, 0n, 1n, top - 1n, v % 1000n]);
  if (signed && random(2)) v = pick([-v, -top, -1n]);
  const small = v < 9007199254740992n && v > -9007199254740992n;
  const forms = [v.toString()];
  if (small) forms.push(Number(v), Number(v));
  if (v >= 0n) forms.push('0x' + v.toString(16), '0x' + v.toString(16).padStart(64, '0').toUpperCase());
  return [v, pick(forms)];
}
function value(type, types) {
  const m = /^(.*)\[(\d*)\]$/.exec(type);
  if (m) {
    const n = m[2] ? +m[2] : random(4);
    const all = Array.from({ length: n }, () => value(m[1], types));
    return [all.map((v) => v[0]), all.map((v) => v[1])];
  }
  if (types[type]) {
    const a = {}, b = {};
    const members = types[type].slice();
    if (random(2)) members.reverse(); // the order in the document does not matter
    for (const { name, type: t } of members) [a[name], b[name]] = value(t, types);
    return [a, b];
  }
  return single(type);
}
const elementary = () => pick(['bool', 'address', 'string', 'bytes', 'bytes' + (1 + random(32)), 'bytes32',
  'uint256', 'uint' + 8 * (1 + random(32)), 'int' + 8 * (1 + random(32)), 'int256', 'uint8']);
function document() {
  const names = ['Zeta', 'Alpha', '_m1', 'Order_', 'beta'].slice(0, 1 + random(5));
  const types = {};
  names.forEach((name, i) => {
    types[name] = Array.from({ length: 1 + random(4) }, (_, k) => {
      const struct = i + 1 < names.length && (k === 0 || random(3) === 0);
      let type = struct ? (k === 0 ? names[i + 1] : names[i + 1 + random(names.length - i - 1)]) : elementary();
      for (let d = random(4); d > 1; d--) type += pick(['[]', '[2]', '[1]']);
      return { name: pick(['a', '_b', 'camelCase', 'x$']) + k, type };
    });
  });
  const [message, written] = value(names[0], types);
  const domain = {}, shown = {};
  const put = (k, v, w) => { if (random(3)) { domain[k] = v; shown[k] = w; } };
  put('name', 'Some name', 'Some name');
  put('version', '2', '2');
  const id = pick([1n, 137n, 31337n, 18446744073709551615n]);
  put('chainId', id, pick(id < 100000n ? [id.toString(), '0x' + id.toString(16), Number(id)] : [id.toString()]));
  const contract = '0x' + hex(20);
  put('verifyingContract', contract, contract);
  const salt = '0x' + hex(32);
  put('salt', salt, salt);
  if (Object.keys(domain).length === 0) { domain.name = ''; shown.name = ''; }
  const digest = TypedDataEncoder.hash(domain, types, message);
  const other = hashTypedData({ domain, types, primaryType: names[0], message });
  if (digest !== other) throw new Error('ethers and viem differ: ' + JSON.stringify(written));
  const all = { ...types };
  if (random(2)) {
    const order = { name: 'string', version: 'string', chainId: 'uint256', verifyingContract: 'address', salt: 'bytes32' };
    all.EIP712Domain = Object.keys(order).filter((k) => k in domain).map((name) => ({ name, type: order[name] }));
  }
  return { doc: JSON.stringify({ types: all, primaryType: names[0], domain: shown, message: written }), digest: digest.slice(2) };
}
const typed = [];
while (typed.length < 32) {
  const d = document();
  if (d.doc.length < 1600) typed.push(d);
}

// ---- Bitcoin ----

const hash160 = bitcoin.crypto.hash160, sha256 = bitcoin.crypto.sha256;
const bytes = (s) => Uint8Array.from(Buffer.from(s, 'hex'));
const str = (b) => Buffer.from(b).toString('hex');
const ALL = bitcoin.Transaction.SIGHASH_ALL;
function spent(kind) {
  const h = hex(20), code = '76a914' + h + '88ac', multi = '5121' + '02' + hex(32) + '21' + '03' + hex(32) + '52ae';
  const p2sh = (s) => 'a914' + str(hash160(bytes(s))) + '87';
  switch (kind) {
    case 'p2pkh': return { script: code, code };
    case 'p2pk': { const s = '2102' + hex(32) + 'ac'; return { script: s, code: s }; }
    case 'p2sh': return { script: p2sh(multi), redeem: multi, code: multi };
    case 'p2wpkh': return { script: '0014' + h, code };
    case 'p2sh-p2wpkh': return { script: p2sh('0014' + h), redeem: '0014' + h, code };
    case 'p2wsh': return { script: '0020' + str(sha256(bytes(multi))), witness: multi, code: multi };
    default: { const w = '0020' + str(sha256(bytes(multi))); return { script: p2sh(w), redeem: w, witness: multi, code: multi }; }
  }
}
const kinds = ['p2pkh', 'p2pk', 'p2sh', 'p2wpkh', 'p2sh-p2wpkh', 'p2wsh', 'p2sh-p2wsh'];
const btc = [];
for (let i = 0; i < 22; i++) {
  const tx = new bitcoin.Transaction();
  tx.version = pick([1, 2]);
  tx.locktime = pick([0, 850000, 1795251934]);
  const own = kinds[i % 7], n = i === 21 ? 254 : 1 + random(5), input = random(n);
  const prevouts = [];
  let sum = 0n;
  for (let k = 0; k < n; k++) {
    const s = spent(k === input ? own : pick(kinds));
    const sat = BigInt(1000 + random(2000000000));
    sum += sat;
    tx.addInput(bytes(hex(32)), random(5), pick([0xffffffff, 0xfffffffd, 0]));
    prevouts.push({ sat, ...s });
  }
  const outs = 1 + random(4);
  for (let k = 0; k < outs; k++) {
    tx.addOutput(bytes(k === 3 ? '6a' + '4cc8' + hex(200) : spent(pick(kinds)).script), sum / BigInt(outs + 1));
  }
  const bip143 = i % 7 >= 3;
  const code = bytes(prevouts[input].code);
  const digest = bip143 ? tx.hashForWitnessV0(input, code, prevouts[input].sat, ALL) : tx.hashForSignature(input, code, ALL);
  btc.push({
    kind: bip143 ? 'btc_bip143' : 'btc_legacy', tx: str(tx.toBuffer()), input,
    prevouts: prevouts.map(({ sat, script, redeem, witness }, k) =>
      ({ sat: Number(sat), script, ...(k === input ? { redeem, witness } : {}) })),
    out_sat: tx.outs.reduce((a, o) => a + Number(o.value), 0), digest: str(digest),
  });
}
const lines = (a) => '[\n' + a.map((v) => JSON.stringify(v)).join(',\n') + '\n]\n';
const dir = process.argv[2] ?? '.';
writeFileSync(dir + '/typed.json', lines(typed));
writeFileSync(dir + '/btc.json', lines(btc));
