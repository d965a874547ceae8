# SPDX-License-Identifier: GPL-2.0
#
# Devices that die in use, virtio drivers that cannot be frozen, what debugfs says of them, and
# interrupts over a sleep.

# The I/O ports of the device in a slot begin here.
ports_of() {
	pci=$(pci_of "$1") || { echo "$pci"; return 1; }
	read -r first _ <"/sys/bus/pci/devices/$pci/resource"
	echo "$first"
}

# Reads random numbers for as long as there are any; then /tmp/reader-status is there.
start_random_reader() {
	rm -f /tmp/reader-status
	(
		dd if=/dev/hwrng of=/dev/null bs=64 >/tmp/reader 2>&1
		echo $? >/tmp/reader-status
	) </dev/null >/dev/null 2>&1 &
}

# Has requests in flight on the disk in a slot for as long as it answers.
start_reads() {
	mount_tools && disk=$(disk_of "$1") || return
	fio --name=reads --filename="$disk" --ioengine=libaio --direct=1 --bs=4k --rw=randread \
		--iodepth=4 --size=32m --time_based --runtime=1000 </dev/null >/tmp/fio 2>&1 &
	await 20 is_reading "$disk"
}

is_reading() {
	read -r reads _ <"/sys/block/${1#/dev/}/stat"
	[ "$reads" -gt 100 ]
}

# All the requests of start_reads on the disk in a slot are in flight.
reads_wait() {
	disk=$(disk_of "$1") || return
	read -r reads _ <"/sys/block/${disk#/dev/}/inflight"
	[ "$reads" -eq 4 ]
}

# The device in slot $1 is known to be dead: its virtio device is gone, the kernel log says $2.
check_died() {
	check_detached "$1" "$2" || return
	[ ! -e /tmp/reader ] || await 10 test -e /tmp/reader-status
}

mount_9p() {
	mkdir -p /mnt/9p
	grep -q ' /mnt/9p ' /proc/mounts ||
		mount -t 9p -o trans=virtio,version=9p2000.L,cache=none share /mnt/9p
}

# What was mounted before a sleep gives errors after it, at once.
check_9p_gives_errors() {
	timeout -s KILL 10 ls /mnt/9p >/tmp/9p 2>&1
	status=$?
	if [ $status -eq 0 ] || [ $status -ge 124 ]; then
		cat /tmp/9p
		echo "ls ended with status $status"
		return 1
	fi
}

# The device in a slot is reset and has no DRIVER_OK.
check_held_in_reset() {
	status=$(cat "/sys/bus/virtio/devices/$(virtio_of "$1")/status")
	[ $((status & 4)) -eq 0 ] || { echo "status $status of a device without virtqueues"; return 1; }
}

# A sleep is refused, and everything goes on.
check_sleep_refused() {
	needs_pm_test "$1" devices
	echo devices >/sys/power/pm_test
	echo "$1" >/sys/power/state && { echo "the sleep was not refused"; return 1; }
	echo none >/sys/power/pm_test
}

# A file of the device in slot $1 in debugfs has a line like $3.
debugfs_says() {
	needs_rust_driver
	pci=$(pci_of "$1") || { echo "$pci"; return 1; }
	grep -q "$3" "/sys/kernel/debug/virtio_pci_rs/$pci/$2" || {
		cat "/sys/kernel/debug/virtio_pci_rs/$pci/$2"
		echo "$2 does not say: $3"
		return 1
	}
}

# Reads all files of all devices in debugfs, over and over, until stopped.
start_debugfs_reader() {
	rm -f /tmp/debugfs-stop
	(
		while [ ! -e /tmp/debugfs-stop ]; do
			cat /sys/kernel/debug/virtio_pci_rs/*/* >/dev/null 2>&1
		done
		rm /tmp/debugfs-stop
	) </dev/null >/dev/null 2>&1 &
}

stop_debugfs_reader() {
	touch /tmp/debugfs-stop
	await 20 fails test -e /tmp/debugfs-stop
}

# The folders in /proc/irq of the interrupts $2... of the device in slot $1.
irqs_of() {
	virtio=$(virtio_of "$1") || { echo "$virtio"; return 1; }
	shift
	for name; do
		awk -v name="$virtio-$name" '
			$NF == name { sub(":", "", $1); print "/proc/irq/" $1; found = 1 }
			END { if (!found) { print "no interrupt " name; exit 1 } }' /proc/interrupts || return
	done
}

# The interrupts $3... of the device in slot $1 are to go to the processors of the mask $2.
set_affinity() {
	slot=$1 mask=$2
	shift 2
	irqs=$(irqs_of "$slot" "$@") || { echo "$irqs"; return 1; }
	for irq in $irqs; do
		echo "$mask" >"$irq/smp_affinity" || return
	done
}

# They still do.
check_affinity() {
	slot=$1 mask=$2
	shift 2
	irqs=$(irqs_of "$slot" "$@") || { echo "$irqs"; return 1; }
	for irq in $irqs; do
		[ $((0x$(cat "$irq/smp_affinity"))) -eq $((0x$mask)) ] || {
			cat /proc/interrupts
			echo "$irq has the affinity $(cat "$irq/smp_affinity")"
			return 1
		}
	done
}
