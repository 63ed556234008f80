#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# Makes ./configure from configure.ac. Run it once after cloning.
set -e
cd "$(dirname "$0")"
mkdir -p m4
autoreconf --force --install --warnings=all,no-obsolete
# autoreconf brings the TAP driver only where a rule names it; automake ships it in its data folder.
cp "$(automake --print-libdir)/tap-driver.sh" build-aux/tap-driver.sh
