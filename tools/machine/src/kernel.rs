// SPDX-License-Identifier: GPL-2.0

//! The kernel's build: allnoconfig plus fragments, in a directory named by all that goes into it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use std::{fs, thread};

use anyhow::{bail, Context as _, Result};

use crate::command::{command, elapsed, output, run_long};
use crate::config;
use crate::context::{create_dir, digest, read, write, Context};
use crate::kernel_source::Source;

/// Lines that a whole build of the standard kernel prints, about.
const STEPS: usize = 2450;

/// Steps to wait for before an estimate: the first ones, of Rust, take much longer than the rest.
const STEPS_TO_ESTIMATE: usize = 100;

/// What would make two builds of the same differ.
const FIXED: [(&str, &str); 3] = [
    ("KBUILD_BUILD_TIMESTAMP", "2026-01-01"),
    ("KBUILD_BUILD_USER", "virtio"),
    ("KBUILD_BUILD_HOST", "pci"),
];

/// All that goes into a kernel.
pub(crate) struct Inputs<'a> {
    pub(crate) variant: &'a str,
    pub(crate) source: &'a Source,
    /// What its configuration is to have, a text for each fragment.
    pub(crate) wishes: &'a [String],
    /// What the tools say of their versions: rustc, clang, bindgen.
    pub(crate) tools: Vec<String>,
    /// The environment of make.
    pub(crate) environment: &'a [(String, OsString)],
}

/// Reads the fragments.
pub(crate) fn read_fragments(paths: &[PathBuf]) -> Result<Vec<String>> {
    paths.iter().map(|path| read(path)).collect()
}

/// Builds the kernel if that is not done yet; gives the directory of the build.
pub(crate) fn ensure(cx: &mut Context<'_>, inputs: &Inputs<'_>) -> Result<PathBuf> {
    let key = key(&inputs.source.identity, inputs.wishes, &inputs.tools);
    let name = format!("{}-{key}", inputs.variant);
    let all = cx.cache.join("kernel");
    let build = Build {
        root: all.join(&name),
        tree: all.join(&name).join("build"),
        inputs,
    };
    let complete = || build.is("complete") && !inputs.source.may_change;
    if complete() {
        return Ok(build.tree);
    }
    let _lock = cx.lock(&format!("kernel-{name}"))?;
    if complete() {
        return Ok(build.tree);
    }
    let work = if build.is("complete") {
        "what changed in its source"
    } else if build.is("configured") {
        "going on where it was interrupted"
    } else if build.inherit(cx, &all)? {
        "what its configuration changes, a minute or more"
    } else {
        "12 to 40 minutes on 2 processors, less on more"
    };
    create_dir(&build.tree)?;
    write(&build.root.join("origin"), build.origin())?;
    if !build.is("configured") {
        build.configure(cx)?;
    }
    build.make(cx, work)?;
    Ok(build.tree)
}

/// The name of a build: a hash over all that goes into it.
///
/// Of the fragments the options count, not the comments.
fn key(source: &str, fragments: &[String], tools: &[String]) -> String {
    let mut text = format!("{source:?} {tools:?}");
    for option in config::merge(fragments) {
        text += &format!("{option:?}");
    }
    digest(&text)
}

/// A build: its directory has the tree, the log, and a file for each stage that is behind it.
struct Build<'a> {
    root: PathBuf,
    tree: PathBuf,
    inputs: &'a Inputs<'a>,
}

