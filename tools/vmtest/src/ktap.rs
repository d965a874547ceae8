// SPDX-License-Identifier: GPL-2.0

//! Output in the form of KTAP, version 1, with a summary line at the end.

use std::io::Write;
use std::time::Instant;

/// How many parts passed and failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Count {
    /// Parts that passed.
    pub(crate) passed: usize,
    /// Parts that failed.
    pub(crate) failed: usize,
}

impl Count {
    /// Whether something ran and all of it passed.
    pub(crate) fn is_good(self) -> bool {
        self.passed > 0 && self.failed == 0
    }
}

/// A level of nesting.
struct Level {
    /// How many results it had.
    results: usize,
    /// When the last of them came, or else when the level began.
    since: Instant,
}

/// Writes a plan, results and, for nested results, their plans.
pub(crate) struct Ktap<W: Write> {
    out: W,
    levels: Vec<Level>,
    count: Count,
}

impl<W: Write> Ktap<W> {
    /// Begins the output.
    pub(crate) fn new(out: W) -> Self {
        Self {
            out,
            levels: Vec::new(),
            count: Count::default(),
        }
    }

    /// Begins a level with a plan for this many results.
    pub(crate) fn begin(&mut self, planned: usize) -> std::io::Result<()> {
        self.levels.push(Level {
            results: 0,
            since: Instant::now(),
        });
        self.line("KTAP version 1")?;
        self.line(&format!("1..{planned}"))
    }

    /// Ends a level; the next result is for the level as a whole.
    pub(crate) fn end(&mut self) {
        self.levels.pop();
    }

    /// Writes text for people, one `#` a line.
    pub(crate) fn note(&mut self, text: &str) -> std::io::Result<()> {
        for line in text.lines() {
            self.line(format!("# {line}").trim_end())?;
        }
        Ok(())
    }

    /// Writes a result that counts in the summary, with the time since the one before.
    pub(crate) fn result(&mut self, passed: bool, name: &str) -> std::io::Result<()> {
        if passed {
            self.count.passed += 1;
        } else {
            self.count.failed += 1;
        }
        self.level_result(passed, name)
    }

    /// Writes that something could not be tried, and why; it does not count as passed.
    pub(crate) fn skip(&mut self, name: &str, why: &str) -> std::io::Result<()> {
        let Some(level) = self.levels.last_mut() else {
            return Ok(());
        };
        level.results += 1;
        level.since = Instant::now();
        let number = level.results;
        self.line(&format!("ok {number} - {name} # SKIP {why}"))
    }

    /// Writes the result of a level whose parts have been counted.
    pub(crate) fn level_result(&mut self, passed: bool, name: &str) -> std::io::Result<()> {
        let Some(level) = self.levels.last_mut() else {
            return Ok(());
        };
        level.results += 1;
        let number = level.results;
        let seconds = level.since.elapsed().as_secs_f64();
        level.since = Instant::now();
        let verdict = if passed { "ok" } else { "not ok" };
        // A name must not begin a directive.
        let name = name.replace('#', "_");
        self.line(&format!("{verdict} {number} - {name} # {seconds:.1} s"))
    }

    /// How many parts passed and failed so far.
    pub(crate) fn count(&self) -> Count {
        self.count
    }

    /// Writes the summary and gives the counts.
    pub(crate) fn finish(mut self) -> std::io::Result<Count> {
        self.levels.clear();
        let Count { passed, failed } = self.count;
        self.line(&format!("{passed} passed, {failed} failed"))?;
        Ok(self.count)
    }

    fn line(&mut self, text: &str) -> std::io::Result<()> {
        let indent = "  ".repeat(self.levels.len().saturating_sub(1));
        writeln!(self.out, "{indent}{text}")?;
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_indented_and_numbered() {
        let mut bytes = Vec::new();
        let mut ktap = Ktap::new(&mut bytes);
        ktap.begin(2).unwrap();
        ktap.begin(2).unwrap();
        ktap.result(true, "blk: io").unwrap();
        ktap.result(false, "net: io").unwrap();
        ktap.note("Failed: a\nb").unwrap();
        ktap.end();
        ktap.level_result(false, "vm").unwrap();
        ktap.result(true, "x # SKIP y").unwrap();
        let count = ktap.finish().unwrap();
        assert_eq!(
            count,
            Count {
                passed: 2,
                failed: 1
            }
        );
        let text = String::from_utf8(bytes).unwrap();
        assert!(text.contains("  ok 1 - blk: io # "), "{text}");
        let timeless: String = text
            .lines()
            .map(|line| match line.rsplit_once(" # ") {
                Some((result, time)) if time.ends_with(" s") => format!("{result}\n"),
                _ => format!("{line}\n"),
            })
            .collect();
        assert_eq!(
            timeless,
            "KTAP version 1\n1..2\n  KTAP version 1\n  1..2\n  ok 1 - blk: io\n  \
             not ok 2 - net: io\n  # Failed: a\n  # b\nnot ok 1 - vm\nok 2 - x _ SKIP y\n\
             2 passed, 1 failed\n"
        );
    }

    #[test]
    fn what_was_not_tried_is_no_pass() {
        let mut bytes = Vec::new();
        let mut ktap = Ktap::new(&mut bytes);
        ktap.begin(1).unwrap();
        ktap.skip("btf", "no pahole").unwrap();
        assert!(!ktap.finish().unwrap().is_good());
        let text = String::from_utf8(bytes).unwrap();
        assert!(text.contains("ok 1 - btf # SKIP no pahole\n"), "{text}");
    }

    #[test]
    fn nothing_run_is_not_good() {
        assert!(!Count::default().is_good());
        assert!(Count {
            passed: 1,
            failed: 0
        }
        .is_good());
        assert!(!Count {
            passed: 1,
            failed: 1
        }
        .is_good());
    }
}
