#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The Debian package as an operator gets it: built by hw/package, looked into, unpacked, its programs
run from where they were unpacked, its units judged by systemd, the dataplane started with exactly the
capabilities that its unit leaves it. And completion, which is made at build time. As root.

    tests/package/run.py [WORD...]     only tests whose name contains a word
"""

import glob
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "e2e"))
import framework
from framework import bound
from lab import TOP
from target import CTL, Appliance

PROGRAMS = ("usr/bin/posternctl", "usr/bin/postern-compile", "usr/bin/postern-replay",
            "usr/sbin/postern-manager", "usr/sbin/postern-dataplane")
UNITS = ("postern-dataplane.service", "postern-manager.service")
FILES = PROGRAMS + tuple(f"lib/systemd/system/{u}" for u in UNITS) + (
    "usr/lib/sysusers.d/postern.conf", "usr/lib/tmpfiles.d/postern.conf",
    "usr/share/bash-completion/completions/posternctl", "usr/share/man/man1/posternctl.1.gz",
    "usr/share/man/man1/postern-compile.1.gz", "usr/share/man/man1/postern-replay.1.gz",
    "usr/share/man/man5/postern.yaml.5.gz", "usr/share/man/man8/postern-dataplane.8.gz",
    "usr/share/man/man8/postern-manager.8.gz", "usr/share/doc/postern/examples/appliance.yaml",
    "usr/share/postern/grafana/postern.json", "usr/share/doc/postern/copyright",
    "usr/libexec/postern/check", "usr/libexec/postern/setup")
# What systemd-analyze security may say at most, in tenths of its points (0 safe, 100 unsafe). The
# dataplane must be uid 0 for a moment, see devices and the host's network; the manager nothing.
EXPOSURE = {"postern-dataplane.service": 40, "postern-manager.service": 20}


def run(*argv, **how):
    return subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=how.pop("timeout", 60), **how)


class Package:
    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="postern-package-")
        try:
            done = run(os.path.join(TOP, "hw", "package"), "--out", os.path.join(self.dir, "out"),
                       timeout=800, cwd=TOP)
            assert done.returncode == 0, done.stdout[-3000:]
            self.deb = glob.glob(os.path.join(self.dir, "out", "postern_*.deb"))[0]
            self.root = os.path.join(self.dir, "root")
            done = run("dpkg-deb", "-x", self.deb, self.root)
            assert done.returncode == 0, done.stdout
        except BaseException:
            self.close()
            raise

    def at(self, name):
        return os.path.join(self.root, name)

    def text(self, name):
        with open(self.at(name)) as f:
            return f.read()

    def close(self):
        shutil.rmtree(self.dir, ignore_errors=True)


SETUP_S = 900


def setup():
    return Package()


def test_contents(p):
    missing = [f for f in FILES if not os.path.exists(p.at(f))]
    assert not missing, f"not in the package: {missing}"
    listed = run("dpkg-deb", "-c", p.deb).stdout
    wrong = [line for line in listed.splitlines()
             if " root/root " not in line or re.match(r"-.......w|-...s|-......s", line)]
    assert not wrong, f"owner or mode: {wrong[:5]}"
    tests = [line for line in listed.splitlines() if "_test" in line or "/tests/" in line]
    assert not tests, tests[:5]


def test_dependencies_by_shlibs(p):
    depends = run("dpkg-deb", "-f", p.deb, "Depends").stdout
    for library in ("libc6", "libjansson4", "libyaml-0-2", "libhyperscan5", "liburcu8", "liblmdb0",
                    "libssl3", "librte-eal", "libpsl5", "adduser|systemd"):
        assert re.search(library, depends), f"{library} is not in Depends: {depends}"


def test_fields(p):
    """Where it is installed; it is no part of tests/packages.txt, having a hundred packages behind it."""
    if shutil.which("lintian"):
        done = run("lintian", "--fail-on", "error", p.deb, timeout=200)
        assert done.returncode == 0, done.stdout
    fields = run("dpkg-deb", "-f", p.deb).stdout
    for field in ("Maintainer", "Section", "Priority", "Description", "Architecture"):
        assert re.search(rf"^{field}: \S", fields, re.M), f"no {field}"
    assert "postern (" in run("gzip", "-dc", p.at("usr/share/doc/postern/changelog.gz")).stdout


def test_scripts_of_the_package(p):
    control = os.path.join(p.dir, "control")
    run("dpkg-deb", "-e", p.deb, control)
    with open(os.path.join(control, "postinst")) as f:
        postinst = f.read()
    assert "sysusers" in postinst and "tmpfiles" in postinst, postinst
    assert "deb-systemd-invoke start" not in postinst, "it starts before it is configured"
    for name in os.listdir(control):
        if name in ("postinst", "postrm", "prerm", "preinst"):
            done = run("sh", "-n", os.path.join(control, name))
            assert done.returncode == 0, done.stdout


def test_programs_run(p):
    for name in PROGRAMS:
        done = run(p.at(name), "--version")
        assert done.returncode == 0 and re.search(r"\d+\.\d+", done.stdout), f"{name}: {done.stdout}"
    done = run(p.at("usr/bin/postern-compile"), "--check",
               p.at("usr/share/doc/postern/examples/appliance.yaml"))
    assert done.returncode == 0, done.stdout


def test_pages_are_manual_pages(p):
    for name in glob.glob(p.at("usr/share/man/man?/*.gz")):
        assert run("gzip", "-dc", name).stdout.find(".SH NAME") > 0, name


# ---- units ----

def unit_tree(p):
    """A root for systemd-analyze: the package and what its units stand on."""
    root = os.path.join(p.dir, "units")
    if not os.path.exists(root):
        os.makedirs(root)
        run("cp", "-a", p.root + "/.", root)
        os.makedirs(os.path.join(root, "bin"), exist_ok=True)
        for program in ("sh", "kill"):
            shutil.copy(shutil.which(program), os.path.join(root, "bin"))
        for target in ("multi-user", "basic", "sysinit", "shutdown", "network-pre", "system",
                       "systemd-tmpfiles-setup", "systemd-modules-load"):
            for unit in glob.glob(f"/lib/systemd/system/{target}.*"):
                run("cp", "-L", unit, os.path.join(root, "lib/systemd/system"))
    return root


def test_units_verify(p):
    for unit in UNITS:
        done = run("systemd-analyze", "verify", "--root", unit_tree(p), "--man=no", "--recursive-errors=no",
                   p.at(f"lib/systemd/system/{unit}"))
        said = [line for line in done.stdout.splitlines() if "postern" in line]
        assert not said, "\n".join(said)


def test_units_are_hardened(p):
    for unit, most in EXPOSURE.items():
        done = run("systemd-analyze", "security", "--offline=true", f"--threshold={most}",
                   "--no-pager", p.at(f"lib/systemd/system/{unit}"))
        assert done.returncode == 0, f"{unit}: more than {most / 10}\n" + "\n".join(
            line for line in done.stdout.splitlines() if "✗" in line or "exposure" in line)
        found = re.search(r"exposure level for .*?: ([\d.]+)", done.stdout)
        print(f"# {unit}: {found.group(1) if found else '?'} of 10, at most {most / 10}")


def test_users_and_directories(p):
    root = os.path.join(p.dir, "users")
    os.makedirs(os.path.join(root, "etc"))
    done = run("systemd-sysusers", f"--root={root}", p.at("usr/lib/sysusers.d/postern.conf"))
    assert done.returncode == 0, done.stdout
    with open(os.path.join(root, "etc/passwd")) as f:
        assert re.search(r"^postern:x:\d+:\d+:.*nologin$", f.read(), re.M)
    done = run("systemd-tmpfiles", "--create", f"--root={root}", p.at("usr/lib/tmpfiles.d/postern.conf"))
    assert done.returncode == 0, done.stdout
    assert os.stat(os.path.join(root, "run/postern")).st_mode & 0o777 == 0o775


def setting(p, unit, key):
    return re.findall(rf"^{key}=(.*)$", p.text(f"lib/systemd/system/{unit}"), re.M)


@bound(120)
def test_dataplane_with_the_units_capabilities(p):
    """Root without dac_override and all else: it starts, makes its socket in a directory that is
    another's, greets, drains."""
    caps = setting(p, "postern-dataplane.service", "CapabilityBoundingSet")[0].lower().split()
    keep = ",".join("+" + c.replace("cap_", "") for c in caps)
    a = Appliance(name="package", start=False)
    try:
        run_dir, state = a.path("run-dir"), a.path("state-dir")
        os.chmod(a.lab.dir, 0o755)
        for path, owner, mode in ((run_dir, 12345, 0o775), (state, 0, 0o750)):
            os.mkdir(path)
            os.chown(path, owner, 12345)
            os.chmod(path, mode)
        shutil.copy(a.path("policy.img"), state + "/policy.image")
        os.chmod(state + "/policy.image", 0o640)
        a.process = a.lab.start(a.lab.app, [
            "setpriv", "--reuid", "0", "--regid", "12345", "--clear-groups", "--inh-caps", "-all",
            "--ambient-caps", "-all", "--bounding-set", "-all," + keep, "--no-new-privs",
            p.at("usr/sbin/postern-dataplane"), "--run", run_dir, "--state", state, "--events",
            state + "/events.jsonl"], "dataplane.log")
        a.wait_ready(30)
        socket = os.stat(run_dir + "/dataplane.sock")
        assert socket.st_uid == 12345, f"the socket is {socket.st_uid}'s, not the manager's"
        with open(f"/proc/{a.process.pid}/status") as f:
            left = int(re.search(r"^CapEff:\s*(\w+)", f.read(), re.M).group(1), 16)
        assert left & ~(1 << 13 | 1 << 14 | 1 << 12) == 0, f"it keeps {left:#x}"
        assert a.terminate() == 0, a.log()
    except Exception as e:
        raise AssertionError(f"{e}\n{a.log()}") from e
    finally:
        a.close()


