#!/bin/sh
# Gate: daemon/openapi.json says what the gateway does.
#   - its paths are the gateway's routes (daemon/gw_route.c), with their methods
#   - the problem codes it names are those of protocol/base/err.def and of daemon/gw_render.h, all of
#     them, each under the statuses that it comes with
#   - numbers that are limits are those of protocol/base/limits.h
#   - every reference leads somewhere, every schema, response and parameter is used
set -eu
cd "$(dirname "$0")/.."
exec python3 -B - <<'EOF'
import json
import re

doc = json.load(open("daemon/openapi.json", encoding="utf-8"))
bad = []


def read(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


# routes
routes = {}
for path, post in re.findall(r'\{"(/[^"]*)",\s*"\w+",\s*([01]),', read("daemon/gw_route.c")):
    routes[path] = "post" if post == "1" else "get"
named = {"/v1/keys/": "{key}", "/v1/receipts/": "{request}"}
said = {p: sorted(v) for p, v in doc["paths"].items()}
want = {p + named.get(p, "" if not p.endswith("/") else "{?}"): [m] for p, m in routes.items()}
if len(routes) < 10:
    bad.append("daemon/gw_route.c: its table is not read any more; mend this gate")
for p in sorted(set(said) | set(want)):
    if said.get(p) != want.get(p):
        bad.append(f"{p}: the document has {said.get(p)}, daemon/gw_route.c has {want.get(p)}")

# codes
codes = {}
for m in re.finditer(r'^QR_E\((\w+), \d+, \w+, (\d+), "(\w+)"', read("protocol/base/err.def"), re.M):
    if m[1] != "OK":
        codes.setdefault(m[3], set()).add(int(m[2]))
own = dict(re.findall(r'#define QR_GW_CODE_(\w+) "(\w+)"', read("daemon/gw_render.h")))
for name, status in (("ROUTE", 404), ("METHOD", 405), ("MEDIA", 415), ("LENGTH", 411),
                     ("ORIGIN", 403)):
    codes.setdefault(own.pop(name), set()).add(status)
if own:
    bad.append(f"daemon/gw_render.h: codes without a status here: {sorted(own)}")
listed = set(doc["components"]["schemas"]["Problem"]["properties"]["code"]["enum"])
for c in sorted(listed ^ set(codes)):
    bad.append(f"code {c}: {'only in the document' if c in listed else 'not in the document'}")
for name, r in doc["components"]["responses"].items():
    status = int(re.search(r"\d+$", name)[0])
    here = set(re.findall(r"`(\w+)`", r["description"]))
    right = {c for c, s in codes.items() if status in s}
    if here != right:
        bad.append(f"response {name}: names {sorted(here)}, not {sorted(right)}")

# limits
limits = {}
for name, value in re.findall(r"^#define (QR_\w+) \(?([0-9][^/\n]*?)\)?\s*(?:/\*.*)?$",
                              read("protocol/base/limits.h"), re.M):
    limits[name] = eval(re.sub(r"(\d)u", r"\1", value).strip("() "), {}, {})
s = doc["components"]["schemas"]
for what, got, name in (
        ("items", s["SignRequest"]["properties"]["items"]["maxItems"], "QR_ITEMS_MAX"),
        ("path", s["SignRequest"]["properties"]["path"]["maxItems"], "QR_PATH_MAX"),
        ("preimage", s["PreimageItem"]["properties"]["preimage"]["maxLength"] // 2, "QR_PREIMAGE_MAX"),
        ("prevouts", s["BitcoinItem"]["properties"]["prevouts"]["maxItems"], "QR_BTC_INPUTS_MAX"),
        ("payloads", s["RawPayloadsRequest"]["properties"]["parameters"]["properties"]["payloads"]
         ["maxItems"], "QR_ITEMS_MAX"),
        ("approval", doc["components"]["parameters"]["Approval"]["schema"]["maxLength"],
         "QR_STAMP_MAX"),
        ("approvers", s["Problem"]["properties"]["approvers"]["maxItems"], "QR_APPROVERS_MAX"),
        *((k, s["Limits"]["properties"][k]["const"], n) for k, n in (
            ("body_bytes", "QR_BODY_MAX"), ("stamp_bytes", "QR_STAMP_MAX"), ("items", "QR_ITEMS_MAX"),
            ("preimage_bytes", "QR_PREIMAGE_MAX"), ("path_steps", "QR_PATH_MAX"),
            ("btc_inputs", "QR_BTC_INPUTS_MAX"), ("id_min", "QR_ID_MIN"), ("id_max", "QR_ID_MAX"),
            ("request_life_ms", "QR_REQUEST_LIFE_MS"),
            ("approved_request_life_ms", "QR_APPROVAL_LIFE_MS"),
            ("clock_skew_ms", "QR_CLOCK_SKEW_MS"), ("keys", "QR_KEYS_MAX"),
            ("presignatures_per_key", "QR_PRESIG_PER_KEY")))):
    if got != limits.get(name):
        bad.append(f"{what}: {got} in the document, {name} is {limits.get(name)}")
told = set(re.findall(r'\\"(\w+)\\":%u', re.search(r'\\"limits\\":\{.*?\}\}', read(
    "daemon/party_query.c"), re.S)[0]))
if told != set(s["Limits"]["properties"]):
    bad.append(f"limits of /v1/status: {sorted(told ^ set(s['Limits']['properties']))} differ")

# references
text = json.dumps(doc)
used = set(re.findall(r'"#/components/(\w+)/(\w+)"', text))
have = {(kind, name) for kind, group in doc["components"].items() for name in group}
bad += [f"#/components/{k}/{n}: leads nowhere" for k, n in sorted(used - have)]
bad += [f"#/components/{k}/{n}: nobody uses it" for k, n in sorted(have - used)
        if k != "securitySchemes"]
for b in bad:
    print(f"daemon/openapi.json: {b}")
if bad:
    raise SystemExit(f"check_openapi: {len(bad)} differences")
print(f"check_openapi: ok ({len(routes)} routes, {len(codes)} codes)")
EOF
