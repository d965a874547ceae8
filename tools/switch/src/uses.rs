// SPDX-License-Identifier: GPL-2.0

//! Who uses a device: a device that loses its driver takes a mounted filesystem with it.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use anyhow::{bail, Context as _, Result};
use rustix::io::Errno;

use crate::devices::{link_name, Device, Node};
use crate::special::Special;
use crate::Kernel;

/// What the numbers of `hvc` begin with: their major number is fixed.
const HVC: &str = "229:";

/// What is known of a device.
pub(crate) enum State {
    /// Something uses it: each as a sentence.
    Used(Vec<String>),
    /// Nothing does. While these files are open, nothing else mounts or claims its disks.
    Free(Vec<fs::File>),
}

/// A line of `/proc/PID/mountinfo`.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Mount {
    number: String,
    place: String,
    kind: String,
    source: String,
}

/// Looks at everything that may use the device.
pub(crate) fn of(kernel: &Kernel<'_>, device: &Device) -> Result<State> {
    let mut uses = Vec::new();
    let mounts = mounts(kernel)?;
    for node in &device.nodes {
        match node.subsystem.as_str() {
            "block" => block(kernel, node, &mounts, &mut uses)?,
            "net" => interface(node, &mut uses),
            "virtio-ports" => console(kernel, node, &mut uses),
            _ => {}
        }
    }
    if device.hides_interface {
        uses.push("its interface is in another network namespace".to_owned());
    }
    for mount in mounts.iter().filter(|mount| mount.kind == "9p") {
        if device.mount_tag.as_ref() == Some(&mount.source) {
            uses.push(format!("{} is mounted on {}", mount.source, mount.place));
        }
    }
    open_files(kernel, device, &mut uses)?;
    if !uses.is_empty() {
        return Ok(State::Used(uses));
    }
    let mut claims = Vec::new();
    for disk in device.nodes.iter().filter(|node| node.is_disk()) {
        match (kernel.claim)(&present(kernel, disk)?) {
            Ok(file) => claims.push(file),
            Err(error) if error.raw_os_error() == Some(Errno::BUSY.raw_os_error()) => {
                let name = &disk.name;
                let held = format!("{name} is held by the kernel or a program");
                return Ok(State::Used(vec![held]));
            }
            // A reader without a medium.
            Err(error) if error.raw_os_error() == Some(Errno::NOMEDIUM.raw_os_error()) => {}
            Err(error) => {
                let name = &disk.name;
                return Err(error).with_context(|| format!("cannot open the disk {name}"));
            }
        }
    }
    Ok(State::Free(claims))
}

fn block(
    kernel: &Kernel<'_>,
    node: &Node,
    mounts: &BTreeSet<Mount>,
    uses: &mut Vec<String>,
) -> Result<()> {
    let name = &node.name;
    let file = node.device_file();
    // A filesystem on several devices, as btrfs, has a number of its own.
    let is_ours =
        |mount: &&Mount| node.number.as_ref() == Some(&mount.number) || mount.source == file;
    for mount in mounts.iter().filter(is_ours) {
        uses.push(format!("{name} is mounted on {}", mount.place));
    }
    let swaps = read_if_there(&kernel.path("proc/swaps"))?;
    if swaps
        .lines()
        .any(|line| line.split_whitespace().next() == Some(&file))
    {
        uses.push(format!("{name} is swap space"));
    }
    for holder in fs::read_dir(node.path.join("holders"))
        .into_iter()
        .flatten()
        .flatten()
    {
        let map = fs::read_to_string(holder.path().join("dm/name")).unwrap_or_default();
        let holder = holder.file_name().to_string_lossy().into_owned();
        let map = map.trim();
        uses.push(if map.is_empty() {
            format!("{name} is part of {holder}")
        } else {
            format!("{name} is part of {holder} ({map})")
        });
    }
    Ok(())
}

/// The path of a disk's file, if that is there and is the disk.
fn present(kernel: &Kernel<'_>, disk: &Node) -> Result<PathBuf> {
    let file = disk.device_file();
    let path = kernel.path(&file[1..]);
    let found = match (kernel.special)(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        other => other.with_context(|| format!("cannot look at {}", path.display()))?,
    };
    if found.is_none() || found != disk.special() {
        bail!(
            "{file} is not the disk {}: who uses it is not known; run this where /dev has it",
            disk.number.as_deref().unwrap_or("without a number")
        );
    }
    Ok(path)
}

fn interface(node: &Node, uses: &mut Vec<String>) {
    const UP: u32 = 1;
    let flags = fs::read_to_string(node.path.join("flags")).unwrap_or_default();
    let flags = u32::from_str_radix(flags.trim().trim_start_matches("0x"), 16).unwrap_or(UP);
    if flags & UP != 0 {
        uses.push(format!("the interface {} is up", node.name));
    }
    if let Some(master) = link_name(&node.path.join("master")) {
        uses.push(format!("the interface {} is part of {master}", node.name));
    }
}

