// The approvers' page: a request in, plain words, an approval out. Nothing leaves this page but through
// the person in front of it.
import {fromBase64url, toHex, utf8} from './bytes.js';
import {approvers, clients, rpId} from './config.js';
import * as json from './json.js';
import {$, element, framed, problem, wireResult} from './page.js';
import {approve, clientOf} from './passkey.js';
import {parseRequest} from './request.js';
import {words} from './words.js';

const FILE_MAX = 300000;
let current = null; // the request that is shown

// {"body","stamp","answer"}: stamp and answer may be absent.
function readFile(text) {
    if (text.length > FILE_MAX) {
        throw new Error('that is too long for a request');
    }
    const f = json.fields(json.parse(text), ['body', 'stamp?', 'answer?'], 'the request file');
    return {
        body: utf8(json.text(f.body, 'body')),
        stamp: f.stamp ? json.text(f.stamp, 'stamp') : '',
        answer: f.answer,
    };
}

function showWords(lines) {
    const body = $('words');
    body.replaceChildren();
    for (const [label, text] of lines) {
        const row = document.createElement('tr');
        row.append(element('th', label, {scope: 'row'}), element('td', text));
        if (/^item \d/.test(label)) {
            row.className = 'item';
        } else if (/^(WARNING|CUT)$/.test(label) || /^(ANY|nobody: it|WITHOUT LIMIT)|CUT: | AS THE CLIENT/.test(text)) {
            row.className = 'care';
        }
        body.append(row);
    }
}

// What a party answered to the client, as the client tells it: rule, and whose approvals.
function showAnswer(answer) {
    const told = [];
    if (answer?.t === 'object') {
        const m = new Map(answer.members);
        const text = (n) => m.get(n)?.t === 'text' || m.get(n)?.t === 'number' ? m.get(n).v : '';
        const names = m.get('approvers')?.t === 'array'
            ? m.get('approvers').items.filter((v) => v.t === 'text').map((v) => v.v).join(', ') : '';
        told.push(['rule', text('rule')], ['approvals needed', text('need')], ['of', names],
                  ['said', text('detail')]);
    }
    const rows = told.filter(([, v]) => v);
    $('answer-part').hidden = rows.length === 0;
    $('answer').replaceChildren(...rows.map(([label, v]) => {
        const row = document.createElement('tr');
        row.append(element('th', label, {scope: 'row'}), element('td', v));
        return row;
    }));
}

function clear() {
    current = null;
    for (const id of ['read-part', 'approve-part', 'result-part', 'answer-part']) {
        $(id).hidden = true;
    }
    $('result').value = '';
    problem('read-problem', '');
    problem('approve-problem', '');
}

async function read(text) {
    clear();
    try {
        const file = readFile(text.trim());
        const q = parseRequest(file.body);
        const client = await clientOf(file.stamp, file.body, clients);
        showWords(words(q, client));
        showAnswer(file.answer);
        current = q;
        $('read-part').hidden = false;
        $('approve-part').hidden = false;
        $('read-heading').focus();
    } catch (e) {
        problem('read-problem', `This cannot be shown, so it cannot be approved: ${e.message}`);
    }
}

async function approveCurrent() {
    const approver = approvers.find((a) => a.name === $('who').value);
    problem('approve-problem', '');
    $('result-part').hidden = true;
    try {
        if (!current || !approver) {
            throw new Error('there is no request, or no approver in config.js');
        }
        if (current.expires <= BigInt(Date.now())) {
            throw new Error('this request has expired; its client has to make a new one');
        }
        $('result').value = await approve(current.hash, approver, rpId || location.hostname);
        $('result-part').hidden = false;
        $('result-heading').focus();
    } catch (e) {
        problem('approve-problem', `Not approved: ${e.message}`);
    }
}

function start() {
    for (const a of approvers) {
        $('who').append(element('option', a.name, {value: a.name}));
    }
    $('no-approvers').hidden = approvers.length > 0;
    $('read').addEventListener('click', () => read($('request').value));
    $('file').addEventListener('change', async () => {
        if ($('file').files[0]) {
            $('request').value = await $('file').files[0].text();
            await read($('request').value);
        }
    });
    $('approve').addEventListener('click', approveCurrent);
    $('refuse').addEventListener('click', () => {
        clear();
        $('request').value = '';
        problem('read-problem', 'Nothing was approved.');
    });
    wireResult('result', 'copy', 'save', () => `approval-${toHex(current.hash).slice(0, 16)}.txt`);
    const fromLink = async () => {
        if (location.hash.length > 1) {
            try {
                const bytes = fromBase64url(location.hash.slice(1), 'the link');
                $('request').value = new TextDecoder('utf-8', {fatal: true}).decode(bytes);
            } catch (e) {
                clear();
                problem('read-problem', `The link holds no request: ${e.message}`);
                return;
            }
            await read($('request').value);
        }
    };
    window.addEventListener('hashchange', fromLink);
    fromLink();
    document.documentElement.dataset.ready = 'yes';
}

if (!framed()) {
    start();
}
