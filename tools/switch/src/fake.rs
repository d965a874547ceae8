// SPDX-License-Identifier: GPL-2.0

//! A kernel of files: its sysfs binds drivers as the real one does.

use std::cell::RefCell;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use rustix::io::Errno;
use tempfile::TempDir;

use crate::special::Special;
use crate::Kernel;

/// What the writes to its sysfs did.
#[derive(Default)]
struct State {
    writes: Vec<String>,
    writes_while_claimed: Vec<String>,
    claims_fail: Option<Errno>,
    only: String,
    refuses: Vec<String>,
    keeps: bool,
}

type Write = dyn Fn(&Path, &str) -> io::Result<()>;
type Claim = dyn Fn(&Path) -> io::Result<File>;

/// The kernel and its files.
pub(crate) struct Fake {
    root: TempDir,
    state: Rc<RefCell<State>>,
    write: Box<Write>,
    claim: Box<Claim>,
}

impl Fake {
    /// A kernel with both drivers, and without devices.
    pub(crate) fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let state = Rc::new(RefCell::new(State::default()));
        let (place, of_write) = (root.path().to_owned(), Rc::clone(&state));
        let of_claim = Rc::clone(&state);
        let fake = Self {
            write: Box::new(move |path, text| {
                answer(&place, &mut of_write.borrow_mut(), path, text)
            }),
            claim: Box::new(move |path| match of_claim.borrow().claims_fail {
                Some(error) => Err(error.into()),
                None => File::open(path),
            }),
            root,
            state,
        };
        for driver in ["virtio-pci", "virtio_pci_rs", "vfio-pci", "piix", "ivshmem"] {
            fake.directory(&format!("sys/bus/pci/drivers/{driver}"));
        }
        fake.directory("proc/1");
        fake
    }

    pub(crate) fn kernel(&self) -> Kernel<'_> {
        Kernel {
            root: self.root.path().to_owned(),
            is_root: true,
            write: &*self.write,
            special: &special,
            claim: &*self.claim,
        }
    }

    fn directory(&self, path: &str) -> PathBuf {
        let path = self.root.path().join(path);
        fs::create_dir_all(&path).unwrap();
        path
    }

    pub(crate) fn file(&self, path: &str, text: &str) {
        let path = self.root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn link(&self, path: &str, target: &str) {
        let path = self.root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let _ = fs::remove_file(&path);
        symlink(target, path).unwrap();
    }

    pub(crate) fn pci(&self, address: &str, vendor: &str, device: &str, driver: &str) {
        let path = format!("sys/bus/pci/devices/{address}");
        self.file(&format!("{path}/vendor"), &format!("{vendor}\n"));
        self.file(&format!("{path}/device"), &format!("{device}\n"));
        self.only(address, "(null)");
        self.link(
            &format!("{path}/driver"),
            &format!("../../drivers/{driver}"),
        );
        self.link(&format!("{path}/virtio0/subsystem"), "/sys/bus/virtio");
    }

    /// Sets the one driver that a device may be offered to.
    pub(crate) fn only(&self, address: &str, driver: &str) {
        let path = format!("sys/bus/pci/devices/{address}/driver_override");
        self.file(&path, &format!("{driver}\n"));
    }

    fn node(&self, address: &str, place: &str, subsystem: &str, number: &str) -> String {
        let path = format!("sys/bus/pci/devices/{address}/virtio0/{place}");
        let name = place.rsplit('/').next().unwrap();
        self.link(
            &format!("{path}/subsystem"),
            &format!("/sys/class/{subsystem}"),
        );
        if !number.is_empty() {
            self.file(&format!("{path}/dev"), &format!("{number}\n"));
            self.file(&format!("{path}/uevent"), &format!("DEVNAME={name}\n"));
        }
        path
    }

    pub(crate) fn disk(&self, address: &str, name: &str, number: &str, driver: &str) {
        self.pci(address, "0x1af4", "0x1001", driver);
        self.node(address, &format!("block/{name}"), "block", number);
        self.file(&format!("dev/{name}"), &format!("block {number}"));
    }

    pub(crate) fn partition(&self, address: &str, disk: &str, name: &str, number: &str) {
        let path = self.node(address, &format!("block/{disk}/{name}"), "block", number);
        self.file(&format!("{path}/partition"), "1\n");
    }

    pub(crate) fn holder(&self, address: &str, place: &str, holder: &str, map: &str) {
        let path = format!("sys/bus/pci/devices/{address}/virtio0/block/{place}/holders");
        self.file(&format!("{path}/{holder}/dm/name"), &format!("{map}\n"));
    }

    pub(crate) fn interface(&self, address: &str, name: &str, flags: &str) {
        self.pci(address, "0x1af4", "0x1000", "virtio-pci");
        let path = self.node(address, &format!("net/{name}"), "net", "");
        self.file(&format!("{path}/flags"), &format!("{flags}\n"));
        self.link(
            &format!("sys/bus/pci/devices/{address}/virtio0/driver"),
            "/sys/bus/virtio/drivers/virtio_net",
        );
    }

    /// Moves an interface to another network namespace: its directory is not seen, that of all is.
    pub(crate) fn hide_interface(&self, address: &str, name: &str) {
        let path = format!("sys/bus/pci/devices/{address}/virtio0/net/{name}");
        fs::remove_dir_all(self.root.path().join(path)).unwrap();
    }

    pub(crate) fn port(&self, address: &str, name: &str) {
        self.pci(address, "0x1af4", "0x1003", "virtio-pci");
        self.node(
            address,
            &format!("virtio-ports/{name}"),
            "virtio-ports",
            "243:0",
        );
    }

    pub(crate) fn mount_tag(&self, address: &str, tag: &str) {
        let path = format!("sys/bus/pci/devices/{address}/virtio0/mount_tag");
        self.file(&path, &format!("{tag}\0"));
    }

    pub(crate) fn mount(&self, number: &str, source: &str, place: &str) {
        let line = format!("36 35 {number} / {place} rw,noatime shared:1 - ext4 {source} rw\n");
        self.file("proc/1/mountinfo", &line);
    }

    pub(crate) fn remove(&self, path: &str) {
        fs::remove_file(self.root.path().join(path)).unwrap();
    }

    /// Has a process open a special file, for example `block 254:0`.
    pub(crate) fn open(&self, process: u32, name: &str, special: &str) {
        self.file(&format!("proc/{process}/comm"), &format!("{name}\n"));
        self.file(&format!("proc/{process}/fd/3"), special);
    }

    /// Has claims of disks fail.
    pub(crate) fn claims_fail(&self, error: Errno) {
        self.state.borrow_mut().claims_fail = Some(error);
    }

    pub(crate) fn unload(&self, driver: &str) {
        let path = format!("sys/bus/pci/drivers/{driver}");
        fs::remove_dir(self.root.path().join(path)).unwrap();
    }

    /// Has a driver refuse devices.
    pub(crate) fn refuse(&self, driver: &str) {
        self.state.borrow_mut().refuses.push(driver.to_owned());
    }

    /// Has devices stay with their driver.
    pub(crate) fn keep(&self) {
        self.state.borrow_mut().keeps = true;
    }

    /// The driver that has a device.
    pub(crate) fn driver(&self, address: &str) -> String {
        let path = format!("sys/bus/pci/devices/{address}/driver");
        let target = fs::read_link(self.root.path().join(path)).unwrap();
        target.file_name().unwrap().to_string_lossy().into_owned()
    }

    /// What was written, as the name of the file and the text.
    pub(crate) fn writes(&self) -> Vec<String> {
        self.state.borrow().writes.clone()
    }

    /// What was written while a disk was open in this program.
    pub(crate) fn writes_while_claimed(&self) -> Vec<String> {
        self.state.borrow().writes_while_claimed.clone()
    }
}

