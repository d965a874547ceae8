// SPDX-License-Identifier: GPL-2.0

//! A headless Chromium for the test of the report, unpacked beside with its libraries.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::apt::Apt;
use crate::command::{command, output};
use crate::context::{write, Context};

/// The package: Chromium without a window.
const PACKAGE: &str = "chromium-headless-shell";

/// The suite whose libraries it is unpacked with.
const SUITE: &str = "trixie";

/// The script that starts it, in the root of the tree.
const START: &str = "start";

/// The script's text. Chromium looks for its data beside the program that runs, which is the
/// dynamic linker: a copy of it lies there. It starts its other processes by this script, too.
const START_TEXT: &str = "\
#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Starts the Chromium of this directory by its own dynamic linker and on its own libraries.
tree=$(cd \"$(dirname \"$0\")\" && pwd)
libraries=$tree/usr/lib/x86_64-linux-gnu
export FONTCONFIG_SYSROOT=\"$tree\"
exec \"$tree/usr/lib/chromium/ld-linux\" --library-path \"$libraries:$libraries/pulseaudio\" \\
\t\"$tree/usr/lib/chromium/chromium-headless-shell\" \\
\t--browser-subprocess-path=\"$tree/start\" --no-zygote \"$@\"
";

/// Makes sure that there is one, and gives the program that starts it.
pub(crate) fn ensure(cx: &mut Context<'_>) -> Result<PathBuf> {
    let tree = cx.cache.join("chromium");
    let start = tree.join(START);
    if runs(&start) {
        return Ok(start);
    }
    let _lock = cx.lock("chromium")?;
    if runs(&start) {
        return Ok(start);
    }
    let apt = Apt::open(cx)?;
    let candidates = apt.versions(PACKAGE)?;
    let candidate = candidates
        .iter()
        .find(|candidate| candidate.suite == SUITE)
        .or(candidates.first())
        .with_context(|| format!("Debian's mirror has no {PACKAGE}"))?;
    cx.say(format!(
        "fetching Chromium {} with its libraries (about 150 MB) and unpacking it",
        candidate.version
    ));
    cx.fill(&tree, |cx, partial| {
        let package = format!("{PACKAGE}={}", candidate.version);
        apt.unpack_closure(cx, "Chromium", &[package], &candidate.suite, partial)?;
        let linker = partial.join("usr/lib64/ld-linux-x86-64.so.2");
        fs::copy(&linker, partial.join("usr/lib/chromium/ld-linux"))
            .with_context(|| format!("cannot copy {}", linker.display()))?;
        let start = partial.join(START);
        write(&start, START_TEXT)?;
        fs::set_permissions(&start, fs::Permissions::from_mode(0o755))?;
        Ok(())
    })?;
    output(command(&start).args(["--no-sandbox", "--version"]))?;
    Ok(start)
}

fn runs(start: &Path) -> bool {
    start.is_file() && output(command(start).args(["--no-sandbox", "--version"])).is_ok()
}
