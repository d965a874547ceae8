# SPDX-License-Identifier: GPL-2.0
#
# The transport driver under test, and the PCI devices that it drives.

# Waits until a command succeeds, at most $1 seconds, or longer on a slow kernel.
await() {
	tries=$(($1 * 10 * SLOWNESS))
	shift
	until "$@" >/dev/null 2>&1; do
		tries=$((tries - 1))
		if [ $tries -le 0 ]; then
			echo "did not come true: $*"
			return 1
		fi
		sleep 0.1
	done
}

# Succeeds when a command fails.
fails() {
	! "$@"
}

# Loads the driver's modules, in order. Module parameters go to the last one.
load_driver() {
	last=$(tail -n 1 "/modules/$DRIVER/order")
	while read -r module; do
		if [ "$module" = "$last" ]; then
			# shellcheck disable=SC2086
			insmod "/modules/$DRIVER/$module" $PARAMETERS || return
		else
			insmod "/modules/$DRIVER/$module" || return
		fi
	done <"/modules/$DRIVER/order"
}

driver_is_loaded() {
	module=$(tail -n 1 "/modules/$DRIVER/order")
	module=${module%.ko}
	grep -q "^${module//-/_} " /proc/modules
}

# Removes the driver's modules, in the reverse order.
unload_driver() {
	reversed=
	while read -r module; do
		reversed="$module $reversed"
	done <"/modules/$DRIVER/order"
	for module in $reversed; do
		rmmod "${module%.ko}" || return
	done
}

ensure_loaded() {
	driver_is_loaded || load_driver
}

ensure_unloaded() {
	! driver_is_loaded || unload_driver
}

# The PCI address of the device in a slot; behind a PCIe port, of the port's device.
pci_of() {
	slot=/sys/bus/pci/devices/0000:00:$1.0
	for behind in "$slot"/0000:*; do
		if [ -e "$behind/vendor" ]; then
			basename "$behind"
			return
		fi
	done
	if [ -e "$slot/vendor" ] && ! grep -q '^0x0604' "$slot/class"; then
		basename "$slot"
		return
	fi
	echo "no PCI device in slot $1"
	return 1
}

# The virtio device of the PCI device in a slot, as virtioN.
virtio_of() {
	pci=$(pci_of "$1") || { echo "$pci"; return 1; }
	for virtio in /sys/bus/pci/devices/"$pci"/virtio*; do
		if [ -e "$virtio/status" ]; then
			basename "$virtio"
			return
		fi
	done
	echo "no virtio device on $pci"
	return 1
}

# A device that is bound has a live virtio device with a driver.
is_live() {
	virtio=$(virtio_of "$1") || { echo "$virtio"; return 1; }
	status=$(cat "/sys/bus/virtio/devices/$virtio/status")
	if [ $((status & 0x87)) -ne $((0x07)) ]; then
		echo "$virtio has device status $status"
		return 1
	fi
	[ -e "/sys/bus/virtio/devices/$virtio/driver" ] || { echo "$virtio has no driver"; return 1; }
}

# The names in /proc/interrupts of a virtio device.
interrupt_names() {
	awk '{ for (i = 1; i <= NF; i++) if ($i ~ /^virtio/) { sub(",", "", $i); print $i } }' \
		/proc/interrupts | grep -E "^$1(-|\$)"
}

# Which of the interrupt policies a device has, from the names in /proc/interrupts.
interrupts_of() {
	virtio=$(virtio_of "$1") || { echo "$virtio"; return 1; }
	case $(interrupt_names "$virtio") in
	"") echo none ;;
	*-virtqueues*) echo shared ;;
	*-config*) echo per-queue ;;
	*) echo intx ;;
	esac
}

# The device in a slot is live and has these interrupts.
check_bound() {
	await 10 is_live "$1" || { is_live "$1"; return 1; }
	interrupts=$(interrupts_of "$1")
	[ "$interrupts" = "$2" ] || {
		echo "the interrupts of $(virtio_of "$1") are $interrupts, not $2"
		return 1
	}
}

unbind_device() {
	pci=$(pci_of "$1") || { echo "$pci"; return 1; }
	driver=$(readlink -f "/sys/bus/pci/devices/$pci/driver")
	echo "$pci" >"$driver/unbind" || return
	fails virtio_of "$1" >/dev/null || { echo "the virtio device outlived the unbind"; return 1; }
	echo "$driver" >"/tmp/driver-of-$1"
}

bind_device() {
	pci=$(pci_of "$1") || { echo "$pci"; return 1; }
	echo "$pci" >"$(cat "/tmp/driver-of-$1")/bind" || return
	is_live "$1"
}

rebind_device() {
	unbind_device "$1" && bind_device "$1"
}

# What can be seen of the device in a slot, as NAME=VALUE lines.
observe() {
	pci=$(pci_of "$1") || { echo "$pci"; return 1; }
	virtio=$(virtio_of "$1") || { echo "$virtio"; return 1; }
	device=/sys/bus/virtio/devices/$virtio
	echo "interrupts=$(interrupt_names "$virtio" | tr '\n' ' ')"
	for name in features status vendor device modalias; do
		echo "$name=$(cat "$device/$name")"
	done
	echo "files=$(ls "$device" | tr '\n' ' ')"
	echo "PCI files=$(ls "/sys/bus/pci/devices/$pci" | tr '\n' ' ')"
	read -r first last _ <"/sys/bus/pci/devices/$pci/resource"
	echo "bar_first=$first"
	echo "bar_last=$last"
}
