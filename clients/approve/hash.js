// SHA-256 (FIPS 180-4) and Keccak-256 (the Keccak submission, padding 0x01). WebCrypto has the first
// only as a promise and the second not at all.
import {concat, utf8} from './bytes.js';

// The first 32 bits of the fractional parts of the roots of the first primes.
function fractions(count, power) {
    const out = [];
    for (let n = 2; out.length < count; n++) {
        let prime = true;
        for (let d = 2; d * d <= n; d++) {
            prime = prime && n % d !== 0;
        }
        if (prime) {
            // floor(n^(1/power) * 2^32) by bisection over whole numbers, so that nothing is rounded
            const target = BigInt(n) << BigInt(32 * power);
            let lo = 0n, hi = 1n << 40n;
            while (hi - lo > 1n) {
                const mid = (lo + hi) >> 1n;
                if (mid ** BigInt(power) <= target) {
                    lo = mid;
                } else {
                    hi = mid;
                }
            }
            out.push(Number(lo & 0xffffffffn));
        }
    }
    return out;
}

const K = fractions(64, 3);
const H0 = fractions(8, 2);

export function sha256(bytes) {
    const bits = new Uint8Array(8);
    new DataView(bits.buffer).setBigUint64(0, BigInt(bytes.length) * 8n);
    const pad = new Uint8Array(1 + (119 - bytes.length % 64) % 64);
    pad[0] = 0x80;
    const m = concat(bytes, pad, bits);
    const view = new DataView(m.buffer);
    const h = Uint32Array.from(H0), w = new Uint32Array(64);
    const rot = (x, n) => x >>> n | x << (32 - n);

    for (let at = 0; at < m.length; at += 64) {
        for (let i = 0; i < 64; i++) {
            if (i < 16) {
                w[i] = view.getUint32(at + 4 * i);
            } else {
                const a = w[i - 15], b = w[i - 2];
                w[i] = w[i - 16] + (rot(a, 7) ^ rot(a, 18) ^ a >>> 3) + w[i - 7] +
                    (rot(b, 17) ^ rot(b, 19) ^ b >>> 10);
            }
        }
        let [a, b, c, d, e, f, g, k] = h;
        for (let i = 0; i < 64; i++) {
            const t1 = k + (rot(e, 6) ^ rot(e, 11) ^ rot(e, 25)) + (e & f ^ ~e & g) + K[i] + w[i];
            const t2 = (rot(a, 2) ^ rot(a, 13) ^ rot(a, 22)) + (a & b ^ a & c ^ b & c);
            k = g;
            g = f;
            f = e;
            e = d + t1 >>> 0;
            d = c;
            c = b;
            b = a;
            a = t1 + t2 >>> 0;
        }
        [a, b, c, d, e, f, g, k].forEach((v, i) => {
            h[i] += v;
        });
    }
    const out = new Uint8Array(32);
    h.forEach((v, i) => new DataView(out.buffer).setUint32(4 * i, v));
    return out;
}

const MASK = (1n << 64n) - 1n;
const rot64 = (x, n) => n ? (x << n | x >> (64n - n)) & MASK : x;

function permute(a) {
    let lfsr = 1;
    for (let round = 0; round < 24; round++) {
        const c = [0, 1, 2, 3, 4].map((x) => a[x] ^ a[x + 5] ^ a[x + 10] ^ a[x + 15] ^ a[x + 20]);
        for (let i = 0; i < 25; i++) {
            a[i] ^= c[(i + 4) % 5] ^ rot64(c[(i + 1) % 5], 1n);
        }
        let x = 1, y = 0, last = a[1];
        for (let t = 0; t < 24; t++) {
            [x, y] = [y, (2 * x + 3 * y) % 5];
            const next = a[x + 5 * y];
            a[x + 5 * y] = rot64(last, BigInt((t + 1) * (t + 2) / 2 % 64));
            last = next;
        }
        for (let row = 0; row < 25; row += 5) {
            const r = a.slice(row, row + 5);
            for (let i = 0; i < 5; i++) {
                a[row + i] = r[i] ^ ~r[(i + 1) % 5] & MASK & r[(i + 2) % 5];
            }
        }
        for (let j = 0; j < 7; j++) {
            if (lfsr & 1) {
                a[0] ^= 1n << BigInt((1 << j) - 1);
            }
            lfsr = lfsr & 0x80 ? lfsr << 1 ^ 0x171 : lfsr << 1;
        }
    }
}

export function keccak256(bytes) {
    const rate = 136;
    const pad = new Uint8Array(rate - bytes.length % rate);
    pad[0] = 1;
    pad[pad.length - 1] |= 0x80;
    const m = concat(bytes, pad), view = new DataView(m.buffer);
    const a = new Array(25).fill(0n);
    for (let at = 0; at < m.length; at += rate) {
        for (let i = 0; i < rate / 8; i++) {
            a[i] ^= view.getBigUint64(at + 8 * i, true);
        }
        permute(a);
    }
    const out = new Uint8Array(32);
    for (let i = 0; i < 4; i++) {
        new DataView(out.buffer).setBigUint64(8 * i, a[i], true);
    }
    return out;
}

// The hash that names a request: every byte of its body is in it.
export function requestHash(body) {
    const len = new Uint8Array(4);
    new DataView(len.buffer).setUint32(0, body.length);
    return sha256(concat(utf8('quorate/sign-request/v1'), len, body));
}
