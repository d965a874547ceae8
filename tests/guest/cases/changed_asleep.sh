# SPDX-License-Identifier: GPL-2.0
#
# What the host changes while the machine sleeps.

# The disk in slot $1 has $2 sectors.
has_sectors() {
	local disk sectors
	find_disk "$1" || { echo "$disk"; return 1; }
	read -r sectors <"/sys/block/${disk#/dev/}/size"
	[ "$sectors" -eq "$2" ] || { echo "$disk has $sectors sectors, not $2"; return 1; }
}

# The carrier of the interface in slot $1 is $2.
has_carrier() {
	local carrier interface
	interface=$(interface_of "$1") || { echo "$interface"; return 1; }
	read -r carrier <"/sys/class/net/$interface/carrier"
	[ "$carrier" = "$2" ] || { echo "the carrier of $interface is $carrier, not $2"; return 1; }
}
