// The TypeScript client against a running quorum: node --test, QUORATE_CONFIG names the file.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { test } from "node:test";

import {
  AllGatewaysFailed, CheckError, NetworkError, Problem, QuorateClient, checkKey, ethereumAddress, parseRoster, pemStamper, verifyReceipt,
  webCryptoStamper,
} from "quorate-client";

const config = JSON.parse(readFileSync(process.env.QUORATE_CONFIG, "utf8"));
const stamper = await pemStamper(readFileSync(config.client_pem, "utf8"));
const base = {
  gateways: config.gateways, roster: config.roster, key: config.key, stamper, allowInsecureSim: true,
};
const hello = [{ kind: "sha256", preimage: new TextEncoder().encode("hello") }];

// A gateway that passes everything on and changes what `change(path, text)` changes.
async function liar(change) {
  const server = createServer(async (q, r) => {
    const parts = [];
    for await (const p of q) parts.push(p);
    const headers = {};
    for (const n of ["content-type", "x-stamp"]) if (q.headers[n]) headers[n] = q.headers[n];
    const a = await fetch(config.gateways[0] + q.url,
                          { method: q.method, headers, ...(parts.length && { body: Buffer.concat(parts) }) });
    const body = change(q.url, await a.text());
    r.writeHead(a.status, { "Content-Type": a.headers.get("content-type") });
    r.end(body);
  });
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  return { url: `http://127.0.0.1:${server.address().port}`, close: () => server.close() };
}

async function refused(change, kind, words) {
  const g = await liar(change);
  try {
    await assert.rejects(new QuorateClient({ ...base, gateways: [g.url] }).sign(hello), (e) => {
      assert.ok(e instanceof CheckError, e.stack);
      assert.equal(e.kind, kind);
      assert.match(e.message, words);
      return true;
    });
    // With an honest one behind it the same client is served.
    const r = await new QuorateClient({ ...base, gateways: [g.url, config.gateways[1]] }).sign(hello);
    assert.equal(r.signatures.length, 1);
  } finally {
    g.close();
  }
}
const inJson = (path, edit) => (url, text) => {
  if (!url.startsWith(path) || !text.startsWith("{")) return text;
  const o = JSON.parse(text);
  edit(o);
  return JSON.stringify(o);
};
const flip = (h) => (h[0] === "0" ? "1" : "0") + h.slice(1);

test("a signature along a path, in one request with others", async () => {
  const client = new QuorateClient(base);
  const stages = [];
  const r = await client.sign([
    ...hello,
    { kind: "sha256d", preimage: "0x00ff" },
    { kind: "eip191", preimage: new TextEncoder().encode("hello") },
  ], { path: [0, 5], onProgress: (p) => stages.push(p.stage) });
  assert.equal(r.signatures.length, 3);
  assert.equal(r.signers.length, 2);
  assert.equal(r.insecureSim, true);
  assert.deepEqual(stages, ["asking", "key-checked", "verified"]);
  assert.deepEqual(r.publicKey, await client.child([0, 5]));
  assert.notDeepEqual(r.publicKey, client.publicKey);
});

test("the address is the key's", async () => {
  const client = new QuorateClient(base);
  assert.equal((await client.address()).toLowerCase(), config.address);
  assert.equal(ethereumAddress(client.publicKey).toLowerCase(), config.address);
});

test("the same prepared request twice, by two gateways, is one signature", async () => {
  const client = new QuorateClient(base);
  const p = await client.prepare(hello);
  const a = await client.send(p);
  const b = await new QuorateClient({ ...base, gateways: [config.gateways[0]] }).send(p);
  assert.deepEqual(a.signatures, b.signatures);
});

test("a client that the policy does not know", async () => {
  const pair = await crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, false, ["sign", "verify"]);
  const client = new QuorateClient({ ...base, stamper: await webCryptoStamper(pair), gateways: [config.gateways[2]] });
  await assert.rejects(client.sign(hello), (e) =>
    e instanceof Problem && e.code === "client_unknown" && e.status === 401 && !e.temporary);
});

