// Ethereum: unsigned transactions (RLP; EIP-155, 2930, 1559) and typed data (EIP-712), read from the
// bytes that are signed, and their words. The tables are those of daemon/words_eth.c.
import {refuse, toBig, toHex, utf8} from './bytes.js';
import {decimal, ethAddress, hexOf, plainName, quoted} from './forms.js';
import * as json from './json.js';

const CHAINS = new Map([
    [1n, ['Ethereum', 'ETH']],
    [10n, ['OP Mainnet', 'ETH']],
    [56n, ['BNB Smart Chain', 'BNB']],
    [100n, ['Gnosis', 'xDAI']],
    [137n, ['Polygon', 'POL']],
    [324n, ['ZKsync Era', 'ETH']],
    [1337n, ['a local test chain', 'ETH']],
    [5000n, ['Mantle', 'MNT']],
    [8453n, ['Base', 'ETH']],
    [17000n, ['Holesky, a test chain', 'ETH']],
    [31337n, ['a local test chain', 'ETH']],
    [42161n, ['Arbitrum One', 'ETH']],
    [42220n, ['Celo', 'CELO']],
    [43114n, ['Avalanche C-Chain', 'AVAX']],
    [59144n, ['Linea', 'ETH']],
    [81457n, ['Blast', 'ETH']],
    [534352n, ['Scroll', 'ETH']],
    [560048n, ['Hoodi, a test chain', 'ETH']],
    [11155111n, ['Sepolia, a test chain', 'ETH']],
]);

const chainText = (id) => `${CHAINS.get(id)?.[0] ?? 'not one we know'} (${id})`;

// Arguments: a: address, u: number, b: yes or no; 32 bytes each.
const METHODS = new Map([
    ['a9059cbb', ['transfer(address,uint256)', 'au', ['tokens to', 'tokens (smallest units)']]],
    ['095ea7b3', ['approve(address,uint256)', 'au', ['who may take tokens', 'up to (smallest units)']]],
    ['23b872dd', ['transferFrom(address,address,uint256)', 'aau',
                  ['tokens from', 'tokens to', 'tokens (smallest units, or an id)']]],
    ['42842e0e', ['safeTransferFrom(address,address,uint256)', 'aau',
                  ['token from', 'token to', 'token id']]],
    ['39509351', ['increaseAllowance(address,uint256)', 'au',
                  ['who may take tokens', 'more than before (smallest units)']]],
    ['a22cb465', ['setApprovalForAll(address,bool)', 'ab', ['who may take all tokens', 'from now on']]],
    ['d0e30db0', ['deposit()', '', []]],
    ['2e1a7d4d', ['withdraw(uint256)', 'u', ['amount (smallest units)']]],
]);

// ---- RLP ----

class Rlp {
    constructor(bytes) {
        this.b = bytes;
        this.at = 0;
    }

    get left() {
        return this.b.length - this.at;
    }

    // The next item's bytes; canonical encodings alone.
    next(isList, name) {
        if (this.left === 0) {
            refuse(`the transaction ends before ${name}`);
        }
        const first = this.b[this.at], base = isList ? 0xc0 : 0x80;
        if ((first >= 0xc0) !== isList) {
            refuse(`${name} must be ${isList ? 'a list' : 'bytes'}`);
        }
        let skip = 1, len = 1;
        if (!isList && first < 0x80) {
            skip = 0;
        } else if (first <= base + 55) {
            len = first - base;
            if (!isList && len === 1 && this.b[this.at + 1] < 0x80) {
                refuse(`RLP: ${name} is not canonical`);
            }
        } else {
            const width = first - base - 55;
            if (width > 4 || this.left < 1 + width || this.b[this.at + 1] === 0) {
                refuse(`RLP: the length of ${name} is not canonical or too large`);
            }
            len = Number(toBig(this.b.subarray(this.at + 1, this.at + 1 + width)));
            skip = 1 + width;
            if (len <= 55) {
                refuse(`RLP: the length of ${name} is not canonical`);
            }
        }
        if (len > this.left - skip) {
            refuse(`RLP: ${name} ends too early`);
        }
        const out = this.b.subarray(this.at + skip, this.at + skip + len);
        this.at += skip + len;
        return out;
    }

