// SPDX-License-Identifier: GPL-2.0

//! A device as a process sees it: a socket that QEMU connects to, and threads behind it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result};
use vfio_bindings::bindings::vfio::{
    vfio_region_info, VFIO_IRQ_INFO_AUTOMASKED, VFIO_IRQ_INFO_EVENTFD, VFIO_IRQ_INFO_MASKABLE,
    VFIO_IRQ_INFO_NORESIZE, VFIO_PCI_BAR0_REGION_INDEX, VFIO_PCI_BAR1_REGION_INDEX,
    VFIO_PCI_CONFIG_REGION_INDEX, VFIO_PCI_INTX_IRQ_INDEX, VFIO_PCI_MSIX_IRQ_INDEX,
    VFIO_PCI_NUM_IRQS, VFIO_PCI_NUM_REGIONS, VFIO_REGION_INFO_FLAG_READ,
    VFIO_REGION_INFO_FLAG_WRITE,
};
use vfio_user::{DmaMapFlags, DmaUnmapFlags, IrqInfo, Server, ServerBackend, ServerRegion};
use virtio_check::access::Register;
use virtio_check::Breach;

use crate::function::{Config, Function, Work};
use crate::lie::{Lie, Time};
use crate::pci::CONFIG_LEN;

/// Length in bytes of the BAR with the MSI-X table, which QEMU provides.
const MSIX_BAR_LEN: u64 = 4096;
/// The time between two interrupts of a storm.
const STORM_STEP: Duration = Duration::from_micros(100);

/// A device on a socket. It ends when it is dropped.
pub struct Device {
    function: Arc<Mutex<Function>>,
    socket: PathBuf,
    ending: Arc<AtomicBool>,
    server: Option<JoinHandle<()>>,
}

fn lock(function: &Mutex<Function>) -> MutexGuard<'_, Function> {
    function.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Device {
    /// Makes a device and listens on this socket; one QEMU after the other may connect.
    ///
    /// # Errors
    ///
    /// The socket cannot be made, or the file of a disk not be opened.
    pub fn start(config: &Config, socket: &Path) -> Result<Self> {
        let (work, to_do) = mpsc::channel();
        let function = Arc::new(Mutex::new(Function::new(config, work)?));
        let server = Server::new(socket, true, irqs(config), regions(config))
            .with_context(|| format!("cannot listen on {}", socket.display()))?;
        let ending = Arc::new(AtomicBool::new(false));
        let worker = Arc::downgrade(&function);
        thread::spawn(move || work_off(&worker, &to_do));
        let (backend, stop) = (function.clone(), ending.clone());
        let server = thread::spawn(move || serve(&server, &backend, &stop));
        Ok(Self {
            function,
            socket: socket.to_owned(),
            ending,
            server: Some(server),
        })
    }

    /// Its name.
    pub fn name(&self) -> String {
        lock(&self.function).name().to_owned()
    }

    /// Lies in this way from now on; an empty list makes it honest, and present again.
    pub fn lie(&self, lies: &[Lie]) {
        lock(&self.function).lie(lies);
    }

    /// How many lies it told since [`Device::lie`].
    pub fn lied(&self) -> usize {
        lock(&self.function).lied()
    }

    /// Tells it whether resets are those of a sleep.
    pub fn set_sleeping(&self, sleeping: bool) {
        lock(&self.function).sleeping = sleeping;
    }

    /// The breaches so far, which are then forgotten.
    pub fn take_breaches(&self) -> Vec<Breach> {
        lock(&self.function).take_breaches()
    }

    /// How many accesses to its registers there were.
    pub fn accesses(&self) -> usize {
        lock(&self.function).accesses()
    }

    /// Its device status, whatever it says of it.
    pub fn status(&self) -> u8 {
        lock(&self.function).status()
    }

    /// Whether it may reach memory: whether bus mastering is on.
    pub fn is_master(&self) -> bool {
        lock(&self.function).space.is_master()
    }

    /// Whether bus mastering was on when its driver wrote the reset of its last restore.
    pub fn mastered_at_restore(&self) -> Option<bool> {
        lock(&self.function).mastered_at_restore()
    }

    /// How many interrupts it sent.
    pub fn interrupts(&self) -> u64 {
        lock(&self.function).interrupts.sent
    }

    /// Which reads it has answered with a lie, at which time, and how often.
    pub fn told(&self) -> BTreeMap<(Time, Register), u32> {
        lock(&self.function).told()
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        self.ending.store(true, Ordering::Relaxed);
        // Wakes a thread that waits for a connection; one that has one ends with it.
        drop(UnixStream::connect(&self.socket));
        if let Some(server) = self.server.take().filter(JoinHandle::is_finished) {
            let _ = server.join();
        }
    }
}

