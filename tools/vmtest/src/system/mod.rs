// SPDX-License-Identifier: GPL-2.0

//! A real system: Debian with the module's package, whose root, swap and network are legacy virtio
//! devices, and which is used as a person would.

pub(crate) mod deb;
mod guest;
mod image;
mod package;
mod peer;
mod root;
mod sleep;

use std::io::stdout;
use std::path::{Path, PathBuf};

use anstream::println;
use anyhow::{ensure, Context, Result};
use machine::Debian;

use guest::{Guest, Way};
use image::Image;
use peer::Peer;
use sleep::Kind;
use vm::driver::Driver;
use vm::failure::{Failure, Outcome};
use vm::ktap::Ktap;
use vm::log_scan;
use vm::runner::fresh_folder;
use vm::setup::enter_root;
use vm::terminal;

/// What is run.
#[derive(clap::Args)]
pub struct Options {
    /// How many times each kind of sleep is tried.
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// Only the parts whose names contain one of these words.
    parts: Vec<String>,
}

/// Makes the packages, and says where they are.
pub fn make_packages() -> Result<()> {
    let root = enter_root()?;
    let options = machine::Options::new(&root)?;
    machine::ensure_packagers(&options, &|line| eprintln!("{line}"))?;
    let packages = deb::make(&root)?;
    for path in [packages.dkms, packages.tools] {
        println!("{}", path.strip_prefix(&root).unwrap_or(&path).display());
    }
    Ok(())
}

/// What the parts share.
struct Bench {
    repository: PathBuf,
    debian: Debian,
    packages: deb::Packages,
    logs: PathBuf,
}

impl Bench {
    fn load() -> Result<Self> {
        let repository = enter_root()?;
        let options = machine::Options::new(&repository)?;
        let debian = machine::ensure_debian(&options, &|line| eprintln!("{line}"))?;
        Ok(Self {
            packages: deb::make(&repository)?,
            repository,
            debian,
            logs: "logs".into(),
        })
    }

    fn image(&self) -> Result<Image> {
        image::ensure(&self.repository, &self.debian, &self.packages)
    }

    /// Boots the system in a folder of its own.
    fn boot(&self, image: &Image, dir: &Path, peer: &Peer, way: Way, more: &str) -> Outcome<Guest> {
        let netdev = peer.netdev("net");
        Guest::start(&self.debian.qemu, image, dir, &netdev, way, more)?.booted()
    }
}

/// Runs the parts; tells whether all passed.
pub fn run(options: &Options) -> Result<bool> {
    ensure!(options.rounds > 0, "--rounds is 0: nothing would be tried");
    let bench = Bench::load()?;
    let wanted = |name: &str| {
        let parts = &options.parts;
        parts.is_empty() || parts.iter().any(|part| name.contains(part.as_str()))
    };
    let parts: Vec<_> = Part::ALL
        .into_iter()
        .filter(|part| wanted(part.name()))
        .collect();
    ensure!(
        !parts.is_empty(),
        "no part is called {}",
        options.parts.join(" or ")
    );
    let mut ktap = Ktap::new(stdout());
    ktap.begin(parts.len())?;
    ktap.note(&format!(
        "Debian 13, Linux {} ({}), QEMU {} (tcg)",
        bench.debian.release, bench.debian.kernel, bench.debian.qemu.version
    ))?;
    for part in parts {
        if let Err(failure) = part.run(&bench, options.rounds, &mut ktap) {
            ktap.note(&failure.to_string())?;
            ktap.result(false, "to its end")?;
        }
        ktap.end_test()?;
    }
    let (count, _) = ktap.finish()?;
    Ok(count.is_good())
}

/// The parts of the test.
#[derive(Clone, Copy)]
enum Part {
    Package,
    Sleep(Driver),
    Ways,
    Lockdown,
}

impl Part {
    const ALL: [Self; 5] = [
        Self::Package,
        Self::Ways,
        Self::Sleep(Driver::Rust),
        Self::Sleep(Driver::C),
        Self::Lockdown,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Package => "package",
            Self::Sleep(Driver::Rust) => "sleep-rust",
            Self::Sleep(Driver::C) => "sleep-c",
            Self::Ways => "ways",
            Self::Lockdown => "lockdown",
        }
    }

    fn run(self, bench: &Bench, rounds: u32, ktap: &mut Ktap<std::io::Stdout>) -> Outcome {
        match self {
            Self::Package => package::run(bench, ktap),
            Self::Sleep(driver) => sleeps(bench, driver, rounds, ktap),
            Self::Ways => ways(bench, ktap),
            Self::Lockdown => lockdown(bench, ktap),
        }
    }
}

/// A result for an outcome, with the reason if it is bad.
fn report(ktap: &mut Ktap<std::io::Stdout>, name: &str, outcome: &Outcome) -> Result<()> {
    if let Err(failure) = outcome {
        ktap.note(&failure.to_string())?;
    }
    ktap.result(outcome.is_ok(), name)?;
    Ok(())
}

