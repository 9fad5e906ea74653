// A request's body, in both of its forms (daemon/request.h), read as strictly as the parties do for
// everything that is shown, so that what cannot be shown cannot be approved.
import {fromHex, refuse, toHex, utf8} from './bytes.js';
import * as btc from './btc.js';
import * as eth from './eth.js';
import {ethAddress} from './forms.js';
import {requestHash, sha256} from './hash.js';
import * as json from './json.js';

const BODY_MAX = 65536, ITEMS_MAX = 64, PREIMAGE_MAX = 32768, INPUTS_MAX = 256;
const DAY_MS = 86400000n, RAW_LIFE_MS = 60000n, INT64_MAX = 0x7fffffffffffffffn;

const PREIMAGE_KINDS = ['eth_tx', 'eip191', 'eip712', 'keccak256', 'sha256', 'sha256d'];

function understand(item) {
    if (item.bytes.length > PREIMAGE_MAX) {
        refuse('a preimage is too long');
    }
    if (item.kind === 'eth_tx') {
        item.tx = eth.parseTx(item.bytes);
    } else if (item.kind === 'eip712') {
        item.typed = eth.parseTyped(item.bytes);
    }
    return item;
}

// ---- native ----

function readPrevouts(value, where) {
    let total = 0n;
    return json.list(value, where, 1, INPUTS_MAX).map((p, i) => {
        const f = json.fields(p, ['sat', 'script', 'redeem?', 'witness?'], `${where}[${i}]`);
        const sat = json.whole(f.sat, `${where}[${i}].sat`, btc.SAT_MAX);
        total += sat;
        if (total > btc.SAT_MAX) {
            refuse(`${where} are more than there is`);
        }
        for (const name of ['redeem', 'witness']) {
            if (f[name]) {
                fromHex(json.text(f[name], `${where}[${i}].${name}`), name);
            }
        }
        return {sat, script: fromHex(json.text(f.script, `${where}[${i}].script`), 'a script')};
    });
}

function readBitcoin(f, kind, where, items) {
    if (!f.input || f.digest || !!f.of === !!f.preimage || !!f.preimage !== !!f.prevouts) {
        refuse(`${where} takes input, and preimage with prevouts or of`);
    }
    const item = {kind, input: Number(json.whole(f.input, `${where}.input`, BigInt(INPUTS_MAX - 1)))};
    if (f.of) {
        const of = Number(json.whole(f.of, `${where}.of`, BigInt(ITEMS_MAX - 1)));
        const earlier = items[of];
        if (!earlier || earlier.kind !== kind) {
            refuse(`${where}.of is no earlier item of this kind`);
        }
        item.first = earlier.first;
        item.tx = items[item.first].tx;
        item.prev = items[item.first].prev;
    } else {
        const bytes = fromHex(json.text(f.preimage, `${where}.preimage`), `${where}.preimage`);
        if (bytes.length > PREIMAGE_MAX) {
            refuse(`${where}.preimage is too long`);
        }
        item.first = items.length;
        item.tx = btc.parseTx(bytes);
        item.prev = readPrevouts(f.prevouts, `${where}.prevouts`);
    }
    const spent = item.prev.reduce((n, p) => n + p.sat, 0n);
    if (item.prev.length !== item.tx.ins.length || item.input >= item.prev.length ||
        spent < item.tx.total) {
        refuse(`${where}: inputs and prevouts do not fit together`);
    }
    return item;
}

function readItem(value, where, items) {
    const f = json.fields(value, ['kind', 'preimage?', 'digest?', 'input?', 'prevouts?', 'of?'], where);
    const kind = json.text(f.kind, `${where}.kind`);
    if (kind === 'btc_legacy' || kind === 'btc_bip143') {
        return readBitcoin(f, kind, where, items);
    }
    if (f.input || f.prevouts || f.of || !!f.digest !== (kind === 'digest') ||
        !!f.preimage === (kind === 'digest')) {
        refuse(`${where} has other members than its kind takes`);
    }
    if (kind === 'digest') {
        const digest = json.text(f.digest, `${where}.digest`);
        return /^[0-9a-f]{64}$/.test(digest) ? {kind, digest} : refuse(`${where}.digest is no digest`);
    }
    if (!PREIMAGE_KINDS.includes(kind)) {
        refuse(`${where} is of an unknown kind`);
    }
    return understand({
        kind,
        bytes: fromHex(json.text(f.preimage, `${where}.preimage`), `${where}.preimage`),
    });
}

// The fee counts where BIP143 signs the only input: a signature binds the amount of its own input alone.
function bindFees(items) {
    for (const a of items.filter((i) => i.tx && i.prev)) {
        const mine = items.filter((b) => b.kind === a.kind && b.first === a.first && b.prev);
        if (new Set(mine.map((b) => b.input)).size !== mine.length) {
            refuse('an input is signed by two items');
        }
        a.feeBound = a.kind === 'btc_bip143' && a.prev.length === 1;
    }
}

function readNative(root) {
    const f = json.fields(root, ['v', 'cluster', 'key', 'id', 'issued_ms', 'expires_ms', 'path', 'items'],
                          'the request');
    if (f.v.t !== 'number' || f.v.v !== '1') {
        refuse('the request is of another version than 1');
    }
    const q = {
        cluster: json.text(f.cluster, 'cluster'),
        key: json.text(f.key, 'key'),
        id: json.text(f.id, 'id'),
        issued: json.whole(f.issued_ms, 'issued_ms', INT64_MAX),
        expires: json.whole(f.expires_ms, 'expires_ms', INT64_MAX),
        path: json.list(f.path, 'path', 0, 8).map((p) => json.whole(p, 'path', 0x7fffffffn)),
        items: [],
    };
    if (!/^[0-9a-f]{64}$/.test(q.cluster) || !/^0[23][0-9a-f]{64}$/.test(q.key) ||
        !/^[A-Za-z0-9_-]{16,64}$/.test(q.id) || q.expires < q.issued ||
        q.expires - q.issued > DAY_MS) {
        refuse('cluster, key, id or times of the request are not well formed');
    }
    json.list(f.items, 'items', 1, ITEMS_MAX).forEach((v, i) => {
        q.items.push(readItem(v, `items[${i}]`, q.items));
    });
    bindFees(q.items);
    return q;
}

