/**
 * Receipts: what a caller can show later about one of its signatures (daemon/receipt.h).
 *
 * Checked here: the records of all members agree; each is signed by its party's identity key of the
 * roster; roster and policy are the given ones; the signatures verify under the key.
 * Not checked here: the parties' evidence, for which a verifier of every platform's attestation is
 * needed. `quorate receipt verify` does all of it, offline.
 */
import { ed25519 } from "@noble/curves/ed25519.js";

import { be, equal, hex, text as decode, unbase64, unhex, utf8 } from "./bytes.js";
import { CheckError } from "./errors.js";
import { requestHash, sha256, taggedHash } from "./hash.js";
import { checkSignature, derive, type EcdsaSignature, type QuorumKey } from "./key.js";
import { integer, list, members, parseJson, string, type Roster } from "./roster.js";

const MAX = 4 * 1024 * 1024;
/** made_ms of evidence and the record's time are at most this far apart. */
const APART_MS = 48 * 3600 * 1000;

export interface ReceiptTrust {
  readonly roster: Roster;
  /** The policy's exact bytes or text. */
  readonly policy: string | Uint8Array;
  /** The request's body, to tie the receipt to what was asked. */
  readonly body?: Uint8Array;
  /** The checked key, to tie the child to the key and its path. */
  readonly key?: QuorumKey;
}

export interface Receipt {
  readonly request: Uint8Array;
  readonly publicKey: Uint8Array;
  readonly path: readonly number[];
  readonly client: string;
  readonly rule: string;
  readonly approvers: readonly string[];
  readonly policySerial: number;
  readonly epoch: number;
  /** In order; the coordinator's record has the signatures. */
  readonly signers: readonly number[];
  readonly coordinator: number;
  /** The members as the coordinator judged them. */
  readonly set: readonly { readonly party: number; readonly platform: string; readonly measurement: string }[];
  readonly signatures: readonly (EcdsaSignature & { readonly digest: Uint8Array })[];
  /** Bytes between the coordinator and each other member. */
  readonly links: readonly { readonly party: number; readonly out: number; readonly in: number }[];
  /** The earliest record's time. */
  readonly timeMs: number;
  /** Always false: see above. */
  readonly evidenceChecked: false;
}

const bad = (why: string): CheckError => new CheckError("untrusted", `the receipt: ${why}`);
const big = Number.MAX_SAFE_INTEGER;
const COMMON = ["v", "party", "boot", "serial", "prev", "time_ms", "event"];
const SIGNED = ["request", "coordinator", "attempt", "key", "child", "epoch", "path", "client", "rule", "approvers",
                "policy", "policy_serial", "roster", "set", "digests"];
const LEADER = ["signatures", "links", "micros"];

interface Part {
  readonly party: number;
  readonly record: Record<string, unknown>;
  readonly timeMs: number;
}

function readPart(v: unknown, i: number, roster: Roster): Part {
  const what = `parties[${i}]`;
  const o = members(v, what, ["party", "record", "signature", "made_ms", "nonce", "boot_nonce", "evidence"]);
  const party = integer(o["party"], 1, roster.parties.length, `${what}.party`);
  const line = string(o["record"], 64 * 1024, `${what}.record`);
  const made = integer(o["made_ms"], 0, big, `${what}.made_ms`);
  let evidence: Uint8Array;
  try {
    evidence = unbase64(string(o["evidence"], MAX, `${what}.evidence`));
  } catch {
    throw new CheckError("malformed", `${what}.evidence is not base64`);
  }
  const hash = taggedHash("receipt", utf8(line), be(made, 8), unhex(o["nonce"], 32, "nonce"),
                          unhex(o["boot_nonce"], 32, "boot_nonce"), sha256(evidence));
  const identity = (roster.parties[party - 1] as Roster["parties"][number]).identity;
  if (!ed25519.verify(unhex(o["signature"], 64, "signature"), hash, identity, { zip215: false })) {
    throw bad(`party ${party}: its part is not signed by the identity key of the roster`);
  }
  const record = members(parseJson(line, `${what}.record`), `${what}.record`, [...COMMON, ...SIGNED], LEADER);
  // What is signed is text; a text that another reader could read otherwise is not taken.
  if (JSON.stringify(record) !== line) throw new CheckError("malformed", `${what}.record is not in its one form`);
  if (record["v"] !== 1 || record["event"] !== "signed" || record["party"] !== party) {
    throw bad(`party ${party}: the record is not of a signature of its own`);
  }
  const timeMs = integer(record["time_ms"], 0, big, "time_ms");
  if (Math.abs(timeMs - made) > APART_MS) throw bad(`party ${party}: its evidence is of another time than its record`);
  return { party, record, timeMs };
}

