# SPDX-License-Identifier: GPL-2.0
#
# Suspend to memory and to disk, with work going on that must survive it.

# Writes to the disks in these slots and verifies what was written, until stopped.
start_load() {
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
	load_done "$@" && await_load true
}

# Sets $load to what each disk has done so far: its name, reads, writes.
load_done() {
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
	await 10 read_counter && counted=$ticks && load_done "$@" && await_load counter_moved && identity
}

# The boot, the counting process and when it was started.
identity() {
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

counter_moved() {
	read_counter && [ "$ticks" -ne "$counted" ]
}

# Sets $failures to the failures that the PM core counted, and $successes to how often a suspend
# succeeded.
read_stats() {
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
	expected=$successes before=$failures
	[ "$1" != mem ] || expected=$((successes + $2))
	read_stats || return
	[ "$failures" = "$before" ] || { echo "suspend_stats: $failures"; return 1; }
	[ "$successes" -eq "$expected" ] || { echo "$successes successes, not $expected"; return 1; }
}

# Nothing in the kernel is about to print. printk() on one processor while another one suspends the
# consoles gives a warning of the kernel (nbcon_kthreads_wake). The log is moved to a file, or to
# search it would take longer each time.
kernel_is_silent() {
	tsc_is_calibrated || return
	[ -e /sys/class/nvme/nvme0 ] || { dmesg -c >>/tmp/log; return; }
	read -r nvme_state </sys/class/nvme/nvme0/state || return
	[ "$nvme_state" = live ] || return
	dmesg -c >/tmp/said
	while read -r line; do
		echo "$line"
		case $line in
		# The disk with the tools was found after the last sleep: its driver prints long after
		# that has ended.
		*"nvme0: "*" queues") echo "is being looked at" >/tmp/tools ;;
		*"nvme0: Ignoring bogus"*) echo "found" >/tmp/tools ;;
		esac
	done </tmp/said >>/tmp/log
	read -r tools </tmp/tools && [ "$tools" = found ]
}

# The kernel measures the TSC once, in the background, and says so about two seconds after the boot.
tsc_is_calibrated() {
	[ ! -e /tmp/calibrated ] || return 0
	grep -q tsc /sys/devices/system/clocksource/clocksource0/available_clocksource || return 0
	read -r uptime _ </proc/uptime
	[ "${uptime%.*}" -ge 15 ] || dmesg | grep -q 'tsc: Refined' || return
	touch /tmp/calibrated
}

# Goes to the state $1 (mem or disk), and returns when the machine has woken up.
go_to_sleep() {
	await 20 kernel_is_silent && echo "$1" >/sys/power/state
}

# This kernel can go to the state $1.
needs_state() {
	has_word /sys/power/state "$1" || lacks "this kernel has no $1 in /sys/power/state"
}

# This kernel can hibernate in the mode $1.
needs_hibernation() {
	needs_state disk
	has_word /sys/power/disk "$1" || lacks "this kernel has no $1 in /sys/power/disk"
}

# This kernel can go to the state $1, and as far as the test level $2. Older ones wait five seconds there
# in a hibernation, whatever they are told, and on a busy host longer than RCU is patient.
needs_pm_test() {
	patience=/sys/module/rcupdate/parameters/rcu_cpu_stall_timeout
	[ -e /sys/module/hibernate/parameters/pm_test_delay ] || [ ! -e $patience ] || echo 120 >$patience
	needs_state "$1"
	has_word /sys/power/pm_test "$2" || lacks "this kernel has no $2 in /sys/power/pm_test"
}

# The platform has its part in hibernation, where it has one.
choose_hibernation() {
	if grep -q platform /sys/power/disk; then
		echo platform >/sys/power/disk
	else
		echo shutdown >/sys/power/disk
	fi
}

# $3 cycles to the state $1 (mem or disk), as far as the test level $2.
pm_test_cycles() {
	state=$1 level=$2 cycles=$3
	needs_pm_test "$state" "$level"
	[ "$state" = mem ] || choose_hibernation || return
	echo "$level" >/sys/power/pm_test || return
	read_stats
	done=0
	while [ $done -lt "$cycles" ]; do
		go_to_sleep "$state" || break
		done=$((done + 1))
	done
	echo none >/sys/power/pm_test
	[ $done -eq "$cycles" ] || { echo "cycle $((done + 1)) of $cycles was refused"; return 1; }
	check_stats "$state" "$cycles"
}

# One real suspend to memory; the host wakes the machine.
suspend_to_memory() {
	needs_state mem
	has_word /sys/power/mem_sleep deep || lacks "this kernel has no deep in /sys/power/mem_sleep"
	echo deep >/sys/power/mem_sleep
	read_stats
	go_to_sleep mem && check_stats mem 1
}

