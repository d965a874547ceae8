# SPDX-License-Identifier: GPL-2.0
#
# Resets by the PCI core.

# After a reset without a driver, the device is acknowledged for the next one. The C driver does
# not do that.
check_acknowledged() {
	local status
	status=$(cat "/sys/bus/virtio/devices/$(virtio_of "$1")/status")
	case $DRIVER:$((status)) in
	rust:7 | c:6) ;;
	*) echo "driver $DRIVER, device status $status"; return 1 ;;
	esac
}
