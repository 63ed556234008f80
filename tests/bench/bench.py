#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Figures of invard beside libvirtd, in one run on one machine, with python3-libvirt as the client of
both. It prints a table and judges nothing.
"""
import argparse
import contextlib
import datetime
import os
import platform
import shutil
import statistics
import subprocess
import sys
import time

import bare_probe
import cpu_calls
import qemu_alone
from servers import CannotStart, Invard, Libvirtd, harness

GUEST = "bench"
CALL_SECONDS = 1.0

try:
    import libvirt
except ImportError:
    sys.exit("bench: python3-libvirt is not installed")


def elapsed(function):
    begin = time.monotonic()
    function()
    return time.monotonic() - begin


class Table:
    """Rows of measures, a column per daemon: a list of samples, or a word why there is none."""

    def __init__(self, columns):
        self.columns = columns
        self.rows = {}

    def add(self, row, column, sample, unit="ms"):
        values = self.rows.setdefault(row, {"unit": unit}).setdefault(column, [])
        if isinstance(values, list):
            values.append(sample)

    def fail(self, row, column, why):
        """The first reason stands; samples taken before it do not."""
        self.rows.setdefault(row, {"unit": ""})[column] = str(why).splitlines()[0]

    @staticmethod
    def _ratio(values, columns):
        """How many times better the first column is; times are better small."""
        medians = [statistics.median(values[column]) for column in columns
                   if isinstance(values.get(column), list) and values[column]]
        if len(medians) != 2 or not all(medians):
            return "-"
        ratio = medians[0] / medians[1]
        return f"{ratio if values['unit'] == '1/s' else 1 / ratio:.1f} x"

    @staticmethod
    def _cell(unit, values):
        if isinstance(values, str):
            return "failed"
        if not values:
            return "-"
        median = statistics.median(values)
        if unit == "ms":
            return f"{median * 1000:.1f} ({len(values)})"
        if unit == "us" and median < 100:
            return f"{median:.1f} ({len(values)})"
        return f"{median:,.0f} ({len(values)})"

    def print(self):
        width = max(len(row) for row in self.rows) + 2
        two = len(self.columns) == 2
        print(f"{'':{width}}{'unit':>8}" + "".join(f"{column:>18}" for column in self.columns) + f"{'better':>10}" * two)
        for row, values in self.rows.items():
            cells = "".join(f"{self._cell(values['unit'], values.get(column)):>18}" for column in self.columns)
            print(f"{row:{width}}{values['unit']:>8}{cells}" + f"{self._ratio(values, self.columns):>10}" * two)
        for row, values in self.rows.items():
            for column in self.columns:
                if isinstance(values.get(column), str):
                    print(f"failed: {column}: {row}: {values[column]}")


def ask_one(connection):
    """The capabilities of one emulator, with everything that they depend on."""
    connection.getDomainCapabilities(harness.QEMU, "x86_64", "q35", "qemu", 0)


def ask_all(connection):
    connection.getCapabilities()


def first_answer(server, question):
    """From the daemon's exec to the answer to its first question."""
    begin = time.monotonic()
    server.start()
    try:
        connection = libvirt.open(server.uri)
        try:
            question(connection)
            return time.monotonic() - begin
        finally:
            connection.close()
    finally:
        server.stop()


def bench_bare(options):
    """QEMU's own time for what a cold start asks; invard's share is what it takes beyond."""
    try:
        one = [bare_probe.one(harness.QEMU) for _ in range(options.runs)]
        every = [bare_probe.every() for _ in range(options.runs)]
    except (OSError, ValueError) as error:
        print(f"QEMU alone: {error}")
        return
    print(f"QEMU alone: the conversations about one emulator take {statistics.median(one) * 1000:.1f} ms, those with all "
          f"{every[0][1]}, {bare_probe.AT_ONCE} at a time, {statistics.median(seconds for seconds, _ in every) * 1000:.1f} ms")
    print()


def bench_probes(table, server, runs, cold_runs):
    plan = (("cold start, one emulator's capabilities", ask_one, True, runs),
            ("cold start, all emulators' capabilities", ask_all, True, cold_runs),
            ("warm start, one emulator's capabilities", ask_one, False, runs),
            ("warm start, all emulators' capabilities", ask_all, False, runs))
    for row, question, cold, count in plan:
        if not cold:
            # Filled by the cold run of all, but for what only the other question asks.
            try:
                first_answer(server, question)
            except libvirt.libvirtError as error:
                table.fail(row, server.name, error)
                continue
        for _ in range(count):
            if cold:
                server.empty_cache()
            try:
                table.add(row, server.name, first_answer(server, question))
            except libvirt.libvirtError as error:
                table.fail(row, server.name, error)
                break


def bench_life(table, server, connection, runs):
    """First start, later starts, the same QEMU alone, destroy."""
    rows = ("first start of a domain", "start", "QEMU alone, same command line", "start minus QEMU alone", "destroy")
    domain = connection.defineXML(harness.domain_xml(GUEST))
    user = getattr(server, "user", None)
    try:
        table.add(rows[0], server.name, elapsed(domain.create))
        command = qemu_alone.guest_of(server.pid(), harness.processes_of(server.mark, server.folder))
        table.add(rows[4], server.name, elapsed(domain.destroy))
        starts, alone = [], []
        for _ in range(runs):
            starts.append(elapsed(domain.create))
            table.add(rows[1], server.name, starts[-1])
            table.add(rows[4], server.name, elapsed(domain.destroy))
            # In turns, so that both see the same machine.
            alone.append(qemu_alone.seconds_to_cont(command, user))
            table.add(rows[2], server.name, alone[-1])
            table.add(rows[3], server.name, starts[-1] - alone[-1])
    except (libvirt.libvirtError, RuntimeError, ValueError, OSError) as error:
        for row in rows:
            if not table.rows.get(row, {}).get(server.name):
                table.fail(row, server.name, error)
    finally:
        if domain.isActive():
            domain.destroy()
        domain.undefine()


