/** EIP-712: our digest is that of the wallets' libraries, and what is ambiguous is refused. */
import assert from "node:assert/strict";
import { test } from "node:test";

import { TypedDataEncoder } from "ethers";
import { hashTypedData } from "viem";

import { CheckError, typedDataDigest, typedDataJson, type TypedData } from "../dist/index.js";

const hex = (b: Uint8Array): string => "0x" + Buffer.from(b).toString("hex");

function same(doc: TypedData): void {
  const ours = hex(typedDataDigest(doc));
  const { EIP712Domain: _, ...types } = doc.types as Record<string, { name: string; type: string }[]>;
  assert.equal(ours, hashTypedData(doc as never), "viem");
  assert.equal(ours, TypedDataEncoder.hash(doc.domain, types, doc.message), "ethers");
  // What is sent is what was hashed.
  assert.equal(ours, hex(typedDataDigest(JSON.parse(typedDataJson(doc)) as TypedData)));
}

const mail: TypedData = {
  types: {
    EIP712Domain: [
      { name: "name", type: "string" }, { name: "version", type: "string" },
      { name: "chainId", type: "uint256" }, { name: "verifyingContract", type: "address" },
    ],
    Person: [{ name: "name", type: "string" }, { name: "wallet", type: "address" }],
    Mail: [{ name: "from", type: "Person" }, { name: "to", type: "Person" }, { name: "contents", type: "string" }],
  },
  primaryType: "Mail",
  domain: { name: "Ether Mail", version: "1", chainId: 1, verifyingContract: "0xCcCCccccCCCCcCCCCCCcCcCccCcCCCcCcccccccC" },
  message: {
    from: { name: "Cow", wallet: "0xCD2a3d9F938E13CD947Ec05AbC7FE734Df8DD826" },
    to: { name: "Bob", wallet: "0xbBbBBBBbbBBBbbbBbbBbbbbBBbBbbbbBbBbbBBbB" },
    contents: "Hello, Bob!",
  },
};

test("EIP-712's own example", () => {
  assert.equal(hex(typedDataDigest(mail)), "0xbe609aee343fb3c4b28e1df9e632fca64fcfaede20f02e86244efddf30957bd2");
  same(mail);
});

test("arrays, structs in arrays, signed and long integers, bytes, no domain type", () => {
  same({
    types: {
      EIP712Domain: [{ name: "chainId", type: "uint256" }, { name: "salt", type: "bytes32" }],
      Leaf: [{ name: "x", type: "int128" }, { name: "b", type: "bytes3" }, { name: "ok", type: "bool" }],
      Tree: [
        { name: "leaves", type: "Leaf[]" }, { name: "pairs", type: "uint8[2][]" }, { name: "blob", type: "bytes" },
        { name: "big", type: "uint256" }, { name: "who", type: "address[2]" }, { name: "names", type: "string[]" },
      ],
    },
    primaryType: "Tree",
    domain: { chainId: 5n, salt: `0x${"07".repeat(32)}` },
    message: {
      leaves: [{ x: -5n, b: "0x010203", ok: true }, { x: 7n, b: "0xffffff", ok: false }],
      pairs: [[1, 2], [255, 0]],
      blob: "0x",
      big: 2n ** 256n - 1n,
      who: [`0x${"11".repeat(20)}`, `0x${"22".repeat(20)}`],
      names: ["", "\u00e4\u{1f600}"],
    },
  });
});

test("what could be read in two ways is refused", () => {
  const edit = (f: (d: { types: Record<string, { name: string; type: string }[]>; primaryType: string;
                         domain: Record<string, unknown>; message: Record<string, unknown> }) => void): TypedData => {
    const d = JSON.parse(typedDataJson(mail));
    f(d);
    return d as TypedData;
  };
  const cases: [string, TypedData][] = [
    ["a member that no type names", edit((d) => { d.message["more"] = 1; })],
    ["a member that is missing", edit((d) => { delete d.message["contents"]; })],
    ["a type that nobody defines", edit((d) => { d.types["Mail"]?.push({ name: "z", type: "Ghost" }); d.message["z"] = {}; })],
    ["a primary type that nobody defines", edit((d) => { d.primaryType = "Letter"; })],
    ["an address of another length", edit((d) => { (d.message["to"] as Record<string, unknown>)["wallet"] = "0x11"; })],
    ["a number for a string", edit((d) => { d.message["contents"] = 5; })],
    ["a number that does not fit", edit((d) => { d.types["Mail"]?.push({ name: "n", type: "uint8" }); d.message["n"] = 256; })],
    ["a number without an exact value", edit((d) => { d.types["Mail"]?.push({ name: "n", type: "uint256" }); d.message["n"] = 1e21; })],
    ["a width that does not exist", edit((d) => { d.types["Mail"]?.push({ name: "n", type: "uint7" }); d.message["n"] = 1; })],
    ["a type that contains itself", edit((d) => {
      d.types["Person"]?.push({ name: "next", type: "Person" });
      const loop: Record<string, unknown> = d.message["to"] as Record<string, unknown>;
      loop["next"] = loop;
    })],
    ["a domain member that its type does not have", edit((d) => { d.domain["salt"] = `0x${"00".repeat(32)}`; })],
  ];
  for (const [name, doc] of cases) assert.throws(() => typedDataDigest(doc), CheckError, name);
});
