// SPDX-License-Identifier: GPL-2.0

//! The guest's memory, as far as QEMU has mapped it for the device.

use std::fs::File;
use std::io;
use std::sync::Arc;

use vm_memory::{
    Bytes, FileOffset, GuestAddress, GuestMemoryBackend, GuestMemoryMmap, GuestMemoryRegion,
    GuestRegionMmap,
};

/// The guest's memory.
#[derive(Default)]
pub(crate) struct Memory {
    regions: Vec<Arc<GuestRegionMmap>>,
    /// The regions, put together.
    whole: Arc<GuestMemoryMmap>,
}

impl Memory {
    /// Maps a file's bytes as the guest's memory at an address.
    pub(crate) fn map(
        &mut self,
        address: u64,
        size: u64,
        file: File,
        offset: u64,
    ) -> io::Result<()> {
        let size = usize::try_from(size).map_err(io::Error::other)?;
        let file = Some(FileOffset::new(file, offset));
        let region = GuestRegionMmap::from_range(GuestAddress(address), size, file)
            .map_err(io::Error::other)?;
        self.regions.push(Arc::new(region));
        self.assemble()
    }

    /// Forgets what is mapped in a range.
    pub(crate) fn unmap(&mut self, address: u64, size: u64) -> io::Result<()> {
        let end = address.saturating_add(size);
        self.regions.retain(|region| {
            let start = region.start_addr().0;
            start < address || start >= end
        });
        self.assemble()
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        self.regions.clear();
        self.whole = Arc::default();
    }

    /// The memory, to read and write.
    pub(crate) fn whole(&self) -> &Arc<GuestMemoryMmap> {
        &self.whole
    }

    /// Whether all of a range is memory.
    pub(crate) fn contains(&self, address: u64, size: u64) -> bool {
        let address = GuestAddress(address);
        usize::try_from(size)
            .is_ok_and(|size| GuestMemoryBackend::check_range(&*self.whole, address, size))
    }

    /// The bytes of a range; none if it is not all memory.
    pub(crate) fn read(&self, address: u64, size: usize) -> Option<Vec<u8>> {
        let mut bytes = vec![0; size];
        self.whole
            .read_slice(&mut bytes, GuestAddress(address))
            .ok()?;
        Some(bytes)
    }

    fn assemble(&mut self) -> io::Result<()> {
        self.regions.sort_by_key(|region| region.start_addr());
        self.whole = match self.regions.as_slice() {
            [] => Arc::default(),
            regions => Arc::new(
                GuestMemoryMmap::from_arc_regions(regions.to_vec()).map_err(io::Error::other)?,
            ),
        };
        Ok(())
    }
}
