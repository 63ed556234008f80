#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""
domcapabilities where /dev/kvm opens and no VM can be made: calls per second of each daemon, in a
mount namespace in which /dev/kvm is /dev/null. It needs root, and prints figures and judges nothing.
"""
import argparse
import fcntl
import os
import shutil
import subprocess
import sys
import time

from servers import CannotStart, Invard, Libvirtd, harness

try:
    import libvirt
except ImportError:
    sys.exit("bench: python3-libvirt is not installed")

DEVICE = "/dev/kvm"
KVM_GET_API_VERSION = 0xAE00
QUESTION = (harness.QEMU, "x86_64", "q35", "qemu")
# Even where one call takes seconds there are to be some.
CALLS_AT_LEAST = 3
ROW = "domcapabilities where KVM refuses"


def why_not():
    if os.geteuid() != 0:
        return "only root can put another file in the place of " + DEVICE
    if not shutil.which("unshare") or not shutil.which("mount"):
        return "util-linux's unshare and mount are not installed"
    if not os.path.exists(DEVICE):
        return f"there is no {DEVICE} to put another file in the place of"
    return None


def namespace():
    return os.readlink("/proc/self/ns/mnt")


def replace_device(outside):
    """In this process's own mount namespace, which is not that @outside."""
    if namespace() == outside:
        raise OSError("this is not a mount namespace of its own")
    subprocess.run(["mount", "--bind", "/dev/null", DEVICE], check=True)
    with open(DEVICE, "r+b", buffering=0) as device:
        try:
            fcntl.ioctl(device, KVM_GET_API_VERSION, 0)
        except OSError:
            return
    raise OSError(f"{DEVICE} answers as KVM does")


def calls_per_second(kind, seconds):
    server = kind()
    try:
        server.start()
        connection = libvirt.open(server.uri)
        try:
            # The first probes; what counts is what comes after.
            connection.getDomainCapabilities(*QUESTION, 0)
            count, begin = 0, time.monotonic()
            while count < CALLS_AT_LEAST or time.monotonic() - begin < seconds:
                connection.getDomainCapabilities(*QUESTION, 0)
                count += 1
            return count / (time.monotonic() - begin)
        finally:
            connection.close()
    finally:
        server.close()


def measure(seconds):
    rates = []
    for kind in (Invard, Libvirtd):
        try:
            rates.append(calls_per_second(kind, seconds))
            print(f"{ROW}: {kind.name}: {rates[-1]:,.2f} calls per second", flush=True)
        except (CannotStart, libvirt.libvirtError, OSError) as error:
            print(f"failed: {kind.name}: {ROW}: {error}")
    if len(rates) == 2 and rates[1]:
        print(f"{ROW}: {rates[0] / rates[1]:,.0f} x")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=1.0, help="how long each daemon is asked, at least")
    parser.add_argument("--outside", help=argparse.SUPPRESS)
    options = parser.parse_args()
    reason = why_not()
    if reason:
        print(f"skipped: {ROW}: {reason}")
        return
    if not options.outside:
        command = ["unshare", "--mount", "--propagation", "private", sys.executable, "-B", os.path.abspath(__file__), "--outside", namespace(),
                   "--seconds", str(options.seconds)]
        sys.exit(subprocess.run(command, check=False).returncode)
    libvirt.registerErrorHandler(lambda context, error: None, None)
    replace_device(options.outside)
    measure(options.seconds)


if __name__ == "__main__":
    main()
