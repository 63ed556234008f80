#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Clients that know nothing of Invar: the real virsh and python3-libvirt, with the calls of everyday."""
import contextlib
import os
import threading
import time

import harness

UUID = "5d1fbf6c-2a0f-4c93-9f5e-0d6ac5e9a001"


@contextlib.contextmanager
def connected(daemon):
    connection = daemon.connect()
    try:
        yield connection
    finally:
        connection.close()


def guest_xml(daemon, name="guest", **options):
    return daemon.witness_xml(name, harness.relaxed("qemu64"), **options)


def test_virsh_lifecycle(daemon):
    """virsh: define, start, suspend, resume, reset, reboot, destroy, undefine, and what list says in between"""
    path = daemon.write("guest.xml", guest_xml(daemon, uuid=UUID))

    def state():
        return daemon.virsh("domstate", "guest").stdout.strip()
    daemon.virsh("define", path)
    assert state() == "shut off"
    assert daemon.virsh("domuuid", "guest").stdout.strip() == UUID
    assert daemon.virsh("domname", UUID).stdout.strip() == "guest"
    daemon.virsh("start", "guest")
    assert state() == "running"
    number = daemon.virsh("domid", "guest").stdout.strip()
    assert number.isdigit(), number
    assert daemon.virsh("domname", number).stdout.strip() == "guest"
    assert daemon.virsh("list", "--name").stdout.split() == ["guest"]
    daemon.virsh("suspend", "guest")
    assert state() == "paused"
    daemon.virsh("resume", "guest")
    daemon.virsh("reset", "guest")
    assert state() == "running"
    daemon.virsh("destroy", "guest")
    assert state() == "shut off"
    assert daemon.virsh("list", "--name").stdout.split() == []
    assert daemon.virsh("list", "--all", "--name").stdout.split() == ["guest"]
    daemon.virsh("undefine", "guest")
    assert daemon.virsh("list", "--all", "--name").stdout.split() == []


def test_virsh_info(daemon):
    """virsh: dominfo, dumpxml with its flags, autostart"""
    daemon.virsh("define", daemon.write("guest.xml", guest_xml(daemon, uuid=UUID)))
    daemon.virsh("autostart", "guest")
    info = dict(line.split(":", 1) for line in daemon.virsh("dominfo", "guest").stdout.splitlines() if ":" in line)
    info = {key: value.strip() for key, value in info.items()}
    for key, value in {"Name": "guest", "UUID": UUID, "OS Type": "hvm", "State": "shut off", "CPU(s)": "1",
                       "Max memory": "65536 KiB", "Persistent": "yes", "Autostart": "enable"}.items():
        assert info.get(key) == value, info
    for flags in ([], ["--inactive"], ["--migratable"], ["--update-cpu"], ["--security-info"]):
        assert "<name>guest</name>" in daemon.virsh("dumpxml", *flags, "guest").stdout, flags
    daemon.virsh("autostart", "--disable", "guest")
    assert "disable" in daemon.virsh("dominfo", "guest").stdout


def test_virsh_host(daemon):
    """virsh: version, hostname, nodeinfo, uri, capabilities, domcapabilities, cpu-models"""
    assert "QEMU" in daemon.virsh("version").stdout
    assert daemon.virsh("hostname").stdout.strip()
    assert "CPU(s):" in daemon.virsh("nodeinfo").stdout
    assert daemon.virsh("uri").stdout.strip()
    capabilities = daemon.virsh("capabilities").stdout
    for part in ("<host>", "<os_type>hvm</os_type>", "<arch name='x86_64'>", "<domain type='qemu'"):
        assert part in capabilities, part
    assert "<mode name='custom' supported='yes'>" in daemon.virsh("domcapabilities").stdout
    assert "Skylake-Client" in daemon.virsh("cpu-models", "x86_64").stdout.split()


def test_virsh_create(daemon):
    """virsh: a transient domain is gone once it is destroyed"""
    daemon.virsh("create", daemon.write("guest.xml", guest_xml(daemon)))
    assert daemon.virsh("list", "--transient", "--name").stdout.split() == ["guest"]
    daemon.virsh("destroy", "guest")
    assert daemon.virsh("list", "--all", "--name").stdout.split() == []


def test_virsh_unknown(daemon):
    """virsh: what Invar does not have is an error that says so, and the connection lives on"""
    daemon.virsh("define", daemon.write("guest.xml", guest_xml(daemon)))
    # One virsh, one connection: the second command uses what the first has left of it.
    result = daemon.virsh("nwfilter-list; list --all --name", check=False)
    # libvirt's client library takes the words "unknown procedure" for VIR_ERR_NO_SUPPORT.
    assert "unknown procedure" in result.stderr, result
    assert "guest" in result.stdout.split(), result


