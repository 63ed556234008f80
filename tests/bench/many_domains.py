#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""
What many defined domains cost: to define them, to start the daemon again, to list them, and memory;
invard beside libvirtd. It prints figures and judges nothing.
"""
import argparse
import sys
import time

from servers import CannotStart, Invard, Libvirtd, harness

try:
    import libvirt
except ImportError:
    sys.exit("bench: python3-libvirt is not installed")


LISTED_AT_MOST = 16384


def resident_kib(server):
    with open(f"/proc/{server.pid()}/status", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS:"))


def define(server, first, last):
    connection = libvirt.open(server.uri)
    try:
        begin = time.monotonic()
        for number in range(first, last):
            connection.defineXML(harness.domain_xml(f"guest-{number}"))
        return time.monotonic() - begin
    finally:
        connection.close()


def restart(server):
    """Seconds to the answer how many domains there are; of the list of all; resident KiB then."""
    server.stop()
    begin = time.monotonic()
    server.start()
    connection = libvirt.open(server.uri)
    try:
        connection.numOfDefinedDomains()
        answered = time.monotonic() - begin
        begin = time.monotonic()
        # More than that libvirt's protocol cannot list.
        if connection.numOfDefinedDomains() <= LISTED_AT_MOST:
            connection.listAllDomains()
        return answered, time.monotonic() - begin, resident_kib(server)
    finally:
        connection.close()


def measure(server, counts, runs):
    server.start()
    there = 0
    for count in counts:
        seconds = define(server, there, count)
        samples = sorted(restart(server) for _ in range(runs))
        answered, listed, memory = samples[len(samples) // 2]
        print(f"{server.name:10}{count:>10,}{seconds / (count - there) * 1000:>14.2f}{answered * 1000:>16.1f}{listed * 1000:>12.1f}"
              f"{memory / 1024:>12.1f}", flush=True)
        there = count
    server.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--counts", type=int, nargs="+", default=[1000, 10000], help="domains of invard, ascending")
    parser.add_argument("--libvirtd-counts", type=int, nargs="*", default=[1000], help="domains of libvirtd")
    parser.add_argument("--runs", type=int, default=3, help="restarts of each")
    options = parser.parse_args()
    if options.runs < 1 or options.counts != sorted(set(options.counts)) or options.libvirtd_counts != sorted(set(options.libvirtd_counts)):
        parser.error("at least one run, and ascending numbers of domains")
    libvirt.registerErrorHandler(lambda context, error: None, None)
    print(f"{'':10}{'domains':>10}{'define, ms':>14}{'first answer, ms':>16}{'list, ms':>12}{'memory, MiB':>12}")
    for kind, counts in ((Invard, options.counts), (Libvirtd, options.libvirtd_counts)):
        server = None
        try:
            server = kind() if counts else None
            if server:
                measure(server, counts, options.runs)
        except (CannotStart, libvirt.libvirtError, AssertionError, OSError) as error:
            print(f"{kind.name}: {error}")
        finally:
            if server:
                server.close()


if __name__ == "__main__":
    main()
