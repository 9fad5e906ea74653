// The approvers' page in headless Chromium, with a virtual authenticator: it shows the words that the
// command line shows; what it makes is accepted by `quorate approve check`, which judges as a party
// does; what altered copies of it make, at this or another origin, is not.
import {execFileSync, spawnSync} from 'node:child_process';
import {createHash, createPrivateKey, generateKeyPairSync, sign} from 'node:crypto';
import {cpSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync} from 'node:fs';
import {createServer} from 'node:https';
import {join} from 'node:path';

import {chromium} from 'playwright-core';

const {ROOT, BIN, WORK} = process.env;
const work = join(WORK, 'approve'), words = join(ROOT, 'test/clients/words');
const APPROVE = 'approve.example.org', GATEWAY = 'gateway.example.org', EVIL = 'evil.test';
let passed = 0, failed = 0;

async function check(name, f) {
    try {
        await f();
        passed++;
        console.log(`ok    ${name}`);
    } catch (e) {
        failed++;
        console.log(`FAIL  ${name}: ${e.stack ?? e}`);
    }
}

function must(condition, text) {
    if (!condition) {
        throw new Error(text);
    }
}

rmSync(work, {recursive: true, force: true});
mkdirSync(work, {recursive: true});

// ---- three origins ----

const cert = join(work, 'cert.pem'), certKey = join(work, 'key.pem');
execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes',
    '-keyout', certKey, '-out', cert, '-days', '2', '-subj', '/CN=test',
    '-addext', `subjectAltName=DNS:${APPROVE},DNS:${GATEWAY},DNS:${EVIL}`], {stdio: 'ignore'});
const spki = createHash('sha256').update(execFileSync('sh', ['-c',
    `openssl x509 -in '${cert}' -pubkey -noout | openssl pkey -pubin -outform DER`])).digest('base64');

const TYPES = {html: 'text/html; charset=utf-8', js: 'text/javascript', css: 'text/css'};
// The header that clients/approve/README.md asks for.
const CSP = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'none'; base-uri 'none'; " +
    "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'";
const sites = {}; // host: {folder, headers, instead: {path: text}}
const asked = []; // hosts and paths, of every request
const server = createServer({key: readFileSync(certKey), cert: readFileSync(cert)}, (q, r) => {
    const host = q.headers.host.split(':')[0], path = q.url.split('?')[0].slice(1) || 'index.html';
    const site = sites[host];
    asked.push(`${host}/${path}`);
    try {
        must(site && /^[a-z]+\.[a-z]+$/.test(path), 'no such file');
        const text = site.instead?.[path] ?? readFileSync(join(site.folder, path));
        r.writeHead(200, {'Content-Type': TYPES[path.split('.')[1]], ...site.headers}).end(text);
    } catch {
        r.writeHead(404).end();
    }
});
await new Promise((done) => server.listen(0, '127.0.0.1', done));
const port = server.address().port, origin = (host) => `https://${host}:${port}`;

function seal(folder, config) {
    cpSync(join(ROOT, 'clients/approve'), folder, {recursive: true});
    if (config) {
        writeFileSync(join(folder, 'config.js'), config);
    }
    execFileSync(join(folder, 'seal.sh'));
    return folder;
}
const strict = {'Content-Security-Policy': CSP, 'Referrer-Policy': 'no-referrer'};
sites[APPROVE] = {folder: seal(join(work, 'enrolling'), "export const rpId = 'example.org';\n" +
    'export const approvers = [];\nexport const clients = [];\n'), headers: strict};

// ---- requests, policies, and what a party would say ----

const client = generateKeyPairSync('ec', {namedCurve: 'prime256v1'});
const point = client.publicKey.export({type: 'spki', format: 'der'}).subarray(-65);
const clientKey = (2 + (point[64] & 1)).toString(16).padStart(2, '0') + point.subarray(1, 33).toString('hex');

function request(name, change = (b) => b) {
    const now = Date.now();
    const body = change(JSON.stringify({...JSON.parse(readFileSync(join(words, `${name}.json`))),
        issued_ms: now, expires_ms: now + 3600000}));
    const stamp = Buffer.from(JSON.stringify({
        publicKey: clientKey,
        signature: sign('sha256', Buffer.from(body), createPrivateKey(client.privateKey.export({type: 'pkcs8', format: 'pem'}))).toString('hex'),
        scheme: 'SIGNATURE_SCHEME_TK_API_P256',
    })).toString('base64url');
    return {body, stamp};
}

