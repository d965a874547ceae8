// SPDX-License-Identifier: GPL-2.0

//! What every step of the set-up is given: the cache, its locks, and a way to talk to people.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context as _, Result};
use fs4::FileExt;
use sha2::{Digest, Sha256};

use crate::Arch;

/// The surroundings of a step.
pub(crate) struct Context<'a> {
    /// Root of the cache.
    pub(crate) cache: PathBuf,
    /// The clone, where commands of the Rust toolchain run: its toolchain file counts.
    pub(crate) repository: PathBuf,
    /// Whether to look for newer versions of what the cache has.
    pub(crate) update: bool,
    /// The architectures whose package lists this run has tried to fetch.
    pub(crate) lists_tried: Vec<Arch>,
    say: &'a (dyn Fn(&str) + Sync),
}

impl<'a> Context<'a> {
    pub(crate) fn new(
        cache: PathBuf,
        repository: PathBuf,
        update: bool,
        say: &'a (dyn Fn(&str) + Sync),
    ) -> Self {
        Self {
            cache,
            repository,
            update,
            lists_tried: Vec::new(),
            say,
        }
    }

    /// The same for a step that runs beside this one.
    pub(crate) fn beside(&self) -> Self {
        Self {
            cache: self.cache.clone(),
            repository: self.repository.clone(),
            update: self.update,
            lists_tried: self.lists_tried.clone(),
            say: self.say,
        }
    }

    /// Says how long `step` took.
    pub(crate) fn timed<T>(
        &mut self,
        what: &str,
        step: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<T> {
        let start = Instant::now();
        let done = step(self)?;
        self.say(format!("  {what}: {} s", start.elapsed().as_secs()));
        Ok(done)
    }

    /// Says one line to people.
    pub(crate) fn say(&mut self, line: impl AsRef<str>) {
        (self.say)(line.as_ref());
    }

    /// Takes the lock `name` of the cache: two clones never make the same thing at once.
    pub(crate) fn lock(&mut self, name: &str) -> Result<Lock> {
        Lock::take(&self.cache.join("locks").join(name), self.say)
    }

    /// Makes the directory `target` all or nothing: `fill` works beside it, success renames.
    pub(crate) fn fill(
        &mut self,
        target: &Path,
        fill: impl FnOnce(&mut Self, &Path) -> Result<()>,
    ) -> Result<()> {
        let mut partial = target.as_os_str().to_owned();
        partial.push(".partial");
        let partial = PathBuf::from(partial);
        remove_dir(&partial)?;
        create_dir(&partial)?;
        fill(self, &partial)?;
        remove_dir(target)?;
        fs::rename(&partial, target)
            .with_context(|| format!("cannot move {} into place", target.display()))
    }

    /// Path of the log `name`, in a directory that is there.
    pub(crate) fn log(&self, name: &str) -> Result<PathBuf> {
        let directory = self.cache.join("logs");
        create_dir(&directory)?;
        Ok(directory.join(format!("{name}.log")))
    }
}

/// A lock of the cache, held while this lives.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock that the file `path` is, and makes the file. Says so if another run holds it.
    ///
    /// # Errors
    ///
    /// The file cannot be made or locked.
    pub fn take(path: &Path, say: &dyn Fn(&str)) -> Result<Self> {
        let file = create_dir(path.parent().unwrap_or(Path::new(".")))
            .and_then(|()| Ok(File::create(path)?))
            .with_context(|| format!("cannot open the lock {}", path.display()))?;
        if FileExt::try_lock(&file).is_err() {
            say(&format!(
                "waiting: another run holds {} (stop this one with Ctrl-C if that is wrong)",
                path.display()
            ));
            FileExt::lock(&file).with_context(|| format!("cannot lock {}", path.display()))?;
        }
        Ok(Self { _file: file })
    }
}

/// Creates `path` and its parents.
pub(crate) fn create_dir(path: &Path) -> Result<()> {
    fs::create_dir_all(path).with_context(|| format!("cannot create {}", path.display()))
}

/// Removes the directory `path` if it is there.
pub(crate) fn remove_dir(path: &Path) -> Result<()> {
    if path.exists() {
        fs::remove_dir_all(path).with_context(|| format!("cannot remove {}", path.display()))?;
    }
    Ok(())
}

/// Reads the text file `path`.
pub(crate) fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

/// Writes `text` to `path`.
pub(crate) fn write(path: &Path, text: impl AsRef<[u8]>) -> Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

/// A short name for `text`, the same for the same text only.
pub(crate) fn digest(text: &str) -> String {
    let digest = Sha256::digest(text);
    digest[..6]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// Finds the cache's root from the values of the three variables that may name it.
pub(crate) fn cache_root(
    own: Option<PathBuf>,
    xdg: Option<PathBuf>,
    home: Option<PathBuf>,
) -> Result<PathBuf> {
    let set = |path: Option<PathBuf>| path.filter(|path| !path.as_os_str().is_empty());
    let root = set(own)
        .or_else(|| set(xdg).map(|path| path.join("virtio_pci_rs")))
        .or_else(|| set(home).map(|path| path.join(".cache/virtio_pci_rs")))
        .context("no cache directory: set VIRTIO_PCI_RS_CACHE or HOME")?;
    std::path::absolute(&root).with_context(|| format!("cannot use {}", root.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cache_is_where_the_environment_says() {
        let path = |text: &str| Some(PathBuf::from(text));
        let root = |own, xdg, home| cache_root(own, xdg, home).unwrap();
        assert_eq!(
            root(path("/own"), path("/xdg"), path("/home/me")),
            PathBuf::from("/own")
        );
        assert_eq!(
            root(path(""), path("/xdg"), path("/home/me")),
            PathBuf::from("/xdg/virtio_pci_rs")
        );
        assert_eq!(
            root(None, None, path("/home/me")),
            PathBuf::from("/home/me/.cache/virtio_pci_rs")
        );
        assert!(cache_root(None, path(""), None).is_err());
    }

    #[test]
    fn a_second_run_waits_and_says_for_what() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("lock");
        let (tell, told) = std::sync::mpsc::sync_channel(1);
        let say = |line: &str| tell.send(line.to_owned()).unwrap();
        let lock = || Context::new(root.clone(), root.clone(), false, &say).lock("system");
        let first = lock().unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let _second = lock().unwrap();
                say("has it");
            });
            let line = told.recv().unwrap();
            assert!(line.starts_with("waiting: another run holds "), "{line}");
            assert!(line.contains("locks/system "), "{line}");
            assert!(told.try_recv().is_err());
            drop(first);
            assert_eq!(told.recv().unwrap(), "has it");
        });
    }

    #[test]
    fn an_unfinished_directory_is_never_taken_for_a_finished_one() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("fill");
        let quiet = |_: &str| {};
        let mut cx = Context::new(root.clone(), root.clone(), false, &quiet);
        let target = root.join("thing-1.2");
        let failed = cx.fill(&target, |_, partial| {
            write(&partial.join("half"), "")?;
            anyhow::bail!("broken off")
        });
        assert!(failed.is_err() && !target.exists());
        cx.fill(&target, |_, partial| write(&partial.join("whole"), ""))
            .unwrap();
        assert!(target.join("whole").exists() && !target.join("half").exists());
    }
}