# ---- completion ----

PROBE = """
source "$1"
while IFS= read -r line; do
	COMP_WORDS=(posternctl $line)
	[ "${line% }" = "$line" ] || COMP_WORDS+=("")
	COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
	_posternctl
	printf '%s\\n' "${COMPREPLY[*]}"
done
"""


def complete(p, lines):
    done = subprocess.run(["bash", "-c", PROBE, "bash",
                           p.at("usr/share/bash-completion/completions/posternctl")],
                          input="".join(line + "\n" for line in lines), stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=60, cwd=p.dir)
    assert done.returncode == 0, done.stdout
    answers = [line.split() for line in done.stdout.splitlines()]
    assert len(answers) == len(lines), done.stdout[-800:]
    return answers


def test_every_command_completes(p):
    commands = json.loads(run(CTL, "--json", "help").stdout)
    assert len(commands) > 30, commands
    lines, wanted = [], []
    for c in commands:
        words = c["name"].split()
        lines.append(words[0][:-1])
        wanted.append(words[0])
        if len(words) > 1:
            lines += [f"{words[0]} ", f"{words[0]} {words[1][:-1]}", f"help {words[0]} "]
            wanted += [words[1]] * 3
        for option in re.findall(r"--[a-z][a-z-]*", c["usage"]):
            lines.append(f"{c['name']} {option[:-1]}")
            wanted.append(option)
    for line, want, got in zip(lines, wanted, complete(p, lines)):
        assert want in got, f"`posternctl {line}` and a tab: {got}, not {want}"


def test_completes_values(p):
    keys, files, choice, run_option = complete(
        p, ["help config limits.", "check ou", "list import x --format ips", "--js"])
    assert "limits.errors" in keys, keys
    assert files == ["out"], files
    assert choice == ["ipset"], choice
    assert run_option == ["--json"], run_option


if __name__ == "__main__":
    __name__ = "package"  # the group of the tests' names
    sys.exit(framework.main([sys.modules["__main__"]]))
