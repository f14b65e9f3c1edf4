# SPDX-License-Identifier: BSD-3-Clause
# Shell functions that hw/quickstart and tests/run share: what is said to the person in front of
# the terminal, missing packages, the build. Sourced by bash; functions begin with lib_. Kept apart
# from lab.sh, which makes namespaces and a mail server: a build machine needs only this.

lib_hw=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
lib_top=$(dirname "$lib_hw")

if [ -t 2 ]; then lib_tty=1; else lib_tty=0; fi

lib_say() { printf '%s\n' "$*" >&2; }
lib_step() { if [ $lib_tty = 1 ]; then printf '\033[1m==> %s\033[0m\n' "$*" >&2; else printf '==> %s\n' "$*" >&2; fi; }
lib_die() { printf 'error: %s\n' "$*" >&2; exit 1; }

# A line that is overwritten by the next one; on a file, nothing.
lib_progress() { if [ $lib_tty = 1 ]; then printf '\r\033[K    %s' "$*" >&2; fi; }
lib_progress_end() { if [ $lib_tty = 1 ]; then printf '\r\033[K' >&2; fi; }

lib_need_root() {
	[ "$(id -u)" = 0 ] || lib_die "$1 makes network namespaces and installs packages: run it as root (sudo $1)"
}

# Packages of FILE that are not installed, one a line.
lib_missing_packages() {
	local wanted have
	wanted=$(sed 's/#.*//' "$1" | tr -s ' \t' '\n' | sed '/^$/d' | sort -u)
	# shellcheck disable=SC2086
	have=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' $wanted 2>/dev/null | sed -n 's/^installed //p' | sort -u)
	comm -23 <(printf '%s\n' "$wanted") <(printf '%s\n' "$have")
}

# Installs what FILE (default packages.txt) names and the host lacks. No daemon is started by it:
# policy-rc.d says no while packages are configured, and Postfix is left without configuration.
lib_install_packages() {
	local file=${1:-$lib_hw/packages.txt} missing log policy=/usr/sbin/policy-rc.d made_policy=0 rc=0
	command -v dpkg-query >/dev/null || lib_die "this host has no dpkg: install what $file names by hand"
	missing=$(lib_missing_packages "$file")
	[ -n "$missing" ] || return 0
	lib_step "installing $(echo "$missing" | wc -l) missing Debian packages: $(echo $missing)"
	[ "$(id -u)" = 0 ] || lib_die "packages are missing and only root can install them: sudo apt-get install $(echo $missing)"
	log=$(mktemp /tmp/postern-apt.XXXXXX)
	if [ ! -e $policy ]; then
		printf '#!/bin/sh\nexit 101\n' >$policy && chmod 755 $policy && made_policy=1
	fi
	if echo "$missing" | grep -qx postfix; then
		echo "postfix postfix/main_mailer_type select No configuration" | debconf-set-selections
	fi
	lib_progress "apt-get update"
	apt-get update >>"$log" 2>&1 || lib_say "    apt-get update failed; trying with the lists at hand"
	# shellcheck disable=SC2086
	{
		DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
			-o APT::Status-Fd=3 $missing 3>&1 >>"$log" 2>&1 || echo "failed:::"
	} | while IFS=: read -r kind package percent what; do
		case $kind in
		dlstatus) lib_progress "${percent%%.*} % downloading" ;;
		pmstatus) lib_progress "${percent%%.*} % $what" ;;
		failed) exit 1 ;;
		esac
	done || rc=1
	lib_progress_end
	[ $made_policy = 1 ] && rm -f $policy
	if [ $rc != 0 ]; then
		tail -15 "$log" >&2
		lib_die "apt-get could not install the packages; its whole output is in $log"
	fi
	rm -f "$log"
}

# lib_build DIR [meson options...]: configures once, then builds with a line of progress.
lib_build() {
	local dir=$1 log rc
	shift
	log=$(mktemp /tmp/postern-build.XXXXXX)
	if [ ! -f "$dir/build.ninja" ]; then
		lib_progress "meson setup $dir"
		if ! meson setup "$dir" "$lib_top" "$@" >"$log" 2>&1; then
			lib_progress_end
			tail -15 "$log" >&2
			lib_die "the build could not be configured; its whole output is in $log"
		fi
	fi
	# ninja says "[n/m] what" once a line when its output is no terminal
	(set -o pipefail; ninja -C "$dir" 2>&1 | tee "$log" | while read -r count what; do
		case $count in \[*) lib_progress "building $count ${what##* }" ;; esac
	done) && rc=0 || rc=1
	lib_progress_end
	if [ $rc != 0 ]; then
		grep -E -A8 'error|FAILED' "$log" | head -40 >&2
		lib_die "the build failed; its whole output is in $log"
	fi
	rm -f "$log"
}
