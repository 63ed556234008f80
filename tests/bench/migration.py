#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Migration over loopback by bare QEMU (QMP alone), by invard and by libvirtd: one guest, one QEMU, one
machine, the same settings, in turns. It prints figures and judges nothing.

All times are the wall clock's, in ms. Those within QEMU are read from its own trace, so they mean
the same for all three:
  total     the whole command, from its start to its end: a QEMU for the guest is started at the
            destination, and the one at the source is gone. Bare QEMU has the same to do.
  perform   from `migrate` at the source to the end of its sending
  around    the total without it: what a daemon adds is in here, and how fast pages went is not
  down      from the guest's stop at the source to its first instruction at the destination
  qemu      the part of it in which QEMU sends the rest
  hold      the part of it before that: the source stands still and waits for `migrate-continue`
  after     the part of it after that: all is sent, and the guest does not run yet
The last two columns say what a daemon adds to bare QEMU: of around, in percent of its total; of hold and after, in ms.

With --json each move is a line of its own as well, with the moments that these are made of, in ms
since the command's begin.
"""
import argparse
import contextlib
import glob
import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import uuid

import bare_migration
from servers import CannotStart, Libvirtd, harness

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
import migration  # noqa: E402

GUEST = "mover"
SPANS = {"total": ("begin", "end"), "perform": ("migrate", "sent"), "down": ("stop", "resume"), "hold": ("stop", "device"),
         "qemu": ("device", "sent"), "after": ("sent", "resume")}
# The moment, the side that has it, and what its trace says then.
MOMENTS = {
    "migrate": ("source", r"migrate_set_state new state setup"),
    "stop": ("source", r"runstate_set current_run_state \d+ \(running\)"),
    "device": ("source", r"migrate_set_state new state device"),
    "sent": ("source", r"migrate_set_state new state completed"),
    "loaded": ("destination", r"migrate_set_state new state completed"),
    "resume": ("destination", r"runstate_set .*new_state \d+ \(running\)"),
}


class Bench:
    """What all movers share: the guest's image, a QEMU that writes down what it does, and where."""

    def __init__(self, options):
        self.options = options
        self.folder = tempfile.mkdtemp(prefix="mv.", dir="/tmp")
        # libvirtd's QEMUs are another user's.
        os.chmod(self.folder, 0o1777)
        self.qemu = os.path.join(self.folder, "qemu")
        self.traces = os.path.join(self.folder, "trace.")
        self.serial = os.path.join(self.folder, "serial")
        self.image = os.path.join(self.folder, "boot.raw")
        with open(self.qemu, "w", encoding="utf-8") as file:
            file.write(f"#!/bin/sh\ncase \"$*\" in *{bare_migration.UUID}*)\n"
                       f"set -- \"$@\" -D '{self.traces}%d' -trace runstate_set -trace migrate_set_state;; esac\n"
                       f"exec {harness.QEMU} \"$@\"\n")
        os.chmod(self.qemu, 0o755)

    def close(self):
        shutil.rmtree(self.folder, ignore_errors=True)

    def write_image(self, dirty_mib):
        with open(self.image, "wb") as file:
            file.write(bare_migration.boot_sector(self.options.memory, dirty_mib).ljust(bare_migration.IMAGE, b"\0"))

    def forget(self):
        for path in [*glob.glob(self.traces + "*"), self.serial]:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)

    def domain_xml(self):
        virttype = "kvm" if self.options.accel == "kvm" else "qemu"
        devices = (f"<emulator>{self.qemu}</emulator>"
                   f"<disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='{self.image}'/>"
                   f"<target dev='vda' bus='virtio'/><readonly/></disk>"
                   f"<serial type='file'><source path='{self.serial}'/><target port='0'/></serial>"
                   f"<controller type='usb' model='none'/><memballoon model='none'/>")
        return harness.domain_xml(GUEST, machine=self.options.machine, cpu=harness.relaxed("qemu64"), devices=devices,
                                  uuid=bare_migration.UUID, memory=str(self.options.memory), virttype=virttype)

    def moments(self, begin, end):
        """{moment: ms since @begin} of the one migration that the traces tell of."""
        sides = {}
        for path in glob.glob(self.traces + "*"):
            with open(path, encoding="utf-8") as file:
                text = file.read()
            sides["destination" if "(inmigrate)" in text else "source"] = text
        found = {"begin": 0.0, "end": round((end - begin) * 1000, 1)}
        for name, (side, words) in MOMENTS.items():
            match = re.search(r"^\d+@([0-9.]+):" + words, sides.get(side, ""), re.MULTILINE)
            if not match:
                raise CannotStart(f"the trace of the {side}'s QEMU does not tell of '{name}'")
            found[name] = round((float(match[1]) - begin) * 1000, 1)
        return found


