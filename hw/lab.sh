# SPDX-License-Identifier: BSD-3-Clause
# A laboratory on one machine: three network namespaces of our own (net: the internet, app: the
# appliance, mail: the backends) joined by veth pairs, and real Postfix instances that deliver to
# Maildirs. Sourced by bash (hw/quickstart, tests/e2e); functions begin with lab_.
#
#	. hw/lab.sh
#	lab_init [NAME]              makes LAB_DIR and reserves the names; sets the EXIT trap
#	lab_wires                    namespaces and veth pairs
#	lab_postfix mail1 198.51.100.10 2001:db8:2::10     a Postfix instance on those addresses
#	lab_net COMMAND...           runs it in the internet's namespace (lab_app, lab_mail likewise)
#	lab_clean                    removes all of it; also on EXIT, INT and TERM
#
# Addresses are RFC 5737 and RFC 3849 ones; nothing leaves the namespaces: they have no way out.
# The appliance's ends ("outside", "inside") carry no address and no IPv6, so that its kernel
# says nothing: only postern-dataplane speaks there. The peers' checksum and segmentation offloads
# are off, or AF_PACKET would show half-made checksums and frames larger than the MTU.
#
#	net  wire     192.0.2.1/24  2001:db8:1::1/64   <->  outside   192.0.2.25, 2001:db8:1::25  app
#	mail wire     198.51.100.1/24 2001:db8:2::1/64 <->  inside    198.51.100.2, 2001:db8:2::2 app
#
# Kept in bash instead of a container engine: nothing to install, nothing left behind.

LAB_MTU=${LAB_MTU:-1500}
LAB_QUEUES=${LAB_QUEUES:-1} # queue pairs of each veth end

lab_init() {
	LAB_NAME=${1:-postern}-$$
	LAB_DIR=$(mktemp -d "/tmp/$LAB_NAME.XXXXXX") || return 1
	chmod 755 "$LAB_DIR" # Postfix's own users pass through
	LAB_NET=$LAB_NAME-net LAB_APP=$LAB_NAME-app LAB_MAIL=$LAB_NAME-mail
	LAB_POSTFIX=() LAB_PIDS=()
	trap lab_clean EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM
}

lab_net() { ip netns exec "$LAB_NET" "$@"; }
lab_app() { ip netns exec "$LAB_APP" "$@"; }
lab_mail() { ip netns exec "$LAB_MAIL" "$@"; }

# lab_clean runs twice without harm.
lab_clean() {
	local i pid ns dir
	trap '' INT TERM
	for pid in "${LAB_PIDS[@]}"; do
		kill -TERM "$pid" 2>/dev/null
	done
	for ((i = 0; i < 50; i++)); do
		local alive=0
		for pid in "${LAB_PIDS[@]}"; do kill -0 "$pid" 2>/dev/null && alive=1; done
		[ $alive = 1 ] || break
		sleep 0.1
	done
	for pid in "${LAB_PIDS[@]}"; do kill -KILL "$pid" 2>/dev/null; done
	LAB_PIDS=()
	for dir in "${LAB_POSTFIX[@]}"; do lab_postfix_stop "$(basename "$dir")"; done
	LAB_POSTFIX=()
	for ns in "$LAB_NET" "$LAB_APP" "$LAB_MAIL"; do
		[ -e "/run/netns/$ns" ] || continue
		# what still runs in a namespace of ours was started by us
		for pid in $(ip netns pids "$ns" 2>/dev/null); do kill -KILL "$pid" 2>/dev/null; done
		ip netns del "$ns"
	done
	[ -n "$LAB_DIR" ] && [ -z "${LAB_KEEP:-}" ] && rm -rf "$LAB_DIR"
	trap - EXIT INT TERM
	return 0
}

# Starts COMMAND in the background in namespace NS, output to LAB_DIR/NAME.log, pid in LAB_PID.
# lab_start NAME NS COMMAND...
lab_start() {
	local name=$1 ns=$2
	shift 2
	ip netns exec "$ns" "$@" >>"$LAB_DIR/$name.log" 2>&1 </dev/null &
	LAB_PID=$!
	LAB_PIDS+=("$LAB_PID")
}

# lab_stop PID [SIGNAL]: ends one started by lab_start, waits, gives back its exit status.
lab_stop() {
	local pid=$1 rc p kept=()
	kill "-${2:-TERM}" "$pid" 2>/dev/null
	wait "$pid" 2>/dev/null
	rc=$?
	for p in "${LAB_PIDS[@]}"; do [ "$p" = "$pid" ] || kept+=("$p"); done
	LAB_PIDS=("${kept[@]}")
	return $rc
}

# lab_until SECONDS COMMAND...: asks every 50 ms until COMMAND says yes.
lab_until() {
	local end=$((SECONDS + $1))
	shift
	until "$@" >/dev/null 2>&1; do
		[ $SECONDS -lt $end ] || return 1
		sleep 0.05
	done
}

