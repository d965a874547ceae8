// SPDX-License-Identifier: GPL-2.0

//! The initramfs of a packaged kernel: busybox, the modules that are needed, what the guest does.

use anyhow::{bail, Context, Result};
use initramfs::Archive;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What is in an initramfs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Content<'a> {
    /// The modules; those that a kernel has built in are not there.
    modules: &'a [&'a str],
    /// What the guest does.
    init: &'a str,
    /// A program of a package with its libraries, in `bin` and `lib`.
    program: Option<&'a Path>,
}

impl<'a> Content<'a> {
    /// The kernel's own drivers.
    pub(crate) const DEVICES: Content<'static> = Content {
        modules: &WANTED,
        init: INIT,
        program: None,
    };

    /// DPDK's driver, in `dpdk-testpmd`, which is unpacked in this folder.
    pub(crate) fn testpmd(program: &'a Path) -> Self {
        Self {
            modules: &["uio", "uio_pci_generic"],
            init: INIT_TESTPMD,
            program: Some(program),
        }
    }
}

/// The modules of the devices.
const WANTED: [&str; 7] = [
    "virtio_pci",
    "virtio_blk",
    "virtio_net",
    "virtio_scsi",
    "sd_mod",
    "virtio_rng",
    "virtio-rng",
];

/// What the guest does: uses each device that there is, sleeps, uses it, and unbinds it.
const INIT: &str = "\
#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0
/bin/busybox mkdir -p /dev /proc /sys /bin
/bin/busybox --install -s /bin
mount -t devtmpfs none /dev
mount -t proc none /proc
mount -t sysfs none /sys
while read -r module; do insmod \"/modules/$module\"; done < /modules/order
use() {
    sleep 2
    for disk in /dev/vda /dev/sda; do
        [ ! -b $disk ] || dd if=$disk of=/dev/null bs=64k count=16 iflag=direct
    done
    [ ! -c /dev/hwrng ] || dd if=/dev/hwrng of=/dev/null bs=16 count=4
    for net in /sys/class/net/e*; do
        [ ! -e \"$net\" ] || ip link set \"${net##*/}\" up
    done
    sleep 2
}
use
echo +4 > /sys/class/rtc/rtc0/wakealarm
echo mem > /sys/power/state
use
for device in /sys/bus/pci/drivers/virtio-pci/0000:*; do
    echo \"${device##*/}\" > /sys/bus/pci/drivers/virtio-pci/unbind
done
poweroff -f
";

/// What the guest does: gives the device to DPDK, which sends packets, is stopped, sends packets,
/// and ends. It takes memory in huge pages, whose addresses it can find out.
const INIT_TESTPMD: &str = "\
#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0
/bin/busybox mkdir -p /dev /proc /sys /huge /lib64 /var/run
/bin/busybox --install -s /bin
# DPDK loads nothing from below a folder that everyone may write to.
chmod 755 /
mount -t devtmpfs none /dev
mount -t proc none /proc
mount -t sysfs none /sys
mount -t hugetlbfs none /huge
ln -s /lib/ld-linux-x86-64.so.2 /lib64
while read -r module; do insmod \"/modules/$module\"; done < /modules/order
echo 64 > /proc/sys/vm/nr_hugepages
for folder in /sys/bus/pci/devices/*; do
    [ \"$(cat \"$folder/vendor\")\" = 0x1af4 ] || continue
    device=${folder##*/}
    echo uio_pci_generic > \"$folder/driver_override\"
    echo \"$device\" > /sys/bus/pci/drivers_probe
done
set -- --lcores '0@0,1@0' -m 100 --huge-dir /huge --no-telemetry -a \"$device\"
for library in /lib/librte_net_virtio.so.* /lib/librte_mempool_ring.so.*; do
    set -- \"$@\" -d \"$library\"
done
commands() {
    echo 'start tx_first'
    sleep 3
    echo stop
    echo 'port stop all'
    sleep 1
    echo 'port start all'
    echo start
    sleep 2
    echo stop
    echo quit
    sleep 1
}
commands | LD_LIBRARY_PATH=/lib dpdk-testpmd \"$@\" -- -i --total-num-mbufs=2048
poweroff -f
";

/// The folder of the modules of an unpacked kernel package, which has the release's name.
fn modules(package: &Path) -> Result<PathBuf> {
    let folders = ["usr/lib/modules", "lib/modules"].map(|folder| package.join(folder));
    let mut found = folders
        .iter()
        .filter_map(|folder| list(folder).ok())
        .flatten();
    let found = found.find(|path| path.is_dir());
    found.with_context(|| {
        let place = package.display();
        format!("{place} has no modules: unpack linux-image, and linux-modules if it is apart")
    })
}

