#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Messages that no client of libvirt would send, on the raw socket. Whatever they get, the daemon goes on serving others."""
import contextlib
import os
import socket
import struct

import harness

REMOTE = 0x20008086
KEEPALIVE = 0x6B656570
INVAR = 0x494E5652
CALL, REPLY, STREAM, CALL_WITH_FDS = 0, 1, 3, 4
OPEN, CLOSE, DEFINE_XML, LOOKUP_BY_NAME, AUTH_LIST, LIST_ALL, GET_HOSTNAME = 1, 2, 11, 23, 66, 273, 59
VIR_ERR_RPC = 39


class Peer:
    def __init__(self, daemon):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(10)
        self.socket.connect(daemon.socket)
        self.serial = 0

    def send(self, data):
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.socket.sendall(data)

    def message(self, procedure, payload=b"", program=REMOTE, version=1, kind=CALL, status=0):
        self.serial += 1
        return struct.pack(">IIIiiIi", 28 + len(payload), program, version, procedure, kind, self.serial, status) + payload

    def receive(self, size):
        data = b""
        while len(data) < size:
            more = self.socket.recv(size - len(data))
            if not more:
                return None
            data += more
        return data

    def reply(self):
        """(header fields, payload), or None when the daemon has closed the connection."""
        try:
            head = self.receive(28)
            if head is None:
                return None
            length, *fields = struct.unpack(">IIIiiIi", head)
            return fields, self.receive(length - 28)
        except ConnectionResetError:
            return None

    def call(self, procedure, payload=b"", **options):
        self.send(self.message(procedure, payload, **options))
        return self.reply()

    def open(self):
        self.call(AUTH_LIST)
        fields, payload = self.call(OPEN, opt_string("qemu:///session") + struct.pack(">I", 0))
        assert fields[5] == 0, payload

    def is_closed(self):
        return self.reply() is None


def string(text):
    data = text if isinstance(text, bytes) else text.encode()
    return struct.pack(">I", len(data)) + data + b"\0" * (-len(data) % 4)


def opt_string(text):
    return struct.pack(">I", 1) + string(text)


def error_of(answer):
    """(code, message) of an error reply."""
    assert answer is not None, "the connection was closed"
    fields, payload = answer
    assert fields[5] == 1, f"an error was expected: {fields} {payload[:80]!r}"
    code, _, has_message = struct.unpack(">iiI", payload[:12])
    size = struct.unpack(">I", payload[12:16])[0] if has_message else 0
    return code, payload[16:16 + size].decode()


@contextlib.contextmanager
def peer_of(daemon):
    peer = Peer(daemon)
    try:
        yield peer
    finally:
        peer.socket.close()


def serves(daemon):
    """Another client is served, by the same daemon."""
    assert daemon.running(), f"invard ended with {daemon.process.returncode}: {daemon.log_tail()}"
    with peer_of(daemon) as peer:
        peer.open()
        fields, _ = peer.call(GET_HOSTNAME)
        assert fields[5] == 0


# Bytes after which the connection is closed: nothing that follows them could be understood.
CLOSED = [
    {"name": "a length of 0", "data": struct.pack(">I", 0)},
    {"name": "a length below that of a header", "data": struct.pack(">I", 20) + b"\0" * 16},
    {"name": "a length above the limit", "data": struct.pack(">I", 33554433 + 4)},
    {"name": "the greatest length", "data": struct.pack(">I", 0xFFFFFFFF)},
    {"name": "a line of HTTP", "data": b"GET / HTTP/1.1\r\n\r\n"},
]

# Calls that get an error, after which the connection lives.
REFUSED = [
    {"name": "a program that is none", "procedure": 1, "program": 0x12345678, "code": VIR_ERR_RPC, "word": "rogram"},
    {"name": "a version that is none", "procedure": 1, "version": 7, "code": VIR_ERR_RPC, "word": "ersion"},
    {"name": "a procedure that is none", "procedure": 30000, "code": VIR_ERR_RPC, "word": "unknown procedure"},
    {"name": "a negative procedure", "procedure": -1, "code": VIR_ERR_RPC, "word": "unknown procedure"},
    {"name": "procedure 0", "procedure": 0, "code": VIR_ERR_RPC, "word": "unknown procedure"},
    {"name": "a procedure of Invar's own that is none", "procedure": 999, "program": INVAR, "code": VIR_ERR_RPC,
     "word": "unknown procedure"},
    {"name": "a payload that is missing", "procedure": LOOKUP_BY_NAME, "code": VIR_ERR_RPC, "word": "decode"},
    {"name": "a payload cut short", "procedure": LOOKUP_BY_NAME, "payload": string("guest")[:-6], "code": VIR_ERR_RPC,
     "word": "decode"},
    {"name": "a string that claims 4 GiB", "procedure": LOOKUP_BY_NAME, "payload": struct.pack(">I", 0xFFFFFFFF) + b"abcd",
     "code": VIR_ERR_RPC, "word": "decode"},
    {"name": "a string above its limit", "procedure": DEFINE_XML, "payload": string(b"x" * 4194305), "code": VIR_ERR_RPC,
     "word": "decode"},
    {"name": "a message of an unknown type", "procedure": GET_HOSTNAME, "kind": 99, "code": VIR_ERR_RPC,
     "word": "message type"},
]


