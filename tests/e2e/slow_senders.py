# SPDX-License-Identifier: Apache-2.0
"""Clients that send a byte every SECONDS: half of them in the head of a request, half in its body. A
process of its own, which connects each one again when the server has ended it. On standard output,
one JSON object a line: when all are connected, and at the end (end of standard input) what was seen.

usage: slow_senders.py ADDRESS COUNT SECONDS [idle]"""
import itertools
import json
import os
import select
import selectors
import socket
import sys
import time

IP_BIND_ADDRESS_NO_PORT = 24  # socket has no name for it before 3.12
RAMP = 1     # connections a tick: their timeouts, too, are spread over time
TICKS = 1000  # a second; the bytes are spread over them, as those of independent clients are

HEAD = b"POST /v1/epro/reports HTTP/1.1\r\nHost: a\r\nX-Slow: "
BODY = (b"POST /v1/epro/reports HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
        b'Content-Length: 1000\r\n\r\n{"comments":"')


class Senders:
    def __init__(self, address, count):
        host, port = address.rsplit(":", 1)
        self.address = (host, int(port))
        self.sockets = [None] * count
        self.selector = selectors.DefaultSelector()
        self.seen = {"408 head": 0, "408 body": 0, "others": 0, "lost": 0, "connected": 0, "bytes": 0}

    def connect(self, index):
        client = socket.socket()
        # More addresses than one: a connection that the server ended keeps its port for a minute.
        client.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
        client.bind((f"127.0.0.{2 + index % 16}", 0))
        client.setblocking(False)
        client.connect_ex(self.address)
        self.sockets[index] = client
        self.selector.register(client, selectors.EVENT_READ, index)
        self.seen["connected"] += 1

    def end(self, index):
        client, self.sockets[index] = self.sockets[index], None
        self.selector.unregister(client)
        client.close()
        self.connect(index)

    def send(self, index):
        client = self.sockets[index]
        try:
            client.send(b"a")
            self.seen["bytes"] += 1
        except BlockingIOError:
            pass  # not connected yet
        except OSError:
            self.seen["lost"] += 1
            self.end(index)

    def begin(self, index):
        """Whoever can be written to is connected; its first bytes are those of an honest client."""
        try:
            self.sockets[index].send(BODY if index % 2 else HEAD)
            return True
        except BlockingIOError:
            return False
        except OSError:
            self.seen["lost"] += 1
            self.end(index)
            return False

    def take(self, index):
        try:
            answer = self.sockets[index].recv(4096)
        except OSError:
            answer = b""
        if answer.startswith(b"HTTP/1.1 408 "):
            self.seen["408 body" if index % 2 else "408 head"] += 1
        else:
            self.seen["others" if answer else "lost"] += 1
        self.end(index)


def run(address, count, seconds):
    senders = Senders(address, count)
    begun = [False] * count
    waiting = set()  # connected to, nothing sent yet
    tick, made, at, said = 0, 0, time.monotonic(), False
    while not select.select([sys.stdin], [], [], 0)[0]:
        for index in range(made, min(made + RAMP, count)):
            senders.connect(index)
            waiting.add(index)
            made = index + 1
        for index in list(itertools.islice(waiting, 200)):
            if senders.begin(index):
                begun[index] = True
                waiting.discard(index)
        if not said and made == count and not waiting:
            said = True
            print(json.dumps({"connected": count}), flush=True)
        for index in range(tick % (TICKS * seconds), count, TICKS * seconds):
            if begun[index]:
                senders.send(index)
        tick += 1
        at += 1 / TICKS
        while True:
            left = at - time.monotonic()
            for key, _ in senders.selector.select(max(left, 0)):
                begun[key.data] = False
                waiting.add(key.data)
                senders.take(key.data)
            if left <= 0:
                break
        at = max(at, time.monotonic() - 0.1)
    print(json.dumps(senders.seen), flush=True)


if __name__ == "__main__":
    if sys.argv[4:] == ["idle"]:  # whoever is measured beside it goes first
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    run(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
