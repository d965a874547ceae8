#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
/usr/lib/virtio-pci-rs/handover
