"""The host's side of a party's sockets, in bytes: proto/boundary.proto written by hand."""

import socket
import struct

VERSION = 1
QUERY = {"STATUS": 1, "KEYS": 2, "KEY": 3, "ATTESTATION": 4, "METRICS": 5, "DESCRIPTOR": 6,
         "POLICY": 7, "ROSTER": 8, "READY": 9, "NEEDS": 10, "AUDIT": 11, "RECEIPT": 12}
ADMIN = {"COMMAND": 1, "LOAD_ROSTER": 2, "LOAD_POLICY": 3, "DRAIN": 4}


def varint(v):
    out = bytearray()
    while v > 127:
        out.append(v & 127 | 128)
        v >>= 7
    out.append(v)
    return bytes(out)


def number(tag, v):
    return varint(tag << 3) + varint(v) if v else b""


def blob(tag, b):
    return varint(tag << 3 | 2) + varint(len(b)) + b if b else b""


def block(tag, b):
    """A submessage, or one of repeated bytes: written also when it is empty."""
    return varint(tag << 3 | 2) + varint(len(b)) + b


def parse(b):
    """Field number -> list of values (ints, or bytes)."""
    out, at = {}, 0

    def take():
        nonlocal at
        v = shift = 0
        while True:
            v |= (b[at] & 127) << shift
            at += 1
            shift += 7
            if not b[at - 1] & 128:
                return v
    while at < len(b):
        tag = take()
        if tag & 7 == 0:
            value = take()
        else:
            assert tag & 7 == 2, "a wire type that the schema does not have"
            n = take()
            value = b[at:at + n]
            assert len(value) == n
            at += n
        out.setdefault(tag >> 3, []).append(value)
    return out


def ask_sign(body, stamps, ask_id=1, version=VERSION):
    inner = blob(1, body) + b"".join(block(2, s.encode()) for s in stamps)
    return number(1, ask_id) + number(2, version) + block(3, inner)


def ask_query(kind, arg=b"", ask_id=1, version=VERSION):
    inner = number(1, QUERY.get(kind, kind)) + blob(2, arg)
    return number(1, ask_id) + number(2, version) + block(4, inner)


def ask_admin(kind, body=b"", stamps=(), ask_id=1, version=VERSION):
    inner = (number(1, ADMIN.get(kind, kind)) + blob(2, body) +
             b"".join(block(3, s.encode()) for s in stamps))
    return number(1, ask_id) + number(2, version) + block(5, inner)


class Answer:
    def __init__(self, b):
        f = parse(b)

        def one(tag, default):
            return f.get(tag, [default])[0]
        self.id, self.version, self.error = one(1, 0), one(2, 0), one(3, 0)
        self.detail, self.rule = one(4, b"").decode(), one(6, b"").decode()
        self.party, self.signed = one(5, 0), f.get(7)
        self.json, self.text = one(8, b""), one(9, b"")
        self.need, self.retry_s = one(10, 0), one(12, 0)
        self.approvers = [name.decode() for name in f.get(11, [])]


class Host:
    """One connection to a party's socket."""

    def __init__(self, path, timeout=20):
        self.s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self.s.connect(path)  # waits for its turn; with a time-out it would not
            self.s.settimeout(timeout)
        except OSError:
            self.s.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.s.close()

    def send(self, ask):
        self.raw(struct.pack(">I", len(ask)) + ask)

    def raw(self, b):
        self.s.sendall(b)

    def receive(self):
        """The next answer, or None when the party has closed the connection."""
        head = self._read(4)
        if head is None:
            return None
        body = self._read(struct.unpack(">I", head)[0])
        return None if body is None else Answer(body)

    def ask(self, ask):
        self.send(ask)
        answer = self.receive()
        assert answer is not None, "the party closed the connection"
        return answer

    def closed(self):
        """True once the party closes; answers on the way are dropped. False if it answers on."""
        try:
            while self.s.recv(65536):
                pass
        except ConnectionError:
            pass
        except TimeoutError:
            return False
        return True

    def _read(self, n):
        out = b""
        while len(out) < n:
            try:
                more = self.s.recv(n - len(out))
            except ConnectionError:
                return None
            if not more:
                return None
            out += more
        return out
