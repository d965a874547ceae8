# SPDX-License-Identifier: GPL-2.0
#
# Which devices are driven, resets by the PCI core, and surprise removal.

# The Rust driver leaves the device in a slot alone, and the kernel log says why. The C driver,
# which has the modern interface as well, drives it.
check_left_alone() {
	[ "$DRIVER" = rust ] || { await 10 is_live "$1"; return; }
	pci=$(pci_of "$1") || { echo "$pci"; return 1; }
	[ ! -e "/sys/bus/pci/devices/$pci/driver" ] || { echo "$pci has a driver"; return 1; }
	log_says "$1" "not driven: $2"
}

# A transitional device is driven by its legacy interface, which the C driver is told to use: feature
# bit 32, VERSION_1, is that of the modern one.
check_interface() {
	await 10 is_live "$1" || return
	features=$(cat "/sys/bus/virtio/devices/$(virtio_of "$1")/features")
	case $DRIVER:$(echo "$features" | cut -c 33) in
	rust:0 | c:0) ;;
	*) echo "driver $DRIVER, features $features"; return 1 ;;
	esac
}

# Loads the driver with parameters, which only the Rust driver has.
load_driver_with() {
	[ "$DRIVER" != rust ] || PARAMETERS="$PARAMETERS $*"
	load_driver
}

# Has the PCI core reset the device in a slot, $2 times.
reset_device() {
	pci=$(pci_of "$1") || { echo "$pci"; return 1; }
	resets=0
	while [ $resets -lt "$2" ]; do
		echo 1 >"/sys/bus/pci/devices/$pci/reset" || return
		resets=$((resets + 1))
	done
}

unbind_virtio_driver() {
	virtio=$(virtio_of "$1") || { echo "$virtio"; return 1; }
	echo "$virtio" >"/sys/bus/virtio/devices/$virtio/driver/unbind"
}

bind_virtio_driver() {
	virtio=$(virtio_of "$1") || { echo "$virtio"; return 1; }
	echo "$virtio" >"/sys/bus/virtio/drivers/$2/bind"
}

# The virtio device in a slot has this device status.
has_status() {
	find_virtio "$1" && [ $(($(cat "/sys/bus/virtio/devices/$virtio/status"))) -eq $(($2)) ]
}

# Has a serial port take the I/O ports of the device in a slot, or give them back.
occupy_ports() {
	local first rest
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
	pci=$(pci_of "$1") || { echo "$pci"; return 1; }
	echo "$pci" >/sys/bus/pci/drivers_probe
}

# After a reset without a driver, the device is acknowledged for the next one. The C driver does
# not do that.
check_acknowledged() {
	status=$(cat "/sys/bus/virtio/devices/$(virtio_of "$1")/status")
	case $DRIVER:$((status)) in
	rust:7 | c:6) ;;
	*) echo "driver $DRIVER, device status $status"; return 1 ;;
	esac
}

# Takes a device from its driver that does not answer any more.
remove_gone() {
	vendor=$(head -c 2 "/sys/bus/pci/devices/$1/config" | hexdump -v -e '1/2 "%04x"')
	[ "$vendor" = ffff ] || { echo "$1 still answers, vendor $vendor"; return 1; }
	echo 1 >"/sys/bus/pci/devices/$1/remove" || return
	[ ! -e "/sys/bus/pci/devices/$1" ] || { echo "$1 is still there"; return 1; }
}