test("a digest, which no rule names", async () => {
  await assert.rejects(new QuorateClient(base).sign([{ kind: "digest", digest: "11".repeat(32) }]), (e) => {
    assert.ok(e instanceof AllGatewaysFailed);
    assert.equal(e.errors.length, 3);
    assert.ok(e.errors.every((x) => x instanceof Problem && x.code === "policy_denied"));
    return true;
  });
});

test("a body that was changed after it was stamped", async () => {
  const client = new QuorateClient({ ...base, gateways: [config.gateways[0]] });
  const p = await client.prepare(hello);
  for (let i = 0; i < p.body.length; i += 17) {
    const body = p.body.slice();
    body[i] ^= 1;
    await assert.rejects(client.send({ ...p, body }), (e) => e instanceof Problem && e.code === "stamp_invalid");
  }
});

test("an unknown key", async () => {
  const key = "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798";
  await assert.rejects(new QuorateClient({ ...base, key, gateways: [config.gateways[0]] }).sign(hello),
                       (e) => e instanceof Problem && e.status === 404);
});

test("the software TEE is refused unless it was asked for", async () => {
  const { allowInsecureSim: _, ...production } = base;
  await assert.rejects(new QuorateClient({ ...production, gateways: [config.gateways[0]] }).sign(hello),
                       (e) => e instanceof CheckError && /software TEE/.test(e.message));
});

test("a gateway that is away is left", async () => {
  const client = new QuorateClient({ ...base, gateways: ["http://127.0.0.1:1", config.gateways[1]] });
  const failed = [];
  const r = await client.sign(hello, { onProgress: (p) => p.stage === "failed" && failed.push(p.error) });
  assert.equal(r.signatures.length, 1);
  assert.ok(failed[0] instanceof NetworkError);
});

test("a gateway that shows a key of its own", () =>
  refused(inJson("/v1/keys/", (o) => {
    o.key = "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798";
  }), "untrusted", /another key/));
test("a gateway that changes a confirmation", () =>
  refused(inJson("/v1/keys/", (o) => { o.parties[1].confirmation = flip(o.parties[1].confirmation); }),
          "untrusted", /confirmation by party 2/));
test("a gateway that changes the chain code", () =>
  refused(inJson("/v1/keys/", (o) => { o.chain_code = flip(o.chain_code); }), "untrusted", /confirmation by party 1/));
test("a gateway that lowers the threshold", () =>
  refused(inJson("/v1/keys/", (o) => { o.t = 3; }), "untrusted", /key_id/));
test("a gateway that puts a party of its own in", () =>
  refused(inJson("/v1/keys/", (o) => { o.parties[2].id = o.parties[1].id; }), "untrusted", /not party 3 of the roster/));
test("a gateway that hides the software TEE", () =>
  refused(inJson("/v1/keys/", (o) => { delete o.insecure_sim; }), "untrusted", /confirmation/));
test("a gateway that changes a signature", () =>
  refused(inJson("/v1/sign", (o) => { o.signatures[0].s = flip(o.signatures[0].s); }), "untrusted", /does not verify/));
test("a gateway that changes the recovery id", () =>
  refused(inJson("/v1/sign", (o) => { o.signatures[0].recid ^= 1; }), "untrusted", /does not verify/));
test("a gateway that answers another request", () =>
  refused(inJson("/v1/sign", (o) => { o.request = flip(o.request); }), "untrusted", /another request/));
test("a gateway that has another digest signed", () =>
  refused(inJson("/v1/sign", (o) => { o.signatures[0].digest = flip(o.signatures[0].digest); }), "untrusted", /another digest/));
test("a gateway that leaves a signature out", () =>
  refused(inJson("/v1/sign", (o) => { o.signatures = []; }), "malformed", /signatures/));
test("a gateway that sends no JSON", () =>
  refused((url, text) => (url === "/v1/sign" ? text.slice(0, -3) : text), "malformed", /JSON/));
test("a gateway that sends too much", () =>
  refused((url, text) => (url === "/v1/sign" ? text + " ".repeat(5 << 20) : text), "untrusted", /more than/));

