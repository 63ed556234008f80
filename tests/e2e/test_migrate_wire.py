# SPDX-License-Identifier: LGPL-2.1-or-later
"""Migration calls that no client of libvirt would send: out of order, twice, by another client, with a cookie that is none."""
import re
import struct

import harness
import migrate_failures as failures
from test_malformed_rpc import Peer, error_of, serves, string

NAME = failures.NAME
LOOKUP = 23
BEGIN, PREPARE, PERFORM, FINISH, CONFIRM = 302, 303, 305, 306, 307
LIVE, CHANGE_PROTECTION = 1, 256
STRING = 7
INTERNAL = 1


def params(**values):
    """Typed parameters, all of them strings."""
    return struct.pack(">I", len(values)) + b"".join(
        string(name) + struct.pack(">I", STRING) + string(value) for name, value in values.items())


class Client(Peer):
    """A connection that speaks the migration protocol by hand."""

    def __init__(self, daemon):
        super().__init__(daemon)
        self.socket.settimeout(60)
        self.open()
        self.domain = None

    def look_up(self):
        fields, payload = self.call(LOOKUP, string(NAME))
        assert fields[5] == 0, payload
        self.domain = payload
        return self

    def begin(self, flags=LIVE, xml=None):
        values = {"destination_xml": xml} if xml else {}
        return self.call(BEGIN, self.domain + params(**values) + struct.pack(">I", flags))

    def prepare(self, cookie, xml, flags=LIVE, **more):
        return self.call(PREPARE, params(destination_xml=xml, migrate_uri="tcp:127.0.0.1", **more) + string(cookie) + struct.pack(">I", flags))

    def perform(self, cookie, uri, flags=LIVE):
        return self.call(PERFORM, self.domain + struct.pack(">I", 0) + params(migrate_uri=uri) + string(cookie) + struct.pack(">I", flags))

    def finish(self, cookie, cancelled, flags=LIVE, name=NAME):
        return self.call(FINISH, params(destination_name=name) + string(cookie) + struct.pack(">Ii", flags, cancelled))

    def confirm(self, cookie, cancelled, flags=LIVE):
        return self.call(CONFIRM, self.domain + params() + string(cookie) + struct.pack(">Ii", flags, cancelled))

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        self.socket.close()


def opaque(payload, at=0):
    size = struct.unpack(">I", payload[at:at + 4])[0]
    return payload[at + 4:at + 4 + size], at + 4 + size + (-size % 4)


def result(answer):
    fields, payload = answer
    assert fields[5] == 0, error_of(answer)
    return payload


def refused(answer, *words):
    code, text = error_of(answer)
    assert code != INTERNAL, text
    for word in words:
        assert word in text, f"{text!r} does not say {word!r}"
    return text


def begun(both, source, flags=LIVE):
    """(cookie, definition) of Begin."""
    with open(both.source.path(NAME + ".destination.xml"), encoding="utf-8") as file:
        payload = result(source.begin(flags, file.read()))
    cookie, at = opaque(payload)
    return cookie, opaque(payload, at)[0]


def prepared(destination, cookie, xml):
    """(cookie, URI) of Prepare."""
    payload = result(destination.prepare(cookie, xml))
    theirs, at = opaque(payload)
    return theirs, opaque(payload, at + 4)[0]


class Wire:
    """Both daemons with a client each, and a guest that is at the source in the end."""

    def __enter__(self):
        self.both = failures.field()
        self.both.ready()
        self.both.destination_xml(NAME)
        self.source = Client(self.both.source).look_up()
        self.destination = Client(self.both.destination)
        return self

    def __exit__(self, kind, value, trace):
        self.source.socket.close()
        self.destination.socket.close()
        if kind is None:
            serves(self.both.source)
            serves(self.both.destination)
            self.both.check_ended(False)


def test_by_hand():
    """the calls in their order move the guest, and each but once"""
    with failures.case() as both:
        both.destination_xml(NAME)
        with Client(both.source).look_up() as source, Client(both.destination) as destination:
            cookie, xml = begun(both, source)
            theirs, uri = prepared(destination, cookie, xml)
            refused(Client(both.destination).prepare(cookie, xml))
            sent, _ = opaque(result(source.perform(theirs, uri)))
            refused(source.perform(theirs, uri), "already")
            # Confirm without Finish's cookie, and Finish without Perform's.
            refused(source.confirm(b"", 0), "cookie")
            refused(destination.finish(b"", 0), "cookie")
            done = result(destination.finish(sent, 0))
            refused(destination.finish(sent, 0), "no migration of domain")
            length = 4 + len(NAME) + (-len(NAME) % 4) + 16 + 4
            last, _ = opaque(done, length)
            result(source.confirm(last, 0))
            refused(source.confirm(last, 0))
        both.check_ended(True)
        both.swap()


