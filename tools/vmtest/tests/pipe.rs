// SPDX-License-Identifier: GPL-2.0

//! What is printed into a pipe whose reader has ended.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};

#[test]
fn a_reader_that_has_ended_is_no_panic() {
    let (here, there) = UnixStream::pair().unwrap();
    drop(here);
    let mut list = Command::new(env!("CARGO_BIN_EXE_vmtest"));
    list.arg("list").stdout(Stdio::from(OwnedFd::from(there)));
    let output = list.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
}
