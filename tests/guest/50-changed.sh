# SPDX-License-Identifier: GPL-2.0
#
# Devices that could not be restored.

# The device in slot $1 was detached, its virtio device is gone, it is kept from memory, and the
# kernel log says why: $2.
check_detached() {
	pci=$(pci_of "$1") || { echo "$pci"; return 1; }
	await 20 fails virtio_of "$1" || return
	command=$(hexdump -s 4 -n 2 -v -e '1/2 "%u"' "/sys/bus/pci/devices/$pci/config")
	[ $((command & 0xffff)) -eq 65535 ] || [ $((command & 4)) -eq 0 ] || {
		echo "$pci may access memory: command $command"
		return 1
	}
	for text in "$2" "detached: no register is accessed"; do
		log_says "$1" "$text" || return
	done
}

# This machine was resumed from an image since it was booted.
has_hibernated() {
	kernel_log | grep -q "hibernation exit" || { echo "not the machine that was hibernated"; return 1; }
}
