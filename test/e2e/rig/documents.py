"""What people sign: rosters, policies, commands, requests; and the stamps over them."""

import base64
import json
import secrets
import time

SCHEMES = {"p256": "SIGNATURE_SCHEME_TK_API_P256", "secp256k1": "SIGNATURE_SCHEME_TK_API_SECP256K1"}


def stamp(key, body, **over):
    fields = {"publicKey": key.public, "signature": key.sign(body).hex(),
              "scheme": SCHEMES[key.scheme]}
    return pack_stamp({**fields, **over})


def pack_stamp(fields):
    text = json.dumps(fields, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


def dump(o):
    return json.dumps(o, separators=(",", ":")).encode()


def now_ms():
    return time.time_ns() // 1000000


def new_id():
    return secrets.token_hex(12)


def named(name, key):
    return {"name": name, "scheme": key.scheme, "key": key.public}


def roster(cluster, serial, descriptors, admins, need=1, name="test"):
    """descriptors: of the parties, in order, as the party says them (a dict)."""
    parties = [{"index": i, "identity": d["identity"], "address": d["address"],
                "cloud": d["cloud"], "operator": d["operator"], "tee": d["tee"]}
               for i, d in enumerate(descriptors, 1)]
    keys = [named(f"admin-{i}", k) for i, k in enumerate(admins, 1)]
    return {"v": 1, "type": "quorate/roster", "cluster": cluster, "name": name, "serial": serial,
            "parties": parties, "admins": {"need": need, "keys": keys}}


ALL = ["sha256", "sha256d", "eip191", "eth_tx"]


def allow(rule_id, clients=("*",), keys=("*",), kinds=ALL, effect="allow"):
    return {"id": rule_id, "effect": effect, "clients": list(clients), "keys": list(keys),
            "kinds": list(kinds)}


def policy(cluster, serial, clients, rules=None, sim=True):
    """clients: name -> key."""
    return {"v": 1, "type": "quorate/policy", "cluster": cluster, "serial": serial,
            "peers": {"insecure_sim": True} if sim else {},
            "requests": {"clients": [named(n, k) for n, k in clients.items()],
                         "rules": [allow("all")] if rules is None else rules}}


def command(cluster, cmd, life_ms=60000, issued_ms=None, **more):
    issued = now_ms() if issued_ms is None else issued_ms
    return {"v": 1, "type": "quorate/command", "cluster": cluster, "id": new_id(),
            "issued_ms": issued, "expires_ms": issued + life_ms, "cmd": cmd, **more}


def request(cluster, key, items, path=(), **over):
    now = now_ms()
    return {"v": 1, "cluster": cluster, "key": key, "id": new_id(), "issued_ms": now,
            "expires_ms": now + 60000, "path": list(path), "items": items, **over}


def item(preimage=b"hello", kind="sha256"):
    return {"kind": kind, "preimage": preimage.hex()}