def test_out_of_order():
    """steps without those before them"""
    with Wire() as wire:
        refused(wire.destination.finish(b"", 0), "no migration of domain")
        refused(wire.destination.finish(b"", 1), "no migration of domain")
        refused(wire.destination.finish(b"x" * 100, 0, name="nobody"), "nobody")
        refused(wire.source.confirm(b"", 0))
        # What was not begun is not to be called off.
        result(wire.source.confirm(b"", 1))
        refused(wire.source.perform(b"", "tcp:127.0.0.1:49152"), "cookie")
        refused(wire.source.perform(b"<qemu-migration/>\0", "tcp:127.0.0.1:49152"))


def test_confirmed_too_early():
    """Confirm of a guest that was not sent ends nothing"""
    with Wire() as wire:
        cookie, _ = begun(wire.both, wire.source, LIVE | CHANGE_PROTECTION)
        refused(wire.source.confirm(cookie, 0), "not sent")
        result(wire.source.confirm(b"", 1))


def test_finish_too_early():
    """Finish of a guest that is not there calls the migration off"""
    with Wire() as wire:
        cookie, xml = begun(wire.both, wire.source)
        prepared(wire.destination, cookie, xml)
        refused(wire.destination.finish(b"", 0), "cookie")
        refused(wire.destination.finish(cookie, 1), "aborted")


def test_client_ends():
    """a client that goes after each step leaves nothing"""
    for steps in (1, 2, 3):
        with Wire() as wire:
            cookie, xml = begun(wire.both, wire.source, LIVE | CHANGE_PROTECTION)
            if steps > 1:
                theirs, uri = prepared(wire.destination, cookie, xml)
            if steps > 2:
                result(wire.source.perform(theirs, uri))


def test_cancelled_after_finish():
    """a client that has lost Finish's answer calls it off: the source asks the destination, where the guest runs"""
    with failures.case() as both:
        both.destination_xml(NAME)
        with Client(both.source).look_up() as source, Client(both.destination) as destination:
            cookie, xml = begun(both, source)
            theirs, uri = prepared(destination, cookie, xml)
            sent, _ = opaque(result(source.perform(theirs, uri)))
            result(destination.finish(sent, 0))
            result(source.confirm(b"", 1))
        both.check_ended(True)
        both.swap()


def hostile(cookie):
    """What is no cookie of a source, by name."""
    text = cookie.rstrip(b"\0")
    yield "empty", b""
    yield "libvirt's own", re.sub(rb"<invar.*</invar>", b"", text, flags=re.DOTALL)
    yield "another version", re.sub(rb"<invar version=.1.", b"<invar version='99'", text)
    yield "zeros", b"\0" * 1000
    yield "a bomb", (b"<!DOCTYPE a [<!ENTITY a 'aaaaaaaaaa'><!ENTITY b '&a;&a;&a;&a;&a;&a;&a;&a;'>]>" + text).replace(b"<name>", b"<name>&b;")
    yield "deep", b"<qemu-migration>" + b"<a>" * 100000
    yield "large", text.replace(b"</qemu-migration>", b"<!--" + b"x" * 5000000 + b"--></qemu-migration>")
    yield "no token", re.sub(rb"<token>.*?</token>", b"", text, flags=re.DOTALL)
    yield "no record", re.sub(rb"<record.*?</record>", b"", text, flags=re.DOTALL)
    yield "another uuid", re.sub(rb"<uuid>.{8}", b"<uuid>00000000", text)
    yield "not UTF-8", text.replace(b"<name>", b"<name>\xff\xfe")
    for part in range(1, 20):
        yield f"cut at {part}/20", text[:len(text) * part // 20]


def test_cookies():
    """Prepare with cookies that are none"""
    with Wire() as wire:
        cookie, xml = begun(wire.both, wire.source)
        for name, text in hostile(cookie):
            answer = wire.destination.prepare(text, xml)
            if answer is None:
                # More than the wire allows for a cookie: the connection is closed.
                wire.destination = Client(wire.both.destination)
                continue
            assert answer[0][5] == 1, f"the cookie was taken: {name}"
            refused(answer)


def test_random_cookies():
    """Perform with cookies that are damaged at random, of a fixed seed"""
    import random
    source = random.Random(4711)
    with Wire() as wire:
        cookie, xml = begun(wire.both, wire.source)
        theirs, _ = prepared(wire.destination, cookie, xml)
        for _ in range(100):
            damaged = bytearray(theirs)
            for _ in range(source.randrange(1, 8)):
                damaged[source.randrange(len(damaged))] = source.randrange(256)
            # Nobody listens at that port: a cookie that is still one fails there.
            answer = wire.source.perform(bytes(damaged), "tcp:127.0.0.1:1")
            assert answer is not None and answer[0][5] == 1
            refused(answer)


def test_nothing_left():
    """both daemons end, and nothing is left running"""
    failures.close()


if __name__ == "__main__":
    harness.main()
