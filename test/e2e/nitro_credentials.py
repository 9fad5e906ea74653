#!/usr/bin/env python3
"""deploy/nitro/quorate-credentials against a metadata service of our own: version 2 only, and its faults.

Exit 0: what the script prints is what the service has; whatever goes wrong is an exit code and a reason.
"""

import http.server
import json
import os
import subprocess
import sys
import threading

SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../deploy/nitro/quorate-credentials")
DOC = json.dumps({"Code": "Success", "AccessKeyId": "ASIATESTTESTTESTTEST", "SecretAccessKey": "x" * 40,
                  "Token": "t", "Expiration": "2026-01-01T06:00:00Z"})


class Imds(http.server.BaseHTTPRequestHandler):
    role, broken = "quorate", ""

    def say(self, status, text):
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_PUT(self):
        if self.path != "/latest/api/token" or not self.headers.get("X-aws-ec2-metadata-token-ttl-seconds"):
            self.say(400, "")
        elif self.broken == "token":
            self.say(403, "")
        else:
            self.say(200, "session")

    def do_GET(self):
        base = "/latest/meta-data/iam/security-credentials/"
        if self.headers.get("X-aws-ec2-metadata-token") != "session":
            self.say(401, "")
        elif self.path == base:
            self.say(404 if self.broken == "role" else 200, self.role)
        elif self.path == base + self.role and self.role:
            self.say(500 if self.broken == "document" else 200, DOC)
        else:
            self.say(404, "")

    def log_message(self, *args):
        pass


def main():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Imds)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    env = dict(os.environ, IMDS=f"http://127.0.0.1:{server.server_port}")

    def run():
        return subprocess.run([SCRIPT], env=env, capture_output=True, text=True, timeout=30)

    r = run()
    assert r.returncode == 0 and r.stdout == DOC, (r.stdout, r.stderr)
    for what in ("token", "role", "document"):
        Imds.broken = what
        r = run()
        assert r.returncode != 0 and r.stdout == "" and r.stderr, (what, r.stdout, r.stderr)
    Imds.broken, Imds.role = "", ""
    r = run()
    assert r.returncode == 1 and "no role" in r.stderr and r.stdout == "", (r.stdout, r.stderr)
    server.shutdown()
    r = subprocess.run([SCRIPT], env=dict(os.environ, IMDS="http://127.0.0.1:1"), capture_output=True, text=True,
                       timeout=30)
    assert r.returncode != 0 and r.stdout == "" and r.stderr, (r.stdout, r.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
