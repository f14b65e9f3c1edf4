/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * EAL start. The operator writes a port's device by its ordinary name; the EAL arguments that
 * follow from it (--vdev, -a, --no-pci, queue pairs, memory mode, cores) are added here unless
 * host.eal already says them. What can be known to be missing is said before DPDK is asked, in a
 * sentence; DPDK's own log is kept aside and its last words are quoted when it fails.
 *
 * Rejected: leaving all of it to host.eal. Each port kind wants other words, and a wrong one
 * fails with "EAL: Cannot probe device".
 */
#include "hw_internal.h"

#include <ctype.h>
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_log.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* "0000:03:00.0" or "03:00.0", device arguments may follow */
bool hw_device_is_pci(const char *device)
{
	unsigned domain, bus, slot, function;
	int used = 0;

	if (sscanf(device, "%4x:%2x:%2x.%1x%n", &domain, &bus, &slot, &function, &used) != 4 ||
	    !used) {
		used = 0;
		if (sscanf(device, "%2x:%2x.%1x%n", &bus, &slot, &function, &used) != 3 || !used)
			return false;
	}
	return device[used] == '\0' || device[used] == ',';
}

bool hw_device_arg(const char *device, const char *key, char *ret_value, size_t size)
{
	size_t key_len = strlen(key);

	for (const char *p = strchr(device, ','); p; p = strchr(p, ',')) {
		p++;
		if (strncmp(p, key, key_len) == 0 && p[key_len] == '=') {
			size_t len = strcspn(p + key_len + 1, ",");

			if (size > 0) {
				if (len >= size)
					len = size - 1;
				memcpy(ret_value, p + key_len + 1, len);
				ret_value[len] = '\0';
			}
			return true;
		}
	}
	return false;
}

