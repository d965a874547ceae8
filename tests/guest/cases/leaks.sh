# SPDX-License-Identifier: GPL-2.0
#
# Leaks, which kmemleak finds.

KMEMLEAK=/sys/kernel/debug/kmemleak

# The checks that switch themselves off are still on.
check_watching() {
	grep -q '^ debug_locks: *1$' /proc/lockdep_stats || { echo "lockdep is off"; return 1; }
	echo scan=off >$KMEMLEAK || { echo "kmemleak is off"; return 1; }
}

# The stacks of tasks that have ended are kept for new ones, and kmemleak takes what lies there for
# references. New tasks on each processor clear them.
clear_old_stacks() {
	local cpu
	cpu=0
	while [ $cpu -lt "$(nproc)" ]; do
		# shellcheck disable=SC2016
		taskset -c $cpu sh -c 'for _ in $(seq 16); do sleep 0.2 & done; wait'
		cpu=$((cpu + 1))
	done
}

# All that was allocated can still be reached.
check_leaks() {
	check_watching || return
	# An object counts if it is five seconds old and has not changed since the scan before.
	sleep 6
	clear_old_stacks
	echo scan >$KMEMLEAK && clear_old_stacks && echo scan >$KMEMLEAK || return
	cat $KMEMLEAK >/tmp/leaks
	[ ! -s /tmp/leaks ] || { cat /tmp/leaks; return 1; }
}
