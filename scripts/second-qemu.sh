#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# Prepares Debian's next release in a folder, for a second QEMU beside the host's own: migration and
# "what changed between two QEMUs" are tested with both.
#
# usage: scripts/second-qemu.sh FOLDER [SUITE] [MIRROR]
#
# FOLDER/qemu-system-x86_64 starts the QEMU in it with the libraries, firmware and option ROMs that
# belong to it, without root and without chroot; the folder cannot be moved. Needs debootstrap, patchelf
# and, to unpack, root. Some 400 MB.
set -eu

if [ $# -lt 1 ] || [ $# -gt 3 ]; then
    echo "usage: $0 FOLDER [SUITE] [MIRROR]" >&2
    exit 2
fi
suite=${2:-trixie}
mirror=${3:-}

for tool in debootstrap patchelf; do
    if ! command -v $tool >/dev/null; then
        echo "$0: $tool is missing: apt-get install $tool" >&2
        exit 1
    fi
done
if [ "$(id -u)" != 0 ]; then
    echo "$0: debootstrap unpacks as root only" >&2
    exit 1
fi
mkdir -p "$1"
folder=$(cd "$1" && pwd)

# The mirror that this host itself installs from, whatever it is called.
if [ -z "$mirror" ]; then
    mirror=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' 2>/dev/null | grep -v security | head -n 1)
    mirror=${mirror:-http://deb.debian.org/debian}
fi

if [ ! -x "$folder/root/usr/bin/qemu-system-x86_64" ]; then
    rm -rf "$folder/root"
    debootstrap --variant=minbase --include=qemu-system-x86,seabios,ipxe-qemu "$suite" "$folder/root" "$mirror"
    # What only installing needed.
    rm -rf "$folder/root/var/cache/apt/archives" "$folder/root/var/lib/apt/lists" "$folder/root/usr/share/doc" "$folder/root/usr/share/locale"
fi

# Its own loader and libraries, and no others.
binary=$folder/root/usr/bin/qemu-system-x86_64
patchelf --set-interpreter "$folder/root/usr/lib64/ld-linux-x86-64.so.2" \
    --force-rpath --set-rpath "$folder/root/usr/lib/x86_64-linux-gnu" "$binary"
# QEMU aborts on modules of another build, and looks for them where the host's own QEMU has its modules: that name goes,
# and the environment gives the right one. Firmware it looks for where the host's is: that of another release hangs on its
# AHCI controller.
LC_ALL=C sed -i 's#/usr/lib/x86_64-linux-gnu/qemu\x00#/usr/lib/x86_64-linux-gnu/none\x00#' "$binary"
cat >"$folder/qemu-system-x86_64" <<END
#!/bin/sh
QEMU_MODULE_DIR='$folder/root/usr/lib/x86_64-linux-gnu/qemu'
export QEMU_MODULE_DIR
exec '$binary' -L '$folder/root/usr/share/seabios' -L '$folder/root/usr/share/qemu' "\$@"
END
chmod 0755 "$folder/qemu-system-x86_64"
"$folder/qemu-system-x86_64" --version | head -n 1
