// SPDX-License-Identifier: GPL-2.0

//! Running other programs: short ones for their answer, long ones with progress and a log.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use anyhow::{bail, Context as _, Result};

use crate::context::Context;

/// How often a long job says that it lives.
const PROGRESS_EVERY: Duration = Duration::from_secs(15);

/// How many lines of its log a failed job shows.
const TAIL: usize = 30;

/// Variables of an outer `make` that must not reach an inner one, nor a kernel's build.
const MAKE_VARIABLES: [&str; 8] = [
    "MAKEFLAGS",
    "MFLAGS",
    "MAKELEVEL",
    "MAKEOVERRIDES",
    "KBUILD_OUTPUT",
    "KBUILD_EXTMOD",
    "ARCH",
    "CROSS_COMPILE",
];

/// A command that sees nothing of an outer `make` and speaks the C locale.
pub(crate) fn command(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(program);
    for variable in MAKE_VARIABLES {
        command.env_remove(variable);
    }
    command.env("LC_ALL", "C").stdin(Stdio::null());
    command
}

/// Runs `command` and gives what it printed; an error has what it printed as errors.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let result = command
        .output()
        .with_context(|| format!("cannot run {}", line(command)))?;
    if !result.status.success() {
        bail!(
            "{} failed ({}): {}",
            line(command),
            result.status,
            String::from_utf8_lossy(&result.stderr).trim()
        );
    }
    Ok(String::from_utf8_lossy(&result.stdout)
        .trim_end()
        .to_owned())
}

/// Runs `command` to its end with its output in `log`, and says every while what `progress` gives.
///
/// `progress` is given the time since the start.
pub(crate) fn run_long(
    cx: &mut Context<'_>,
    command: &mut Command,
    log: &Path,
    mut progress: impl FnMut(Duration) -> String,
) -> Result<()> {
    let out = File::options()
        .create(true)
        .append(true)
        .open(log)
        .with_context(|| format!("cannot open {}", log.display()))?;
    let mut child = command
        .stdout(out.try_clone()?)
        .stderr(out)
        .spawn()
        .with_context(|| format!("cannot run {}", line(command)))?;
    let start = Instant::now();
    let mut next = PROGRESS_EVERY;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if start.elapsed() >= next {
            cx.say(progress(start.elapsed()));
            next += PROGRESS_EVERY;
        }
        thread::sleep(Duration::from_millis(100));
    };
    if status.success() {
        return Ok(());
    }
    cx.say(format!("the last lines of {}:", log.display()));
    for text in tail(log)? {
        cx.say(format!("  | {text}"));
    }
    bail!(
        "{} failed ({status}); all of its output is in {}",
        line(command),
        log.display()
    )
}

/// Empties the log `log`, so that it has one run only.
pub(crate) fn new_log(log: &Path) -> Result<()> {
    crate::context::write(log, "")
}

/// A progress line that tells the time only.
pub(crate) fn elapsed(what: &str) -> impl FnMut(Duration) -> String + '_ {
    move |time| format!("  … {what}: {} s", time.as_secs())
}

/// The command line of `command`, as a shell would take it.
pub(crate) fn line(command: &Command) -> String {
    std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| quote(&word.to_string_lossy()))
        .collect::<Vec<_>>()
        .join(" ")
}

/// Quotes `word` for a shell if it needs that.
pub fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=+,@%~".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// Looks for the program `name` in `PATH`.
pub(crate) fn find_program(name: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?)
        .map(|directory| directory.join(name))
        .find(|path| path.is_file())
}

/// The size of the files below `directory`, in bytes.
pub(crate) fn size(directory: &Path) -> u64 {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.metadata() {
            Ok(data) if data.is_dir() => size(&entry.path()),
            Ok(data) => data.len(),
            Err(_) => 0,
        })
        .sum()
}

fn tail(log: &Path) -> Result<VecDeque<String>> {
    let mut last = VecDeque::with_capacity(TAIL + 1);
    for text in BufReader::new(File::open(log)?).split(b'\n') {
        last.push_back(String::from_utf8_lossy(&text?).into_owned());
        if last.len() > TAIL {
            last.pop_front();
        }
    }
    Ok(last)
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn words_are_quoted_when_a_shell_would_split_them() {
        assert_eq!(quote("-L/usr/lib"), "-L/usr/lib");
        assert_eq!(quote("two words"), "'two words'");
        assert_eq!(quote("it's"), r"'it'\''s'");
        assert_eq!(quote(""), "''");
    }

    #[test]
    fn a_failed_command_tells_what_it_said() {
        let error = output(command("sh").args(["-c", "echo $((6 * 7)) >&2; exit 3"])).unwrap_err();
        let error = error.to_string();
        assert!(
            error.contains("42") && error.contains("exit status: 3"),
            "{error}"
        );
    }

    #[test]
    fn a_failed_long_job_shows_the_end_of_its_log() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("long");
        crate::context::create_dir(&root).unwrap();
        let log = root.join("log");
        let said = Mutex::new(Vec::new());
        let say = |text: &str| said.lock().unwrap().push(text.to_owned());
        let mut cx = Context::new(root.clone(), root.clone(), false, &say);
        let mut job = command("sh");
        job.args(["-c", "seq 1 50; exit 1"]);
        assert!(run_long(&mut cx, &mut job, &log, elapsed("job")).is_err());
        let said = said.into_inner().unwrap();
        assert_eq!(said.len(), 1 + TAIL);
        assert_eq!(said.last().unwrap(), "  | 50");
    }
}
