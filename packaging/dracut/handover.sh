#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# udevd does not run yet, and does not start before this ends: to settle would be to wait in vain.
/usr/lib/virtio-pci-rs/handover
