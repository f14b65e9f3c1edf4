# SPDX-License-Identifier: BSD-3-Clause
"""The tracked files of the checkout, and C with its comments and strings blanked out."""

import os
import re
import subprocess

TOKEN = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)


def blank(match):
    """Same length and same lines, nothing to read."""
    text = match.group(0)
    keep = text[0] if text[0] in "\"'" else " "
    inner = "".join("\n" if ch == "\n" else " " for ch in text)
    return keep + inner[1:-1] + keep if len(text) > 1 and keep != " " else inner


class Tree:
    def __init__(self):
        here = os.path.dirname(os.path.abspath(__file__))
        self.top = os.path.dirname(os.path.dirname(here))
        self.build = os.environ.get("POSTERN_BUILD", os.path.join(self.top, "build"))
        listed = subprocess.run(["git", "-C", self.top, "ls-files", "-z", "--cached", "--others",
                                 "--exclude-standard"], stdout=subprocess.PIPE, check=False)
        if listed.returncode == 0:
            names = listed.stdout.decode().split("\0")
        else:  # an unpacked archive, not a clone
            names = [os.path.relpath(os.path.join(d, f), self.top)
                     for d, _, fs in os.walk(self.top) for f in fs if "/build" not in d]
        self.files = sorted(n for n in names if n and os.path.isfile(os.path.join(self.top, n)))
        self.notes = []
        self.cache = {}

    def text(self, name):
        if name not in self.cache:
            with open(os.path.join(self.top, name), "rb") as f:
                self.cache[name] = f.read().decode("utf-8", "replace")
        return self.cache[name]

    def code(self, name):
        """The text of a C file without comments and string contents."""
        return TOKEN.sub(blank, self.text(name))

    def c_files(self):
        return [n for n in self.files if n.endswith((".c", ".h"))]

    def first_line(self, name):
        return self.text(name).split("\n", 1)[0]

    def scripts(self, *interpreters):
        """Files whose first line calls one of these interpreters."""
        return [n for n in self.files if self.is_text(n) and self.first_line(n).startswith("#!")
                and any(re.search(rf"\b{i}\b", self.first_line(n)) for i in interpreters)]

    def is_text(self, name):
        with open(os.path.join(self.top, name), "rb") as f:
            return b"\0" not in f.read(4096)

    def note(self, text):
        self.notes.append(text)

    def take_notes(self):
        notes, self.notes = self.notes, []
        return notes
