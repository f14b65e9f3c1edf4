#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# publish-headers.sh BUILD_ROOT NAME SOURCE_DIR PREFIX HEADER...
# Makes BUILD_ROOT/public/NAME/PREFIX/HEADER a link to SOURCE_DIR/HEADER for each header. The build
# gives a library only the directories public/NAME of the folders it may include.
set -eu
build=$1 name=$2 source=$3 prefix=$4
shift 4
dir=$build/public/$name/$prefix
rm -rf "$dir"
mkdir -p "$dir"
for header; do
	[ -e "$source/$header" ] || { echo "publish-headers: no $source/$header" >&2; exit 1; }
	ln -s "$source/$header" "$dir/$header"
done
