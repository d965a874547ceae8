// SPDX-License-Identifier: GPL-2.0

//! What the devices do with their buffers.

mod console;
mod disk;
mod random;

use std::path::PathBuf;

use anyhow::Result;

pub(crate) use console::Console;
pub(crate) use disk::Disk;
pub(crate) use random::Random;

/// The kind of a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A source of random numbers: one virtqueue.
    Rng,
    /// A disk on this file: one virtqueue.
    Disk(PathBuf),
    /// The same, but what is written to it is kept in memory and forgotten with the device.
    Snapshot(PathBuf),
    /// A serial port that sends back what it gets: two virtqueues.
    Console,
}

impl Kind {
    /// The virtio device type.
    pub fn device_type(&self) -> u16 {
        match self {
            Self::Disk(_) | Self::Snapshot(_) => 2,
            Self::Console => 3,
            Self::Rng => 4,
        }
    }

    /// The PCI device id that the specification lists for it (virtio 1.4, 4.1.2.1).
    pub(crate) fn listed_id(&self) -> u16 {
        match self {
            Self::Disk(_) | Self::Snapshot(_) => 0x1001,
            Self::Console => 0x1003,
            Self::Rng => 0x1005,
        }
    }

    /// Makes the device.
    ///
    /// # Errors
    ///
    /// The file of a disk cannot be opened.
    pub(crate) fn model(&self) -> Result<Box<dyn Model>> {
        Ok(match self {
            Self::Rng => Box::new(Random::new()),
            Self::Disk(path) => Box::new(Disk::open(path)?),
            Self::Snapshot(path) => Box::new(Disk::snapshot(path)?),
            Self::Console => Box::new(Console::default()),
        })
    }
}

/// What becomes of a buffer.
pub(crate) enum Served {
    /// It goes back with these bytes in it.
    Finished(Vec<u8>),
    /// It stays until the device has something to put into it.
    Kept,
}

/// What a device does with its buffers.
pub(crate) trait Model: Send {
    /// The features that it offers beside those of the rings.
    fn features(&self) -> u32;
    /// The sizes of its virtqueues.
    fn queue_sizes(&self) -> Vec<u16>;
    /// Its configuration.
    fn config(&self) -> Vec<u8>;
    /// Takes a buffer of a virtqueue.
    fn serve(&mut self, queue: usize, given: &[u8], room: usize) -> Served;
    /// Another virtqueue that has to be served after this one.
    fn wakes(&self, queue: usize) -> Option<usize>;
    /// Forgets what the driver gave.
    fn reset(&mut self);
}