# Swap for the image, on the disk in a slot. An image as small as can be would have the kernel swap
# out all it can, and warn when kswapd finds no page for that.
swap_on() {
	# A kernel without swap has no hibernation, and so says who asks for that.
	[ -e /proc/swaps ] || return 0
	await 10 disk_of "$1" || return
	swap=$(disk_of "$1")
	grep -q "^$swap " /proc/swaps && return
	mkswap "$swap" && swapon "$swap" && echo $((160 << 20)) >/sys/power/image_size
}

# Ends what holds the disks.
stop_swap() {
	[ ! -e /tmp/load-pid ] || kill -TERM "$(cat /tmp/load-pid)"
	[ -e /proc/swaps ] || return 0
	tail -n +2 /proc/swaps | while read -r swap _; do
		swapoff "$swap" || return
	done
}

# Writes an image, reads it back and goes on with it, in one and the same kernel.
test_resume() {
	needs_hibernation test_resume
	read_stats
	echo test_resume >/sys/power/disk && go_to_sleep disk && check_stats disk 1
}

# Hibernates in the mode $1 of /sys/power/disk: the machine powers off inside (or, with "suspend",
# goes to S3), and the last lines run in the one that was resumed or woken.
hibernate() {
	needs_hibernation "$1"
	read_stats
	echo "$1" >/sys/power/disk && go_to_sleep disk && check_stats disk 1
}

# One suspend to idle, which the kernel tells if asked to, as a debug message; the host wakes the machine.
suspend_to_idle() {
	needs_state freeze
	echo 1 >/sys/power/pm_debug_messages
	dmesg -n 8
	read_stats
	go_to_sleep freeze && check_stats mem 1 || return
	dmesg -n 7
	echo 0 >/sys/power/pm_debug_messages
}

# In a machine that was just started: goes on with the image on the disk in a slot.
# Comes back only if that fails.
resume_image() {
	load_driver || return
	await 10 disk_of "$1" && await 20 kernel_is_silent || return
	cat "/sys/class/block/$(basename "$(disk_of "$1")")/dev" >/sys/power/resume
	echo "no image on $(disk_of "$1")"
	return 1
}

# A sleep to the state $1 that must be refused with the error $2. One that is not gets no further
# than the devices.
refused_sleep() {
	needs_pm_test "$1" devices
	[ "$1" = mem ] || choose_hibernation || return
	echo devices >/sys/power/pm_test || return
	# shellcheck disable=SC2116
	said=$(echo "$1" 2>&1 >/sys/power/state)
	status=$?
	echo none >/sys/power/pm_test
	[ $status -ne 0 ] || { echo "the sleep to $1 was not refused"; return 1; }
	[ "${said%"$2"}" != "$said" ] || { echo "the sleep to $1: $said, and not $2"; return 1; }
}

# The kernel log says $1 of the last sleep.
last_sleep_says() {
	# shellcheck disable=SC2016
	kernel_log | sed -n '/PM: suspend entry/h; /PM: suspend entry/!H; ${x;p;}' >/tmp/last-sleep
	grep -q "$1" /tmp/last-sleep || { cat /tmp/last-sleep; return 1; }
}

# Has the clock wake the machine in $1 seconds, and no sleep succeed from then on.
wake_in() {
	alarm=/sys/class/rtc/rtc0/wakealarm
	echo 0 >$alarm
	# A count that has changed since is refused, so the alarm must not go off between the two.
	cat /sys/power/wakeup_count >/tmp/wakeups &&
		cat /tmp/wakeups >/sys/power/wakeup_count && echo "+$1" >$alarm
}

# The clock's alarm has gone off.
is_awake() {
	[ "$(cat /sys/class/rtc/rtc0/wakealarm)" = "" ]
}

# Adds the SCSI disk of a target, and writes to it: else there is nothing to flush at a suspend.
add_target() {
	pci=$(pci_of "$1") || { echo "$pci"; return 1; }
	for host in /sys/bus/pci/devices/"$pci"/virtio*/host*; do
		echo "0 $2 0" >"$host/scsi_host/$(basename "$host")/scan" || return
	done
	await 60 target_disk "$pci" "$2" || return
	dd if=/dev/zero of="$(target_disk "$pci" "$2")" bs=4k count=1 oflag=direct
}

target_disk() {
	for disk in /sys/bus/pci/devices/"$1"/virtio*/host*/target*:"$2"/*/block/*; do
		if [ -b "/dev/$(basename "$disk")" ]; then
			echo "/dev/$(basename "$disk")"
			return
		fi
	done
	return 1
}

# Takes the SCSI disk of a target away.
remove_target() {
	pci=$(pci_of "$1") || { echo "$pci"; return 1; }
	for delete in /sys/bus/pci/devices/"$pci"/virtio*/host*/target*:"$2"/*/delete; do
		echo 1 >"$delete" || return
	done
}