# True when somebody accepts TCP on ADDRESS PORT as seen from namespace NS.
lab_listening() { # NS ADDRESS PORT
	ip netns exec "$1" timeout 2 bash -c "exec 3<>/dev/tcp/$2/$3" 2>/dev/null
}

# ---- wires ----

# lab_veth NS_A NAME_A NS_B NAME_B: a pair with offloads off. Made in its final namespaces, so that
# no name can clash with another laboratory's.
lab_veth() {
	local ns
	ip -n "$1" link add "$2" numtxqueues "$LAB_QUEUES" numrxqueues "$LAB_QUEUES" mtu "$LAB_MTU" \
		type veth peer name "$4" netns "$3" numtxqueues "$LAB_QUEUES" numrxqueues "$LAB_QUEUES" \
		mtu "$LAB_MTU" || return 1
	for ns in "$1 $2" "$3 $4"; do
		# shellcheck disable=SC2086
		set -- $ns
		ip netns exec "$1" ethtool -K "$2" tx off rx off tso off gso off gro off >/dev/null 2>&1
	done
}

lab_wires() {
	local ns
	for ns in "$LAB_NET" "$LAB_APP" "$LAB_MAIL"; do
		ip netns add "$ns" || return 1
		ip -n "$ns" link set lo up
		ip netns exec "$ns" sysctl -q -w net.ipv6.conf.default.accept_dad=0 \
			net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_ra=0 \
			net.ipv4.conf.default.rp_filter=0 net.ipv4.conf.all.rp_filter=0 2>/dev/null
	done
	# the appliance's kernel says nothing on its ports
	lab_app sysctl -q -w net.ipv6.conf.default.disable_ipv6=1 net.ipv6.conf.all.disable_ipv6=1
	lab_veth "$LAB_APP" outside "$LAB_NET" wire || return 1
	lab_veth "$LAB_APP" inside "$LAB_MAIL" wire || return 1
	ip -n "$LAB_APP" link set outside up arp off
	ip -n "$LAB_APP" link set inside up arp off

	ip -n "$LAB_NET" link set wire up
	ip -n "$LAB_NET" addr add 192.0.2.1/24 dev wire
	ip -n "$LAB_NET" addr add 2001:db8:1::1/64 dev wire nodad
	ip -n "$LAB_MAIL" link set wire up
	ip -n "$LAB_MAIL" addr add 198.51.100.1/24 dev wire
	ip -n "$LAB_MAIL" addr add 2001:db8:2::1/64 dev wire nodad
}

# More client addresses in the internet's namespace (a sender binds to one of them).
lab_client_addresses() {
	local a
	for a; do
		case $a in
		*:*) ip -n "$LAB_NET" addr add "$a/128" dev wire nodad ;;
		*) ip -n "$LAB_NET" addr add "$a/32" dev wire ;;
		esac || return 1
	done
}

# lab_loss NS PERMILLE: drops so many of a thousand packets that come in; 0 takes it away. On
# input only: a drop on output is told to the sender's TCP and shows another behaviour.
lab_loss() {
	ip netns exec "$1" nft delete table inet postern_lab 2>/dev/null
	[ "$2" = 0 ] && return 0
	ip netns exec "$1" nft -f - <<NFT
table inet postern_lab {
	chain in {
		type filter hook input priority 0;
		iifname "wire" meta l4proto tcp numgen random mod 1000 < $2 drop
	}
}
NFT
}

# ---- mail servers ----

# lab_postfix NAME ADDRESS...: a Postfix of its own (configuration, queue, data, log and Maildir
# under LAB_DIR/NAME; /etc/postfix is neither read nor written). Port 25 wants a PROXY header, port
# 2525 takes plain SMTP (health, direct comparison, PROXY-less pools), 2526 allows XCLIENT.
# Recipients @example.org and @sub.example.org go to LAB_DIR/NAME/mail; nosuch@ is refused (550),
# full@ deferred (452).
lab_postfix() {
	local name=$1 dir=$LAB_DIR/$1 a names=""
	shift
	for a; do
		case $a in
		*:*) ip -n "$LAB_MAIL" addr replace "$a/64" dev wire nodad && names="$names, [$a]" ;;
		*) ip -n "$LAB_MAIL" addr replace "$a/24" dev wire && names="$names, $a" ;;
		esac || return 1
	done
	mkdir -p "$dir/etc" "$dir/queue" "$dir/data" "$dir/mail"
	chown postfix "$dir/data" "$dir/mail"
	cat >"$dir/etc/main.cf" <<MAIN
