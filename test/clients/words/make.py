#!/usr/bin/env python3
"""Writes the bodies of the words corpus: NAME.json is the exact body of a request.

usage: test/clients/words/make.py FOLDER

NAME.txt beside it is what people read. The texts were written by `quorate approve show` and read by a
person; test/daemon/test_words.c and test/clients/approve.mjs hold the C and the page to them.
"""
import json
import pathlib
import sys

CLUSTER, KEY = "c1" * 32, "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"
TO = bytes.fromhex("5aaeb6053f3e94c9b9a09f33669435e7ef1beaed")
OTHER = bytes.fromhex("fb6916095ca1df60bb79ce92ce3ea74c37c5d359")


def rlp(v):
    if isinstance(v, int):
        v = v.to_bytes((v.bit_length() + 7) // 8, "big")
    if isinstance(v, bytes):
        if len(v) == 1 and v[0] < 0x80:
            return v
        body, base = v, 0x80
    else:
        body, base = b"".join(rlp(x) for x in v), 0xC0
    if len(body) <= 55:
        return bytes([base + len(body)]) + body
    n = len(body).to_bytes((len(body).bit_length() + 7) // 8, "big")
    return bytes([base + 55 + len(n)]) + n + body


def tx1559(chain, to, value, data, fee=30 * 10**9, gas=21000, nonce=7, access=()):
    return b"\x02" + rlp([chain, nonce, 10**9, fee, gas, to, value, data, list(access)])


def word(v):
    return v.rjust(32, b"\0") if isinstance(v, bytes) else v.to_bytes(32, "big")


def native(items, path=(), **more):
    body = {"v": 1, "cluster": CLUSTER, "key": KEY, "id": "0123456789abcdef",
            "issued_ms": 1795251934338, "expires_ms": 1795255534338, "path": list(path), "items": items}
    body.update(more)
    return json.dumps(body, separators=(",", ":"))


def item(kind, preimage):
    return {"kind": kind, "preimage": preimage.hex()}


def raw(kind, parameters, org=CLUSTER[:16]):
    return json.dumps({"type": "ACTIVITY_TYPE_SIGN_" + kind, "timestampMs": "1795251934338",
                       "organizationId": org, "parameters": parameters}, separators=(",", ":"))


def le(v, n):
    return v.to_bytes(n, "little")


def btc_tx(n_in, outs, lock=0):
    b = le(2, 4) + bytes([n_in])
    for i in range(n_in):
        b += bytes([i + 1]) * 32 + le(i, 4) + b"\0" + le(0xFFFFFFFD, 4)
    b += bytes([len(outs)])
    for sat, script in outs:
        b += le(sat, 8) + bytes([len(script)]) + script
    return b + le(lock, 4)


P2WPKH = bytes.fromhex("0014751e76e8199196d454941c45d1b3a323f1433bd6")
P2WSH = bytes.fromhex("0020" + "1863143c14c5166804bd19203356da136c985678cd4d27a1b8c6329604903262")
P2TR = bytes.fromhex("512079be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798")
P2PKH = bytes.fromhex("76a914751e76e8199196d454941c45d1b3a323f1433bd688ac")
P2SH = bytes.fromhex("a914bcfeb728b584253d5f3f70bcb780e9ef218a68f487")
RETURN = bytes.fromhex("6a0568656c6c6f")

MAIL = {
    "types": {
        "EIP712Domain": [{"name": "name", "type": "string"}, {"name": "version", "type": "string"},
                         {"name": "chainId", "type": "uint256"},
                         {"name": "verifyingContract", "type": "address"}],
        "Person": [{"name": "name", "type": "string"}, {"name": "wallet", "type": "address"}],
        "Mail": [{"name": "from", "type": "Person"}, {"name": "to", "type": "Person[]"},
                 {"name": "contents", "type": "string"}, {"name": "count", "type": "uint256"},
                 {"name": "urgent", "type": "bool"}, {"name": "attachment", "type": "bytes"},
                 {"name": "tags", "type": "string[]"}],
    },
    "primaryType": "Mail",
    "domain": {"name": "Ether Mail", "version": "1", "chainId": 1,
               "verifyingContract": "0xCcCCccccCCCCcCCCCCCcCcCccCcCCCcCcccccccC"},
    "message": {
        "from": {"name": "Cow", "wallet": "0xCD2a3d9F938E13CD947Ec05AbC7FE734Df8DD826"},
        "to": [{"name": "Bob", "wallet": "0xbBbBBBBbbBBBbbbBbbBbbbbBBbBbbbbBbBbbBBbB"},
               {"name": "Zo\u00eb \"Z\"", "wallet": "0xbBbBBBBbbBBBbbbBbbBbbbbBBbBbbbbBbBbbBBbB"}],
        "contents": "Hello, Bob!\nSecond line \u202e", "count": "115792089237316195423570985008687907853"
        "269984665640564039457584007913129639935", "urgent": False, "attachment": "0x", "tags": []},
}
NO_CHAIN = {
    "types": {"Login": [{"name": "who", "type": "string"}],
              "EIP712Domain": [{"name": "name", "type": "string"}]},
    "primaryType": "Login", "domain": {"name": "site"}, "message": {"who": "me"},
}
MAX = 2**256 - 1

PREVOUTS = [{"sat": 100000, "script": P2WPKH.hex()}, {"sat": 60000, "script": P2WPKH.hex()}]
PAY = btc_tx(2, [(50000, P2WSH), (100000, P2WPKH), (0, RETURN), (1000, P2TR)], 850000)
LEGACY = btc_tx(1, [(40000, P2SH), (5000, P2PKH), (100, bytes.fromhex("51"))])

CORPUS = {
    "eth_transfer": native([item("eth_tx", tx1559(1, TO, 15 * 10**17, b""))], [44, 60, 0]),
    "eth_token": native([item("eth_tx", tx1559(
        137, OTHER, 0, bytes.fromhex("a9059cbb") + word(TO) + word(2500000), gas=65000))]),
    "eth_approve_all": native([item("eth_tx", tx1559(
        8453, OTHER, 0, bytes.fromhex("095ea7b3") + word(TO) + word(MAX)))]),
    "eth_approve_dirty": native([item("eth_tx", tx1559(
        1, OTHER, 1, bytes.fromhex("095ea7b3") + b"\1" * 12 + TO + word(5)))]),
    "eth_for_all": native([item("eth_tx", tx1559(
        10, OTHER, 0, bytes.fromhex("a22cb465") + word(TO) + word(1)))]),
    "eth_unknown": native([item("eth_tx", tx1559(
        123456789, OTHER, MAX, bytes.fromhex("deadbeef") + b"\xaa" * 300, fee=MAX, gas=2**64 - 1,
        access=[[TO, [word(1), word(2)]], [OTHER, []]]))]),
    "eth_short_data": native([item("eth_tx", tx1559(1, TO, 0, b"\1\2\3"))]),
    "eth_create": native([item("eth_tx", rlp([0, 10**9, 100000, b"", 0, b"\x60\x80" * 40, 1, 0, 0]))]),
    "eth_any_chain": native([item("eth_tx", rlp([3, 1, 21000, TO, 1, b""]))]),
    "eth_2930": native([item("eth_tx", b"\x01" + rlp([1, 0, 10**9, 21000, TO, 10**18, b"", []]))]),
    "message": native([item("eip191", b"Sign in to example.org")]),
    "message_lines": native([item("eip191", "a: b\nvalue: 0\r\n\tZo\u00eb \u202e \U0001f600 \"\\\n".encode())]),
    "message_empty": native([item("eip191", b"")]),
    "message_bytes": native([item("eip191", bytes(range(32)))]),
    "message_bad_utf8": native([item("eip191", b"abc\xff\xc0\x80def")]),
    "message_long": native([item("eip191", (("0123456789" * 200 + "\n") * 3).encode())]),
    "bytes_long": native([item("sha256", b"\0" * 300), item("sha256d", b"text"), item("keccak256", b"k")]),
    "digest": native([{"kind": "digest", "digest": "ab" * 32}]),
    "typed": native([item("eip712", json.dumps(MAIL).encode())]),
    "typed_utf8": native([item("eip712", json.dumps(MAIL, ensure_ascii=False, indent=1).encode())]),
    "typed_any_chain": native([item("eip712", json.dumps(NO_CHAIN).encode())]),
    "btc": native([
        {"kind": "btc_bip143", "preimage": PAY.hex(), "input": 0, "prevouts": PREVOUTS},
        {"kind": "btc_bip143", "input": 1, "of": 0}]),
    "btc_one_of_two": native([
        {"kind": "btc_bip143", "preimage": PAY.hex(), "input": 1, "prevouts": PREVOUTS}]),
    "btc_one_input": native([
        {"kind": "btc_bip143", "preimage": btc_tx(1, [(90000, P2PKH)], 1800000000).hex(), "input": 0,
         "prevouts": PREVOUTS[:1]}]),
    "btc_legacy": native([
        {"kind": "btc_legacy", "preimage": LEGACY.hex(), "input": 0,
         "prevouts": [{"sat": 2100000000000000, "script": P2PKH.hex()}]}]),
    "raw_digest": raw("RAW_PAYLOAD_V2", {
        "signWith": KEY, "payload": "0x" + "cd" * 32, "encoding": "PAYLOAD_ENCODING_HEXADECIMAL",
        "hashFunction": "HASH_FUNCTION_NO_OP"}),
    "raw_several": raw("RAW_PAYLOADS", {
        "signWith": "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", "payloads": ["hello", "w\u00f6rld"],
        "encoding": "PAYLOAD_ENCODING_TEXT_UTF8", "hashFunction": "HASH_FUNCTION_SHA256"}, CLUSTER),
    "raw_typed": raw("RAW_PAYLOAD_V2", {
        "signWith": KEY, "payload": json.dumps(NO_CHAIN), "encoding": "PAYLOAD_ENCODING_EIP712",
        "hashFunction": "HASH_FUNCTION_NO_OP"}),
    "raw_transaction": raw("TRANSACTION_V2", {
        "signWith": "0x" + TO.hex(), "type": "TRANSACTION_TYPE_ETHEREUM",
        "unsignedTransaction": tx1559(31337, OTHER, 10**18, b"").hex()}),
    "times_far": native([item("sha256", b"x")], [2147483647], issued_ms=253402300800000 - 1,
                        expires_ms=253402300800000),
    "keys_of_numbers": native([item("eip712", json.dumps({
        "types": {"A": [{"name": "z", "type": "uint8"}, {"name": "a", "type": "int64"}],
                  "EIP712Domain": [{"name": "chainId", "type": "uint256"}]},
        "primaryType": "A", "domain": {"chainId": "0x89"}, "message": {"a": -5, "z": "0xff"}},
        ).encode())]),
}

out = pathlib.Path(sys.argv[1])
for name, body in CORPUS.items():
    (out / (name + ".json")).write_bytes(body.encode())
