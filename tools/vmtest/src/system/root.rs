// SPDX-License-Identifier: GPL-2.0

//! A root of Debian that can be written to: what is written goes to a layer of its own.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{bail, Context, Result};

/// Mounts the root in `$1` from the lower layers `$2` and runs the rest of the words. The mounts
/// are seen by these processes only, and go with them.
const ENTER: &str = "\
layer=$1 lower=$2; shift 2
layers=lowerdir=$lower,upperdir=$layer/upper,workdir=$layer/work
mount -t overlay overlay -o $layers $layer/root
export LAYER=$layer
exec \"$@\"";

/// The same, and changes into the root.
const CHROOT: &str = "\
mount -t proc proc $LAYER/root/proc
mount --rbind /dev $LAYER/root/dev
exec chroot $LAYER/root \"$@\"";

/// A root that is made of layers, the uppermost of which is written to.
pub(crate) struct Root {
    lower: Vec<PathBuf>,
    layer: PathBuf,
}

impl Root {
    /// A root on another one, with a fresh layer in this folder.
    pub(crate) fn fresh(lower: &[&Path], layer: &Path) -> Result<Self> {
        remove(layer)?;
        for name in ["upper", "work", "root"] {
            let path = layer.join(name);
            std::fs::create_dir_all(&path)
                .with_context(|| format!("cannot create {}", path.display()))?;
        }
        Ok(Self {
            lower: lower.iter().map(|path| (*path).to_owned()).collect(),
            layer: layer.to_owned(),
        })
    }

    /// A command outside of the root, which is in `$LAYER/root`. It ends with this process.
    pub(crate) fn outside(&self, words: &[&str]) -> Command {
        let lower: Vec<_> = self
            .lower
            .iter()
            .map(|path| path.to_string_lossy())
            .collect();
        let mut command = Command::new("setpriv");
        command
            .args([
                "--pdeathsig",
                "KILL",
                "unshare",
                "--mount",
                "--pid",
                "--fork",
                "--kill-child",
                "sh",
                "-ec",
                ENTER,
                "sh",
            ])
            .arg(&self.layer)
            .arg(lower.join(":"))
            .args(words)
            .env("LC_ALL", "C")
            .env("DEBIAN_FRONTEND", "noninteractive")
            .env_remove("CARGO_TARGET_DIR")
            .env_remove("MAKEFLAGS")
            .env_remove("MFLAGS")
            .env_remove("MAKELEVEL")
            .stdin(Stdio::null());
        command
    }

    /// A command in the root.
    pub(crate) fn inside(&self, words: &[&str]) -> Command {
        let enter = ["sh", "-ec", CHROOT, "sh"];
        let mut command = self.outside(&[&enter[..], words].concat());
        command
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("HOME", "/root");
        command
    }

    /// Runs a shell command in the root; gives what it prints, or fails with it.
    pub(crate) fn run(&self, script: &str) -> Result<String> {
        let (good, said) = self.attempt(script)?;
        if !good {
            bail!("in the root, {script:?} failed:\n{said}");
        }
        Ok(said)
    }

    /// Runs a shell command in the root; tells whether it succeeded, and what it printed.
    pub(crate) fn attempt(&self, script: &str) -> Result<(bool, String)> {
        let output = self
            .inside(&["sh", "-ec", &format!("exec 2>&1\n{script}")])
            .output()
            .context("cannot run unshare")?;
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text).trim_end().to_owned();
        Ok((output.status.success(), text))
    }

    /// Copies a file into the root; it is a program if the file is.
    pub(crate) fn put(&self, file: &Path, place: &str) -> Result<()> {
        let content =
            std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
        let mode = if is_program(file)? { "755" } else { "644" };
        let mut child = self
            .inside(&["install", "-D", "-m", mode, "/dev/stdin", place])
            .stdin(Stdio::piped())
            .spawn()
            .context("cannot run unshare")?;
        let mut stdin = child.stdin.take().context("install has no input")?;
        stdin
            .write_all(&content)
            .with_context(|| format!("cannot write {place}"))?;
        drop(stdin);
        if !child.wait()?.success() {
            bail!("cannot copy {} to {place}", file.display());
        }
        Ok(())
    }
}

/// Makes a folder unless it is there and made of the same. It is made beside its place, so that one
/// that was broken off is never taken for a whole one.
pub(crate) fn keep(
    folder: &Path,
    made_of: &str,
    make: impl FnOnce(&Path) -> Result<()>,
) -> Result<()> {
    const STAMP: &str = "made-of";
    if std::fs::read_to_string(folder.join(STAMP)).is_ok_and(|text| text == made_of) {
        return Ok(());
    }
    let partial = folder.with_extension("partial");
    remove(&partial)?;
    make(&partial)?;
    std::fs::write(partial.join(STAMP), made_of)
        .with_context(|| format!("cannot write to {}", partial.display()))?;
    remove(folder)?;
    std::fs::rename(&partial, folder)
        .with_context(|| format!("cannot move {} into place", folder.display()))
}

fn remove(folder: &Path) -> Result<()> {
    if folder.exists() {
        std::fs::remove_dir_all(folder)
            .with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    Ok(())
}

fn is_program(file: &Path) -> Result<bool> {
    use std::os::unix::fs::PermissionsExt;
    let data =
        std::fs::metadata(file).with_context(|| format!("cannot read {}", file.display()))?;
    Ok(data.permissions().mode() & 0o100 != 0)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use anyhow::bail;

    use super::*;

    #[test]
    fn a_layer_that_was_broken_off_is_made_again() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("installed");
        let make = |name: &'static str| {
            move |partial: &Path| {
                fs::create_dir(partial)?;
                Ok(fs::write(partial.join(name), "")?)
            }
        };
        let broken_off = |partial: &Path| {
            make("half")(partial)?;
            bail!("broken off")
        };
        assert!(keep(&folder, "a", broken_off).is_err());
        assert!(!folder.exists());
        keep(&folder, "a", make("whole")).unwrap();
        assert!(folder.join("whole").exists() && !folder.join("half").exists());
        keep(&folder, "a", |_| bail!("made again")).unwrap();
        assert!(keep(&folder, "b", broken_off).is_err());
        keep(&folder, "a", |_| bail!("the old one is lost")).unwrap();
        keep(&folder, "b", make("new")).unwrap();
        assert!(folder.join("new").exists() && !folder.join("whole").exists());
    }
}
