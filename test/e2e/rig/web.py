"""HTTP, politely (http.client) and byte by byte."""

import http.client
import json
import socket


class Reply:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def code(self):
        """The code of a problem document, "" if it is none."""
        if self.headers.get("content-type") != "application/problem+json":
            return ""
        return self.json.get("code", "")

    def __repr__(self):
        return f"{self.status} {self.body[:400]!r}"


def request(address, method, path, body=None, headers=None, timeout=30):
    """One request over a connection of its own. headers: a list of pairs, sent as they are."""
    c = http.client.HTTPConnection(*address, timeout=timeout)
    try:
        c.putrequest(method, path, skip_accept_encoding=True)
        for name, value in headers or []:
            c.putheader(name, value)
        if body is not None and not any(n.lower() == "content-length" for n, _ in headers or []):
            c.putheader("Content-Length", str(len(body)))
        c.endheaders(body)
        r = c.getresponse()
        return Reply(r.status, {k.lower(): v for k, v in r.getheaders()}, r.read())
    finally:
        c.close()


class Raw:
    """A connection that sends what it is told and reads replies that have a Content-Length."""

    def __init__(self, address, timeout=30):
        self.s = socket.create_connection(address, timeout=timeout)
        self.buffer = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.s.close()

    def send(self, b):
        self.s.sendall(b)

    def shut(self):
        self.s.shutdown(socket.SHUT_WR)

    def reply(self):
        """The next reply; None when the connection ends before one is complete."""
        while b"\r\n\r\n" not in self.buffer:
            if not self._more():
                return None
        head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        headers = dict((n.lower(), v.strip()) for n, _, v in (x.partition(":") for x in lines[1:]))
        n = int(headers.get("content-length", 0))
        while len(self.buffer) < n:
            if not self._more():
                return None
        body, self.buffer = self.buffer[:n], self.buffer[n:]
        return Reply(int(lines[0].split()[1]), headers, body)

    def ended(self):
        """True once the other side has closed; what it still sends is dropped."""
        while self._more():
            self.buffer = b""
        return True

    def _more(self):
        try:
            b = self.s.recv(65536)
        except ConnectionError:
            return False
        self.buffer += b
        return bool(b)
