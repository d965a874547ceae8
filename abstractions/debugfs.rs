// SPDX-License-Identifier: GPL-2.0

//! Files in debugfs that hold their module.
//!
//! The file operations of [`kernel::debugfs`] have no `owner`: a file that is open does not keep
//! the module, and is released by code that is gone.
//!
//! Upstream: `rust/kernel/debugfs.rs`, whose `FileOps` would have an owner.
//!
//! C header: [`include/linux/debugfs.h`](srctree/include/linux/debugfs.h)

#![cfg_attr(
    not(CONFIG_DEBUG_FS),
    allow(dead_code, unused_imports, reason = "there are no files")
)]

use core::marker::PhantomData;

use kernel::{
    bindings,
    fmt,
    prelude::*,
    seq_file::SeqFile,
    seq_print,
    sync::Arc, //
};

use super::compat;

/// A file that shows something of a `T`.
pub(crate) struct File<T> {
    /// The name of the file.
    pub(crate) name: &'static CStr,
    /// Writes the contents.
    pub(crate) show: fn(&T, &mut fmt::Formatter<'_>) -> fmt::Result,
}

/// A directory, which is removed with all that is in it when this is dropped.
///
/// # Invariants
///
/// `dentry` was made by `debugfs_create_dir`, or is an error pointer.
pub(crate) struct Dir {
    #[cfg(CONFIG_DEBUG_FS)]
    dentry: *mut bindings::dentry,
}

// SAFETY: debugfs has locks of its own; the pointer may be used by any thread.
unsafe impl Send for Dir {}

// SAFETY: As above.
unsafe impl Sync for Dir {}

#[cfg(CONFIG_DEBUG_FS)]
impl Dir {
    /// Makes a directory at the root of debugfs.
    ///
    /// Failure is not an error: there are no files then.
    pub(crate) fn new(name: &CStr) -> Self {
        // SAFETY: The name is valid, and null is the root.
        let dentry =
            unsafe { bindings::debugfs_create_dir(name.as_char_ptr(), core::ptr::null_mut()) };
        // INVARIANT: See above.
        Self { dentry }
    }

    /// Finds the directory `parent` at the root of debugfs, and makes the directory `name` in it.
    ///
    /// # Errors
    ///
    /// `ENOENT` if `parent` is not there.
    pub(crate) fn below(parent: &CStr, name: &CStr) -> Result<Self> {
        // SAFETY: The names are valid, and null is the root. `debugfs_lookup` gives a reference to
        // a directory, which `dput` drops.
        unsafe {
            let found = bindings::debugfs_lookup(parent.as_char_ptr(), core::ptr::null_mut());
            if found.is_null() {
                return Err(ENOENT);
            }
            let dentry = bindings::debugfs_create_dir(name.as_char_ptr(), found);
            bindings::dput(found);
            // INVARIANT: See above.
            Ok(Self { dentry })
        }
    }
}

#[cfg(CONFIG_DEBUG_FS)]
impl Drop for Dir {
    fn drop(&mut self) {
        // SAFETY: By the type invariant; error pointers are ignored. The function waits for
        // operations on files that are in progress, and lets none begin.
        unsafe { bindings::debugfs_remove(self.dentry) };
    }
}

#[cfg(not(CONFIG_DEBUG_FS))]
impl Dir {
    /// Does nothing: the kernel has no debugfs.
    pub(crate) fn new(_name: &CStr) -> Self {
        Self {}
    }

    /// Does nothing: the kernel has no debugfs.
    pub(crate) fn below(_parent: &CStr, _name: &CStr) -> Result<Self> {
        Ok(Self {})
    }
}

/// A directory with files that show `data`.
///
/// Fields are dropped in order: the files go before what they show.
pub(crate) struct Files<T: Sync + 'static> {
    _dir: Dir,
    _data: Arc<T>,
}

impl<T: Sync + 'static> Files<T> {
    /// Makes `files` in `dir`, which only root may read.
    ///
    /// A file that is open holds the module. When this is dropped before, reads give `EIO`.
    pub(crate) fn new(dir: Dir, data: Arc<T>, files: &'static [File<T>]) -> Self {
        #[cfg(CONFIG_DEBUG_FS)]
        for file in files {
            // SAFETY: The directory is valid or an error pointer, which the function takes. The
            // data are dropped after `Dir`, whose drop ends all use of the file; `file` is static.
            // The operations are static, and those of a `seq_file` but for `open`, which expects a
            // `T` and a `File<T>`.
            unsafe {
                bindings::debugfs_create_file_full(
                    file.name.as_char_ptr(),
                    0o400,
                    dir.dentry,
                    Arc::as_ptr(&data).cast_mut().cast(),
                    core::ptr::from_ref(file).cast(),
                    &Operations::<T>::TABLE,
                )
            };
        }
        #[cfg(not(CONFIG_DEBUG_FS))]
        let _ = files;
        Self {
            _dir: dir,
            _data: data,
        }
    }
}

/// The file operations of a [`File`].
struct Operations<T>(PhantomData<T>);

#[cfg(CONFIG_DEBUG_FS)]
impl<T: Sync + 'static> Operations<T> {
    const TABLE: bindings::file_operations = bindings::file_operations {
        owner: compat::this_module(),
        open: Some(Self::open_callback),
        read: Some(bindings::seq_read),
        llseek: Some(bindings::seq_lseek),
        release: Some(bindings::single_release),
        ..pin_init::zeroed()
    };

    /// # Safety
    ///
    /// Only for use in [`Self::TABLE`], for a file with a `T` and a `File<T>`.
    unsafe extern "C" fn open_callback(
        inode: *mut bindings::inode,
        file: *mut bindings::file,
    ) -> c_int {
        // SAFETY: By the safety requirements; debugfs gives a file that is being opened.
        unsafe { bindings::single_open(file, Some(Self::show_callback), (*inode).i_private) }
    }

    /// # Safety
    ///
    /// Only for use by [`Self::open_callback`].
    unsafe extern "C" fn show_callback(seq: *mut bindings::seq_file, _: *mut c_void) -> c_int {
        // SAFETY: By the safety requirements, the private data are a `T`, and those of the file a
        // static `File<T>`. debugfs calls this only while the file is not removed, and so before
        // `Files` drops the data.
        let (seq_file, contents) = unsafe {
            let file = bindings::debugfs_get_aux((*seq).file);
            (
                SeqFile::from_raw(seq),
                Contents::<T>(
                    &*(*seq).private.cast_const().cast(),
                    &*file.cast_const().cast(),
                ),
            )
        };
        seq_print!(seq_file, "{}", contents);
        0
    }
}

/// Formats what a [`File`] shows.
struct Contents<'a, T>(&'a T, &'a File<T>);

impl<T> fmt::Display for Contents<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (self.1.show)(self.0, f)
    }
}
