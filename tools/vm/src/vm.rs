// SPDX-License-Identifier: GPL-2.0

//! A VM under test: booted, commanded, put to sleep, watched.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{anyhow, Context, Result};
use machine::Variant;

use crate::channel::{Answer, Channel};
use crate::driver::Driver;
use crate::evidence;
use crate::failure::{Failure, Outcome};
use crate::initramfs;
use crate::layout::{Kind, Layout};
use crate::log_scan;
use crate::qemu::{self, Qemu};
use crate::qmp::Qmp;
use crate::races::{self, Watch};
use crate::setup::Setup;

/// How long a guest may take to boot.
pub const BOOT: Duration = Duration::from_secs(120);
/// How long an ordinary command may take.
pub const COMMAND: Duration = Duration::from_secs(180);
/// How long it may take from asking for sleep until the machine sleeps, or back.
const SLEEP: Duration = Duration::from_secs(180);
/// How long hot-plug and hot-unplug may take; a PCIe port alone waits for five seconds.
const HOT_PLUG: Duration = Duration::from_secs(40);
/// The taint of an out-of-tree and of an unsigned module.
const ALLOWED_TAINT: u64 = (1 << 12) | (1 << 13);
/// The status of a command for which this kernel lacks something (see lacks() in tests/guest).
const LACKS: i32 = 77;
/// The taint of KUnit tests that have run.
const TEST_TAINT: u64 = 1 << 18;

/// A VM under test.
pub struct Vm {
    layout: Layout,
    driver: Driver,
    c_is_built_in: bool,
    dir: PathBuf,
    tag: String,
    line: Vec<std::ffi::OsString>,
    qemu: Qemu,
    qmp: Qmp,
    channel: Channel,
    /// The scripted devices.
    scripted: Vec<scripted::Device>,
    /// The host side of the guest's port.
    port: Option<UnixStream>,
    /// How much of the kernel log has been scanned.
    scanned: u64,
    /// Parts of lines that the test means the kernel to say.
    allowed: &'static [&'static str],
    /// Those that the KCSAN kernel reports.
    races: Option<Watch>,
    /// The sleeps that the kernel log shows.
    sleeps: evidence::Watch,
    /// What the cell has to tell beside its verdict.
    notes: Vec<String>,
    /// The virtio drivers that the kernel has, once they were asked for.
    virtio_drivers: Option<Vec<String>>,
}

/// What makes results unmistakable.
fn random_tag() -> String {
    format!("vm{:016x}", rand::random::<u64>())
}

/// Makes the files that the VM's devices stand on.
fn make_files(setup: &Setup, layout: &Layout, dir: &Path) -> Result<()> {
    fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    fs::write(dir.join("initramfs.cpio"), initramfs::build(setup)?)?;
    for (disk, mebibytes) in layout.kinds.iter().filter_map(|kind| kind.disk()) {
        File::create(dir.join(format!("{disk}.img")))?.set_len(mebibytes << 20)?;
    }
    fs::create_dir_all(dir.join("share"))?;
    Ok(())
}

/// Sends back what the guest writes to its port, until the socket is closed.
fn echo(socket: &UnixStream) -> Result<()> {
    let socket = socket
        .try_clone()
        .context("cannot clone the port's socket")?;
    std::thread::spawn(move || {
        let (mut from, mut to) = (&socket, &socket);
        // A fault here is seen by the guest as missing bytes.
        let _ = std::io::copy(&mut from, &mut to);
    });
    Ok(())
}

/// The command line with a tag of its own, for a VM in this folder.
pub fn prepare(
    setup: &Setup,
    layout: &Layout,
    dir: &Path,
) -> Result<(Vec<std::ffi::OsString>, String)> {
    let setup = setup.for_layout(layout)?;
    make_files(&setup, layout, dir)?;
    let tag = random_tag();
    let qemu = setup.qemu(layout)?;
    let line = qemu::command_line(&setup, &qemu, &layout.on(&qemu), dir, &tag);
    fs::write(dir.join("command"), format!("{}\n", qemu::quote(&line)?))?;
    Ok((line, tag))
}

