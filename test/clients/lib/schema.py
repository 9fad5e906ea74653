"""JSON Schema as the API's description uses it: one half judges a value, the other makes some."""

import random
import re
import string


class Schemas:
    def __init__(self, doc):
        self.doc = doc

    def resolve(self, s):
        while "$ref" in s:
            at = self.doc
            for step in s["$ref"][2:].split("/"):
                at = at[step]
            s = at
        return s

    # ---- judging

    def wrong(self, value, s, at="$"):
        """What is wrong with the value, first thing first; None when nothing is."""
        s = self.resolve(s)
        unknown = set(s) - {"type", "properties", "required", "additionalProperties", "items", "enum",
                            "const", "pattern", "minimum", "maximum", "minItems", "maxItems",
                            "minLength", "maxLength", "oneOf", "description", "contentEncoding"}
        assert not unknown, f"{at}: the judge does not know {unknown}"
        if "oneOf" in s:
            fits = [x for x in s["oneOf"] if self.wrong(value, x, at) is None]
            return None if len(fits) == 1 else f"{at}: fits {len(fits)} of the forms"
        if "const" in s and (value != s["const"] or type(value) is not type(s["const"])):
            return f"{at}: {value!r} is not {s['const']!r}"
        if "enum" in s and value not in s["enum"]:
            return f"{at}: {value!r} is none of {s['enum']}"
        kinds = {"object": dict, "array": list, "string": str, "integer": int, "boolean": bool}
        want = kinds.get(s.get("type"), object)
        if not isinstance(value, want) or (want is int and isinstance(value, bool)):
            return f"{at}: {value!r} is no {s['type']}"
        if isinstance(value, dict):
            return self._wrong_object(value, s, at)
        if isinstance(value, list):
            if not s.get("minItems", 0) <= len(value) <= s.get("maxItems", 1 << 30):
                return f"{at}: {len(value)} elements"
            return next((w for i, v in enumerate(value)
                         if (w := self.wrong(v, s["items"], f"{at}[{i}]"))), None)
        if isinstance(value, str):
            if not s.get("minLength", 0) <= len(value) <= s.get("maxLength", 1 << 30):
                return f"{at}: {len(value)} characters"
            if "pattern" in s and not re.search(s["pattern"].replace("$", r"\Z"), value):
                return f"{at}: {value[:80]!r} does not match {s['pattern']}"
        elif isinstance(value, int) and not isinstance(value, bool):
            if not s.get("minimum", -(1 << 63)) <= value <= s.get("maximum", 1 << 63):
                return f"{at}: {value} is out of range"
        return None

    def _wrong_object(self, value, s, at):
        props = s.get("properties", {})
        missing = [k for k in s.get("required", ()) if k not in value]
        if missing:
            return f"{at}: {missing} missing"
        extra = [k for k in value if k not in props]
        if extra and s.get("additionalProperties", True) is False:
            return f"{at}: {extra} not described"
        return next((w for k, v in value.items()
                     if k in props and (w := self.wrong(v, props[k], f"{at}.{k}"))), None)

    # ---- making

    def make(self, s, rng):
        """A value that fits."""
        s = self.resolve(s)
        if "oneOf" in s:
            return self.make(rng.choice(s["oneOf"]), rng)
        if "const" in s:
            return s["const"]
        if "enum" in s:
            return rng.choice(s["enum"])
        kind = s.get("type")
        if kind == "object":
            return {k: self.make(v, rng) for k, v in s.get("properties", {}).items()
                    if k in s.get("required", ()) or rng.random() < 0.5}
        if kind == "array":
            n = rng.choice((s.get("minItems", 0), 1, 2, s.get("maxItems", 3)))
            n = min(max(n, s.get("minItems", 0)), s.get("maxItems", n))
            return [self.make(s["items"], rng) for _ in range(n)]
        if kind == "integer":
            lo, hi = s.get("minimum", 0), s.get("maximum", 1 << 53)
            return rng.choice((lo, hi, rng.randint(lo, hi), min(lo + 1, hi)))
        if kind == "boolean":
            return rng.random() < 0.5
        return self._text(s, rng)

    def _text(self, s, rng):
        for _ in range(50):
            t = from_pattern(s["pattern"], rng) if "pattern" in s else "".join(
                rng.choice(string.printable + "é\u2028") for _ in range(rng.choice((0, 1, 8, 200))))
            if s.get("minLength", 0) <= len(t) <= s.get("maxLength", 1 << 20):
                return t
        raise AssertionError(f"no text for {s}")


