# SPDX-License-Identifier: GPL-2.0
#
# Every kind of sleep.

# Functions that are called set some of the local variables.
# shellcheck disable=SC2034

# Nothing in the kernel is about to print. printk() on one processor while another one suspends the
# consoles gives a warning of the kernel (nbcon_kthreads_wake). The log is moved to a file, or to
# search it would take longer each time.
kernel_is_silent() {
	local line nvme_state tools
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
	local uptime
	[ ! -e /tmp/calibrated ] || return 0
	grep -q tsc /sys/devices/system/clocksource/clocksource0/available_clocksource || return 0
	read -r uptime _ </proc/uptime
	[ "${uptime%.*}" -ge 15 ] || dmesg | grep -q 'tsc: Refined' || return
	touch /tmp/calibrated
}

# Goes to the state $1 (mem or disk), and returns when the machine has woken up.
go_to_sleep() {
	local processors
	await 20 kernel_is_silent || return
	processors=$(grep -Hs . /sys/devices/system/cpu/cpu*/hotplug/state)
	# shellcheck disable=SC2086
	echo "$1" >/sys/power/state && wake_processors $processors
}

# Puts each processor on line again that the sleep has lost; $@ are FILE:STATE of before. Under TCG on a busy host
# one may come back from S3 too late for the kernel (-EIO). It then stays in a loop of the firmware that takes QEMU's
# big lock at each pass, which makes the devices of all drivers about a hundred times slower. Another reason than that,
# or fail_processor() (-EAGAIN), is a failure.
wake_processors() {
	local file now processor reason state
	for file; do
		state=${file##*:} file=${file%:*}
		now=gone
		read -r now <"$file"
		[ "$now" != "$state" ] || continue
		processor=${file%/hotplug/state} processor=${processor##*/cpu}
		reason=$(kernel_log | grep "Error taking CPU$processor up" | tail -n 1)
		echo "CPU$processor did not come back from the sleep: $reason"
		case $reason in
		*": -5" | *": -11") echo "$state" >"${file%state}target" || return ;;
		*) return 1 ;;
		esac
	done
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
	local patience
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
	local count cycles failures level state successes
	state=$1 level=$2 cycles=$3
	needs_pm_test "$state" "$level"
	[ "$state" = mem ] || choose_hibernation || return
	echo "$level" >/sys/power/pm_test || return
	read_stats
	count=0
	while [ $count -lt "$cycles" ]; do
		go_to_sleep "$state" || break
		count=$((count + 1))
	done
	echo none >/sys/power/pm_test
	[ $count -eq "$cycles" ] || { echo "cycle $((count + 1)) of $cycles was refused"; return 1; }
	check_stats "$state" "$cycles"
}

# One real suspend to memory; the host wakes the machine.
suspend_to_memory() {
	local failures successes
	needs_state mem
	has_word /sys/power/mem_sleep deep || lacks "this kernel has no deep in /sys/power/mem_sleep"
	echo deep >/sys/power/mem_sleep
	read_stats
	go_to_sleep mem && check_stats mem 1
}

# Swap for the image, on the disk in a slot. An image as small as can be would have the kernel swap
# out all it can, and warn when kswapd finds no page for that.
swap_on() {
	local swap
	# A kernel without swap has no hibernation, and so says who asks for that.
	[ -e /proc/swaps ] || return 0
	await 10 disk_of "$1" || return
	swap=$(disk_of "$1")
	grep -q "^$swap " /proc/swaps && return
	mkswap "$swap" && swapon "$swap" && echo $((160 << 20)) >/sys/power/image_size
}

# Ends what holds the disks.
stop_swap() {
	local swap
	[ ! -e /tmp/load-pid ] || kill -TERM "$(cat /tmp/load-pid)"
	[ -e /proc/swaps ] || return 0
	tail -n +2 /proc/swaps | while read -r swap _; do
		swapoff "$swap" || return
	done
}

# Writes an image, reads it back and goes on with it, in one and the same kernel.
test_resume() {
	local failures successes
	needs_hibernation test_resume
	read_stats
	echo test_resume >/sys/power/disk && go_to_sleep disk && check_stats disk 1
}

# Hibernates in the mode $1 of /sys/power/disk: the machine powers off inside (or, with "suspend",
# goes to S3), and the last lines run in the one that was resumed or woken.
hibernate() {
	local failures successes
	needs_hibernation "$1"
	read_stats
	echo "$1" >/sys/power/disk && go_to_sleep disk && check_stats disk 1
}

# One suspend to idle, which the kernel tells if asked to, as a debug message; the host wakes the machine.
suspend_to_idle() {
	local failures successes
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
	local said status
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

# A sleep is refused, and everything goes on.
check_sleep_refused() {
	needs_pm_test "$1" devices
	echo devices >/sys/power/pm_test
	echo "$1" >/sys/power/state && { echo "the sleep was not refused"; return 1; }
	echo none >/sys/power/pm_test
}
