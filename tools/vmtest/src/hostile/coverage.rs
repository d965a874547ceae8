// SPDX-License-Identifier: GPL-2.0

//! Which of the module's register reads have been answered with a lie.

use std::collections::BTreeMap;
use std::fmt;

use scripted::Time;
use virtio_check::access::Register;

use vm::table::Table;

/// A read in the source of the module.
struct Read {
    /// The file, in `legacy/`.
    file: &'static str,
    /// What the line contains.
    text: &'static str,
    /// The registers that it reads; the first byte of the device configuration stands for all.
    registers: &'static [Register],
}

const fn read(file: &'static str, text: &'static str, registers: &'static [Register]) -> Read {
    Read {
        file,
        text,
        registers,
    }
}

const CONFIG: &[Register] = &[Register::Config(0)];

/// A read whose value is printed and goes nowhere else: a lie there is a lie told to people.
const PRINTED: &[Register] = &[];

/// Every read in the source, which a test compares with the source.
const READS: &[Read] = &[
    read("config.rs", "bar().read::<u8>(", CONFIG),
    read("config.rs", "bar().read::<u16>(", CONFIG),
    read("config.rs", "bar().read::<u32>(", CONFIG),
    read("debugfs.rs", "read(register, ones32)", PRINTED),
    read("debugfs.rs", "read(register, ones16)", PRINTED),
    read("debugfs.rs", "read(&regs::STATUS", PRINTED),
    read("irqs.rs", "isr.read(", &[Register::Isr]),
    read("vqs.rs", "read(&regs::QUEUE_NUM", &[Register::QueueNum]),
    read("vqs.rs", "read(&regs::QUEUE_PFN", &[Register::QueuePfn]),
    read(
        "irqs.rs",
        "read(register, NO_VECTOR)",
        &[Register::ConfigVector, Register::QueueVector],
    ),
    // Those that the others go through.
    read("hw.rs", "bar.read(register", &[]),
    read("ops.rs", "config.read(", &[]),
    read("negotiate.rs", "read(&regs::ISR", &[Register::Isr]),
    read("negotiate.rs", "read(&regs::STATUS", &[Register::Status]),
    read("recovery.rs", "read(&regs::STATUS", &[Register::Status]),
    read(
        "negotiate.rs",
        "read(&regs::HOST_FEATURES",
        &[Register::HostFeatures],
    ),
];

/// How often each register was read and answered with a lie, at each time.
#[derive(Default)]
pub(super) struct Coverage {
    told: BTreeMap<Register, BTreeMap<Time, u32>>,
}

impl Coverage {
    /// Adds what a device has told.
    pub(super) fn add(&mut self, told: &BTreeMap<(Time, Register), u32>) {
        for (&(time, register), count) in told {
            let register = match register {
                Register::Config(_) => Register::Config(0),
                register => register,
            };
            let times = self.told.entry(register).or_default();
            *times.entry(time).or_default() += count;
        }
    }

    /// The registers that the module reads and that no lie was told of.
    pub(super) fn missing(&self) -> Vec<Register> {
        let all = READS.iter().flat_map(|read| read.registers);
        let mut missing: Vec<_> = all
            .filter(|register| !self.told.contains_key(register))
            .copied()
            .collect();
        missing.sort_unstable();
        missing.dedup();
        missing
    }
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::default();
        let times = Time::ALL.map(Time::name);
        let head = ["reads answered with a lie"].into_iter().chain(times);
        table.row(head.chain(["read in"]));
        let mut rows: BTreeMap<Register, Vec<String>> = BTreeMap::new();
        for Read {
            file,
            text,
            registers,
        } in READS
        {
            for register in *registers {
                let places = rows.entry(*register).or_default();
                places.push(format!("{file} {}", text.trim_end_matches('(')));
            }
        }
        for (register, places) in rows {
            let name = match register {
                Register::Config(_) => "configuration".to_owned(),
                register => register.to_string(),
            };
            let told = self.told.get(&register);
            let count = |time: Time| told.and_then(|told| told.get(&time)).unwrap_or(&0);
            let counts = Time::ALL.map(|time| count(time).to_string());
            let cells = [name].into_iter().chain(counts);
            table.row(cells.chain([places.join(", ")]));
        }
        table.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::path::Path;

    /// The reads of registers in the source, as file and line.
    fn source() -> Vec<(String, String)> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../legacy");
        let mut found = Vec::new();
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                // `core` knows no device.
                continue;
            }
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            for line in fs::read_to_string(&path).unwrap().lines() {
                let code = line.split("//").next().unwrap().trim();
                let reads = [".read(", ".read::<"]
                    .iter()
                    .any(|call| code.contains(call));
                if reads {
                    found.push((name.clone(), code.to_owned()));
                }
            }
        }
        found
    }

    #[test]
    fn every_read_in_the_source_is_on_the_list() {
        let source = source();
        assert!(!source.is_empty());
        for (file, line) in &source {
            let of = |read: &&Read| read.file == file && line.contains(read.text);
            assert_eq!(READS.iter().filter(of).count(), 1, "{file}: {line}");
        }
        for read in READS {
            let of =
                |(file, line): &&(String, String)| file == read.file && line.contains(read.text);
            assert_eq!(
                source.iter().filter(of).count(),
                1,
                "{}: {}",
                read.file,
                read.text
            );
        }
    }

    #[test]
    fn what_was_not_told_is_missing() {
        let mut coverage = Coverage::default();
        assert_eq!(coverage.missing().len(), 8);
        let told = [
            ((Time::Run, Register::Config(9)), 2),
            ((Time::Probe, Register::Isr), 1),
        ];
        coverage.add(&told.into());
        assert_eq!(coverage.missing().len(), 6);
        let text = coverage.to_string();
        assert!(
            text.contains("configuration              0      2"),
            "{text}"
        );
    }
}
