"""A TCP proxy before one address, which cuts, delays and holds what goes through it."""

import selectors
import socket
import struct
import threading
import time

CHUNK = 65536


class _Flow:
    """One direction of a connection."""

    def __init__(self, src, dst, inward):
        self.src, self.dst, self.inward = src, dst, inward
        self.queue, self.size, self.ended = [], 0, False  # queue of [due, bytes]


class Proxy:
    """Listens on (host, port) and passes on to target, both (host, port), in a thread of its own.

    delay: seconds that everything waits. hold: set of directions ("in": towards the target, "out")
    in which nothing moves, as when packets are lost; what is held goes on when the direction is
    free again. cut(n): every connection is reset once n more bytes have passed it, in mid-frame.
    """

    def __init__(self, listen, target):
        self.target, self.delay, self.hold = target, 0.0, set()
        self.cuts = self.passed = self.connections = 0
        self._budget = None
        self._refuse = False
        self._pairs, self._stop = [], False
        self._listener = socket.create_server(listen)
        self._listener.setblocking(False)
        threading.Thread(target=self._run, daemon=True).start()

    def cut(self, after=0):
        self._budget = after

    def close(self):
        self._stop = True

    def _run(self):
        while not self._stop:
            with selectors.DefaultSelector() as s:
                s.register(self._listener, selectors.EVENT_READ)
                for pair in self._pairs:
                    for f in pair:
                        # Not more than a window is held back; then TCP stops the sender.
                        if not f.ended and f.size < 4 * CHUNK and self._name(f) not in self.hold:
                            s.register(f.src, selectors.EVENT_READ, f)
                ready = s.select(0.005)
            for key, _ in ready:
                if key.fileobj is self._listener:
                    self._accept()
                else:
                    self._read(key.data)
            self._write()
        for pair in list(self._pairs):
            self._reset(pair)
        self._listener.close()

    @staticmethod
    def _name(flow):
        return "in" if flow.inward else "out"

    def _accept(self):
        try:
            a, _ = self._listener.accept()
        except OSError:
            return
        try:
            b = socket.create_connection(self.target, timeout=1)
        except OSError:
            a.close()
            return
        for s in (a, b):
            s.setblocking(False)
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.connections += 1
        self._pairs.append((_Flow(a, b, True), _Flow(b, a, False)))

    def _read(self, f):
        try:
            b = f.src.recv(CHUNK)
        except BlockingIOError:
            return
        except OSError:
            b = b""
        if not b:
            f.ended = True
            return
        f.queue.append([time.monotonic() + self.delay, b])
        f.size += len(b)

    def _write(self):
        now = time.monotonic()
        for pair in list(self._pairs):
            try:
                for f in pair:
                    self._forward(f, now, pair)
                if any(f.ended and not f.queue for f in pair):
                    self._close(pair)
            except OSError:
                self._close(pair)

    def _forward(self, f, now, pair):
        while f.queue and f.queue[0][0] <= now and self._name(f) not in self.hold:
            b = f.queue[0][1]
            if self._budget is not None:
                b = b[:max(self._budget, 0)]
            n = f.dst.send(b) if b else 0
            self.passed += n
            f.size -= n
            f.queue[0][1] = f.queue[0][1][n:]
            if self._budget is not None:
                self._budget -= n
                if self._budget <= 0:
                    self._budget = None
                    for p in list(self._pairs):
                        self._reset(p)
                    self.cuts += 1
                    return
            if f.queue[0][1]:
                return
            f.queue.pop(0)

    def _reset(self, pair):
        """As a router that forgets: RST to both sides."""
        for f in pair:
            try:
                f.src.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            except OSError:
                pass
        self._close(pair)

    def _close(self, pair):
        for f in pair:
            f.src.close()
        if pair in self._pairs:
            self._pairs.remove(pair)