/// Which `hvc` a port is does not show, so that each of them counts.
fn console(kernel: &Kernel<'_>, node: &Node, uses: &mut Vec<String>) {
    let consoles = fs::read_to_string(kernel.path("proc/consoles")).unwrap_or_default();
    for console in consoles
        .lines()
        .filter_map(|line| line.split_whitespace().next())
    {
        if console.starts_with("hvc") {
            uses.push(format!("{} may be the console {console}", node.name));
        }
    }
}

/// Programs that have a file of the device open, by whatever path.
fn open_files(kernel: &Kernel<'_>, device: &Device, uses: &mut Vec<String>) -> Result<()> {
    let has_ports = device
        .nodes
        .iter()
        .any(|node| node.subsystem == "virtio-ports");
    let name_of = |special: &Special| {
        let mut nodes = device.nodes.iter();
        let found = nodes.find(|node| node.special().as_ref() == Some(special));
        let hvc = special.number.strip_prefix(HVC);
        let hvc = hvc.filter(|_| has_ports && !special.is_block);
        let hvc = hvc.map(|number| format!("/dev/hvc{number}"));
        found.map(Node::device_file).or(hvc)
    };
    for process in processes(kernel)? {
        let open = specials(kernel, &process).with_context(|| {
            format!(
                "cannot see what {} has open; run this as root",
                process.display()
            )
        })?;
        for file in open.iter().filter_map(name_of) {
            let name = fs::read_to_string(process.join("comm")).unwrap_or_default();
            let number = process.file_name().unwrap_or_default().to_string_lossy();
            uses.push(format!("{file} is open in {} ({number})", name.trim()));
        }
    }
    Ok(())
}

/// The special files that a process has open; none if it has ended.
fn specials(kernel: &Kernel<'_>, process: &Path) -> io::Result<BTreeSet<Special>> {
    let denied = |error: &io::Error| error.kind() == ErrorKind::PermissionDenied;
    let fds = match fs::read_dir(process.join("fd")) {
        Err(error) if denied(&error) => return Err(error),
        other => other.into_iter().flatten().flatten(),
    };
    let mut open = BTreeSet::new();
    for fd in fds {
        match (kernel.special)(&fd.path()) {
            Err(error) if denied(&error) => return Err(error),
            other => open.extend(other.ok().flatten()),
        }
    }
    Ok(open)
}

/// The mounts of all processes: a container may have some that others do not see.
fn mounts(kernel: &Kernel<'_>) -> Result<BTreeSet<Mount>> {
    let mut mounts = BTreeSet::new();
    for process in processes(kernel)? {
        // A process may end at any time.
        let text = fs::read_to_string(process.join("mountinfo")).unwrap_or_default();
        mounts.extend(text.lines().filter_map(parse_mount));
    }
    Ok(mounts)
}

/// Reads `36 35 98:0 /root /place options shared:1 - ext4 /dev/vda options`.
fn parse_mount(line: &str) -> Option<Mount> {
    let (left, right) = line.split_once(" - ")?;
    let left: Vec<_> = left.split(' ').collect();
    let mut right = right.split(' ');
    Some(Mount {
        number: (*left.get(2)?).to_owned(),
        place: (*left.get(4)?).to_owned(),
        kind: right.next()?.to_owned(),
        source: right.next()?.to_owned(),
    })
}

