# SPDX-License-Identifier: GPL-2.0
#
# A device that dies while a reader waits for it.

# The I/O ports of the device in a slot begin here.
ports_of() {
	local first pci
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

# The device in slot $1 is known to be dead: its virtio device is gone, its journal has the event $2,
# with $3 in its line.
check_died() {
	check_detached "$1" "$2" "$3" || return
	[ ! -e /tmp/reader ] || await 10 test -e /tmp/reader-status
}