/// The image of an unpacked kernel package.
pub(crate) fn image(package: &Path) -> Result<PathBuf> {
    let beside = modules(package)?.join("vmlinuz");
    let boot = package
        .join("boot")
        .join(format!("vmlinuz-{}", release(package)?));
    let found = [beside, boot].into_iter().find(|path| path.exists());
    found.with_context(|| {
        let place = package.display();
        format!("{place} has no kernel: unpack linux-image, or linux-binary if it is apart")
    })
}

/// The release of an unpacked kernel package.
pub(crate) fn release(package: &Path) -> Result<String> {
    Ok(name(&modules(package)?))
}

/// Builds the initramfs for an unpacked kernel package.
pub(crate) fn build(package: &Path, busybox: &Path, content: Content<'_>) -> Result<Vec<u8>> {
    let folder = modules(package)?;
    let mut archive = Archive::default();
    for directory in ["bin", "dev", "lib", "modules"] {
        archive.directory(directory)?;
    }
    archive.console()?;
    archive.copy("bin/busybox", 0o755, busybox)?;
    archive.file("init", 0o755, content.init.as_bytes())?;
    for (tree, folder) in content
        .program
        .into_iter()
        .flat_map(|tree| [(tree, "bin"), (tree, "lib")])
    {
        for file in list(&tree.join(folder))? {
            archive.copy(&format!("{folder}/{}", name(&file)), 0o755, &file)?;
        }
    }
    let mut order = String::new();
    for module in in_order(&folder, content.modules)? {
        let plain = plain_name(&module);
        archive.file(&format!("modules/{plain}"), 0o644, &unpacked(&module)?)?;
        order.push_str(&plain);
        order.push('\n');
    }
    archive.file("modules/order", 0o644, order.as_bytes())?;
    archive.finish()
}

/// The wanted modules and what they need, each behind what it needs.
///
/// The package has no `modules.dep`, which is made when it is installed; modinfo tells the same.
fn in_order(folder: &Path, wanted: &[&str]) -> Result<Vec<PathBuf>> {
    let mut all = BTreeMap::new();
    let mut folders = vec![folder.join("kernel")];
    while let Some(folder) = folders.pop() {
        for path in list(&folder)? {
            if path.is_dir() {
                folders.push(path);
            } else if let Some((module, _)) = name(&path).split_once(".ko") {
                all.insert(module.replace('-', "_"), path);
            }
        }
    }
    let mut order = Vec::new();
    for wanted in wanted {
        add(&wanted.replace('-', "_"), &all, &mut order)?;
    }
    Ok(order)
}

fn add(module: &str, all: &BTreeMap<String, PathBuf>, order: &mut Vec<PathBuf>) -> Result<()> {
    let Some(path) = all.get(module).filter(|path| !order.contains(path)) else {
        return Ok(());
    };
    let bytes = unpacked(path)?;
    for needed in depends(&bytes) {
        add(&needed.replace('-', "_"), all, order)?;
    }
    order.push(path.clone());
    Ok(())
}

/// What a module says that it needs, in its section `.modinfo`.
fn depends(module: &[u8]) -> Vec<String> {
    let key = b"\0depends=";
    let Some(at) = module.windows(key.len()).position(|window| window == key) else {
        return Vec::new();
    };
    let value = &module[at + key.len()..];
    let end = value
        .iter()
        .position(|byte| *byte == 0)
        .unwrap_or(value.len());
    let value = String::from_utf8_lossy(&value[..end]);
    let names = value.split(',').filter(|name| !name.is_empty());
    names.map(str::to_owned).collect()
}

fn plain_name(module: &Path) -> String {
    let name = name(module);
    name.strip_suffix(".xz").unwrap_or(&name).to_owned()
}

/// A module, which newer packages compress.
fn unpacked(module: &Path) -> Result<Vec<u8>> {
    if module.extension().is_none_or(|extension| extension != "xz") {
        return fs::read(module).with_context(|| format!("cannot read {}", module.display()));
    }
    let done = Command::new("xz")
        .arg("-dc")
        .arg(module)
        .output()
        .context("cannot run xz")?;
    if !done.status.success() {
        bail!("xz cannot unpack {}", module.display());
    }
    Ok(done.stdout)
}

fn list(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries =
        fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?;
    let mut paths = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<std::io::Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}

fn name(path: &Path) -> String {
    path.file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_says_what_it_needs() {
        let module = b"\x7fELF\0license=GPL\0depends=virtio,virtio-ring\0name=x\0";
        assert_eq!(depends(module), ["virtio", "virtio-ring"]);
        assert!(depends(b"\0depends=\0").is_empty());
        assert!(depends(b"nothing").is_empty());
    }
}
