// SPDX-License-Identifier: GPL-2.0

//! The data races that the KCSAN kernel reports.
//!
//! It reports those of the whole kernel; those in which virtio has a part are a test's business.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::sync::LazyLock;

use anyhow::{ensure, Context, Result};
use regex::Regex;

/// The virtio core and the drivers of the devices of the tests, in the kernel's build folder.
const OBJECTS: [&str; 9] = [
    "drivers/virtio/virtio.o",
    "drivers/virtio/virtio_ring.o",
    "drivers/virtio/virtio_balloon.o",
    "drivers/block/virtio_blk.o",
    "drivers/net/virtio_net.o",
    "drivers/scsi/virtio_scsi.o",
    "drivers/char/virtio_console.o",
    "drivers/char/hw_random/virtio-rng.o",
    "net/9p/trans_virtio.o",
];

/// A part of the names of the transports' functions and modules.
const TRANSPORT: &str = "virtio_pci";

/// How many of the functions on a stack have to do with its access: those far up only led there.
const NEAR: usize = 4;

/// What begins a report.
const TITLE: &str = "BUG: KCSAN: ";

/// What ends it.
const RULE: &str = "==========";

/// A function on a stack; held locks and interrupts are told in other words.
static FRAME: LazyLock<Regex> = LazyLock::new(|| {
    let text = r"^\[ *[0-9.]+\]  ([\w.$]+)\+0x[0-9a-f]+/0x[0-9a-f]+( |$)";
    Regex::new(text).unwrap_or_else(|error| panic!("in the pattern of a stack: {error}"))
});

/// Whether a line of the kernel log begins a report.
pub fn is_title(line: &str) -> bool {
    line.contains(TITLE)
}

/// Reads the reports out of a kernel log.
pub struct Watch {
    /// The names of virtio's functions.
    functions: BTreeSet<String>,
    /// The beginning of a report whose end has not been seen.
    unfinished: String,
    /// The titles of the reports in which virtio has no part.
    others: Vec<String>,
}

