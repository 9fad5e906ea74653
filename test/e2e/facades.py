#!/usr/bin/env python3
"""Other ways to ask a quorum: facades, the C library, and the longer ways of the command line. What they
sign, whom they refuse, and in which words."""

import base64
import hashlib
import hmac
import http.client
import json
import os
import socket
import stat
import subprocess
import threading
import time
import unittest

from rig import documents, ec, suite
from rig.keccak import keccak256
from rig.quorum import Quorum, ctl, die_with_parent, new_folder, program, until

REGION, ACCOUNT = "us-east-1", "111122223333"
ACCESS, SECRET = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
LESSER = "AKIDLESSER"
KINDS = ["sha256", "digest", "eip191", "eth_tx", "eip712", "btc_bip143"]
TOKEN = "t" * 31 + "k"
Q = F = KMS = RPC = None


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
        self.socket = listen[5:] if listen.startswith("unix:") else None

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
        if self.socket:
            c.sock = socket.socket(socket.AF_UNIX)
            c.sock.settimeout(30)
            c.sock.connect(self.socket)
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


def rpc_config(**over):
    return {"v": 1, "type": "quorate/rpc-facade", "chain_id": 31337, "token": TOKEN,
            "origins": ["https://app.example.org"],
            "accounts": [{"key": Q.key["key"], "path": []},
                         {"key": Q.key["key"], "path": [7]}], **over}


def setUpModule():
    global Q, F, KMS, RPC
    Q, F = Quorum(), new_folder()
    rules = [documents.allow("some", kinds=KINDS)]
    Q.start(rules=rules)
    Q.keygen()
    with open(path("roster"), "wb") as f:
        f.write(Q.roster)
    Q.client.write_pem(path("client.pem"))
    KMS = Facade("kms", write("kms.json", kms_config()))
    RPC = Facade("rpc", write("rpc.json", rpc_config()))


def tearDownModule():
    KMS.stop()
    RPC.stop()
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


# ---- Ethereum, as far as it is needed


