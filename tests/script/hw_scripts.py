#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""hw/check and hw/setup against a machine of our own: a tree with sys, proc and etc (--root) in which
a thread plays the kernel (binds and unbinds drivers) and small programs play modprobe, sysctl,
update-grub and reboot. Every row that is lacking must be cleared by running the very command it
prints. Huge pages are reserved for real as well and given back. No device of this machine is
touched. Prints TAP; as root (a network namespace holds the interface that is in use).
"""

import contextlib
import json
import os
import re
import select
import shutil
import subprocess
import sys
import tempfile
import threading
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CHECK, SETUP = os.path.join(TOP, "hw", "check"), os.path.join(TOP, "hw", "setup")
NIC, VIRTIO, DISK, MLX = "0000:03:00.0", "0000:00:05.0", "0000:00:04.0", "0000:81:00.0"
IN_USE = "busy0"  # the interface in use, in the namespace that runs hw/setup

# What reboot does to the tree: the kernel's command line comes true.
REBOOT = r"""#!/bin/bash
line=$(sed -n 's/^GRUB_CMDLINE_LINUX="\(.*\)"/\1/p' "$ROOT/etc/default/grub")
for word in $line; do
	case $word in
	intel_iommu=on | amd_iommu=on) mkdir -p "$ROOT/sys/kernel/iommu_groups/0" ;;
	isolcpus=*) echo "${word#*=}" >"$ROOT/sys/devices/system/cpu/isolated" ;;
	esac
