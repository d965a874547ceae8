// SPDX-License-Identifier: GPL-2.0

//! What QEMU is started with for a guest that is not ours.

use super::Wish;
use std::ffi::OsString;
use std::path::Path;

/// The devices of QEMU's own: slot, name, and what `-device` is given.
pub(super) const DEVICES: [(u8, &str, &str); 5] = [
    (3, "blk", "virtio-blk-pci,drive=disk"),
    (4, "net", "virtio-net-pci,netdev=net"),
    (5, "scsi", "virtio-scsi-pci,id=scsi"),
    (6, "rng", "virtio-rng-pci"),
    (7, "balloon", "virtio-balloon-pci"),
];

/// The words for all machines.
fn common(wish: &Wish, folder: &Path) -> Vec<OsString> {
    let words = ["-nodefaults", "-no-user-config", "-no-reboot"];
    let mut words: Vec<OsString> = words.map(OsString::from).to_vec();
    let mut add = |option: &str, value: OsString| words.extend([option.into(), value]);
    add("-display", "none".into());
    add("-vga", "std".into());
    add("-accel", wish.accel.clone().into());
    add("-smp", "2".into());
    add("-m", wish.memory.to_string().into());
    let console = folder.join("console.log");
    add("-serial", prefixed("file:", &console));
    for file in &wish.firmware {
        add(
            "-drive",
            prefixed("if=pflash,format=raw,snapshot=on,file=", file),
        );
    }
    if let Some(kernel) = &wish.kernel {
        add("-kernel", kernel.into());
        // Firmware leaves devices alone that it is not to boot from.
        add("-boot", "strict=on".into());
    }
    if let Some(initrd) = &wish.initrd {
        add("-initrd", initrd.into());
    }
    if let Some(append) = &wish.append {
        add("-append", append.into());
    }
    words
}

/// The machine `q35` has flash for firmware, `pc` has it built in.
fn board(wish: &Wish) -> &'static str {
    match wish.firmware.is_empty() {
        true => "pc",
        false => "q35",
    }
}

/// A machine with QEMU's own legacy devices; each access to a register is a line on its stderr.
pub(super) fn traced(wish: &Wish, disk: &Path, format: &str, folder: &Path) -> Vec<OsString> {
    let mut words = common(wish, folder);
    let mut add = |option: &str, value: OsString| words.extend([option.into(), value]);
    add("-machine", board(wish).into());
    let drive = format!("if=none,id=disk,snapshot=on,format={format},file=");
    add("-drive", prefixed(&drive, disk));
    add("-netdev", "user,id=net,restrict=on".into());
    for (slot, _, device) in DEVICES {
        let legacy = "disable-modern=on,disable-legacy=off";
        let ioeventfd = match device.starts_with("virtio-balloon") {
            true => "",
            false => ",ioeventfd=off",
        };
        add(
            "-device",
            format!("{device},addr={slot:#x}{ioeventfd},{legacy}").into(),
        );
    }
    for event in [
        "memory_region_ops_read",
        "memory_region_ops_write",
        "pci_update_mappings_add",
    ] {
        add("-trace", event.into());
    }
    words
}

/// A machine with scripted devices at these sockets.
pub(super) fn scripted(wish: &Wish, sockets: &[&Path], folder: &Path) -> Vec<OsString> {
    let mut words = common(wish, folder);
    let mut add = |option: &str, value: OsString| words.extend([option.into(), value]);
    let (board, size) = (board(wish), wish.memory);
    add("-machine", format!("{board},memory-backend=memory").into());
    let memory = format!("memory-backend-memfd,id=memory,size={size}M,share=on");
    add("-object", memory.into());
    for (at, socket) in sockets.iter().enumerate() {
        let device = serde_json::json!({
            "driver": "vfio-user-pci",
            "addr": format!("{:#x}", 3 + at),
            // Each write has arrived when the guest goes on.
            "x-no-posted-writes": true,
            "socket": { "type": "unix", "path": socket },
        });
        add("-device", device.to_string().into());
    }
    words
}

fn prefixed(prefix: &str, path: &Path) -> OsString {
    let mut word = OsString::from(prefix);
    word.push(path);
    word
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(words: &[OsString]) -> String {
        let words: Vec<_> = words.iter().map(|word| word.to_string_lossy()).collect();
        words.join(" ")
    }

    #[test]
    fn no_disk_is_written_to_and_each_device_is_legacy() {
        let wish = Wish::default();
        let line = text(&traced(&wish, Path::new("/d"), "qcow2", Path::new("/f")));
        assert!(line.contains("snapshot=on,format=qcow2,file=/d"), "{line}");
        assert_eq!(line.matches("disable-modern=on").count(), DEVICES.len());
        assert!(!line.contains("-kernel"), "{line}");
    }

    #[test]
    fn a_kernel_is_given_with_what_belongs_to_it() {
        let wish = Wish {
            kernel: Some("/k".into()),
            initrd: Some("/i".into()),
            append: Some("quiet".to_owned()),
            ..Wish::default()
        };
        let line = text(&scripted(&wish, &[Path::new("/s")], Path::new("/f")));
        for part in [
            "-kernel /k",
            "-initrd /i",
            "-append quiet",
            "\"path\":\"/s\"",
        ] {
            assert!(line.contains(part), "{part} is not in {line}");
        }
    }
}
