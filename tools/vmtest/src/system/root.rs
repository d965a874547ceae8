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
        if layer.exists() {
            std::fs::remove_dir_all(layer)
                .with_context(|| format!("cannot remove {}", layer.display()))?;
        }
        Self::open(lower, layer)
    }

    /// A root with a layer that may be there already.
    pub(crate) fn open(lower: &[&Path], layer: &Path) -> Result<Self> {
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

    /// A command outside of the root, which is in `$LAYER/root`.
    pub(crate) fn outside(&self, words: &[&str]) -> Command {
        let lower: Vec<_> = self
            .lower
            .iter()
            .map(|path| path.to_string_lossy())
            .collect();
        let mut command = Command::new("unshare");
        command
            .args([
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

fn is_program(file: &Path) -> Result<bool> {
    use std::os::unix::fs::PermissionsExt;
    let data =
        std::fs::metadata(file).with_context(|| format!("cannot read {}", file.display()))?;
    Ok(data.permissions().mode() & 0o100 != 0)
}
