#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Many clients at once on the same few domains, the daemon ended in the middle: no hang, no lost domain, nothing left."""
import random
import threading
import time

import harness

DOMAINS = 20
CLIENTS = 6
SECONDS = 5


class Client(threading.Thread):
    """Does to the domains whatever comes; errors are answers, but they must be precise ones."""

    def __init__(self, daemon, documents, seed):
        super().__init__(daemon=True)
        self.uri = daemon.uri
        self.documents = documents
        self.random = random.Random(seed)
        self.ended = threading.Event()
        self.calls = 0
        self.wrong = []

    def step(self, connection, libvirt):
        name = self.random.choice(list(self.documents))
        action = self.random.choice(("define", "start", "start", "destroy", "dump", "list", "create", "undefine", "suspend",
                                     "resume", "rename"))
        if action == "define":
            connection.defineXML(self.documents[name])
        elif action == "create":
            connection.createXML(self.documents[name], libvirt.VIR_DOMAIN_START_PAUSED)
        elif action == "list":
            for domain in connection.listAllDomains():
                domain.info()
        else:
            domain = connection.lookupByName(name)
            {"start": lambda: domain.createWithFlags(libvirt.VIR_DOMAIN_START_PAUSED), "destroy": domain.destroy,
             "dump": domain.XMLDesc, "undefine": domain.undefine, "suspend": domain.suspend, "resume": domain.resume,
             "rename": lambda: domain.rename(name + "-renamed")}[action]()

    def run(self):
        libvirt = harness.import_libvirt()
        connection = libvirt.open(self.uri)
        while not self.ended.is_set():
            try:
                self.calls += 1
                self.step(connection, libvirt)
            except libvirt.libvirtError as error:
                if error.get_error_code() in (libvirt.VIR_ERR_INTERNAL_ERROR, libvirt.VIR_ERR_OPERATION_TIMEOUT):
                    if connection.isAlive():
                        self.wrong.append(str(error))
                if not connection.isAlive():
                    break


def attack(daemon, documents, seconds, end):
    clients = [Client(daemon, documents, seed) for seed in range(CLIENTS)]
    for client in clients:
        client.start()
    time.sleep(seconds)
    end()
    for client in clients:
        client.ended.set()
    for client in clients:
        client.join(40)
        assert not client.is_alive(), "a client hangs"
        assert not client.wrong, client.wrong[:5]
    harness.say(f"{sum(client.calls for client in clients)} calls")


def test_stress():
    """clients define, start, rename, destroy and undefine the same domains at once; SIGTERM in the middle; what runs is kept"""
    harness.import_libvirt()
    with harness.Daemon() as daemon:
        documents = {f"s{i}": daemon.witness_xml(f"s{i}", uuid=f"5c1e5a00-0000-4000-8000-{i:012d}") for i in range(DOMAINS)}
        attack(daemon, documents, SECONDS, lambda: daemon.stop(40))
        daemon.start()
        attack(daemon, documents, SECONDS, lambda: None)
        connection = daemon.connect()
        try:
            active = connection.listAllDomains()
            names = {domain.name() for domain in active if domain.isActive()}
        finally:
            connection.close()
        assert len(daemon.qemus()) == len(names), (daemon.qemus(), names)
        daemon.reset()
        daemon.wait_no_qemu()
        daemon.stop()
        for word in ("ERROR: AddressSanitizer", "runtime error:", "WARNING: ThreadSanitizer", "CRITICAL"):
            assert word not in daemon.log_tail(10_000_000), daemon.log_tail(10_000_000)[-6000:]


if __name__ == "__main__":
    harness.main()
