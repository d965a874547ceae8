# SPDX-License-Identifier: GPL-2.0
#
# A network interface of several pairs of queues; the host answers pings at 10.0.3.1.

# Sets the number of pairs of queues of the interface in a slot.
set_pairs() {
	local interface
	mount_tools || return
	interface=$(interface_of "$1") || { echo "$interface"; return 1; }
	ethtool -L "$interface" combined "$2"
}

has_pairs() {
	local interface pairs
	interface=$(interface_of "$1") || { echo "$interface"; return 1; }
	pairs=$(ethtool -l "$interface" | awk '$1 == "Combined:" { last = $2 } END { print last }')
	[ "$pairs" = "$2" ] || { echo "$interface has $pairs pairs of queues, not $2"; return 1; }
}

# Each processor sends, by the queue that belongs to it, and hears an answer.
check_pairs() {
	local cpu
	# shellcheck disable=SC2013
	for cpu in $(awk -F: '$1 ~ /^processor/ { print $2 + 0 }' /proc/cpuinfo); do
		taskset -c "$cpu" ping -c 3 -i 0.05 -s 1400 -W 5 10.0.3.1 >/tmp/ping-said || {
			echo "no answer to processor $cpu"
			cat /tmp/ping-said
			return 1
		}
	done
}

# Sends pings until stopped.
start_pings() {
	local count interface
	interface=$(interface_of "$1") || { echo "$interface"; return 1; }
	ip link set "$interface" up || return
	ip addr replace 10.0.3.2/24 dev "$interface"
	(
		count=0
		rm -f /tmp/pings-stop
		while [ ! -e /tmp/pings-stop ]; do
			! ping -c 1 -W 2 10.0.3.1 >/dev/null || count=$((count + 1))
			# A reader sees the number before or the number after, and no empty file.
			echo $count >/tmp/pings-now && mv /tmp/pings-now /tmp/pings
			sleep 0.05
		done
		rm -f /tmp/pings-stop
	) </dev/null >/dev/null 2>&1 &
	await 20 test -s /tmp/pings
}

pings_pass() {
	[ "$(cat /tmp/pings)" -gt "$1" ]
}

pings_go_on() {
	local before pid
	before=$(cat /tmp/pings)
	await 20 pings_pass "$before" || {
		echo "no answer after $before answers"
		grep virtio /proc/interrupts
		for pid in $(pidof ping); do
			echo "$pid: $(grep State "/proc/$pid/status") $(tr '\n' ' ' <"/proc/$pid/stack")"
		done
		return 1
	}
}

stop_pings() {
	touch /tmp/pings-stop
	await 20 test ! -e /tmp/pings-stop
}
