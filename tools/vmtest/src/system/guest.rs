// SPDX-License-Identifier: GPL-2.0

//! The virtual machine with the system: its QEMU, which may end and be started again, and commands.

use std::ffi::OsString;
use std::fs::File;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{ensure, Context, Result};
use serde_json::json;

use super::image::Image;
use vm::driver::Driver;
use vm::failure::{Failure, Outcome};
use vm::lines::{Lines, Next};
use vm::qemu::Qemu;
use vm::qmp::Qmp;

/// How long a boot may take, and a resume from the image; the machine may be busy.
const BOOT: Duration = Duration::from_secs(900);

/// How long going to sleep may take.
const SLEEP: Duration = Duration::from_secs(600);

/// How long a command may take that does not sleep.
pub(crate) const COMMAND: Duration = Duration::from_secs(600);

/// The memory, and the swap space that has to hold an image of it.
const MEMORY: &str = "640";
const SWAP: u64 = 1 << 30;
const SPARE: u64 = 64 << 20;

/// What the kernel is told in each boot. The last two are for TCG, as in the other tests.
const KERNEL_ARGUMENTS: &str =
    "root=LABEL=root resume=LABEL=swap console=ttyS0 no_console_suspend \
    printk.devkmsg=on panic=-1 systemd.show_status=0 no_timer_check tsc=nowatchdog";

/// How the devices come to the driver under test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// The initramfs of initramfs-tools hands them over from the C driver.
    HandedOver,
    /// That of dracut does.
    Dracut,
    /// There is no C driver.
    NoCDriver,
    /// The C driver keeps them.
    C,
}

impl Way {
    /// What the kernel is told for it.
    fn words(self) -> &'static str {
        match self {
            Self::HandedOver | Self::Dracut => "",
            Self::NoCDriver => " initcall_blacklist=virtio_pci_driver_init",
            Self::C => " modprobe.blacklist=virtio_pci_rs",
        }
    }

    /// The name of the driver that has the devices then.
    pub(crate) fn driver(self) -> &'static str {
        match self {
            Self::HandedOver | Self::Dracut | Self::NoCDriver => "virtio_pci_rs",
            Self::C => "virtio-pci",
        }
    }

    /// The way for a driver.
    pub(crate) fn of(driver: Driver) -> Self {
        match driver {
            Driver::Rust => Self::HandedOver,
            Driver::C => Self::C,
        }
    }
}

/// The machine.
pub(crate) struct Guest {
    line: Vec<OsString>,
    dir: PathBuf,
    qemu: Qemu,
    qmp: Qmp,
    lines: Lines,
    writer: UnixStream,
    transcript: File,
    number: u32,
}

impl Guest {
    /// Waits until it has booted.
    pub(crate) fn booted(mut self) -> Outcome<Self> {
        self.await_line("=== up", BOOT)?;
        Ok(self)
    }

    /// Makes its disks in the folder and starts it.
    pub(crate) fn start(
        qemu: &machine::Qemu,
        image: &Image,
        dir: &Path,
        netdev: &str,
        way: Way,
        more: &str,
    ) -> Outcome<Self> {
        make_disks(image, dir)?;
        let words = format!("{KERNEL_ARGUMENTS}{}{more}", way.words());
        let initrd = match way {
            Way::Dracut => &image.dracut,
            _ => &image.initrd,
        };
        let boot = [&image.kernel, initrd];
        let line = command_line(qemu, boot, dir, netdev, &words);
        let transcript = File::create(dir.join("commands.log"))
            .with_context(|| format!("cannot write to {}", dir.display()))?;
        let (qemu, qmp, lines, writer) = launch(&line, dir)?;
        Ok(Self {
            line,
            dir: dir.to_owned(),
            qemu,
            qmp,
            lines,
            writer,
            transcript,
            number: 0,
        })
    }

    /// Starts QEMU again, after it has ended.
    pub(crate) fn restart(&mut self) -> Outcome {
        let (qemu, qmp, lines, writer) = launch(&self.line, &self.dir)?;
        (self.qemu, self.qmp) = (qemu, qmp);
        (self.lines, self.writer) = (lines, writer);
        Ok(())
    }

