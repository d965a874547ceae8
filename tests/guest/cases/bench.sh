# SPDX-License-Identifier: GPL-2.0
#
# What the drivers cost. Times are read without starting a process: under -icount, a nanosecond is an
# instruction.

# Functions that are called set some of the local variables.
# shellcheck disable=SC2034

# Sets $now to the nanoseconds since the boot.
get_now() {
	local first second
	while read -r first second now _; do
		[ "$first $second" != "now at" ] || return 0
	done </proc/timer_list
	echo "no time in /proc/timer_list"
	return 1
}

# Takes the NVMe disk from its driver, which waits for another thread of QEMU when it sleeps.
release_tools_disk() {
	local device
	for device in /sys/bus/pci/drivers/nvme/0000:*; do
		basename "$device" >/sys/bus/pci/drivers/nvme/unbind || return
	done
}

# Keeps messages to the log: to print them costs as much as half a sleep of a device, by chance within
# what is measured or after it.
silence_console() {
	dmesg -n 1
}

# Sets $ran to the nanoseconds that this process has run since it began: neither those of others nor
# idle ones. The kernel adds them up when the process sleeps, so it sleeps for a moment.
get_ran() {
	local name
	[ -p /tmp/quiet ] || mkfifo /tmp/quiet
	# BusyBox has it.
	# shellcheck disable=SC3045
	read -r -t 0.001 _ <>/tmp/quiet
	while read -r name _ ran; do
		[ "$name" != se.sum_exec_runtime ] || break
	done </proc/self/sched
	ran=$((${ran%.*} * 1000000 + 1${ran#*.} - 1000000))
}

# What looking at that twice takes by itself.
count_nothing() {
	local before ran
	get_ran && before=$ran
	get_ran && echo $((ran - before))
}

# Probe of the device in a slot, which is taken from its driver first.
count_probe() {
	local before bind pci ran
	unbind_device "$1" || return
	pci=$(pci_of "$1") bind=$(cat "/tmp/driver-of-$1")/bind
	get_ran && before=$ran
	echo "$pci" >"$bind" || return
	get_ran && echo $((ran - before))
}

# Removal of the device in a slot, which gets its driver back.
count_remove() {
	local before count driver pci ran
	pci=$(pci_of "$1") driver=$(readlink -f "/sys/bus/pci/devices/$(pci_of "$1")/driver")
	get_ran && before=$ran
	echo "$pci" >"$driver/unbind" || return
	get_ran && count=$((ran - before))
	echo "$pci" >"$driver/bind" && echo "$count"
}

# A suspend cycle as far as the drivers, all callbacks run by this process.
count_cycle() {
	local before count failures ran successes
	set_async disabled && echo devices >/sys/power/pm_test || return
	read_stats
	get_ran && before=$ran
	echo mem >/sys/power/state || return
	get_ran && count=$((ran - before))
	echo none >/sys/power/pm_test
	check_stats mem 1 || return
	echo "$count"
}

# What two looks at the clock take by themselves.
time_nothing() {
	local from now
	get_now && from=$now && get_now && echo $((now - from))
}

# A cycle to the state $1 (mem or disk), as far as the drivers.
time_cycle() {
	local failures from now successes took
	echo devices >/sys/power/pm_test || return
	[ "$1" = mem ] || echo platform >/sys/power/disk
	read_stats
	get_now && from=$now
	echo "$1" >/sys/power/state || return
	get_now && took=$((now - from))
	echo none >/sys/power/pm_test
	check_stats "$1" 1 || return
	echo "$took"
}

# Microseconds in the callbacks of the PCI devices in slots of such a cycle: going down, coming up.
time_callbacks() {
	local pci
	silence_console
	echo 1 >/sys/power/pm_print_times
	dmesg -c >/dev/null
	time_cycle mem >/dev/null || return
	echo 0 >/sys/power/pm_print_times
	pci=$(pci_of "$1") || { echo "$pci"; return 1; }
	dmesg | awk -v pci="$pci:" '
		index($0, pci) && / returned 0 after / {
			if (/pci_pm_suspend/) down += $(NF - 1)
			if (/pci_pm_resume/) up += $(NF - 1)
			seen++
		}
		END { if (seen < 2) exit 1; print down, up }'
}

# From insmod until the disk in a slot has given its first block.
time_first_io() {
	local from now
	ensure_unloaded || return
	get_now && from=$now
	load_driver || return
	until disk=$(disk_of "$1"); do :; done
	dd if="$disk" of=/dev/null bs=4k count=1 iflag=direct 2>/dev/null || return
	get_now && echo $((now - from))
}

# $2 reads of 4 KiB from the disk in a slot, one after the other.
time_reads() {
	local disk from now
	disk=$(disk_of "$1") || { echo "$disk"; return 1; }
	get_now && from=$now
	dd if="$disk" of=/dev/null bs=4k count="$2" iflag=direct 2>/dev/null || return
	get_now && echo $((now - from))
}

# $2 answers of the host to pings by the interface in a slot.
time_pings() {
	local from now
	net_up "$1" || return
	get_now && from=$now
	ping -A -q -c "$2" -W 5 10.0.2.2 >/tmp/pings || { cat /tmp/pings; return 1; }
	get_now && echo $((now - from))
}

# $2 MiB to the host and back by the interface in a slot.
time_stream() {
	local count from now took
	net_up "$1" || return
	get_now && from=$now
	count=$(dd if=/dev/zero bs=64k count=$(($2 * 16)) 2>/dev/null |
		nc 10.0.2.100 7 | head -c $(($2 << 20)) | wc -c)
	get_now && took=$((now - from))
	[ "$count" -eq $(($2 << 20)) ] || { echo "$count bytes came back"; return 1; }
	echo "$took"
}

# The I/O operations a second of $4 jobs that do $2 (randread, randwrite) with $3 in flight each, on
# the disk in a slot.
fio_rate() {
	local disk
	mount_tools && disk=$(disk_of "$1") || return
	fio --name=bench --filename="$disk" --ioengine=libaio --direct=1 --bs=4k --rw="$2" \
		--iodepth="$3" --numjobs="$4" --number_ios=$((1000 / $4)) --size=32m --group_reporting \
		--randseed=2014 --output-format=terse >/tmp/fio || { cat /tmp/fio; return 1; }
	case $2 in
	randread) cut -d ';' -f 8 /tmp/fio ;;
	randwrite) cut -d ';' -f 49 /tmp/fio ;;
	esac
}

# How often the device in a slot has interrupted.
interrupts_so_far() {
	local virtio
	virtio=$(virtio_of "$1") || { echo "$virtio"; return 1; }
	awk -v name="$virtio" '
		$NF ~ "^" name "(-|$)" { for (i = 2; $i ~ /^[0-9]+$/; i++) sum += $i }
		END { print sum + 0 }' /proc/interrupts
}

# $3 random reads with $2 in flight: the interrupts that they took.
count_interrupts() {
	local before disk
	mount_tools && disk=$(disk_of "$1") || return
	before=$(interrupts_so_far "$1")
	fio --name=bench --filename="$disk" --ioengine=libaio --direct=1 --bs=4k --rw=randread \
		--iodepth="$2" --number_ios="$3" --size=32m --randseed=2014 >/tmp/fio || { cat /tmp/fio; return 1; }
	echo $(($(interrupts_so_far "$1") - before))
}

# How many devices are bound and live, of those with a legacy virtio id.
live_devices() {
	local live status
	live=0
	for status in /sys/bus/virtio/devices/virtio*/status; do
		[ $(($(cat "$status") & 0x87)) -ne 7 ] || live=$((live + 1))
	done
	echo $live
}

# Loads the driver for $1 devices: how long it takes until all are live, and the KiB that it takes.
time_load() {
	local before from now took
	ensure_unloaded || return
	sync
	echo 3 >/proc/sys/vm/drop_caches
	before=$(kernel_memory)
	get_now && from=$now
	load_driver || return
	get_now && took=$((now - from))
	await 20 all_live "$1" || { echo "$(live_devices) devices are live"; return 1; }
	echo "$took $(($(kernel_memory) - before))"
}

all_live() {
	[ "$(live_devices)" -eq "$1" ]
}

# KiB that the kernel has allocated for itself.
kernel_memory() {
	awk '$1 ~ /^(Slab|PageTables|VmallocUsed|Percpu):$/ { sum += $2 } END { print sum }' /proc/meminfo
}

# Whether PCI devices are suspended and resumed one by one or side by side: disabled or enabled.
set_async() {
	local device
	for device in /sys/bus/pci/devices/*/power/async /sys/bus/virtio/devices/*/power/async; do
		[ ! -e "$device" ] || echo "$1" >"$device" || return
	done
}
