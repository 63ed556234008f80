#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# Makes ./configure from configure.ac. Run it once after cloning.
set -e
cd "$(dirname "$0")"
mkdir -p m4
autoreconf --force --install --warnings=all,no-obsolete