done
"""
MODPROBE = r"""#!/bin/bash
[ "$1" != vfio ] || mkdir -p "$ROOT/sys/module/vfio/parameters"
[ "$1" != vfio-pci ] || { mkdir -p "$ROOT/sys/bus/pci/drivers/vfio-pci" && mkfifo "$ROOT/sys/bus/pci/drivers/vfio-pci/unbind"; }
"""
SYSCTL = r"""#!/bin/bash
sed -i "s/^\(HugePages_\(Total\|Free\): *\).*/\1${1#*=}/" "$ROOT/proc/meminfo"
"""


def write(path, text=""):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as f:
        f.write(text)


class Machine:
    """The tree, and a thread that does what the kernel does when sysfs is written to."""

    def __init__(self, cores=8, huge=0, nodes=1, vm=False, vendor="GenuineIntel"):
        self.root = tempfile.mkdtemp(prefix="postern-hw-")
        self.bin = os.path.join(self.root, "bin")
        write(self.path("proc/meminfo"), f"MemTotal: 1 kB\nHugePages_Total: {huge}\nHugePages_Free: {huge}\n"
              "Hugepagesize: 2048 kB\n")
        write(self.path("proc/cpuinfo"), "".join(
            f"processor\t: {i}\nvendor_id\t: {vendor}\nflags\t\t: fpu{' hypervisor' if vm else ''}\n\n"
            for i in range(cores)))
        write(self.path("etc/default/grub"), 'GRUB_TIMEOUT=5\nGRUB_CMDLINE_LINUX="quiet"\n')
        write(self.path("sys/devices/system/cpu/isolated"), "\n")
        os.makedirs(self.path("sys/kernel/iommu_groups"))
        for n in range(nodes):
            write(self.path(f"sys/devices/system/node/node{n}/hugepages/hugepages-2048kB/nr_hugepages"), "0\n")
            os.symlink("nr_hugepages", self.path(
                f"sys/devices/system/node/node{n}/hugepages/hugepages-2048kB/free_hugepages"))
        os.makedirs(self.path("sys/bus/pci/devices"))
        os.makedirs(self.path("sys/bus/pci/drivers"))
        os.mkfifo(self.path("sys/bus/pci/drivers_probe"))
        for name, text in (("modprobe", MODPROBE), ("sysctl", SYSCTL), ("reboot", REBOOT),
                           ("update-grub", "#!/bin/sh\n")):
            write(os.path.join(self.bin, name), text)
            os.chmod(os.path.join(self.bin, name), 0o755)
        self.native = {}   # address -> the driver the kernel would choose
        self.stubborn = set()  # these do not bind to vfio-pci
        self.fds = {}
        self.over = False
        self.thread = threading.Thread(target=self.kernel, daemon=True)
        self.thread.start()

    def path(self, p):
        return os.path.join(self.root, p)

    def close(self):
        self.over = True
        self.thread.join(5)
        shutil.rmtree(self.root)

    def device(self, address, driver, kind="0x020000", interface=None, node=0):
        d = self.path(f"sys/bus/pci/devices/{address}")
        write(os.path.join(d, "class"), kind + "\n")
        write(os.path.join(d, "numa_node"), f"{node}\n")
        write(os.path.join(d, "driver_override"), "(null)\n")
        if interface:  # virtio's interfaces stand one directory deeper
            os.makedirs(os.path.join(d, "virtio3" if driver == "virtio-pci" else "", "net", interface))
        folder = self.path(f"sys/bus/pci/drivers/{driver}")
        if driver and not os.path.isdir(folder):
            os.makedirs(folder)
            os.mkfifo(os.path.join(folder, "unbind"))
        self.native[address] = driver
        if driver:
            os.symlink(folder, os.path.join(d, "driver"))

    def driver(self, address):
        link = self.path(f"sys/bus/pci/devices/{address}/driver")
        return os.path.basename(os.readlink(link)) if os.path.islink(link) else ""

    # ---- the kernel ----

    def fifos(self):
        """Unbinding comes before probing, as its writer waited for it."""
        drivers = self.path("sys/bus/pci/drivers")
        names = [os.path.join(drivers, d, "unbind") for d in sorted(os.listdir(drivers))]
        for name in [n for n in names if os.path.exists(n)] + [self.path("sys/bus/pci/drivers_probe")]:
            if name not in self.fds:
                self.fds[name] = os.open(name, os.O_RDWR | os.O_NONBLOCK)
            yield name, self.fds[name]

    def kernel(self):
        while not self.over:
            fifos = list(self.fifos())
            ready, _, _ = select.select([fd for _, fd in fifos], [], [], 0.02)
            for name, fd in fifos:
                if fd in ready:
                    for address in re.findall(r"[0-9a-f:]{10}\.[0-7]", os.read(fd, 4096).decode()):
                        self.unbind(address) if name.endswith("unbind") else self.probe(address)
        for fd in self.fds.values():
            os.close(fd)

    def unbind(self, address):
        os.unlink(self.path(f"sys/bus/pci/devices/{address}/driver"))

    def probe(self, address):
        d = self.path(f"sys/bus/pci/devices/{address}")
        with open(os.path.join(d, "driver_override")) as f:
            wanted = f.read().strip()
        driver = wanted if wanted not in ("", "(null)") else self.native[address]
        link = os.path.join(d, "driver")
        if driver == "vfio-pci" and address in self.stubborn:
            return
        if driver and not os.path.islink(link):
            os.symlink(self.path(f"sys/bus/pci/drivers/{driver}"), link)

    # ---- the scripts ----

    def run(self, argv, text="", ns=None):
        env = dict(os.environ, PATH=self.bin + ":" + os.environ["PATH"], ROOT=self.root)
        argv = (["ip", "netns", "exec", ns] if ns else []) + argv
        done = subprocess.run(argv, input=text, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, timeout=30, cwd=TOP, env=env)
        return done.returncode, done.stdout

    def check(self, *words):
        """Exit status and rows by name; the table must tell the same as the JSON."""
        code, out = self.run([CHECK, "--root", self.root, "--json", *words])
        told = json.loads(out)
        rows = {r["name"]: r for r in told["items"]}
        code2, table = self.run([CHECK, "--root", self.root, *words])
        lacking = sum(r["good"] is False for r in rows.values())
        assert told["lacking"] == lacking and code == code2 == (1 if lacking else 0), (code, code2, out)
        for r in rows.values():
            line = [l for l in table.splitlines() if l.startswith(r["name"])]
            assert line and line[0].endswith(r["command"]), (r, table)
        assert table.splitlines()[-1] == (f"{lacking} lacking." if lacking else "Nothing is lacking."), table
        return code, rows

    def setup(self, *words, text="", ns=None):
        return self.run([SETUP, "--root", self.root, *words], text, ns)

    def mend(self, command):
        """As an operator would: pasted into a shell, questions answered with yes."""
        code, out = self.run(["bash", "-c", command], "y\n")
        assert code == 0, f"{command}: exit {code}: {out}"


@contextlib.contextmanager
def machine(**how):
    m = Machine(**how)
    try:
        yield m
    finally:
        m.close()


# ---- hw/check ----

def mends_row_by_row(lacking, **how):
    with machine(**how) as m:
        for n in range(how.get("nodes", 1)):
            m.device(f"0000:{3 + n:02x}:00.0", "ixgbe", node=how.get("nodes", 1) - 1)
        code, rows = m.check("--workers", "2")
        assert code == 1, rows
        found = {n for n, r in rows.items() if r["good"] is False}
        assert found == lacking, f"lacking: {found}, not {lacking}"
        for name in [n for n in rows if n in lacking]:
            _, now = m.check("--workers", "2")
            assert now[name]["good"] is False, f"{name}: cleared by another row's command"
            m.mend(now[name]["command"])
            _, now = m.check("--workers", "2")
            assert name not in now or now[name]["good"] is True, f"{name} stays after {rows[name]['command']}"
        code, rows = m.check("--workers", "2")
        assert code == 0, rows


def test_every_command_clears_its_row():
    mends_row_by_row({"huge pages", "IOMMU", "driver vfio-pci", "ports", "isolated cores"})


def test_every_command_clears_its_row_amd_two_nodes():
    mends_row_by_row({"huge pages", "IOMMU", "driver vfio-pci", "ports", "isolated cores", "NUMA"},
                     vendor="AuthenticAMD", nodes=2)


def test_every_command_clears_its_row_virtual_machine():
    mends_row_by_row({"huge pages", "IOMMU", "driver vfio-pci", "ports", "isolated cores"}, vm=True)


def test_commands_name_the_vendors_option():
    for vendor, option in (("GenuineIntel", "intel_iommu=on"), ("AuthenticAMD", "amd_iommu=on")):
        with machine(vendor=vendor) as m:
            assert option in m.check()[1]["IOMMU"]["command"]


def test_virtual_asks_for_huge_pages_only():
    with machine() as m:
        code, rows = m.check("--virtual")
        assert code == 1 and list(rows) == ["huge pages"], rows
    with machine(huge=512) as m:
        assert m.check("--virtual")[0] == 0
        assert m.check("--virtual", "--workers", "2")[0] == 1  # a worker more, 512 MiB more


def test_two_cores_are_no_fault():
    with machine(cores=2, huge=2048) as m:
        row = m.check("--workers", "2")[1]["isolated cores"]
        assert row["good"] is None and "only 2 cores" in row["found"], row


def test_ports_are_listed():
    with machine() as m:
        m.device(NIC, "ixgbe", interface="eth7")
        m.device(VIRTIO, "virtio-pci", interface="eth8")
        m.device(DISK, "nvme", kind="0x010802")
        m.device(MLX, "mlx5_core", interface="eth9")
        _, rows = m.check()
        assert "eth7" in rows[f"port {NIC}"]["found"] and "eth8" in rows[f"port {VIRTIO}"]["found"], rows
        assert rows[f"port {MLX}"]["good"] is True and f"port {DISK}" not in rows, rows
        assert "ports" not in rows, "mlx5 is usable as it is"


def test_no_network_device():
    with machine() as m:
        row = m.check()[1]["ports"]
        assert row["good"] is None and "no PCI network device" in row["found"], row


def test_check_wrong_usage():
    with machine() as m:
        assert m.run([CHECK, "--nonsense"])[0] == 2
        assert m.run([CHECK, "--root", "/nonexistent"])[0] == 2
        assert "hw/check" in m.run([CHECK, "--help"])[1]


def test_this_machine_reads_as_json():
    """Read only; which rows there are depends on the machine."""
    done = subprocess.run([CHECK, "--json"], stdout=subprocess.PIPE, text=True, timeout=30)
    told = json.loads(done.stdout)
    assert done.returncode == (1 if told["lacking"] else 0), told
    assert all(set(r) == {"name", "found", "good", "command"} for r in told["items"]), told
    assert all(r["command"] for r in told["items"] if r["good"] is False), told


def test_huge_pages_for_real():
    """Reserves half a GiB to a GiB more than is free by the printed command, then gives it back."""
    setting = "/proc/sys/vm/nr_hugepages"
    with open(setting) as f:
        before = f.read().strip()
    info = dict(re.findall(r"^(\w+):\s+(\d+)", open("/proc/meminfo").read(), re.M))
    free_mib = int(info["HugePages_Free"]) * int(info["Hugepagesize"]) // 1024
    argv = [CHECK, "--virtual", "--json", "--workers", str(max(1, free_mib // 512))]

    def row():
        done = subprocess.run(argv, stdout=subprocess.PIPE, text=True, timeout=30)
        return done.returncode, json.loads(done.stdout)["items"][0]

    try:
        code, said = row()
        assert code == 1 and said["good"] is False, said
        assert re.fullmatch(r"sysctl vm\.nr_hugepages=\d+", said["command"]), said
        subprocess.run(said["command"].split(), stdout=subprocess.DEVNULL, check=True, timeout=60)
        code, said = row()
        assert code == 0 and said["good"] is True, said
    finally:
        with open(setting, "w") as f:
            f.write(before)
    with open(setting) as f:
        assert f.read().strip() == before


# ---- hw/setup ----

def test_bind_and_undo():
    with machine() as m:
        m.device(NIC, "ixgbe")
        m.device(VIRTIO, "virtio-pci")
        m.device("0000:04:00.0", "")
        for words in ((NIC,), (NIC, VIRTIO), ("03:00.0",), ("0000:04:00.0",)):
            full = [w if w.count(":") == 2 else "0000:" + w for w in words]
            was = [m.driver(a) for a in full]
            code, out = m.setup("--yes", *words)
            assert code == 0 and [m.driver(a) for a in full] == ["vfio-pci"] * len(full), out
            assert all(f"hw/setup --undo {a}" in out for a in full), out
            code, out = m.setup("--undo", "--yes", *(words if len(words) == 1 else ()))
            assert code == 0 and [m.driver(a) for a in full] == was, out
            assert os.listdir(m.path("var/lib/postern/setup")) == [], "a note stays behind"


def test_asks_first():
    with machine() as m:
        m.device(NIC, "ixgbe")
        for answer in ("", "n\n", "\n"):
            code, out = m.setup(NIC, text=answer)
            assert code == 1 and "nothing was changed" in out and m.driver(NIC) == "ixgbe", out
        assert NIC in out and "ixgbe" in out and "vfio-pci" in out, out  # shown before it asks
        assert m.setup(NIC, text="y\n")[0] == 0 and m.driver(NIC) == "vfio-pci"


def refused(m, words, *said, ns=None):
    before = {a: m.driver(a) for a in m.native}
    code, out = m.setup("--yes", *words, ns=ns)
    assert code == 1 and all(s in out for s in said), f"{words}: exit {code}: {out}"
    assert {a: m.driver(a) for a in m.native} == before, "a driver changed"


def test_refusals():
    with machine() as m:
        m.device(NIC, "ixgbe")
        m.device(DISK, "nvme", kind="0x010802")
        m.device(MLX, "mlx5_core")
        refused(m, [DISK], DISK, "is no network device")
        refused(m, ["0000:99:00.0"], "there is no PCI device 0000:99:00.0", "hw/check")
        refused(m, ["eth0"], "is no PCI address")
        refused(m, [MLX], "kernel driver", "nothing to set up")
        refused(m, [NIC, DISK], "is no network device")  # all or none
        refused(m, [], "which device?", "hw/check")
        refused(m, ["--undo", NIC], "was not set up by hw/setup")
        assert m.setup("--nonsense")[0] == 2
        assert m.setup("--yes", NIC)[0] == 0
        refused(m, [NIC], "belongs to vfio-pci already")


def test_an_interface_in_use_is_refused():
    ns = f"hwscripts-{os.getpid()}"

    def ip(*words):
        subprocess.run(["ip", *words], check=True, timeout=10)

    with machine() as m:
        m.device(NIC, "ixgbe", interface=IN_USE)
        m.device(VIRTIO, "virtio-pci", interface=IN_USE)
        ip("netns", "add", ns)
        try:
            ip("-n", ns, "link", "add", IN_USE, "type", "veth", "peer", "name", "peer0")
            ip("-n", ns, "link", "set", IN_USE, "up")
            for address in ("192.0.2.9/24", "2001:db8::9/64"):
                ip("-n", ns, "addr", "add", address, "dev", IN_USE)
                for device in (NIC, VIRTIO):
                    refused(m, [device], f"{device} is {IN_USE}, in use", address, "--force", ns=ns)
                ip("-n", ns, "addr", "del", address, "dev", IN_USE)
            ip("-n", ns, "route", "add", "198.51.100.0/24", "dev", IN_USE)
            refused(m, [VIRTIO], f"{VIRTIO} is {IN_USE}, in use", "198.51.100.0/24", ns=ns)
            assert m.setup("--yes", "--force", VIRTIO, ns=ns)[0] == 0
            assert m.driver(VIRTIO) == "vfio-pci"
            ip("-n", ns, "route", "del", "198.51.100.0/24", "dev", IN_USE)
            assert m.setup("--yes", NIC, ns=ns)[0] == 0  # idle now
        finally:
            ip("netns", "del", ns)


def test_a_device_that_does_not_bind_is_given_back():
    with machine() as m:
        m.device(NIC, "ixgbe")
        m.stubborn.add(NIC)
        code, out = m.setup("--yes", NIC)
        assert code == 1 and "did not bind to vfio-pci" in out and "hw/check" in out, out
        end = time.monotonic() + 5
        while m.driver(NIC) != "ixgbe" and time.monotonic() < end:
            time.sleep(0.02)
        assert m.driver(NIC) == "ixgbe"
        assert os.listdir(m.path("var/lib/postern/setup")) == []


def test_the_group_is_named():
    with machine() as m:
        m.device(NIC, "ixgbe")
        m.device("0000:03:00.1", "ixgbe")
        group = m.path("sys/kernel/iommu_groups/7/devices")
        for a in (NIC, "0000:03:00.1"):
            os.makedirs(os.path.join(group, a))
            os.symlink(os.path.dirname(group), m.path(f"sys/bus/pci/devices/{a}/iommu_group"))
        code, out = m.setup(NIC, text="n\n")
        assert code == 1 and "0000:03:00.1 (ixgbe) shares its IOMMU group" in out, out


def main():
    tests = [(n, f) for n, f in globals().items() if n.startswith("test_")
             and (len(sys.argv) < 2 or any(w in n for w in sys.argv[1:]))]
    print(f"1..{len(tests)}")
    failed = 0
    for i, (name, test) in enumerate(tests, 1):
        try:
            test()
            print(f"ok {i} - {name}", flush=True)
        except Exception as e:  # pylint: disable=broad-except
            failed += 1
            print(f"not ok {i} - {name}")
            tb = e.__traceback__
            while tb.tb_next and tb.tb_next.tb_frame.f_code.co_filename == __file__:
                tb = tb.tb_next
            for line in f"line {tb.tb_lineno}: {type(e).__name__}: {e}".split("\n")[:30]:
                print(f"# {line}", flush=True)
    return 1 if failed or not tests else 0


if __name__ == "__main__":
    sys.exit(main())