let files = 0;
function file(text) {
    const path = join(work, `f${files++}`);
    writeFileSync(path, text);
    return path;
}

function policy(approver) {
    return file(JSON.stringify({
        v: 1, type: 'quorate/policy', cluster: 'c1'.repeat(32), serial: 1, peers: {insecure_sim: true},
        requests: {
            clients: [{name: 'ops-1', scheme: 'p256', key: clientKey}],
            approvers: [approver],
            rules: [{id: 'hot-1', effect: 'allow', clients: ['*'], keys: ['*'], kinds: ['eth_tx'],
                     approvals: {need: 1, of: [approver.name], within_s: 3600}}],
        },
    }));
}

function quorate(...args) {
    const r = spawnSync(join(BIN, 'quorate'), args, {encoding: 'utf8'});
    return {code: r.status, out: r.stdout, err: r.stderr};
}

function accepted(policyFile, req, approval) {
    return quorate('approve', 'check', '--policy', policyFile, '--request', file(JSON.stringify(req)), file(approval));
}

function mustRefuse(policyFile, req, approval, why) {
    const r = accepted(policyFile, req, approval);
    must(r.code === 77 && r.err.includes(why), `exit ${r.code}, "${r.err}"; expected "${why}"`);
}

// ---- browser ----

const browser = await chromium.launch({
    executablePath: '/usr/bin/chromium', headless: true,
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
           '--disable-component-update', '--disable-sync', `--ignore-certificate-errors-spki-list=${spki}`,
           `--host-resolver-rules=MAP *.example.org 127.0.0.1, MAP ${EVIL} 127.0.0.1`],
});
let passkey = null; // the enrolled credential, as the authenticator keeps it

// A tab with an authenticator that holds the passkey.
async function open(url, {verified = true, ready = true} = {}) {
    const tab = await (await browser.newContext()).newPage();
    const cdp = await tab.context().newCDPSession(tab);
    tab.problems = [];
    tab.on('pageerror', (e) => tab.problems.push(String(e)));
    tab.on('console', (m) => m.type() === 'error' && tab.problems.push(m.text()));
    await cdp.send('WebAuthn.enable');
    const {authenticatorId} = await cdp.send('WebAuthn.addVirtualAuthenticator', {options: {
        protocol: 'ctap2', transport: 'internal', hasResidentKey: true, hasUserVerification: true,
        isUserVerified: verified, automaticPresenceSimulation: true}});
    if (passkey) {
        await cdp.send('WebAuthn.addCredential', {authenticatorId, credential: passkey});
    }
    tab.credentials = async () => (await cdp.send('WebAuthn.getCredentials', {authenticatorId})).credentials;
    await tab.goto(url);
    if (ready) {
        await tab.waitForFunction(() => document.documentElement.dataset.ready === 'yes');
    }
    return tab;
}

const fragment = (req) => '#' + Buffer.from(JSON.stringify(req)).toString('base64url');
const shown = (tab) => tab.$$eval('#words tr', (rows) =>
    rows.map((r) => `${r.cells[0].textContent}: ${r.cells[1].textContent}\n`).join(''));

