#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Keeps hw/lab.sh's functions and state for tests/e2e/lab.py: reads one shell command a line from
# standard input, runs it, answers with its exit status; its output lies in LAB_DIR/.out. End of
# input, for whatever reason (the tests' own death too), removes all that was made.
# A process that stays, rather than one call of bash per command, since lab.sh keeps its state
# (names, Postfix instances, the trap that cleans up) in shell variables.
set -u
. "$(dirname "${BASH_SOURCE[0]}")/../../hw/lab.sh"
lab_init "${1:-e2e}" || exit 1
exec 3>&1 1>&2

# A wire that loses packets: lab.sh's direct pair becomes two pairs and a bridge in a namespace of
# their own, where nftables drops in both directions. On the peers' own input only one direction
# could be lost, since AF_PACKET sees what comes in before any hook does; and a drop on output is
# told to the sender's TCP.
LAB_BRIDGE=$LAB_NAME-br
lab_bridged_wires() {
	ip netns add "$LAB_BRIDGE" || return 1
	ip netns exec "$LAB_BRIDGE" sysctl -q -w net.ipv6.conf.default.disable_ipv6=1 \
		net.ipv6.conf.all.disable_ipv6=1
	eval "$(declare -f lab_veth | sed '1s/lab_veth/lab_plain_veth/')"
	lab_veth() { # app outside|inside peer wire
		lab_plain_veth "$1" "$2" "$LAB_BRIDGE" "$2-a" && lab_plain_veth "$3" "$4" "$LAB_BRIDGE" "$2-b" &&
			ip -n "$LAB_BRIDGE" link add "br-$2" type bridge mcast_snooping 0 &&
			ip -n "$LAB_BRIDGE" link set "$2-a" master "br-$2" up &&
			ip -n "$LAB_BRIDGE" link set "$2-b" master "br-$2" up &&
			ip -n "$LAB_BRIDGE" link set "br-$2" up
	}
	lab_wires
}

# lab_bridge_loss PERMILLE: of the TCP segments of each direction of each wire; 0 takes it away.
lab_bridge_loss() {
	ip netns exec "$LAB_BRIDGE" nft delete table bridge postern_lab 2>/dev/null
	[ "$1" = 0 ] && return 0
	ip netns exec "$LAB_BRIDGE" nft -f - <<NFT
table bridge postern_lab {
	counter lost { }
	chain on_the_way {
		type filter hook forward priority 0;
		ether type { ip, ip6 } meta l4proto tcp numgen random mod 1000 < $1 counter name lost drop
	}
}
NFT
}

lab_bridge_lost() { # how many so far
	ip netns exec "$LAB_BRIDGE" nft list counter bridge postern_lab lost |
		sed -n 's/.*packets \([0-9]*\).*/\1/p'
}

clean_up() {
	lab_clean
	[ ! -e "/run/netns/$LAB_BRIDGE" ] || ip netns del "$LAB_BRIDGE"
}
trap clean_up EXIT

printf '%s\n' "$LAB_DIR $LAB_NET $LAB_APP $LAB_MAIL" >&3
while IFS= read -r line; do
	eval "$line" </dev/null >"$LAB_DIR/.out" 2>&1 3>&-
	printf '%s\n' $? >&3
done
