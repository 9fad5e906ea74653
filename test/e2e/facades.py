#!/usr/bin/env python3
"""Other APIs in front of a quorum: what they sign, whom they refuse, and in which words."""

import base64
import hashlib
import hmac
import http.client
import json
import os
import subprocess
import time
import unittest

from rig import documents, ec, suite
from rig.quorum import ADDRESS, Quorum, ctl, die_with_parent, new_folder, program, until

REGION, ACCOUNT = "us-east-1", "111122223333"
ACCESS, SECRET = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
LESSER = "AKIDLESSER"
KINDS = ["sha256", "digest", "eip191", "eth_tx", "eip712"]
Q = F = KMS = None


def path(name):
    return os.path.join(F, name)


def write(name, text, mode=0o600):
    with open(os.open(path(name), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w",
              encoding="utf-8") as f:
        f.write(text if isinstance(text, str) else json.dumps(text))
    os.chmod(path(name), mode)
    return path(name)


class Facade:
    """`quorate facade` on a port of its own."""

    def __init__(self, what, config, listen="127.0.0.1:0", gateways=None, client="client.pem"):
        self.log_path = path(f"{what}-{os.urandom(4).hex()}.log")
        args = ["facade", what, "--listen", listen, "--gateway", gateways or gateway_urls(),
                "--roster", path("roster"), "--client", path(client), "--config", config, "--json"]
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen([program("quorate"), *args], stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, preexec_fn=die_with_parent)
        self.port = until(self.listening, f"the facade {what}; {self.log_path}")["port"]

    def events(self):
        with open(self.log_path, encoding="utf-8") as f:
            return [json.loads(x) for x in f if x.startswith("{")]

    def listening(self):
        if self.process.poll() is not None:
            with open(self.log_path, encoding="utf-8") as f:
                raise AssertionError(f"the facade ended: {f.read()}")
        return next((e for e in self.events() if e["ev"] == "listening"), None)

    def stop(self):
        self.process.terminate()
        return self.process.wait(20)

    def raw(self, method, target, headers, body):
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            c.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
            for name, value in headers:
                c.putheader(name, value)
            c.endheaders(body)
            r = c.getresponse()
            return r.status, dict((k.lower(), v) for k, v in r.getheaders()), r.read()
        finally:
            c.close()


def gateway_urls(parties=(1,)):
    return ",".join(f"http://{Q.party[i].http[0]}:{Q.party[i].http[1]}" for i in parties)


def kms_config(**over):
    keys = [{"id": "hot-1", "key": Q.key["key"], "path": [], "aliases": ["payouts"],
             "description": "the hot one"},
            {"id": "child", "key": Q.key["key"], "path": [0, 5]}]
    access = [{"id": ACCESS, "secret": SECRET, "keys": ["*"]},
              {"id": LESSER, "secret": SECRET[::-1], "keys": ["child"]}]
    return {"v": 1, "type": "quorate/kms-facade", "region": REGION, "account": ACCOUNT,
            "keys": keys, "access": access, **over}


def setUpModule():
    global Q, F, KMS
    Q, F = Quorum(), new_folder()
    rules = [documents.allow("some", kinds=KINDS)]
    Q.start(rules=rules)
    Q.keygen()
    with open(path("roster"), "wb") as f:
        f.write(Q.roster)
    Q.client.write_pem(path("client.pem"))
    KMS = Facade("kms", write("kms.json", kms_config()))


def tearDownModule():
    KMS.stop()
    Q.kill()


# ---- Signature Version 4, written a second time


def amz_time(at):
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(at))