class Bare:
    name = "QEMU alone"

    def __init__(self, bench):
        self.bench = bench

    def close(self):
        pass

    def move(self):
        options = self.bench.options
        arguments = bare_migration.common_arguments(options.machine, options.accel, options.memory, self.bench.image,
                                                    self.bench.serial) + ["-msg", "timestamp=on"]
        log = os.path.join(self.bench.folder, "bare.log")
        with contextlib.ExitStack() as stack:
            source = bare_migration.Qemu(self.bench.qemu, log, arguments)
            stack.callback(source.close)
            source.call("cont")
            bare_migration.wait_for_ready(self.bench.serial)
            source.events.clear()
            source.call("migrate-set-parameters", downtime_limit=options.downtime)
            begin = time.time()
            destination = bare_migration.Qemu(self.bench.qemu, log, [*arguments, "-incoming", "defer"])
            stack.callback(destination.close)
            bare_migration.move(source, destination)
            source.process.kill()
            source.process.wait(bare_migration.DEADLINE)
            return begin, time.time()


class Command:
    """The move is one command of a client of the source's daemon."""

    def __init__(self, bench, sides, command, name):
        self.bench, self.sides, self.command, self.name = bench, sides, command, name

    def run(self, *arguments, uri=None):
        result = subprocess.run(["virsh", "-q", "-c", uri or self.sides[0].uri, *arguments], env=self.sides[0].env, text=True,
                                stdin=subprocess.DEVNULL, capture_output=True, timeout=60)
        if result.returncode:
            raise CannotStart(f"virsh {arguments[0]}: {result.stderr.strip() or result.stdout.strip()}")
        return result

    def move(self):
        path = os.path.join(self.bench.folder, "guest.xml")
        with open(path, "w", encoding="utf-8") as file:
            file.write(self.bench.domain_xml())
        try:
            self.run("create", path)
            bare_migration.wait_for_ready(self.bench.serial)
            self.run("migrate-setmaxdowntime", GUEST, str(self.bench.options.downtime))
            begin = time.time()
            result = subprocess.run([*self.command, GUEST, self.sides[1].uri, "--migrateuri", "tcp:127.0.0.1"], env=self.sides[0].env,
                                    stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
            end = time.time()
            if result.returncode:
                raise CannotStart(f"{' '.join(self.command[:2])}: {result.stderr.strip()}")
            return begin, end
        finally:
            for side in self.sides:
                with contextlib.suppress(CannotStart):
                    self.run("destroy", GUEST, uri=side.uri)


def commands(bench, sides, who):
    virsh = ["virsh", "-c", sides[0].uri, "migrate", "--live"]
    return [Command(bench, sides, virsh, f"{who}, virsh"), Command(bench, sides, [*virsh, "--p2p"], f"{who}, virsh --p2p")]


def invar_commands(bench, stack):
    pair = migration.Pair(f"[emulators]\nfolders=/nonexistent\nbinaries={bench.qemu}\n",
                          f"[emulators]\nfolders=/nonexistent\nbinaries={bench.qemu}\n")
    stack.callback(pair.close)
    sides = (pair.source, pair.destination)
    own = [harness.find_binary("invar"), "-c", sides[0].uri, "migrate", "--live"]
    return commands(bench, sides, "invard") + [Command(bench, sides, own, "invard, invar")]


def libvirt_commands(bench, stack):
    sides = []
    for number in range(2):
        side = Libvirtd(hostname=f"bench-{number}", host_uuid=str(uuid.uuid4()))
        stack.callback(side.close)
        side.start()
        sides.append(side)
    return commands(bench, sides, "libvirtd")


def movers(bench, stack):
    found = [Bare(bench)]
    for kind, make in (("invard", invar_commands), ("libvirtd", libvirt_commands)):
        if bench.options.only and bench.options.only != kind:
            continue
        try:
            found += make(bench, stack)
        except (CannotStart, OSError) as error:
            print(f"skipped: {kind}: {error}")
    return found


def measure(bench, everyone):
    """{(guest, mover): [moments]}; a mover that fails twice is left out from there on."""
    found = {}
    failed = set()
    for number in range(-bench.options.warm_up, bench.options.runs):
        for guest, dirty_mib in (("idle", 0), ("dirtying", bench.options.dirty)):
            bench.write_image(dirty_mib)
            # In turns, so that all see the same machine.
            for mover in list(everyone):
                bench.forget()
                try:
                    moments = bench.moments(*mover.move())
                except (CannotStart, bare_migration.Refused, TimeoutError, subprocess.TimeoutExpired) as error:
                    print(f"skipped: {mover.name}: {error}", flush=True)
                    # Somebody else's migration may have taken the port.
                    if mover.name in failed:
                        everyone.remove(mover)
                    failed.add(mover.name)
                    continue
                if number < 0:
                    continue
                found.setdefault((guest, mover.name), []).append(moments)
                if bench.options.json:
                    print(json.dumps({"who": mover.name, "guest": guest, "accel": bench.options.accel, "round": number, **moments}),
                          flush=True)
    return found


def spans_of(moments):
    spans = {span: moments[to] - moments[since] for span, (since, to) in SPANS.items()}
    return {"total": spans.pop("total"), "perform": spans.pop("perform"), "around": moments["end"] - moments["begin"]
            - (moments["sent"] - moments["migrate"]), **spans, "idle": spans["hold"] + spans["after"]}


def show(found):
    shown = ("total", "perform", "around", "down", "hold", "qemu", "after")
    print(f"{'guest':10}{'by':22}" + "".join(f"{name:>9}" for name in shown) + f"{'+ total':>11}{'+ down':>9}")
    bare = {}
    for (guest, name), runs in sorted(found.items(), key=lambda item: item[0][0], reverse=True):
        every = [spans_of(run) for run in runs]
        medians = {span: statistics.median(spans[span] for spans in every) for span in every[0]}
        line = f"{guest:10}{name:22}" + "".join(f"{medians[span]:9.1f}" for span in shown)
        if name == Bare.name:
            bare = medians
        elif bare:
            line += f"{(medians['around'] - bare['around']) / bare['total'] * 100:+9.1f} %{medians['idle'] - bare['idle']:+9.1f}"
        print(line)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--accel", default="tcg", choices=("tcg", "kvm"))
    parser.add_argument("--machine", default="pc-q35-7.2")
    parser.add_argument("--memory", type=int, default=512, help="MiB")
    parser.add_argument("--dirty", type=int, default=8, help="MiB that the dirtying guest writes to for ever")
    # QEMU stops the guest as soon as it believes to be within it: with 300 ms, a third of these guests.
    parser.add_argument("--downtime", type=int, default=50, help="QEMU's downtime-limit, ms, for all of them")
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--warm-up", type=int, default=1, help="rounds that do not count")
    parser.add_argument("--only", choices=("invard", "libvirtd"), help="one daemon alone, beside bare QEMU")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if not 0 < options.dirty < options.memory - 3:
        parser.error("--dirty must be smaller than --memory")
    if not harness.QEMU:
        sys.exit("migration: qemu-system-x86_64 is not installed")
    # Told to end, it leaves nothing behind either.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(f"migration: ended by signal {number}"))
    with contextlib.ExitStack() as stack:
        bench = Bench(options)
        stack.callback(bench.close)
        found = measure(bench, movers(bench, stack))
        print(f"live migration of a guest of {options.memory} MiB over loopback, {options.accel}, downtime-limit {options.downtime} ms; the "
              f"dirtying guest writes to {options.dirty} MiB for ever; ms, medians of {options.runs} runs in turns; load "
              f"{os.getloadavg()[0]:.1f} at the end")
        show(found)


if __name__ == "__main__":
    main()
