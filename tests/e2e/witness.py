# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the witness (tests/witness/witness.S) prints on a guest's serial line: the CPUID as the guest sees it."""
import os
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


def firmware(image):
    """
    A firmware of 64 KiB that is the witness alone: its sector, and at the reset vector the few
    instructions that put it where a BIOS would and jump there. A guest prints its first round within
    some 20 ms of its start; without a BIOS nothing wakes it for a second one.
    """
    sector = image[:512]
    start = bytes([
        0xFA, 0xFC,                    # cli; cld
        # The timer ticks from the start, and without a BIOS nobody would take its interrupt.
        0xB0, 0xFF, 0xE6, 0x21, 0xE6, 0xA1,  # mov al, 0xff; out 0x21, al; out 0xa1, al
        0x0E, 0x1F,                    # push cs; pop ds
        0x31, 0xC0, 0x8E, 0xC0,        # xor ax, ax; mov es, ax
        0x31, 0xF6, 0xBF, 0x00, 0x7C,  # xor si, si; mov di, 0x7c00
        0xB9, 0x00, 0x01, 0xF3, 0xA5,  # mov cx, 256; rep movsw
        0xEA, 0x00, 0x7C, 0x00, 0x00,  # ljmp 0:0x7c00
    ])
    rom = bytearray(0x10000)
    rom[:len(sector)] = sector
    rom[0xFF00:0xFF00 + len(start)] = start
    rom[0xFFF0:0xFFF5] = bytes([0xEA, 0x00, 0xFF, 0x00, 0xF0])  # ljmp 0xf000:0xff00
    return bytes(rom)


class Map:
    """The CPUID bits of cpu_map/x86: {libvirt's name: (leaf, sub-leaf, register, mask)}, and the other spellings."""

    def __init__(self, folder):
        self.bits = {}
        self.msrs = {}      # {name: {MSR: mask}}
        self.spellings = {}
        for row in rows_of(os.path.join(folder, "x86", "features.tsv")):
            numbers = [int(row[key], 16) for key in ("leaf_or_msr", "mask")]
            if row["source"] == "cpuid":
                self.bits[row["name"]] = (numbers[0], int(row["subleaf"], 16), row["register"], numbers[1])
            else:
                masks = self.msrs.setdefault(row["name"], {})
                shift = 32 if row["register"] == "edx" else 0
                masks[numbers[0]] = masks.get(numbers[0], 0) | numbers[1] << shift
            for alias in row["aliases"].split(","):
                if alias.startswith("qemu:"):
                    self.spellings[alias[len("qemu:"):]] = row["name"]
        for row in rows_of(os.path.join(folder, "x86", "spelling.tsv")):
            self.spellings[row["qemu"]] = row["libvirt"]
        self.unpassed = {row["name"] for row in rows_of(os.path.join(folder, "x86", "unpassed.tsv"))}

    def name(self, qemu):
        """libvirt's spelling of a property of QEMU's."""
        return self.spellings.get(qemu, qemu)

    def known(self, place):
        """The bits of a word (leaf, sub-leaf, register) that have a name."""
        bits = 0
        for leaf, subleaf, register, mask in self.bits.values():
            bits |= mask if (leaf, subleaf, register) == place else 0
        return bits

    def seen(self, leaves):
        """The names of all features whose bits a guest reads."""
        return {name for name, (leaf, subleaf, register, mask) in self.bits.items()
                if leaves.get((leaf, subleaf), {}).get(register, 0) & mask == mask}

    def true_of(self, props):
        """The names with a bit of CPUID that an expansion of QEMU has on; where it spells one twice, the dashed one counts."""
        state = {}
        for qemu, value in props.items():
            name = self.name(qemu)
            if isinstance(value, bool) and name in self.bits and (name not in state or "_" not in qemu):
                state[name] = value
        return {name for name, value in state.items() if value}


def rows_of(path):
    """The rows of a file of cpu_map/, each a dict by its first line that is no remark."""
    with open(path, encoding="utf-8") as file:
        lines = [line.rstrip("\n").split("\t") for line in file if line.strip() and not line.startswith("#")]
    return [dict(zip(lines[0], line)) for line in lines[1:]]


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