impl Watch {
    /// For a kernel that was built in this folder.
    pub fn new(kdir: &Path) -> Result<Self> {
        let mut nm = Command::new("nm");
        nm.arg("--defined-only")
            .args(OBJECTS.map(|object| kdir.join(object)));
        let output = nm.output().context("cannot run nm")?;
        ensure!(
            output.status.success(),
            "{}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        let functions = functions(&String::from_utf8_lossy(&output.stdout));
        ensure!(!functions.is_empty(), "nm names no function of virtio");
        Ok(Self {
            functions,
            unfinished: String::new(),
            others: Vec::new(),
        })
    }

    /// The reports in which virtio has a part, in what is new in the log.
    pub fn look(&mut self, text: &str) -> Vec<String> {
        let log = std::mem::take(&mut self.unfinished) + text;
        let mut found = Vec::new();
        let mut lines = log.lines();
        while let Some(title) = lines.by_ref().find(|line| is_title(line)) {
            let mut report = format!("{title}\n");
            let mut ended = false;
            for line in lines.by_ref() {
                ended = line.contains(RULE);
                if ended {
                    break;
                }
                report.push_str(line);
                report.push('\n');
            }
            if !ended {
                self.unfinished = report;
            } else if self.is_of_virtio(&report) {
                found.push(report);
            } else {
                self.others.push(title.to_owned());
            }
        }
        found
    }

    /// The report whose end has not come.
    pub fn unfinished(&self) -> &str {
        &self.unfinished
    }

    /// The titles of the reports in which virtio has no part.
    pub fn others(&self) -> &[String] {
        &self.others
    }

    /// Whether a function of virtio or of a transport made one of the accesses, or nearly.
    fn is_of_virtio(&self, report: &str) -> bool {
        let mut near = 0;
        for line in report.lines() {
            let Some(frame) = FRAME.captures(line) else {
                near = NEAR;
                continue;
            };
            let function = &frame[1];
            if function.starts_with("asm_") {
                // Below is who was interrupted.
                near = 0;
            }
            if near == 0 {
                continue;
            }
            near -= 1;
            if self.functions.contains(function) || line.contains(TRANSPORT) {
                return true;
            }
        }
        false
    }
}

/// The functions in what `nm` says.
fn functions(names: &str) -> BTreeSet<String> {
    names
        .lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            let (_, kind, name) = (words.next()?, words.next()?, words.next()?);
            kind.eq_ignore_ascii_case("t").then(|| name.to_owned())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watch() -> Watch {
        Watch {
            functions: functions(
                "\nvirtio_ring.o:\n0000000000000010 T virtqueue_get_buf\n\
                 0000000000000020 t start_xmit\n0000000000000030 r table\n",
            ),
            unfinished: String::new(),
            others: Vec::new(),
        }
    }

    fn report(lines: &[&str]) -> String {
        let mut text = "[    1.0] =====================\n\
                        [    1.0] BUG: KCSAN: data-race in a / b\n\
                        [    1.0] \n"
            .to_owned();
        for line in lines {
            text.push_str(&format!("[    1.0] {line}\n"));
        }
        text.push_str("[    1.0] =====================\n");
        text
    }

    fn counts(log: &str) -> (usize, usize) {
        let mut watch = watch();
        let found = watch.look(log).len();
        assert_eq!(watch.unfinished(), "");
        (found, watch.others().len())
    }

    #[test]
    fn nm_names_functions_and_data() {
        let watch = watch();
        assert!(watch.functions.contains("start_xmit"));
        assert!(!watch.functions.contains("table"));
    }

    #[test]
    fn who_made_an_access_or_called_for_it_counts() {
        let access = "read to 0xffff888 of 4 bytes by task 1 on cpu 1:";
        for frames in [
            [" start_xmit+0x1/0x2", " one+0x1/0x2"],
            [" memcpy+0x1/0x2", " virtqueue_get_buf+0x1/0x2"],
            [" memcpy+0x1/0x2", " handler+0x1/0x2 [virtio_pci_rs]"],
            [" _RNvNtC3abc13virtio_pci_rs4work+0x1/0x2", " one+0x1/0x2"],
        ] {
            let log = report(&[access, frames[0], frames[1]]);
            assert_eq!(counts(&log), (1, 0), "{log}");
        }
    }

    #[test]
    fn others_accesses_do_not_count() {
        let access = "write to 0xffff888 of 4 bytes by interrupt on cpu 1:";
        let far = [
            access,
            " a+0x1/0x2",
            " b+0x1/0x2",
            " c+0x1/0x2",
            " d+0x1/0x2",
            " start_xmit+0x1/0x2",
        ];
        let interrupted = [
            access,
            " tick+0x1/0x2",
            " asm_sysvec_apic_timer_interrupt+0x1/0x2",
            " start_xmit+0x1/0x2",
        ];
        let said = [
            access,
            " tick+0x1/0x2",
            "1 lock held by vmtest/1:",
            " #0: ffffff (&lock){+.+.}-{3:3}, at: start_xmit+0x1/0x2",
            "hardirqs last enabled at (1): [<ffff>] virtqueue_get_buf+0x1/0x2",
            "virtio_blk virtio0: a line of another processor",
        ];
        for lines in [&far[..], &interrupted[..], &said[..]] {
            assert_eq!(counts(&report(lines)), (0, 1), "{lines:?}");
        }
    }

    #[test]
    fn each_access_has_a_stack_of_its_own() {
        let log = report(&[
            "read to 0xffff888 of 4 bytes by task 1 on cpu 1:",
            " asm_sysvec_apic_timer_interrupt+0x1/0x2",
            "",
            "write to 0xffff888 of 4 bytes by task 2 on cpu 0:",
            " start_xmit+0x1/0x2",
        ]);
        assert_eq!(counts(&(report(&[]) + &log)), (1, 1));
    }

    #[test]
    fn a_report_may_come_in_pieces() {
        let mut watch = watch();
        let log = report(&["read to 0xffff888:", " start_xmit+0x1/0x2"]);
        let (first, second) = log.split_at(log.find("[    1.0] read").unwrap());
        assert!(watch.look(first).is_empty());
        assert_ne!(watch.unfinished(), "");
        assert_eq!(watch.look(second).len(), 1);
        assert_eq!(watch.unfinished(), "");
    }
}
