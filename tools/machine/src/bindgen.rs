// SPDX-License-Identifier: GPL-2.0

//! bindgen: one that is there and new enough, else the distribution's, else from the Rust registry.

use std::path::{Path, PathBuf};

use anyhow::{bail, Result};

use crate::command::{command, elapsed, find_program, output, run_long};
use crate::context::Context;
use crate::packages::install_bindgen;
use crate::version::{at_least, find_version};

/// The oldest bindgen that the kernel takes, and the one that is built where there is none.
const LEAST: &str = "0.71.1";

/// A bindgen that the kernel takes.
pub(crate) struct Bindgen {
    /// The directory of the program, if `PATH` does not have it yet.
    pub(crate) directory: Option<PathBuf>,
    /// What `bindgen --version` prints.
    pub(crate) text: String,
}

/// Makes sure that there is one.
pub(crate) fn ensure(cx: &mut Context<'_>) -> Result<Bindgen> {
    let root = cx.cache.join(format!("bindgen-{LEAST}"));
    let built = root.join("bin/bindgen");
    let there = || {
        let own = find_program("bindgen").and_then(|path| check(&path));
        let own = own.map(|text| Bindgen {
            directory: None,
            text,
        });
        own.or_else(|| in_cache(&built))
    };
    if let Some(bindgen) = there() {
        return Ok(bindgen);
    }
    let _lock = cx.lock("bindgen")?;
    if let Some(bindgen) = there() {
        return Ok(bindgen);
    }
    if install_bindgen(cx, LEAST)? {
        if let Some(bindgen) = there() {
            return Ok(bindgen);
        }
    }
    cx.say(format!(
        "building bindgen {LEAST} from the Rust registry (1 to 4 minutes)"
    ));
    let log = cx.log("bindgen")?;
    cx.fill(&root, |cx, partial| {
        let mut cargo = command("cargo");
        cargo
            .args([
                "install",
                "bindgen-cli",
                "--locked",
                "--version",
                LEAST,
                "--root",
            ])
            .arg(partial)
            .current_dir(&cx.repository);
        run_long(cx, &mut cargo, &log, elapsed("building bindgen"))
    })?;
    match in_cache(&built) {
        Some(bindgen) => Ok(bindgen),
        None => bail!("{} does not run", built.display()),
    }
}

fn in_cache(program: &Path) -> Option<Bindgen> {
    Some(Bindgen {
        directory: program.parent().map(Path::to_owned),
        text: check(program)?,
    })
}

/// What the bindgen at `path` says of its version, if it runs and is new enough.
fn check(path: &Path) -> Option<String> {
    output(command(path).arg("--version"))
        .ok()
        .filter(|text| new_enough(text))
}

fn new_enough(text: &str) -> bool {
    find_version(text).is_some_and(|version| at_least(version, LEAST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_bindgen_will_not_do() {
        assert!(new_enough("bindgen 0.71.1"));
        assert!(new_enough("bindgen 0.72.0"));
        assert!(!new_enough("bindgen 0.60.1"));
        assert!(!new_enough("no such program"));
    }
}
