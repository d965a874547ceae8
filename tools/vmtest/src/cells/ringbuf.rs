// SPDX-License-Identifier: GPL-2.0

//! Ports and terminals whose host side is a buffer in QEMU.

use std::time::Duration;

use serde_json::json;

use vm::failure::{Failure, Outcome};
use vm::Vm;

/// What the host side of a character device has got since the last time.
fn got(vm: &mut Vm, chardev: &str) -> Outcome<String> {
    let arguments = json!({ "device": chardev, "size": 65536 });
    let text = vm.qmp().execute("ringbuf-read", &arguments)?;
    Ok(text.as_str().unwrap_or_default().to_owned())
}

/// Awaits that it has got this.
pub(crate) fn await_got(vm: &mut Vm, chardev: &str, words: &str) -> Outcome {
    let mut text = String::new();
    for _ in 0..100 {
        text.push_str(&got(vm, chardev)?);
        if text.contains(words) {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    let text = format!("{chardev} has not got {words:?} but {text:?}");
    Err(Failure::Failed(text))
}