/// Each kind of sleep, several rounds, in one life of the system.
fn sleeps(bench: &Bench, driver: Driver, rounds: u32, ktap: &mut Ktap<std::io::Stdout>) -> Outcome {
    let planned = rounds as usize * Kind::ALL.len() + 2;
    ktap.begin_test(Part::Sleep(driver).name(), planned)
        .context("cannot report")?;
    let image = bench.image()?;
    let dir = fresh_folder(&bench.logs, &format!("system-{driver}"))?;
    let peer = Peer::start()?;
    let way = Way::of(driver);
    let mut guest = bench.boot(&image, &dir, &peer, way, "")?;
    guest.ok("/usr/lib/system-test/load")?;
    let awake = sleep::check(&mut guest, &peer, way);
    report(ktap, "awake", &awake)?;
    awake?;
    for round in 1..=rounds {
        for kind in Kind::ALL {
            let slept = sleep::sleep(&mut guest, kind, round)
                .and_then(|()| sleep::check(&mut guest, &peer, way));
            report(ktap, &format!("{} {round}", kind.name()), &slept)?;
            slept?;
        }
    }
    guest.power_off()?;
    report(ktap, "kernel log", &scan(&dir))?;
    tidy(&dir);
    Ok(())
}

/// The ways in which devices come to a driver, and the switch on the running system.
fn ways(bench: &Bench, ktap: &mut Ktap<std::io::Stdout>) -> Outcome {
    let ways = [
        (Way::NoCDriver, "without the C driver"),
        (Way::Dracut, "handed over by dracut, with a hibernation"),
        (Way::C, "with the module left out"),
        (Way::HandedOver, "handed over by the initramfs"),
    ];
    ktap.begin_test(Part::Ways.name(), ways.len() + 1)
        .context("cannot report")?;
    let image = bench.image()?;
    for (way, name) in ways {
        let dir = fresh_folder(&bench.logs, "system-ways")?;
        let peer = Peer::start()?;
        let mut guest = bench.boot(&image, &dir, &peer, way, "")?;
        guest.ok("/usr/lib/system-test/load")?;
        let mut outcome = guest
            .ok(PROBED_ONCE)
            .and_then(|_| sleep::check(&mut guest, &peer, way));
        if way == Way::Dracut && outcome.is_ok() {
            outcome = sleep::sleep(&mut guest, Kind::Hibernate, 1)
                .and_then(|()| sleep::check(&mut guest, &peer, way));
        }
        report(ktap, name, &outcome)?;
        outcome?;
        if way == Way::HandedOver {
            let switched = guest.ok("/usr/lib/system-test/switch").map(|_| ());
            report(ktap, "virtio-pci-rs-switch", &switched)?;
        }
        guest.power_off()?;
        scan(&dir)?;
        tidy(&dir);
    }
    Ok(())
}

/// No virtio driver has seen the root disk before it was handed over.
const PROBED_ONCE: &str = "[ \"$(dmesg | grep -c 'virtio_blk virtio0: .* queues')\" = 1 ]";

/// The module is refused, which has its line, and the C driver has devices.
const KEPT: &str = "! modprobe virtio_pci_rs && ! [ -e /sys/module/virtio_pci_rs ] && \
    dmesg | grep 'virtio-pci-rs: the module is not loaded' && \
    ls -d /sys/bus/pci/drivers/virtio-pci/*:*:*";

/// A locked-down kernel takes no module whose key it does not know: the C driver keeps all.
fn lockdown(bench: &Bench, ktap: &mut Ktap<std::io::Stdout>) -> Outcome {
    ktap.begin_test(Part::Lockdown.name(), 2)
        .context("cannot report")?;
    let image = bench.image()?;
    let dir = fresh_folder(&bench.logs, "system-lockdown")?;
    let peer = Peer::start()?;
    let mut guest = bench.boot(&image, &dir, &peer, Way::HandedOver, " lockdown=integrity")?;
    let signed = guest
        .ok("modinfo -F signer virtio_pci_rs | grep .")
        .map(|_| ());
    report(ktap, "the module is signed", &signed)?;
    let kept = guest.ok(KEPT).map(|_| ());
    report(ktap, "an unknown key leaves the devices to C", &kept)?;
    guest.power_off()?;
    tidy(&dir);
    Ok(())
}

/// Looks for what must not be in the kernel's log.
fn scan(dir: &Path) -> Outcome {
    let path = dir.join("console.log");
    let log = std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let log = String::from_utf8_lossy(&log);
    let found = log_scan::findings(&log);
    if found.is_empty() {
        return Ok(());
    }
    Err(Failure::Splat(found.join("\n")))
}

/// Removes the disks of a test that has passed.
fn tidy(dir: &Path) {
    for name in ["root.qcow2", "swap.raw", "spare.raw"] {
        let _ = std::fs::remove_file(dir.join(name));
    }
}

/// Boots the system and connects the terminal to a shell in it.
pub fn run_shell(driver: Driver) -> Result<()> {
    let bench = Bench::load()?;
    let image = bench.image()?;
    let dir = fresh_folder(&bench.logs, "system-shell")?;
    let mut guest = Guest::start(
        &bench.debian.qemu,
        &image,
        &dir,
        "user,id=net",
        Way::of(driver),
        "",
    )?;
    eprintln!("the system boots; a shell comes in a minute or two. Ctrl-] or poweroff ends it");
    terminal::connect(guest.connect_shell()?)?;
    drop(guest);
    tidy(&dir);
    Ok(())
}
