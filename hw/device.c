/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One DPDK port from closed to started: queues, offloads, spread, MTU, multicast, and a descriptor
 * to sleep on where there is one.
 *
 * Offloads are taken from physical ports only. A virtual port's driver (af_packet, tap, memif ...)
 * has no engine behind an offload: it does the sum in software, slower than the stack, which sums
 * while it copies. What a physical port says of received checksums is proven on the first frames
 * of each queue (port.c); what it offers for sending is tried with rte_eth_tx_prepare() first.
 */
#include "hw_internal.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <rte_cycles.h>
#include <rte_dev.h>
#include <rte_errno.h>
#include <rte_ether.h>
#include <rte_interrupts.h>
#include <rte_ip.h>
#include <rte_tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef AF_XDP
enum { AF_XDP = 44 };
#endif

/* ---- descriptors to sleep on ---- */

/* af_packet and af_xdp keep their sockets to themselves, but a socket can be asked who it is. */
static bool is_socket_of(int fd, int domain, unsigned ifindex)
{
	struct sockaddr_ll sll = { 0 };
	socklen_t len = sizeof(int);
	int is = 0;

	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &is, &len) != 0 || is != domain)
		return false;
	if (domain != AF_PACKET)
		return true;
	len = sizeof(sll);
	return getsockname(fd, (struct sockaddr *)&sll, &len) == 0 &&
	       (unsigned)sll.sll_ifindex == ifindex;
}

/* The open descriptors, ascending. */
static unsigned list_fds(int *ret_fds, unsigned max)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned n = 0;

	if (!dir)
		return 0;
	for (struct dirent *e; (e = readdir(dir)) && n < max;) {
		if (isdigit((unsigned char)e->d_name[0]) &&
		    (int)strtol(e->d_name, NULL, 10) != dirfd(dir))
			ret_fds[n++] = (int)strtol(e->d_name, NULL, 10);
	}
	closedir(dir);
	for (unsigned i = 1; i < n; i++) {
		for (unsigned j = i; j > 0 && ret_fds[j - 1] > ret_fds[j]; j--) {
			int swap = ret_fds[j];

			ret_fds[j] = ret_fds[j - 1];
			ret_fds[j - 1] = swap;
		}
	}
	return n;
}

enum { MAX_FDS = 1024 };

/* af_packet opens one socket per queue pair when the device is made, in order of the queues. */
static void find_packet_sockets(struct hw_port *port, const char *iface)
{
	unsigned ifindex = if_nametoindex(iface), q = 0;
	int fds[MAX_FDS];
	unsigned n = list_fds(fds, MAX_FDS);

	for (unsigned i = 0; i < n && q < port->n_queues; i++) {
		if (is_socket_of(fds[i], AF_PACKET, ifindex))
			port->queues[q++].fd = fds[i];
	}
	if (q < port->n_queues) {
		for (q = 0; q < port->n_queues; q++)
			port->queues[q].fd = -1;
	}
}

/* af_xdp opens a queue's socket in rx_queue_setup(): the one that was not there before. */
static int new_xdp_socket(const int *before, unsigned n_before)
{
	int fds[MAX_FDS];
	unsigned n = list_fds(fds, MAX_FDS);

	for (unsigned i = 0; i < n; i++) {
		bool known = false;

		for (unsigned j = 0; j < n_before && !known; j++)
			known = before[j] == fds[i];
		if (!known && is_socket_of(fds[i], AF_XDP, 0))
			return fds[i];
	}
	return -1;
}

/* ---- offloads ---- */

/* Does the driver accept the frames that the stack would send? */
static bool tx_offload_accepted(struct hw *hw, uint16_t id, uint64_t flags)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(hw->workers[0].pool);
	struct rte_ipv4_hdr *ip;
	bool ok;

	if (!m)
		return false;
	memset(rte_pktmbuf_append(m, 54), 0, 54);
	ip = rte_pktmbuf_mtod_offset(m, struct rte_ipv4_hdr *, 14);
	ip->version_ihl = RTE_IPV4_VHL_DEF;
	ip->total_length = rte_cpu_to_be_16(40);
	ip->next_proto_id = IPPROTO_TCP;
	m->l2_len = 14;
	m->l3_len = 20;
	m->l4_len = 20;
	m->ol_flags = flags | RTE_MBUF_F_TX_IPV4;
	ok = rte_eth_tx_prepare(id, 0, &m, 1) == 1;
	rte_pktmbuf_free(m);
	return ok;
}