    /// Sends a command to the shell in the guest; gives the beginning of the line that ends it.
    fn send(&mut self, command: &str) -> Outcome<String> {
        self.number += 1;
        let line = format!("{} {command}\n", self.number);
        self.record(&line);
        self.writer
            .write_all(line.as_bytes())
            .map_err(|_| Failure::LostVm(format!("sending {command:?}")))?;
        Ok(format!("=== {} ", self.number))
    }

    /// Runs a command of the shell in the guest; gives its status and what it prints.
    pub(crate) fn execute(&mut self, command: &str, limit: Duration) -> Outcome<(i32, String)> {
        let begin = self.send(command)?;
        let deadline = Instant::now() + limit;
        let mut said = Vec::new();
        loop {
            let line = self.next(deadline, limit, command)?;
            if let Some(status) = line.strip_prefix(&begin) {
                let status = status.parse().context("the guest gave no status")?;
                return Ok((status, said.join("\n").trim().to_owned()));
            }
            if line == "=== up" {
                let what = format!("the guest was booted again in {command:?}");
                return Err(Failure::Failed(what));
            }
            said.push(line);
        }
    }

    /// Runs a command that must succeed.
    pub(crate) fn ok(&mut self, command: &str) -> Outcome<String> {
        let (status, said) = self.execute(command, COMMAND)?;
        if status != 0 {
            return Err(Failure::Failed(format!(
                "{command:?} gave {status}: {said}"
            )));
        }
        Ok(said)
    }

    /// Waits for a line that the guest says by itself.
    pub(crate) fn await_line(&mut self, wanted: &str, limit: Duration) -> Outcome {
        let deadline = Instant::now() + limit;
        loop {
            let line = self.next(deadline, limit, wanted)?;
            if line == wanted {
                return Ok(());
            }
            if line == "=== up" {
                let what = format!("the guest was booted, in place of {wanted:?}");
                return Err(Failure::Failed(what));
            }
        }
    }

    /// Waits until it is awake after this action of systemd.
    pub(crate) fn await_awake(&mut self, action: &str) -> Outcome {
        self.await_line(&format!("=== awake {action}"), BOOT)
    }

    /// Waits until it is suspended to memory.
    pub(crate) fn await_suspended(&mut self) -> Outcome {
        let deadline = Instant::now() + SLEEP;
        while self.qmp.run_state()? != "suspended" {
            if Instant::now() > deadline {
                return Err(Failure::Awake("it did not suspend to memory".to_owned()));
            }
            std::thread::sleep(Duration::from_millis(500));
        }
        Ok(())
    }

    /// Wakes it up.
    pub(crate) fn wake_up(&mut self) -> Outcome {
        self.qmp.execute("system_wakeup", &json!({})).map(|_| ())
    }

    /// Waits until it has switched itself off.
    pub(crate) fn await_off(&mut self) -> Outcome {
        self.qemu.wait_end(SLEEP)
    }

    /// Waits until it has switched itself off, which gives true, or says this line.
    pub(crate) fn is_off_before(&mut self, line: &str) -> Outcome<bool> {
        match self.await_line(line, SLEEP) {
            Ok(()) => Ok(false),
            Err(Failure::LostVm(_)) => self.await_off().map(|()| true),
            Err(failure) => Err(failure),
        }
    }

    /// Takes the power away: QEMU is killed, and a new one is started.
    pub(crate) fn cut_power(&mut self) -> Outcome {
        self.qmp.execute("quit", &json!({})).map(|_| ())?;
        self.qemu.wait_end(SLEEP)?;
        self.restart()
    }

    /// Switches it off in an orderly way.
    pub(crate) fn power_off(mut self) -> Outcome {
        self.send("systemctl poweroff")?;
        self.await_off()
    }

    /// The socket of the root shell.
    pub(crate) fn connect_shell(&mut self) -> Outcome<UnixStream> {
        self.qemu.connect("shell")
    }

    fn next(&mut self, deadline: Instant, limit: Duration, what: &str) -> Outcome<String> {
        match self.lines.next(deadline) {
            Next::Line(line) => {
                let line = line.trim_end_matches('\r').to_owned();
                self.record(&format!("{line}\n"));
                Ok(line)
            }
            Next::Closed => Err(Failure::LostVm(format!("waiting for {what:?}"))),
            Next::Late => Err(Failure::TimedOut {
                what: format!("{what:?}"),
                limit,
            }),
        }
    }

