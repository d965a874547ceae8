# SPDX-License-Identifier: GPL-2.0
#
# A virtio driver that has virtqueues but no freeze.

# What was mounted before a sleep gives errors after it, at once.
check_9p_gives_errors() {
	local status
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
	local status
	status=$(cat "/sys/bus/virtio/devices/$(virtio_of "$1")/status")
	[ $((status & 4)) -eq 0 ] || { echo "status $status of a device without virtqueues"; return 1; }
}
