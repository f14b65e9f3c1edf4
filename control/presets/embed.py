# SPDX-License-Identifier: BSD-3-Clause
"""Preset files as rows of C: for each file given, {name, file, text}. Text is cut into pieces that
any compiler takes."""
import os
import sys

for path in sys.argv[1:]:
    name = os.path.splitext(os.path.basename(path))[0]
    print('\t{ "%s", "preset %s",' % (name, name))
    for line in open(path, encoding="ascii"):
        print('\t    "%s\\n"' % line.rstrip("\n").replace("\\", "\\\\").replace('"', '\\"'))
    print("\t},")
