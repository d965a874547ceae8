// SPDX-License-Identifier: GPL-2.0

//! Virtio transports: what the virtio core calls, and what it is called for.
//!
//! - [`Device`]: a `struct virtio_device`.
//! - [`Transport`]: `struct virtio_config_ops` as a trait.
//! - [`Registration`]: owns a device that is registered with the virtio core.
//! - [`Devices`]: all of them, for whoever waits for their end.
//! - [`Virtqueue`]: a `struct virtqueue` with its ring.
//!
//! C headers: [`include/linux/virtio.h`](srctree/include/linux/virtio.h),
//! [`include/linux/virtio_config.h`](srctree/include/linux/virtio_config.h)

mod device;
mod queue;
mod registration;
mod transport;

pub(crate) use self::device::Device;
pub(crate) use self::queue::{
    Callbacks,
    Doorbell,
    Request,
    Virtqueue,
    Wanted, //
};
pub(crate) use self::registration::{
    Devices,
    Id,
    Registration,
    Verdict, //
};
pub(crate) use self::transport::Transport;
