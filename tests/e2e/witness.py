# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the witness (tests/witness/witness.S) prints on a guest's serial line: the CPUID as the guest sees it."""
import re
import time

START = b"INVAR-WITNESS 1\r\n"
END = b"END\r\n"
LINE = re.compile(rb"([0-9a-f]{8}) ([0-9a-f]{8}) ([0-9a-f]{8}) ([0-9a-f]{8}) ([0-9a-f]{8}) ([0-9a-f]{8})\r\n")
REGISTERS = ("eax", "ebx", "ecx", "edx")

# Where the features that tests name sit: leaf, sub-leaf, register, bit (Intel SDM volume 2, CPUID).
BITS = {
    "vme": (1, 0, "edx", 1),
    "mmx": (1, 0, "edx", 23),
    "sse2": (1, 0, "edx", 26),
    "pcid": (1, 0, "ecx", 17),
    "x2apic": (1, 0, "ecx", 21),
    "tsc-deadline": (1, 0, "ecx", 24),
    "aes": (1, 0, "ecx", 25),
    "avx": (1, 0, "ecx", 28),
    "rdrand": (1, 0, "ecx", 30),
    "hypervisor": (1, 0, "ecx", 31),
    "hle": (7, 0, "ebx", 4),
    "avx2": (7, 0, "ebx", 5),
    "invpcid": (7, 0, "ebx", 10),
    "rtm": (7, 0, "ebx", 11),
    "mpx": (7, 0, "ebx", 14),
    "avx512f": (7, 0, "ebx", 16),
    "smap": (7, 0, "ebx", 20),
    "xsavec": (0xD, 1, "eax", 1),
    "lm": (0x80000001, 0, "edx", 29),
}


def rounds(log):
    """The complete rounds in the bytes of a serial log, oldest first, each from its start line to its END."""
    found = []
    at = log.find(START)
    while at >= 0:
        end = log.find(END, at)
        if end < 0:
            break
        found.append(log[at:end + len(END)])
        at = log.find(START, end)
    return found


def decode(one_round):
    """{(leaf, subleaf): {"eax": …, "ebx": …, "ecx": …, "edx": …}}; ValueError for a line that is none."""
    leaves = {}
    body = one_round[len(START):-len(END)]
    for line in body.splitlines(keepends=True):
        match = LINE.fullmatch(line)
        if not match:
            raise ValueError(f"not a line of the witness: {line!r}")
        numbers = [int(field, 16) for field in match.groups()]
        key = (numbers[0], numbers[1])
        if key in leaves:
            raise ValueError(f"leaf {key[0]:#x} sub-leaf {key[1]:#x} is there twice")
        leaves[key] = dict(zip(REGISTERS, numbers[2:]))
    return leaves


def has(leaves, feature):
    leaf, subleaf, register, bit = BITS[feature]
    return bool(leaves.get((leaf, subleaf), {}).get(register, 0) >> bit & 1)


def vendor(leaves):
    registers = leaves[(0, 0)]
    return b"".join(registers[name].to_bytes(4, "little") for name in ("ebx", "edx", "ecx")).decode("ascii")


def _read(path):
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return b""


def wait_for_round(path, seconds=30.0, count=1):
    """The last of at least @count complete rounds in the log at @path, as bytes."""
    deadline = time.monotonic() + seconds
    while True:
        log = _read(path)
        found = rounds(log)
        if len(found) >= count:
            return found[-1]
        if time.monotonic() > deadline:
            raise TimeoutError(f"no whole round of the witness in {path} within {seconds:g} s; it holds {len(log)} bytes,"
                               f" the last: {log[-200:]!r}")
        time.sleep(0.05)
