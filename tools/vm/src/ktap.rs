// SPDX-License-Identifier: GPL-2.0

//! Output in the form of KTAP, version 1, with a summary line at the end.
//!
//! What is known to fail is `SKIP`, as no reader of KTAP takes that for a pass.

use std::fmt;
use std::io::Write;
use std::time::{Duration, Instant, SystemTime};

use crate::names::plain;
use crate::verdict::Verdict;

/// How many parts passed, failed and were skipped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Parts that passed.
    pub passed: usize,
    /// Parts that failed, took too long, lost the VM or did not run.
    pub failed: usize,
    /// Parts that cannot be tried here, or are known to fail.
    pub skipped: usize,
}

impl Count {
    /// Whether something passed and nothing failed.
    pub fn is_good(self) -> bool {
        self.passed > 0 && self.failed == 0
    }

    fn add(&mut self, verdict: &Verdict) {
        *match verdict {
            Verdict::Passed => &mut self.passed,
            other if other.is_skip() => &mut self.skipped,
            _ => &mut self.failed,
        } += 1;
    }
}

impl fmt::Display for Count {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            passed,
            failed,
            skipped,
        } = self;
        write!(out, "{passed} passed, {failed} failed, {skipped} skipped")
    }
}

/// A result, for the other forms of output.
#[derive(Clone, Debug)]
pub struct Record {
    /// The names of the tests around it, and its own.
    pub path: Vec<String>,
    /// What it counts for.
    pub verdict: Verdict,
    /// When it began.
    pub began: SystemTime,
    /// How long it took.
    pub took: Duration,
    /// What was noted about it.
    pub notes: String,
}

/// A level of nesting.
struct Level {
    /// The name of the test; the outermost level has none.
    name: String,
    planned: usize,
    verdicts: Vec<Verdict>,
    /// When the last result came, or else when the level began.
    since: (SystemTime, Instant),
}

/// Writes a plan, results and, for nested results, their plans.
pub struct Ktap<W: Write> {
    out: W,
    levels: Vec<Level>,
    count: Count,
    records: Vec<Record>,
    /// What was noted since the last result.
    notes: String,
}

impl<W: Write> Ktap<W> {
    /// Begins the output.
    pub fn new(out: W) -> Self {
        Self {
            out,
            levels: Vec::new(),
            count: Count::default(),
            records: Vec::new(),
            notes: String::new(),
        }
    }

    /// Begins the outermost level with a plan for this many results.
    pub fn begin(&mut self, planned: usize) -> std::io::Result<()> {
        self.push("", planned)?;
        self.line(&format!("1..{planned}"))
    }

    /// Begins a test with a plan for this many parts.
    pub fn begin_test(&mut self, name: &str, planned: usize) -> std::io::Result<()> {
        self.push(&plain(name), planned)?;
        self.line(&format!("# Subtest: {}", plain(name)))?;
        self.line(&format!("1..{planned}"))
    }

    fn push(&mut self, name: &str, planned: usize) -> std::io::Result<()> {
        self.notes.clear();
        self.levels.push(Level {
            name: name.to_owned(),
            planned,
            verdicts: Vec::new(),
            since: (SystemTime::now(), Instant::now()),
        });
        self.line("KTAP version 1")
    }

    /// Ends a test, which is as good as its parts; those of the plan that gave no result did not
    /// run.
    pub fn end_test(&mut self) -> std::io::Result<()> {
        self.fill()?;
        if let Some(level) = self.levels.pop() {
            let verdict = Verdict::of_all(level.verdicts.iter());
            self.write(&verdict, &level.name)?;
        }
        self.notes.clear();
        Ok(())
    }

    /// Writes a result for each one of the plan that there is none for.
    fn fill(&mut self) -> std::io::Result<()> {
        while let Some(level) = self.levels.last() {
            let reported = level.verdicts.len();
            if reported >= level.planned {
                break;
            }
            let why = Verdict::NotRun("it gave no result".to_owned());
            self.outcome(&why, &format!("part-{}", reported + 1))?;
        }
        Ok(())
    }

    /// Writes text about the result to come, one `#` a line.
    pub fn note(&mut self, text: &str) -> std::io::Result<()> {
        for line in text.lines() {
            self.notes.push_str(line);
            self.notes.push('\n');
            self.line(format!("# {}", harmless(line)).trim_end())?;
        }
        Ok(())
    }

    /// Writes a result that counts in the summary, with the time since the one before.
    pub fn result(&mut self, passed: bool, name: &str) -> std::io::Result<()> {
        self.outcome(&Verdict::of(passed), name)
    }

    /// Writes that something could not be tried, and why.
    pub fn skip(&mut self, name: &str, why: &str) -> std::io::Result<()> {
        self.outcome(&Verdict::Skipped(why.to_owned()), name)
    }