static int set_mtu(struct hw_port *port, const struct hw_port_request *request, char **ret_error)
{
	uint16_t now = 0;
	int rc = rte_eth_dev_set_mtu(port->id, request->mtu);
	char iface[IF_NAMESIZE];

	if (rte_eth_dev_get_mtu(port->id, &now) != 0)
		now = 0;
	if (rc == 0 || rc == -ENOTSUP) {
		/* where a kernel interface stands behind the port, it has the last word */
		if (hw_device_arg(request->device, "iface", iface, sizeof(iface))) {
			struct ifreq ifr = { 0 };
			int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

			snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", iface);
			if (fd >= 0 && ioctl(fd, SIOCGIFMTU, &ifr) == 0)
				now = (uint16_t)ifr.ifr_mtu;
			if (fd >= 0)
				close(fd);
		} else if (rc == -ENOTSUP) {
			now = request->mtu; /* no MTU of its own: what fits the buffers passes */
		}
		if (now == request->mtu)
			return 0;
	}
	return hw_fail(ret_error, rc ? -rc : EINVAL,
	    "port %s (%s): its MTU is %u and could not be set to %u (%s): set host.ports[].mtu to "
	    "what the port carries",
	    request->name, request->device, now, request->mtu, rc ? rte_strerror(-rc) : "it stayed");
}

static void name_of(const char *device, char *ret_name, size_t size)
{
	size_t len = strcspn(device, ",");

	snprintf(ret_name, size, "%s%.*s", hw_device_is_pci(device) && len < 12 ? "0000:" : "",
	    (int)len, device);
}

int hw_device_open(
    struct hw *hw, unsigned index, const struct hw_port_request *request, char **ret_error)
{
	struct hw_port *port = &hw->ports[index];
	struct rte_eth_dev_info info;
	struct rte_eth_conf conf = { 0 };
	uint16_t n_rx_desc = HW_DESC, n_tx_desc = HW_DESC;
	struct rte_ether_addr mac;
	char name[RTE_DEV_NAME_MAX_LEN], iface[IF_NAMESIZE];
	uint64_t rss = 0;
	bool physical;
	int rc;

	name_of(request->device, name, sizeof(name));
	snprintf(port->name, sizeof(port->name), "%s", request->name);
	if (rte_eth_dev_get_port_by_name(name, &port->id) != 0)
		return hw_fail(ret_error, ENODEV, "port %s (%s): DPDK made no such port: %s",
		    request->name, request->device, hw_eal_words());
	rc = rte_eth_dev_info_get(port->id, &info);
	if (rc)
		return hw_fail(ret_error, -rc, "port %s (%s): the driver tells nothing of it: %s",
		    request->name, request->device, rte_strerror(-rc));
	hw->index_of[port->id] = (uint8_t)index;
	port->n_queues = request->queues;
	physical = hw_device_is_pci(request->device);
	port->info.is_virtual = !physical;
	port->info.queues = request->queues;
	port->info.mtu = request->mtu;

	if (info.max_rx_queues < request->queues || info.max_tx_queues < request->queues)
		return hw_fail(ret_error, EINVAL,
		    "port %s (%s): %u queue pairs are wanted (host.ports[].queues, else one per "
		    "worker), but it has %u for receiving and %u for sending: lower queues, or "
		    "give "
		    "the port more",
		    request->name, request->device, request->queues, info.max_rx_queues,
		    info.max_tx_queues);
	if (info.max_mtu && request->mtu > info.max_mtu)
		return hw_fail(ret_error, EINVAL,
		    "port %s (%s): mtu %u is wanted, the driver carries at most %u: lower "
		    "host.ports[].mtu",
		    request->name, request->device, request->mtu, info.max_mtu);

	conf.rxmode.mtu = request->mtu;
	if (info.rx_offload_capa & RTE_ETH_RX_OFFLOAD_VLAN_STRIP) {
		conf.rxmode.offloads |= RTE_ETH_RX_OFFLOAD_VLAN_STRIP;
		port->info.vlan_strip = true;
	}
	if (info.tx_offload_capa & RTE_ETH_TX_OFFLOAD_VLAN_INSERT) {
		conf.txmode.offloads |= RTE_ETH_TX_OFFLOAD_VLAN_INSERT;
		port->info.vlan_insert = true;
	}
	if (physical) {
		const uint64_t rx_csum =
		    RTE_ETH_RX_OFFLOAD_IPV4_CKSUM | RTE_ETH_RX_OFFLOAD_TCP_CKSUM;
		const uint64_t tx_csum =
		    RTE_ETH_TX_OFFLOAD_IPV4_CKSUM | RTE_ETH_TX_OFFLOAD_TCP_CKSUM;

		if ((info.rx_offload_capa & rx_csum) == rx_csum) {
			conf.rxmode.offloads |= rx_csum;
			port->rx_csum = true;
		}
		if ((info.tx_offload_capa & tx_csum) == tx_csum)
			conf.txmode.offloads |= tx_csum;
		if ((info.rx_offload_capa & RTE_ETH_RX_OFFLOAD_RSS_HASH) && request->queues > 1)
			conf.rxmode.offloads |= RTE_ETH_RX_OFFLOAD_RSS_HASH;
	}
	if (request->queues > 1 && (info.flow_type_rss_offloads & RTE_ETH_RSS_IP)) {
		rss = info.flow_type_rss_offloads &
		      (RTE_ETH_RSS_IPV4 | RTE_ETH_RSS_IPV6 | RTE_ETH_RSS_NONFRAG_IPV4_TCP |
			  RTE_ETH_RSS_NONFRAG_IPV6_TCP | RTE_ETH_RSS_FRAG_IPV4 |
			  RTE_ETH_RSS_FRAG_IPV6);
		rss |= info.flow_type_rss_offloads & RTE_ETH_RSS_L3_SRC_ONLY;
		conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
		conf.rx_adv_conf.rss_conf.rss_hf = rss;
	}
	/* af_packet and af_xdp have a descriptor of their own; memif's costs the sender a system call,
	 * and a physical port's has to be armed for each sleep: those are looked at in steps */
	conf.intr_conf.rxq = strncmp(name, "net_tap", 7) == 0;

