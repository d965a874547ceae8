# SPDX-License-Identifier: GPL-2.0
#
# Input and output of scripted devices.

# The serial port of the console sends back what it gets. The reader ends by itself if nothing comes
# for 20 seconds: the timeout of BusyBox leaves a process behind that has the terminal open for
# another second. A terminal that is open when its device goes is handed out again, for the next
# device, and then the reader is not told of input.
check_hvc() {
	[ -e "/sys/bus/pci/devices/$(pci_of "$1")/driver" ] || { echo "no driver in slot $1"; return 1; }
	exec 4<>/dev/hvc0 || return
	stty -F /dev/hvc0 raw -echo min 0 time 200 || { exec 4>&-; return 1; }
	head -c 1024 /dev/urandom | hexdump -v -e '1/1 "%02x"' >/tmp/hvc-sent
	head -c 2048 <&4 >/tmp/hvc-received &
	reader=$!
	cat /tmp/hvc-sent >&4
	wait $reader
	exec 4>&-
	same_sum /tmp/hvc-sent /tmp/hvc-received
}

# The Rust driver leaves the device in a slot alone, and says why. The C driver does so only without
# a BAR0, and silently.
check_not_driven() {
	case $DRIVER in
	rust) check_left_alone "$1" "$2" ;;
	c) [ "$2" != "no BAR0" ] || fails virtio_of "$1" ;;
	esac
}

# The virtio driver of the device in a slot is refused, since the device has no interrupt: ENXIO. The C
# driver tells nothing of its own.
check_no_interrupt() {
	virtio=$(virtio_of "$1") || { echo "$virtio"; return 1; }
	[ ! -e "/sys/bus/virtio/devices/$virtio/driver" ] || { echo "$virtio has a driver"; return 1; }
	[ "$DRIVER" = c ] || log_says "$1" '.*no interrupts; .*not INTx: ENXIO'
}
