// SPDX-License-Identifier: GPL-2.0

//! The report of recorded results, as page, as Markdown and as JSON.

mod common;

use common::{facts, folder, fresh, repository};
use report::facts::gather;
use report::write;
use serde_json::Value;
use std::path::PathBuf;

struct Written {
    folder: PathBuf,
    html: String,
    markdown: String,
    json: Value,
}

fn written(name: &str) -> Written {
    let folder = fresh(name);
    write::report(&facts(), &folder).unwrap();
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    Written {
        html: read("index.html"),
        markdown: read("report.md"),
        json: serde_json::from_str(&read("report.json")).unwrap(),
        folder,
    }
}

#[test]
fn the_page_needs_nothing_else() {
    let Written { folder, html, .. } = written("self-contained");
    for part in [
        "src=", "<link", "<script", "url(", "@import", "<iframe", "<object",
    ] {
        assert!(!html.contains(part), "{part}");
    }
    let links = html
        .match_indices("href=\"")
        .map(|(at, text)| at + text.len());
    for at in links {
        assert!(html[at..].starts_with('#'), "{}", &html[at..at + 40]);
    }
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn the_matrix_of_other_drivers_is_in_the_report() {
    let written = written("drivers");
    let label = "aria-label=\"Drivers and the rules they break\"";
    assert_eq!(written.html.matches(label).count(), 1);
    assert!(written.html.contains("ipxe-net, notify-early: BREACH"));
    assert!(written.markdown.contains("(drivers.svg)"));
    assert!(written.folder.join("drivers.svg").exists());
    std::fs::remove_dir_all(written.folder).unwrap();
}

#[test]
fn there_is_a_picture_for_each_device_and_kind_of_interrupts() {
    let written = written("pictures");
    for device in [
        "blk", "blk4", "net", "console", "rng", "scsi", "balloon", "9p",
    ] {
        for (interrupts, words) in [("msix", "MSI-X, a vector per virtqueue"), ("intx", "INTx")] {
            let title = format!("aria-label=\"Register accesses: {device}, {words}\"");
            assert_eq!(written.html.matches(&title).count(), 1, "{title}");
            let file = format!("handshake-{device}-{interrupts}.svg");
            assert!(written.markdown.contains(&format!("({file})")), "{file}");
            assert!(written.folder.join(&file).exists(), "{file}");
        }
    }
    std::fs::remove_dir_all(written.folder).unwrap();
}

#[test]
fn each_picture_file_has_its_colours_and_a_ground() {
    let written = written("grounds");
    let mut pictures = 0;
    for entry in std::fs::read_dir(&written.folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "svg") {
            let svg = std::fs::read_to_string(&path).unwrap();
            let name = path.display();
            assert!(!svg.contains("var("), "{name}");
            let grounds = [
                "<rect class=\"hs-paper\"",
                "<rect class=\"paper\"",
                "<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>",
            ];
            assert!(grounds.iter().any(|ground| svg.contains(ground)), "{name}");
            pictures += 1;
        }
    }
    assert!(pictures > 16, "{pictures}");
    std::fs::remove_dir_all(written.folder).unwrap();
}

#[test]
fn all_three_tell_the_same() {
    let Written {
        folder,
        html,
        markdown,
        json,
    } = written("same");
    let facts = [
        // Accesses of blk4 at probe with MSI-X, and of the design's table.
        "49",
        "sel-once",
        "virtioN-req.0",
        "50, 0 failed",
        "55 cycles of sleep without a failure, so with 95 % confidence fewer than 5.30 % fail",
        "restores with success, I/O hangs",
        "a disk: TimedOut; rmmod: LostVm",
        "wanted disconnected, got hangs; rmmod hangs",
        "make hostile, 2 scenarios",
        "no difference seen",
        "7.3.4",
        "seed 2014",
    ];
    for fact in facts {
        assert!(html.contains(fact), "{fact}");
        assert!(markdown.contains(fact), "{fact}");
    }
    assert_eq!(json["comparisons"].as_array().unwrap().len(), 2);
    assert_eq!(
        json["measurements"][0]["measurements"]["series"][0]["c"][1],
        102.0
    );
    assert!(json["measurements"][0]["ratios"][0]["low"].is_number());
    assert!(json["comparisons"][0]["report"]["devices"].is_array());
    let weak = &json["weak_points"][0];
    assert_eq!(weak["row"]["c"], "restores with `success`, I/O hangs");
    assert_eq!(weak["measured"][0]["c"], "a disk: TimedOut; rmmod: LostVm");
    assert_eq!(weak["measured"][0]["rust"], "ok");
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn what_is_special_in_html_is_escaped() {
    let written = written("escaped");
    assert!(written.html.contains("detached &lt;&amp;&gt;"));
    assert!(!written.html.contains("detached <&>"));
    std::fs::remove_dir_all(written.folder).unwrap();
}

#[test]
fn what_was_not_run_is_said() {
    let folder = fresh("empty");
    let facts = gather(&repository(), &folder.join("nothing")).unwrap();
    write::report(&facts, &folder).unwrap();
    let html = std::fs::read_to_string(folder.join("index.html")).unwrap();
    for command in ["make compare", "make bench", "make matrix"] {
        assert!(html.contains(&format!("{command} makes them")), "{command}");
    }
    assert!(html.contains("Nothing was run."));
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_broken_result_is_an_error() {
    let broken = fresh("broken");
    std::fs::create_dir_all(&broken).unwrap();
    for entry in std::fs::read_dir(folder()).unwrap().flatten() {
        std::fs::copy(entry.path(), broken.join(entry.file_name())).unwrap();
    }
    assert!(gather(&repository(), &broken).is_ok());
    let trace = broken.join("compare-msix-c.txt");
    let text = std::fs::read_to_string(&trace).unwrap();
    std::fs::write(&trace, text.replacen("value 0x", "value x", 1)).unwrap();
    assert!(gather(&repository(), &broken).is_err());
    std::fs::write(&trace, text).unwrap();
    std::fs::write(broken.join("bench-9-x.json"), "{\"part\": 1}").unwrap();
    assert!(gather(&repository(), &broken).is_err());
    std::fs::remove_dir_all(broken).unwrap();
}
