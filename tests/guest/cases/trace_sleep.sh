# SPDX-License-Identifier: GPL-2.0
#
# A suspend and a hibernation as timelines: what ftrace tells, and the guest's clock beside the host's.

TRACING=/sys/kernel/tracing

# Records the events power:*, but for idle processors, which go to sleep a thousand times a second.
trace_power() {
	local idle
	[ -e $TRACING/trace ] || mount -t tracefs trace $TRACING || return
	echo 0 >$TRACING/tracing_on
	# The clock of the kernel log.
	echo global >$TRACING/trace_clock || return
	echo 16384 >$TRACING/buffer_size_kb && echo 1 >$TRACING/events/power/enable || return
	for idle in "$TRACING"/events/power/cpu_idle*; do
		[ ! -d "$idle" ] || echo 0 >"$idle/enable"
	done
	echo >$TRACING/trace
	echo 1 >$TRACING/tracing_on
}

# Has the driver of the disk in slot $2 write its configuration, which it does at no other time, with lines in
# ftrace that have the name $1 before and after: by these the host finds the time of the access in ftrace.
look_at_clocks() {
	local cache disk type
	# find_disk() sets it.
	# shellcheck disable=SC2154
	find_disk "$2" || { echo "$disk"; return 1; }
	cache=/sys/block/${disk#/dev/}/cache_type
	read -r type <"$cache" || return
	echo "vmtest $1 begin" >$TRACING/trace_marker
	echo "$type" >"$cache" || return
	echo "vmtest $1 end" >$TRACING/trace_marker
}

# A line by which sleepgraph finds the sleep.
sleepgraph_line() {
	echo "$1 $(date +%Y%m%d-%H:%M:%S).000000" >$TRACING/trace_marker
}

# What was recorded.
power_trace() {
	echo 0 >$TRACING/tracing_on
	cat $TRACING/trace
}