def test_python_objects(daemon):
    """python: lookups by name, uuid and id; info, state, flags"""
    libvirt = harness.import_libvirt()
    with connected(daemon) as connection:
        domain = connection.defineXML(guest_xml(daemon, uuid=UUID))
        assert connection.lookupByUUIDString(UUID).name() == "guest"
        assert domain.isPersistent() and not domain.isActive() and domain.ID() == -1
        assert domain.info()[:4] == [libvirt.VIR_DOMAIN_SHUTOFF, 65536, 65536, 1], domain.info()
        domain.create()
        assert connection.lookupByID(domain.ID()).UUIDString() == UUID
        assert domain.state() == [libvirt.VIR_DOMAIN_RUNNING, libvirt.VIR_DOMAIN_RUNNING_BOOTED], domain.state()
        assert domain.maxMemory() == 65536 and domain.OSType() == "hvm"
        assert connection.numOfDomains() == 1 and connection.listDomainsID() == [domain.ID()]
        assert connection.listDefinedDomains() == []
        domain.suspend()
        assert domain.state() == [libvirt.VIR_DOMAIN_PAUSED, libvirt.VIR_DOMAIN_PAUSED_USER], domain.state()
        domain.resume()
        assert domain.state()[0] == libvirt.VIR_DOMAIN_RUNNING
        domain.destroy()
        assert domain.state() == [libvirt.VIR_DOMAIN_SHUTOFF, libvirt.VIR_DOMAIN_SHUTOFF_DESTROYED], domain.state()


def test_python_start_paused(daemon):
    """python: created paused, the guest has executed nothing until it is resumed"""
    libvirt = harness.import_libvirt()
    with connected(daemon) as connection:
        domain = connection.defineXML(guest_xml(daemon))
        domain.createWithFlags(libvirt.VIR_DOMAIN_START_PAUSED)
        assert domain.state()[0] == libvirt.VIR_DOMAIN_PAUSED
        time.sleep(0.5)
        assert os.path.getsize(daemon.serial("guest")) == 0
        domain.resume()
        daemon.cpuid("guest")


def test_python_events(daemon):
    """python: defined, started, suspended, resumed, stopped, undefined arrive in this order"""
    libvirt = harness.import_libvirt()
    libvirt.virEventRegisterDefaultImpl()
    seen = []
    stop = threading.Event()

    def turn():
        while not stop.is_set():
            libvirt.virEventRunDefaultImpl()
    timer = libvirt.virEventAddTimeout(50, lambda *_: None, None)
    thread = threading.Thread(target=turn, daemon=True)
    thread.start()
    try:
        with connected(daemon) as connection:
            number = connection.domainEventRegisterAny(None, libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE,
                                                       lambda _, domain, event, detail, __: seen.append(event), None)
            domain = connection.defineXML(guest_xml(daemon))
            domain.create()
            domain.suspend()
            domain.resume()
            domain.destroy()
            domain.undefine()
            wanted = [libvirt.VIR_DOMAIN_EVENT_DEFINED, libvirt.VIR_DOMAIN_EVENT_STARTED,
                      libvirt.VIR_DOMAIN_EVENT_SUSPENDED, libvirt.VIR_DOMAIN_EVENT_RESUMED,
                      libvirt.VIR_DOMAIN_EVENT_STOPPED, libvirt.VIR_DOMAIN_EVENT_UNDEFINED]

            def in_order():
                rest = iter(list(seen))
                return all(event in rest for event in wanted)
            harness.wait_for(in_order, f"the events {wanted}; there were {seen}", 10)
            connection.domainEventDeregisterAny(number)
    finally:
        stop.set()
        thread.join(5)
        libvirt.virEventRemoveTimeout(timer)


def test_unknown_is_kept(daemon):
    """python: what no part of Invar knows in a document is given back unchanged"""
    extra = ("<metadata><app:x xmlns:app='http://example.org/app' a='1'>t<app:y/></app:x></metadata>"
             "<keywrap><cipher name='aes' state='on'/></keywrap>")
    with connected(daemon) as connection:
        text = connection.defineXML(guest_xml(daemon, extra=extra)).XMLDesc()
    for part in ("http://example.org/app", "app:y", "keywrap", "cipher"):
        assert part in text, text


def test_many_clients(daemon):
    """twenty clients at once each see their own work"""
    failures = []

    def work(number):
        try:
            with connected(daemon) as connection:
                for turn in range(5):
                    domain = connection.defineXML(harness.domain_xml(f"n{number}-{turn}"))
                    assert connection.lookupByName(f"n{number}-{turn}").UUID() == domain.UUID()
                    domain.undefine()
        except Exception as error:  # told below, by the thread that judges
            failures.append(error)
    threads = [threading.Thread(target=work, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not failures, failures[:3]


def test_destroy_during_start(daemon):
    """a destroy of a domain that another client starts leaves it either running or shut off, and the daemon answering"""
    libvirt = harness.import_libvirt()
    with connected(daemon) as connection, connected(daemon) as other:
        connection.defineXML(guest_xml(daemon))
        for _ in range(5):
            starter = threading.Thread(target=_ignore, args=(libvirt, other.lookupByName("guest").create))
            starter.start()
            _ignore(libvirt, connection.lookupByName("guest").destroy)
            starter.join(30)
            assert not starter.is_alive()
            active = connection.lookupByName("guest").isActive()
            assert len(daemon.qemus("guest")) == active, daemon.qemus()
            if active:
                connection.lookupByName("guest").destroy()
            daemon.wait_no_qemu("guest")


def _ignore(libvirt, call):
    with contextlib.suppress(libvirt.libvirtError):
        call()


if __name__ == "__main__":
    harness.main()
