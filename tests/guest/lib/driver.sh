# SPDX-License-Identifier: GPL-2.0
#
# The transport driver under test, and the modules of the kernel.

# The C driver may be a part of the kernel. Then it counts as loaded while new PCI devices are
# offered to their drivers, and loading it is to offer all devices to it.
# DRIVER and PARAMETERS come from init.
# shellcheck disable=SC2153
is_built_in() {
	[ ! -s "/modules/$DRIVER/order" ]
}

# The name of the driver's last module, as the kernel writes it.
module_name() {
	local name
	name=$(tail -n 1 "/modules/$DRIVER/order")
	echo "${name%.ko}" | tr - _
}

# Loads the driver's modules, in order. Module parameters go to the last one.
load_driver() {
	local last module parameters
	if is_built_in; then
		offer_devices
		return
	fi
	last=$(tail -n 1 "/modules/$DRIVER/order")
	while read -r module; do
		parameters=$(parameters_of "$module")
		# shellcheck disable=SC2153
		[ "$module" != "$last" ] || parameters="$parameters $PARAMETERS"
		# shellcheck disable=SC2086
		insmod "/modules/$DRIVER/$module" $parameters || return
	done <"/modules/$DRIVER/order"
}

# Loads the driver with parameters, which only the Rust driver has.
load_driver_with() {
	[ "$DRIVER" != rust ] || PARAMETERS="$PARAMETERS $*"
	load_driver
}

offer_devices() {
	local device vendor
	echo 1 >/sys/bus/pci/drivers_autoprobe || return
	for device in /sys/bus/pci/devices/*; do
		read -r vendor <"$device/vendor"
		[ "$vendor" != 0x1af4 ] || [ -e "$device/driver" ] ||
			echo "${device##*/}" >/sys/bus/pci/drivers_probe || return
	done
}

driver_is_loaded() {
	if is_built_in; then
		[ "$(cat /sys/bus/pci/drivers_autoprobe)" = 1 ]
		return
	fi
	grep -q "^$(module_name) " /proc/modules
}

# Removes the driver's modules, in the reverse order.
unload_driver() {
	local module reversed
	if is_built_in; then
		echo 0 >/sys/bus/pci/drivers_autoprobe && unbind_devices
		return
	fi
	reversed=
	while read -r module; do
		reversed="$module $reversed"
	done <"/modules/$DRIVER/order"
	for module in $reversed; do
		rmmod "${module%.ko}" || return
	done
}

# Takes all devices from the C driver that is built in, the last one first, as rmmod would.
unbind_devices() {
	local device reversed
	reversed=
	for device in /sys/bus/pci/drivers/virtio-pci/0000:*; do
		[ ! -e "$device" ] || reversed="${device##*/} $reversed"
	done
	for device in $reversed; do
		echo "$device" >/sys/bus/pci/drivers/virtio-pci/unbind || return
	done
}

# Loads the modules of a stock kernel: those that have parameters on the kernel's command line, with them.
# Their files are in memory, which hibernation would save; the one that a test loads again is small.
load_kernel_modules() {
	local module
	while read -r module; do
		# shellcheck disable=SC2046
		insmod "/modules/kernel/$module" $(parameters_of "$module") || return
	done </modules/kernel/order
	for module in /modules/kernel/*.ko; do
		[ "$module" = /modules/kernel/virtio_rng.ko ] || rm -f "$module"
	done
}

# The parameters that the kernel's command line has for a module.
parameters_of() {
	local word words
	read -r words </proc/cmdline
	for word in $words; do
		case $word in
		"${1%.ko}".*) echo "${word#*.}" ;;
		esac
	done
}

ensure_loaded() {
	driver_is_loaded || load_driver
}

ensure_unloaded() {
	! driver_is_loaded || unload_driver
}