    number(max, name) {
        const b = this.next(false, name);
        if (b.length > max || b[0] === 0) {
            refuse(`${name} is longer than ${max} bytes or begins with a zero`);
        }
        return toBig(b);
    }
}

const LAYOUT = [
    ['nonce', 'fee', 'gas', 'to', 'value', 'data'],
    ['chain', 'nonce', 'fee', 'gas', 'to', 'value', 'data', 'access'],
    ['chain', 'nonce', 'tip', 'fee', 'gas', 'to', 'value', 'data', 'access'],
];

function readAccess(r) {
    const list = new Rlp(r.next(true, 'the access list'));
    let addresses = 0, keys = 0;
    while (list.left) {
        const entry = new Rlp(list.next(true, 'an access list entry'));
        if (entry.next(false, 'an access list address').length !== 20) {
            refuse('an access list address has not 20 bytes');
        }
        const slots = new Rlp(entry.next(true, 'access list keys'));
        if (entry.left) {
            refuse('an access list entry has more than two fields');
        }
        while (slots.left) {
            if (slots.next(false, 'an access list key').length !== 32) {
                refuse('an access list key has not 32 bytes');
            }
            keys++;
        }
        addresses++;
    }
    return {addresses, keys};
}

export function parseTx(bytes) {
    const first = bytes[0];
    const type = first === undefined || (first < 0xc0 && first !== 1 && first !== 2)
        ? refuse('the transaction is of no type that is signed here') : first >= 0xc0 ? 0 : first;
    const outer = new Rlp(type ? bytes.subarray(1) : bytes);
    const r = new Rlp(outer.next(true, 'the transaction'));
    const tx = {type, tip: 0n, access: {addresses: 0, keys: 0}};
    if (outer.left) {
        refuse('bytes are left over after the transaction');
    }
    for (const f of LAYOUT[type]) {
        if (f === 'to') {
            tx.to = r.next(false, 'to');
            if (tx.to.length !== 0 && tx.to.length !== 20) {
                refuse('to has not 20 bytes');
            }
        } else if (f === 'data') {
            tx.data = r.next(false, 'data');
        } else if (f === 'access') {
            tx.access = readAccess(r);
        } else {
            tx[f] = r.number(f === 'fee' || f === 'tip' || f === 'value' ? 32 : 8, f);
        }
    }
    if (type === 0 && r.left) {
        tx.chain = r.number(8, 'the chain id');
        if (r.number(8, 'zero') !== 0n || r.number(8, 'zero') !== 0n) {
            refuse('this transaction carries a signature');
        }
    }
    if (r.left) {
        refuse('the transaction has too many fields');
    }
    if (tx.chain === 0n || tx.nonce === 0xffffffffffffffffn || tx.tip > tx.fee) {
        refuse('the chain id is zero, or the nonce too large, or the tip above the fee');
    }
    return tx;
}

function wei(v, coin) {
    return `${decimal(v, 18)} ${coin} (${v} wei)`;
}

function argsFit(args, data) {
    if (data.length !== 4 + 32 * args.length) {
        return false;
    }
    return Array.from(args).every((a, i) => {
        const word = data.subarray(4 + 32 * i, 36 + 32 * i);
        const zeros = a === 'a' ? 12 : a === 'b' ? 31 : 0;
        return word.subarray(0, zeros).every((v) => v === 0) && (a !== 'b' || word[31] <= 1);
    });
}

function argText(type, word) {
    if (type === 'a') {
        return ethAddress(word.subarray(12));
    }
    if (type === 'b') {
        return word[31] ? 'yes' : 'no';
    }
    return word.every((v) => v === 0xff) ? 'WITHOUT LIMIT (2^256-1)' : toBig(word).toString();
}

