// The forms in which bytes, texts and amounts are shown; the same as those of daemon/words.c.
import {toHex, utf8} from './bytes.js';
import {keccak256} from './hash.js';

const TEXT_MAX = 4096, HEX_MAX = 256;

// The character at i as [code point, length]; length 0: no UTF-8 here.
function utf8At(b, i) {
    const c = b[i];
    if (c < 0x80) {
        return [c, 1];
    }
    const len = c < 0xc2 || c > 0xf4 ? 0 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
    if (len === 0 || i + len > b.length) {
        return [0, 0];
    }
    let v = c & 0x7f >> len;
    for (let k = 1; k < len; k++) {
        if ((b[i + k] & 0xc0) !== 0x80) {
            return [0, 0];
        }
        v = v << 6 | b[i + k] & 0x3f;
    }
    const least = [0, 0, 0x80, 0x800, 0x10000][len];
    return v < least || v > 0x10ffff || (v >= 0xd800 && v < 0xe000) ? [0, 0] : [v, len];
}

function escaped(b) {
    let out = '';
    for (let i = 0; i < b.length;) {
        const [c, len] = utf8At(b, i);
        if (len === 0) {
            out += `\\x{${b[i].toString(16)}}`;
        } else if (c === 0x22 || c === 0x5c) {
            out += '\\' + String.fromCharCode(c);
        } else if (c >= 0x20 && c < 0x7f) {
            out += String.fromCharCode(c);
        } else {
            out += `\\u{${c.toString(16)}}`;
        }
        i += len || 1;
    }
    return out;
}

const cut = (shown, whole) => shown < whole ? ` CUT: ${shown} of ${whole} bytes are shown` : '';

export function quoted(bytes) {
    const b = bytes.subarray(0, TEXT_MAX);
    return `"${escaped(b)}"` + cut(b.length, bytes.length);
}

// A member's name in the way to a value.
export function plainName(name) {
    return Array.from(utf8(name), (c) => {
        const s = String.fromCharCode(c);
        return /[A-Za-z0-9_$]/.test(s) ? s : `\\x{${c.toString(16)}}`;
    }).join('');
}

export function hexOf(bytes) {
    const b = bytes.subarray(0, HEX_MAX);
    return `${bytes.length} bytes: 0x${toHex(b)}` + cut(b.length, bytes.length);
}

function isText(b) {
    for (let i = 0; i < b.length;) {
        const [c, len] = utf8At(b, i);
        if (len === 0 || (c < 0x20 && c !== 10 && c !== 13 && c !== 9) || (c >= 0x7f && c < 0xa0)) {
            return false;
        }
        i += len;
    }
    return true;
}

// Lines of a text (one for each of its lines), or of bytes that are no text.
export function bytesLines(v) {
    if (!isText(v)) {
        return [['bytes', hexOf(v)]];
    }
    const n = Math.min(v.length, TEXT_MAX);
    const lines = [n < v.length ? ['CUT', `${n} of ${v.length} bytes are shown`]
                                : ['length', `${n} bytes`]];
    for (let from = 0; from <= n;) {
        const nl = v.subarray(0, n).indexOf(10, from);
        const to = nl < 0 ? n : nl;
        lines.push(['text', quoted(v.subarray(from, to))]);
        from = to + 1;
    }
    return lines;
}

// A whole number with a point `decimals` digits from its end.
export function decimal(v, decimals) {
    if (!decimals) {
        return v.toString();
    }
    const digits = v.toString().padStart(decimals + 1, '0');
    const fraction = digits.slice(-decimals).replace(/0+$/, '');
    return digits.slice(0, -decimals) + (fraction ? '.' + fraction : '');
}

// EIP-55
export function ethAddress(bytes) {
    const hex = toHex(bytes), h = toHex(keccak256(utf8(hex)));
    return '0x' + Array.from(hex, (c, i) => parseInt(h[i], 16) >= 8 ? c.toUpperCase() : c).join('');
}

export function time(ms) {
    if (ms > 253402300799999n) {
        return `${ms} ms after 1970`;
    }
    return new Date(Number(ms)).toISOString().slice(0, 19).replace('T', ' ') + ' UTC';
}
