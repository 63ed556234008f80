#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# Runs a fuzz entry in libFuzzer, from its corpus, with Clang's sanitizers:
#
#     tests/fuzz/run.sh ENTRY [SECONDS [FOLDER]]
#
<<<<<<< HEAD
# ENTRY: cpuid, cpuid_xml, cpuid_expansion, cpu_xml, domain_xml, migration_cookie or rpc. FOLDER: of the build, which is
=======
# ENTRY: cpuid, cpuid_xml, cpuid_expansion, cpu_xml, domain_xml, host_export or rpc. FOLDER: of the build, which is
>>>>>>> fbf22e8 (Exported hosts: every model of four architectures has the verdict of its host, and a fuzz entry)
# made there once, and of what is found (default: build-fuzz). `make check` replays the corpora without Clang.
set -eu

entry=${1:?usage: run.sh ENTRY [SECONDS [FOLDER]]}
seconds=${2:-60}
top=$(cd "$(dirname "$0")/../.." && pwd)
mkdir -p "${3:-build-fuzz}/found-$entry"
cd "${3:-build-fuzz}"
build=$PWD
[ -f "$top/tests/fuzz/fuzz_$entry.c" ] || { echo "there is no tests/fuzz/fuzz_$entry.c" >&2; exit 1; }

[ -f Makefile ] || "$top/configure" --enable-sanitizers CC=clang CFLAGS='-O1 -g -fsanitize=fuzzer-no-link' >configure.out
replay=tests/fuzz/fuzz_$entry
# A target by its name makes nothing that is generated.
printf 'include Makefile\nbuilt: $(BUILT_SOURCES)\n' | make -s -f - built
make -s "$replay"

# The same objects, with libFuzzer in the place of the replaying main().
packages='gio-unix-2.0 libxml-2.0 yajl libtirpc'
fixture=$(case $entry in cpuid*) echo "$top/tests/fuzz/decoder_fixture.c" ;; esac)
# shellcheck disable=SC2046,SC2086
clang -std=gnu11 -O1 -g -fsanitize=fuzzer,address,undefined -I"$top" -I"$build" $(pkg-config --cflags $packages) \
    "$top/tests/fuzz/fuzz_$entry.c" $fixture \
    -Wl,--start-group $(find "$build" -name "lib*.a") -Wl,--end-group \
    $(pkg-config --libs $packages) -lvirt -o "$build/libfuzzer-$entry"
INVAR_PKGDATADIR=$top INVAR_TOP_SRCDIR=$top G_DEBUG=fatal-criticals exec "$build/libfuzzer-$entry" \
    -max_total_time="$seconds" -artifact_prefix="$build/found-$entry/crash-" "$build/found-$entry" "$top/tests/data/fuzz/$entry"
