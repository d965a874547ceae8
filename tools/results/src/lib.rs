// SPDX-License-Identifier: GPL-2.0

//! What the tests and the measurements leave for the report: JSON files in one folder.

pub mod differences;
pub mod hostile;
pub mod stats;
pub mod weak_points;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use virtio_check::{DeviceInfo, Observations};

/// Where the files are, below the repository's root.
pub const FOLDER: &str = "target/results";

/// The beginning of the names of files with a [`Comparison`].
pub const COMPARISON: &str = "compare";
/// The beginning of the names of files with a [`TestRun`].
pub const TEST: &str = "test";
/// The beginning of the names of files with [`Measurements`].
pub const MEASUREMENTS: &str = "bench";

/// What something was run on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Environment {
    /// What `uname -r` says in the VM.
    pub kernel: String,
    /// The version of QEMU.
    pub qemu: String,
    /// How QEMU runs the guest's code.
    pub accel: String,
    /// The compiler of the module and of the kernel's Rust code.
    pub rustc: String,
    /// The commit of this repository, with `-dirty` behind it if files were changed.
    pub revision: String,
    /// When, in UTC.
    pub date: String,
}

/// One driver's accesses to all devices.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Recording {
    /// QEMU's command.
    pub command: String,
    /// The file with the trace, beside this one.
    pub trace: String,
    /// Where the devices' registers were.
    pub devices: Vec<DeviceInfo>,
    /// What the guest saw of each device.
    pub observations: Vec<(String, Observations)>,
}

/// What both drivers did on one machine.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// The interrupts that the devices offer: `msix`, `shared` or `intx`.
    pub interrupts: String,
    /// What it was run on.
    pub environment: Environment,
    /// The C driver's part.
    pub c: Recording,
    /// The Rust driver's part.
    pub rust: Recording,
}

/// A part of a VM test.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Part {
    /// Its name.
    pub name: String,
    /// How many cycles of sleep it went through; 0 if it is about something else.
    pub cycles: u32,
    /// `ok`, or the name of the failure.
    pub verdict: String,
    /// How long it took.
    pub seconds: f64,
}

/// A VM test with one driver.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TestRun {
    /// Its name.
    pub name: String,
    /// What it is about.
    pub about: String,
    /// `rust` or `c`.
    pub driver: String,
    /// What it was run on.
    pub environment: Environment,
    /// QEMU's command.
    pub command: String,
    /// Its parts.
    pub parts: Vec<Part>,
}

/// A quantity that is the same each time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Count {
    /// What is counted.
    pub quantity: String,
    /// Under which conditions, such as `MSI-X`.
    pub case: String,
    /// The number of virtqueues or devices, if it varies.
    pub n: Option<u32>,
    /// The unit.
    pub unit: String,
    /// With the C driver.
    pub c: f64,
    /// With the Rust driver.
    pub rust: f64,
    /// What the Rust driver must not exceed.
    pub limit: Option<f64>,
    /// What the interface makes necessary.
    pub floor: Option<f64>,
}

/// A quantity that varies: one sample a run, the drivers taken in turn.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Series {
    /// What is measured.
    pub quantity: String,
    /// Under which conditions.
    pub case: String,
    /// The number of virtqueues or devices, if it varies.
    pub n: Option<u32>,
    /// The unit.
    pub unit: String,
    /// Whether more is better.
    pub more_is_better: bool,
    /// What the median of (Rust − C) / C must not exceed, if that is set.
    pub limit: Option<f64>,
    /// With the C driver, in the order of the runs.
    pub c: Vec<f64>,
    /// With the Rust driver, in the order of the runs.
    pub rust: Vec<f64>,
}

/// One part of `make bench`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Measurements {
    /// Its name.
    pub part: String,
    /// What is measured, and how.
    pub about: String,
    /// What it was run on.
    pub environment: Environment,
    /// QEMU's commands, one a driver and machine.
    pub commands: Vec<String>,
    /// What is the same each time.
    pub counts: Vec<Count>,
    /// What varies.
    pub series: Vec<Series>,
}

/// Writes a file with this name into the folder of the results, which is made if need be.
///
/// # Errors
///
/// It cannot be written.
pub fn write<T: Serialize>(folder: &Path, name: &str, value: &T) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let path = folder.join(format!("{name}.json"));
    let text = serde_json::to_string_pretty(value)?;
    fs::write(&path, text + "\n").with_context(|| format!("cannot write {}", path.display()))
}

/// Reads all files of a kind, in the order of their names; none if there is no such folder.
///
/// # Errors
///
/// One of them cannot be read or has another form.
pub fn read_all<T: DeserializeOwned>(folder: &Path, kind: &str) -> Result<Vec<T>> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let is_wanted = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with(&format!("{kind}-")) && name.ends_with(".json")
    };
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(is_wanted)
        .collect();
    paths.sort();
    paths.iter().map(|path| read(path)).collect()
}

/// Reads one file.
///
/// # Errors
///
/// It cannot be read or has another form.
pub fn read<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let text =
        fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_by_kind() {
        let folder = std::env::temp_dir().join(format!("results-{}", std::process::id()));
        let test = |name: &str| TestRun {
            name: name.to_owned(),
            ..TestRun::default()
        };
        for name in ["b", "a"] {
            write(&folder, &format!("{TEST}-{name}"), &test(name)).unwrap();
        }
        write(&folder, "bench-x", &Measurements::default()).unwrap();
        let found: Vec<TestRun> = read_all(&folder, TEST).unwrap();
        assert_eq!(found, [test("a"), test("b")]);
        fs::write(folder.join("test-c.json"), "{}").unwrap();
        assert!(read_all::<TestRun>(&folder, TEST).is_err());
        fs::remove_dir_all(&folder).unwrap();
        assert!(read_all::<TestRun>(&folder, TEST).unwrap().is_empty());
    }
}
