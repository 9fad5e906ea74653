// Approvals by passkey (daemon/approval.h), and the check of a client's stamp (daemon/stamp.h).
import {concat, fromBase64url, fromHex, refuse, toBase64url, toBig, toHex, utf8} from './bytes.js';
import {sha256} from './hash.js';
import * as json from './json.js';

// The text that an approval is over; a passkey signs its hash as the challenge.
export const challengeOf = (request) => sha256(utf8(`quorate/approval/v1\n${toHex(request)}\n`));

// ---- P-256 and Ed25519 by WebCrypto ----

const P = 2n ** 256n - 2n ** 224n + 2n ** 192n + 2n ** 96n - 1n;
const B = 0x5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604bn;

function power(base, exponent) {
    let out = 1n;
    for (let b = base % P, e = exponent; e > 0n; e >>= 1n, b = b * b % P) {
        out = e & 1n ? out * b % P : out;
    }
    return out;
}

const bytes32 = (v) => fromHex(v.toString(16).padStart(64, '0'), 'a number');

// 02 or 03 and x, to 04, x and y: the form that every browser reads.
function decompress(key) {
    const x = toBig(key.subarray(1));
    const square = ((x * x % P - 3n) * x + B) % P;
    let y = power((square + P) % P, (P + 1n) / 4n);
    if (x >= P || y * y % P !== (square + P) % P) {
        refuse('the key is no point of P-256');
    }
    y = (y & 1n) === BigInt(key[0] & 1) ? y : P - y;
    return concat([4], bytes32(x), bytes32(y));
}

// DER to r and s, 32 bytes each.
function rawSignature(der) {
    const one = (at) => {
        const len = der[at + 1], v = der.subarray(at + 2, at + 2 + len);
        if (der[at] !== 2 || v.length !== len || len === 0 || len > 33) {
            refuse('the signature is no DER');
        }
        return [toBig(v), at + 2 + len];
    };
    const [r, next] = one(2);
    const [s, end] = one(next);
    if (der[0] !== 0x30 || der[1] !== der.length - 2 || end !== der.length || r >> 256n || s >> 256n) {
        refuse('the signature is no DER');
    }
    return concat(bytes32(r), bytes32(s));
}

async function verifyP256(key, der, bytes) {
    const algorithm = {name: 'ECDSA', namedCurve: 'P-256'};
    const k = await crypto.subtle.importKey('raw', decompress(key), algorithm, false, ['verify']);
    return crypto.subtle.verify({name: 'ECDSA', hash: 'SHA-256'}, k, rawSignature(der), bytes);
}

async function verifyEd25519(key, signature, bytes) {
    const k = await crypto.subtle.importKey('raw', key, {name: 'Ed25519'}, false, ['verify']);
    return crypto.subtle.verify({name: 'Ed25519'}, k, signature, bytes);
}

// ---- who asks ----

const SCHEMES = {
    SIGNATURE_SCHEME_TK_API_P256: 'p256',
    SIGNATURE_SCHEME_TK_API_SECP256K1: 'secp256k1',
    SIGNATURE_SCHEME_TK_API_ED25519: 'ed25519',
};

// The client's name if its stamp over exactly these bytes is good and its key is in the list; a text
// that says what is known otherwise. null: there is no stamp.
export async function clientOf(stamp, body, clients) {
    if (!stamp) {
        return null;
    }
    const bytes = fromBase64url(stamp, 'the stamp');
    const f = json.fields(json.parse(new TextDecoder('utf-8', {fatal: true}).decode(bytes)),
                          ['publicKey', 'signature', 'scheme'], 'the stamp');
    const scheme = SCHEMES[json.text(f.scheme, 'scheme')];
    const key = json.text(f.publicKey, 'publicKey');
    const sig = fromHex(json.text(f.signature, 'signature'), 'signature');
    if (scheme === 'secp256k1') {
        return `not known (no browser can check the stamp of key ${key}; the parties do)`;
    }
    const good = scheme === 'p256' ? await verifyP256(fromHex(key, 'publicKey'), sig, body)
        : scheme === 'ed25519' ? await verifyEd25519(fromHex(key, 'publicKey'), sig, body) : false;
    if (!good) {
        refuse('the stamp is not over this request: somebody changed one of them');
    }
    const client = clients.find((c) => c.key === key && c.scheme === scheme);
    return client ? client.name : `not known by name; key ${key} (${scheme})`;
}

// ---- approving ----

// Asks the authenticator, and returns the X-Approval value. approver: {name, key, id}.
export async function approve(request, approver, rpId) {
    const credential = await navigator.credentials.get({
        publicKey: {
            challenge: challengeOf(request),
            rpId,
            userVerification: 'required',
            timeout: 120000,
            allowCredentials: [{type: 'public-key', id: fromBase64url(approver.id, 'id')}],
        },
    });
    const r = credential.response;
    const data = new Uint8Array(r.authenticatorData), client = new Uint8Array(r.clientDataJSON);
    const signature = new Uint8Array(r.signature);
    if (!await verifyP256(fromHex(approver.key, 'key'), signature, concat(data, sha256(client)))) {
        refuse(`this passkey does not fit the key that config.js has for ${approver.name}`);
    }
    return toBase64url(utf8(JSON.stringify({
        scheme: 'webauthn',
        publicKey: approver.key,
        authenticatorData: toBase64url(data),
        clientDataJSON: toBase64url(client),
        signature: toHex(signature),
    })));
}

// ---- enrolling ----

// Makes a passkey; what a policy and config.js need of it.
export async function enrol(name, rpId) {
    const credential = await navigator.credentials.create({
        publicKey: {
            challenge: crypto.getRandomValues(new Uint8Array(32)),
            rp: {id: rpId, name: `Approvals at ${rpId}`},
            user: {id: crypto.getRandomValues(new Uint8Array(16)), name, displayName: name},
            pubKeyCredParams: [{type: 'public-key', alg: -7}],
            authenticatorSelection: {residentKey: 'preferred', userVerification: 'required'},
            attestation: 'none',
            timeout: 120000,
        },
    });
    const spki = new Uint8Array(credential.response.getPublicKey());
    const point = spki.subarray(spki.length - 65);
    if (credential.response.getPublicKeyAlgorithm() !== -7 || spki.length !== 91 || point[0] !== 4) {
        refuse('the authenticator made a key that is not of P-256');
    }
    return {
        key: toHex([2 + (point[64] & 1)]) + toHex(point.subarray(1, 33)),
        id: toBase64url(new Uint8Array(credential.rawId)),
    };
}