static bool begins(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

/* Is one of the words given, alone or as WORD=value? One-letter options also as -mVALUE. */
static bool given(const char *const *eal, unsigned n_eal, const char *const *words)
{
	for (unsigned i = 0; i < n_eal; i++) {
		for (const char *const *w = words; *w; w++) {
			size_t len = strlen(*w);

			if (strncmp(eal[i], *w, len) == 0 &&
			    (eal[i][len] == '\0' || eal[i][len] == '=' || len == 2))
				return true;
		}
	}
	return false;
}

#define GIVEN(...) given(eal, n_eal, (const char *const[]){ __VA_ARGS__, NULL })

static bool vdev_given(const char *const *eal, unsigned n_eal, const char *device)
{
	size_t len = strcspn(device, ",");

	for (unsigned i = 0; i < n_eal; i++) {
		const char *v = eal[i];

		if (begins(v, "--vdev="))
			v += strlen("--vdev=");
		else if (i == 0 || strcmp(eal[i - 1], "--vdev") != 0)
			continue;
		if (strncmp(v, device, len) == 0 && (v[len] == ',' || v[len] == '\0'))
			return true;
	}
	return false;
}

static int add(struct eal_args *args, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static int add(struct eal_args *args, const char *fmt, ...)
{
	va_list ap;
	int rc;

	if (args->n + 1 >= sizeof(args->v) / sizeof(args->v[0]))
		return -E2BIG;
	va_start(ap, fmt);
	rc = vasprintf(&args->v[args->n], fmt, ap);
	va_end(ap);
	if (rc < 0)
		return -ENOMEM;
	args->v[++args->n] = NULL;
	return 0;
}

void hw_eal_args_free(struct eal_args *args)
{
	for (unsigned i = 0; i < args->n; i++)
		free(args->v[i]);
	args->n = 0;
}

/* Queue pairs, and a ring deep and wide enough, in the words of each virtual port kind. */
static int add_vdev(struct eal_args *args, const struct hw_port_request *port)
{
	const char *d = port->device;
	char more[128] = "";

	if (begins(d, "net_af_packet")) {
		/* a frame slot holds the packet behind the kernel's own header (up to 80 bytes) */
		unsigned slot = 2048;

		while (slot < port->mtu + 128u)
			slot *= 2;
		if (!hw_device_arg(d, "qpairs", NULL, 0) && !hw_device_arg(d, "framesz", NULL, 0))
			snprintf(more, sizeof(more), ",qpairs=%u,framesz=%u,blocksz=%u,framecnt=%u",
			    port->queues, slot, slot < 4096 ? 4096 : slot, slot > 4096 ? 512 : 2048);
	} else if (begins(d, "net_af_xdp")) {
		if (port->queues > 1 && !hw_device_arg(d, "queue_count", NULL, 0))
			snprintf(more, sizeof(more), ",queue_count=%u", port->queues);
	}
	return add(args, "--vdev=%s%s", d, more);
}

int hw_eal_args(const char *argv0, const char *const *eal, unsigned n_eal,
    const struct hw_port_request *ports, unsigned n_ports, unsigned n_workers,
    struct eal_args *ret_args, char **ret_error)
{
	struct eal_args args = { 0 };
	unsigned cpus[CPU_SETSIZE], isolated[CPU_SETSIZE], n_pci = 0;
	char lcores[8192];
	int rc = add(&args, "%s", argv0);

	if (!GIVEN("-l", "-c", "--lcores") && !rc) {
		unsigned n_cpus = hw_cores_allowed(cpus, CPU_SETSIZE);

		rc = hw_cores_plan(cpus, n_cpus, isolated, hw_cores_isolated(isolated, CPU_SETSIZE),
		    n_workers, lcores, sizeof(lcores));
		if (rc) {
			hw_eal_args_free(&args);
			return hw_fail(ret_error, -rc,
			    "host.workers is %u, but this process may run on %u cores: lower "
			    "host.workers, or give it more cores (taskset, cpuset)",
			    n_workers, n_cpus);
		}
		rc = add(&args, "--lcores=%s", lcores);
	}
	for (unsigned i = 0; i < n_ports && !rc; i++) {
		if (hw_device_is_pci(ports[i].device)) {
			n_pci++;
			if (!GIVEN("-a", "--allow", "-b", "--block"))
				rc = add(&args, "-a%s", ports[i].device);
		} else if (!vdev_given(eal, n_eal, ports[i].device)) {
			rc = add_vdev(&args, &ports[i]);
		}
	}
	if (!rc && n_pci == 0 && !GIVEN("--no-pci", "-a", "--allow", "-b", "--block"))
		rc = add(&args, "--no-pci");
	if (!rc && !GIVEN("--telemetry", "--no-telemetry"))
		rc = add(&args, "--no-telemetry");
	/* No file of ours stays behind, and no hugetlbfs mount is wanted, unless asked for. Without
	 * huge pages --in-memory is refused by DPDK; a prefix keeps two appliances apart. */
	if (!rc && !GIVEN("--in-memory", "--file-prefix", "--huge-unlink"))
		rc = GIVEN("--no-huge") ? add(&args, "--file-prefix=postern%d", (int)getpid())
					: add(&args, "--in-memory");
	for (unsigned i = 0; i < n_eal && !rc; i++)
		rc = add(&args, "%s", eal[i]);
	if (rc) {
		hw_eal_args_free(&args);
		return hw_fail(ret_error, -rc, "too many EAL arguments in host.eal");
	}
	*ret_args = args;
	return 0;
}

static int check_iface(const struct hw_port_request *port, const char *iface, char **ret_error)
{
	struct ifreq ifr = { 0 };
	bool down, have_mtu;
	int fd, rc;

	if (if_nametoindex(iface) == 0)
		return hw_fail(ret_error, ENODEV,
		    "port %s (%s): there is no network interface \"%s\" in this network namespace; "
		    "`ip link` lists those that are, and host.ports[].device names the one to use",
		    port->name, port->device, iface);
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return hw_fail(
		    ret_error, errno, "port %s: no socket: %s", port->name, strerror(errno));
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", iface);
	rc = ioctl(fd, SIOCGIFFLAGS, &ifr);
	down = rc == 0 && !(ifr.ifr_flags & IFF_UP);
	have_mtu = ioctl(fd, SIOCGIFMTU, &ifr) == 0; /* shares the flags' place */
	close(fd);
	if (down)
		return hw_fail(ret_error, ENETDOWN,
		    "port %s (%s): the network interface \"%s\" is down: `ip link set %s up`",
		    port->name, port->device, iface, iface);
	if (have_mtu && ifr.ifr_mtu < port->mtu)
		return hw_fail(ret_error, EINVAL,
		    "port %s (%s): mtu %u is wanted, but the network interface \"%s\" has %d: "
		    "`ip link set %s mtu %u`, or lower host.ports[].mtu",
		    port->name, port->device, port->mtu, iface, ifr.ifr_mtu, iface, port->mtu);
	fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return hw_fail(ret_error, errno,
		    "port %s (%s): raw packets need the capabilities CAP_NET_RAW and "
		    "CAP_NET_ADMIN: "
		    "start as root or grant them (%s)",
		    port->name, port->device, strerror(errno));
	close(fd);
	return 0;
}

/* AF_XDP binds to queues that the interface has; AF_PACKET spreads over as many as are asked for. */
static int check_channels(const struct hw_port_request *port, const char *iface, char **ret_error)
{
	struct ethtool_channels channels = { .cmd = ETHTOOL_GCHANNELS };
	struct ifreq ifr = { .ifr_data = (void *)&channels };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), rc;
	unsigned have;

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", iface);
	rc = fd < 0 ? -1 : ioctl(fd, SIOCETHTOOL, &ifr);
	if (fd >= 0)
		close(fd);
	/* DPDK counts combined queues alone: an interface that has none (veth) is one queue to it */
	have = rc == 0 && channels.combined_count ? channels.combined_count : 1;
	/* what arrives on a queue without a socket would never be seen */
	if (rc == 0 && channels.combined_count + channels.rx_count > port->queues)
		return hw_fail(ret_error, EINVAL,
		    "port %s (%s): the interface \"%s\" spreads over %u receive queues, but %u "
		    "would be "
		    "read (host.ports[].queues, else one per worker): `ethtool -L %s %s %u`, or "
		    "raise queues",
		    port->name, port->device, iface, channels.combined_count + channels.rx_count,
		    port->queues, iface, channels.combined_count ? "combined" : "rx", port->queues);
	if (have >= port->queues)
		return 0;
	return hw_fail(ret_error, EINVAL,
	    "port %s (%s): %u queue pairs are wanted (host.ports[].queues, else one per worker), "
	    "but the "
	    "interface \"%s\" has %u for AF_XDP: lower queues, or `ethtool -L %s combined %u` "
	    "where its "
	    "driver can",
	    port->name, port->device, port->queues, iface, have, iface, port->queues);
}

static int check_pci(const struct hw_port_request *port, char **ret_error)
{
	char address[32], path[128], link[256];
	size_t len = strcspn(port->device, ",");
	ssize_t n;

	snprintf(
	    address, sizeof(address), "%s%.*s", len < 12 ? "0000:" : "", (int)len, port->device);
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s", address);
	if (access(path, F_OK) != 0)
		return hw_fail(ret_error, ENODEV,
		    "port %s (%s): there is no PCI device %s in this machine; `hw/check` lists the "
		    "network devices that are",
		    port->name, port->device, address);
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/driver", address);
	n = readlink(path, link, sizeof(link) - 1);
	if (n > 0) {
		const char *driver;

		link[n] = '\0';
		driver = strrchr(link, '/') ? strrchr(link, '/') + 1 : link;
		/* bifurcated drivers stay bound to the kernel's; others must be handed over */
		if (strcmp(driver, "vfio-pci") != 0 && !begins(driver, "mlx") &&
		    !begins(driver, "igb_uio") && !begins(driver, "uio_pci_generic"))
			return hw_fail(ret_error, EBUSY,
			    "port %s (%s): the device belongs to the kernel driver %s: "
			    "`hw/setup %s` hands it to vfio-pci (and back with --undo)",
			    port->name, port->device, driver, address);
	}
	return 0;
}

static unsigned long huge_pages_free(void)
{
	FILE *f = fopen("/proc/meminfo", "re");
	unsigned long n = 0;
	char line[128];

	if (!f)
		return 0;
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "HugePages_Free: %lu", &n) == 1)
			break;
	}
	fclose(f);
	/* pages of another size than the default one */
	f = n ? NULL : fopen("/sys/kernel/mm/hugepages/hugepages-1048576kB/free_hugepages", "re");
	if (f) {
		if (fscanf(f, "%lu", &n) != 1)
			n = 0;
		fclose(f);
	}
	return n;
}

