// SPDX-License-Identifier: GPL-2.0

//! The report in a real browser: Debian's Chromium, without a window.
//!
//! The page is given a script, for this test only, that tells what the browser made of it.

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;

use common::{facts, fresh};
use report::write;

/// Tells the sizes on the console, which Chromium writes to its errors.
const PROBE: &str = "<script>addEventListener('load', () => {
    document.querySelectorAll('details').forEach(d => { d.open = true; });
    const boxes = [...document.querySelectorAll('svg')].map(s => s.getBoundingClientRect());
    const drawn = boxes.filter(b => b.width > 100 && b.height > 60).length;
    const root = document.documentElement;
    const back = getComputedStyle(document.body).backgroundColor;
    const title = document.querySelectorAll('.hs title').length;
    console.log('PROBE', boxes.length, drawn, root.scrollWidth - root.clientWidth, title, back);
});</script>";

/// What keeps Chromium from talking to the network.
const QUIET: [&str; 7] = [
    "--headless",
    "--no-sandbox",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
];

struct Browser {
    program: PathBuf,
    folder: PathBuf,
}

/// What the page says of itself.
#[derive(Debug)]
struct Seen {
    pictures: usize,
    drawn: usize,
    overflow: i64,
    tool_tips: usize,
    background: String,
}

impl Browser {
    fn start(name: &str) -> Browser {
        let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let options = machine::Options::new(&repository).unwrap();
        let program = machine::ensure_chromium(&options, &|line| eprintln!("{line}")).unwrap();
        let folder = fresh(name);
        write::report(&facts(), &folder).unwrap();
        let page = std::fs::read_to_string(folder.join("index.html")).unwrap();
        let probed = page.replace("</body>", &format!("{PROBE}</body>"));
        std::fs::write(folder.join("probed.html"), probed).unwrap();
        Browser { program, folder }
    }

    /// Opens a page of the report and gives what Chromium said.
    fn open(&self, page: &str, arguments: &[&str]) -> String {
        let done = Command::new(&self.program)
            .args(QUIET)
            .arg(format!(
                "--user-data-dir={}",
                self.folder.join("profile").display()
            ))
            .args(arguments)
            .arg(format!("file://{}", self.folder.join(page).display()))
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        assert!(done.status.success(), "{said}");
        said
    }

    /// What the page says of itself, in a window of this width.
    fn probe(&self, width: u32, arguments: &[&str]) -> Seen {
        let window = format!("--window-size={width},900");
        let shot = format!("--screenshot={}", self.folder.join("probe.png").display());
        let said = self.open(
            "probed.html",
            &[&[window.as_str(), &shot], arguments].concat(),
        );
        let console: Vec<&str> = said
            .lines()
            .filter(|line| line.contains("CONSOLE"))
            .collect();
        let [line] = console[..] else {
            panic!("the console has {console:?}");
        };
        let (_, numbers) = line.split_once("PROBE ").unwrap();
        let (numbers, _) = numbers.split_once('"').unwrap();
        let mut words = numbers.splitn(5, ' ');
        let mut next = || words.next().unwrap();
        Seen {
            pictures: next().parse().unwrap(),
            drawn: next().parse().unwrap(),
            overflow: next().parse().unwrap(),
            tool_tips: next().parse().unwrap(),
            background: next().to_owned(),
        }
    }

    /// A file that Chromium made of the page.
    fn made(&self, option: &str, name: &str) -> Vec<u8> {
        let path = self.folder.join(name);
        let size = "--window-size=1280,1600";
        self.open(
            "index.html",
            &[&format!("--{option}={}", path.display()), size],
        );
        std::fs::read(path).unwrap()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

#[test]
#[ignore = "needs Chromium: make test-report"]
fn the_pictures_are_there_and_fit() {
    let browser = Browser::start("browser");
    for (width, arguments, background) in [
        (1280, &[][..], "rgb(255, 255, 255)"),
        (390, &[][..], "rgb(255, 255, 255)"),
        (
            1280,
            &["--blink-settings=preferredColorScheme=0"][..],
            "rgb(13, 17, 23)",
        ),
    ] {
        let seen = browser.probe(width, arguments);
        // The matrix of drivers, eight devices in two modes, the legend, growth and intervals.
        assert_eq!((seen.pictures, seen.drawn), (20, 20), "{seen:?}");
        assert_eq!(seen.overflow, 0, "{seen:?}");
        assert!(seen.tool_tips > 1000, "{seen:?}");
        assert_eq!(seen.background, background, "{seen:?}");
    }
}

#[test]
#[ignore = "needs Chromium: make test-report"]
fn a_screenshot_and_paper_are_made() {
    let browser = Browser::start("screenshot");
    let said = browser.open("index.html", &["--dump-dom"]);
    assert!(!said.contains("CONSOLE"), "{said}");
    let shot = browser.made("screenshot", "page.png");
    assert!(
        shot.starts_with(b"\x89PNG") && shot.len() > 50_000,
        "{} bytes",
        shot.len()
    );
    let paper = browser.made("print-to-pdf", "page.pdf");
    assert!(
        paper.starts_with(b"%PDF") && paper.len() > 50_000,
        "{} bytes",
        paper.len()
    );
}