    /// Writes a result that counts in the summary.
    pub fn outcome(&mut self, verdict: &Verdict, name: &str) -> std::io::Result<()> {
        self.count.add(verdict);
        let name = plain(name);
        let (began, since) = self
            .levels
            .last()
            .map_or_else(|| (SystemTime::now(), Instant::now()), |level| level.since);
        let above = self.levels.iter().map(|level| &level.name);
        let above = above.filter(|name| !name.is_empty()).cloned();
        self.records.push(Record {
            path: above.chain([name.clone()]).collect(),
            verdict: verdict.clone(),
            began,
            took: since.elapsed(),
            notes: std::mem::take(&mut self.notes),
        });
        self.write(verdict, &name)
    }

    /// Writes a result line.
    fn write(&mut self, verdict: &Verdict, name: &str) -> std::io::Result<()> {
        let Some(level) = self.levels.last_mut() else {
            return Ok(());
        };
        level.verdicts.push(verdict.clone());
        let number = level.verdicts.len();
        let seconds = level.since.1.elapsed().as_secs_f64();
        level.since = (SystemTime::now(), Instant::now());
        let word = if verdict.is_bad() { "not ok" } else { "ok" };
        let directive = match verdict {
            Verdict::Passed | Verdict::Failed(_) => format!("{seconds:.1} s"),
            Verdict::TimedOut(why) => format!("TIMEOUT {why}"),
            Verdict::Lost(why) | Verdict::NotRun(why) => format!("ERROR {why}"),
            Verdict::Known(why) | Verdict::Skipped(why) => format!("SKIP {why}"),
        };
        let directive = directive.replace(['\n', '\r'], " ");
        self.line(&format!(
            "{word} {number} {name} # {}",
            harmless(&directive)
        ))
    }

    /// Writes the summary; gives the counts and all results.
    ///
    /// Those of the plan that gave no result did not run.
    pub fn finish(mut self) -> std::io::Result<(Count, Vec<Record>)> {
        while self.levels.len() > 1 {
            self.end_test()?;
        }
        self.fill()?;
        self.levels.clear();
        self.line(&self.count.to_string())?;
        Ok((self.count, self.records))
    }

    fn line(&mut self, text: &str) -> std::io::Result<()> {
        let indent = "  ".repeat(self.levels.len().saturating_sub(1));
        writeln!(self.out, "{indent}{text}")?;
        self.out.flush()
    }
}

/// What readers of KTAP take for the beginning of a test or the end of all, and how it is written.
const MEANT_FOR_READERS: [(&str, &str); 4] = [
    ("Subtest: ", "Subtest : "),
    ("List of all partitions:", "List of all partitions :"),
    ("not syncing: VFS:", "not syncing: VFS :"),
    ("reboot: System halted", "reboot: system halted"),
];

