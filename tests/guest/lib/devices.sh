# SPDX-License-Identifier: GPL-2.0
#
# The PCI devices that the driver has, by their slots, and what is done with them.

# Sets $pci to the PCI address of the device in a slot, given as "12", or as "12.3" with the function;
# behind a bridge, of its first device.
find_pci() {
	local pci_behind pci_class pci_slot
	case $1 in
	*.*) pci_slot=/sys/bus/pci/devices/0000:00:$1 ;;
	*) pci_slot=/sys/bus/pci/devices/0000:00:$1.0 ;;
	esac
	for pci_behind in "$pci_slot"/0000:*; do
		if [ -e "$pci_behind/vendor" ]; then
			pci=${pci_behind##*/}
			return
		fi
	done
	if [ -e "$pci_slot/vendor" ] && read -r pci_class <"$pci_slot/class" &&
		[ "${pci_class#0x0604}" = "$pci_class" ]; then
		pci=${pci_slot##*/}
		return
	fi
	pci="no PCI device in slot $1"
	return 1
}

pci_of() {
	local found pci
	find_pci "$1"
	found=$?
	echo "$pci"
	return $found
}

# Sets $virtio to the virtio device of the PCI device in a slot, as virtioN.
find_virtio() {
	local pci
	find_pci "$1" || { virtio=$pci; return 1; }
	for virtio in /sys/bus/pci/devices/"$pci"/virtio*; do
		if [ -e "$virtio/status" ]; then
			virtio=${virtio##*/}
			return
		fi
	done
	virtio="no virtio device on $pci"
	return 1
}

virtio_of() {
	local found virtio
	find_virtio "$1"
	found=$?
	echo "$virtio"
	return $found
}

# A device that is bound has a live virtio device with a driver. Sets $virtio.
is_live() {
	local status
	find_virtio "$1" || { echo "$virtio"; return 1; }
	needs_virtio_driver "$virtio"
	read -r status <"/sys/bus/virtio/devices/$virtio/status" || return
	if [ $((status & 0x87)) -ne $((0x07)) ]; then
		echo "$virtio has device status $status"
		return 1
	fi
	[ -e "/sys/bus/virtio/devices/$virtio/driver" ] || { echo "$virtio has no driver"; return 1; }
}

# This kernel has a virtio driver for a device, by the type of that.
needs_virtio_driver() {
	local type
	[ ! -e "/sys/bus/virtio/devices/$1/driver" ] || return 0
	read -r type <"/sys/bus/virtio/devices/$1/device" || return 0
	case $type in
	0x0001) type=virtio_net ;;
	0x0002) type=virtio_blk ;;
	0x0003) type=virtio_console ;;
	0x0004) type=virtio_rng ;;
	0x0005) type=virtio_balloon ;;
	0x0008) type=virtio_scsi ;;
	0x0009) type=9pnet_virtio ;;
	*) return 0 ;;
	esac
	[ -e "/sys/bus/virtio/drivers/$type" ] || lacks "this kernel has no $type"
}

unbind_device() {
	local driver pci
	pci=$(pci_of "$1") || { echo "$pci"; return 1; }
	driver=$(readlink -f "/sys/bus/pci/devices/$pci/driver")
	echo "$pci" >"$driver/unbind" || return
	fails virtio_of "$1" >/dev/null || { echo "the virtio device outlived the unbind"; return 1; }
	echo "$driver" >"/tmp/driver-of-$1"
}

bind_device() {
	local pci virtio
	pci=$(pci_of "$1") || { echo "$pci"; return 1; }
	echo "$pci" >"$(cat "/tmp/driver-of-$1")/bind" || return
	is_live "$1"
}

rebind_device() {
	unbind_device "$1" && bind_device "$1"
}

unbind_virtio_driver() {
	local virtio
	virtio=$(virtio_of "$1") || { echo "$virtio"; return 1; }
	echo "$virtio" >"/sys/bus/virtio/devices/$virtio/driver/unbind"
}

bind_virtio_driver() {
	local virtio
	virtio=$(virtio_of "$1") || { echo "$virtio"; return 1; }
	echo "$virtio" >"/sys/bus/virtio/drivers/$2/bind"
}

# Has the PCI core reset the device in a slot, $2 times.
reset_device() {
	local pci resets
	pci=$(pci_of "$1") || { echo "$pci"; return 1; }
	resets=0
	while [ $resets -lt "$2" ]; do
		echo 1 >"/sys/bus/pci/devices/$pci/reset" || return
		resets=$((resets + 1))
	done
}

# Takes a device from its driver that does not answer any more.
remove_gone() {
	local vendor
	vendor=$(head -c 2 "/sys/bus/pci/devices/$1/config" | hexdump -v -e '1/2 "%04x"')
	[ "$vendor" = ffff ] || { echo "$1 still answers, vendor $vendor"; return 1; }
	echo 1 >"/sys/bus/pci/devices/$1/remove" || return
	[ ! -e "/sys/bus/pci/devices/$1" ] || { echo "$1 is still there"; return 1; }
}

# The Rust driver leaves the device in a slot alone, and the kernel log says why. The C driver,
# which has the modern interface as well, drives it.
check_left_alone() {
	local pci virtio
	# shellcheck disable=SC2153
	[ "$DRIVER" = rust ] || { await 10 is_live "$1"; return; }
	pci=$(pci_of "$1") || { echo "$pci"; return 1; }
	[ ! -e "/sys/bus/pci/devices/$pci/driver" ] || { echo "$pci has a driver"; return 1; }
	log_says "$1" "not driven: $2"
}

# The device in slot $1 was detached, its virtio device is gone, it is kept from memory, and its
# journal has the event $2, with $3 in its line.
check_detached() {
	local command pci
	pci=$(pci_of "$1") || { echo "$pci"; return 1; }
	await 20 fails virtio_of "$1" || return
	command=$(hexdump -s 4 -n 2 -v -e '1/2 "%u"' "/sys/bus/pci/devices/$pci/config")
	[ $((command & 0xffff)) -eq 65535 ] || [ $((command & 4)) -eq 0 ] || {
		echo "$pci may access memory: command $command"
		return 1
	}
	journal_has "$1" "$2" "$3" && journal_has "$1" Detached
}
