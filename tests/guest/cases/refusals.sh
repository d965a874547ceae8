# SPDX-License-Identifier: GPL-2.0
#
# Devices that are left to other drivers, and transitional ones.

# Functions that are called set some of the local variables.
# shellcheck disable=SC2034

# A transitional device is driven by its legacy interface, which the C driver is told to use: feature
# bit 32, VERSION_1, is that of the modern one.
check_interface() {
	local features virtio
	await 10 is_live "$1" || return
	features=$(cat "/sys/bus/virtio/devices/$(virtio_of "$1")/features")
	case $DRIVER:$(echo "$features" | cut -c 33) in
	rust:0 | c:0) ;;
	*) echo "driver $DRIVER, features $features"; return 1 ;;
	esac
}

# Has a serial port take the I/O ports of the device in a slot, or give them back.
occupy_ports() {
	local first pci rest
	mount_tools || return
	pci=$(pci_of "$1") || { echo "$pci"; return 1; }
	read -r first rest <"/sys/bus/pci/devices/$pci/resource"
	# It may tell that there is no such chip; the ports are its own all the same.
	setserial /dev/ttyS3 port "$(printf '0x%x' $((first)))" uart 16550A
	grep "^ *$(printf '%04x' $((first))).*" -A 1 /proc/ioports | grep serial || {
		cat /proc/ioports
		return 1
	}
}

# The device in a slot has no driver, since its ports are in use: EBUSY. The C driver is refused as well;
# the kernel tells that.
check_busy() {
	local pci
	pci=$(pci_of "$1") || { echo "$pci"; return 1; }
	[ ! -e "/sys/bus/pci/devices/$pci/driver" ] || { echo "$pci has a driver"; return 1; }
	case $DRIVER in
	rust) log_says "$1" 'not driven: failed to request BAR0: EBUSY' ;;
	c) log_says "$1" 'probe with driver virtio-pci failed with error -16' ;;
	esac
}

free_ports() {
	setserial /dev/ttyS3 uart none
}

# Offers the device in a slot to its driver again.
offer_device() {
	local pci
	pci=$(pci_of "$1") || { echo "$pci"; return 1; }
	echo "$pci" >/sys/bus/pci/drivers_probe
}
