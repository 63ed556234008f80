#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# gen_protocol.sh RPCGEN header|source NAME.x OUTPUT
#
# Runs rpcgen and makes its output fit this tree: headers are included by their path from the top,
# and decoders of arrays, bytes and strings are those of rpc/bounded.h, which believe no length that
# the message cannot hold. Without inlining (-i 0) every field goes through one well-known function.
set -eu

rpcgen=$1 kind=$2 input=$3 output=$4
name=$(basename "$input" .x)
case $kind in
header) flag=-h ;;
source) flag=-c ;;
*) echo "gen_protocol.sh: '$kind' is neither header nor source" >&2; exit 1 ;;
esac

# rpcgen makes guards and includes from the path that it is given: give it the plain name.
mkdir -p "$(dirname "$output")"
(cd "$(dirname "$input")" && "$rpcgen" -i 0 "$flag" "$name.x") >"$output.tmp"
sed -e "s,\"$name\\.h\",\"rpc/$name.h\"\\n#include \"rpc/bounded.h\"," \
    -e 's/\<xdr_\(array\|bytes\|string\)\>/inv_xdr_\1/' "$output.tmp" >"$output.tmp2"
rm -f "$output.tmp"
mv -f "$output.tmp2" "$output"
