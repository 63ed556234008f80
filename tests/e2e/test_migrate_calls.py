# SPDX-License-Identifier: LGPL-2.1-or-later
"""Migration by the calls of libvirt's library: the old ones without parameters, and events beside a call that lasts."""
import contextlib
import os
import socket
import threading

import harness
import migration
import witness

CPU = harness.relaxed("Skylake-Client")
STATE = "tcp:127.0.0.1"
_pair = None


def pair():
    global _pair
    if not _pair:
        _pair = migration.Pair(migration.ONE_EMULATOR, migration.ONE_EMULATOR)
    return _pair


@contextlib.contextmanager
def guest(name):
    """(pair, the witness's first round, its libvirt domain, a connection to the destination)"""
    both = pair()
    before = both.start(name, cpu=CPU)
    here, there = both.source.connect(), both.destination.connect()
    try:
        yield both, before, here.lookupByName(name), there
    finally:
        here.close()
        there.close()
        for daemon in (both.source, both.destination):
            with contextlib.suppress(Exception):
                daemon.reset()


@contextlib.contextmanager
def event_loop(libvirt):
    """libvirt's event loop on a thread. It must be there before the connection."""
    libvirt.virEventRegisterDefaultImpl()
    stop = threading.Event()

    def turn():
        while not stop.is_set():
            libvirt.virEventRunDefaultImpl()
    timer = libvirt.virEventAddTimeout(50, lambda *_: None, None)
    thread = threading.Thread(target=turn, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(5)
        libvirt.virEventRemoveTimeout(timer)


def check_here(both, name, before, path):
    """It runs at the destination alone. It writes where it wrote before: what that file holds now is of both."""
    states = both.states(name)
    assert states[1].startswith("running"), states
    # All name the source's files; each has its output in its own daemon's log.
    outputs = [os.readlink(f"/proc/{pid}/fd/2") for pid in {**both.source.qemus(name), **both.destination.qemus(name)}]
    assert len(outputs) == 1 and outputs[0].startswith(both.destination.folder + "/"), outputs
    os.truncate(path, 0)
    migration.check_same(before, witness.wait_for_round(path, 30, 2))


def need_hostname():
    try:
        socket.getaddrinfo(socket.gethostname(), None)
    except OSError as error:
        raise harness.Skip("this host's own name is not known to it") from error


# flags, then the call with (domain, connection to the destination, its URI, XML, flags).
CALLS = [
    {"name": "migrate", "flags": "LIVE", "call": lambda d, c, u, x, f: d.migrate(c, f, None, STATE, 0)},
    {"name": "migrate, not live", "flags": "", "call": lambda d, c, u, x, f: d.migrate(c, f, None, STATE, 100)},
    {"name": "migrate, as the destination says", "flags": "LIVE", "hostname": True,
     "call": lambda d, c, u, x, f: d.migrate(c, f, None, None, 0)},
    {"name": "migrate, persistent", "flags": "LIVE PERSIST_DEST UNDEFINE_SOURCE", "gone": True,
     "call": lambda d, c, u, x, f: d.migrate(c, f, None, STATE, 0)},
    {"name": "migrate, change protection", "flags": "LIVE CHANGE_PROTECTION", "call": lambda d, c, u, x, f: d.migrate(c, f, None, STATE, 0)},
    {"name": "migrate, renamed", "flags": "LIVE", "dname": "renamed", "call": lambda d, c, u, x, f: d.migrate(c, f, "renamed", STATE, 0)},
    {"name": "migrate, disks copied", "flags": "LIVE NON_SHARED_DISK", "own": True,
     "call": lambda d, c, u, x, f: d.migrate2(c, x, f, None, STATE, 0)},
    {"name": "migrate2", "flags": "LIVE", "xml": True, "call": lambda d, c, u, x, f: d.migrate2(c, x, f, None, STATE, 200)},
    {"name": "migrate3", "flags": "LIVE", "xml": True,
     "call": lambda d, c, u, x, f: d.migrate3(c, {"migrate_uri": STATE, "destination_xml": x, "bandwidth": 200}, f)},
    {"name": "migrateToURI", "flags": "LIVE PEER2PEER", "hostname": True, "call": lambda d, c, u, x, f: d.migrateToURI(u, f, None, 0)},
    {"name": "migrateToURI, tunnelled", "flags": "LIVE PEER2PEER TUNNELLED", "call": lambda d, c, u, x, f: d.migrateToURI(u, f, None, 0)},
    {"name": "migrateToURI2", "flags": "LIVE PEER2PEER", "xml": True,
     "call": lambda d, c, u, x, f: d.migrateToURI2(u, STATE, x, f, None, 0)},
    {"name": "migrateToURI2, tunnelled", "flags": "LIVE PEER2PEER TUNNELLED", "xml": True,
     "call": lambda d, c, u, x, f: d.migrateToURI2(u, None, x, f, None, 0)},
    {"name": "migrateToURI3", "flags": "LIVE PEER2PEER", "xml": True,
     "call": lambda d, c, u, x, f: d.migrateToURI3(u, {"migrate_uri": STATE, "destination_xml": x}, f)},
]


@harness.rows(CALLS)
def test_call(row):
    """a guest moves by a call of the library"""
    libvirt = harness.import_libvirt()
    if row.get("hostname"):
        need_hostname()
    flags = sum(getattr(libvirt, "VIR_MIGRATE_" + flag) for flag in row["flags"].split())
    with guest("mover") as (both, before, domain, there):
        xml = None
        path = both.source.serial("mover")
        if row.get("xml") or row.get("own"):
            with open(both.destination_xml("mover", own_disks=row.get("own", False)), encoding="utf-8") as file:
                xml = file.read()
            path = both.destination.serial("mover")
        result = row["call"](domain, there, both.destination.uri, xml, flags)
        if row["name"].startswith("migrateToURI"):
            assert result == 0, result
        else:
            assert result.name() == row.get("dname", "mover") and result.UUIDString(), result.name()
        name = row.get("dname", "mover")
        if name != "mover":
            assert both.state(both.destination, "mover") == "none"
            return
        check_here(both, name, before, path)
        assert both.state(both.source, "mover") == ("none" if row.get("gone") else "shut off (migrated)")


def test_refused():
    """what an old call asks for and is not there is refused, and the guest stays"""
    libvirt = harness.import_libvirt()
    with guest("stayer") as (both, before, domain, there):
        error = harness.expect_error(domain.migrate, there, libvirt.VIR_MIGRATE_LIVE | libvirt.VIR_MIGRATE_TLS, None, STATE, 0)
        assert "--tls" in str(error), error
        error = harness.expect_error(domain.migrate, there, libvirt.VIR_MIGRATE_LIVE, None, "tcp:127.0.0.1:1:2", 0)
        assert "tcp:127.0.0.1:1:2" in str(error), error
        both.check_stayed("stayer", before)


def test_events():
    """a client that migrates hears of it by the same connection while the call lasts"""
    libvirt = harness.import_libvirt()
    with event_loop(libvirt), guest("heard") as (both, before, domain, there):
        seen = []
        connection = domain.connect()
        numbers = [
            connection.domainEventRegisterAny(None, libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE,
                                              lambda _, __, event, detail, ___: seen.append((event, detail)), None),
            connection.domainEventRegisterAny(None, libvirt.VIR_DOMAIN_EVENT_ID_MIGRATION_ITERATION,
                                              lambda _, __, iteration, ___: seen.append(("pass", iteration)), None),
        ]
        errors = []

        def move():
            try:
                domain.migrate(there, 0, None, STATE, 1)
            except libvirt.libvirtError as error:
                errors.append(str(error))
        thread = threading.Thread(target=move)
        thread.start()
        suspended = (libvirt.VIR_DOMAIN_EVENT_SUSPENDED, libvirt.VIR_DOMAIN_EVENT_SUSPENDED_MIGRATED)
        harness.wait_for(lambda: suspended in seen and ("pass", 1) in seen, f"what is told of it; there was {seen}", 10)
        # Other events of the connection pass, too.
        other = connection.createXML(harness.domain_xml("other", CPU), libvirt.VIR_DOMAIN_START_PAUSED)
        harness.wait_for(lambda: (libvirt.VIR_DOMAIN_EVENT_STARTED, libvirt.VIR_DOMAIN_EVENT_STARTED_BOOTED) in seen,
                         f"another domain's start; there was {seen}", 10)
        other.destroy()
        assert thread.is_alive() and domain.jobInfo()[0] == libvirt.VIR_DOMAIN_JOB_UNBOUNDED, domain.jobInfo()
        try:
            domain.abortJob()
        except libvirt.libvirtError as error:
            # On a busy machine all of it has gone by now.
            assert "all of the guest was sent" in str(error), error
            thread.join(30)
            assert not thread.is_alive() and not errors, errors
            return
        thread.join(30)
        assert not thread.is_alive() and len(errors) == 1 and "canceled by client" in errors[0], errors
        harness.wait_for(lambda: (libvirt.VIR_DOMAIN_EVENT_RESUMED, libvirt.VIR_DOMAIN_EVENT_RESUMED_MIGRATED) in seen, f"its going on: {seen}", 10)
        both.check_stayed("heard", before)
        for number in numbers:
            connection.domainEventDeregisterAny(number)


def test_leftovers():
    """both daemons are as they were: no process, no port"""
    pair().close()


if __name__ == "__main__":
    harness.main()