impl Vm {
    /// Starts a VM and waits until it takes commands; all limits are for the standard kernel.
    pub fn boot(setup: &Setup, layout: &Layout, dir: &Path, limit: Duration) -> Outcome<Self> {
        let (line, tag) = prepare(setup, layout, dir)?;
        let scripted = layout.scripted.iter().map(|device| device.start(dir));
        let scripted = scripted.collect::<Result<_>>()?;
        let of_kernel = setup.on(layout.kernel, layout.arch())?;
        let races = match layout.kernel {
            Variant::Kcsan => Some(Watch::new(of_kernel.machine.tree()?)?),
            _ => None,
        };
        let (qemu, qmp, channel) = start(&line, dir, &tag, 0)?;
        let mut vm = Self {
            layout: layout.on(&of_kernel.qemu(layout)?),
            driver: setup.driver,
            c_is_built_in: of_kernel.c_is_built_in(),
            dir: dir.to_owned(),
            tag,
            line,
            qemu,
            qmp,
            channel,
            scripted,
            port: None,
            scanned: 0,
            allowed: &[],
            races,
            sleeps: evidence::Watch::default(),
            notes: Vec::new(),
            virtio_drivers: None,
        };
        match vm
            .connect_port()
            .and_then(|()| vm.channel.wait_hello(layout.limit(limit)))
            .and_then(|()| vm.check_release(&of_kernel.machine.kernel_release))
        {
            Ok(()) => Ok(vm),
            Err(failure) => Err(vm.explained(failure)),
        }
    }

    /// Fails if the guest runs another kernel than results will name: an image that is older than
    /// its tree, or the wrong one of the cache.
    fn check_release(&mut self, wanted: &str) -> Outcome {
        let release = self.ok("uname -r")?;
        match release.trim() {
            release if release == wanted => Ok(()),
            release => Err(Failure::Harness(anyhow!(
                "the guest runs Linux {release}, and not {wanted}: build the kernel image again"
            ))),
        }
    }

    /// The machine's layout.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The driver under test.
    pub fn driver(&self) -> Driver {
        self.driver
    }

    /// The folder with the VM's files.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Connects to the shell on the third serial port.
    pub fn connect_shell(&mut self) -> Outcome<UnixStream> {
        self.qemu.connect("shell")
    }

    /// The scripted devices.
    pub fn scripted(&self) -> &[scripted::Device] {
        &self.scripted
    }

    /// QEMU's monitor.
    pub fn qmp(&mut self) -> &mut Qmp {
        &mut self.qmp
    }

    /// Runs a command in the guest and gives its result, whatever it is.
    pub fn run(&mut self, command: &str, limit: Duration) -> Outcome<Answer> {
        let id = self.channel.send(command)?;
        self.channel.receive(id, command, self.layout.limit(limit))
    }

    /// Runs a command in the guest that must succeed and gives what it wrote.
    pub fn ok_within(&mut self, command: &str, limit: Duration) -> Outcome<String> {
        let answer = self.run(command, limit)?;
        succeeded(command, answer)
    }

    /// Runs a command in the guest that must succeed in ordinary time.
    pub fn ok(&mut self, command: &str) -> Outcome<String> {
        self.ok_within(command, COMMAND)
    }

    /// Those of the devices for which the kernel has a virtio driver.
    ///
    /// # Errors
    ///
    /// It has none for any of them.
    pub fn driven(&mut self, kinds: &[Kind]) -> Outcome<Vec<Kind>> {
        let drivers = match self.virtio_drivers.take() {
            Some(drivers) => drivers,
            None => {
                let text = self.ok("ls /sys/bus/virtio/drivers")?;
                text.lines().map(str::to_owned).collect()
            }
        };
        let has = |kind: &&Kind| drivers.iter().any(|name| name == kind.virtio_driver());
        let (driven, others): (Vec<Kind>, Vec<Kind>) = kinds.iter().partition(has);
        self.virtio_drivers = Some(drivers);
        let others: Vec<_> = others.iter().map(|kind| kind.virtio_driver()).collect();
        let lack = format!("this kernel has no {}", others.join(", "));
        if driven.is_empty() {
            return Err(Failure::Lacks(lack));
        }
        if !others.is_empty() && !self.notes.contains(&lack) {
            self.note(lack);
        }
        Ok(driven)
    }

    /// Writes a line into the kernel log, for its readers.
    pub fn mark(&mut self, text: &str) -> Outcome {
        self.ok(&format!("echo 'vmtest: {text}' >/dev/kmsg"))?;
        Ok(())
    }

