#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Puts virtio_pci_rs into the initramfs, and what hands the devices over to it before udev runs.

# A kernel that the module is not built for keeps the C driver. If it has none, dracut ends, and the
# initramfs that is there stays. VIRTIO_PCI_RS_ROOT is for the test.
check() {
	modinfo -k "${kernel:?}" virtio_pci_rs >/dev/null 2>&1 && return
	"${VIRTIO_PCI_RS_ROOT-}/usr/lib/virtio-pci-rs/check-c-driver" "$kernel" || exit
	return 1
}

depends() {
	return 0
}

installkernel() {
	hostonly='' instmods virtio_pci_rs virtio_blk virtio_scsi virtio_net
}

install() {
	inst_multiple cat modprobe
	inst_simple /usr/lib/virtio-pci-rs/handover
	inst_hook pre-udev 10 "${moddir:?}/handover.sh"
}
