#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The public library as another program meets it: installed, found by pkg-config, linked from C and from C++."""
import contextlib
import os
import re
import shutil
import subprocess
import tempfile

import harness

HEADER = "cpu_driver/invar-cpu.h"
MAP = "cpu_driver/invar-cpu.map"
EXAMPLE = "tests/e2e/library_example.c"
SAMPLES = "tests/data/fuzz/cpu_input"


def source(path):
    return os.path.join(harness.TOP_SRCDIR, path)


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def run(*command, check=True, **environment):
    """A command in an environment without the make that may run this."""
    clean = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")}
    clean.update(environment)
    result = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=180, env=clean, check=False)
    assert not check or result.returncode == 0, (command, result.stdout[-2000:], result.stderr[-2000:])
    return result


def built_library():
    return os.path.realpath(os.path.join(harness.TOP_BUILDDIR, ".libs/libinvar-cpu.so"))


def need_plain_build():
    if "__asan_" in run("nm", "-D", built_library()).stdout:
        raise harness.Skip("the library is built with sanitizers, which a program must link first")


def declared():
    return set(re.findall(r"^INVAR_CPU_API [^;]*?\b(invar_cpu_\w+)\(", read(source(HEADER)), re.M))


class Installed:
    """What `make install` puts below a folder of its own."""

    def __init__(self, folder):
        self.folder = folder
        run("make", "-C", harness.TOP_BUILDDIR, "install", f"DESTDIR={folder}")
        self.pc = self.find("invar-cpu.pc")
        self.library = os.path.dirname(os.path.dirname(self.pc))
        self.data = os.path.dirname(os.path.dirname(os.path.dirname(self.find("errata.tsv"))))

    def find(self, name):
        found = [os.path.join(base, name) for base, _, names in os.walk(self.folder) if name in names]
        assert len(found) == 1, (name, found)
        return found[0]

    def flags(self):
        result = run("pkg-config", "--cflags", "--libs", "invar-cpu", PKG_CONFIG_PATH=os.path.dirname(self.pc), PKG_CONFIG_SYSROOT_DIR=self.folder)
        return result.stdout.split()

    def run(self, *command, **options):
        return run(*command, LD_LIBRARY_PATH=self.library, INVAR_PKGDATADIR=self.data, **options)


@contextlib.contextmanager
def installed():
    need_plain_build()
    with tempfile.TemporaryDirectory(prefix="invar-library.") as folder:
        yield Installed(folder)


def check_example(installed, compiler, *options):
    """Compiles the example, warnings being errors, and runs it over samples."""
    program = os.path.join(installed.folder, "example")
    run(compiler, *options, "-Wall", "-Wextra", "-Werror", source(EXAMPLE), "-o", program, *installed.flags())
    files = [source(os.path.join(SAMPLES, name)) for name in ("domain.xml", "host_cpu.xml", "own.dump")]
    result = installed.run(program, *files)
    lines = result.stdout.splitlines()
    assert f"{files[0]}: Skylake-Client-v2 (domain XML)" in lines, result.stdout
    assert "  disable  mpx" in lines, result.stdout
    assert any(line.startswith("all: Nehalem-") or line.startswith("all: Penryn-") or line.startswith("all: Conroe-") for line in lines), result.stdout
    refused = installed.run(program, source(os.path.join(SAMPLES, "doctype.xml")), check=False)
    assert refused.returncode == 1 and "document type" in refused.stderr, refused


def test_symbols():
    """the library shows what the header declares and the map lists, under a version, and nothing else"""
    header = declared()
    listed = set(re.findall(r"^\s+(\w+);$", read(source(MAP)), re.M))
    shown = {}
    for line in run("nm", "-D", "--defined-only", "--with-symbol-versions", built_library()).stdout.splitlines():
        _, kind, name = line.split()
        if kind != "A":
            symbol, _, version = name.partition("@@")
            shown[symbol] = version
    assert len(header) > 30, header
    assert header == listed, header ^ listed
    assert header == set(shown), header ^ set(shown)
    assert set(shown.values()) == {"INVAR_CPU_0.1"}, shown


def test_header():
    """the header stands alone and knows no type of GLib's"""
    assert not re.search(r"\bg(boolean|char|size|uint\w*|int\w*|pointer)\b|\bG[A-Z][a-z]+|glib", re.sub(r"/\*.*?\*/", "", read(source(HEADER)), flags=re.S))
    compiler = shutil.which("gcc") or shutil.which("cc")
    if not compiler:
        raise harness.Skip("there is no C compiler")
    for standard in ("-std=c99", "-std=c11"):
        run(compiler, standard, "-pedantic", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", source(HEADER))


def test_installed():
    """an installed library has a soname, needs no library that it does not use, and is found by pkg-config"""
    with installed() as tree:
        library = tree.find("libinvar-cpu.so.0.0.0")
        dynamic = run("readelf", "-d", library).stdout
        assert "[libinvar-cpu.so.0]" in dynamic, dynamic
        assert not re.search(r"NEEDED.*(tirpc|sqlite|virt|edit)", dynamic), dynamic
        assert harness.TOP_BUILDDIR not in dynamic, dynamic
        version = run("pkg-config", "--modversion", tree.pc).stdout.strip()
        assert version == re.search(r"PACKAGE_VERSION \"(.*)\"", read(os.path.join(harness.TOP_BUILDDIR, "config.h"))).group(1)
        assert read(tree.find("invar-cpu.h")) == read(source(HEADER))
        program = os.path.join(os.path.dirname(os.path.dirname(tree.find("invard"))), "bin/invar")
        assert harness.TOP_BUILDDIR not in run("readelf", "-d", program).stdout
        decoded = tree.run(program, "cpu-decode", source(os.path.join(SAMPLES, "domain.xml"))).stdout
        assert "Skylake-Client-v2" in decoded, decoded


def test_c():
    """the example is C, finds the library through pkg-config and describes CPUs"""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if not compiler:
        raise harness.Skip("there is no C compiler")
    with installed() as tree:
        check_example(tree, compiler, "-std=c11", "-pedantic")


def test_cxx():
    """the example is C++, too"""
    compiler = shutil.which("g++") or shutil.which("c++")
    if not compiler:
        raise harness.Skip("there is no C++ compiler")
    with installed() as tree:
        check_example(tree, compiler, "-x", "c++", "-std=c++11", "-pedantic")


if __name__ == "__main__":
    harness.main()