function callLines(tx) {
    if (tx.to.length === 0) {
        return [['code', hexOf(tx.data)]];
    }
    if (tx.data.length === 0) {
        return [['method', 'none, value alone']];
    }
    if (tx.data.length < 4) {
        return [['data', hexOf(tx.data)]];
    }
    const selector = toHex(tx.data.subarray(0, 4));
    const m = METHODS.get(selector);
    const lines = [['method', `${m ? m[0] : 'not one we know'}, selector 0x${selector}`]];
    if (m && argsFit(m[1], tx.data)) {
        Array.from(m[1]).forEach((a, i) => {
            lines.push([m[2][i], argText(a, tx.data.subarray(4 + 32 * i, 36 + 32 * i))]);
        });
        return lines;
    }
    if (m) {
        lines.push(['WARNING', "the data does not fit this method's arguments"]);
    }
    lines.push(['data', hexOf(tx.data)]);
    return lines;
}

export function txLines(tx) {
    const coin = CHAINS.get(tx.chain)?.[1] ?? "of the chain's coin";
    const lines = [
        ['chain', tx.chain === undefined ? 'ANY: no chain id, it is valid on every chain'
                                         : chainText(tx.chain)],
        ['to', tx.to.length ? ethAddress(tx.to) : 'nobody: it creates a contract'],
        ['value', wei(tx.value, coin)],
        ...callLines(tx),
        ['fee at most', wei(tx.fee * tx.gas, coin)],
        ['nonce', `${tx.nonce}`],
        ['gas limit', `${tx.gas}`],
    ];
    if (tx.access.addresses) {
        lines.push(['access list', `${tx.access.addresses} addresses, ${tx.access.keys} keys`]);
    }
    lines.push(['type', ['legacy', 'EIP-2930', 'EIP-1559'][tx.type]]);
    return lines;
}

// ---- typed data ----

// Every value below, a line each, with the way to it in front.
function leaves(value, way, lines) {
    if (value.t === 'object' && value.members.length) {
        for (const [name, v] of value.members) {
            leaves(v, (way ? way + '.' : '') + plainName(name), lines);
        }
    } else if (value.t === 'array' && value.items.length) {
        value.items.forEach((v, i) => leaves(v, `${way}[${i}]`, lines));
    } else {
        const text = value.t === 'object' ? '{}' : value.t === 'array' ? '[]'
            : value.t === 'text' ? quoted(utf8(value.v)) : value.v;
        lines.push([way, text]);
    }
}

export function parseTyped(bytes) {
    const doc = json.parse(new TextDecoder('utf-8', {fatal: true, ignoreBOM: true}).decode(bytes));
    const f = json.fields(doc, ['types', 'primaryType', 'domain', 'message'], 'the typed data');
    if (f.domain.t !== 'object' || f.types.t !== 'object') {
        refuse('the domain and the types of typed data must be objects');
    }
    json.text(f.primaryType, 'primaryType');
    const domain = new Map(f.domain.members);
    const id = domain.get('chainId'), contract = domain.get('verifyingContract');
    let chain;
    if (id) {
        if ((id.t !== 'number' && id.t !== 'text') || !/^([0-9]+|0x[0-9a-fA-F]+)$/.test(id.v)) {
            refuse('domain.chainId is no number');
        }
        chain = BigInt(id.v);
    }
    if (contract && (contract.t !== 'text' || !/^0x[0-9a-fA-F]{40}$/.test(contract.v))) {
        refuse('domain.verifyingContract is no address');
    }
    return {
        chain,
        contract: contract && contract.v.slice(2).toLowerCase(),
        primaryType: f.primaryType,
        domain: f.domain,
        message: f.message,
    };
}

export function typedLines(t) {
    const lines = [
        ['chain', t.chain === undefined ? 'ANY: the domain names none' : chainText(t.chain)],
        ['contract', t.contract === undefined ? 'ANY: the domain names none'
            : ethAddress(Uint8Array.from(t.contract.match(/../g), (h) => parseInt(h, 16)))],
    ];
    leaves(t.primaryType, 'primaryType', lines);
    leaves(t.domain, 'domain', lines);
    leaves(t.message, 'message', lines);
    return lines;
}