compatibility_level = 3.6
myhostname = $name.example.org
mydestination =
inet_interfaces = ${names#, }
inet_protocols = all
mynetworks = 127.0.0.1/32
queue_directory = $dir/queue
data_directory = $dir/data
maillog_file = $dir/maillog
maillog_file_prefixes = $dir
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
sendmail_path = /usr/sbin/sendmail
newaliases_path = /usr/bin/newaliases
mailq_path = /usr/bin/mailq
html_directory = no
manpage_directory = /usr/share/man
readme_directory = no
shlib_directory = /usr/lib/postfix
meta_directory = /etc/postfix
setgid_group = postdrop
mail_owner = postfix
alias_maps =
alias_database =
local_recipient_maps =
virtual_mailbox_domains = example.org, sub.example.org
virtual_mailbox_maps = static:inbox/
virtual_mailbox_base = $dir/mail
virtual_uid_maps = static:$(id -u postfix)
virtual_gid_maps = static:$(id -g postfix)
virtual_minimum_uid = 1
virtual_mailbox_limit = 0
mailbox_size_limit = 0
message_size_limit = 67108864
relay_domains =
relayhost =
default_transport = error:outside mail is not sent from the laboratory
smtpd_peername_lookup = no
smtp_dns_support_level = disabled
smtpd_recipient_restrictions =
	check_recipient_access inline:{ {nosuch@example.org = 550 5.1.1 No such user here}, {full@example.org = 452 4.2.2 Mailbox full} },
	reject_unauth_destination
smtpd_client_connection_count_limit = 0
smtpd_client_connection_rate_limit = 0
smtpd_client_message_rate_limit = 0
smtpd_client_recipient_rate_limit = 0
smtpd_error_sleep_time = 0
smtpd_soft_error_limit = 1000
smtpd_hard_error_limit = 1000
default_process_limit = ${LAB_POSTFIX_PROCESSES:-300}
in_flow_delay = 0
qmgr_message_active_limit = 50000
qmgr_message_recipient_limit = 50000
virtual_destination_concurrency_limit = 20
MAIN
	cat >"$dir/etc/master.cf" <<MASTER
25        inet  n - n - - smtpd -o smtpd_upstream_proxy_protocol=haproxy
2525      inet  n - n - - smtpd
2526      inet  n - n - - smtpd -o smtpd_authorized_xclient_hosts=198.51.100.0/24,[2001:db8:2::]/64
pickup    unix  n - n 60 1 pickup
cleanup   unix  n - n - 0 cleanup
qmgr      unix  n - n 300 1 qmgr
rewrite   unix  - - n - - trivial-rewrite
bounce    unix  - - n - 0 bounce
defer     unix  - - n - 0 bounce
trace     unix  - - n - 0 bounce
verify    unix  - - n - 1 verify
flush     unix  n - n 1000? 0 flush
proxymap  unix  - - n - - proxymap
proxywrite unix - - n - 1 proxymap
smtp      unix  - - n - - smtp
error     unix  - - n - - error
retry     unix  - - n - - error
discard   unix  - - n - - discard
virtual   unix  - n n - - virtual
anvil     unix  - - n - 1 anvil
showq     unix  n - n - - showq
postlog   unix-dgram n - n - 1 postlogd
MASTER
	lab_mail postfix -c "$dir/etc" start >>"$LAB_DIR/$name.log" 2>&1 || {
		cat "$LAB_DIR/$name.log" >&2
		return 1
	}
	LAB_POSTFIX+=("$dir")
	lab_until 20 lab_listening "$LAB_MAIL" "${1%%/*}" 2525
}

# lab_postfix_stop NAME [kill]: in order, or with kill -9 to all of its processes at once.
lab_postfix_stop() {
	local dir=$LAB_DIR/$1 pid d kept=()
	pid=$(cat "$dir/queue/pid/master.pid" 2>/dev/null)
	pid=$((pid + 0))
	if [ $pid -gt 1 ] && kill -0 $pid 2>/dev/null; then
		if [ "${2:-}" = kill ]; then
			# the master's children lead no group of their own: they are named one by one
			kill -KILL $pid $(cat "/proc/$pid/task/$pid/children" 2>/dev/null) 2>/dev/null
		else
			lab_mail postfix -c "$dir/etc" stop >/dev/null 2>&1
		fi
	fi
	for d in "${LAB_POSTFIX[@]}"; do [ "$d" = "$dir" ] || kept+=("$d"); done
	LAB_POSTFIX=("${kept[@]}")
	return 0
}

lab_postfix_restart() { # NAME, stopped before
	lab_mail postfix -c "$LAB_DIR/$1/etc" start >>"$LAB_DIR/$1.log" 2>&1 && LAB_POSTFIX+=("$LAB_DIR/$1")
}

# Files of the messages delivered by NAME; how many; how many wait in its queue.
lab_messages() { find "$LAB_DIR/$1/mail/inbox/new" "$LAB_DIR/$1/mail/inbox/cur" -type f 2>/dev/null; }
lab_message_count() { lab_messages "$1" | wc -l; }
lab_queue_count() { find "$LAB_DIR/$1"/queue/{incoming,active,deferred} -type f 2>/dev/null | wc -l; }
lab_delivered() { [ "$(lab_message_count "$1")" -ge "$2" ] && [ "$(lab_queue_count "$1")" = 0 ]; } # NAME N
