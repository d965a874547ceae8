// SPDX-License-Identifier: GPL-2.0

//! Virtio transports: what the virtio core calls, and what it is called for.
//!
//! - [`Device`]: a `struct virtio_device`; [`Frozen`]: its virtio driver, until it is restored.
//! - [`ConfigOps`]: `struct virtio_config_ops` as a trait; [`Transport`]: what is called in
//!   addition.
//! - [`Registration`]: owns a device that is registered with the virtio core.
//! - [`Devices`]: keeps the module until all of them are released.
//! - [`Virtqueue`]: a `struct virtqueue` with its ring.
//!
//! C headers: [`include/linux/virtio.h`](srctree/include/linux/virtio.h),
//! [`include/linux/virtio_config.h`](srctree/include/linux/virtio_config.h)

mod config_ops;
mod device;
mod queue;
mod registration;

pub(crate) use self::config_ops::{
    ConfigOps,
    Transport, //
};
pub(crate) use self::device::{
    Device,
    DeviceGuard,
    Frozen,
    Restored, //
};
pub(crate) use self::queue::{
    Announce,
    Callbacks,
    Doorbell,
    FindVqs,
    Fulfilled,
    Request,
    Virtqueue, //
};
pub(crate) use self::registration::{
    Devices,
    Id,
    Registration, //
};
