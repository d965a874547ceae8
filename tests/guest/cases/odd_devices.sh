# SPDX-License-Identifier: GPL-2.0
#
# Devices that are not driven.

# The Rust driver leaves the device in a slot alone, and says why. The C driver does so only without
# a BAR0, and silently.
check_not_driven() {
	case $DRIVER in
	rust) check_left_alone "$1" "$2" ;;
	c) [ "$2" != "no BAR0" ] || fails virtio_of "$1" ;;
	esac
}
