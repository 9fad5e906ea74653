// The TypeScript client in headless Chromium, as a page's script: no bundler, an import map alone. The
// page comes from one origin, the gateways are others. node ts_browser.mjs CONFIG
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { dirname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";

import { chromium } from "playwright-core";

import { config, result } from "./config.mjs";

const modules = join(dirname(fileURLToPath(import.meta.url)), "..", "node_modules");
const page = `<!doctype html><meta charset="utf-8"><title>client</title>
<script type="importmap">{"imports":{"quorate-client":"/m/quorate-client/dist/index.js",
"@noble/curves/":"/m/@noble/curves/","@noble/hashes/":"/m/@noble/hashes/"}}</script>`;
const server = createServer((q, r) => {
  const path = normalize(new URL(q.url, "http://x").pathname);
  if (path === "/") return r.writeHead(200, { "Content-Type": "text/html" }).end(page);
  try {
    if (!path.startsWith("/m/") || !path.endsWith(".js")) throw new Error("no such file");
    r.writeHead(200, { "Content-Type": "text/javascript" }).end(readFileSync(join(modules, path.slice(3))));
  } catch {
    r.writeHead(404).end();
  }
});
await new Promise((done) => server.listen(Number(new URL(config.page_origin).port), "127.0.0.1", done));

const browser = await chromium.launch({
  executablePath: "/usr/bin/chromium", headless: true,
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"],
});
try {
  const tab = await browser.newPage();
  const errors = [];
  tab.on("pageerror", (e) => errors.push(String(e)));
  await tab.goto(`${config.page_origin}/`);
  const out = await tab.evaluate(inPage, {
    gateways: config.gateways, roster: config.roster, policy: config.policy, key: config.key, pem: readFileSync(config.client_pem, "utf8"), address: config.address,
  });
  result({ ...out, failed: [...out.failed, ...errors] });
} finally {
  await browser.close();
  server.close();
}

// Runs in the page.
async function inPage(c) {
  const q = await import("quorate-client");
  const failed = [];
  let passed = 0;
  const check = async (name, f) => {
    try {
      if ((await f()) !== true) throw new Error("is not so");
      passed++;
    } catch (e) {
      failed.push(`${name}: ${e.stack ?? e}`);
    }
  };
  const refuses = async (f, test) => {
    try {
      await f();
    } catch (e) {
      if (!test(e)) throw e;
      return true;
    }
    throw new Error("nothing was refused");
  };
  const stamper = await q.pemStamper(c.pem);
  const base = { gateways: c.gateways, roster: c.roster, key: c.key, stamper, allowInsecureSim: true };
  const hello = [{ kind: "sha256", preimage: new TextEncoder().encode("hello from a page") }];
  await check("a signature is made and verified", async () => {
    const r = await new q.QuorateClient(base).sign(hello, { path: [3] });
    return r.signatures.length === 1 && r.signers.length === 2;
  });
  await check("a receipt is verified, and refused for another policy", async () => {
    const client = new q.QuorateClient(base);
    const r = await client.sign(hello);
    for (let i = 0; ; i++) {
      try {
        const receipt = await client.receipt(r.request);
        const said = q.verifyReceipt(receipt, { roster: client.roster, policy: c.policy, key: await client.key() });
        await refuses(async () => q.verifyReceipt(receipt, { roster: client.roster, policy: c.policy + " " }), (e) => e instanceof q.CheckError);
        return said.rule === "all" && said.signers.length === 2;
      } catch (e) {
        if (i === 100 || e instanceof q.CheckError) throw e;
        await new Promise((done) => setTimeout(done, 50));
      }
    }
  });
  await check("the address", async () => (await new q.QuorateClient(base).address()).toLowerCase() === c.address);
  await check("a key that the policy does not know, not extractable", async () => {
    const pair = await q.newStampKey();
    const client = new q.QuorateClient({ ...base, stamper: await q.webCryptoStamper(pair), gateways: [c.gateways[0]] });
    await refuses(() => crypto.subtle.exportKey("pkcs8", pair.privateKey), (e) => e.name === "InvalidAccessError");
    return refuses(() => client.sign(hello), (e) => e instanceof q.Problem && e.code === "client_unknown");
  });
  await check("an Ed25519 stamp", async () => {
    const pair = await crypto.subtle.generateKey({ name: "Ed25519" }, false, ["sign", "verify"]);
    const client = new q.QuorateClient({ ...base, stamper: await q.webCryptoStamper(pair), gateways: [c.gateways[0]] });
    return refuses(() => client.sign(hello), (e) => e instanceof q.Problem && e.code === "client_unknown");
  });
  await check("a body that was changed", async () => {
    const client = new q.QuorateClient({ ...base, gateways: [c.gateways[1]] });
    const p = await client.prepare(hello);
    p.body[p.body.length - 8] ^= 1;
    return refuses(() => client.send(p), (e) => e instanceof q.Problem && e.code === "stamp_invalid");
  });
  await check("approvals arrive, and one of nobody is refused", async () => {
    const client = new q.QuorateClient({ ...base, gateways: [c.gateways[1]] });
    const p = await client.prepare(hello);
    return refuses(() => client.send(p, { approvals: [p.stamp, p.stamp] }), (e) => e instanceof q.Problem && e.code === "approval_invalid");
  });
  await check("a gateway that shows another key", async () => {
    const fetchOther = async (u, o) => {
      const r = await fetch(u, o);
      if (!String(u).includes("/v1/keys/")) return r;
      const k = await r.json();
      k.parties[0].confirmation = k.parties[1].confirmation;
      return new Response(JSON.stringify(k));
    };
    const client = new q.QuorateClient({ ...base, fetch: fetchOther, gateways: [c.gateways[0]] });
    return refuses(() => client.sign(hello), (e) => e instanceof q.CheckError && e.kind === "untrusted");
  });
  await check("the software TEE", () =>
    refuses(() => new q.QuorateClient({ ...base, allowInsecureSim: false, gateways: [c.gateways[0]] }).sign(hello),
            (e) => e instanceof q.CheckError));
  return { passed, failed };
}
