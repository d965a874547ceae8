# SPDX-License-Identifier: GPL-2.0
#
# What is compared between the two drivers.

# What can be seen of the device in a slot, as NAME=VALUE lines.
observe() {
	local device first last name pci virtio
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