/** The set without what only others can say of a party: the digest of its evidence. */
function readSet(v: unknown): { party: number; platform: string; measurement: string }[] {
  return list(v, 2, 16, "set").map((m) => {
    const o = members(m, "set", ["party", "platform", "measurement"], ["evidence"]);
    return {
      party: integer(o["party"], 1, 16, "set.party"), platform: string(o["platform"], 64, "set.platform"),
      measurement: hex(unhex(o["measurement"], 32, "set.measurement")),
    };
  });
}

/** Reads and checks a receipt; throws CheckError for the first thing that is wrong. */
export function verifyReceipt(receipt: string | Uint8Array, trust: ReceiptTrust): Receipt {
  const source = typeof receipt === "string" ? receipt : decode(receipt, "the receipt");
  if (source.length > MAX) throw new CheckError("malformed", `the receipt is longer than ${MAX} characters`);
  const o = members(parseJson(source, "the receipt"), "the receipt", ["v", "type", "request", "cluster", "parties"]);
  if (o["v"] !== 1 || o["type"] !== "quorate/receipt") throw new CheckError("malformed", "this is no receipt of version 1");
  const request = unhex(o["request"], 32, "request");
  if (!equal(unhex(o["cluster"], 32, "cluster"), trust.roster.cluster)) throw bad("it is of another cluster than the roster's");
  const parts = list(o["parties"], 2, 16, "parties").map((p, i) => readPart(p, i, trust.roster));

  const leader = parts.find((p) => Object.hasOwn(p.record, "signatures"));
  if (leader === undefined) throw bad("no record holds the signatures");
  const said = leader.record;
  const set = readSet(said["set"]);
  for (const p of parts) {
    for (const name of SIGNED) {
      const same = name === "set" ?
        JSON.stringify(readSet(p.record["set"])) === JSON.stringify(set) :
        JSON.stringify(p.record[name]) === JSON.stringify(said[name]);
      if (!same) throw bad(`the records of parties ${leader.party} and ${p.party} do not agree: ${name}`);
    }
  }
  if (said["coordinator"] !== leader.party) throw bad("another party than the coordinator shows signatures");
  if (set.length !== parts.length || set.some((m, i) => m.party !== parts[i]?.party)) {
    throw bad("it does not have one part of each member of the set");
  }
  if (!equal(unhex(said["request"], 32, "request"), request)) throw bad("the records are of another request");
  if (trust.body && !equal(requestHash(trust.body), request)) throw bad("it is of another request than the body given");
  if (!equal(unhex(said["roster"], 32, "roster"), trust.roster.hash)) throw bad("it was signed under another roster than the one given");
  const policy = typeof trust.policy === "string" ? utf8(trust.policy) : trust.policy;
  if (!equal(unhex(said["policy"], 32, "policy"), taggedHash("doc", utf8("policy"), policy))) {
    throw bad("it was signed under another policy than the one given");
  }

  const key = unhex(said["key"], 33, "key"), child = unhex(said["child"], 33, "child");
  const path = list(said["path"], 0, 8, "path").map((v) => integer(v, 0, 2 ** 31 - 1, "path"));
  if (path.length === 0 && !equal(key, child)) throw bad("the path is empty, but key and child differ");
  if (trust.key && (!equal(key, trust.key.publicKey) || !equal(child, derive(trust.key, path)))) {
    throw bad("its key is not the key given, or its child not the path's");
  }
  const digests = list(said["digests"], 1, 64, "digests").map((d) => unhex(d, 32, "digests"));
  const signatures = list(said["signatures"], digests.length, digests.length, "signatures").map((v, i) => {
    const b = unhex(v, 65, "signatures");
    const sig = { digest: digests[i] as Uint8Array, r: b.slice(0, 32), s: b.slice(32, 64), recid: integer(b[64], 0, 3, "recid") };
    try {
      checkSignature(child, sig.digest, sig);
    } catch {
      throw bad(`signature ${i + 1} does not verify under the key that the records name`);
    }
    return sig;
  });
  return {
    request, publicKey: child, path, signatures, set,
    client: string(said["client"], 64, "client"), rule: string(said["rule"], 64, "rule"),
    approvers: list(said["approvers"], 0, 7, "approvers").map((a) => string(a, 64, "approvers")),
    policySerial: integer(said["policy_serial"], 1, big, "policy_serial"),
    epoch: integer(said["epoch"], 0, 0xffffffff, "epoch"),
    signers: parts.map((p) => p.party), coordinator: leader.party,
    links: list(said["links"], 1, 16, "links").map((l) => {
      const q = members(l, "links", ["party", "out", "in"]);
      return { party: integer(q["party"], 1, 16, "party"), out: integer(q["out"], 0, big, "out"), in: integer(q["in"], 0, big, "in") };
    }),
    timeMs: Math.min(...parts.map((p) => p.timeMs)),
    evidenceChecked: false,
  };
}
