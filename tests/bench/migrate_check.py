#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""
What `invar migrate-check` of one domain against the exports of many hosts costs, from the start of the program to
its end. The hosts are this one, each with another name, other memory and other features. It prints figures and
judges nothing.
"""
import argparse
import os
import random
import statistics
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
import harness
from host_files import HostFile

# What a domain of this model has and hosts may lack.
MODEL = "Haswell-noTSX"
TAKEN = ("fma", "avx", "avx2", "bmi1", "bmi2", "smep", "smap", "erms", "movbe", "aes")


def make_fleet(daemon, count, folder):
    """(the domain's file, bytes of all exports)"""
    xml = daemon.write("guest.xml", harness.domain_xml("guest", cpu=harness.cpu_xml(MODEL, "relaxed")))
    daemon.invar("define", xml)
    daemon.invar("start", "guest", "--paused")
    daemon.invar("domain-export", "guest", "--output", daemon.path("guest.json"))
    original = daemon.invar("host-export", timeout=300).stdout.encode()
    chance = random.Random(1)
    total = 0
    for number in range(count):
        host = HostFile(original)
        host.head["hostname"] = f"host-{number:04d}.example.org"
        host.head["uuid"] = f"{number:08x}-0000-4000-8000-000000000000"
        host.head["memory-available"] = chance.randrange(1 << 25, 1 << 36)
        for feature in chance.sample(TAKEN, chance.choice((0, 0, 1, 2, 4))):
            host.hide(host.head["emulators"][0], "pc-q35-7.2" if number % 8 else "pc-i440fx-7.2", feature)
        data = host.data()
        total += len(data)
        with open(os.path.join(folder, f"{number:04d}.json"), "wb") as file:
            file.write(data)
    return daemon.path("guest.json"), total


def measure(daemon, arguments, runs):
    samples = []
    for _ in range(runs):
        begin = time.monotonic()
        result = subprocess.run([harness.find_binary("invar"), *arguments], env=daemon.env, stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=daemon.folder)
        samples.append((time.monotonic() - begin) * 1000)
        assert result.returncode in (0, 4), (result.returncode, result.stderr.decode())
    return samples


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hosts", type=int, default=1000)
    parser.add_argument("--runs", type=int, default=11)
    options = parser.parse_args()
    if not harness.QEMU:
        sys.exit("migrate_check: qemu-system-x86_64 is not installed")
    with harness.Daemon() as daemon:
        folder = daemon.path("hosts")
        os.mkdir(folder)
        domain, total = make_fleet(daemon, options.hosts, folder)
        daemon.reset()
        print(f"invar migrate-check of one domain against {options.hosts} exported hosts ({total / 1e6:.0f} MB), "
              f"{os.cpu_count()} processors, {options.runs} runs, ms: median (least … most)")
        for what, arguments in (("nothing but the program's start", ["--version"]),
                                ("a table", ["migrate-check", domain, folder]),
                                ("--json", ["--json", "migrate-check", domain, folder]),
                                ("a table and --html", ["migrate-check", domain, folder, "--html", daemon.path("page.html")])):
            samples = measure(daemon, arguments, options.runs)
            print(f"  {what:34} {statistics.median(samples):8.1f} ({min(samples):.1f} … {max(samples):.1f})")


if __name__ == "__main__":
    main()