def calls_per_second(function):
    function()
    count, begin = 0, time.monotonic()
    while time.monotonic() - begin < CALL_SECONDS:
        function()
        count += 1
    return count / (time.monotonic() - begin)


def dominfo(connection, domain):
    """The calls that `virsh dominfo` makes, but for security labels."""
    domain.OSType()
    domain.info()
    domain.isPersistent()
    domain.autostart()
    domain.hasManagedSaveImage()


def bench_calls(table, server, connection, runs):
    domain = connection.defineXML(harness.domain_xml(GUEST))
    calls = {
        "calls: library version": connection.getLibVersion,
        "calls: node info": connection.getInfo,
        "calls: domain state": domain.state,
        "calls: domain info": domain.info,
        "calls: all that dominfo asks": lambda: dominfo(connection, domain),
        "calls: lookup by name": lambda: connection.lookupByName(GUEST),
        "calls: list all domains": connection.listAllDomains,
        "calls: XML of a domain": domain.XMLDesc,
    }
    try:
        for row, function in calls.items():
            try:
                for _ in range(runs):
                    table.add(row, server.name, calls_per_second(function), "1/s")
            except libvirt.libvirtError as error:
                table.fail(row, server.name, error)
    finally:
        domain.undefine()


def bench(table, server, options):
    bench_probes(table, server, options.runs, options.cold_runs)
    server.start()
    connection = libvirt.open(server.uri)
    try:
        # What is measured from here on is not the first look at a QEMU.
        ask_one(connection)
        ask_all(connection)
        bench_life(table, server, connection, options.runs)
        bench_calls(table, server, connection, max(1, options.runs // 2))
    finally:
        connection.close()
        server.stop()


def bench_cpu_calls(table, kinds, options, trouble):
    with contextlib.ExitStack() as stack:
        servers = []
        for kind in kinds:
            try:
                server = kind()
                stack.callback(server.close)
                server.start()
                connection = libvirt.open(server.uri)
                stack.callback(connection.close)
                ask_one(connection)
                ask_all(connection)
                servers.append((server, connection))
            except (CannotStart, libvirt.libvirtError, AssertionError, OSError) as error:
                trouble.append(f"{kind.name}: {error}")
        if servers:
            cpu_calls.bench(table, servers, options.runs)


def bench_refused():
    """In a process of its own, since it leaves this one's mount namespace."""
    print(flush=True)
    script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "kvm_refused.py")
    subprocess.run([sys.executable, "-B", script], check=False)


def first_line(*command):
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=20, check=True).stdout.splitlines()[0]
    except (OSError, subprocess.SubprocessError, IndexError):
        return "not known"


def cpu_model():
    with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
        for line in file:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.machine()


def has_sanitizers():
    for folder in ("", "daemon"):
        path = os.path.join(harness.TOP_BUILDDIR, folder, "invard")
        if os.path.isfile(path):
            with open(path, "rb") as file:
                return b"__asan_init" in file.read()
    return False


def print_facts(options):
    emulators = {name for folder in os.environ["PATH"].split(":") if os.path.isdir(folder)
                 for name in os.listdir(folder) if name.startswith("qemu-system-")}
    print(f"date      {datetime.datetime.now(datetime.timezone.utc):%Y-%m-%d %H:%M} UTC")
    print(f"machine   {cpu_model()}, {os.cpu_count()} CPUs, "
          f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') >> 20} MiB, Linux {platform.release()}")
    print(f"load      {' '.join(f'{load:.2f}' for load in os.getloadavg())} at the begin")
    print(f"QEMU      {first_line(harness.QEMU, '--version')}; {len(emulators)} emulators installed; guests under TCG")
    print(f"libvirtd  {first_line(shutil.which('libvirtd') or '/usr/sbin/libvirtd', '--version')}")
    print(f"users     invard {os.geteuid()}, libvirtd {Libvirtd.user_id()}; both in session mode")
    print(f"runs      medians of as many runs as stand in brackets ({options.runs} asked for)")
    if has_sanitizers():
        print("NOTE      this invard is built with sanitizers: its figures are not to be compared")
    print()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5, help="runs of each measure")
    parser.add_argument("--cold-runs", type=int, default=1, help="runs of the cold probe of all emulators")
    parser.add_argument("--only", choices=("invard", "libvirtd"), help="one daemon alone")
    parser.add_argument("--cpu", action="store_true", help="the calls about CPUs alone")
    options = parser.parse_args()
    if options.runs < 1 or options.cold_runs < 1:
        parser.error("at least one run")
    if not harness.QEMU:
        sys.exit("bench: qemu-system-x86_64 is not installed")
    libvirt.registerErrorHandler(lambda context, error: None, None)
    print_facts(options)
    if not options.cpu:
        bench_bare(options)
    kinds = [kind for kind in (Invard, Libvirtd) if options.only in (None, kind.name)]
    table = Table([kind.name for kind in kinds])
    trouble = []
    for kind in kinds if not options.cpu else []:
        server = None
        try:
            server = kind()
            bench(table, server, options)
        except (CannotStart, libvirt.libvirtError, AssertionError, OSError) as error:
            trouble.append(f"{kind.name}: {error}")
        finally:
            if server:
                server.close()
    bench_cpu_calls(table, kinds, options, trouble)
    if table.rows:
        table.print()
    for line in trouble:
        print(line)
    if not options.cpu and not options.only:
        bench_refused()


if __name__ == "__main__":
    main()
