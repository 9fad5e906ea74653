#!/usr/bin/env python3
"""Unmodified clients of a published key manager's API, at a facade that stands beside them: two command
lines, two SDKs; a transaction on a chain, signatures that openssl verifies."""

import base64
import hashlib
import json
import unittest

import boto3
import botocore.config
import botocore.exceptions

from lib import kit
from lib.recorder import Recorder, refused_by_each

REGION, ACCESS, SECRET = "eu-central-1", "AKIDEXAMPLE", "a-secret-that-only-the-client-and-the-facade-have"
Q = WIRE = F = FOLDER = None


def setUpModule():
    global Q, WIRE, F, FOLDER
    FOLDER = kit.new_folder()
    Q = kit.Quorum().start(rules=[kit.allow(kinds=["sha256", "digest"])])
    Q.keygen()
    WIRE = Recorder(Q.party[1].http)
    F = kit.Facade("kms", Q, FOLDER, {
        "v": 1, "type": "quorate/kms-facade", "region": REGION, "account": "111122223333",
        "keys": [{"id": "hot-1", "key": Q.key["key"], "path": [], "aliases": ["payouts"]}],
        "access": [{"id": ACCESS, "secret": SECRET, "keys": ["*"]}]}, WIRE.url)


def tearDownModule():
    F.__exit__()
    WIRE.__exit__()
    Q.kill()


def environment():
    return {"AWS_ACCESS_KEY_ID": ACCESS, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION, "AWS_ENDPOINT_URL": F.url, "AWS_KMS_KEY_ID": "alias/payouts"}


def file(name, content):
    return "fileb://" + kit.write(FOLDER, name, content)


class Kms(unittest.TestCase):
    def test_a_transaction_by_the_ethereum_command_line(self):
        own = kit.address_of(Q.key["key"])
        with kit.Anvil() as chain:
            chain.fund(own)
            before = len(WIRE.requests)
            r = kit.run(kit.binary("cast"), "send", "--aws", "--json", "--rpc-url", chain.url, "--value", "1",
                        "0x00000000000000000000000000000000000000aa", env=environment())
            sent = json.loads(r.out)
            chain.mined(sent["transactionHash"], own)
            # The transaction is mined; what the facade stamped for it cannot be changed by one bit.
            _, body, stamp = WIRE.requests[before]
            self.assertEqual(json.loads(body)["items"][0]["kind"], "digest")
            self.assertGreater(refused_by_each(self, Q, body, stamp), 600)

    def aws(self, *args, check=True):
        r = kit.run("/usr/bin/aws", "--endpoint-url", F.url, "--output", "json", "kms", *args, env=environment(), check=check)
        return json.loads(r.out) if check else r

    def test_the_command_line(self):
        key = base64.b64decode(self.aws("get-public-key", "--key-id", "hot-1")["PublicKey"])
        digest = hashlib.sha256(b"from a command line").digest()
        for kind, message in (("DIGEST", digest), ("RAW", b"from a command line")):
            r = self.aws("sign", "--key-id", "alias/payouts", "--message", file("message", message), "--message-type", kind,
                         "--signing-algorithm", "ECDSA_SHA_256")
            self.assertTrue(kit.verified_by_openssl(FOLDER, key, digest, base64.b64decode(r["Signature"])), kind)
        self.assertFalse(kit.verified_by_openssl(FOLDER, key, bytes(32), base64.b64decode(r["Signature"])))
        self.assertEqual(self.aws("describe-key", "--key-id", "hot-1")["KeyMetadata"]["KeySpec"], "ECC_SECG_P256K1")
        self.assertEqual([k["KeyId"] for k in self.aws("list-keys")["Keys"]], ["hot-1"])
        self.assertEqual([a["AliasName"] for a in self.aws("list-aliases")["Aliases"]], ["alias/payouts"])
        r = self.aws("get-public-key", "--key-id", "nobody", check=False)
        self.assertNotEqual(r.returncode, 0)
        self.assertIn("NotFoundException", r.err)

    def test_the_sdk_for_python(self):
        def client(secret):
            return boto3.client("kms", endpoint_url=F.url, region_name=REGION, aws_access_key_id=ACCESS, aws_secret_access_key=secret,
                                config=botocore.config.Config(retries={"max_attempts": 1}))
        kms = client(SECRET)
        key = kms.get_public_key(KeyId="alias/payouts")["PublicKey"]
        digest = hashlib.sha256(b"from python").digest()
        s = kms.sign(KeyId="hot-1", Message=digest, MessageType="DIGEST", SigningAlgorithm="ECDSA_SHA_256")
        self.assertTrue(kit.verified_by_openssl(FOLDER, key, digest, s["Signature"]))
        s = kms.sign(KeyId=s["KeyId"], Message=b"from python", MessageType="RAW", SigningAlgorithm="ECDSA_SHA_256")
        self.assertTrue(kit.verified_by_openssl(FOLDER, key, digest, s["Signature"]))
        self.assertEqual([k["KeyId"] for k in kms.list_keys()["Keys"]], ["hot-1"])
        with self.assertRaises(kms.exceptions.NotFoundException):
            kms.describe_key(KeyId="alias/nobody")
        with self.assertRaises(botocore.exceptions.ClientError) as e:
            client(SECRET[::-1]).get_public_key(KeyId="hot-1")
        self.assertEqual(e.exception.response["Error"]["Code"], "InvalidSignatureException")

    def test_the_sdk_for_javascript(self):
        r = kit.node("kms_sdk.mjs", kit.config(Q, endpoint=F.url, region=REGION, access=ACCESS, secret=SECRET))
        self.assertEqual(r["done"], 8)


if __name__ == "__main__":
    kit.main()