	rc = rte_eth_dev_configure(port->id, request->queues, request->queues, &conf);
	if (rc && conf.intr_conf.rxq) {
		conf.intr_conf.rxq = 0; /* no interrupts: sleeps then */
		rc = rte_eth_dev_configure(port->id, request->queues, request->queues, &conf);
	}
	if (rc)
		return hw_fail(ret_error, -rc,
		    "port %s (%s): could not be configured for %u queue pairs and mtu %u (%s): %s",
		    request->name, request->device, request->queues, request->mtu,
		    rte_strerror(-rc), hw_eal_words());

	if (rss & RTE_ETH_RSS_L3_SRC_ONLY) {
		struct rte_eth_rss_conf got = { 0 };

		port->info.rss_src_only = rte_eth_dev_rss_hash_conf_get(port->id, &got) == 0 &&
					  (got.rss_hf & RTE_ETH_RSS_L3_SRC_ONLY);
	} else {
		port->info.rss_src_only = request->queues == 1 && hw->n_workers == 1;
	}

	if (rte_eth_dev_adjust_nb_rx_tx_desc(port->id, &n_rx_desc, &n_tx_desc) != 0) {
		n_rx_desc = HW_DESC;
		n_tx_desc = HW_DESC;
	}
	for (unsigned q = 0; q < request->queues; q++) {
		int before[MAX_FDS];
		unsigned n_before = list_fds(before, MAX_FDS);

		port->queues[q].fd = -1;
		port->queues[q].proof_left = HW_PROOF_FRAMES;
		rc = rte_eth_rx_queue_setup(port->id, (uint16_t)q, n_rx_desc,
		    (unsigned)rte_eth_dev_socket_id(port->id), NULL,
		    hw->workers[q % hw->n_workers].pool);
		if (!rc)
			rc = rte_eth_tx_queue_setup(port->id, (uint16_t)q, n_tx_desc,
			    (unsigned)rte_eth_dev_socket_id(port->id), NULL);
		if (rc)
			return hw_fail(ret_error, -rc,
			    "port %s (%s): queue pair %u of %u could not be set up (%s): %s",
			    request->name, request->device, q + 1, request->queues,
			    rte_strerror(-rc), hw_eal_words());
		if (strncmp(name, "net_af_xdp", 10) == 0)
			port->queues[q].fd = new_xdp_socket(before, n_before);
	}
	rc = set_mtu(port, request, ret_error);
	if (rc)
		return rc;
	rc = rte_eth_dev_start(port->id);
	if (rc)
		return hw_fail(ret_error, -rc, "port %s (%s): could not be started (%s): %s",
		    request->name, request->device, rte_strerror(-rc), hw_eal_words());

	/* neighbour discovery is multicast (RFC 4861) */
	if (rte_eth_allmulticast_enable(port->id) != 0 && physical)
		rte_eth_promiscuous_enable(port->id);
	rc = rte_eth_macaddr_get(port->id, &mac);
	if (rc)
		return hw_fail(ret_error, -rc, "port %s (%s): has no MAC address", request->name,
		    request->device);
	memcpy(port->info.mac, mac.addr_bytes, 6);

	if (physical && (conf.txmode.offloads & RTE_ETH_TX_OFFLOAD_TCP_CKSUM)) {
		if (tx_offload_accepted(hw, port->id, RTE_MBUF_F_TX_IP_CKSUM))
			port->info.tx_caps |= FRAME_TX_IP_CSUM;
		if (tx_offload_accepted(
			hw, port->id, RTE_MBUF_F_TX_IP_CKSUM | RTE_MBUF_F_TX_TCP_CKSUM))
			port->info.tx_caps |= FRAME_TX_TCP_CSUM;
	}

	if (strncmp(name, "net_af_packet", 13) == 0 &&
	    hw_device_arg(request->device, "iface", iface, sizeof(iface)))
		find_packet_sockets(port, iface);
	else if (conf.intr_conf.rxq) {
		for (unsigned q = 0; q < request->queues; q++)
			port->queues[q].fd = rte_eth_dev_rx_intr_ctl_q_get_fd(port->id, (uint16_t)q);
	}
	port->info.interrupts = true;
	for (unsigned q = 0; q < request->queues; q++)
		port->info.interrupts &= port->queues[q].fd >= 0;
	return 0;
}

void hw_device_close(struct hw_port *port)
{
	if (!rte_eth_dev_is_valid_port(port->id))
		return;
	rte_eth_dev_stop(port->id);
	rte_eth_dev_close(port->id);
}
