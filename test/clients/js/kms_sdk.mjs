// The published SDK in JavaScript, unmodified. node kms_sdk.mjs CONFIG
import assert from "node:assert/strict";
import { createHash, createPublicKey, verify } from "node:crypto";

import { DescribeKeyCommand, GetPublicKeyCommand, KMSClient, ListAliasesCommand, ListKeysCommand, SignCommand } from "@aws-sdk/client-kms";

import { config, result } from "./config.mjs";

const client = (secretAccessKey) => new KMSClient({
  endpoint: config.endpoint, region: config.region, maxAttempts: 1, credentials: { accessKeyId: config.access, secretAccessKey },
});
const kms = client(config.secret);
const KeyId = "alias/payouts";
const message = Buffer.from("hello from the SDK");
const SigningAlgorithm = "ECDSA_SHA_256";

const pub = await kms.send(new GetPublicKeyCommand({ KeyId }));
assert.equal(pub.KeySpec, "ECC_SECG_P256K1");
const key = createPublicKey({ key: Buffer.from(pub.PublicKey), format: "der", type: "spki" });
const raw = await kms.send(new SignCommand({ KeyId, Message: message, MessageType: "RAW", SigningAlgorithm }));
assert.equal(verify("sha256", message, key, raw.Signature), true);
const digest = createHash("sha256").update("another").digest();
const blind = await kms.send(new SignCommand({ KeyId, Message: digest, MessageType: "DIGEST", SigningAlgorithm }));
assert.equal(verify("sha256", Buffer.from("another"), key, blind.Signature), true);
assert.equal(verify("sha256", message, key, blind.Signature), false);
const about = await kms.send(new DescribeKeyCommand({ KeyId }));
assert.equal(about.KeyMetadata.KeyUsage, "SIGN_VERIFY");
assert.deepEqual((await kms.send(new ListKeysCommand({}))).Keys.map((k) => k.KeyId), ["hot-1"]);
assert.deepEqual((await kms.send(new ListAliasesCommand({}))).Aliases.map((a) => a.AliasName), ["alias/payouts"]);
const named = (name) => (e) => {
  assert.equal(e.name, name, e.stack);
  return true;
};
await assert.rejects(kms.send(new GetPublicKeyCommand({ KeyId: "nobody" })), named("NotFoundException"));
await assert.rejects(client("not the secret, but long enough").send(new GetPublicKeyCommand({ KeyId })), named("InvalidSignatureException"));
result({ done: 8 });