    /// Nothing reads the transcript: a full disk must not change a verdict.
    fn record(&mut self, text: &str) {
        let _ = self.transcript.write_all(text.as_bytes());
    }
}

fn launch(line: &[OsString], dir: &Path) -> Outcome<(Qemu, Qmp, Lines, UnixStream)> {
    let mut qemu = Qemu::start(line, dir)?;
    let monitor = qemu.connect("monitor")?;
    let transcript = File::options()
        .create(true)
        .append(true)
        .open(dir.join("monitor.log"))
        .context("cannot write the monitor's log")?;
    let qmp = Qmp::new(monitor, transcript)?;
    let control = qemu.connect("control")?;
    let writer = control
        .try_clone()
        .context("cannot clone the control socket")?;
    Ok((qemu, qmp, Lines::new(control), writer))
}

fn make_disks(image: &Image, dir: &Path) -> Result<()> {
    succeed(
        Command::new("qemu-img")
            .args(["create", "-q", "-f", "qcow2", "-F", "raw", "-b"])
            .arg(&image.disk)
            .arg(dir.join("root.qcow2")),
    )?;
    let swap = dir.join("swap.raw");
    let file = File::create(&swap).with_context(|| format!("cannot write {}", swap.display()))?;
    file.set_len(SWAP).context("cannot make the swap space")?;
    succeed(
        Command::new("mkswap")
            .args(["--quiet", "--label", "swap"])
            .arg(&swap),
    )?;
    let spare = File::create(dir.join("spare.raw")).context("cannot make the spare disk")?;
    spare.set_len(SPARE).context("cannot make the spare disk")?;
    Ok(())
}

fn succeed(command: &mut Command) -> Result<()> {
    let output = command
        .output()
        .with_context(|| format!("cannot run {command:?}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "{command:?} failed: {}",
        said.trim()
    );
    Ok(())
}

fn command_line(
    qemu: &machine::Qemu,
    [kernel, initrd]: [&PathBuf; 2],
    dir: &Path,
    netdev: &str,
    words: &str,
) -> Vec<OsString> {
    let name = dir.display();
    let mut line = qemu.command.clone();
    let mut add = |words: &[&str]| line.extend(words.iter().map(OsString::from));
    add(&["-nodefaults", "-no-user-config", "-display", "none"]);
    // A panic must not look like a boot.
    add(&["-no-reboot"]);
    // Without SVM the guest loads no kvm_amd, which has nothing to do here.
    // TCG before QEMU 8.1 may run code of one processor that another has replaced.
    let processors = if qemu.parallel_tcg { "2" } else { "1" };
    add(&["-cpu", "qemu64,-svm", "-smp", processors, "-m", MEMORY]);
    add(&["-machine", "pc", "-accel", "tcg"]);
    let console = format!("file,id=console,path={name}/console.log,append=on");
    add(&["-chardev", &console, "-serial", "chardev:console"]);
    for id in ["control", "shell"] {
        let socket = format!("socket,id={id},path={name}/{id}.socket,server=on,wait=off");
        add(&["-chardev", &socket, "-serial", &format!("chardev:{id}")]);
    }
    let monitor = format!("unix:{name}/monitor.socket,server=on,wait=off");
    add(&["-qmp", &monitor]);
    add(&["-kernel", &kernel.to_string_lossy()]);
    add(&["-initrd", &initrd.to_string_lossy()]);
    add(&["-append", words]);
    let legacy = "disable-modern=on,disable-legacy=off";
    for (id, file, format) in [
        ("root", "root.qcow2", "qcow2"),
        ("swap", "swap.raw", "raw"),
        ("spare", "spare.raw", "raw"),
    ] {
        let drive = format!("if=none,id={id},file={name}/{file},format={format}");
        let device = format!("virtio-blk-pci,drive={id},serial={id},{legacy}");
        add(&["-drive", &drive, "-device", &device]);
    }
    let card = format!("virtio-net-pci,netdev=net,{legacy}");
    add(&["-netdev", netdev, "-device", &card]);
    line
}
