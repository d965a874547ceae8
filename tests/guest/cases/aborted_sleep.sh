# SPDX-License-Identifier: GPL-2.0
#
# Sleeps that are broken off.

# Has the PM notifiers refuse the event $1 with the error $2; 0 ends that.
fail_notifier() {
	echo "$2" >"/sys/kernel/debug/notifier-error-inject/pm/actions/$1/error"
}

# The kernel log says $1 of the last sleep.
last_sleep_says() {
	# shellcheck disable=SC2016
	kernel_log | sed -n '/PM: suspend entry/h; /PM: suspend entry/!H; ${x;p;}' >/tmp/last-sleep
	grep -q "$1" /tmp/last-sleep || { cat /tmp/last-sleep; return 1; }
}

# Has the clock wake the machine in $1 seconds, and no sleep succeed from then on.
wake_in() {
	local alarm
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
	local host pci
	pci=$(pci_of "$1") || { echo "$pci"; return 1; }
	for host in /sys/bus/pci/devices/"$pci"/virtio*/host*; do
		echo "0 $2 0" >"$host/scsi_host/$(basename "$host")/scan" || return
	done
	await 60 target_disk "$pci" "$2" || return
	dd if=/dev/zero of="$(target_disk "$pci" "$2")" bs=4k count=1 oflag=direct
}

target_disk() {
	local disk
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
	local delete pci
	pci=$(pci_of "$1") || { echo "$pci"; return 1; }
	for delete in /sys/bus/pci/devices/"$pci"/virtio*/host*/target*:"$2"/*/delete; do
		echo 1 >"$delete" || return
	done
}