int hw_eal_precheck(const char *const *eal, unsigned n_eal, const struct hw_port_request *ports,
    unsigned n_ports, char **ret_error)
{
	char iface[IF_NAMESIZE];
	int rc;

	if (!GIVEN("--no-huge") && huge_pages_free() == 0)
		return hw_fail(ret_error, ENOMEM,
		    "no free huge pages on this host: `sysctl vm.nr_hugepages=512` reserves 1 GiB, "
		    "or "
		    "put --no-huge and -m 512 into host.eal to do without (a third of the speed on "
		    "memory-bound ports)");
	for (unsigned i = 0; i < n_ports; i++) {
		if (hw_device_is_pci(ports[i].device)) {
			rc = check_pci(&ports[i], ret_error);
		} else if (!begins(ports[i].device, "net_") && !begins(ports[i].device, "eth_")) {
			rc = hw_fail(ret_error, EINVAL,
			    "port %s: \"%s\" is neither a PCI address (0000:03:00.0) nor a DPDK "
			    "virtual device (net_af_packet0,iface=eth1)",
			    ports[i].name, ports[i].device);
		} else if (begins(ports[i].device, "net_af_") &&
			   !hw_device_arg(ports[i].device, "iface", iface, sizeof(iface))) {
			rc = hw_fail(ret_error, EINVAL,
			    "port %s (%s): names no network interface: add \",iface=NAME\"",
			    ports[i].name, ports[i].device);
		} else if (begins(ports[i].device, "net_af_")) {
			rc = check_iface(&ports[i], iface, ret_error);
			if (!rc && begins(ports[i].device, "net_af_xdp"))
				rc = check_channels(&ports[i], iface, ret_error);
		} else {
			rc = 0;
		}
		if (rc)
			return rc;
	}
	return 0;
}

