// The approvers' page for a running quorum: enrols a passkey, or approves a request with it, at the
// page's own origin and at a copy's. node approve_page.mjs CONFIG
import { execFileSync } from "node:child_process";
import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";

import { chromium } from "playwright-core";

const c = JSON.parse(readFileSync(process.argv[2], "utf8"));
const folder = join(c.folder, "page");
cpSync(join(process.env.ROOT, "clients/approve"), folder, { recursive: true });
writeFileSync(join(folder, "config.js"), `export const rpId = '';\nexport const approvers = ${
  JSON.stringify(c.entry ? [c.entry] : [])};\nexport const clients = [];\n`);
execFileSync(join(folder, "seal.sh"));
const types = { html: "text/html; charset=utf-8", js: "text/javascript", css: "text/css" };
const serve = async (port) => {
  const server = createServer((q, r) => {
    try {
      const name = q.url.split("?")[0].slice(1) || "index.html";
      if (!/^[a-z]+\.[a-z]+$/.test(name)) throw new Error("no such file");
      r.writeHead(200, { "Content-Type": types[name.split(".")[1]] }).end(readFileSync(join(folder, name)));
    } catch {
      r.writeHead(404).end();
    }
  });
  await new Promise((done) => server.listen(port, "127.0.0.1", done));
  return server;
};
const servers = [await serve(c.port ?? 0), await serve(0)];
const browser = await chromium.launch({
  executablePath: "/usr/bin/chromium", headless: true,
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"],
});

async function open(server, path) {
  const tab = await (await browser.newContext()).newPage();
  const cdp = await tab.context().newCDPSession(tab);
  await cdp.send("WebAuthn.enable");
  const { authenticatorId } = await cdp.send("WebAuthn.addVirtualAuthenticator", { options: {
    protocol: "ctap2", transport: "internal", hasResidentKey: true, hasUserVerification: true, isUserVerified: true,
    automaticPresenceSimulation: true } });
  if (c.credential) await cdp.send("WebAuthn.addCredential", { authenticatorId, credential: c.credential });
  await tab.goto(`http://localhost:${server.address().port}/${path}`);
  await tab.waitForFunction(() => document.documentElement.dataset.ready === "yes");
  return [tab, async () => (await cdp.send("WebAuthn.getCredentials", { authenticatorId })).credentials];
}

async function approve(server) {
  const [tab] = await open(server, `#${Buffer.from(c.request).toString("base64url")}`);
  await tab.getByRole("button", { name: "Approve with my passkey" }).click();
  await tab.locator("#result-part").waitFor({ state: "visible" });
  return tab.inputValue("#result");
}

try {
  if (c.request) {
    console.log(JSON.stringify({ approval: await approve(servers[0]), elsewhere: await approve(servers[1]) }));
  } else {
    const [tab, credentials] = await open(servers[0], "enrol.html");
    await tab.fill("#name", "alice");
    await tab.click("#make");
    await tab.locator("#result-part").waitFor({ state: "visible" });
    console.log(JSON.stringify({
      approver: JSON.parse(await tab.inputValue("#policy")), entry: JSON.parse(await tab.inputValue("#entry")),
      credential: { ...(await credentials())[0], signCount: 1 }, port: servers[0].address().port,
    }));
  }
} finally {
  await browser.close();
  servers.forEach((s) => s.close());
}
