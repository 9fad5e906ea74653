"""What the parts share: a quorum from test/e2e/rig, the clients' programs, and the sum at the end."""

import json
import os
import re
import subprocess
import sys
import unittest

from rig import documents, ec
from rig.quorum import Quorum, die_with_parent, new_folder, until  # noqa: F401

ROOT, WORK = os.environ["ROOT"], os.environ["WORK"]
_node_passed = 0


def js(name):
    return os.path.join(WORK, "js", name)


def run(*args, env=None, timeout=90, check=True, stdin=None, cwd=None):
    """A program to its end; what it printed is in out and err."""
    r = subprocess.run([str(a) for a in args], capture_output=True, timeout=timeout, input=stdin, cwd=cwd,
                       env={**os.environ, **(env or {})}, preexec_fn=die_with_parent)
    r.out, r.err = r.stdout.decode(), r.stderr.decode()
    if check and r.returncode != 0:
        raise AssertionError(f"{' '.join(map(str, args))}: exit {r.returncode}\n{r.out}{r.err}")
    return r


def write(folder, name, content, mode=0o600):
    path = os.path.join(folder, name)
    data = content if isinstance(content, bytes) else content.encode()
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as f:
        f.write(data)
    return path


def url(address):
    return f"http://{address[0]}:{address[1]}"


def gateways(q):
    return [url(p.http) for p in q.parties]


def pkcs8(folder, name, key):
    """A rig's key as OpenSSL's own PKCS #8 file."""
    sec1 = os.path.join(folder, name + ".sec1")
    key.write_pem(sec1)
    out = os.path.join(folder, name)
    run("openssl", "pkcs8", "-topk8", "-nocrypt", "-in", sec1, "-out", out)
    os.chmod(out, 0o600)
    return out


def config(q, **more):
    """For js/config.mjs: what a client of this quorum is given. Returns the file's name."""
    folder = new_folder()
    o = {"gateways": gateways(q), "roster": q.roster.decode(), "policy": q.policy.decode(),
         "key": q.key["key"], "address": address_of(q.key["key"]), "cluster": q.cluster,
         "client_pem": pkcs8(folder, "client.pem", q.client), "client_key": q.client.public,
         "client_secret": f"{q.client.d:064x}", "folder": folder, **more}
    return write(folder, "config.json", json.dumps(o))


def address_of(key):
    """The Ethereum address of a compressed key in hex, without checksum."""
    from rig.keccak import keccak256
    x, y = ec.SECP256K1.decode(bytes.fromhex(key))
    return "0x" + keccak256(x.to_bytes(32, "big") + y.to_bytes(32, "big"))[12:].hex()


def node(script, *args, timeout=90, env=None):
    """A script of js/: what it printed last, as JSON."""
    r = run("node", js(script), *args, timeout=timeout, env=env)
    return json.loads(r.out.strip().splitlines()[-1])


def node_tests(*files, config_file=None, timeout=150):
    """Files of node:test. Their cases are counted in the sum; a failure is told as node tells it."""
    global _node_passed
    r = run("node", "--test", "--test-reporter=tap", *files, check=False, timeout=timeout,
            env={"QUORATE_CONFIG": config_file or ""})
    counts = dict(re.findall(r"^# (pass|fail|skipped|todo|cancelled) (\d+)$", r.out, re.M))
    passed = int(counts.get("pass", 0))
    bad = r.returncode != 0 or passed == 0 or any(int(counts.get(k, 0)) for k in
                                                  ("fail", "skipped", "todo", "cancelled"))
    if bad:
        raise AssertionError(f"node --test: exit {r.returncode}, {counts}\n{r.out[-6000:]}{r.err[-2000:]}")
    _node_passed += passed - 1


