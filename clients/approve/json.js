// A JSON reader that keeps what JSON.parse loses: the order of members, numbers as they are written,
// members that stand twice (refused).
//
// Values: {t: 'object', members: [[name, value]...]}, {t: 'array', items: [...]}, {t: 'text', v},
// {t: 'number', v: '<digits as written>'}, {t: 'word', v: 'true' | 'false' | 'null'}.
import {refuse} from './bytes.js';

const DEPTH = 64;

export function parse(text) {
    let at = 0;
    const bad = (what) => refuse(`no JSON at character ${at + 1}: ${what}`);
    const space = () => {
        while (at < text.length && ' \t\r\n'.includes(text[at])) {
            at++;
        }
    };
    const string = () => {
        // the text of a string is one token; JSON.parse knows its escapes
        const m = /^"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/.exec(text.slice(at));
        if (!m) {
            bad('a string that does not end, or has what no string may have');
        }
        at += m[0].length;
        const s = JSON.parse(m[0]);
        if (/[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]|\u0000/.test(s)) {
            bad('half a character');
        }
        return s;
    };
    const value = (depth) => {
        if (depth > DEPTH) {
            bad('nested too deeply');
        }
        space();
        const c = text[at];
        if (c === '{') {
            const members = [], seen = new Set();
            at++;
            for (space(); text[at] !== '}'; space()) {
                if (members.length && text[at++] !== ',') {
                    bad('a comma is missing');
                }
                space();
                if (text[at] !== '"') {
                    bad('a name is missing');
                }
                const name = string();
                if (seen.has(name)) {
                    bad(`the member ${JSON.stringify(name)} stands twice`);
                }
                seen.add(name);
                space();
                if (text[at++] !== ':') {
                    bad('a colon is missing');
                }
                members.push([name, value(depth + 1)]);
            }
            at++;
            return {t: 'object', members};
        }
        if (c === '[') {
            const items = [];
            at++;
            for (space(); text[at] !== ']'; space()) {
                if (items.length && text[at++] !== ',') {
                    bad('a comma is missing');
                }
                items.push(value(depth + 1));
            }
            at++;
            return {t: 'array', items};
        }
        if (c === '"') {
            return {t: 'text', v: string()};
        }
        const rest = text.slice(at, at + 400);
        const word = /^(?:true|false|null)(?![a-z])/.exec(rest);
        const number = /^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/.exec(rest);
        if (!word && !number) {
            bad('nothing that begins a value');
        }
        at += (word || number)[0].length;
        return word ? {t: 'word', v: word[0]} : {t: 'number', v: number[0]};
    };
    const root = value(0);
    space();
    if (at !== text.length) {
        bad('something stands behind the document');
    }
    return root;
}

// The members of an object by name, exactly these; '?' behind a name: it may be absent.
export function fields(value, names, where) {
    if (value.t !== 'object') {
        refuse(`${where} must be an object`);
    }
    const out = Object.create(null);
    const known = names.map((n) => n.replace(/\?$/, ''));
    for (const [name, v] of value.members) {
        if (!known.includes(name)) {
            refuse(`${where} has an unknown member ${JSON.stringify(name)}`);
        }
        out[name] = v;
    }
    for (const name of names) {
        if (!name.endsWith('?') && !out[name]) {
            refuse(`${where} has no member "${name}"`);
        }
    }
    return out;
}

export function text(value, where) {
    return value.t === 'text' ? value.v : refuse(`${where} must be text`);
}

export function whole(value, where, max) {
    if (value.t !== 'number' || !/^[0-9]+$/.test(value.v) || BigInt(value.v) > max) {
        refuse(`${where} must be an integer from 0 to ${max}`);
    }
    return BigInt(value.v);
}

export function list(value, where, min, max) {
    if (value.t !== 'array' || value.items.length < min || value.items.length > max) {
        refuse(`${where} must be a list of ${min} to ${max} elements`);
    }
    return value.items;
}