/// Text that a reader of KTAP does not take for something else.
fn harmless(line: &str) -> String {
    let mut line = line.to_owned();
    for (word, other) in MEANT_FOR_READERS {
        line = line.replace(word, other);
    }
    line
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Output that has everything, its counts and its results.
    pub(crate) fn example() -> (String, Count, Vec<Record>) {
        let why = |text: &str| text.to_owned();
        let mut bytes = Vec::new();
        let mut ktap = Ktap::new(&mut bytes);
        ktap.begin(4).unwrap();
        ktap.begin_test("sleep-pc, msix", 6).unwrap();
        ktap.note("sleep-pc: every kind of sleep").unwrap();
        ktap.result(true, "blk: I/O").unwrap();
        ktap.note("Failed: a\nok 1 b\n1..3\nKTAP version 1\nSubtest: c")
            .unwrap();
        ktap.result(false, "mem, pm_test core, 3 times").unwrap();
        let late = Verdict::TimedOut(why("waking up took longer than 180 s"));
        ktap.outcome(&late, "suspend to memory").unwrap();
        ktap.note("[    1.0] Kernel panic - not syncing: VFS: x\n[ 2.0] reboot: System halted")
            .unwrap();
        let lost = Verdict::Lost(why("the VM went away\nwhile waking up # 1"));
        ktap.outcome(&lost, "hibernation").unwrap();
        ktap.skip("test_resume", "the kernel has no hibernation")
            .unwrap();
        let known = Verdict::Known(why("known failure: it waits"));
        ktap.outcome(&known, "rmmod").unwrap();
        ktap.end_test().unwrap();
        ktap.begin_test("cut", 3).unwrap();
        ktap.result(true, "first").unwrap();
        ktap.end_test().unwrap();
        ktap.begin_test("lint", 2).unwrap();
        ktap.skip("one", "it is about virtio_pci_rs").unwrap();
        ktap.skip("two", "it is about virtio_pci_rs").unwrap();
        ktap.end_test().unwrap();
        ktap.result(true, "x # SKIP y").unwrap();
        let (count, records) = ktap.finish().unwrap();
        (String::from_utf8(bytes).unwrap(), count, records)
    }

    /// The lines without the times that parts took.
    fn timeless(text: &str) -> Vec<&str> {
        let lines = text.lines().map(|line| match line.rsplit_once(" # ") {
            Some((result, time)) if time.ends_with(" s") && time.len() < 8 => result,
            _ => line,
        });
        lines.collect()
    }

    #[test]
    fn each_verdict_has_its_line() {
        let (text, count, _) = example();
        assert_eq!(
            timeless(&text),
            [
                "KTAP version 1",
                "1..4",
                "  KTAP version 1",
                "  # Subtest: sleep-pc-msix",
                "  1..6",
                "  # sleep-pc: every kind of sleep",
                "  ok 1 blk-I-O",
                "  # Failed: a",
                "  # ok 1 b",
                "  # 1..3",
                "  # KTAP version 1",
                "  # Subtest : c",
                "  not ok 2 mem-pm_test-core",
                "  not ok 3 suspend-to-memory # TIMEOUT waking up took longer than 180 s",
                "  # [    1.0] Kernel panic - not syncing: VFS : x",
                "  # [ 2.0] reboot: system halted",
                "  not ok 4 hibernation # ERROR the VM went away while waking up # 1",
                "  ok 5 test_resume # SKIP the kernel has no hibernation",
                "  ok 6 rmmod # SKIP known failure: it waits",
                "not ok 1 sleep-pc-msix",
                "  KTAP version 1",
                "  # Subtest: cut",
                "  1..3",
                "  ok 1 first",
                "  not ok 2 part-2 # ERROR it gave no result",
                "  not ok 3 part-3 # ERROR it gave no result",
                "not ok 2 cut",
                "  KTAP version 1",
                "  # Subtest: lint",
                "  1..2",
                "  ok 1 one # SKIP it is about virtio_pci_rs",
                "  ok 2 two # SKIP it is about virtio_pci_rs",
                "ok 3 lint # SKIP it is about virtio_pci_rs",
                "ok 4 x-SKIP-y",
                "3 passed, 5 failed, 4 skipped",
            ]
        );
        let expected = Count {
            passed: 3,
            failed: 5,
            skipped: 4,
        };
        assert_eq!(count, expected);
    }

    #[test]
    fn results_keep_their_path_and_what_was_noted() {
        let (_, count, records) = example();
        let all = count.passed + count.failed + count.skipped;
        assert_eq!(records.len(), all);
        assert_eq!(records[1].path, ["sleep-pc-msix", "mem-pm_test-core"]);
        assert!(records[1].notes.starts_with("Failed: a\nok 1 b\n"));
        assert!(!records[2].notes.contains("Failed"));
        assert_eq!(records[all - 1].path, ["x-SKIP-y"]);
    }

    #[test]
    #[ignore = "needs the source of the kernel, which make test-ktap fetches"]
    fn the_kernel_s_own_parser_counts_the_same() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let options = machine::Options::new(&root).unwrap();
        let source = machine::ensure_kernel_source(&options, &|line| eprintln!("{line}")).unwrap();
        let (text, count, _) = example();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ktap");
        std::fs::write(&file, &text).unwrap();
        let mut parser = std::process::Command::new("python3");
        parser.arg(source.join("tools/testing/kunit/kunit.py"));
        let said = parser.arg("parse").arg(&file).output().unwrap();
        let said = String::from_utf8_lossy(&said.stdout).into_owned();
        let Count {
            passed,
            failed,
            skipped,
        } = count;
        let ran = passed + failed + skipped;
        let counts = format!(
            "Testing complete. Ran {ran} tests: \
             passed: {passed}, failed: {failed}, skipped: {skipped}\n"
        );
        assert!(said.contains(&counts), "wanted {counts}{said}");
        assert!(!said.contains("[ERROR]"), "{said}");
    }

    #[test]
    fn what_was_not_tried_is_no_pass() {
        let mut bytes = Vec::new();
        let mut ktap = Ktap::new(&mut bytes);
        ktap.begin(1).unwrap();
        ktap.skip("btf", "no pahole").unwrap();
        assert!(!ktap.finish().unwrap().0.is_good());
        let text = String::from_utf8(bytes).unwrap();
        assert!(text.contains("ok 1 btf # SKIP no pahole\n"), "{text}");
    }

    #[test]
    fn nothing_run_is_not_good() {
        let count = |passed, failed| Count {
            passed,
            failed,
            skipped: 1,
        };
        assert!(!count(0, 0).is_good());
        assert!(count(1, 0).is_good());
        assert!(!count(1, 1).is_good());
    }
}
