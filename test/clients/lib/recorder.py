"""Between a client and a gateway: passes everything on, keeps what was asked with a stamp.

What was kept is then shown to each party directly, changed by one bit: nobody between the client and a
party can change what was stamped.
"""

import http.server
import threading

from rig import frames, web
from rig.quorum import ADDRESS, new_port

STAMP_INVALID = 501  # protocol/base/err.def


class Recorder:
    def __init__(self, gateway):
        """gateway: (host, port)."""
        self.requests = []  # (path, body, stamp)
        recorder = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def pass_on(self):
                n = int(self.headers.get("Content-Length", 0))
                body = self.rfile.read(n) if n else None
                if self.headers.get("X-Stamp"):
                    recorder.requests.append((self.path, body, self.headers["X-Stamp"]))
                keep = [(k, v) for k, v in self.headers.items()
                        if k.lower() in ("content-type", "x-stamp", "x-approval")]
                r = web.request(gateway, self.command, self.path, body, keep)
                self.send_response(r.status)
                self.send_header("Content-Type", r.headers.get("content-type", "text/plain"))
                self.send_header("Content-Length", str(len(r.body)))
                self.end_headers()
                self.wfile.write(r.body)

            do_GET = do_POST = pass_on

        self.address = (ADDRESS, new_port())
        self.server = http.server.ThreadingHTTPServer(self.address, Handler)
        self.server.daemon_threads = True
        self.url = f"http://{self.address[0]}:{self.address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


def refused_by_each(case, quorum, body, stamp):
    """Shows every party alone the stamped bytes with one bit changed, for each byte; returns how many
    times. Then the unchanged ones, which are taken: what was refused was the change."""
    asked = 0
    for p in quorum.parties:
        with frames.Host(p.gateway_socket) as h:
            for at in range(len(body)):
                changed = bytearray(body)
                changed[at] ^= 1 << at % 8
                a = h.ask(frames.ask_sign(bytes(changed), [stamp]))
                case.assertEqual(a.error, STAMP_INVALID, f"party {p.index}, byte {at}: {a.detail}")
                case.assertIsNone(a.signed)
                asked += 1
            a = h.ask(frames.ask_sign(body, [stamp]))
            case.assertEqual(a.error, 0, f"party {p.index}, unchanged: {a.detail}")
    return asked
