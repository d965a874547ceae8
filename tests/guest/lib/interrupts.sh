# SPDX-License-Identifier: GPL-2.0
#
# The interrupts of the devices.

# The names in /proc/interrupts of a virtio device.
interrupt_names() {
	awk -v name="$1" '{ for (i = 1; i <= NF; i++) if (index($i, name) == 1) {
		sub(",", "", $i)
		if ($i == name || index($i, name "-") == 1) print $i
	} }' /proc/interrupts
}

# Sets $interrupts to the interrupt policy that a virtio device has, from the words in /proc/interrupts.
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
	local expected interrupts virtio words
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
	local count each pci says shared
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