// ---- raw payloads ----

const MEANINGS = {
    'PAYLOAD_ENCODING_HEXADECIMAL HASH_FUNCTION_NO_OP': 'digest',
    'PAYLOAD_ENCODING_HEXADECIMAL HASH_FUNCTION_KECCAK256': 'keccak256',
    'PAYLOAD_ENCODING_HEXADECIMAL HASH_FUNCTION_SHA256': 'sha256',
    'PAYLOAD_ENCODING_TEXT_UTF8 HASH_FUNCTION_KECCAK256': 'keccak256',
    'PAYLOAD_ENCODING_TEXT_UTF8 HASH_FUNCTION_SHA256': 'sha256',
    'PAYLOAD_ENCODING_EIP712 HASH_FUNCTION_NO_OP': 'eip712',
    'PAYLOAD_ENCODING_EIP712 HASH_FUNCTION_KECCAK256': 'eip712',
};

function payloadItem(text, encoding, kind) {
    const bytes = encoding === 'PAYLOAD_ENCODING_HEXADECIMAL'
        ? fromHex(text.replace(/^0x/, ''), 'payload') : utf8(text);
    if (kind === 'digest') {
        return bytes.length === 32 ? {kind, digest: toHex(bytes)} : refuse('a digest has not 32 bytes');
    }
    return understand({kind, bytes});
}

function rawItems(type, f) {
    const p = f.parameters;
    if (type === 'ACTIVITY_TYPE_SIGN_TRANSACTION_V2') {
        const m = json.fields(p, ['signWith', 'type', 'unsignedTransaction'], 'parameters');
        if (json.text(m.type, 'type') !== 'TRANSACTION_TYPE_ETHEREUM') {
            refuse('the transaction is of another type than TRANSACTION_TYPE_ETHEREUM');
        }
        const hex = json.text(m.unsignedTransaction, 'unsignedTransaction').replace(/^0x/, '');
        return [m.signWith, [understand({kind: 'eth_tx', bytes: fromHex(hex, 'unsignedTransaction')})]];
    }
    const many = type === 'ACTIVITY_TYPE_SIGN_RAW_PAYLOADS';
    const name = many ? 'payloads' : 'payload';
    if (!many && type !== 'ACTIVITY_TYPE_SIGN_RAW_PAYLOAD_V2') {
        refuse('the request is of an unknown type');
    }
    const m = json.fields(p, ['signWith', 'encoding', 'hashFunction', name], 'parameters');
    const encoding = json.text(m.encoding, 'encoding');
    const kind = MEANINGS[`${encoding} ${json.text(m.hashFunction, 'hashFunction')}`];
    if (!kind) {
        refuse('encoding and hashFunction do not fit together');
    }
    const payloads = many ? json.list(m.payloads, 'payloads', 1, ITEMS_MAX) : [m.payload];
    return [m.signWith, payloads.map((v) => payloadItem(json.text(v, name), encoding, kind))];
}

function readRaw(root, body) {
    const f = json.fields(root, ['type', 'timestampMs', 'organizationId', 'parameters'], 'the request');
    const [signWith, items] = rawItems(json.text(f.type, 'type'), f);
    const time = json.text(f.timestampMs, 'timestampMs'), with_ = json.text(signWith, 'signWith');
    const q = {cluster: json.text(f.organizationId, 'organizationId'), path: [], items};
    if (!/^[1-9][0-9]{0,14}$/.test(time) || !/^[0-9a-f]{16,64}$/.test(q.cluster) ||
        q.cluster.length % 2) {
        refuse('timestampMs or organizationId is not well formed');
    }
    q.issued = BigInt(time);
    q.expires = q.issued + RAW_LIFE_MS;
    q.id = toHex(sha256(body));
    if (/^0[23][0-9a-f]{64}$/.test(with_)) {
        q.key = with_;
    } else if (/^0x[0-9a-fA-F]{40}$/.test(with_)) {
        q.address = fromHex(with_.slice(2).toLowerCase(), 'signWith');
        // of both cases: then the case is a checksum
        if (/[a-f]/.test(with_.slice(2)) && /[A-F]/.test(with_) && with_ !== ethAddress(q.address)) {
            refuse("signWith's checksum is wrong");
        }
    } else {
        refuse('signWith is neither a key nor an address');
    }
    return q;
}

// ---- both ----

// body: the exact bytes.
export function parseRequest(body) {
    if (body.length === 0 || body.length > BODY_MAX) {
        refuse(`the request has ${body.length} bytes; 1 to ${BODY_MAX} are allowed`);
    }
    const root = json.parse(new TextDecoder('utf-8', {fatal: true, ignoreBOM: true}).decode(body));
    const names = root.t === 'object' ? root.members.map((m) => m[0]) : [];
    const raw = names.includes('type') && !names.includes('v');
    const q = raw ? readRaw(root, body) : readNative(root);
    q.form = raw ? 'raw' : 'native';
    q.hash = requestHash(body);
    return q;
}

