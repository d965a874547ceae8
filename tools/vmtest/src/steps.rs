// SPDX-License-Identifier: GPL-2.0

//! Steps that are commands on the host, each with a result and a log of its own.

use std::fs::File;
use std::io::Write;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use vm::ktap::Ktap;
use vm::runner::fresh_folder;
use vm::setup::Setup;

/// How many lines of a failed step's output are shown.
const SHOWN: usize = 30;

/// A command on the host that must succeed.
#[derive(Clone, Copy)]
pub(crate) struct Step {
    /// Its name in the results and in the logs.
    pub(crate) name: &'static str,
    /// The program and its arguments, run in the repository's root.
    pub(crate) command: &'static [&'static str],
}

/// Runs the steps, one result each.
pub(crate) fn run<W: Write>(setup: &Setup, steps: &[Step], ktap: &mut Ktap<W>) -> Result<()> {
    let dir = fresh_folder(&setup.logs, "steps")?;
    for step in steps {
        let [program, arguments @ ..] = step.command else {
            continue;
        };
        let path = dir.join(format!("{}.log", step.name.replace(' ', "-")));
        let log =
            File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
        let status = Command::new(program)
            .args(arguments)
            .env("KDIR", setup.machine.tree()?)
            .envs(
                setup
                    .machine
                    .make_env
                    .iter()
                    .map(|(name, value)| (name, value)),
            )
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .status();
        let passed = status.as_ref().is_ok_and(std::process::ExitStatus::success);
        if !passed {
            let how = match status {
                Ok(status) => status.to_string(),
                Err(error) => error.to_string(),
            };
            ktap.note(&format!(
                "{}: {how}, log in {}",
                step.command.join(" "),
                path.display()
            ))?;
            let said = std::fs::read_to_string(&path).unwrap_or_default();
            let lines: Vec<_> = said.lines().collect();
            for line in &lines[lines.len().saturating_sub(SHOWN)..] {
                ktap.note(line)?;
            }
        }
        ktap.result(passed, step.name)?;
    }
    Ok(())
}