/// The special file that a file stands for.
fn special(path: &Path) -> io::Result<Option<Special>> {
    let text = fs::read_to_string(path)?;
    if text == "denied" {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    Ok(text.split_once(' ').map(|(kind, number)| Special {
        is_block: kind == "block",
        number: number.to_owned(),
    }))
}

/// Whether a file of `/dev` is open in this program.
fn is_claimed(root: &Path) -> bool {
    let fds = fs::read_dir("/proc/self/fd").unwrap().flatten();
    let mut open = fds.filter_map(|fd| fs::read_link(fd.path()).ok());
    open.any(|file| file.starts_with(root.join("dev")))
}

/// Does what the kernel does when a file of the PCI bus is written to.
fn answer(root: &Path, state: &mut State, path: &Path, text: &str) -> io::Result<()> {
    let file = path.file_name().unwrap().to_string_lossy().into_owned();
    state.writes.push(format!("{file} {text}"));
    if is_claimed(root) {
        state.writes_while_claimed.push(format!("{file} {text}"));
    }
    let driver = root.join("sys/bus/pci/devices").join(text).join("driver");
    match file.as_str() {
        "driver_override" => text.clone_into(&mut state.only),
        "unbind" if state.keeps => return Err(io::ErrorKind::NotFound.into()),
        "unbind" => fs::remove_file(driver)?,
        "drivers_probe" if state.refuses.contains(&state.only) => {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        "drivers_probe" => symlink(format!("../../drivers/{}", state.only), driver)?,
        _ => return Err(io::ErrorKind::NotFound.into()),
    }
    Ok(())
}
