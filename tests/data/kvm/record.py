#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""record.py FOLDER NAME

Records what this machine says of its CPU, as text that Invar reads: FOLDER/NAME.kvm.txt, what its kernel's KVM
offers to guests (KVM_GET_SUPPORTED_CPUID, KVM_GET_MSR_FEATURE_INDEX_LIST, KVM_GET_MSRS); FOLDER/NAME.cpu.txt, what
its processor's CPUID says: the leaves in which features stand.
"""
import ctypes
import fcntl
import mmap
import os
import struct
import sys

KVM_GET_SUPPORTED_CPUID = 0xC008AE05
KVM_GET_MSR_FEATURE_INDEX_LIST = 0xC004AE0A
KVM_GET_MSRS = 0xC008AE88
SIGNIFICANT_INDEX = 1
ENTRIES = 256

# cpuid(leaf, subleaf, registers): push rbx; mov r8,rdx; mov eax,edi; mov ecx,esi; cpuid; four stores; pop rbx; ret
CPUID_CODE = bytes.fromhex("53 4989d0 89f8 89f1 0fa2 418900 41895804 41894808 4189500c 5b c3")
SUBLEAVES = {0x7: 3, 0xD: 2}
EXTENDED = 0x80000000


def processor_leaves():
    code = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    code.write(CPUID_CODE)
    registers = (ctypes.c_uint32 * 4)()
    call = ctypes.CFUNCTYPE(None, ctypes.c_uint32, ctypes.c_uint32, ctypes.POINTER(ctypes.c_uint32))(
        ctypes.addressof(ctypes.c_char.from_buffer(code)))
    for base in (0, EXTENDED):
        call(base, 0, registers)
        highest = registers[0]
        for leaf in range(base, highest + 1):
            for subleaf in range(SUBLEAVES.get(leaf, 1)):
                call(leaf, subleaf, registers)
                if any(registers):
                    yield leaf, subleaf, list(registers)


def supported_cpuid(device):
    room = bytearray(struct.pack("II", ENTRIES, 0) + bytes(40 * ENTRIES))
    fcntl.ioctl(device, KVM_GET_SUPPORTED_CPUID, room)
    for i in range(struct.unpack_from("I", room)[0]):
        leaf, index, flags, *registers = struct.unpack_from("7I", room, 8 + 40 * i)
        yield leaf, index if flags & SIGNIFICANT_INDEX else 0, registers


def feature_msrs(device):
    room = bytearray(struct.pack("I", ENTRIES) + bytes(4 * ENTRIES))
    fcntl.ioctl(device, KVM_GET_MSR_FEATURE_INDEX_LIST, room)
    for i in range(struct.unpack_from("I", room)[0]):
        index = struct.unpack_from("I", room, 4 + 4 * i)[0]
        one = bytearray(struct.pack("IIIIQ", 1, 0, index, 0, 0))
        # How many were read: the kernel stops at one that it does not give.
        if fcntl.ioctl(device, KVM_GET_MSRS, one) == 1:
            yield index, struct.unpack_from("Q", one, 16)[0]


def leaf_lines(leaves):
    for leaf, index, registers in leaves:
        values = " ".join(f"{name}=0x{value:08x}" for name, value in zip(("eax", "ebx", "ecx", "edx"), registers))
        # A leaf of zeros has no feature.
        if any(registers):
            yield f"   0x{leaf:08x} 0x{index:02x}: {values}"


def kvm_text():
    release = os.uname().release
    lines = [f"# KVM of Linux {release.split('-')[0]}, by record.py", "CPU:"]
    device = os.open("/dev/kvm", os.O_RDWR | os.O_CLOEXEC)
    try:
        lines += leaf_lines(supported_cpuid(device))
        lines.append("MSR:")
        lines += [f"   0x{index:08x}: 0x{value:016x}" for index, value in feature_msrs(device)]
    finally:
        os.close(device)
    return "\n".join(lines) + "\n"


def cpu_text():
    return "\n".join(["# The processor's own CPUID, by record.py", "CPU:", *leaf_lines(processor_leaves())]) + "\n"


def main():
    folder, name = sys.argv[1:]
    for kind, text in (("kvm", kvm_text()), ("cpu", cpu_text())):
        with open(os.path.join(folder, f"{name}.{kind}.txt"), "w", encoding="utf-8") as file:
            file.write(text)


if __name__ == "__main__":
    main()