PIECE = re.compile(r"\((\?:)?(?P<group>[^()]*)\)|\[(?P<set>[^]]*)\]|(?P<char>[^()\[\]{}*+?^$|])")
COUNT = re.compile(r"\{(\d+)(?:,(\d+))?\}|([*+?])")


def from_pattern(p, rng):
    """A text that the pattern takes: sets, groups one deep, counts, alternatives."""
    p = p.removeprefix("^").removesuffix("$")
    depth, parts = 0, [""]
    for c in p:
        depth += {"(": 1, ")": -1, "[": 1, "]": -1}.get(c, 0)
        if c == "|" and depth == 0:
            parts.append("")
        else:
            parts[-1] += c
    p, out, at = rng.choice(parts), "", 0
    while at < len(p):
        m = PIECE.match(p, at)
        assert m, f"a pattern that cannot be made: {p}"
        at, lo, hi = m.end(), 1, 1
        n = COUNT.match(p, at)
        if n:
            at = n.end()
            lo, hi = {"*": (0, 6), "+": (1, 6), "?": (0, 1)}.get(n[3]) or (
                int(n[1]), int(n[2] or n[1]))
        for _ in range(rng.randint(lo, hi)):
            if m["group"] is not None:
                out += from_pattern(m["group"], rng)
            elif m["set"] is not None:
                out += rng.choice(members(m["set"]))
            else:
                out += m["char"]
    return out


def members(text):
    out, at = "", 0
    while at < len(text):
        if at + 2 < len(text) and text[at + 1] == "-":
            out += "".join(map(chr, range(ord(text[at]), ord(text[at + 2]) + 1)))
            at += 3
        else:
            out += text[at]
            at += 1
    return out


STRANGE = (None, True, False, 0, -1, 1.5, 1e400, 2**63, 2**64, 10**40, "", "0x", "\0", "\ud800", "é" * 50,
           [], {}, [[]], {"": {}}, "A" * 70000)


def spoil(value, rng):
    """The value with one thing in it made wrong, somewhere."""
    if isinstance(value, (dict, list)) and value and rng.random() < 0.7:
        keys = list(value) if isinstance(value, dict) else range(len(value))
        k = rng.choice(list(keys))
        copy = value.copy()
        copy[k] = spoil(value[k], rng)
        return copy
    if isinstance(value, dict):
        copy = dict(value)
        if copy and rng.random() < 0.6:
            del copy[rng.choice(list(copy))]
        else:
            copy[rng.choice(("more", "", "__proto__", "v ", "\u00e9"))] = rng.choice(STRANGE)
        return copy
    if isinstance(value, list):
        return value + value[:1] * rng.choice((1, 70)) if value else [rng.choice(STRANGE)]
    if isinstance(value, str) and value and rng.random() < 0.6:
        at = rng.randrange(len(value))
        return rng.choice((value[:at] + value[at + 1:], value[:at] + value[at].upper() + value[at + 1:],
                           value + value[at], value[:at] + "\u0000" + value[at:], value + " "))
    if isinstance(value, int) and rng.random() < 0.6:
        return rng.choice((value + 1, value - 1, -value, value * 2**32, str(value), float(value)))
    return rng.choice(STRANGE)


def spoil_bytes(b, rng):
    """Bytes that may be JSON no longer."""
    at = rng.randrange(len(b)) if b else 0
    return rng.choice((
        b[:at], b + b"{}", b[:at] + bytes((rng.randrange(256),)) + b[at + 1:], b"\xef\xbb\xbf" + b,
        b.replace(b":", b":{\"a\":" * 12, 1), b.replace(b"{", b'{"v":1,', 1), b.replace(b",", b",,", 1),
        b.decode("latin-1").encode("utf-16"), b" " * 60000 + b, b"[" * 3000))


def seeded(seed):
    return random.Random(seed)
