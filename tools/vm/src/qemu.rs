// SPDX-License-Identifier: GPL-2.0

//! QEMU as a process: its command line, its start, its end.

use std::ffi::OsString;
use std::fs::File;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use machine::{Arch, Variant};

use crate::driver::Driver;
use crate::failure::{Failure, Outcome};
use crate::layout::Layout;
use crate::setup::Setup;

/// What the kernel is told in every test.
const KERNEL_ARGUMENTS: &str = "no_console_suspend panic=-1 oops=panic \
    panic_on_warn=1 softlockup_panic=1 watchdog_thresh=60 hung_task_panic=1 printk.devkmsg=on \
    suspend.pm_test_delay=0 hibernate.pm_test_delay=0 \
    scsi_mod.scan=manual";

/// What it is told on x86.
///
/// `tsc=nowatchdog`: while the kernel boots, its clocksource watchdog may wait, with interrupts
/// off, for another processor, which `stop_machine()` holds until the first one stops as well. The
/// wait is limited by a clock that stands still during it, and the boot never ends.
///
/// An image that is not compressed saves time. On arm64 the kernel warns when it reads one: it
/// flushes the instruction cache of all processors in the softirq of the disk.
const X86_ARGUMENTS: &str = " no_timer_check tsc=nowatchdog hibernate=nocompress";

/// What it is told on arm64.
///
/// `pcie_port_pm=off`: the kernel puts a port that has lost its device into D3, where QEMU's does
/// not tell of the next one. On x86 it does so with newer firmware only.
const ARM64_ARGUMENTS: &str = " pcie_port_pm=off";

/// What the debug kernel is told besides. The slab allocator keeps arrays of objects that it is to
/// give away next, and leaves them there when they are given away, which kmemleak takes for
/// references; slab debugging of any kind does without these arrays.
const DEBUG_ARGUMENTS: &str = " slab_debug=F";

/// Has the C driver use the legacy interface of devices that have both.
const FORCE_LEGACY: &str = "virtio_pci.force_legacy=1";

/// Keeps the C driver of a stock kernel, which is built in, from the devices.
const WITHOUT_C: &str = "initcall_blacklist=virtio_pci_driver_init";

/// Starts a command in a network namespace of its own, with a TAP device of several queues that
/// answers pings.
const IN_NETWORK: [&str; 7] = [
    "unshare",
    "--user",
    "--map-root-user",
    "--net",
    "sh",
    "-c",
    "ip tuntap add dev tap mode tap multi_queue && ip link set tap address 52:54:00:00:00:01 && \
     ip address add 10.0.3.1/24 dev tap && \
     ip link set tap up && exec \"$@\"",
];

/// How long QEMU may take to open its sockets.
const START: Duration = Duration::from_secs(20);

/// A running QEMU, killed when dropped.
pub struct Qemu {
    child: Child,
    dir: PathBuf,
}

/// The complete command line of the VM whose files are in this folder.
pub fn command_line(
    setup: &Setup,
    qemu: &machine::Qemu,
    layout: &Layout,
    dir: &Path,
    tag: &str,
) -> Vec<OsString> {
    let mut line = Vec::new();
    if layout.pinned {
        line.extend(["taskset", "--cpu-list", &first_processor()].map(OsString::from));
    }
    if layout.has_tap {
        line.extend(IN_NETWORK.map(OsString::from));
        line.push("sh".into());
    }
    line.extend_from_slice(&qemu.command);
    let name = dir.display();
    let mut add = |words: &[&str]| line.extend(words.iter().map(OsString::from));
    add(&[
        "-nodefaults",
        "-no-user-config",
        "-display",
        "none",
        "-no-reboot",
    ]);
    add(&["-accel", setup.accel.name()]);
    let console = format!("file,id=console,path={name}/console.log,append=on");
    add(&["-chardev", &console, "-serial", "chardev:console"]);
    for id in ["control", "shell"] {
        let socket = format!("socket,id={id},path={name}/{id}.socket,server=on,wait=off");
        add(&["-chardev", &socket]);
        if layout.arch() == Arch::Amd64 {
            add(&["-serial", &format!("chardev:{id}")]);
        }
    }
    if layout.arch() == Arch::Arm64 {
        // The machine has one serial port of its own.
        let ports = "pci-serial-2x,chardev1=control,chardev2=shell,addr=0x01";
        add(&["-device", ports]);
    }
    let monitor = format!("unix:{name}/monitor.socket,server=on,wait=off");
    add(&["-qmp", &monitor]);
    let initrd = format!("{name}/initramfs.cpio");
    add(&[
        "-kernel",
        &setup.machine.bzimage.to_string_lossy(),
        "-initrd",
        &initrd,
    ]);
    let [console, control, shell] = layout.board.serial_ports();
    let of_arch = match layout.arch() {
        Arch::Amd64 => X86_ARGUMENTS,
        Arch::Arm64 => ARM64_ARGUMENTS,
    };
    let mut words = format!(
        "console={console} {KERNEL_ARGUMENTS}{of_arch} vmtest.tag={tag} vmtest.slowness={} \
         vmtest.control={control} vmtest.shell={shell} {}",
        layout.slowness(),
        driver_words(setup.driver, setup.c_is_built_in())
    );
    if !layout.words.is_empty() {
        words.push_str(&format!(" {}", layout.words));
    }
    if !setup.parameters.is_empty() {
        words.push_str(&format!(" vmtest.parameters={}", setup.parameters));
    }
    if matches!(layout.kernel, Variant::Debug | Variant::DelayedRelease) {
        words.push_str(DEBUG_ARGUMENTS);
    }
    if layout.kunit {
        words.push_str(" kunit.enable=1");
    }
    add(&["-append", &words]);
    for argument in layout.arguments(dir, &setup.machine.tools_disk) {
        add(&[&argument]);
    }
    line
}

