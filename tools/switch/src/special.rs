// SPDX-License-Identifier: GPL-2.0

//! Special files: the devices that they are, and disks that are opened for one program alone.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use rustix::fs::{open, statx, AtFlags, FileType, Mode, OFlags, StatxFlags, CWD};
use rustix::io::Errno;

/// The device that a special file is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Special {
    pub(crate) is_block: bool,
    /// Major and minor number, as sysfs has them.
    pub(crate) number: String,
}

/// The device that a file is; none if it is no special file. Links are followed, those of
/// `/proc/PID/fd` too. A filesystem that does not respond is not waited for.
pub(crate) fn of(path: &Path) -> io::Result<Option<Special>> {
    let known = AtFlags::STATX_DONT_SYNC;
    let found = match statx(CWD, path, known, StatxFlags::TYPE) {
        // A filesystem of a user's own does not answer root. Such a file is no device.
        Err(Errno::ACCESS) => return fs::read_link(path).map(|_| None),
        other => other?,
    };
    let kind = FileType::from_raw_mode(found.stx_mode.into());
    let is_block = kind == FileType::BlockDevice;
    let is_special = is_block || kind == FileType::CharacterDevice;
    Ok(is_special.then(|| Special {
        is_block,
        number: format!("{}:{}", found.stx_rdev_major, found.stx_rdev_minor),
    }))
}

/// Opens a disk for this program alone.
pub(crate) fn claim(path: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::EXCL | OFlags::CLOEXEC;
    Ok(File::from(open(path, flags, Mode::empty())?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_special_file_has_a_number() {
        let null = Special {
            is_block: false,
            number: "1:3".to_owned(),
        };
        assert_eq!(of(Path::new("/dev/null")).unwrap(), Some(null));
        assert_eq!(of(Path::new("/proc/self/exe")).unwrap(), None);
        assert!(of(Path::new("/dev/null/x")).is_err());
    }
}
