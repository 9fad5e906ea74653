// A request in plain words: the same lines as daemon/words.c writes, from the same bytes.
import {toHex} from './bytes.js';
import * as btc from './btc.js';
import * as eth from './eth.js';
import {bytesLines, ethAddress, time} from './forms.js';

const TITLES = {
    eth_tx: 'Ethereum transaction',
    eip191: 'Ethereum signed message',
    eip712: 'Ethereum typed data',
    btc_legacy: 'Bitcoin transaction',
    btc_bip143: 'Bitcoin transaction',
    keccak256: 'bytes, signed through Keccak-256',
    sha256: 'bytes, signed through SHA-256',
    sha256d: 'bytes, signed through SHA-256 twice',
    digest: '32 bytes that nobody can read',
};

function itemLines(item, i) {
    switch (item.kind) {
    case 'eth_tx':
        return eth.txLines(item.tx);
    case 'eip712':
        return eth.typedLines(item.typed);
    case 'btc_legacy':
    case 'btc_bip143':
        return btc.lines(item, item.first < i ? item.first + 1 : 0);
    case 'digest':
        return [['digest', item.digest],
                ['WARNING', 'what these bytes stand for cannot be seen here']];
    default:
        return bytesLines(item.bytes);
    }
}

// Lines as [label, text]; client: the name of who stamped it, or null.
export function words(q, client) {
    const lines = [];
    q.items.forEach((item, i) => {
        lines.push([`item ${i + 1} of ${q.items.length}`, `${TITLES[item.kind]} (${item.kind})`]);
        lines.push(...itemLines(item, i));
    });
    lines.push(['key', q.key ?? `the one of Ethereum address ${ethAddress(q.address)}`]);
    if (q.path.length) {
        lines.push(['path', q.path.join('/')]);
    }
    lines.push(['asked by', client ?? 'not known (no stamp was checked)']);
    lines.push(['issued', time(q.issued)], ['until', time(q.expires)], ['id', q.id],
               ['cluster', q.cluster], ['request', toHex(q.hash)]);
    return lines;
}

export const wordsText = (q, client) => words(q, client).map(([l, t]) => `${l}: ${t}\n`).join('');
