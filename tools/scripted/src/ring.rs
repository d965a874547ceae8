// SPDX-License-Identifier: GPL-2.0

//! Virtqueues in the legacy layout: one page number for all three parts.
//!
//! Virtio 1.4, 2.7.2 "Legacy Interfaces: A Note on Virtqueue Layout".

use std::io::{Read, Write};
use std::sync::atomic::Ordering;
use std::sync::Arc;

use virtio_queue::{Queue, QueueOwnedT, QueueT, Reader, Writer};
use vm_memory::{Bytes, GuestAddress, GuestMemoryMmap};

/// The unit of ring addresses, and the alignment of the used ring.
pub(crate) const PAGE: u64 = 4096;

/// Why a virtqueue cannot be served.
#[derive(Debug)]
pub(crate) struct RingError(String);

impl std::fmt::Display for RingError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

fn ring_error(error: impl std::fmt::Display) -> RingError {
    RingError(error.to_string())
}

/// Where the parts of a virtqueue are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    /// The address of the descriptor table.
    pub(crate) descriptors: u64,
    /// The address of the available ring.
    pub(crate) available: u64,
    /// The address of the used ring.
    pub(crate) used: u64,
    /// The length in bytes of all of it.
    pub(crate) len: u64,
}

impl Layout {
    /// The layout of a virtqueue of this page and size.
    pub(crate) fn new(pfn: u32, size: u16) -> Self {
        let size = u64::from(size);
        let descriptors = u64::from(pfn) * PAGE;
        let available = descriptors + 16 * size;
        let used = (available + 2 * (3 + size)).next_multiple_of(PAGE);
        let end = used + 2 * 3 + 8 * size;
        Self {
            descriptors,
            available,
            used,
            len: end.next_multiple_of(PAGE) - descriptors,
        }
    }

    /// The length in bytes of the available ring, which only the driver writes.
    pub(crate) fn available_len(size: u16) -> usize {
        2 * (3 + usize::from(size))
    }
}

/// A buffer of the driver.
pub(crate) struct Buffer {
    head: u16,
    /// What the driver gives.
    pub(crate) given: Vec<u8>,
    /// How many bytes the driver takes.
    pub(crate) room: usize,
    chain: virtio_queue::DescriptorChain<Arc<GuestMemoryMmap>>,
}

/// A virtqueue that has a ring.
pub(crate) struct Ring {
    queue: Queue,
    used: u64,
    size: u16,
    /// Used ids to give instead of the right ones.
    pub(crate) false_id: Option<u32>,
}

impl Ring {
    /// Begins with a ring at this page.
    ///
    /// # Errors
    ///
    /// A size that no ring has.
    pub(crate) fn new(pfn: u32, size: u16, event_index: bool) -> Result<Self, RingError> {
        let layout = Layout::new(pfn, size);
        let mut queue: Queue = QueueT::new(size).map_err(ring_error)?;
        queue.set_size(size);
        queue
            .try_set_desc_table_address(GuestAddress(layout.descriptors))
            .map_err(ring_error)?;
        queue
            .try_set_avail_ring_address(GuestAddress(layout.available))
            .map_err(ring_error)?;
        queue
            .try_set_used_ring_address(GuestAddress(layout.used))
            .map_err(ring_error)?;
        queue.set_event_idx(event_index);
        queue.set_ready(true);
        Ok(Self {
            queue,
            used: layout.used,
            size,
            false_id: None,
        })
    }

    /// The next buffer of the driver, if there is one.
    ///
    /// # Errors
    ///
    /// A ring or a buffer that is not in memory.
    pub(crate) fn next(
        &mut self,
        memory: &Arc<GuestMemoryMmap>,
    ) -> Result<Option<Buffer>, RingError> {
        let mut available = self.queue.iter(memory.clone()).map_err(ring_error)?;
        let Some(chain) = available.next() else {
            return Ok(None);
        };
        let mut reader: Reader<'_> = chain.clone().reader(&**memory).map_err(ring_error)?;
        let mut given = vec![0; reader.available_bytes()];
        reader.read_exact(&mut given).map_err(ring_error)?;
        let writer: Writer<'_> = chain.clone().writer(&**memory).map_err(ring_error)?;
        let room = writer.available_bytes();
        Ok(Some(Buffer {
            head: chain.head_index(),
            given,
            room,
            chain,
        }))
    }

    /// Gives a buffer back that was not used.
    pub(crate) fn put_back(&mut self) {
        self.queue.go_to_previous_position();
    }

    /// Gives a buffer back with these bytes in it.
    pub(crate) fn finish(
        &mut self,
        memory: &Arc<GuestMemoryMmap>,
        buffer: Buffer,
        bytes: &[u8],
    ) -> Result<(), RingError> {
        let mut writer: Writer<'_> = buffer.chain.writer(&**memory).map_err(ring_error)?;
        writer.write_all(bytes).map_err(ring_error)?;
        let len = u32::try_from(bytes.len()).map_err(ring_error)?;
        match self.false_id {
            None => self
                .queue
                .add_used(&**memory, buffer.head, len)
                .map_err(ring_error),
            Some(id) => self.add_false(memory, id, len),
        }
    }

    /// Adds an element that the library would not.
    fn add_false(
        &mut self,
        memory: &Arc<GuestMemoryMmap>,
        id: u32,
        len: u32,
    ) -> Result<(), RingError> {
        let next = self.queue.next_used();
        let at = GuestAddress(self.used + 4 + 8 * u64::from(next % self.size));
        memory
            .write_obj(((u64::from(len) << 32) | u64::from(id)).to_le(), at)
            .map_err(ring_error)?;
        let next = next.wrapping_add(1);
        self.queue.set_next_used(next);
        let index = GuestAddress(self.used + 2);
        memory
            .store(next.to_le(), index, Ordering::Release)
            .map_err(ring_error)
    }

    /// Asks for notifications of buffers to come; whether some have come since.
    pub(crate) fn rearm(&mut self, memory: &Arc<GuestMemoryMmap>) -> Result<bool, RingError> {
        self.queue
            .enable_notification(&**memory)
            .map_err(ring_error)
    }

    /// Whether the driver wants an interrupt for what was used.
    pub(crate) fn wants_interrupt(
        &mut self,
        memory: &Arc<GuestMemoryMmap>,
    ) -> Result<bool, RingError> {
        self.queue.needs_notification(&**memory).map_err(ring_error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layout_is_that_of_the_specification() {
        let layout = Layout::new(0x10, 256);
        assert_eq!(layout.descriptors, 0x10000);
        assert_eq!(layout.available, 0x11000);
        assert_eq!(layout.used, 0x12000);
        assert_eq!(layout.len, 0x3000);
        let small = Layout::new(1, 8);
        assert_eq!(
            (small.available, small.used, small.len),
            (0x1080, 0x2000, 0x2000)
        );
    }

    #[test]
    fn a_ring_has_a_size_that_is_a_power_of_two() {
        assert!(Ring::new(1, 3, false).is_err());
        assert!(Ring::new(1, 0, false).is_err());
        assert!(Ring::new(1, 32768, false).is_ok());
    }
}
