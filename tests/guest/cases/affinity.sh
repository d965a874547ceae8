# SPDX-License-Identifier: GPL-2.0
#
# Interrupts that go to the processors that the user has set.

# The folders in /proc/irq of the interrupts $2... of the device in slot $1.
irqs_of() {
	local name virtio
	virtio=$(virtio_of "$1") || { echo "$virtio"; return 1; }
	shift
	for name; do
		awk -v name="$virtio-$name" '
			$NF == name { sub(":", "", $1); print "/proc/irq/" $1; found = 1 }
			END { if (!found) { print "no interrupt " name; exit 1 } }' /proc/interrupts || return
	done
}

# The interrupts $3... of the device in slot $1 are to go to the processors of the mask $2.
set_affinity() {
	local irq irqs mask slot
	slot=$1 mask=$2
	shift 2
	irqs=$(irqs_of "$slot" "$@") || { echo "$irqs"; return 1; }
	for irq in $irqs; do
		echo "$mask" >"$irq/smp_affinity" || return
	done
}

# They still do.
check_affinity() {
	local irq irqs mask slot
	slot=$1 mask=$2
	shift 2
	irqs=$(irqs_of "$slot" "$@") || { echo "$irqs"; return 1; }
	for irq in $irqs; do
		[ $((0x$(cat "$irq/smp_affinity"))) -eq $((0x$mask)) ] || {
			cat /proc/interrupts
			echo "$irq has the affinity $(cat "$irq/smp_affinity")"
			return 1
		}
	done
}