test("a key record with any character changed", async () => {
  const text = await (await fetch(`${config.gateways[0]}/v1/keys/${config.key}`)).text();
  const roster = parseRoster(config.roster), wanted = Uint8Array.from(Buffer.from(config.key, "hex"));
  const good = checkKey(text, wanted, roster);
  let refused = 0;
  for (let i = 0; i < text.trimEnd().length; i += 5) {
    const c = text[i];
    const changed = text.slice(0, i) + (/[0-9a-f]/.test(c) ? flip(c) : c === "x" ? "y" : "x") + text.slice(i + 1);
    assert.throws(() => checkKey(changed, wanted, roster), CheckError, `at ${i}`);
    refused++;
  }
  assert.ok(refused > 200, `${refused}`);
  assert.equal(good.insecureSim, true);
});

test("a receipt: verified, and refused when anything in it is changed", async () => {
  const client = new QuorateClient(base);
  const p = await client.prepare(hello, { path: [2] });
  const r = await client.send(p);
  let receipt;
  for (let i = 0; receipt === undefined; i++) { // the gateway has it once the audit log was fetched
    try {
      receipt = await client.receipt(p.hash);
    } catch (e) {
      if (i === 100) throw e;
      await new Promise((done) => setTimeout(done, 50));
    }
  }
  const trust = { roster: client.roster, policy: config.policy, body: p.body, key: await client.key() };
  const said = verifyReceipt(receipt, trust);
  assert.deepEqual(said.signers, r.signers);
  assert.deepEqual(said.signatures, r.signatures);
  assert.deepEqual(said.path, [2]);
  assert.equal(said.client, "client");
  assert.equal(said.rule, "all");
  assert.equal(said.evidenceChecked, false);
  assert.ok(said.links.length === 1 && said.links[0].out > 0 && said.links[0].in > 0);

  const bad = (text, more, words) => assert.throws(() => verifyReceipt(text, { ...trust, ...more }), (e) => {
    assert.ok(e instanceof CheckError, e.stack);
    assert.match(e.message, words);
    return true;
  });
  const o = JSON.parse(receipt);
  const edit = (f) => {
    const c = structuredClone(o);
    f(c);
    return JSON.stringify(c);
  };
  const inRecord = (i, from, to) => edit((c) => {
    const was = c.parties[i].record;
    c.parties[i].record = was.replace(from, to);
    assert.notEqual(c.parties[i].record, was);
  });
  bad(inRecord(0, '"rule":"all"', '"rule":"any"'), {}, /party \d: its part is not signed/);
  bad(inRecord(1, /"measurement":"../, '"measurement":"00'), {}, /not signed/);
  bad(edit((c) => { c.parties[0].made_ms++; }), {}, /not signed/);
  bad(edit((c) => { c.parties[0].evidence = c.parties[1].evidence; }), {}, /not signed/);
  bad(edit((c) => { c.parties[0].signature = flip(c.parties[0].signature); }), {}, /not signed/);
  bad(edit((c) => { c.parties.pop(); }), {}, /parties/);
  bad(edit((c) => { c.parties[1] = c.parties[0]; }), {}, /one part of each|do not agree/);
  bad(edit((c) => { c.request = flip(c.request); }), {}, /another request/);
  bad(edit((c) => { c.cluster = flip(c.cluster); }), {}, /another cluster/);
  bad(edit((c) => { c.more = 1; }), {}, /unknown member/);
  for (let i = 0; i < receipt.trimEnd().length; i += 101) {
    const c = receipt[i] === "7" ? "8" : "7";
    bad(receipt.slice(0, i) + c + receipt.slice(i + 1), {}, /./);
  }
  bad(receipt, { policy: config.policy.replace('"serial":1', '"serial":2') }, /another policy/);
  bad(receipt, { roster: parseRoster(config.roster.replace('"name":"test"', '"name":"tent"')) }, /another roster/);
  bad(receipt, { body: p.body.slice(1) }, /body/);
  bad(receipt, { key: { ...trust.key, chainCode: new Uint8Array(32) } }, /key/);
  const other = await client.sign(hello);
  await assert.rejects(client.receipt(new Uint8Array(32)), (e) => e instanceof AllGatewaysFailed);
  assert.notDeepEqual(other.request, p.hash);
});