/// What a kernel is told for a driver to be under test.
pub fn driver_words(driver: Driver, c_is_built_in: bool) -> String {
    let word = format!("vmtest.driver={driver}");
    match driver {
        Driver::C => format!("{word} {FORCE_LEGACY}"),
        Driver::Rust if c_is_built_in => format!("{word} {WITHOUT_C}"),
        Driver::Rust => word,
    }
}

/// The number of the first processor that this process may use.
fn first_processor() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let allowed = status
        .lines()
        .find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    let first = allowed.and_then(|list| list.trim().split([',', '-']).next());
    first.unwrap_or("0").to_owned()
}

/// A command line that can be pasted into a shell.
pub fn quote(line: &[OsString]) -> Result<String> {
    let words: Vec<_> = line.iter().map(|word| word.to_string_lossy()).collect();
    let words = words.iter().map(AsRef::as_ref);
    shlex::try_join(words).context("a word of the command line has a zero byte")
}

impl Qemu {
    /// Starts QEMU with this command line and adds what it says to a file in the folder.
    pub fn start(line: &[OsString], dir: &Path) -> Result<Self> {
        for name in ["control", "shell", "monitor", "port"] {
            let _ = std::fs::remove_file(dir.join(format!("{name}.socket")));
        }
        let log = File::options()
            .create(true)
            .append(true)
            .open(dir.join("qemu.log"))
            .with_context(|| format!("cannot write to {}", dir.display()))?;
        // QEMU must not outlive the harness, however that ends; a key that interrupts the harness
        // is not for QEMU, so that what is under way can come to its end.
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "--"])
            .args(line)
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("cannot start setpriv")?;
        Ok(Self {
            child,
            dir: dir.to_owned(),
        })
    }

    /// Connects to one of its sockets.
    pub fn connect(&mut self, name: &str) -> Outcome<UnixStream> {
        let path = self.dir.join(format!("{name}.socket"));
        let deadline = Instant::now() + START;
        loop {
            if let Ok(socket) = UnixStream::connect(&path) {
                return Ok(socket);
            }
            if let Some(status) = self.child.try_wait().context("cannot wait for QEMU")? {
                let said = std::fs::read_to_string(self.dir.join("qemu.log")).unwrap_or_default();
                let what = format!("it started ({status}): {}", said.trim());
                return Err(Failure::LostVm(what));
            }
            if Instant::now() > deadline {
                return Err(Failure::TimedOut {
                    what: format!("opening {}", path.display()),
                    limit: START,
                });
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until it has ended by itself.
    pub fn wait_end(&mut self, limit: Duration) -> Outcome {
        let deadline = Instant::now() + limit;
        while self
            .child
            .try_wait()
            .context("cannot wait for QEMU")?
            .is_none()
        {
            if Instant::now() > deadline {
                let what = "the end of QEMU".to_owned();
                return Err(Failure::TimedOut { what, limit });
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

impl Drop for Qemu {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_built_in_c_driver_is_kept_out_only_for_the_other_one() {
        let rust = driver_words(Driver::Rust, true);
        assert_eq!(rust, format!("vmtest.driver=rust {WITHOUT_C}"));
        let c = format!("vmtest.driver=c {FORCE_LEGACY}");
        assert_eq!(driver_words(Driver::C, true), c);
        assert_eq!(driver_words(Driver::Rust, false), "vmtest.driver=rust");
    }

    #[test]
    fn a_quoted_line_gives_the_same_words() {
        let words = ["qemu", "a b", "it's", "$x", "", "k=v,w"].map(OsString::from);
        let quoted = quote(&words).unwrap();
        let back: Vec<_> = shlex::split(&quoted).unwrap();
        assert_eq!(back, ["qemu", "a b", "it's", "$x", "", "k=v,w"]);
    }
}
