# SPDX-License-Identifier: LGPL-2.1-or-later
"""Migrations that cannot be: each is refused for its own reason, and the guest stays where it is."""
import contextlib
import re
import socket
import threading

import harness
import migrate_failures as failures

NAME = failures.NAME
STYLES = [{"name": style, "options": options} for style, options in failures.STYLES.items()]


def rows(what):
    return [{**row, "name": f"{row['name']}: {what}"} for row in STYLES]


@contextlib.contextmanager
def stays():
    """A guest that a refusal leaves as it is, on both sides."""
    both = failures.field()
    both.ready()
    yield both
    both.check_ended(False)


def refused(both, *options, uri=None, words=(), change=lambda text: text):
    arguments = ["migrate", NAME, uri or both.destination.uri, *options, "--migrateuri", "tcp:127.0.0.1", "--xml",
                 both.destination_xml(NAME, change)]
    result = both.source.virsh(*arguments, check=False, timeout=60)
    assert result.returncode != 0, result.stdout
    for word in words:
        assert word in result.stderr, f"{result.stderr!r} does not say {word!r}"
    return result.stderr


@contextlib.contextmanager
def listener(answer):
    """A service that is no invard: it says @answer to whoever connects; b"": nothing at all."""
    server = socket.socket()
    server.bind(("127.0.0.1", 0))
    server.listen(8)
    kept = []

    def serve():
        with contextlib.suppress(OSError):
            while True:
                peer, _ = server.accept()
                kept.append(peer)
                if answer:
                    with contextlib.suppress(OSError):
                        peer.recv(4096)
                        peer.sendall(answer)
                        peer.close()
    threading.Thread(target=serve, daemon=True).start()
    try:
        yield f"qemu+tcp://127.0.0.1:{server.getsockname()[1]}/session"
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        for peer in kept:
            peer.close()


@harness.rows(rows("a destination that is not there"))
def test_nobody(row):
    """a destination that is not there"""
    with stays() as both:
        refused(both, *row["options"], uri="qemu+tcp://127.0.0.1:1/session", words=["refused"])
        refused(both, *row["options"], uri=f"qemu+unix:///session?socket={both.source.folder}/nobody", words=["nobody"])


@harness.rows([
    {"name": "p2p: a destination that speaks HTTP", "answer": b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"},
    {"name": "p2p: a destination that sends a message of the greatest length", "answer": b"\xff\xff\xff\xff" + b"x" * 64},
    {"name": "p2p: a destination that closes the connection", "answer": b"\0"},
])
def test_nonsense(row):
    """p2p: a destination that speaks something else"""
    with stays() as both, listener(row["answer"]) as uri:
        errors = refused(both, *failures.P2P, uri=uri)
        assert "127.0.0.1" in errors or "destination" in errors, errors


def test_silence():
    """p2p: a destination that says nothing"""
    with stays() as both, listener(b"") as uri:
        refused(both, *failures.P2P, uri=uri)


@harness.rows(rows("the source itself"))
def test_same_host(row):
    """the source itself"""
    with stays() as both:
        refused(both, *row["options"], uri=both.source.uri, words=["same host"])


@harness.rows(rows("a URI of another driver"))
def test_no_other_hypervisor(row):
    """a URI of another driver"""
    with stays() as both:
        refused(both, *row["options"], uri="test:///default")


@harness.rows([{**style, "name": f"{style['name']}: {what}", "other": other, "started": started, "words": words}
               for style in STYLES for what, other, started, words in (
    ("the name is another domain's", "name", False, ["already exists with uuid"]),
    ("the name is that of a running domain", "name", True, ["already"]),
    ("the uuid is another domain's", "uuid", False, ["already defined"]),
    ("the domain runs there already", "uuid", True, ["already active"]),
)])
def test_taken(row):
    """a domain of that name or uuid is there"""
    with stays() as both:
        with contextlib.suppress(harness.CommandFailed):
            both.destination.virsh("undefine", NAME)
        name = NAME if row["other"] == "name" else "other"
        uuid = both.source.virsh("domuuid", NAME).stdout.strip() if row["other"] == "uuid" else None
        both.destination.virsh("define", both.destination.write("taken.xml", harness.domain_xml(name, uuid=uuid)))
        if row["started"]:
            both.destination.virsh("start", name)
        try:
            refused(both, *row["options"], words=row["words"])
        finally:
            if row["started"]:
                both.destination.virsh("destroy", name)
            both.destination.virsh("undefine", name)
        both.defined = [both.definitions(daemon) for daemon in (both.source, both.destination)]


@harness.rows(rows("a destination without the emulator"))
def test_no_emulator(row):
    """a destination without the emulator"""
    with stays() as both:
        refused(both, *row["options"], change=lambda text: re.sub(r"<emulator>[^<]*<", "<emulator>/nonexistent/qemu<", text),
                words=["/nonexistent/qemu"])


ABI = [
    {"name": "memory", "change": lambda text: re.sub(r"(<(?:memory|currentMemory) unit='KiB'>)65536", r"\g<1>131072", text), "words": ["memory"]},
    {"name": "a CPU", "change": lambda text: re.sub(r"Skylake-Client[^<]*", "Nehalem", text, count=1), "words": ["CPU"]},
    {"name": "a feature", "change": lambda text: text.replace("</cpu>", "<feature policy='disable' name='aes'/></cpu>"), "words": ["aes"]},
    {"name": "processors", "change": lambda text: re.sub(r"(<vcpu[^>]*>)1<", r"\g<1>2<", text), "words": ["number of vCPUs"]},
    {"name": "a device", "change": lambda text: text.replace("</devices>", "<watchdog model='i6300esb' action='reset'/></devices>"), "words": ["watchdog"]},
    {"name": "its uuid", "change": lambda text: re.sub("<uuid>.{8}", "<uuid>00000000", text), "words": ["another UUID"]},
    {"name": "no document", "change": lambda text: "<domain", "words": []},
]


@harness.rows([{**style, **row, "name": f"{style['name']}: --xml changes {row['name']}"} for style in STYLES for row in ABI])
def test_abi(row):
    """--xml with other hardware"""
    with stays() as both:
        refused(both, *row["options"], change=row["change"], words=row["words"])


@harness.rows([
    {"name": "the stream: garbage from the beginning", "corrupt": 0},
    {"name": "the stream: garbage in the middle", "corrupt": 300000},
    {"name": "the stream: its end after the first bytes", "cut": 4096},
    {"name": "the stream: its end in the middle", "cut": 300000},
])
def test_stream(row):
    """a stream that carries garbage or ends early"""
    for options in failures.STYLES.values():
        with stays() as both, failures.Gate(corrupt=row.get("corrupt"), cut=row.get("cut")) as gate:
            both.failed(both.attempt(*options, gate=gate))


def test_stranger():
    """somebody else connects to the destination's port first, and talks"""
    with stays() as both:
        with failures.Gate(after=0) as gate:
            client = both.attempt(*failures.DIRECT, gate=gate)
            gate.wait_held()
            # The gate has the connection of QEMU already; what a stranger would say comes through it.
            for end in gate.ends[1::2]:
                end.sendall(b"GET / HTTP/1.1\r\n\r\n" * 64)
            both.failed(client)


def test_next():
    """after all of that it moves"""
    both = failures.field()
    both.ready()
    both.check_next()


def test_nothing_left():
    """both daemons end, and nothing is left running"""
    failures.close()


if __name__ == "__main__":
    harness.main()