def sigv4(headers, body, access=ACCESS, secret=SECRET, region=REGION, service="kms", target="/",
          method="POST", signed=None, when=None):
    """The value of Authorization for these headers (a list of pairs)."""
    values = {k.lower(): " ".join(v.split()) for k, v in headers}
    signed = signed or sorted(values)
    when = when or values["x-amz-date"]
    canonical = "\n".join([method, target, "", *(f"{k}:{values.get(k, '')}" for k in signed), "",
                           ";".join(signed), hashlib.sha256(body).hexdigest()])
    scope = f"{when[:8]}/{region}/{service}/aws4_request"
    to_sign = "\n".join(["AWS4-HMAC-SHA256", when, scope,
                         hashlib.sha256(canonical.encode()).hexdigest()])
    k = ("AWS4" + secret).encode()
    for part in (when[:8], region, service, "aws4_request", to_sign):
        k = hmac.digest(k, part.encode(), "sha256")
    return (f"AWS4-HMAC-SHA256 Credential={access}/{scope}, SignedHeaders={';'.join(signed)}, "
            f"Signature={k.hex()}")


def kms(operation, o=None, body=None, extra=(), drop=(), facade=None, at=None, change=None,
        **how):
    """One call; returns (status, the answer as an object). change: body after it was signed."""
    body = json.dumps(o if o is not None else {}).encode() if body is None else body
    facade = facade or KMS
    headers = [("Host", f"127.0.0.1:{facade.port}"),
               ("Content-Type", "application/x-amz-json-1.1"),
               ("X-Amz-Date", amz_time(time.time() if at is None else at)),
               ("X-Amz-Target", f"TrentService.{operation}"), *extra]
    headers = [(k, v) for k, v in headers if k not in drop]
    auth = sigv4(headers, body, **how)
    sent = body if change is None else change
    status, head, text = facade.raw("POST", "/", [*headers, ("Content-Length", str(len(sent))),
                                                  ("Authorization", auth)], sent)
    if "x-amzn-requestid" not in head:  # refused before anybody read it
        return status, {"__type": "", "message": text.decode()}
    return status, json.loads(text)


def b64(b):
    return base64.b64encode(b).decode()


def der_numbers(der):
    """r and s of a strict DER signature."""
    assert der[0] == 0x30 and der[1] == len(der) - 2 and der[2] == 2
    n = der[3]
    r, rest = der[4:4 + n], der[4 + n:]
    assert rest[0] == 2 and rest[1] == len(rest) - 2
    return int.from_bytes(r, "big"), int.from_bytes(rest[2:], "big")


def verifies(public, digest, signature):
    r, s = der_numbers(base64.b64decode(signature))
    return s <= ec.SECP256K1.n // 2 and ec.SECP256K1.verify(public, digest, r, s)


def point_of(spki):
    """The compressed point of a SubjectPublicKeyInfo on secp256k1."""
    head = bytes.fromhex("3056301006072a8648ce3d020106052b8104000a034200")
    assert spki.startswith(head) and len(spki) == 88 and spki[23] == 4
    return bytes([2 + (spki[87] & 1)]) + spki[24:56]


