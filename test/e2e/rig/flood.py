"""Thousands of hostile connections to one gateway, from many loopback addresses, in a thread.

Each is opened, says what its kind says, and is opened again when the gateway closes it: `silent` says
nothing, `header` and `body` send a request a few bytes at a time, `asks` repeats a cheap question
with a stamp that is not good.
"""

import errno
import resource
import select
import socket
import threading
import time

KINDS = ("silent", "header", "body", "asks")
ASK = (b"POST /v1/sign HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nX-Stamp: YQ\r\n"
       b"Content-Length: 2\r\n\r\n{}")


class Flood:
    """n connections at once; drip: seconds between two pieces on each; per_s: new connections a second
    at most, so that the flood leaves the machine room to be measured."""

    def __init__(self, address, n=5000, kinds=KINDS, drip=0.5, per_s=4000, sources=100):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        want = n + 512
        if hard != resource.RLIM_INFINITY and hard < want:
            raise AssertionError(f"a flood of {n} needs {want} open files; the limit is {hard}")
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, want), hard))
        self.address, self.n, self.kinds, self.drip, self.per_s = address, n, kinds, drip, per_s
        self.sources = [f"127.{200 + i // 200}.{i % 200 + 1}.7" for i in range(sources)]
        self.opened = self.closed = self.failed = self.sent = self.most = 0
        self.open = {}  # descriptor -> [socket, kind, next time]
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self.thread.join(30)

    def _connect(self, poll):
        s = socket.socket()
        s.setblocking(False)
        try:
            s.bind((self.sources[self.opened % len(self.sources)], 0))
            e = s.connect_ex(self.address)
        except OSError as x:
            e = x.errno
        if e not in (0, errno.EINPROGRESS):
            s.close()
            self.failed += 1
            return
        kind = self.kinds[self.opened % len(self.kinds)]
        self.open[s.fileno()] = [s, kind, time.monotonic() + self.drip]
        poll.register(s.fileno(), select.EPOLLIN | select.EPOLLRDHUP | select.EPOLLHUP)
        self.opened += 1
        self.most = max(self.most, len(self.open))

    def _close(self, poll, fd):
        s = self.open.pop(fd)[0]
        poll.unregister(fd)
        s.close()
        self.closed += 1

    def _say(self, entry):
        s, kind = entry[:2]
        try:
            if kind == "header":
                self.sent += s.send(b"POST /v1/sign HTTP/1.1\r\nHost: h\r\n" if len(entry) == 3
                                    else b"X-A: b\r\n")
            elif kind == "body":
                self.sent += s.send(ASK[:-2].replace(b": 2\r", b": 60000\r") if len(entry) == 3
                                    else b"{")
            elif kind == "asks":
                self.sent += s.send(ASK)
            if len(entry) == 3:
                entry.append(True)
        except OSError:
            pass  # its end comes as an event

    def _run(self):
        poll = select.epoll()
        begin, last_round = time.monotonic(), 0.0
        while not self.stopping.is_set():
            now = time.monotonic()
            room = int((now - begin) * self.per_s) - self.opened - self.failed
            for _ in range(min(self.n - len(self.open), max(room, 0), 200)):
                self._connect(poll)
            for fd, event in poll.poll(0.005, 500):
                entry = self.open.get(fd)
                if entry is None:
                    continue
                try:
                    gone = event & (select.EPOLLHUP | select.EPOLLERR) or not entry[0].recv(65536)
                except BlockingIOError:
                    gone = False
                except OSError:
                    gone = True
                if gone:
                    self._close(poll, fd)
            if now - last_round > 0.05:
                last_round = now
                for entry in list(self.open.values()):
                    if now >= entry[2]:
                        entry[2] = now + self.drip
                        self._say(entry)
        for fd in list(self.open):
            self._close(poll, fd)
        poll.close()

    def summary(self):
        return (f"{self.opened} connections opened, {self.most} at once at most, "
                f"{self.closed} ended, {self.failed} not taken")
