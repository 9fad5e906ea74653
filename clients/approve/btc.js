// Bitcoin: unsigned transactions with what their inputs spend, and their words. Addresses are those of
// the main network (Base58Check; BIP173 and BIP350).
import {concat, equal, refuse, toBig, toHex} from './bytes.js';
import {decimal, hexOf} from './forms.js';
import {sha256} from './hash.js';

const SAT_MAX = 2100000000000000n;

// ---- the transaction ----

class Reader {
    constructor(bytes) {
        this.b = bytes;
        this.at = 0;
    }

    take(n, name) {
        if (n > this.b.length - this.at) {
            refuse(`the transaction ends inside ${name}`);
        }
        this.at += n;
        return this.b.subarray(this.at - n, this.at);
    }

    little(n, name) {
        return toBig(this.take(n, name).slice().reverse());
    }

    // A count or length in its shortest form.
    compact(name) {
        const first = Number(this.little(1, name));
        if (first < 0xfd) {
            return first;
        }
        const width = first === 0xfd ? 2 : first === 0xfe ? 4 : 8;
        const v = this.little(width, name);
        if (v < [0xfdn, 0, 0x10000n, 0, 0, 0, 0x100000000n][width - 2] || v > 0xffffffffn) {
            refuse(`${name} is not in its shortest form, or too large`);
        }
        return Number(v);
    }
}

export function parseTx(bytes) {
    const r = new Reader(bytes), ins = [], outs = [];
    r.take(4, 'its version');
    const nIn = r.compact('the number of inputs');
    if (nIn === 0) {
        refuse('the transaction has no inputs, or is in the form with witnesses');
    }
    for (let i = 0; i < nIn; i++) {
        const outpoint = r.take(36, 'an input');
        if (r.compact('a script') !== 0) {
            refuse('an input has a script already');
        }
        r.take(4, 'an input');
        ins.push(outpoint);
    }
    const nOut = r.compact('the number of outputs');
    let total = 0n;
    for (let i = 0; i < nOut; i++) {
        const sat = r.little(8, 'an output');
        const script = r.take(r.compact('a script'), 'an output');
        total += sat;
        if (sat > SAT_MAX || total > SAT_MAX) {
            refuse('the outputs are more than there is');
        }
        outs.push({sat, script});
    }
    const lock = r.little(4, 'its lock time');
    if (r.at !== bytes.length || nOut === 0) {
        refuse('the transaction has no outputs, or bytes are left over');
    }
    return {bytes, ins, outs, total, lock};
}

// ---- addresses ----

const BECH = 'qpzry9x8gf2tvdw0s3jn54khce6mua7l';
const B58 = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz';

function polymod(values) {
    const gen = [0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3];
    let chk = 1;
    for (const v of values) {
        const top = chk >>> 25;
        chk = (chk & 0x1ffffff) << 5 ^ v;
        for (let i = 0; i < 5; i++) {
            chk ^= top >> i & 1 ? gen[i] : 0;
        }
    }
    return chk >>> 0;
}

function segwit(version, program) {
    const v = [version];
    let bits = 0, acc = 0;
    for (const b of program) {
        acc = (acc << 8 | b) & 0xfff;
        for (bits += 8; bits >= 5;) {
            bits -= 5;
            v.push(acc >> bits & 31);
        }
    }
    if (bits) {
        v.push(acc << (5 - bits) & 31);
    }
    // the prefix "bc", spread out as the checksum wants it
    const chk = polymod([3, 3, 0, 2, 3, ...v, 0, 0, 0, 0, 0, 0]) ^ (version ? 0x2bc830a3 : 1);
    for (let i = 0; i < 6; i++) {
        v.push(chk >>> (25 - 5 * i) & 31);
    }
    return 'bc1' + v.map((x) => BECH[x]).join('');
}

function base58(prefix, hash) {
    const body = concat([prefix], hash);
    const all = concat(body, sha256(sha256(body)).subarray(0, 4));
    let n = toBig(all), out = '';
    for (; n > 0n; n /= 58n) {
        out = B58[Number(n % 58n)] + out;
    }
    return '1'.repeat(all.findIndex((b) => b !== 0)) + out;
}

function addressOf(s) {
    const hex = toHex(s);
    if (/^76a914.{40}88ac$/.test(hex)) {
        return base58(0, s.subarray(3, 23));
    }
    if (/^a914.{40}87$/.test(hex)) {
        return base58(5, s.subarray(2, 22));
    }
    if (s.length < 4 || s.length > 42 || s[1] !== s.length - 2 ||
        (s[0] !== 0 && (s[0] < 0x51 || s[0] > 0x60)) ||
        (s[0] === 0 && s.length !== 22 && s.length !== 34)) {
        return null;
    }
    return segwit(s[0] ? s[0] - 0x50 : 0, s.subarray(2));
}

function scriptText(s) {
    const address = addressOf(s);
    if (address) {
        return address;
    }
    return s[0] === 0x6a ? `nobody (data, OP_RETURN), script of ${hexOf(s)}`
                         : `a script of ${hexOf(s)}`;
}

const btc = (sat) => `${decimal(sat, 8)} BTC (${sat} sat)`;

// t: {tx, input, prev: [{sat, script}], feeBound}; same: number of the item with this transaction.
export function lines(t, same) {
    const own = t.prev[t.input];
    const out = [['spends', `${btc(own.sat)} from ${scriptText(own.script)}, input ${t.input + 1} of ` +
                  `${t.tx.ins.length}`]];
    if (same) {
        return [...out, ['transaction', `the same as in item ${same}`]];
    }
    for (const o of t.tx.outs) {
        out.push([equal(o.script, own.script) ? 'comes back' : 'pays',
                  `${btc(o.sat)} to ${scriptText(o.script)}`]);
    }
    const spent = t.prev.reduce((n, p) => n + p.sat, 0n);
    out.push(['fee', btc(spent - t.tx.total) +
              (t.feeBound ? '' : ', AS THE CLIENT SAYS: no signature here binds it')]);
    if (t.tx.lock) {
        out.push(['lock time', `${t.tx.lock}${t.tx.lock < 500000000n ? ' (a block)' : ' (a time)'}`]);
    }
    return out;
}

export {SAT_MAX};
