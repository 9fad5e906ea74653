/**
 * Bitcoin: the digest of one input of an unsigned transaction, SIGHASH_ALL, before SegWit and by BIP143.
 * As for typed data, it serves to compare with what the quorum says it signed.
 */
import { be, concat, toBytes, type BytesLike } from "./bytes.js";
import { CheckError } from "./errors.js";
import { sha256, sha256d } from "./hash.js";

/** What one input spends. */
export interface Prevout {
  readonly sat: number | bigint;
  /** The output's script. */
  readonly script: BytesLike;
  /** The script that is executed where that is another one: P2SH, P2WSH. */
  readonly redeem?: BytesLike;
  readonly witness?: BytesLike;
}

const bad = (why: string): CheckError => new CheckError("usage", `the transaction: ${why}`);
const le = (v: number | bigint, n: number): Uint8Array => be(v, n).reverse();

function compactSize(n: number): Uint8Array {
  if (n < 0xfd) return Uint8Array.of(n);
  return n <= 0xffff ? concat(Uint8Array.of(0xfd), le(n, 2)) : concat(Uint8Array.of(0xfe), le(n, 4));
}
const withLength = (b: Uint8Array): Uint8Array => concat(compactSize(b.length), b);

interface Tx {
  version: Uint8Array;
  inputs: { outpoint: Uint8Array; sequence: Uint8Array }[];
  outputs: Uint8Array;
  nOutputs: number;
  locktime: Uint8Array;
}

function readTx(b: Uint8Array): Tx {
  let at = 0;
  const take = (n: number): Uint8Array => {
    if (n > b.length - at) throw bad("it ends too early");
    at += n;
    return b.slice(at - n, at);
  };
  const number = (n: number): number => take(n).reduceRight((v, x) => v * 256 + x, 0);
  const size = (): number => {
    const first = number(1);
    return first < 0xfd ? first : first === 0xfd ? number(2) : first === 0xfe ? number(4) : Infinity;
  };
  const version = take(4);
  const inputs: Tx["inputs"] = [];
  const nIn = size();
  if (nIn === 0) throw bad("it has no inputs, or witnesses; the unsigned transaction is wanted");
  for (let i = 0; i < nIn; i++) {
    const outpoint = take(36);
    if (size() !== 0) throw bad(`input ${i} has a scriptSig; the unsigned transaction is wanted`);
    inputs.push({ outpoint, sequence: take(4) });
  }
  const nOutputs = size(), from = at;
  for (let i = 0; i < nOutputs; i++) {
    take(8);
    take(size());
  }
  const outputs = b.slice(from, at);
  const locktime = take(4);
  if (at !== b.length) throw bad("bytes are left over after it");
  return { version, inputs, outputs, nOutputs, locktime };
}

const isP2sh = (s: Uint8Array): boolean => s.length === 23 && s[0] === 0xa9 && s[1] === 20 && s[22] === 0x87;
const isP2wpkh = (s: Uint8Array): boolean => s.length === 22 && s[0] === 0 && s[1] === 20;
const isP2wsh = (s: Uint8Array): boolean => s.length === 34 && s[0] === 0 && s[1] === 32;

/** The script that BIP143 signs for. */
function scriptCode(p: Prevout): Uint8Array {
  let program = toBytes(p.script, "script");
  if (isP2sh(program) && p.redeem !== undefined) program = toBytes(p.redeem, "redeem");
  if (isP2wpkh(program)) {
    return concat(Uint8Array.of(0x76, 0xa9, 20), program.subarray(2), Uint8Array.of(0x88, 0xac));
  }
  if (isP2wsh(program) && p.witness !== undefined) {
    const w = toBytes(p.witness, "witness");
    if (!sha256(w).every((v, i) => v === program[2 + i])) throw bad("the witness script is not the output's");
    return w;
  }
  throw bad("BIP143 signs P2WPKH and P2WSH, also within P2SH; the script is neither");
}

/** The digest of one input. */
export function bitcoinDigest(kind: "btc_bip143" | "btc_legacy", transaction: BytesLike, input: number,
                              prevouts: readonly Prevout[]): Uint8Array {
  const tx = readTx(toBytes(transaction, "transaction"));
  const own = tx.inputs[input], prev = prevouts[input];
  if (own === undefined || prev === undefined || prevouts.length !== tx.inputs.length) {
    throw bad("it has another number of inputs than there are prevouts, or no such input");
  }
  const all = le(1, 4);
  if (kind === "btc_bip143") {
    return sha256d(concat(tx.version, sha256d(concat(...tx.inputs.map((i) => i.outpoint))),
                          sha256d(concat(...tx.inputs.map((i) => i.sequence))), own.outpoint,
                          withLength(scriptCode(prev)), le(prev.sat, 8), own.sequence,
                          sha256d(tx.outputs), tx.locktime, all));
  }
  const script = toBytes(prev.redeem ?? prev.script, "script");
  const inputs = tx.inputs.map((i) => concat(i.outpoint, i === own ? withLength(script) : Uint8Array.of(0), i.sequence));
  return sha256d(concat(tx.version, compactSize(tx.inputs.length), ...inputs, compactSize(tx.nOutputs),
                        tx.outputs, tx.locktime, all));
}
