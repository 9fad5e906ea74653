// Bytes and their texts: hex, base64url, UTF-8. Everything strict: what another reader could take
// differently is refused.

export class Refused extends Error {}

export function refuse(text) {
    throw new Refused(text);
}

export function fromHex(text, name) {
    if (!/^([0-9a-f]{2})*$/.test(text)) {
        refuse(`${name} must be lower-case hex with an even number of digits`);
    }
    const out = new Uint8Array(text.length / 2);
    for (let i = 0; i < out.length; i++) {
        out[i] = parseInt(text.slice(2 * i, 2 * i + 2), 16);
    }
    return out;
}

export function toHex(bytes) {
    return Array.from(bytes, (b) => b.toString(16).padStart(2, '0')).join('');
}

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';

export function toBase64url(bytes) {
    let out = '', bits = 0, acc = 0;
    for (const b of bytes) {
        acc = (acc << 8 | b) & 0xffff;
        for (bits += 8; bits >= 6;) {
            bits -= 6;
            out += ALPHABET[acc >> bits & 63];
        }
    }
    return bits ? out + ALPHABET[acc << (6 - bits) & 63] : out;
}

export function fromBase64url(text, name) {
    const out = [];
    let bits = 0, acc = 0;
    for (const c of text) {
        const v = ALPHABET.indexOf(c);
        if (v < 0) {
            refuse(`${name} is not base64url without padding`);
        }
        acc = (acc << 6 | v) & 0xfff;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            out.push(acc >> bits & 255);
        }
    }
    if (bits >= 6 || (acc & ((1 << bits) - 1)) !== 0) {
        refuse(`${name} is not base64url without padding`);
    }
    return Uint8Array.from(out);
}

export function concat(...parts) {
    const out = new Uint8Array(parts.reduce((n, p) => n + p.length, 0));
    let at = 0;
    for (const p of parts) {
        out.set(p, at);
        at += p.length;
    }
    return out;
}

export const utf8 = (text) => new TextEncoder().encode(text);

export function toBig(bytes) {
    return bytes.length ? BigInt('0x' + toHex(bytes)) : 0n;
}

export function equal(a, b) {
    return a.length === b.length && a.every((v, i) => v === b[i]);
}