/* DPDK's log has one stream a process; so has this. */
static FILE *eal_log;

const char *hw_eal_words(void)
{
	static char words[512];
	char line[512];
	size_t at = 0;

	words[0] = '\0';
	if (!eal_log)
		return words;
	fflush(eal_log);
	rewind(eal_log);
	/* the last lines that complain, joined; the newest fit because the oldest are dropped */
	while (fgets(line, sizeof(line), eal_log)) {
		size_t len;

		line[strcspn(line, "\n")] = '\0';
		len = strlen(line);
		if (len == 0 || strstr(line, "Detected ") || strstr(line, "Selected IOVA") ||
		    strstr(line, "hugepages of size"))
			continue;
		if (at + len + 3 >= sizeof(words))
			at = 0;
		if (len + 3 >= sizeof(words))
			continue;
		at += (size_t)snprintf(words + at, sizeof(words) - at, "%s%s", at ? "; " : "", line);
	}
	return words;
}

int hw_eal_start(struct eal_args *args, char **ret_error)
{
	char *argv[96];

	eal_log = tmpfile();
	if (eal_log)
		rte_openlog_stream(eal_log);
	/* rte_eal_init() permutes its vector */
	memcpy(argv, args->v, sizeof(argv));
	if (rte_eal_init((int)args->n, argv) < 0)
		return hw_fail(ret_error, rte_errno ? rte_errno : EINVAL,
		    "DPDK could not start (%s): %s. See host.eal and host.ports of the "
		    "configuration",
		    rte_strerror(rte_errno), hw_eal_words());
	return 0;
}

void hw_eal_started(void)
{
	rte_openlog_stream(stderr);
	if (eal_log)
		fclose(eal_log);
	eal_log = NULL;
}
