#!/usr/bin/env python3
"""The description of the API: served as it is in the source, clean for a linter, and true: requests made from
it, right and wrong ones, get no answer that it does not describe."""

import collections
import http.client
import json
import os
import time
import unittest

from lib import kit, schema
from rig import documents, frames

Q = None
SEED = int(os.environ.get("SEED", "1"))
ROUNDS = int(os.environ.get("ROUNDS", "80"))  # per operation

# EIP-155's example, unsigned.
TRANSACTION = "ec098504a817c80082520894" + "35" * 20 + "880de0b6b3a764000080018080"


def setUpModule():
    global Q
    Q = kit.Quorum().start(rules=[kit.allow(), kit.allow("digests", kinds=["digest"])])
    Q.keygen()
    Q.sign()


def tearDownModule():
    Q.kill()


class Description(unittest.TestCase):
    def tearDown(self):
        if self.c is not None:
            self.c.close()

    def setUp(self):
        with open(os.path.join(kit.ROOT, "daemon/openapi.json"), "rb") as f:
            self.text = f.read()
        self.doc = json.loads(self.text)
        self.schemas = schema.Schemas(self.doc)

    def ask(self, method, path, body=None, headers=()):
        """status, type, body; over one kept connection, opened again when it was closed."""
        for again in (True, False):
            try:
                if self.c is None:
                    self.c = http.client.HTTPConnection(*Q.party[1].http, timeout=30)
                self.c.putrequest(method, path, skip_accept_encoding=True)
                for name, value in headers:
                    self.c.putheader(name, value)
                if body is not None:
                    self.c.putheader("Content-Length", str(len(body)))
                self.c.endheaders(body)
                r = self.c.getresponse()
                content = r.read()
                if r.will_close:
                    self.c.close()
                    self.c = None
                return r.status, (r.getheader("Content-Type") or "").split(";")[0], content
            except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
                self.c = None
                if not again:
                    raise

    c = None

    def test_served(self):
        status, kind, body = self.ask("GET", "/v1/openapi.json")
        self.assertEqual((status, kind), (200, "application/json"))
        self.assertEqual(body, self.text)

    def test_lint(self):
        r = kit.run(os.path.join(kit.WORK, "node_modules/.bin/redocly"), "lint", "--format", "json",
                    os.path.join(kit.ROOT, "daemon/openapi.json"),
                    env={"REDOCLY_TELEMETRY": "off"}, check=False)
        report = json.loads(r.out[r.out.index("{"):])
        self.assertEqual(report["totals"], {"errors": 0, "warnings": 0, "ignored": 0}, r.out[:4000])

    # ---- requests from the description

    def described(self, op, status, kind, body):
        """None, or how the answer is not one that the description has."""
        answer = op["responses"].get(str(status))
        if answer is None:
            return f"status {status} is not described: {body[:300]!r}"
        answer = self.schemas.resolve(answer)
        if kind not in answer["content"]:
            return f"{status} as {kind}, not {list(answer['content'])}: {body[:300]!r}"
        if kind.startswith("text/"):
            return self.schemas.wrong(body.decode(), answer["content"][kind]["schema"])
        try:
            value = json.loads(body)
        except ValueError as e:
            return f"{status}: {e}: {body[:300]!r}"
        return self.schemas.wrong(value, answer["content"][kind]["schema"])

    def real(self, o, rng):
        """Members that only this quorum and this moment know."""
        if not isinstance(o, dict):
            return o
        now = documents.now_ms()
        facts = {"cluster": Q.cluster, "key": Q.key["key"], "issued_ms": now, "expires_ms": now + 30000,
                 "id": documents.new_id(), "organizationId": Q.cluster[:16], "timestampMs": str(now)}
        for k, v in facts.items():
            if k in o and rng.random() < 0.9:
                o[k] = v
        if isinstance(o.get("parameters"), dict) and rng.random() < 0.9:
            o["parameters"]["signWith"] = rng.choice((Q.key["key"], kit.address_of(Q.key["key"])))
            if "unsignedTransaction" in o["parameters"] and rng.random() < 0.7:
                o["parameters"]["unsignedTransaction"] = rng.choice(("", "0x")) + TRANSACTION
        if isinstance(o.get("items"), list) and rng.random() < 0.8:
            # Bitcoin transactions and the like are no accident.
            o["items"] = [documents.item(rng.randbytes(rng.randrange(40)), rng.choice(
                ("sha256", "sha256d", "eip191", "keccak256"))) for _ in range(rng.choice((1, 2, 64)))]
            o["path"] = [rng.randrange(2**31) for _ in range(rng.randrange(3))]
        return o

    def make_body(self, op, rng):
        """(bytes, whether it was made wrong)."""
        o = self.schemas.make(op["requestBody"]["content"]["application/json"]["schema"], rng)
        o, wrong = self.real(o, rng), rng.random() < 0.6
        if wrong and rng.random() < 0.7:
            o = schema.spoil(o, rng)
        body = json.dumps(o).encode()
        if wrong and rng.random() < 0.3:
            body = schema.spoil_bytes(body, rng)
        return body[:rng.choice((1 << 17, 1 << 17, 65536))]

    def make_headers(self, op, body, rng):
        h = [("Content-Type", "application/json")]
        r = rng.random()
        if r < 0.85:
            h.append(("X-Stamp", documents.stamp(Q.client, body)))
        elif r < 0.95:
            h.append(("X-Stamp", rng.choice(("YQ", "!", "a" * 2048, "a" * 2049, "e30", "\xe9"))))
        if rng.random() < 0.1:
            h += [("X-Approval", rng.choice(("YQ", "", "a" * 2049)))] * rng.choice((1, 7, 8))
        if rng.random() < 0.1:
            h.append(("traceparent", rng.choice(("x", f"00-{'1' * 32}-{'2' * 16}-01"))))
        if rng.random() < 0.05:
            h[0] = ("Content-Type", rng.choice(("text/plain", "application/json; charset=utf-16")))
        return h

    def one(self, path, method, op, rng):
        url, body, headers = path, None, []
        for p in op.get("parameters", ()):
            p = self.schemas.resolve(p)
            if p["in"] == "header":
                continue
            v = self.schemas.make(p["schema"], rng) if rng.random() < 0.6 else rng.choice(
                ("", "0", "A" * 66, "%00", "..%2f", "x" * 3000))
            v = rng.choice((v, Q.key["key"])) if p["name"] == "key" else v
            if p["in"] == "path":
                url = url.replace("{%s}" % p["name"], v)
            elif rng.random() < 0.9:
                url += f"?{p['name']}={v}"
        if method == "post":
            body = self.make_body(op, rng)
            headers = self.make_headers(op, body, rng)
        return url, body, headers

    def test_requests(self):
        rng, found, seen = schema.seeded(SEED), [], collections.Counter()
        start = time.monotonic()
        for path, methods in self.doc["paths"].items():
            for method, op in methods.items():
                for n in range(ROUNDS if method == "post" or op.get("parameters") else 5):
                    url, body, headers = self.one(path, method, op, rng)
                    try:
                        status, kind, answer = self.ask(method.upper(), url, body, headers)
                    except OSError as e:
                        found.append(f"{method} {path}, request {n}: {e!r}; sent {(body or b'')[:300]!r}")
                        continue
                    seen[op["operationId"], status] += 1
                    wrong = self.described(op, status, kind, answer)
                    if wrong or status == 500:
                        found.append(f"{method} {url[:200]}, request {n}: {wrong or answer!r}; "
                                     f"sent {(body or b'')[:300]!r}")
        self.assertEqual(found[:5], [], f"seed {SEED}, {len(found)} in all")
        # Not all of it was refused, and not all for one reason.
        for op in ("sign", "signRawPayload", "signRawPayloads", "signTransaction"):
            self.assertGreater(seen[op, 200], 2, seen)
            self.assertGreater(seen[op, 400], 5, seen)
            self.assertGreater(seen[op, 401], 2, seen)
        self.assertGreater(seen["getKey", 200], 5)
        print(f"{sum(seen.values())} requests in {time.monotonic() - start:.1f} s (seed {SEED}): " +
              ", ".join(f"{o} {s}: {n}" for (o, s), n in sorted(seen.items())))
        self.assertTrue(all(p.running() and p.gateway.running() for p in Q.parties))
        Q.sign()

    def test_methods_and_paths(self):
        """Whatever method a path does not have is 405, whatever path there is not is 404."""
        for path, methods in self.doc["paths"].items():
            path = path.replace("{key}", Q.key["key"]).replace("{request}", "0" * 64)
            for method in ("PUT", "DELETE", "PATCH", "OPTIONS", "POST", "GET"):
                if method.lower() in methods:
                    continue
                status, _, body = self.ask(method, path, b"" if method != "GET" else None)
                self.assertEqual(status, 405, (method, path, body))
            for other in (path + "x", path + "/", path.upper()):
                if other.rstrip("/x") != path.rstrip("/") or "{" in path or other == path:
                    continue
                status, _, body = self.ask("GET", other)
                self.assertIn(status, (404, 405), (other, body))

    def test_the_same_code_from_every_party(self):
        """A wrong request, driven to each party directly: one error number, one sentence."""
        rng = schema.seeded(SEED + 1)
        op = self.doc["paths"]["/v1/sign"]["post"]
        for _ in range(60):
            body = self.make_body(op, rng)[:65536]
            if not body:
                continue
            ask = frames.ask_sign(body, [documents.stamp(Q.client, body)])
            answers = [p.ask(ask, p.gateway_socket) for p in Q.parties]
            if any(a.error == 0 for a in answers):
                continue  # a good one: the first signs it, the others give that answer or their own
            self.assertEqual(len({(a.error, a.detail) for a in answers}), 1,
                             [(a.error, a.detail) for a in answers] + [body[:300]])


if __name__ == "__main__":
    kit.main()
