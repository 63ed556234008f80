# SPDX-License-Identifier: LGPL-2.1-or-later
"""A migration meets a full disk on either side, or a destination that hangs: the guest stays, and the next attempt works."""
import os
import subprocess

import harness
import migrate_failures as failures

NAME = failures.NAME


class SmallField(failures.Field):
    """Each daemon's state lies on a file system of its own, of a few MiB."""

    def __init__(self):
        if os.geteuid() != 0:
            raise harness.Skip("only root can mount a small file system")
        super().__init__(start=False)
        self.mounted = []
        for daemon in (self.source, self.destination):
            folder = daemon.env["XDG_STATE_HOME"]
            result = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", folder], capture_output=True, text=True, check=False)
            if result.returncode != 0:
                self.unmount()
                raise harness.Skip(f"no file system can be mounted here: {result.stderr.strip()}")
            self.mounted.append(folder)
            daemon.start()

    def unmount(self):
        for folder in self.mounted:
            subprocess.run(["umount", "-l", folder], check=False)

    def __exit__(self, kind, value, trace):
        try:
            for daemon in (self.source, self.destination):
                if daemon.running():
                    daemon.reset()
                    daemon.stop()
        finally:
            self.unmount()
            super().__exit__(kind, value, trace)


def fill(daemon):
    """Not a byte is left."""
    path = daemon.env["XDG_STATE_HOME"] + "/filler"
    with open(path, "wb", buffering=0) as file:
        for size in (65536, 4096, 1):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                pass
    return path


_small = None


def small():
    global _small
    if not _small:
        _small = SmallField()
    return _small


ROWS = [
    {"name": f"{style}: {what}", "side": side, "when": when, "options": options}
    for style, options in failures.STYLES.items()
    for what, side, when in (
        ("the source's disk is full before it begins", "source", "before"),
        ("the destination's disk is full before it begins", "destination", "before"),
        ("the source's disk fills up while it sends", "source", "sending"),
        ("the destination's disk fills up while it receives", "destination", "sending"),
    )
]


@harness.rows(ROWS)
def test_full(row):
    """a full disk"""
    both = small()
    both.ready()
    daemon = getattr(both, row["side"])
    if row["when"] == "before":
        path = fill(daemon)
        client = both.attempt(*row["options"])
    else:
        with failures.Gate(after=200000) as gate:
            client = both.attempt(*row["options"], gate=gate)
            gate.wait_held()
            path = fill(daemon)
            gate.open()
            client.wait(60)
    try:
        both.failed(client, "full")
        # It needs no room to go on.
        harness.wait_for(lambda: both.state(both.source, NAME).startswith("running"), "the guest to go on", 20)
    finally:
        os.unlink(path)
    # What could not be written down is in order after the daemon's next start at the latest.
    daemon.restart()
    both.check_ended(False)
    both.check_next()


@harness.rows([{"name": f"{style}: the destination's QEMU hangs for good", "options": options}
               for style, options in failures.STYLES.items() if style == "p2p"])
def test_stall(row):
    """nothing moves any more: the migration has a deadline"""
    with failures.case() as both, failures.Gate(after=200000) as gate:
        client = both.attempt(*row["options"], gate=gate)
        gate.wait_held()
        both.failed(client, "has moved for 30 s")
        both.check_ended(False)


def test_nothing_left():
    """all daemons end, and nothing is left running"""
    failures.close()
    if _small:
        _small.close()


if __name__ == "__main__":
    harness.main()
