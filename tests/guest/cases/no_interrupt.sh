# SPDX-License-Identifier: GPL-2.0
#
# A device without an interrupt.

# The virtio driver of the device in a slot is refused, since the device has no interrupt: ENXIO. The C
# driver tells nothing of its own.
check_no_interrupt() {
	local virtio
	virtio=$(virtio_of "$1") || { echo "$virtio"; return 1; }
	[ ! -e "/sys/bus/virtio/devices/$virtio/driver" ] || { echo "$virtio has a driver"; return 1; }
	[ "$DRIVER" = c ] || journal_has "$1" PolicyRefused 'INTx.*ENXIO'
}