class Kms(unittest.TestCase):
    def refused(self, kind, answer, status=400):
        self.assertEqual((answer[0], answer[1]["__type"]), (status, kind), answer)
        return answer[1]["message"]

    def test_signs_messages_and_digests_under_every_name_of_a_key(self):
        message = b"pay 5 to nobody"
        digest = hashlib.sha256(message).digest()
        arn = f"arn:aws:kms:{REGION}:{ACCOUNT}:"
        for name in ("hot-1", "alias/payouts", arn + "key/hot-1", arn + "alias/payouts"):
            status, o = kms("GetPublicKey", {"KeyId": name})
            self.assertEqual(status, 200, o)
            self.assertEqual(o["KeySpec"], "ECC_SECG_P256K1")
            public = point_of(base64.b64decode(o["PublicKey"]))
            self.assertEqual(public.hex(), Q.key["key"])
            status, o = kms("Sign", {"KeyId": name, "Message": b64(message),
                                     "SigningAlgorithm": "ECDSA_SHA_256"})
            self.assertEqual(status, 200, o)
            self.assertEqual(o["KeyId"], arn + "key/hot-1")
            self.assertTrue(verifies(public, digest, o["Signature"]))
        status, o = kms("Sign", {"KeyId": "hot-1", "Message": b64(digest), "MessageType": "DIGEST",
                                 "SigningAlgorithm": "ECDSA_SHA_256", "GrantTokens": []})
        self.assertEqual(status, 200, o)
        self.assertTrue(verifies(public, digest, o["Signature"]))

    def test_a_child_key_by_another_access_key(self):
        who = {"access": LESSER, "secret": SECRET[::-1]}
        status, o = kms("GetPublicKey", {"KeyId": "child"}, **who)
        self.assertEqual(status, 200, o)
        child = ec.child(bytes.fromhex(Q.key["key"]), bytes.fromhex(Q.key["chain_code"]), [0, 5])
        self.assertEqual(point_of(base64.b64decode(o["PublicKey"])), child)
        ask = {"Message": b64(b"x"), "SigningAlgorithm": "ECDSA_SHA_256"}
        status, o = kms("Sign", {"KeyId": "child", **ask}, **who)
        self.assertEqual(status, 200, o)
        self.assertTrue(verifies(child, hashlib.sha256(b"x").digest(), o["Signature"]))
        self.refused("AccessDeniedException", kms("Sign", {"KeyId": "hot-1", **ask}, **who))
        self.assertEqual([k["KeyId"] for k in kms("ListKeys", **who)[1]["Keys"]], ["child"])

    def test_lists_and_descriptions(self):
        status, o = kms("ListKeys")
        self.assertEqual((status, [k["KeyId"] for k in o["Keys"]], o["Truncated"]),
                         (200, ["hot-1", "child"], False))
        one = kms("ListKeys", {"Limit": 1})[1]
        self.assertEqual((len(one["Keys"]), one["Truncated"]), (1, True))
        two = kms("ListKeys", {"Limit": 1, "Marker": one["NextMarker"]})[1]
        self.assertEqual((two["Keys"][0]["KeyId"], two["Truncated"]), ("child", False))
        o = kms("ListAliases", {"KeyId": "hot-1"})[1]
        self.assertEqual([a["AliasName"] for a in o["Aliases"]], ["alias/payouts"])
        o = kms("DescribeKey", {"KeyId": "alias/payouts"})[1]["KeyMetadata"]
        self.assertEqual((o["KeyId"], o["KeyUsage"], o["Description"]),
                         ("hot-1", "SIGN_VERIFY", "the hot one"))

    def test_what_is_refused_and_how(self):
        ask = {"KeyId": "hot-1", "Message": b64(b"x"), "SigningAlgorithm": "ECDSA_SHA_256"}
        for kind, over in (
                ("NotFoundException", {"KeyId": "other"}),
                ("NotFoundException", {"KeyId": "alias/other"}),
                ("NotFoundException", {"KeyId": "arn:aws:kms:eu-west-1:1:key/hot-1"}),
                ("NotFoundException", {"KeyId": f"arn:aws:kms:{REGION}:{ACCOUNT}:hot-1"}),
                ("InvalidKeyUsageException", {"SigningAlgorithm": "ECDSA_SHA_384"}),
                ("ValidationException", {"MessageType": "EXTERNAL"}),
                ("ValidationException", {"MessageType": "DIGEST"}),
                ("ValidationException", {"Message": ""}),
                ("ValidationException", {"Message": "*"}),
                ("ValidationException", {"Message": b64(bytes(4097))}),
                ("ValidationException", {"GrantTokens": ["x"]}),
                ("ValidationException", {"Other": 1}),
                ("ValidationException", {"KeyId": 5}),
                ("DryRunOperationException", {"DryRun": True})):
            with self.subTest(kind=kind, over=str(over)[:60]):
                self.refused(kind, kms("Sign", {**ask, **over}))
        self.refused("ValidationException", kms("Sign", {"KeyId": "hot-1"}))
        self.refused("UnknownOperationException", kms("Decrypt", ask))
        self.refused("SerializationException", kms("Sign", body=b"{"))
        self.refused("SerializationException", kms("Sign", body=b'{"KeyId":"a","KeyId":"b"}'))
        self.refused("InvalidMarkerException", kms("ListKeys", {"Marker": "x"}))
        self.assertEqual(kms("Sign", body=b" " * 20000)[0], 413)

    def test_signatures_that_do_not_fit(self):
        ask = {"KeyId": "hot-1"}
        good = json.dumps(ask).encode()
        for kind, how in (
                ("InvalidSignatureException", {"secret": SECRET[:-1] + "Z"}),
                ("UnrecognizedClientException", {"access": "AKIDNOBODY"}),
                ("InvalidSignatureException", {"region": "eu-west-1"}),
                ("InvalidSignatureException", {"service": "s3"}),
                ("InvalidSignatureException", {"at": time.time() - 400}),
                ("InvalidSignatureException", {"at": time.time() + 400}),
                ("InvalidSignatureException", {"change": good.replace(b"hot-1", b"hot-2")}),
                ("InvalidSignatureException", {"method": "GET"}),
                ("InvalidSignatureException",
                 {"extra": [("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD")]}),
                ("InvalidSignatureException", {"extra": [("X-Amz-Content-Sha256", "0" * 64)]}),
                ("UnrecognizedClientException", {"extra": [("X-Amz-Security-Token", "t")]}),
                ("IncompleteSignatureException", {"signed": ["content-type", "host", "x-amz-date"]}),
                ("IncompleteSignatureException",
                 {"signed": ["content-type", "x-amz-date", "x-amz-target"]}),
                ("IncompleteSignatureException",
                 {"signed": ["host", "content-type", "x-amz-date", "x-amz-target"]}),
                ("IncompleteSignatureException",
                 {"drop": ["X-Amz-Date"], "when": amz_time(time.time())})):
            with self.subTest(kind=kind, how=str(how)[:80]):
                self.refused(kind, kms("GetPublicKey", body=good, **how))
        self.assertEqual(kms("GetPublicKey", body=good,
                             extra=[("X-Amz-Content-Sha256", hashlib.sha256(good).hexdigest())])[0],
                         200)

    def test_the_policy_decides_in_the_end(self):
        """Another client's facade, for whom no rule speaks: refused by the quorum, in its words."""
        ec.Key("p256").write_pem(path("stranger.pem"))
        other = Facade("kms", write("kms2.json", kms_config()), client="stranger.pem")
        try:
            status, o = kms("Sign", {"KeyId": "hot-1", "Message": b64(b"x"),
                                     "SigningAlgorithm": "ECDSA_SHA_256"}, facade=other)
            self.assertEqual((status, o["__type"]), (400, "AccessDeniedException"))
            self.assertIn("client_unknown", o["message"])
        finally:
            self.assertEqual(other.stop(), 0)

    def test_nobody_else_can_use_it(self):
        def start(code, text, listen="127.0.0.1:0", config=None):
            r = ctl("facade", "kms", "--listen", listen, "--gateway", gateway_urls(), "--roster",
                    path("roster"), "--client", path("client.pem"), "--config",
                    config or path("kms.json"), check=code)
            self.assertIn(text, r.err)
        start(78, "no loopback address", listen="0.0.0.0:0")
        start(78, "no loopback address", listen="localhost:1")
        start(78, "chmod 0600", config=write("open.json", kms_config(), 0o640))
        start(78, "stands twice", config=write("twice.json", kms_config(
            access=kms_config()["access"][:1] * 2)))
        start(78, "no key has this id", config=write("nokey.json", kms_config(
            access=[{"id": ACCESS, "secret": SECRET, "keys": ["cold"]}])))


if __name__ == "__main__":
    suite.main()