impl Build<'_> {
    /// Whether the stage `configured` or `complete` is behind this build.
    fn is(&self, stage: &str) -> bool {
        self.root.join(stage).exists()
    }

    fn log(&self) -> PathBuf {
        self.root.join("build.log")
    }

    /// All that goes into the build but its configuration.
    fn origin(&self) -> String {
        let tools = self.inputs.tools.join("\n");
        format!("Linux {}\n{tools}\n", self.inputs.source.identity)
    }

    /// Starts with a copy of a complete build of this variant whose configuration differs.
    ///
    /// Between variants, the configuration changes every file that is compiled.
    /// Tells whether there is one. kbuild then makes again what depends on the difference.
    fn inherit(&self, cx: &mut Context<'_>, all: &Path) -> Result<bool> {
        if self.inputs.source.may_change {
            return Ok(false);
        }
        let Some(relative) = newest_of(all, self.inputs.variant, &self.origin()) else {
            return Ok(false);
        };
        cx.say(format!(
            "copying the build {} to start from (1 GB)",
            relative.display()
        ));
        create_dir(&self.root)?;
        cx.fill(&self.tree, |_, partial| {
            output(
                command("cp")
                    .args(["-a", "--reflink=auto"])
                    .arg(relative.join("build/."))
                    .arg(partial),
            )
            .map(|_| ())
        })?;
        write(&self.log(), read(&relative.join("build.log"))?)?;
        Ok(true)
    }

    fn configure(&self, cx: &mut Context<'_>) -> Result<()> {
        cx.say(format!(
            "configuring the {} kernel in {}",
            self.inputs.variant,
            self.tree.display()
        ));
        let configuring = "configuring the kernel";
        let steps = [
            self.make_command(&["allnoconfig"]),
            self.merge_command()?,
            self.make_command(&["olddefconfig"]),
        ];
        for mut step in steps {
            run_long(cx, &mut step, &self.log(), elapsed(configuring))?;
        }
        self.check_configuration(cx)?;
        write(&self.root.join("configured"), "")
    }

    /// Fails if the configuration is not what the fragments want.
    fn check_configuration(&self, cx: &mut Context<'_>) -> Result<()> {
        let unmet = config::unmet(self.inputs.wishes, &read(&self.tree.join(".config"))?);
        for line in &unmet {
            cx.say(format!("  {line}"));
        }
        if !unmet.is_empty() {
            bail!(
                "the configuration is not what the fragments want, see the lines above: \
                 a dependency is missing, or this kernel does not have the option"
            );
        }
        Ok(())
    }

    fn make(&self, cx: &mut Context<'_>, work: &str) -> Result<()> {
        let log = self.log();
        cx.say(format!(
            "building the {} kernel: {work}; log in {}",
            self.inputs.variant,
            log.display()
        ));
        let jobs = thread::available_parallelism().map_or(1, usize::from) + 1;
        let before = steps_done(&log);
        let mut make = self.make_command(&[&format!("-j{jobs}"), "all"]);
        run_long(cx, &mut make, &log, |time| {
            progress(before, steps_done(&log), time)
        })?;
        // A source that has changed since it was configured may have taken an option away.
        if let Err(error) = self.check_configuration(cx) {
            fs::remove_file(self.root.join("configured"))?;
            return Err(error);
        }
        write(&self.root.join("complete"), "")?;
        cx.say("the kernel is built");
        Ok(())
    }

    fn make_command(&self, arguments: &[&str]) -> Command {
        let mut make = self.in_environment("make");
        make.arg("-C").arg(&self.inputs.source.tree);
        make.arg(format!("O={}", self.tree.display()));
        make.args(arguments);
        make
    }

    fn merge_command(&self) -> Result<Command> {
        let script = "scripts/kconfig/merge_config.sh";
        let mut merge = self.in_environment(self.inputs.source.tree.join(script));
        merge.args(["-m", "-O"]).arg(&self.tree);
        merge.arg(self.tree.join(".config"));
        for (number, wish) in self.inputs.wishes.iter().enumerate() {
            let fragment = self.root.join(format!("fragment-{number}.config"));
            write(&fragment, wish)?;
            merge.arg(fragment);
        }
        merge.current_dir(&self.inputs.source.tree);
        Ok(merge)
    }

    fn in_environment(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = command(program);
        for (name, value) in self.inputs.environment {
            command.env(name, value);
        }
        command.envs(FIXED);
        command
    }
}

/// The steps that a log tells of: make prints each indented by two blanks.
fn steps_done(log: &Path) -> usize {
    let text = fs::read(log).unwrap_or_default();
    text.split(|byte| *byte == b'\n')
        .filter(|line| line.starts_with(b"  "))
        .count()
}