// What an altered page can ask of the authenticator: everything that the browser lets it. Runs in a tab.
async function assertion(tab, target, options) {
    return (target ?? tab).evaluate(async (o) => {
        const un = (t) => Uint8Array.from(atob(t.replace(/-/g, '+').replace(/_/g, '/')), (c) => c.charCodeAt(0));
        const to = (b) => btoa(String.fromCharCode(...new Uint8Array(b))).replace(/\+/g, '-').replace(/\//g, '_').replace(/=/g, '');
        const c = await navigator.credentials.get({publicKey: {challenge: un(o.challenge), rpId: o.rpId,
            userVerification: o.uv, allowCredentials: [{type: 'public-key', id: un(o.id)}]}});
        const hex = Array.from(new Uint8Array(c.response.signature), (v) => v.toString(16).padStart(2, '0')).join('');
        return to(new TextEncoder().encode(JSON.stringify({scheme: 'webauthn', publicKey: o.key,
            authenticatorData: to(c.response.authenticatorData), clientDataJSON: to(c.response.clientDataJSON),
            signature: hex})));
    }, options);
}

function requestHash(req) {
    const len = Buffer.alloc(4), body = Buffer.from(req.body);
    len.writeUInt32BE(body.length);
    return createHash('sha256').update('quorate/sign-request/v1').update(len).update(body).digest('hex');
}
const challenge = (req) => createHash('sha256').update(`quorate/approval/v1\n${requestHash(req)}\n`).digest('base64url');

try {
    await check('the page is sealed', async () => {
        execFileSync(join(ROOT, 'clients/approve/seal.sh'), ['--check']);
        execFileSync('sha256sum', ['-c', '--quiet', 'SHA256SUMS'], {cwd: join(ROOT, 'clients/approve')});
    });

    await check('changed requests: what the command line takes, the page shows in the same words', async () => {
        const {parseRequest} = await import(join(sites[APPROVE].folder, 'request.js'));
        const {wordsText} = await import(join(sites[APPROVE].folder, 'words.js'));
        const names = readdirSync(words).filter((n) => n.endsWith('.json')).sort();
        let seed = 7, taken = 0;
        const random = (n) => {
            seed = (Math.imul(seed, 1103515245) + 12345) & 0x7fffffff;
            return (seed >> 8) % n;
        };
        for (let i = 0; i < 300; i++) {
            const b = [...readFileSync(join(words, names[i % names.length]), 'latin1')];
            const at = random(b.length);
            // another digit, a piece that is gone, a piece that stands twice, another character
            [() => b.splice(at, 1, '0123456789abcdef'[random(16)]), () => b.splice(at, 1 + random(8)),
             () => b.splice(at, 0, ...b.slice(at, at + 1 + random(8))),
             () => b.splice(at, 1, String.fromCharCode(32 + random(95)))][random(4)]();
            const bytes = Buffer.from(b.join(''), 'latin1');
            const cli = quorate('approve', 'show', file(bytes));
            let page = null, why = '';
            try {
                page = wordsText(parseRequest(new Uint8Array(bytes)), null);
            } catch (e) {
                why = e.message;
            }
            must(cli.code !== 0 || cli.out === page, `${bytes}\n${cli.out}\n---\n${page ?? why}`);
            taken += cli.code === 0;
        }
        must(taken > 30, `only ${taken} were taken`);
    });

    let approver = null, entry = null;
    await check('enrolment prints the policy element and the entry', async () => {
        const tab = await open(`${origin(APPROVE)}/enrol.html`);
        await tab.getByRole('textbox', {name: 'Name'}).fill('alice smith');
        await tab.getByRole('button', {name: 'Make a passkey'}).click();
        await tab.getByRole('alert').filter({hasText: 'letters, digits'}).waitFor();
        await tab.getByRole('textbox', {name: 'Name'}).fill('alice');
        await tab.getByRole('button', {name: 'Make a passkey'}).click();
        await tab.locator('#result-part').waitFor({state: 'visible'});
        approver = JSON.parse(await tab.inputValue('#policy'));
        entry = JSON.parse(await tab.inputValue('#entry'));
        must(approver.rp_id === 'example.org' && approver.origins[0] === origin(APPROVE), JSON.stringify(approver));
        const all = await tab.credentials();
        must(all.length === 1, 'one passkey');
        passkey = {...all[0], signCount: 1};
        await tab.context().close();
    });
    const config = "export const rpId = 'example.org';\n" +
        `export const approvers = [${JSON.stringify(entry)}];\n` +
        `export const clients = [{name: 'ops-1', scheme: 'p256', key: '${clientKey}'}];\n`;
    sites[APPROVE] = {folder: seal(join(work, 'page'), config), headers: strict};
    const policyFile = policy(approver), req = request('eth_transfer');

    await check('every request of the corpus reads as at the command line', async () => {
        const tab = await open(`${origin(APPROVE)}/`);
        const names = readdirSync(words).filter((n) => n.endsWith('.json'));
        must(names.length >= 30, 'the corpus');
        for (const name of names) {
            await tab.fill('#request', JSON.stringify({body: readFileSync(join(words, name), 'utf8')}));
            await tab.click('#read');
            await tab.waitForFunction(() => !document.getElementById('read-part').hidden ||
                                            !document.getElementById('read-problem').hidden);
            const text = await shown(tab), want = readFileSync(join(words, name.replace('.json', '.txt')), 'utf8');
            must(text === want, `${name}:\n${await tab.textContent('#read-problem')}\n${text}\n---\n${want}`);
        }
        must(tab.problems.length === 0, tab.problems.join('\n'));
        await tab.context().close();
    });

    let good = '';
    await check('an approval by keyboard alone is accepted, and good for its request alone', async () => {
        const link = quorate('approve', 'link', '--page', `${origin(APPROVE)}/`, file(JSON.stringify(req)));
        must(link.code === 0, link.err);
        const tab = await open(link.out.trim());
        await tab.locator('#approve-part').waitFor({state: 'visible'});
        const cli = quorate('approve', 'show', '--policy', policyFile, file(JSON.stringify(req))).out;
        const text = await shown(tab);
        must(text.includes('\nasked by: ops-1\n'), text);
        must(cli === text + 'rule: hot-1 asks for approvals: 1 of alice\n', `${cli}\n---\n${text}`);
        must(await tab.evaluate(() => document.activeElement.id) === 'read-heading', 'the focus is on the words');
        for (let i = 0; i < 10 && await tab.evaluate(() => document.activeElement.id) !== 'approve'; i++) {
            await tab.keyboard.press('Tab');
        }
        await tab.keyboard.press('Enter');
        await tab.locator('#result-part').waitFor({state: 'visible'});
        good = await tab.inputValue('#result');
        const r = accepted(policyFile, req, good);
        must(r.code === 0 && r.out === 'approved by: alice\n', r.err + r.out);
        mustRefuse(policyFile, request('eth_token'), good, 'of another request');
        mustRefuse(policyFile, request('eth_transfer', (b) => b.replace('0123456789abcdef', '0123456789abcdeg')), good,
                   'of another request');
        must(tab.problems.length === 0, tab.problems.join('\n'));
        await tab.context().close();
    });

    await check('an approval is saved as a file that the command line takes', async () => {
        const tab = await open(`${origin(APPROVE)}/${fragment(req)}`);
        await tab.getByRole('button', {name: 'Approve with my passkey'}).click();
        await tab.locator('#result-part').waitFor({state: 'visible'});
        const [download] = await Promise.all([tab.waitForEvent('download'), tab.click('#save')]);
        must(download.suggestedFilename() === `approval-${requestHash(req).slice(0, 16)}.txt`, download.suggestedFilename());
        const r = accepted(policyFile, req, readFileSync(await download.path(), 'utf8'));
        must(r.code === 0, r.err);
        await tab.context().close();
    });

    await check('two of one approver, a stranger, a changed byte', async () => {
        const one = file(good);
        const twice = quorate('approve', 'check', '--policy', policyFile, '--request', file(JSON.stringify(req)), one, one);
        must(twice.code === 77 && twice.err.includes('stands here twice'), twice.err);
        mustRefuse(policy({...approver, key: '02' + '79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798'
            .replace(/^79be.*/, '6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296')}), req, good, 'no approver with its key');
        const json = JSON.parse(Buffer.from(good, 'base64url'));
        const data = Buffer.from(json.clientDataJSON, 'base64url').toString().replace(APPROVE, 'approve.example.net');
        json.clientDataJSON = Buffer.from(data).toString('base64url');
        mustRefuse(policyFile, req, Buffer.from(JSON.stringify(json)).toString('base64url'), "not alice's passkey's");
    });

    await check('what a party answered is shown as the client tells it', async () => {
        const tab = await open(`${origin(APPROVE)}/${fragment({...req, answer: {code: 'approval_needed', rule: 'hot-1', need: 2,
            approvers: ['alice', '<b>bob</b>'], detail: 'rule hot-1 asks'}})}`);
        await tab.locator('#answer-part').waitFor({state: 'visible'});
        const text = await tab.textContent('#answer-part');
        must(text.includes('hot-1') && text.includes('alice, <b>bob</b>') && text.includes('as the client tells'), text);
        await tab.context().close();
    });

    await check('a request that cannot be shown cannot be approved', async () => {
        const bad = [
            [fragment(req).slice(0, -2) + '!!', 'The link holds no request'],
            [fragment({...req, body: req.body.replace('"v":1', '"v":2')}), 'another version'],
            [fragment({...req, body: req.body.replace('eth_tx', 'eth_tax')}), 'unknown kind'],
            [fragment({...req, body: req.body.replace('"path":[44,60,0]', '"path":[],"path":[]')}), 'stands twice'],
            [fragment({...req, body: req.body.slice(0, -1) + ',"more":1}'}), 'unknown member'],
            [fragment({...req, body: req.body.replace('0123456789abcdef', '0123456789abcdeg')}), 'the stamp is not over this request'],
            [fragment({...req, more: 1}), 'unknown member'],
        ];
        const tab = await open(`${origin(APPROVE)}/`);
        for (const [hash, why] of bad) {
            await tab.evaluate((h) => { location.hash = h; }, hash);
            await tab.getByRole('alert').filter({hasText: why}).waitFor({timeout: 5000});
            must(!await tab.locator('#approve-part').isVisible(), 'nothing to approve');
        }
        await tab.context().close();
    });

    await check('refusing leaves nothing behind; an expired request is not approved', async () => {
        const tab = await open(`${origin(APPROVE)}/${fragment(req)}`);
        await tab.click('#refuse');
        await tab.getByRole('alert').filter({hasText: 'Nothing was approved'}).waitFor();
        must(!await tab.locator('#approve-part').isVisible() && await tab.inputValue('#request') === '', 'cleared');
        await tab.fill('#request', JSON.stringify({body: readFileSync(join(words, 'raw_transaction.json'), 'utf8')
            .replace('1795251934338', '1700000000000')}));
        await tab.click('#read');
        await tab.click('#approve');
        await tab.getByRole('alert').filter({hasText: 'has expired'}).waitFor();
        await tab.context().close();
    });

    const ask = {rpId: 'example.org', id: entry.id, key: approver.key, uv: 'required', challenge: challenge(req)};
    await check('an authenticator that does not verify its user', async () => {
        const tab = await open(`${origin(APPROVE)}/${fragment(req)}`, {verified: false});
        await tab.click('#approve');
        await tab.getByRole('alert').filter({hasText: 'Not approved'}).waitFor();
        // a page that does not insist gets an assertion, and the parties refuse it
        mustRefuse(policyFile, req, await assertion(tab, null, {...ask, uv: 'discouraged'}), 'did not verify its user');
        await tab.context().close();
    });

    await check('a copy of the page at the gateway, below the same domain', async () => {
        sites[GATEWAY] = {folder: seal(join(work, 'gateway'), config), headers: strict};
        const tab = await open(`${origin(GATEWAY)}/${fragment(req)}`);
        await tab.click('#approve');
        await tab.locator('#result-part').waitFor({state: 'visible'});
        mustRefuse(policyFile, req, await tab.inputValue('#result'), "none of alice's origins");
        await tab.context().close();
    });

    await check('an altered copy at the gateway: shows one request, asks for another', async () => {
        const words = "export const words = () => [['item 1 of 1', 'a gift of 1 wei']];\n";
        const folder = seal(join(work, 'altered'), config);
        writeFileSync(join(folder, 'words.js'), words);
        execFileSync(join(folder, 'seal.sh'));
        sites[GATEWAY] = {folder};
        const tab = await open(`${origin(GATEWAY)}/${fragment(req)}`);
        must((await shown(tab)).includes('a gift'), 'the altered page runs');
        await tab.click('#approve');
        await tab.locator('#result-part').waitFor({state: 'visible'});
        mustRefuse(policyFile, req, await tab.inputValue('#result'), "none of alice's origins");
        await tab.context().close();
    });

    await check('a page of another domain does not reach the passkey', async () => {
        sites[EVIL] = {folder: join(work, 'gateway'), headers: strict};
        const tab = await open(`${origin(EVIL)}/${fragment(req)}`);
        await tab.click('#approve');
        await tab.getByRole('alert').filter({hasText: 'Not approved'}).waitFor();
        const error = await assertion(tab, null, ask).then(() => 'none', (e) => String(e));
        must(error.includes('SecurityError') || error.includes('relying party'), error);
        // with its own domain as the relying party there is no such passkey: nothing to sign with
        await tab.context().close();
    });

    await check('the right origin inside a page of another one', async () => {
        // a host that forgot frame-ancestors, and an altered page that does not look where it is
        sites[APPROVE].headers = {};
        sites[APPROVE].instead = {'bare.html': '<!doctype html><title>x</title>'};
        sites[EVIL].instead = {'frame.html': `<!doctype html><iframe allow="publickey-credentials-get *" src="${origin(APPROVE)}/bare.html"></iframe>`};
        sites[EVIL].headers = {};
        const tab = await open(`${origin(EVIL)}/frame.html`, {ready: false});
        const frame = tab.frames().find((f) => f.url().startsWith(origin(APPROVE)));
        mustRefuse(policyFile, req, await assertion(tab, frame, ask), 'inside a page of another origin');
        // the page itself shows nothing there
        sites[EVIL].instead = {'frame.html': `<!doctype html><iframe src="${origin(APPROVE)}/"></iframe>`};
        await tab.goto(`${origin(EVIL)}/frame.html`);
        await tab.frameLocator('iframe').getByText('does not work inside another').waitFor();
        // and with the header it is not even loaded
        sites[APPROVE].headers = strict;
        await tab.goto(`${origin(EVIL)}/frame.html`);
        must(tab.frames().length === 2 && tab.frames().every((f) => !f.url().startsWith(origin(APPROVE))), 'frame-ancestors');
        await tab.context().close();
    });

    await check('a part that was altered on its way does not run', async () => {
        for (const part of ['words.js', 'app.js', 'hash.js']) {
            const text = readFileSync(join(sites[APPROVE].folder, part), 'utf8');
            sites[APPROVE].instead = {[part]: text + '\n'};
            const tab = await open(`${origin(APPROVE)}/${fragment(req)}`, {ready: false});
            await tab.waitForLoadState('networkidle');
            must(await tab.evaluate(() => document.documentElement.dataset.ready) === undefined, `${part} ran`);
            must(tab.problems.some((p) => /integrity/.test(p)), tab.problems.join('\n'));
            await tab.context().close();
        }
        sites[APPROVE].instead = {};
    });

    await check('the page asks nobody anything, and lets nothing be injected', async () => {
        asked.length = 0;
        const tab = await open(`${origin(APPROVE)}/${fragment(req)}`);
        const errors = await tab.evaluate(async (evil) => {
            const out = [];
            await fetch(evil).catch((e) => out.push(e.name));
            try { document.body.innerHTML = '<img src=x>'; } catch (e) { out.push(e.name); }
            try { document.createElement('script').textContent = '1'; } catch (e) { out.push(e.name); }
            const s = document.createElement('img');
            s.src = `${evil}/x.png`;
            await new Promise((done) => { s.onerror = done; document.body.append(s); });
            return [...out, 'image'];
        }, origin(EVIL));
        must(errors.length === 4, JSON.stringify(errors));
        must(asked.every((a) => a.startsWith(`${APPROVE}/`)), asked.join(' '));
        await tab.context().close();
    });

    await check('headings, labels, alerts', async () => {
        const tab = await open(`${origin(APPROVE)}/${fragment(req)}`);
        const bare = await tab.$$eval('input, textarea, select, button', (all) => all.filter((e) =>
            !(e.labels?.length || e.textContent.trim())).map((e) => e.outerHTML));
        must(bare.length === 0, bare.join('\n'));
        for (const name of ['Approve a request', '1. The request', '2. What it asks', '3. Your decision']) {
            await tab.getByRole('heading', {name}).waitFor();
        }
        must(await tab.locator('html').getAttribute('lang') === 'en', 'a language');
        must(await tab.getByRole('rowheader').count() > 10, 'row headers');
        await tab.context().close();
    });
} catch (e) {
    failed++;
    console.log(`FAIL  the rest: ${e.stack ?? e}`);
} finally {
    await browser.close();
    server.close();
}
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed ? 1 : 0);
