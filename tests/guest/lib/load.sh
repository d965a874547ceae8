# SPDX-License-Identifier: GPL-2.0
#
# Work that goes on during sleeps, and is checked after them.

# Writes to the disks in these slots and verifies what was written, until stopped.
start_load() {
	local jobs slot
	[ ! -e /tmp/load-pid ] || return 0
	mount_tools || return
	jobs=
	for slot; do
		scan_scsi "$slot"
		await 10 disk_of "$slot" || return
		jobs="$jobs --name=load-$slot --filename=$(disk_of "$slot")"
	done
	(
		# shellcheck disable=SC2086
		run_fio --bssplit=4k/60:16k/35:64k/5 --size=8m --iodepth=4 --time_based --runtime=1d \
			--verify=xxhash --verify_backlog=8 --rate_iops=50 $jobs >/tmp/load 2>&1 &
		echo $! >/tmp/load-pid
		wait $!
		echo $? >/tmp/load-status
	) </dev/null >/dev/null 2>&1 &
	load_is_moving "$@"
}

# The load still runs: it has met no error, and it reads and writes each disk.
load_is_moving() {
	local load
	load_done "$@" && await_load true
}

# Sets $load to what each disk has done so far: its name, reads, writes.
load_done() {
	local disk reads slot writes
	load=
	for slot; do
		find_disk "$slot" || { echo "$disk"; return 1; }
		read -r reads _ _ _ writes _ <"/sys/block/${disk#/dev/}/stat" || return
		load="$load ${disk#/dev/} $reads $writes"
	done
	[ -n "$load" ] || { echo "no load"; return 1; }
}

# Each disk does more than it had done at load_done, and $1 comes true. What is seen after one pause is
# seen for all of them: in a VM that is interpreted a pause takes longer than what it waits for. Both
# reads and writes go on, and more than were in flight, which may have failed.
await_load() {
	await 40 moves_on "$1" || { what_stands_still; return 1; }
	[ ! -e /tmp/load-status ] || {
		cat /tmp/load
		echo "the load ended with status $(cat /tmp/load-status)"
		return 1
	}
}

# What does not move on, and where it waits.
what_stands_still() {
	local disk pid task
	echo "counted $ticks, before $counted; reads and writes before:$load"
	for disk in /sys/block/[sv]d?; do
		echo "$disk: $(cat "$disk/stat")"
	done
	for pid in $(cat /tmp/counter.pid) $(pidof fio fio.real ld-linux-x86-64.so.2); do
		for task in /proc/"$pid"/task/*; do
			echo "$task: $(grep State "$task/status") $(tr '\n' ' ' <"$task/stack")"
		done
	done
}

moves_on() {
	"$1" || return
	# shellcheck disable=SC2086
	load_moved $load
}

load_moved() {
	local reads writes
	[ ! -e /tmp/load-status ] || return 0
	while [ $# -gt 0 ]; do
		read -r reads _ _ _ writes _ <"/sys/block/$1/stat" || return
		[ "$reads" -gt "$2" ] && [ "$writes" -gt "$3" ] || return
		[ $((reads + writes)) -gt $(($2 + $3 + 4)) ] || return
		shift 3
	done
}

# Stops the load; what it wrote must have verified all the way.
stop_load() {
	local errors slot
	kill -TERM "$(cat /tmp/load-pid)"
	await 60 test -e /tmp/load-status || return
	rm /tmp/load-pid /tmp/load-status
	errors=$(grep ';load-' /tmp/load | cut -d ';' -f 5 | tr '\n' ' ')
	[ "$errors" = "$(for slot; do printf '0 '; done)" ] || {
		cat /tmp/load
		echo "fio's errors for the disks in slots $*: $errors"
		return 1
	}
}

# A process that only counts: after a sleep it must be the same one, counting on.
start_counter() {
	local count ticks
	(
		count=0
		while :; do
			count=$((count + 1))
			echo $count >/tmp/counter
			sleep 0.1
		done
	) </dev/null >/dev/null 2>&1 &
	echo $! >/tmp/counter.pid
	await 10 read_counter
}

# Everything that must go on across a sleep: I/O on the disks in these slots, and a process.
start_work() {
	[ -e /tmp/counter ] || start_counter || return
	start_load "$@" && identity
}

# The same process counts on, the disks are read and written on, and nothing was lost.
check_work() {
	local counted load ticks
	await 10 read_counter && counted=$ticks && load_done "$@" && await_load counter_moved && identity
}

# The boot, the counting process and when it was started.
identity() {
	local boot pid stat
	read -r boot </proc/sys/kernel/random/boot_id && read -r pid </tmp/counter.pid &&
		read -r stat <"/proc/$pid/stat" || return
	# shellcheck disable=SC2086
	set -- $stat
	shift 21
	echo "$boot $pid $1"
}

# Sets $ticks to how far it has counted; not in the moment when the number is being written, when it may
# be anything.
read_counter() {
	read -r ticks </tmp/counter
}

# It counts on. Sets $ticks.
counter_moved() {
	read_counter && [ "$ticks" -ne "$counted" ]
}

# Sets $failures to the failures that the PM core counted, and $successes to how often a suspend
# succeeded.
read_stats() {
	local failed file
	failures=
	for file in /sys/power/suspend_stats/fail* /sys/power/suspend_stats/last_failed_dev; do
		# It is empty if no device has failed.
		read -r failed <"$file" || failed=
		failures="$failures ${file##*/}:$failed"
	done
	read -r successes </sys/power/suspend_stats/success || return
}

# After $2 sleeps to the state $1, the PM core counts no other failure than before, and this many more
# successes, which it does for suspends only.
check_stats() {
	local before="$failures" expected="$successes" failures successes
	[ "$1" != mem ] || expected=$((expected + $2))
	read_stats || return
	[ "$failures" = "$before" ] || { echo "suspend_stats: $failures"; return 1; }
	[ "$successes" -eq "$expected" ] || { echo "$successes successes, not $expected"; return 1; }
}