@harness.rows(CLOSED)
def test_closed(daemon, row):
    with peer_of(daemon) as peer:
        peer.open()
        peer.send(row["data"])
        assert peer.is_closed()
    serves(daemon)


@harness.rows(REFUSED)
def test_refused(daemon, row):
    with peer_of(daemon) as peer:
        if row["procedure"] != OPEN:
            peer.open()
        else:
            peer.call(AUTH_LIST)
        code, message = error_of(peer.call(row["procedure"], row.get("payload", b""), program=row.get("program", REMOTE),
                                           version=row.get("version", 1), kind=row.get("kind", CALL)))
        assert code == row["code"] and row["word"] in message, (code, message)
        if row["procedure"] == OPEN:
            peer.open()
        fields, _ = peer.call(GET_HOSTNAME)
        assert fields[5] == 0
    serves(daemon)


def test_before_open(daemon):
    """a call before the connection is opened is refused, and no crash"""
    with peer_of(daemon) as peer:
        error_of(peer.call(LIST_ALL, struct.pack(">iI", 1, 0)))
    serves(daemon)


def test_opened_twice(daemon):
    """a connection opened twice"""
    with peer_of(daemon) as peer:
        peer.open()
        answer = peer.call(OPEN, opt_string("qemu:///session") + struct.pack(">I", 0))
        assert answer is None or answer[0][5] in (0, 1)
    serves(daemon)


def test_half(daemon):
    """clients that leave in the middle of a header, of a payload, and of a call"""
    whole = struct.pack(">IIIiiIi", 28 + 4096, REMOTE, 1, DEFINE_XML, CALL, 1, 0) + b"\0" * 4096
    for size in (1, 4, 17, 28, 29, 4000):
        with peer_of(daemon) as peer:
            peer.send(whole[:size])
    for _ in range(20):
        with peer_of(daemon) as peer:
            peer.open()
            peer.send(peer.message(DEFINE_XML, string(harness.domain_xml("half")) + struct.pack(">I", 0)))
    serves(daemon)


def test_byte_by_byte(daemon):
    """a message that comes byte by byte is answered"""
    with peer_of(daemon) as peer:
        peer.open()
        for byte in peer.message(GET_HOSTNAME):
            peer.send(bytes([byte]))
        fields, _ = peer.reply()
        assert fields[5] == 0
    serves(daemon)


def test_noise(daemon):
    """a thousand calls of every procedure with random payloads of a fixed seed"""
    import random
    source = random.Random(4711)
    peer = Peer(daemon)
    try:
        peer.open()
        for _ in range(1000):
            # Not CLOSE, and not AUTH_SASL_*, which may end the connection by right.
            procedure = source.choice([number for number in range(1, 460) if number not in (2, 66, 67, 68, 69, 70)])
            peer.send(peer.message(procedure, source.randbytes(source.randrange(0, 24) * 4)))
            if peer.reply() is None:
                peer.socket.close()
                peer = Peer(daemon)
                peer.open()
    finally:
        peer.socket.close()
    serves(daemon)


def test_flood(daemon):
    """a thousand calls without reading one reply, then gone"""
    with peer_of(daemon) as peer:
        peer.open()
        peer.socket.settimeout(2)
        with contextlib.suppress(TimeoutError):
            for _ in range(1000):
                peer.send(peer.message(GET_HOSTNAME))
    serves(daemon)


def test_descriptors(daemon):
    """a call that claims more descriptors than are allowed, and one whose descriptors never come"""
    with peer_of(daemon) as peer:
        peer.open()
        peer.send(peer.message(GET_HOSTNAME, struct.pack(">I", 1000), kind=CALL_WITH_FDS))
        answer = peer.reply()
        assert answer is None or answer[0][5] == 1
    with peer_of(daemon) as peer:
        peer.open()
        peer.send(peer.message(GET_HOSTNAME, struct.pack(">I", 1), kind=CALL_WITH_FDS))
    serves(daemon)
    assert len(os.listdir(f"/proc/{daemon.process.pid}/fd")) < 100


if __name__ == "__main__":
    harness.main()
