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

# Ends the command, which cannot be tried for the reason $1: a skip and no failure. A command that goes on
# after that has no skip to tell.
lacks() {
	[ ! -e /tmp/modules-failed ] || { echo "a module of the kernel failed to load: $*"; exit 1; }
	echo "lacks: $*" >/tmp/lacks
	exit 77
}

# The file $1 has the word $2; one that is the choice at present stands in brackets.
has_word() {
	[ -r "$1" ] && tr -d '[]' <"$1" | grep -qw -e "$2"
}

# Succeeds when a command fails.
fails() {
	! "$@"
}

# What the kernel has said: go_to_sleep() moves it from the kernel's log to a file.
kernel_log() {
	cat /tmp/log 2>/dev/null
	dmesg
}

# What comes now is about the Rust driver.
needs_rust_driver() {
	# shellcheck disable=SC2153
	[ "$DRIVER" = rust ] || lacks "it is about virtio_pci_rs"
}

# The log of the Rust driver says $2 of the device in slot $1.
log_says() {
	needs_rust_driver
	pci=$(pci_of "$1") || { echo "$pci"; return 1; }
	kernel_log | grep -q "$pci: $2" || {
		kernel_log | grep "$pci"
		echo "the log does not say of $pci: $2"
		return 1
	}
}

# The C driver may be a part of the kernel. Then it counts as loaded while new PCI devices are
# offered to their drivers, and loading it is to offer all devices to it.
# DRIVER and PARAMETERS come from init.
# shellcheck disable=SC2153
is_built_in() {
	[ ! -s "/modules/$DRIVER/order" ]
}

# The name of the driver's last module, as the kernel writes it.
module_name() {
	name=$(tail -n 1 "/modules/$DRIVER/order")
	echo "${name%.ko}" | tr - _
}

# Loads the driver's modules, in order. Module parameters go to the last one.
load_driver() {
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

offer_devices() {
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

# Sets $pci to the PCI address of the device in a slot, given as "12", or as "12.3" with the function;
# behind a bridge, of its first device.
find_pci() {
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
	find_pci "$1"
	found=$?
	echo "$pci"
	return $found
}

# Sets $virtio to the virtio device of the PCI device in a slot, as virtioN.
find_virtio() {
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
	find_virtio "$1"
	found=$?
	echo "$virtio"
	return $found
}

# A device that is bound has a live virtio device with a driver: $virtio.
is_live() {
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

# The names in /proc/interrupts of a virtio device.
interrupt_names() {
	awk -v name="$1" '{ for (i = 1; i <= NF; i++) if (index($i, name) == 1) {
		sub(",", "", $i)
		if ($i == name || index($i, name "-") == 1) print $i
	} }' /proc/interrupts
}

# Which of the interrupt policies a virtio device has, from the words in /proc/interrupts.
find_interrupts() {
	case $2 in
	*" $1-virtqueues "*) interrupts=shared ;;
	*" $1-config "*) interrupts=per-queue ;;
	*" $1 "*) interrupts=intx ;;
	*) interrupts=none ;;
	esac
}

# The devices in these slots are live and have these interrupts, a slot and a policy each.
check_bound() {
	if [ $# -lt 2 ] || [ $(($# % 2)) -ne 0 ]; then
		echo "check_bound: $*"
		return 1
	fi
	expected=
	while [ $# -ge 2 ]; do
		await 10 is_live "$1" || { is_live "$1"; return 1; }
		expected="$expected $virtio $2"
		shift 2
	done
	words=" $(tr -s ' ,\n' ' ' </proc/interrupts) "
	# shellcheck disable=SC2086
	set -- $expected
	while [ $# -ge 2 ]; do
		find_interrupts "$1" "$words"
		[ "$interrupts" = "$2" ] || {
			echo "the interrupts of $1 are $interrupts, not $2"
			return 1
		}
		shift 2
	done
}

# One line tells the interrupts of the device in slot $1, which are of policy $2, and what is against the
# better policies. The C driver tells nothing.
check_policy_line() {
	pci=$(pci_of "$1") || { echo "$pci"; return 1; }
	each='one MSI-X vector per virtqueue' shared='one shared MSI-X vector'
	case $2 in
	per-queue) says=$each ;;
	shared) says="$shared; not $each: ENOSPC" ;;
	intx) says="INTx; not $each: EINVAL; not $shared: EINVAL" ;;
	*) echo "check_policy_line: $2"; return 1 ;;
	esac
	count=1
	[ "$DRIVER" != c ] || count=0
	kernel_log | grep "$pci: virtio[0-9]*: .*\(MSI-X\|INTx\)" >/tmp/policy-lines
	if [ "$(wc -l </tmp/policy-lines)" -ne $count ] ||
		[ "$(grep -c "$pci: virtio[0-9]*: $says\$" /tmp/policy-lines)" -ne $count ]; then
		cat /tmp/policy-lines
		echo "that is not $count line of $pci: $says"
		return 1
	fi
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
	# Names in sysfs are plain.
	# shellcheck disable=SC2012
	echo "files=$(ls "$device" | tr '\n' ' ')"
	# shellcheck disable=SC2012
	echo "PCI files=$(ls "/sys/bus/pci/devices/$pci" | tr '\n' ' ')"
	read -r first last _ <"/sys/bus/pci/devices/$pci/resource"
	echo "bar_first=$first"
	echo "bar_last=$last"
}
