// SPDX-License-Identifier: GPL-2.0

//! A disk on a file (virtio 1.4, 5.2).

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use anyhow::{Context, Result};

use super::{Model, Served};

const SECTOR: u64 = 512;
/// Feature: the greatest number of segments is in the configuration.
const F_SEG_MAX: u32 = 1 << 2;
/// Feature: there is a flush command.
const F_FLUSH: u32 = 1 << 9;
/// The greatest number of segments of a request.
const SEGMENTS: u32 = 60;
/// The length of a request's header: type, reserved, sector.
const HEADER: usize = 16;

const T_IN: u32 = 0;
const T_OUT: u32 = 1;
const T_FLUSH: u32 = 4;
const T_GET_ID: u32 = 8;

const S_OK: u8 = 0;
const S_IOERR: u8 = 1;
const S_UNSUPP: u8 = 2;

/// A disk on a file.
pub(crate) struct Disk {
    file: File,
    sectors: u64,
    /// The sectors that were written, if the file is not to be.
    written: Option<BTreeMap<u64, Vec<u8>>>,
}

impl Disk {
    /// Opens the file.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        Self::new(path, File::options().read(true).write(true), None)
    }

    /// Opens the file to be read only.
    pub(crate) fn snapshot(path: &Path) -> Result<Self> {
        Self::new(path, File::options().read(true), Some(BTreeMap::new()))
    }

    fn new(
        path: &Path,
        options: &OpenOptions,
        written: Option<BTreeMap<u64, Vec<u8>>>,
    ) -> Result<Self> {
        let file = options
            .open(path)
            .with_context(|| format!("cannot open {}", path.display()))?;
        let sectors = file.metadata()?.len() / SECTOR;
        Ok(Self {
            file,
            sectors,
            written,
        })
    }

    fn read(&self, bytes: &mut [u8], at: u64) -> io::Result<()> {
        self.file.read_exact_at(bytes, at)?;
        let Some(written) = &self.written else {
            return Ok(());
        };
        for (part, sector) in bytes.chunks_mut(SECTOR as usize).zip(at / SECTOR..) {
            if let Some(own) = written.get(&sector) {
                let len = part.len().min(own.len());
                part[..len].copy_from_slice(&own[..len]);
            }
        }
        Ok(())
    }

    fn write(&mut self, bytes: &[u8], at: u64) -> io::Result<()> {
        let Some(written) = &mut self.written else {
            return self.file.write_all_at(bytes, at);
        };
        let sectors = bytes.chunks(SECTOR as usize).zip(at / SECTOR..);
        written.extend(sectors.map(|(part, sector)| (sector, part.to_vec())));
        Ok(())
    }

    /// The bytes to give back, without the status that comes last.
    fn request(&mut self, given: &[u8], room: usize) -> Result<Vec<u8>, u8> {
        let (header, data) = given.split_at_checked(HEADER).ok_or(S_IOERR)?;
        let (kind, rest) = header.split_first_chunk().ok_or(S_IOERR)?;
        let sector = rest.last_chunk().ok_or(S_IOERR)?;
        let at = u64::from_le_bytes(*sector)
            .checked_mul(SECTOR)
            .ok_or(S_IOERR)?;
        let inside = |len: usize| {
            let end = at.checked_add(len as u64);
            end.is_some_and(|end| end <= self.sectors * SECTOR)
        };
        match u32::from_le_bytes(*kind) {
            T_IN if inside(room) => {
                let mut bytes = vec![0; room];
                self.read(&mut bytes, at).map_err(|_| S_IOERR)?;
                Ok(bytes)
            }
            T_OUT if inside(data.len()) => {
                self.write(data, at).map_err(|_| S_IOERR)?;
                Ok(Vec::new())
            }
            // The file is read by the machine that wrote it.
            T_FLUSH => Ok(Vec::new()),
            T_GET_ID => {
                let mut id = b"scripted".to_vec();
                id.resize(room, 0);
                Ok(id)
            }
            T_IN | T_OUT => Err(S_IOERR),
            _ => Err(S_UNSUPP),
        }
    }
}

impl Model for Disk {
    fn features(&self) -> u32 {
        F_SEG_MAX | F_FLUSH
    }

    fn queue_sizes(&self) -> Vec<u16> {
        vec![64]
    }

    fn config(&self) -> Vec<u8> {
        // Capacity, largest segment, number of segments, geometry, block size.
        let mut config = self.sectors.to_le_bytes().to_vec();
        config.extend([0; 4]);
        config.extend(SEGMENTS.to_le_bytes());
        config.extend([0; 8]);
        config
    }

    fn serve(&mut self, _queue: usize, given: &[u8], room: usize) -> Served {
        let Some(room) = room.checked_sub(1) else {
            return Served::Finished(Vec::new());
        };
        let bytes = match self.request(given, room) {
            Ok(mut bytes) => {
                bytes.push(S_OK);
                bytes
            }
            Err(status) => {
                let mut bytes = vec![0; room];
                bytes.push(status);
                bytes
            }
        };
        Served::Finished(bytes)
    }

    fn wakes(&self, _queue: usize) -> Option<usize> {
        None
    }

    fn reset(&mut self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk() -> (tempfile::NamedTempFile, Disk) {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(8 * SECTOR).unwrap();
        let disk = Disk::open(file.path()).unwrap();
        (file, disk)
    }

    fn request(kind: u32, sector: u64, data: &[u8]) -> Vec<u8> {
        let mut bytes = kind.to_le_bytes().to_vec();
        bytes.extend([0; 4]);
        bytes.extend(sector.to_le_bytes());
        bytes.extend(data);
        bytes
    }

    fn answer(disk: &mut Disk, given: &[u8], room: usize) -> Vec<u8> {
        match disk.serve(0, given, room) {
            Served::Finished(bytes) => bytes,
            Served::Kept => panic!("a disk keeps nothing"),
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let (_file, mut disk) = disk();
        let data = [7; SECTOR as usize];
        assert_eq!(answer(&mut disk, &request(T_OUT, 3, &data), 1), [S_OK]);
        let read = answer(&mut disk, &request(T_IN, 3, &[]), data.len() + 1);
        assert_eq!(read[..data.len()], data);
        assert_eq!(read.last(), Some(&S_OK));
    }

    #[test]
    fn a_snapshot_does_not_write_to_its_file() {
        let (file, mut disk) = disk();
        let (old, new) = ([7; SECTOR as usize], [9; SECTOR as usize]);
        answer(&mut disk, &request(T_OUT, 3, &old), 1);
        let mut snapshot = Disk::snapshot(file.path()).unwrap();
        assert_eq!(answer(&mut snapshot, &request(T_OUT, 4, &new), 1), [S_OK]);
        let both = answer(&mut snapshot, &request(T_IN, 3, &[]), 2 * old.len() + 1);
        assert_eq!(both[..old.len()], old);
        assert_eq!(both[old.len()..2 * old.len()], new);
        let read = answer(&mut disk, &request(T_IN, 4, &[]), old.len() + 1);
        assert_eq!(read[..old.len()], [0; SECTOR as usize]);
    }

    #[test]
    fn what_is_outside_is_refused() {
        let (_file, mut disk) = disk();
        for sector in [8, u64::MAX] {
            let read = answer(&mut disk, &request(T_IN, sector, &[]), 513);
            assert_eq!(read.last(), Some(&S_IOERR));
        }
        assert_eq!(answer(&mut disk, &[], 1), [S_IOERR]);
        assert_eq!(answer(&mut disk, &request(77, 0, &[]), 1), [S_UNSUPP]);
    }
}
