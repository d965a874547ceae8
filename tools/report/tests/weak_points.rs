// SPDX-License-Identifier: GPL-2.0

//! What was measured of the weak points of the C driver.

mod common;

use common::{facts, folder, fresh};
use report::facts::gather;
use report::weak_points::Verdicts;
use report::write;

fn verdicts(test: &str, c: Option<&str>, rust: Option<&str>) -> Verdicts {
    Verdicts {
        test: test.to_owned(),
        c: c.map(str::to_owned),
        rust: rust.map(str::to_owned),
    }
}

#[test]
fn each_row_has_the_results_of_its_tests() {
    let warning = Some("works, WARNING: a.h:348");
    let expected = [
        vec![verdicts(
            "fewer-features",
            Some("a disk: TimedOut; rmmod: LostVm"),
            Some("ok"),
        )],
        // A pattern.
        vec![
            verdicts(
                "behind-the-back-intx",
                Some("INTx is masked: LostVm"),
                Some("INTx is masked: Failed"),
            ),
            verdicts("behind-the-back-msix", None, Some("ok")),
        ],
        // Scenarios, each in some of the ways that it is run in.
        vec![
            verdicts("reset never complete, at probe, intx", warning, None),
            verdicts("reset never complete, at probe, msix", warning, Some("ok")),
            verdicts("reset never complete, at restore, msix", None, Some("ok")),
            verdicts(
                "ones, at freeze, msix",
                None,
                Some("wanted disconnected, got hangs; rmmod hangs"),
            ),
        ],
        vec![
            verdicts("surprise-removal-*", None, None),
            verdicts("no-results", None, Some("no results")),
        ],
    ];
    let points = facts().weak_points;
    assert_eq!(points.len(), expected.len());
    for (point, expected) in points.iter().zip(expected) {
        assert_eq!(point.measured, expected, "{}", point.row.what);
    }
}

#[test]
fn only_failures_of_the_rust_driver_are_errors() {
    let folder = fresh("judged");
    write::report(&facts(), &folder).unwrap();
    let html = std::fs::read_to_string(folder.join("index.html")).unwrap();
    for cells in [
        "<td>fewer-features</td><td>a disk: TimedOut; rmmod: LostVm</td><td class=\"good\">ok</td>",
        "<td>INTx is masked: LostVm</td><td class=\"bad\">INTx is masked: Failed</td>",
        "<td>surprise-removal-*</td><td>not run</td><td>not run</td>",
    ] {
        assert!(html.contains(cells), "{cells}");
    }
    // What a row says is said once.
    assert_eq!(html.matches("the reader waits for ever").count(), 1);
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn rows_that_cannot_be_read_are_an_error_in_one_line() {
    let root = fresh("no-rows");
    std::fs::create_dir_all(root.join("docs")).unwrap();
    let path = root.join("docs/c-driver.toml");
    let error = || format!("{:#}", gather(&root, &folder()).err().unwrap());
    assert!(error().starts_with(&format!("cannot read {}: ", path.display())));
    std::fs::write(&path, "intro = ''\nnotes = ''\n").unwrap();
    let begin = format!("{}: ", path.display());
    assert!(error().starts_with(&begin) && error().contains("missing field `row`"));
    std::fs::remove_dir_all(root).unwrap();
}
