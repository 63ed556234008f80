#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The calls about CPUs, of one client and of several at once, and what the daemon's own process spends
on each. Run as a program it is one of those clients.
"""
import argparse
import os
import subprocess
import sys
import time

import libvirt
from servers import harness

# The wire's limit for one baseline is 256.
BASELINE_CPUS = 200
CLIENTS = 4
SECONDS = 1.0
DEADLINE = 60
QUESTION = (harness.QEMU, "x86_64", "q35", "qemu")

# Features that no Skylake-Client has, or that every one has, so that 200 CPUs can differ.
EXTRA = ("avx512f", "avx512bw", "clwb", "pku", "umip", "avx512dq", "sha-ni", "rdpid")
# Named in the same form for both daemons: a guest's CPU, model and features.
ASKED = "<cpu mode='custom' match='exact'><model fallback='forbid'>Nehalem</model>{}</cpu>".format(
    "<feature policy='require' name='aes'/><feature policy='disable' name='vme'/>")


def host_cpu(number):
    """A host as <capabilities> describes it; each number is another set of features."""
    features = "".join(f"<feature name='{name}'/>" for bit, name in enumerate(EXTRA) if number >> bit & 1)
    return ("<cpu><arch>x86_64</arch><model>Skylake-Client</model><vendor>Intel</vendor>"
            f"<topology sockets='1' dies='1' cores='4' threads='2'/>{features}</cpu>")


def guest_cpu(number):
    """The same as a domain says it, which is what host-model in <domainCapabilities> looks like."""
    features = "".join(f"<feature policy='{'require' if number >> bit & 1 else 'disable'}' name='{name}'/>"
                       for bit, name in enumerate(EXTRA))
    return ("<cpu mode='custom' match='exact'><model fallback='forbid'>Skylake-Client</model>"
            f"<vendor>Intel</vendor>{features}</cpu>")


def calls_of(connection):
    """{row: function}; the functions are called again and again."""
    hosts = [host_cpu(number) for number in range(BASELINE_CPUS)]
    guests = [guest_cpu(number) for number in range(BASELINE_CPUS)]
    asked = [ASKED.replace("name='aes'/>", f"name='aes'/><!-- {number} -->") for number in range(64)]
    turn = [0]

    def next_asked():
        # Another document each time: an answer that is only remembered is not what is measured.
        turn[0] += 1
        return asked[turn[0] % len(asked)]
    return {
        "domcapabilities": lambda: connection.getDomainCapabilities(*QUESTION, 0),
        "capabilities": connection.getCapabilities,
        "cpu-compare": lambda: connection.compareCPU(next_asked(), 0),
        "hypervisor-cpu-compare": lambda: connection.compareHypervisorCPU(*QUESTION, next_asked(), 0),
        f"cpu-baseline of {BASELINE_CPUS} (162)": lambda: connection.baselineCPU(hosts, 0),
        f"hypervisor-cpu-baseline of {BASELINE_CPUS} (394)":
            lambda: connection.baselineHypervisorCPU(*QUESTION, guests, 0),
    }


def processor_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def count_calls(function, seconds):
    """(calls, seconds that they took)"""
    count, begin = 0, time.monotonic()
    while time.monotonic() - begin < seconds:
        function()
        count += 1
    return count, time.monotonic() - begin


def several(server, row):
    """Calls per second of some clients together, each a process of its own."""
    clients = [subprocess.Popen([sys.executable, "-B", os.path.abspath(__file__), server.uri, row, str(SECONDS)],
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(CLIENTS)]
    try:
        for client in clients:
            # It is connected and has asked once.
            if client.stdout.readline() != "ready\n":
                raise RuntimeError("a client of the bench ended")
        for client in clients:
            client.stdin.write("go\n")
            client.stdin.flush()
        return sum(float(client.stdout.readline()) for client in clients)
    finally:
        for client in clients:
            client.stdin.close()
            client.wait(DEADLINE)
            client.stdout.close()


def measure(table, server, row, function):
    before = processor_seconds(server.pid())
    count, seconds = count_calls(function, SECONDS)
    table.add(f"{row}, 1 client", server.name, count / seconds, "1/s")
    table.add(f"{row}, daemon's CPU time", server.name, (processor_seconds(server.pid()) - before) / count * 1e6, "us")
    table.add(f"{row}, {CLIENTS} clients", server.name, several(server, row), "1/s")


def bench(table, servers, runs):
    """@servers: [(server, connection)], all running: they take turns, so that both see the same machine."""
    calls = [(server, calls_of(connection)) for server, connection in servers]
    for row in calls[0][1]:
        failed = set()
        for _ in range(runs):
            for server, functions in calls:
                if server.name in failed:
                    continue
                try:
                    functions[row]()
                    measure(table, server, row, functions[row])
                except (libvirt.libvirtError, RuntimeError, ValueError) as error:
                    failed.add(server.name)
                    table.fail(f"{row}, 1 client", server.name, error)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("uri")
    parser.add_argument("row")
    parser.add_argument("seconds", type=float)
    options = parser.parse_args()
    libvirt.registerErrorHandler(lambda context, error: None, None)
    connection = libvirt.open(options.uri)
    function = calls_of(connection)[options.row]
    function()
    print("ready", flush=True)
    sys.stdin.readline()
    count, seconds = count_calls(function, options.seconds)
    print(count / seconds, flush=True)
    connection.close()


if __name__ == "__main__":
    main()