/// How far the build is after `time`, if it began with `before` steps done and has `now`.
fn progress(before: usize, now: usize, time: Duration) -> String {
    let made = now.saturating_sub(before);
    let left = STEPS.saturating_sub(now);
    if left == 0 {
        return format!("  … kernel: {made} steps, {} s", time.as_secs());
    }
    let rest = if made < STEPS_TO_ESTIMATE {
        String::new()
    } else {
        let seconds = time.as_secs() * left as u64 / made as u64;
        format!(", about {} min left", seconds / 60 + 1)
    };
    format!("  … kernel: {now} of about {STEPS} steps{rest}")
}

/// The complete build of the variant that was finished last, of those below `all` of this origin.
fn newest_of(all: &Path, variant: &str, origin: &str) -> Option<PathBuf> {
    let prefix = format!("{variant}-");
    let entries = fs::read_dir(all).ok()?.flatten();
    entries
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(&prefix))
        .map(|entry| entry.path())
        .filter(|root| fs::read_to_string(root.join("origin")).is_ok_and(|text| text == origin))
        .filter_map(|root| {
            let finished = fs::metadata(root.join("complete")).ok()?.modified().ok()?;
            Some((finished, root))
        })
        .max()
        .map(|(_, root)| root)
}

/// What clang of this number says of its version.
pub(crate) fn clang_version(llvm: u32) -> Result<String> {
    let program = format!("clang-{llvm}");
    let text = output(command(&program).arg("--version"))?;
    let first = text.lines().next();
    Ok(first
        .with_context(|| format!("{program} gives no version"))?
        .to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_changes_with_each_input() {
        let text = |text: &str| text.to_owned();
        let fragments = [text("CONFIG_A=y\n"), text("CONFIG_B=y\n")];
        let tools = [text("rustc 1.95.0"), text("clang 19")];
        let base = key("7.3.4-1", &fragments, &tools);
        assert_eq!(base.len(), 12);
        let commented = [text("# All.\nCONFIG_A=y\nCONFIG_B=y\n")];
        assert_eq!(base, key("7.3.4-1", &commented, &tools));
        let module = [text("CONFIG_A=y\n"), text("CONFIG_B=m\n")];
        let others = [
            key("7.3.5-1", &fragments, &tools),
            key("7.3.4-1", &fragments[..1], &tools),
            key("7.3.4-1", &module, &tools),
            key(
                "7.3.4-1",
                &fragments,
                &[text("rustc 1.96.0"), text("clang 19")],
            ),
            key(
                "7.3.4-1",
                &fragments,
                &[text("rustc 1.95.0"), text("clang 20")],
            ),
        ];
        assert!(others.iter().all(|other| *other != base), "{others:?}");
    }

    #[test]
    fn progress_tells_what_is_left() {
        let line = progress(0, STEPS / 2, Duration::from_secs(300));
        assert!(line.ends_with(", about 6 min left"), "{line}");
        let resumed = progress(STEPS / 2, STEPS / 2 + 99, Duration::from_secs(15));
        assert!(resumed.ends_with("steps"), "{resumed}");
        let beyond = progress(STEPS, STEPS + 7, Duration::from_secs(15));
        assert!(beyond.ends_with("7 steps, 15 s"), "{beyond}");
    }

    #[test]
    fn only_complete_builds_of_the_same_variant_and_origin_are_copied() {
        let folder = tempfile::tempdir().unwrap();
        let all = folder.path().join("kernel");
        let build = |name: &str, origin: &str, complete: bool| {
            let root = all.join(name);
            create_dir(&root).unwrap();
            write(&root.join("origin"), origin).unwrap();
            if complete {
                write(&root.join("complete"), "").unwrap();
            }
            root
        };
        build("standard-1", "Linux 7.3.4", false);
        build("standard-2", "Linux 7.3.5", true);
        build("debug-4", "Linux 7.3.4", true);
        assert_eq!(newest_of(&all, "standard", "Linux 7.3.4"), None);
        let relative = build("standard-3", "Linux 7.3.4", true);
        assert_eq!(newest_of(&all, "standard", "Linux 7.3.4"), Some(relative));
    }
}