/// Serves one connection after the other.
fn serve(server: &Server, function: &Arc<Mutex<Function>>, ending: &AtomicBool) {
    while !ending.load(Ordering::Relaxed) {
        let mut backend = Backend {
            function: function.clone(),
        };
        {
            let mut function = lock(function);
            function.power_on();
            function.memory.clear();
        }
        // A QEMU that is killed closes its end in the midst of a message.
        let _ = server.run(&mut backend);
    }
}

/// The thread that serves virtqueues: its interrupts come at any time.
fn work_off(function: &std::sync::Weak<Mutex<Function>>, to_do: &Receiver<Work>) {
    while let Ok(work) = to_do.recv() {
        let Some(function) = function.upgrade() else {
            return;
        };
        match work {
            Work::Serve(queue) => lock(&function).serve(queue),
            Work::Storm(isr, count) => {
                thread::spawn(move || {
                    for _ in 0..count {
                        lock(&function).interrupt_all(isr);
                        thread::sleep(STORM_STEP);
                    }
                });
            }
        }
    }
}

/// What QEMU talks to.
struct Backend {
    function: Arc<Mutex<Function>>,
}

impl ServerBackend for Backend {
    fn region_read(&mut self, region: u32, offset: u64, data: &mut [u8]) -> io::Result<()> {
        let mut function = lock(&self.function);
        match region {
            VFIO_PCI_CONFIG_REGION_INDEX => function.space.read(offset, data),
            VFIO_PCI_BAR0_REGION_INDEX => {
                let value = function.read(offset, width(data)?);
                let len = data.len();
                data.copy_from_slice(&value.to_le_bytes()[..len]);
            }
            _ => data.fill(0),
        }
        Ok(())
    }

    fn region_write(&mut self, region: u32, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut function = lock(&self.function);
        match region {
            VFIO_PCI_CONFIG_REGION_INDEX => {
                let is_reset = function.space.write(offset, data);
                if is_reset {
                    function.power_on();
                }
            }
            VFIO_PCI_BAR0_REGION_INDEX => {
                let mut bytes = [0; 8];
                bytes[..usize::from(width(data)?)].copy_from_slice(data);
                function.write(offset, data.len() as u8, u64::from_le_bytes(bytes));
            }
            _ => {}
        }
        Ok(())
    }

    fn dma_map(
        &mut self,
        _flags: DmaMapFlags,
        offset: u64,
        address: u64,
        size: u64,
        fd: Option<File>,
    ) -> io::Result<()> {
        match fd {
            Some(file) => lock(&self.function).memory.map(address, size, file, offset),
            // Memory that is not shared: firmware and video.
            None => Ok(()),
        }
    }

    fn dma_unmap(&mut self, flags: DmaUnmapFlags, address: u64, size: u64) -> io::Result<()> {
        let memory = &mut lock(&self.function).memory;
        if flags.contains(DmaUnmapFlags::UNMAP_ALL) {
            memory.clear();
            return Ok(());
        }
        memory.unmap(address, size)
    }

    fn reset(&mut self) -> io::Result<()> {
        lock(&self.function).power_on();
        Ok(())
    }

    fn set_irqs(
        &mut self,
        index: u32,
        flags: u32,
        start: u32,
        count: u32,
        fds: Vec<File>,
    ) -> io::Result<()> {
        let mut function = lock(&self.function);
        if function.interrupts.set(index, flags, start, count, fds) {
            function.line_released();
        }
        Ok(())
    }
}

fn width(data: &[u8]) -> io::Result<u8> {
    match data.len() {
        len @ 1..=8 => Ok(len as u8),
        _ => Err(io::ErrorKind::InvalidInput.into()),
    }
}

fn regions(config: &Config) -> Vec<ServerRegion> {
    let region = |index| {
        let size = match index {
            VFIO_PCI_CONFIG_REGION_INDEX => CONFIG_LEN as u64,
            VFIO_PCI_BAR0_REGION_INDEX => config.bar.len(),
            VFIO_PCI_BAR1_REGION_INDEX if config.vectors > 0 => MSIX_BAR_LEN,
            _ => 0,
        };
        let access = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE;
        ServerRegion {
            region_info: vfio_region_info {
                argsz: size_of::<vfio_region_info>() as u32,
                index,
                size,
                flags: if size > 0 { access } else { 0 },
                ..Default::default()
            },
            sparse_areas: Vec::new(),
            mmap_fd: None,
        }
    };
    (0..VFIO_PCI_NUM_REGIONS).map(region).collect()
}

fn irqs(config: &Config) -> Vec<IrqInfo> {
    let irq = |index| {
        let (count, flags) = match index {
            VFIO_PCI_INTX_IRQ_INDEX => (
                1,
                VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_MASKABLE | VFIO_IRQ_INFO_AUTOMASKED,
            ),
            VFIO_PCI_MSIX_IRQ_INDEX if config.vectors > 0 => (
                u32::from(config.vectors),
                VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_NORESIZE,
            ),
            _ => (0, 0),
        };
        IrqInfo {
            index,
            flags,
            count,
        }
    };
    (0..VFIO_PCI_NUM_IRQS).map(irq).collect()
}
