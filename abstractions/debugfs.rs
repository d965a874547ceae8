// SPDX-License-Identifier: GPL-2.0

//! The module's directory in debugfs.
//!
//! [`kernel::debugfs`] has all that is needed, but for a place where the probe of a driver finds
//! what the module has made.

use kernel::{
    debugfs::Dir,
    prelude::*,
    sync::{
        atomic::{
            Acquire,
            AtomicFlag,
            Full,
            Release, //
        },
        global_lock, //
    }, //
};

global_lock! {
    // SAFETY: Only used while `IS_READY`, which is set after it was initialised.
    unsafe(uninit) static DIRECTORY: Mutex<Option<Dir>> = None;
}

static IS_BEGUN: AtomicFlag = AtomicFlag::new(false);
static IS_READY: AtomicFlag = AtomicFlag::new(false);

/// The directory of the module, which is removed when this is dropped.
pub(crate) struct Root(());

impl Root {
    /// Makes the directory.
    ///
    /// # Errors
    ///
    /// `EBUSY` if that was done before.
    pub(crate) fn new(name: &CStr) -> Result<Self> {
        if IS_BEGUN.xchg(true, Full) {
            return Err(EBUSY);
        }
        // SAFETY: By the test above, this is done once.
        unsafe { DIRECTORY.init() };
        IS_READY.store(true, Release);
        *DIRECTORY.lock() = Some(Dir::new(name));
        Ok(Self(()))
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        *DIRECTORY.lock() = None;
    }
}

/// The directory of the module, while there is one.
pub(crate) fn directory() -> Option<Dir> {
    IS_READY.load(Acquire).then(|| DIRECTORY.lock().clone())?
}