class Anvil:
    """A chain on this machine, from an npm package: every transaction is mined at once."""

    def __init__(self):
        from rig.quorum import ADDRESS, new_port
        self.address = (ADDRESS, new_port())
        self.url = url(self.address)
        self.log = os.path.join(new_folder(), "anvil.log")
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [binary("anvil"), "--host", ADDRESS, "--port", str(self.address[1]), "--chain-id", "31337",
                 "--silent"], stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=die_with_parent)
        until(self.answers, "anvil")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def answers(self):
        assert self.process.poll() is None, open(self.log, encoding="utf-8").read()[-2000:]
        try:
            return self.rpc("eth_chainId") == "0x7a69"
        except OSError:
            return False

    def rpc(self, method, *params):
        from rig import web
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
        r = web.request(self.address, "POST", "/", body, [("Content-Type", "application/json")]).json
        assert "error" not in r, r
        return r["result"]

    def fund(self, address, ether=100):
        self.rpc("anvil_setBalance", address, hex(ether * 10**18))

    def mined(self, tx_hash, sender):
        """The receipt of a transaction that this sender made and that succeeded."""
        r = self.rpc("eth_getTransactionReceipt", tx_hash)
        assert r is not None, f"{tx_hash} is not mined"
        assert r["status"] == "0x1", r
        assert r["from"].lower() == sender.lower(), f"sent by {r['from']}, not {sender}"
        return r


class Facade:
    """`quorate facade kms|rpc` beside a client: it holds the client's stamp key."""

    def __init__(self, what, quorum, folder, options, gateway, client=None):
        from rig.quorum import program
        self.log = os.path.join(folder, f"{what}.log")
        pem = os.path.join(folder, f"{what}-client.pem")
        (client or quorum.client).write_pem(pem)
        args = ["facade", what, "--listen", "127.0.0.1:0", "--gateway", gateway,
                "--roster", write(folder, "roster.json", quorum.roster), "--client", pem,
                "--config", write(folder, f"{what}.json", json.dumps(options)), "--json"]
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen([program("quorate"), *args], stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, preexec_fn=die_with_parent)
        self.port = until(self.listening, f"the facade {what}")
        self.url = f"http://127.0.0.1:{self.port}"

    def listening(self):
        with open(self.log, encoding="utf-8") as f:
            text = f.read()
        assert self.process.poll() is None, f"the facade ended: {text}"
        for line in text.splitlines():
            if line.startswith("{") and json.loads(line).get("ev") == "listening":
                return json.loads(line)["port"]
        return None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        assert self.process.wait(20) == 0, open(self.log, encoding="utf-8").read()[-2000:]


def binary(name):
    """A program out of an npm package with prebuilt binaries."""
    machine = {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine]
    return os.path.join(WORK, "node_modules", "@foundry-rs", f"{name}-linux-{machine}", "bin", name)


# Everything that says what is signed.
KINDS = ["eth_tx", "eip191", "eip712", "btc_legacy", "btc_bip143", "keccak256", "sha256", "sha256d"]


def allow(rule_id="all", **more):
    return {**documents.allow(rule_id, kinds=KINDS), **more}


def verified_by_openssl(folder, pem, digest, signature):
    """Whether `openssl pkeyutl` takes a DER signature of a digest under a PEM or DER public key."""
    files = [write(folder, "v.key", pem), write(folder, "v.dgst", digest), write(folder, "v.sig", signature)]
    form = "PEM" if pem.startswith(b"-----") else "DER"
    r = run("openssl", "pkeyutl", "-verify", "-pubin", "-keyform", form, "-inkey", files[0], "-in", files[1],
            "-sigfile", files[2], check=False)
    return r.returncode == 0 and "Signature Verified Successfully" in r.out + r.err


def main():
    program = unittest.main(module="__main__", argv=[sys.argv[0], "-v", *sys.argv[1:]], exit=False)
    r = program.result
    bad = len({getattr(t, "test_case", t).id() for t, _ in r.failures + r.errors}) + len(r.skipped)
    sys.stderr.flush()
    passed = max(r.testsRun - bad, 0)
    print(f"{passed + _node_passed} passed, {bad} failed", flush=True)
    sys.exit(bad != 0 or r.testsRun == 0)