fn processes(kernel: &Kernel<'_>) -> Result<Vec<PathBuf>> {
    let path = kernel.path("proc");
    let entries = fs::read_dir(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let is_process = |entry: &fs::DirEntry| {
        let name = entry.file_name();
        name.to_string_lossy().chars().all(|c| c.is_ascii_digit())
    };
    Ok(entries
        .flatten()
        .filter(is_process)
        .map(|entry| entry.path())
        .collect())
}

/// The text of a file that a kernel may be without.
fn read_if_there(path: &Path) -> Result<String> {
    match fs::read_to_string(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(String::new()),
        other => other.with_context(|| format!("cannot read {}", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::Fake;

    const DISK: &str = "0000:00:04.0";

    fn disk() -> Fake {
        let fake = Fake::new();
        fake.disk(DISK, "vda", "254:0", "virtio-pci");
        fake.partition(DISK, "vda", "vda1", "254:1");
        fake
    }

    fn state(fake: &Fake) -> Result<State> {
        let kernel = fake.kernel();
        of(&kernel, &Device::find(&kernel, DISK).unwrap())
    }

    fn uses(fake: &Fake) -> Vec<String> {
        match state(fake).unwrap() {
            State::Used(uses) => uses,
            State::Free(_) => Vec::new(),
        }
    }

    #[test]
    fn an_idle_disk_has_no_use() {
        let fake = disk();
        fake.mount("254:2", "/dev/vda2", "/other");
        assert_eq!(uses(&fake), [""; 0]);
    }

    #[test]
    fn a_mounted_partition_is_named() {
        let fake = disk();
        fake.mount("254:1", "/dev/vda1", "/srv");
        assert_eq!(uses(&fake), ["vda1 is mounted on /srv"]);
    }

    #[test]
    fn a_filesystem_with_a_number_of_its_own_is_known_by_its_source() {
        let fake = disk();
        fake.mount("0:42", "/dev/vda1", "/srv");
        assert_eq!(uses(&fake), ["vda1 is mounted on /srv"]);
    }

    #[test]
    fn swap_is_named() {
        let fake = disk();
        fake.file(
            "proc/swaps",
            "Filename Type Size\n/dev/vda1 partition 1 0 -2\n",
        );
        assert_eq!(uses(&fake), ["vda1 is swap space"]);
    }

    #[test]
    fn a_holder_is_named_with_its_map() {
        let fake = disk();
        fake.holder(DISK, "vda/vda1", "dm-0", "vg-root");
        assert_eq!(uses(&fake), ["vda1 is part of dm-0 (vg-root)"]);
    }

    #[test]
    fn a_program_that_has_the_disk_open_by_any_path_is_named() {
        let fake = disk();
        fake.open(77, "dd", "block 254:0");
        fake.open(78, "cat", "char 254:0");
        assert_eq!(uses(&fake), ["/dev/vda is open in dd (77)"]);
    }

    #[test]
    fn a_program_whose_files_are_not_shown_is_an_error() {
        let fake = disk();
        fake.open(77, "dd", "denied");
        let error = format!("{:#}", state(&fake).err().unwrap());
        assert!(
            error.contains("proc/77 has open; run this as root"),
            "{error}"
        );
    }

    #[test]
    fn a_disk_that_is_held_is_a_use() {
        let fake = disk();
        fake.claims_fail(Errno::BUSY);
        assert_eq!(uses(&fake), ["vda is held by the kernel or a program"]);
        fake.claims_fail(Errno::NOMEDIUM);
        assert_eq!(uses(&fake), [""; 0]);
        fake.claims_fail(Errno::NXIO);
        assert!(state(&fake).is_err());
    }

    #[test]
    fn a_disk_whose_file_is_missing_or_another_is_an_error() {
        let fake = disk();
        fake.file("dev/vda", "block 254:16");
        let error = state(&fake).err().unwrap().to_string();
        assert!(
            error.starts_with("/dev/vda is not the disk 254:0: "),
            "{error}"
        );
        fake.remove("dev/vda");
        let error = state(&fake).err().unwrap().to_string();
        assert!(
            error.starts_with("/dev/vda is not the disk 254:0: "),
            "{error}"
        );
    }

    #[test]
    fn an_interface_that_is_up_is_named() {
        let fake = Fake::new();
        fake.interface(DISK, "eth0", "0x1002");
        assert_eq!(uses(&fake), [""; 0]);
        fake.interface(DISK, "eth0", "0x1003");
        assert_eq!(uses(&fake), ["the interface eth0 is up"]);
    }

    #[test]
    fn an_interface_in_another_network_namespace_is_a_use() {
        let fake = Fake::new();
        fake.interface(DISK, "eth0", "0x1002");
        fake.hide_interface(DISK, "eth0");
        assert_eq!(
            uses(&fake),
            ["its interface is in another network namespace"]
        );
    }

    #[test]
    fn a_console_and_an_open_port_are_named() {
        let fake = Fake::new();
        fake.port(DISK, "vport0p0");
        assert_eq!(uses(&fake), [""; 0]);
        fake.file(
            "proc/consoles",
            "ttyS0 -W- (EC a) 4:64\nhvc0 -W- (E) 229:0\n",
        );
        fake.open(8, "agetty", "char 229:12");
        fake.open(9, "cat", "char 243:0");
        let uses = uses(&fake);
        assert_eq!(uses[0], "vport0p0 may be the console hvc0");
        for open in [
            "/dev/hvc12 is open in agetty (8)",
            "/dev/vport0p0 is open in cat (9)",
        ] {
            assert!(uses.iter().any(|line| line == open), "{uses:?}");
        }
    }

    #[test]
    fn a_9p_mount_is_known_by_its_tag() {
        let fake = Fake::new();
        fake.pci(DISK, "0x1af4", "0x1009", "virtio-pci");
        fake.mount_tag(DISK, "share");
        fake.file("proc/1/mountinfo", "9 1 0:31 / /mnt rw - 9p share rw\n");
        assert_eq!(uses(&fake), ["share is mounted on /mnt"]);
    }
}
