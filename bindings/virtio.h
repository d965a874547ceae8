/* SPDX-License-Identifier: GPL-2.0 */

/* The headers that bindgen reads for this module, beyond those of the kernel crate. */

#include <linux/rcupdate.h>
#include <linux/virtio.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
