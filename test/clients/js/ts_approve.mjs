// A rule that asks for two approvals: the client is told whose, hands the request over, and sends what
// the approvers gave. The approvers use the command line. node ts_approve.mjs CONFIG
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { AllGatewaysFailed, Problem, QuorateClient, approvalLink, pemStamper, requestFile } from "quorate-client";
import { toQuorateAccount } from "quorate-client/viem";
import { recoverMessageAddress } from "viem";

import { config, result } from "./config.mjs";

const client = new QuorateClient({
  gateways: config.gateways, roster: config.roster, key: config.key, allowInsecureSim: true,
  stamper: await pemStamper(readFileSync(config.client_pem, "utf8")),
});
const done = [];
const all = (test) => (e) => {
  const errors = e instanceof AllGatewaysFailed ? e.errors : [e];
  assert.equal(errors.length, config.gateways.length);
  for (const x of errors) {
    assert.ok(x instanceof Problem, x.stack);
    test(x);
  }
  return true;
};
let n = 0;
// An approver reads the request on the command line and signs it with a key of their own.
function approve(request, who) {
  const file = join(config.folder, `request-${n++}.json`);
  writeFileSync(file, requestFile(request));
  const hash = Buffer.from(request.hash).toString("hex");
  const words = execFileSync(config.quorate, ["approve", "show", file], { encoding: "utf8" });
  assert.match(words, new RegExp(hash));
  return execFileSync(config.quorate, ["approve", "sign", "--key", config.approvers[who], "--request", hash, file], { encoding: "utf8" }).trim();
}
const message = [{ kind: "eip191", preimage: new TextEncoder().encode("pay somebody") }];

const request = await client.prepare(message, { lifeMs: 600_000 });
let refusal;
await assert.rejects(client.send(request), all((x) => {
  assert.equal(x.code, "approval_needed");
  assert.equal(x.status, 403);
  assert.equal(x.rule, "treasury");
  assert.equal(x.need, 2);
  assert.deepEqual([...x.approvers].sort(), ["alice", "bob", "carol"]);
  refusal = x;
}));
const handed = JSON.parse(Buffer.from(new URL(approvalLink("https://approve.example.org/", request, refusal)).hash.slice(1), "base64url"));
assert.equal(handed.body, Buffer.from(request.body).toString());
assert.equal(handed.answer.rule, "treasury");
done.push("told whose");

const alice = approve(request, "alice"), bob = approve(request, "bob");
await assert.rejects(client.send(request, { approvals: [alice] }), all((x) => assert.equal(x.code, "approval_needed")));
await assert.rejects(client.send(request, { approvals: [alice, alice] }), all((x) => assert.equal(x.code, "approval_invalid")));
const other = await client.prepare(message, { lifeMs: 600_000 });
await assert.rejects(client.send(other, { approvals: [alice, bob] }), all((x) => assert.equal(x.code, "approval_invalid")));
await assert.rejects(client.send(request, { approvals: [alice, request.stamp] }), all((x) => assert.equal(x.code, "approval_invalid")));
done.push("too few, twice, of another request, of nobody");

const r = await client.send(request, { approvals: [alice, bob] });
assert.equal(r.signatures.length, 1);
done.push("signed");

const account = await toQuorateAccount(client, {
  lifeMs: 600_000, approve: async (q) => [approve(q, "carol"), approve(q, "bob")],
});
assert.equal(await recoverMessageAddress({ message: "hello", signature: await account.signMessage({ message: "hello" }) }), account.address);
done.push("an account");
result({ done });