    /// Fails if the kernel said what it must not, or is tainted.
    pub fn check_kernel(&mut self) -> Outcome {
        self.check_log()?;
        let text = self.ok("cat /proc/sys/kernel/tainted")?;
        let taint: u64 = text
            .parse()
            .map_err(|_| Failure::Failed(format!("/proc/sys/kernel/tainted reads {text:?}")))?;
        // What was said on the way here has reached the log by now.
        self.check_log()?;
        let tests = if self.layout.kunit { TEST_TAINT } else { 0 };
        if taint & !(ALLOWED_TAINT | tests) != 0 {
            return Err(Failure::Tainted(taint));
        }
        Ok(())
    }

    /// Adds arguments to the command line of the QEMU processes to come.
    pub fn add_arguments(&mut self, arguments: &[&str]) {
        self.line
            .extend(arguments.iter().map(std::ffi::OsString::from));
    }

    /// Tells people something beside the verdict.
    pub fn note(&mut self, text: impl Into<String>) {
        self.notes.push(text.into());
    }

    /// What there is to tell since the last time.
    pub fn take_notes(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notes)
    }

    /// Lets the kernel say from now on what a test means it to.
    pub fn allow(&mut self, lines: &'static [&'static str]) {
        self.allowed = lines;
    }

    /// Fails if the kernel said what it must not since the last look.
    pub fn check_log(&mut self) -> Outcome {
        let text = self.new_lines()?;
        self.judge(&text)
    }

    /// Fails if there is in `text` what the kernel must not say.
    fn judge(&mut self, text: &str) -> Outcome {
        let mut findings = log_scan::findings(text);
        findings.retain(|line| !self.allowed.iter().any(|allowed| line.contains(allowed)));
        let mut ours = String::new();
        if let Some(races) = &mut self.races {
            findings.retain(|line| !races::is_title(line));
            ours = races.look(text).concat();
        }
        let said = findings.join("\n") + &ours;
        let mut awake = self.sleeps.take_awake();
        awake.retain(|line| !self.allowed.iter().any(|allowed| line.contains(allowed)));
        match (said.is_empty(), awake.is_empty()) {
            (false, _) => Err(Failure::Splat(said)),
            (true, false) => Err(Failure::Awake(awake.join("\n"))),
            (true, true) => Ok(()),
        }
    }

    /// How many sleeps the kernel log has shown so far.
    pub fn sleeps(&self) -> u32 {
        self.sleeps.shown()
    }

    /// Fails if the kernel log shows fewer than `cycles` sleeps since there were `before`.
    pub fn check_slept(&mut self, before: u32, cycles: u32) -> Outcome {
        if self.sleeps() - before < cycles {
            let text = self.take_log("the last sleep")?;
            self.judge(&text)?;
        }
        let shown = self.sleeps() - before;
        if shown < cycles {
            let text = format!("the kernel log shows {shown} of {cycles} sleeps");
            return Err(Failure::Awake(text));
        }
        Ok(())
    }

    /// Awaits that all of the kernel log has come, and looks at it; what KCSAN has reported of
    /// others.
    pub fn other_races(&mut self) -> Outcome<Vec<String>> {
        let text = self.take_log("the end of the test")?;
        self.judge(&text)?;
        let races = self.races.as_ref();
        let races = races.ok_or_else(|| anyhow!("this kernel does not look for races"))?;
        if races.unfinished().is_empty() {
            return Ok(races.others().to_vec());
        }
        Err(Failure::Splat(races.unfinished().to_owned()))
    }

    /// Marks the kernel log and gives what is new in it up to there; of a VM that is lost, all.
    pub fn take_log(&mut self, mark: &str) -> Outcome<String> {
        let marked = self.mark(mark).is_ok();
        let line = format!("vmtest: {mark}\n");
        let deadline = Instant::now() + COMMAND;
        let mut text = String::new();
        loop {
            text.push_str(&self.new_lines()?);
            if !marked || text.contains(&line) {
                return Ok(text);
            }
            if Instant::now() > deadline {
                let what = format!("{mark:?} in the kernel log");
                return Err(Failure::TimedOut {
                    what,
                    limit: COMMAND,
                });
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The whole lines of the kernel log since the last look.
    fn new_lines(&mut self) -> Outcome<String> {
        let path = self.dir.join("console.log");
        let mut log =
            File::open(&path).with_context(|| format!("cannot read {}", path.display()))?;
        log.seek(SeekFrom::Start(self.scanned))
            .context("cannot seek in the kernel log")?;
        let mut bytes = Vec::new();
        log.read_to_end(&mut bytes)
            .context("cannot read the kernel log")?;
        // A line that is still being written is left for the next look.
        let whole = bytes
            .iter()
            .rposition(|&byte| byte == b'\n')
            .map_or(0, |end| end + 1);
        self.scanned += whole as u64;
        let text = String::from_utf8_lossy(&bytes[..whole]).replace('\r', "");
        self.sleeps.look(&text);
        Ok(text)
    }

    /// Has the kernel power the machine off, and waits until it has.
    pub fn power_off(&mut self, limit: Duration) -> Outcome {
        self.channel.send("poweroff -f")?;
        self.qemu.wait_end(limit)
    }

    /// A splat explains a lost VM or a time-out better than these explain themselves.
    pub fn explained(&mut self, failure: Failure) -> Failure {
        match failure {
            Failure::LostVm(_) | Failure::TimedOut { .. } => match self.check_log() {
                Err(splat @ Failure::Splat(_)) => splat,
                _ => {
                    self.keep_registers();
                    failure
                }
            },
            _ => failure,
        }
    }

    /// Keeps where the processors are, to look into a VM that does not answer.
    fn keep_registers(&mut self) {
        if let Ok(registers) = self.qmp.human("info registers -a") {
            let _ = fs::write(self.dir.join("registers.txt"), registers);
        }
    }

    /// Puts the guest into S3, wakes it, and checks what the PM core counted.
    pub fn suspend_to_memory(&mut self) -> Outcome {
        self.suspend_to_memory_and(|_| Ok(()))
    }

    /// The same, and does something while the machine sleeps.
    pub fn suspend_to_memory_and(&mut self, asleep: impl FnOnce(&mut Self) -> Outcome) -> Outcome {
        let id = self.fall_asleep("suspend_to_memory")?;
        asleep(self)?;
        self.wake_up(id)
    }

    /// Has the guest go to S3 by a command, whose ID is the result.
    pub fn fall_asleep(&mut self, command: &str) -> Outcome<u32> {
        let id = self.channel.send(command)?;
        self.await_sleep(id, "suspend to memory", |vm| {
            Ok(vm.qmp.run_state()? == "suspended")
        })?;
        Ok(id)
    }

    /// Wakes the guest from S3; the command that had it sleep must succeed.
    pub fn wake_up(&mut self, id: u32) -> Outcome {
        self.qmp.execute("system_wakeup", &serde_json::json!({}))?;
        self.end_sleep(id)
    }

    /// Has the guest suspend to idle, and wakes it by the power button.
    pub fn suspend_to_idle(&mut self) -> Outcome {
        let id = self.channel.send("suspend_to_idle")?;
        self.await_sleep(id, "suspend to idle", |vm| {
            let text = vm.new_lines()?;
            vm.judge(&text)?;
            Ok(vm.sleeps.is_idle())
        })?;
        self.qmp
            .execute("system_powerdown", &serde_json::json!({}))?;
        self.end_sleep(id)
    }

    /// Waits until the machine sleeps, by this sign, unless the command ends before.
    fn await_sleep(
        &mut self,
        id: u32,
        what: &str,
        mut sleeps: impl FnMut(&mut Self) -> Outcome<bool>,
    ) -> Outcome {
        let limit = self.layout.limit(SLEEP);
        let deadline = Instant::now() + limit;
        while !sleeps(self)? {
            match self.channel.receive(id, what, Duration::from_millis(20)) {
                Ok(answer) => {
                    let text = succeeded(what, answer)?;
                    return Err(Failure::Awake(format!("{what}: {text}")));
                }
                Err(Failure::TimedOut { .. }) if Instant::now() < deadline => {}
                Err(Failure::TimedOut { .. }) => {
                    let what = what.to_owned();
                    return Err(Failure::TimedOut { what, limit });
                }
                Err(failure) => return Err(failure),
            }
        }
        Ok(())
    }

    /// Waits until a machine that was woken has done so; the command that had it sleep must
    /// succeed. What it says becomes notes.
    pub fn end_sleep(&mut self, id: u32) -> Outcome {
        let limit = self.layout.limit(SLEEP);
        let answer = self.channel.receive(id, "waking up", limit)?;
        for line in succeeded("waking up", answer)?.lines() {
            self.note(line);
        }
        Ok(())
    }

    /// Hibernates, powers off, starts a new QEMU and goes on where the guest was.
    pub fn hibernate(&mut self) -> Outcome {
        self.hibernate_by("hibernate shutdown")
    }

    /// The same by another command in the guest.
    pub fn hibernate_by(&mut self, going: &str) -> Outcome {
        let id = self.hibernate_off(going)?;
        self.resume_image(id)
    }

    /// Hibernates by a command in the guest, whose ID is the result, and powers off.
    pub fn hibernate_off(&mut self, going: &str) -> Outcome<u32> {
        let limit = self.layout.limit(SLEEP);
        let id = self.channel.send(going)?;
        match self.channel.receive(id, going, limit) {
            Ok(answer) => {
                let text = succeeded(going, answer)?;
                return Err(Failure::Awake(format!("never powered off: {text}")));
            }
            Err(Failure::LostVm(_)) => {}
            Err(failure) => return Err(failure),
        }
        self.qemu.wait_end(limit)?;
        // A guest that crashed on the way has also ended its QEMU.
        self.check_log()?;
        Ok(id)
    }

    /// Starts a new QEMU that resumes the image; the command that hibernated must succeed in it.
    pub fn resume_image(&mut self, hibernate: u32) -> Outcome {
        self.restart(&[])?;
        self.channel.wait_hello(self.layout.limit(BOOT))?;
        let command = format!("resume_image {}", Kind::Swap.slot());
        let resume = self.channel.send(&command)?;
        let limit = self.layout.limit(SLEEP);
        let (id, answer) = self
            .channel
            .receive_any(&[hibernate, resume], &command, limit)?;
        let text = succeeded(&command, answer)?;
        if id == resume {
            return Err(Failure::Awake(format!("the image was not resumed: {text}")));
        }
        Ok(())
    }

    /// Starts a new QEMU in the place of one that has ended, with these arguments more.
    fn restart(&mut self, more: &[&str]) -> Outcome {
        let mut line = self.line.clone();
        line.extend(more.iter().map(std::ffi::OsString::from));
        let last_id = self.channel.last_id();
        let (qemu, qmp, channel) = start(&line, &self.dir, &self.tag, last_id)?;
        self.qemu = qemu;
        self.qmp = qmp;
        self.channel = channel;
        self.connect_port()
    }

    /// Takes the machine's power away.
    pub fn lose_power(&mut self) -> Outcome {
        // The answer may get lost with QEMU.
        let _ = self.qmp.execute("quit", &serde_json::json!({}));
        self.qemu.wait_end(SLEEP)
    }

    /// Has the machines that are started from now on load this driver.
    pub fn boot_with(&mut self, driver: Driver) {
        for word in &mut self.line {
            let text = word.to_string_lossy();
            if let Some((before, after)) = text.split_once("vmtest.driver=") {
                let after = after.split_once(' ').map_or("", |(_, after)| after);
                *word = format!("{before}vmtest.driver={driver} {after}").into();
            }
        }
    }

    /// Moves the machine to another QEMU process through a file.
    pub fn migrate(&mut self) -> Outcome {
        let state = self.qmp.run_state()?;
        let file = self.dir.join("migration.img");
        let uri = format!("file:{}", file.display());
        self.qmp
            .execute("migrate", &serde_json::json!({ "uri": uri }))?;
        self.await_migration()?;
        self.lose_power()?;
        self.restart(&["-incoming", &uri])?;
        let deadline = Instant::now() + SLEEP;
        while self.qmp.run_state()? != state {
            if Instant::now() > deadline {
                let what = format!("{state} after a migration");
                return Err(Failure::TimedOut { what, limit: SLEEP });
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    fn await_migration(&mut self) -> Outcome {
        let deadline = Instant::now() + SLEEP;
        loop {
            let answer = self.qmp.execute("query-migrate", &serde_json::json!({}))?;
            match answer["status"].as_str().unwrap_or_default() {
                "completed" => return Ok(()),
                "failed" => return Err(Failure::Failed(format!("migration: {answer}"))),
                _ if Instant::now() > deadline => {
                    let what = "migration".to_owned();
                    return Err(Failure::TimedOut { what, limit: SLEEP });
                }
                _ => std::thread::sleep(Duration::from_millis(50)),
            }
        }
    }

    /// Has the guest load its kernel and initramfs beside those that run, for kexec or for the next
    /// panic, to go on with a driver.
    pub fn load_kernel(&mut self, by: Driver, option: &str) -> Outcome {
        let option_at = self.line.iter().position(|word| word == "-kernel");
        let kernel = option_at.and_then(|at| self.line.get(at + 1));
        let kernel = kernel.ok_or_else(|| anyhow!("QEMU's command line has no kernel"))?;
        let share = self.dir.join("share");
        fs::copy(kernel, share.join("kernel")).context("cannot copy the kernel")?;
        fs::copy(self.dir.join("initramfs.cpio"), share.join("initramfs"))
            .context("cannot copy the initramfs")?;
        let words = qemu::driver_words(by, self.c_is_built_in);
        self.ok(&format!("load_kernel '{words}' {option}"))?;
        Ok(())
    }

    /// Runs a command in the guest after which another kernel boots there.
    pub fn boot_by(&mut self, command: &str) -> Outcome {
        let id = self.channel.send(command)?;
        let limit = self.layout.limit(BOOT);
        match self.channel.receive_or_hello(&[id], command, limit)? {
            None => Ok(()),
            Some((_, answer)) => {
                let text = succeeded(command, answer)?;
                Err(Failure::Failed(format!(
                    "{command}: no other kernel: {text}"
                )))
            }
        }
    }

    /// Connects the host side of the guest's port, again if it was connected.
    pub fn connect_port(&mut self) -> Outcome {
        if let Some(port) = self.port.take() {
            // A socket that QEMU has closed already is as good.
            let _ = port.shutdown(std::net::Shutdown::Both);
        }
        if self.layout.kinds.contains(&Kind::Console) {
            let port = self.qemu.connect("port")?;
            echo(&port)?;
            self.port = Some(port);
        }
        Ok(())
    }

    /// Removes a device while the guest runs.
    pub fn unplug(&mut self, kind: Kind) -> Outcome {
        let id = kind.id();
        self.qmp
            .execute("device_del", &serde_json::json!({ "id": id }))?;
        self.qmp.wait_deleted(&id, self.layout.limit(HOT_PLUG))?;
        self.ok(&format!("await 20 fails pci_of {}", kind.slot()))?;
        Ok(())
    }

    /// Adds a device while the guest runs.
    pub fn plug(&mut self, kind: Kind) -> Outcome {
        let device = self.layout.device(kind);
        let children = kind.children().iter().map(|child| (*child).to_owned());
        for argument in std::iter::once(device).chain(children) {
            let said = self.qmp.human(&format!("device_add {argument}"))?;
            if !said.is_empty() {
                return Err(Failure::Failed(format!("device_add {argument}: {said}")));
            }
        }
        self.ok(&format!("await 30 is_live {}", kind.slot()))?;
        Ok(())
    }

    /// Removes the big files; the logs stay.
    pub fn tidy(dir: &Path) {
        let Ok(entries) = fs::read_dir(dir) else {
            return;
        };
        for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
            let extension = path.extension().and_then(|extension| extension.to_str());
            if matches!(extension, Some("img" | "cpio" | "socket")) {
                // A file that stays costs space, not a verdict.
                let _ = fs::remove_file(path);
            }
        }
        let _ = fs::remove_dir_all(dir.join("share"));
    }
}

/// What a command wrote, if it succeeded.
pub fn succeeded(command: &str, answer: Answer) -> Outcome<String> {
    let Answer { status, text } = answer;
    if status == 0 {
        return Ok(text);
    }
    if let (LACKS, Some(what)) = (status, text.strip_prefix("lacks: ")) {
        return Err(Failure::Lacks(what.trim().to_owned()));
    }
    Err(Failure::Failed(format!(
        "{command}: status {status}\n{text}"
    )))
}

/// Starts QEMU and connects to it.
fn start(
    line: &[std::ffi::OsString],
    dir: &Path,
    tag: &str,
    last_id: u32,
) -> Outcome<(Qemu, Qmp, Channel)> {
    let mut qemu = Qemu::start(line, dir)?;
    let transcript = |name: &str| {
        let path = dir.join(name);
        let mut file = File::options().create(true).append(true).open(&path);
        if let Ok(file) = &mut file {
            file.write_all(b"--- a QEMU process begins\n")?;
        }
        file
    };
    let control = qemu.connect("control")?;
    let monitor = qemu.connect("monitor")?;
    let said = transcript("monitor.log").context("cannot write the monitor's log")?;
    let qmp = Qmp::new(monitor, said)?;
    let said = transcript("control.log").context("cannot write the control log")?;
    let channel = Channel::new(control, tag, said, last_id)?;
    Ok((qemu, qmp, channel))
}
