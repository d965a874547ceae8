# SPDX-License-Identifier: GPL-2.0

# A thin wrapper around Kbuild, plus the entry points of the tests. "make help" lists the targets.

KDIR ?= /lib/modules/$(shell uname -r)/build

MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := module

# Kbuild takes these from the command line only.
given = $(if $(filter command,$(origin $(1))),$($(1)))

# The kernel's own compiler, unless CC= or LLVM= names another.
compiler := $(if $(LLVM),LLVM='$(LLVM)') $(if $(call given,CC),CC='$(CC)')
ifeq ($(strip $(compiler)),)
cc-text := $(shell sed -n 's/^CONFIG_CC_VERSION_TEXT=//p' '$(KDIR)/include/config/auto.conf' 2>/dev/null)
clang := $(shell echo '$(cc-text)' | sed -n 's/.*clang version \([0-9]*\).*/\1/p')
ifneq ($(clang),)
compiler := LLVM=$(if $(shell command -v clang-$(clang)),-$(clang),1)
else ifneq ($(cc-text),)
compiler := CC=$(firstword $(subst ",,$(cc-text)))
endif
endif

# The programs that built the kernel, if they are not in PATH.
in-tools := $(if $(KERNEL_TOOLS),PATH='$(KERNEL_TOOLS)':"$$PATH")

# Debian's name of the architecture is taken as well as the kernel's.
kernel-arch := $(if $(ARCH),ARCH='$(patsubst amd64,x86,$(ARCH))')

kbuild = $(in-tools) $(MAKE) -C '$(KDIR)' M='$(CURDIR)' $(compiler) $(kernel-arch)
workspace := --manifest-path tools/Cargo.toml

PHONY := module
module: check-build ## Build virtio_pci_rs.ko for the kernel in KDIR (default)
	@$(kbuild) modules

PHONY += modules_install
modules_install: ## Install the module, under INSTALL_MOD_PATH if given
	@$(kbuild) modules_install

PHONY += clean
clean: ## Remove what a build of the module left (tools/target stays)
	@find . \( -name .git -o -name target -o -name logs \) -prune -o -type f \
		\( -name '*.[ao]' -o -name '*.ko' -o -name '*.mod' -o -name '*.mod.c' -o -name '*.rmeta' \
		-o -name '.*.cmd' -o -name '.*.d' -o -name modules.order -o -name Module.symvers \
		-o -name virtio_generated.rs -o -name kernel_features -o -name rust-project.json \) -exec rm -f {} +
	@rm -rf target

PHONY += fmt
fmt: cargo ## Format the module and the host tools
	rustfmt virtio_pci_rs.rs
	cargo fmt $(workspace) --all

PHONY += fmtcheck
fmtcheck: cargo ## Check the format of the module and the host tools
	rustfmt --check virtio_pci_rs.rs
	cargo fmt $(workspace) --all --check

PHONY += lint
lint: cargo check-build ## Clippy on the module and the host tools, shellcheck on the guest's scripts
	@$(kbuild) CLIPPY=1 virtio_pci_rs.o
	cargo clippy -q $(workspace) --workspace --all-targets -- -D warnings
	shellcheck -s dash -S info tests/guest/init tests/guest/*/*.sh

PHONY += doc
doc: check-build ## Document the module, private items included, in target/doc
	@$(kbuild) RUSTDOC_MODULE=y

PHONY += rust-analyzer
rust-analyzer: check-build ## Write rust-project.json for rust-analyzer
	@$(kbuild) rust-analyzer

PHONY += test
test: cargo ## Run the tests that need no VM: host logic, compile-fail, tools, scripts
	cargo test -q $(workspace) --workspace
	tests/build/check-build-test
	tests/build/handover-test
	tests/build/package-test
	tests/build/prepare-kernel-test

PHONY += precommit
precommit: fmtcheck ## What each commit must pass: format, lints of the host tools, tests without a VM
	cargo clippy -q $(workspace) --workspace --all-targets -- -D warnings
	shellcheck -S warning .ci/run scripts/* tests/build/* tests/system/* \
		packaging/boot/* packaging/dkms/* packaging/dracut/* packaging/initramfs-tools/* \
		packaging/debian/*.p*
	$(MAKE) test

PHONY += msrv
msrv: cargo ## Check that the host tools compile with Rust 1.85, Debian 13's, in KERNEL_TOOLS=DIR
	@'$(KERNEL_TOOLS)/rustc' --version 2>/dev/null | grep -q '^rustc 1\.85\.' || { \
		echo "msrv: KERNEL_TOOLS=$(KERNEL_TOOLS) has no rustc 1.85; give what built a kernel of Debian 13" >&2; exit 1; }
	RUSTC='$(KERNEL_TOOLS)/rustc' cargo check -q $(workspace) --workspace --target-dir tools/target/msrv

PHONY += miri
miri: cargo ## Run the host logic's tests under Miri, which a nightly toolchain has
	MIRIFLAGS=-Zmiri-disable-isolation cargo +nightly miri test -q $(workspace) -p host-tests --lib

PHONY += setup
setup: cargo ## Set up the test machine: packages, kernel, QEMU
	scripts/setup

# Tests run on the kernel that the machine crate provides (KERNEL=), or on KDIR= if the user gives one.
# The C driver comes with the kernel.
with-module = set -e; $(if $(filter c C,$(DRIVER)),,$(build-module))
build-module = machine=$$(cargo run --release -q $(workspace) -p machine -- env); \
	(set -a; eval "$$machine"; $(MAKE) module);
vmtest = cargo run --release -q $(workspace) -p vmtest -- $@ $(ARGS)

PHONY += vm
vm: cargo ## Main test: devices, I/O, every kind of sleep, comparison with the C driver
	@$(with-module) $(vmtest)

PHONY += matrix
matrix: cargo ## All VM tests but those on kernels built for them, with many cycles of every kind of sleep
	@$(with-module) $(vmtest)

PHONY += compare
compare: cargo ## Compare the handshakes of the Rust and of the C driver
	@$(with-module) $(vmtest)

PHONY += kernels
kernels: cargo ## Build the module for kernels of many configurations: ARGS="--source=DIR no-msi"
	@$(vmtest)

PHONY += hostile
hostile: cargo ## Devices that misbehave, on both drivers; one table
	@$(with-module) $(vmtest)

PHONY += random
random: cargo ## Devices that misbehave as seeds tell, on one driver: ARGS="--seed 1 --count 20"
	@$(with-module) $(vmtest)

# Both drivers are measured in one VM, and Debian's kernels have one of them built in.
PHONY += bench
bench: export KERNEL := build
bench: cargo ## Measure what both drivers cost: ARGS="--samples 40 --part accesses"
	@$(with-module) $(vmtest)

PHONY += report
report: cargo ## Write the report of what compare, bench and the tests left, to target/report
	@cargo run --release -q $(workspace) -p report -- write $(ARGS)

PHONY += trace
trace: cargo ## Draw the handshakes of any QEMU trace, unjudged (docs/tracing.md): FILE="trace.log", ARGS=--device=...
	@cargo run --release -q $(workspace) -p virtio-check -- picture $(ARGS) $(FILE)

PHONY += trace-sleep
trace-sleep: cargo ## One suspend and one hibernation as timelines for Perfetto and sleepgraph
	@$(with-module) $(vmtest)

PHONY += drivers
drivers: cargo ## Run the drivers that packages bring and judge them: ARGS="run seabios ovmf", ARGS=write
	@cargo run --release -q $(workspace) -p drivers -- $(or $(ARGS),run)

PHONY += guest
guest: cargo ## Boot any guest on legacy devices and judge its drivers: DISK=image.qcow2, ARGS="--lies"
	@cargo run --release -q $(workspace) -p drivers -- guest $(if $(DISK),--disk '$(DISK)') $(ARGS)

PHONY += test-report
test-report: cargo ## Test the report in Chromium, which is set up for it
	cargo test -q $(workspace) -p report --test browser -- --ignored

PHONY += test-ktap
test-ktap: cargo ## Have the kernel's own kunit.py read what the tests write; fetches the kernel's source
	cargo test -q $(workspace) -p vm parser -- --ignored

PHONY += handshake
handshake: cargo ## Draw docs/handshake.svg and docs/handshake-dark.svg from the recorded traces
	@cargo run -q $(workspace) -p report -- picture --results tools/report/tests/results docs/handshake.svg
	@cargo run -q $(workspace) -p report -- picture --results tools/report/tests/results \
		--ground dark docs/handshake-dark.svg

PHONY += docs
docs: cargo ## Write the pages in docs/ that are made from data
	@cargo run -q $(workspace) -p report -- docs

PHONY += check
check: cargo ## What CI runs: format, lints, host tests, a part of the VM tests, comparison
	@$(with-module) $(vmtest)

PHONY += soak
soak: cargo ## Endurance, for hours: sleep and storms at random; goes on where it stopped
	@$(with-module) $(vmtest)

PHONY += run
run: cargo ## Run tests, or parts, by a piece of the name: NAME="pc-msix-4cpu debugfs/"
	@$(with-module) $(vmtest) $(NAME)

PHONY += shell
shell: cargo ## A shell in the VM with the module loaded
	@$(with-module) $(vmtest)

PHONY += deb
deb: cargo ## Make the packages for Debian, in target/deb
	@$(vmtest)

PHONY += system
system: cargo ## A real system on the module, as root: package, sleep, C beside it: ARGS="--rounds 1 sleep-rust"
	@$(vmtest)

PHONY += system-shell
system-shell: cargo ## A shell in the real system, as root
	@$(vmtest)

PHONY += list
list: cargo ## List the VM tests
	@$(vmtest)

PHONY += check-build
check-build:
	@KDIR='$(KDIR)' RUSTC='$(call given,RUSTC)' BINDGEN='$(call given,BINDGEN)' \
		LLVM= CC= $(in-tools) $(compiler) scripts/check-build

PHONY += cargo
cargo:
	@command -v cargo >/dev/null || { \
		echo "cargo is missing: install Rust (rustup, or the packages cargo and rustc)" >&2; exit 1; }

PHONY += help
help: ## This list
	@sed -n 's/^\([a-z_-]*\):[^#]*## \(.*\)/\1@\2/p' Makefile | \
		while IFS=@ read -r name text; do printf '  %-16s %s\n' "$$name" "$$text"; done
	@echo
	@echo "  KDIR=DIR         built kernel tree, with Rust unless DRIVER=c [module: $(KDIR); tests: Debian's own]"
	@echo "  KERNEL=NAME      kernel of the tests: stock, cloud, rt, 16k (Debian's own), build [stock]"
	@echo "  SERIES=NUMBER    its series, with DRIVER=c any; or next for Debian's newest pre-release [7.3]"
	@echo "  ARCH=NAME        its architecture: amd64, arm64 [amd64]"
	@echo "  KERNEL_SRC=DIR   kernel source that the tests build"
	@echo "  ACCEL=kvm        KVM for the tests, if a probe guest answers [tcg]"
	@echo "  LLVM=, CC=       compiler, as in the kernel's own build [the kernel's compiler]"
	@echo "  DRIVER=c         test the C driver instead; no module is built (docs/your-kernel.md)"
	@echo "  ARGS=...         more arguments for the test runner"

.PHONY: $(PHONY)
