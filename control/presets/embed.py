# SPDX-License-Identifier: BSD-3-Clause
"""Preset files as the C source of their table (presets.h). A line of a file is a line of the text."""
import os
import sys

print('#include "presets.h"\n\nconst struct preset preset_rows[] = {')
for path in sys.argv[1:]:
    name = os.path.splitext(os.path.basename(path))[0]
    print('\t{ "%s", "preset %s",' % (name, name))
    for line in open(path, encoding="ascii"):
        print('\t    "%s\\n"' % line.rstrip("\n").replace("\\", "\\\\").replace('"', '\\"'))
    print("\t},")
print("};\nconst unsigned preset_n_rows = %d;" % len(sys.argv[1:]))