def rlp(x):
    """The encoding of bytes, numbers and lists of them."""
    if isinstance(x, int):
        x = x.to_bytes((x.bit_length() + 7) // 8, "big")
    if isinstance(x, bytes):
        if len(x) == 1 and x[0] < 0x80:
            return x
        return length(len(x), 0x80) + x
    body = b"".join(map(rlp, x))
    return length(len(body), 0xc0) + body


def length(n, base):
    if n < 56:
        return bytes([base + n])
    b = n.to_bytes((n.bit_length() + 7) // 8, "big")
    return bytes([base + 55 + len(b)]) + b


def unrlp(b):
    """One item and what is behind it."""
    k = b[0]
    if k < 0x80:
        return b[:1], b[1:]
    base = 0xc0 if k >= 0xc0 else 0x80
    n, at = k - base, 1
    if n > 55:
        at += n - 55
        n = int.from_bytes(b[1:at], "big")
    body, rest = b[at:at + n], b[at + n:]
    if base == 0x80:
        return body, rest
    items = []
    while body:
        item, body = unrlp(body)
        items.append(item)
    return items, rest


def address(public):
    x, y = ec.SECP256K1.decode(public)
    return "0x" + keccak256(x.to_bytes(32, "big") + y.to_bytes(32, "big"))[12:].hex()


def signer(digest, r, s, recid):
    """Who made this signature, as an address."""
    assert s <= ec.SECP256K1.n // 2
    return address(ec.SECP256K1.recover(digest, r, s, recid))


def rpc(method, *params, facade=None, headers=None, raw=None, drop=(), verb="POST", target="/"):
    """One call; the answer's result, or its error as an exception."""
    facade = facade or RPC
    body = raw if raw is not None else json.dumps(
        {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
    given = {"Host": f"127.0.0.1:{facade.port}", "Content-Type": "application/json",
             "Authorization": f"Bearer {TOKEN}", **(headers or {})}
    status, head, text = facade.raw(verb, target, [
        *((k, v) for k, v in given.items() if k not in drop), ("Content-Length", str(len(body)))],
        body)
    return status, head, json.loads(text) if text[:1] in b"{[" and text else text


def result(*args, **how):
    status, _, o = rpc(*args, **how)
    assert status == 200 and "result" in o, o
    return o["result"]


class Rpc(unittest.TestCase):
    def error(self, code, answer):
        self.assertEqual(answer[0], 200, answer)
        self.assertEqual(answer[2]["error"]["code"], code, answer)
        return answer[2]["error"]

    def accounts(self):
        public = bytes.fromhex(Q.key["key"])
        child = ec.child(public, bytes.fromhex(Q.key["chain_code"]), [7])
        return [address(public), address(child)]

    def test_accounts_and_chain(self):
        self.assertEqual(result("eth_accounts"), self.accounts())
        self.assertEqual(result("eth_chainId"), "0x7a69")
        self.assertEqual(result("net_version"), "31337")

    def test_messages(self):
        for account in self.accounts():
            message = "I agree".encode()
            digest = keccak256(b"\x19Ethereum Signed Message:\n7" + message)
            for method, params in (("personal_sign", ("0x" + message.hex(), account)),
                                   ("eth_sign", (account.upper().replace("0X", "0x"),
                                                 "0x" + message.hex()))):
                sig = bytes.fromhex(result(method, *params)[2:])
                self.assertEqual(len(sig), 65)
                self.assertEqual(signer(digest, int.from_bytes(sig[:32], "big"),
                                        int.from_bytes(sig[32:64], "big"), sig[64] - 27), account)

    def sign_tx(self, fields, tx_type, unsigned):
        """A transaction through the facade; returns the signed fields."""
        account = self.accounts()[0]
        o = result("eth_signTransaction", {"from": account, **fields})
        raw = bytes.fromhex(o["raw"][2:])
        self.assertEqual(o["tx"]["hash"], "0x" + keccak256(raw).hex())
        prefix = bytes([tx_type]) if tx_type else b""
        self.assertTrue(raw.startswith(prefix))
        items, rest = unrlp(raw[len(prefix):])
        self.assertEqual(rest, b"")
        v, r, s = (int.from_bytes(x, "big") for x in items[-3:])
        recid = v if tx_type else v - 35 - 2 * 31337
        if not tx_type:
            unsigned = [*unsigned, 31337, 0, 0]
        digest = keccak256(prefix + rlp(unsigned))
        self.assertEqual(signer(digest, r, s, recid), account)
        self.assertEqual(rlp(items[:-3]), rlp(unsigned if tx_type else unsigned[:-3]))
        return o["tx"]

    def test_transactions_of_each_type(self):
        to = "0x" + "11" * 20
        base = {"to": to, "nonce": "0x7", "gas": "0x5208", "value": "0xde0b6b3a7640000"}
        tob, value = bytes.fromhex(to[2:]), 10**18
        tx = self.sign_tx({**base, "maxFeePerGas": "0x3b9aca00", "maxPriorityFeePerGas": "0x0"}, 2,
                          [31337, 7, 0, 10**9, 21000, tob, value, b"", []])
        self.assertEqual((tx["type"], tx["value"], tx["input"]), ("0x2", "0xde0b6b3a7640000", "0x"))
        self.sign_tx({**base, "gasPrice": "0x1"}, 0, [7, 1, 21000, tob, value, b""])
        key = "0x" + "0a" * 32
        self.sign_tx({**base, "gasPrice": "0x1", "data": "0xa9059cbb00",
                      "accessList": [{"address": to, "storageKeys": [key]}]}, 1,
                     [31337, 7, 1, 21000, tob, value, bytes.fromhex("a9059cbb00"),
                      [[tob, [bytes.fromhex(key[2:])]]]])
        # A contract is made: no receiver, code that is longer than 55 bytes.
        code = bytes(range(100))
        fields = {"nonce": "0x0", "gasLimit": "0xf4240", "maxFeePerGas": "0x2",
                  "maxPriorityFeePerGas": "0x1", "input": "0x" + code.hex(), "chainId": "0x7a69",
                  "type": "0x2"}
        self.sign_tx(fields, 2, [31337, 0, 1, 2, 10**6, b"", 0, code, []])

    def test_transactions_that_are_refused(self):
        good = {"from": self.accounts()[0], "to": "0x" + "11" * 20, "nonce": "0x7", "gas": "0x5208",
                "maxFeePerGas": "0x1", "maxPriorityFeePerGas": "0x0"}
        result("eth_signTransaction", good)
        for name, over in (
                ("nonce", {"nonce": None}), ("gas", {"gas": None}), ("gas", {"gasLimit": "0x5209"}),
                ("nonce", {"nonce": "0x07"}), ("nonce", {"nonce": 7}), ("nonce", {"nonce": "7"}),
                ("nonce", {"nonce": "0x1" + "0" * 16}), ("value", {"value": "0x" + "f" * 65}),
                ("chainId", {"chainId": "0x1"}), ("to", {"to": "0x11"}), ("to", {"to": 5}),
                ("data", {"data": "0x1"}), ("data", {"data": "zz"}),
                ("input", {"data": "0x00", "input": "0x01"}),
                ("maxFeePerGas", {"gasPrice": "0x1"}), ("type", {"type": "0x3"}),
                ("type", {"type": "0x4"}), ("gasPrice", {"type": "0x0"}),
                ("blobVersionedHashes", {"blobVersionedHashes": []}),
                ("authorizationList", {"authorizationList": []}),
                ("accessList", {"accessList": [{"address": "0x1", "storageKeys": []}]}),
                ("accessList", {"accessList": [{"address": "0x" + "11" * 20,
                                                "storageKeys": ["0x1"]}]}),
                ("eth_accounts", {"from": "0x" + "11" * 20}), ("from", {"from": "me"})):
            with self.subTest(name=name, over=over):
                answer = rpc("eth_signTransaction", {**good, **over})
                self.assertIn(name, self.error(-32602, answer)["message"])

    def test_typed_data(self):
        doc = {"types": {"EIP712Domain": [{"name": "name", "type": "string"}],
                         "Note": [{"name": "text", "type": "string"}]},
               "primaryType": "Note", "domain": {"name": "x"}, "message": {"text": "hi"}}

        def h(s):
            return keccak256(s.encode())
        domain = keccak256(h("EIP712Domain(string name)") + h("x"))
        digest = keccak256(b"\x19\x01" + domain + keccak256(h("Note(string text)") + h("hi")))
        account = self.accounts()[0]
        for given in (doc, json.dumps(doc)):
            sig = bytes.fromhex(result("eth_signTypedData_v4", account, given)[2:])
            self.assertEqual(signer(digest, int.from_bytes(sig[:32], "big"),
                                    int.from_bytes(sig[32:64], "big"), sig[64] - 27), account)
        self.error(-32602, rpc("eth_signTypedData_v4", account, {**doc, "primaryType": "Other"}))
        self.error(-32602, rpc("eth_signTypedData_v4", account, 5))

    def test_calls_and_batches(self):
        self.error(-32601, rpc("eth_sendTransaction", {}))
        self.error(-32601, rpc("eth_getBalance", "0x", "latest"))
        self.error(-32602, rpc("personal_sign", "0x00"))
        self.error(-32602, rpc("personal_sign", "hello", self.accounts()[0]))
        self.error(-32602, rpc("personal_sign", "0x" + "00" * 32769, self.accounts()[0]))
        self.error(-32602, rpc("eth_sign", "0x" + "11" * 20, "0x00"))
        for raw in (b"", b"{", b"[1", b'{"id":1,"id":1}', b"\xff"):
            self.error(-32700, rpc("", raw=raw))
        for raw in (b"5", b"{}", b"[]", b'{"jsonrpc":"2.0","method":"eth_accounts"}',
                    b'{"jsonrpc":"1.0","id":1,"method":"eth_accounts"}',
                    b'{"jsonrpc":"2.0","id":{},"method":"eth_accounts"}',
                    b'{"jsonrpc":"2.0","id":1,"method":"eth_accounts","params":{}}',
                    json.dumps([{}] * 33).encode()):
            answer = rpc("", raw=raw)
            o = answer[2][0] if isinstance(answer[2], list) else answer[2]
            self.assertEqual(o["error"]["code"], -32600 if raw != b"5" else -32700, answer)
        call = {"jsonrpc": "2.0", "method": "eth_chainId"}
        many = rpc("", raw=json.dumps([{**call, "id": i} for i in range(32)]).encode())[2]
        self.assertEqual([o["id"] for o in many], list(range(32)))

    def test_who_may_ask(self):
        def status(**how):
            return rpc("eth_accounts", **how)[0]
        app = "https://app.example.org"
        self.assertEqual(status(drop=["Authorization"]), 401)
        for wrong in (f"Bearer {TOKEN[:-1]}", f"Bearer {TOKEN[:-1]}x", TOKEN, f"Basic {TOKEN}"):
            self.assertEqual(status(headers={"Authorization": wrong}), 401)
        self.assertEqual(status(headers={"Host": f"localhost:{RPC.port}"}), 200)
        for host in ("rebound.example.org", f"rebound.example.org:{RPC.port}", "127.0.0.1"):
            self.assertEqual(status(headers={"Host": host}), 421)
        for origin in ("https://evil.example.org", "null", app + ".evil.example", app + ":444"):
            self.assertEqual(status(headers={"Origin": origin}), 403)
        answer = rpc("eth_accounts", headers={"Origin": app})
        self.assertEqual((answer[0], answer[1]["access-control-allow-origin"]), (200, app))
        answer = rpc("", raw=b"", verb="OPTIONS", headers={"Origin": app}, drop=["Authorization"])
        self.assertEqual((answer[0], answer[1]["access-control-allow-methods"]), (204, "POST"))
        self.assertEqual(status(verb="GET"), 405)
        self.assertEqual(status(target="/other"), 404)
        self.assertEqual(status(headers={"Content-Type": "text/plain"}), 415)
        self.assertEqual(status(raw=b" " * 100000), 413)

    def test_many_at_once(self):
        """Threads of one facade share a client: every answer is to its own question."""
        account = self.accounts()[1]
        got = {}

        def ask(i):
            message = f"message {i}".encode()
            sig = bytes.fromhex(result("personal_sign", "0x" + message.hex(), account)[2:])
            digest = keccak256(b"\x19Ethereum Signed Message:\n" +
                               str(len(message)).encode() + message)
            got[i] = signer(digest, int.from_bytes(sig[:32], "big"),
                            int.from_bytes(sig[32:64], "big"), sig[64] - 27)
        threads = [threading.Thread(target=ask, args=(i,)) for i in range(24)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.assertEqual(got, {i: account for i in range(24)})

    def test_a_unix_socket_needs_no_token(self):
        config = rpc_config()
        del config["token"]
        write("unix.json", config)
        own = Facade("rpc", path("unix.json"), listen=f"unix:{path('rpc.sock')}")
        self.assertEqual(stat.S_IMODE(os.stat(path("rpc.sock")).st_mode), 0o600)
        self.assertEqual(result("eth_accounts", facade=own, drop=["Authorization"],
                                headers={"Host": "anything"}), self.accounts())
        self.assertEqual(own.stop(), 0)
        self.assertFalse(os.path.exists(path("rpc.sock")))
        r = ctl("facade", "rpc", "--listen", "127.0.0.1:0", "--gateway", gateway_urls(), "--roster",
                path("roster"), "--client", path("client.pem"), "--config", path("unix.json"),
                check=78)
        self.assertIn("token must be there", r.err)

    def test_the_policy_decides_in_the_end(self):
        if not os.path.exists(path("stranger2.pem")):
            ec.Key("p256").write_pem(path("stranger2.pem"))
        other = Facade("rpc", path("rpc.json"), client="stranger2.pem")
        error = self.error(-32003, rpc("personal_sign", "0x00", self.accounts()[0], facade=other))
        self.assertEqual(error["data"]["code"], "client_unknown")
        other.stop()
        nowhere = Facade("rpc", path("rpc.json"), gateways="http://127.0.0.1:1")
        self.error(-32002, rpc("eth_accounts", facade=nowhere))
        nowhere.stop()

    def test_another_gateway_is_tried(self):
        one = Facade("rpc", path("rpc.json"), gateways="http://127.0.0.1:1," + gateway_urls((2, 3)))
        self.assertEqual(len(result("personal_sign", "0x00", self.accounts()[0], facade=one)), 132)
        self.assertTrue([e for e in one.events() if e["ev"] == "gateway_failed"])
        one.stop()


# ---- the client's side


def sha256d(b):
    return hashlib.sha256(hashlib.sha256(b).digest()).digest()


def record(key, value):
    return bytes([len(key)]) + key + (bytes([len(value)]) if len(value) < 253 else
                                      b"\xfd" + len(value).to_bytes(2, "little")) + value


class Client(unittest.TestCase):
    def sign(self, *args, check=0):
        return ctl("sign", "--gateway", gateway_urls(), "--roster", path("roster"), "--json", *args,
                   check=check)

    def test_the_c_library(self):
        build = os.environ.get("BUILD", "build/release")
        lib = "build/lib" if build == "build/release" else os.path.join(build, "lib")
        write("message", "a file of a program")

        def run(key, pem="client.pem"):
            return subprocess.run([os.path.join(build, "daemon/client/example/sign"),
                                   gateway_urls(), path("roster"), key, path(pem), path("message")],
                                  capture_output=True, timeout=60, check=False,
                                  env={**os.environ, "LD_LIBRARY_PATH": lib})
        r = run(Q.key["key"])
        self.assertEqual(r.returncode, 0, r.stderr)
        der, key = (bytes.fromhex(x) for x in r.stdout.decode().split())
        self.assertEqual(key.hex(), Q.key["key"])
        self.assertTrue(ec.SECP256K1.verify(key, hashlib.sha256(b"a file of a program").digest(),
                                            *der_numbers(der)))
        self.assertIn(b"signed", r.stderr)
        ec.Key("p256").write_pem(path("stranger3.pem"))
        r = run(Q.key["key"], "stranger3.pem")
        self.assertEqual((r.returncode, r.stdout), (4, b""))
        self.assertIn(b"client_unknown", r.stderr)
        self.assertEqual(run("02" + "11" * 32).stdout, b"")

    def test_a_request_is_made_first_and_sent_later(self):
        write("doc", json.dumps({"types": {"A": [{"name": "b", "type": "uint256"}]},
                                 "primaryType": "A", "domain": {"name": "x"}, "message": {"b": "1"}}))
        made = ctl("request", "--roster", path("roster"), "--key", Q.key["key"], "--client",
                   path("client.pem"), "--kind", "eip712", "--out", path("request.json"), path("doc"),
                   check=0)
        o = json.loads(self.sign("--request", path("request.json")).out)
        self.assertEqual(o["request"], made.out.strip())
        again = json.loads(self.sign("--request", path("request.json")).out)
        self.assertEqual((again["r"], again["s"]), (o["r"], o["s"]))
        with open(path("request.json"), encoding="ascii") as f:
            changed = f.read().replace("eip712", "eip191")
        self.sign("--request", write("changed.json", changed), check=77)
        self.sign("--request", path("request.json"), "--key", Q.key["key"], check=64)
        self.sign("--request", path("doc"), check=78)

    def test_an_approval_that_is_none_is_said_by_the_quorum(self):
        write("words", "AAAA\n")
        r = self.sign("--key", Q.key["key"], "--client", path("client.pem"), "--approval",
                      path("words"), path("roster"), check=77)
        self.assertIn("approval_invalid", r.err)
        r = self.sign("--key", Q.key["key"], "--client", path("client.pem"), "--approval",
                      write("bad-words", "A A"), path("roster"), check=78)
        self.assertIn("holds no approval", r.err)

    def test_several_files_and_a_receipt(self):
        for i in range(3):
            write(f"m{i}", f"message {i}")
        with open(path("policy"), "wb") as f:
            f.write(Q.policy)
        o = json.loads(self.sign("--key", Q.key["key"], "--client", path("client.pem"), "--receipt",
                                 path("receipt.json"), path("m0"), path("m1"), path("m2")).out)
        self.assertEqual([s["digest"] for s in o["signatures"]],
                         [hashlib.sha256(f"message {i}".encode()).hexdigest() for i in range(3)])
        r = ctl("receipt", "verify", "--roster", path("roster"), "--policy", path("policy"), "--json",
                path("receipt.json"), check=0)
        said = json.loads(r.out)
        self.assertEqual((said["request"], said["signers"]), (o["request"], o["signers"]))

    def test_a_psbt(self):
        """One input of the key by BIP143, one of somebody else."""
        public = bytes.fromhex(Q.key["key"])
        h160 = hashlib.new("ripemd160", hashlib.sha256(public).digest()).digest()
        ours, other = b"\x00\x14" + h160, b"\x00\x14" + b"\x11" * 20
        outpoints = [bytes([i]) * 32 + (0).to_bytes(4, "little") for i in (1, 2)]
        sequence = b"\xff" * 4
        output = (90000).to_bytes(8, "little") + b"\x16" + other
        tx = ((2).to_bytes(4, "little") + b"\x02" +
              b"".join(o + b"\x00" + sequence for o in outpoints) + b"\x01" + output + bytes(4))
        utxos = [(60000).to_bytes(8, "little") + b"\x16" + ours,
                 (50000).to_bytes(8, "little") + b"\x16" + other]
        psbt = (b"psbt\xff" + record(b"\x00", tx) + b"\x00" +
                b"".join(record(b"\x01", u) + b"\x00" for u in utxos) + b"\x00")
        write("in.psbt", base64.b64encode(psbt).decode())
        self.sign("--key", Q.key["key"], "--client", path("client.pem"), "--psbt", path("in.psbt"),
                  "--out", path("out.psbt"))
        with open(path("out.psbt"), "rb") as f:
            signed = base64.b64decode(f.read())
        at = signed.index(b"\x22\x02" + public) + 35
        sig = signed[at + 1:at + 1 + signed[at]]
        self.assertEqual(sig[-1], 1)
        code = b"\x19\x76\xa9\x14" + h160 + b"\x88\xac"
        digest = sha256d((2).to_bytes(4, "little") + sha256d(b"".join(outpoints)) +
                         sha256d(sequence * 2) + outpoints[0] + code + utxos[0][:8] + sequence +
                         sha256d(output) + bytes(4) + (1).to_bytes(4, "little"))
        self.assertTrue(ec.SECP256K1.verify(public, digest, *der_numbers(sig[:-1])))
        r = self.sign("--key", Q.key["key"], "--client", path("client.pem"), "--psbt",
                      path("out.psbt"), "--out", path("out2.psbt"), check=78)
        self.assertIn("no input", r.err)


if __name__ == "__main__":
    suite.main()
