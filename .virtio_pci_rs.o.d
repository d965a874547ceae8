virtio_pci_rs.o: /root/.cache/virtio_pci_rs/stock/7.3.4+deb13-amd64_7.3.4-1~bpo13+1/source/.clippy.toml virtio_pci_rs.rs abstractions/mod.rs abstractions/clock.rs abstractions/command.rs abstractions/compat.rs abstractions/debugfs.rs abstractions/io.rs abstractions/irq.rs abstractions/pci.rs abstractions/shared.rs abstractions/sync.rs abstractions/virtio/mod.rs abstractions/virtio/config_ops.rs abstractions/virtio/device.rs abstractions/virtio/queue.rs abstractions/virtio/registration.rs bindings/mod.rs legacy/mod.rs legacy/config.rs legacy/core/mod.rs legacy/core/access.rs legacy/core/handshake.rs legacy/core/identity.rs legacy/core/journal.rs legacy/core/life.rs legacy/core/regs.rs legacy/core/ring.rs legacy/core/status.rs legacy/core/vectors.rs legacy/counters.rs legacy/debugfs.rs legacy/device.rs legacy/driver.rs legacy/hw.rs legacy/irqs.rs legacy/life.rs legacy/lint.rs legacy/log.rs legacy/messages.rs legacy/negotiate.rs legacy/ops.rs legacy/pm.rs legacy/queues.rs legacy/quirks.rs legacy/recovery.rs legacy/state.rs legacy/vqs.rs bindings/virtio_generated.rs /root/.cache/virtio_pci_rs/stock/7.3.4+deb13-amd64_7.3.4-1~bpo13+1/build/rust/libcore.rmeta /root/.cache/virtio_pci_rs/stock/7.3.4+deb13-amd64_7.3.4-1~bpo13+1/build/rust/libcompiler_builtins.rmeta /root/.cache/virtio_pci_rs/stock/7.3.4+deb13-amd64_7.3.4-1~bpo13+1/build/rust/libkernel.rmeta /root/.cache/virtio_pci_rs/stock/7.3.4+deb13-amd64_7.3.4-1~bpo13+1/build/rust/libffi.rmeta /root/.cache/virtio_pci_rs/stock/7.3.4+deb13-amd64_7.3.4-1~bpo13+1/build/rust/libpin_init.rmeta /root/.cache/virtio_pci_rs/stock/7.3.4+deb13-amd64_7.3.4-1~bpo13+1/build/rust/libpin_init_internal.so /root/.cache/virtio_pci_rs/stock/7.3.4+deb13-amd64_7.3.4-1~bpo13+1/build/rust/libmacros.so /root/.cache/virtio_pci_rs/stock/7.3.4+deb13-amd64_7.3.4-1~bpo13+1/build/rust/libbuild_error.rmeta /root/.cache/virtio_pci_rs/stock/7.3.4+deb13-amd64_7.3.4-1~bpo13+1/build/rust/libzerocopy.rmeta /root/.cache/virtio_pci_rs/stock/7.3.4+deb13-amd64_7.3.4-1~bpo13+1/build/rust/libbindings.rmeta /root/.cache/virtio_pci_rs/stock/7.3.4+deb13-amd64_7.3.4-1~bpo13+1/build/rust/libzerocopy_derive.so /root/.cache/virtio_pci_rs/stock/7.3.4+deb13-amd64_7.3.4-1~bpo13+1/build/rust/libuapi.rmeta

./.virtio_pci_rs.o.d: /root/.cache/virtio_pci_rs/stock/7.3.4+deb13-amd64_7.3.4-1~bpo13+1/source/.clippy.toml virtio_pci_rs.rs abstractions/mod.rs abstractions/clock.rs abstractions/command.rs abstractions/compat.rs abstractions/debugfs.rs abstractions/io.rs abstractions/irq.rs abstractions/pci.rs abstractions/shared.rs abstractions/sync.rs abstractions/virtio/mod.rs abstractions/virtio/config_ops.rs abstractions/virtio/device.rs abstractions/virtio/queue.rs abstractions/virtio/registration.rs bindings/mod.rs legacy/mod.rs legacy/config.rs legacy/core/mod.rs legacy/core/access.rs legacy/core/handshake.rs legacy/core/identity.rs legacy/core/journal.rs legacy/core/life.rs legacy/core/regs.rs legacy/core/ring.rs legacy/core/status.rs legacy/core/vectors.rs legacy/counters.rs legacy/debugfs.rs legacy/device.rs legacy/driver.rs legacy/hw.rs legacy/irqs.rs legacy/life.rs legacy/lint.rs legacy/log.rs legacy/messages.rs legacy/negotiate.rs legacy/ops.rs legacy/pm.rs legacy/queues.rs legacy/quirks.rs legacy/recovery.rs legacy/state.rs legacy/vqs.rs bindings/virtio_generated.rs /root/.cache/virtio_pci_rs/stock/7.3.4+deb13-amd64_7.3.4-1~bpo13+1/build/rust/libcore.rmeta /root/.cache/virtio_pci_rs/stock/7.3.4+deb13-amd64_7.3.4-1~bpo13+1/build/rust/libcompiler_builtins.rmeta /root/.cache/virtio_pci_rs/stock/7.3.4+deb13-amd64_7.3.4-1~bpo13+1/build/rust/libkernel.rmeta /root/.cache/virtio_pci_rs/stock/7.3.4+deb13-amd64_7.3.4-1~bpo13+1/build/rust/libffi.rmeta /root/.cache/virtio_pci_rs/stock/7.3.4+deb13-amd64_7.3.4-1~bpo13+1/build/rust/libpin_init.rmeta /root/.cache/virtio_pci_rs/stock/7.3.4+deb13-amd64_7.3.4-1~bpo13+1/build/rust/libpin_init_internal.so /root/.cache/virtio_pci_rs/stock/7.3.4+deb13-amd64_7.3.4-1~bpo13+1/build/rust/libmacros.so /root/.cache/virtio_pci_rs/stock/7.3.4+deb13-amd64_7.3.4-1~bpo13+1/build/rust/libbuild_error.rmeta /root/.cache/virtio_pci_rs/stock/7.3.4+deb13-amd64_7.3.4-1~bpo13+1/build/rust/libzerocopy.rmeta /root/.cache/virtio_pci_rs/stock/7.3.4+deb13-amd64_7.3.4-1~bpo13+1/build/rust/libbindings.rmeta /root/.cache/virtio_pci_rs/stock/7.3.4+deb13-amd64_7.3.4-1~bpo13+1/build/rust/libzerocopy_derive.so /root/.cache/virtio_pci_rs/stock/7.3.4+deb13-amd64_7.3.4-1~bpo13+1/build/rust/libuapi.rmeta

/root/.cache/virtio_pci_rs/stock/7.3.4+deb13-amd64_7.3.4-1~bpo13+1/source/.clippy.toml:
virtio_pci_rs.rs:
abstractions/mod.rs:
abstractions/clock.rs:
abstractions/command.rs:
abstractions/compat.rs:
abstractions/debugfs.rs:
abstractions/io.rs:
abstractions/irq.rs:
abstractions/pci.rs:
abstractions/shared.rs:
abstractions/sync.rs:
abstractions/virtio/mod.rs:
abstractions/virtio/config_ops.rs:
abstractions/virtio/device.rs:
abstractions/virtio/queue.rs:
abstractions/virtio/registration.rs:
bindings/mod.rs:
legacy/mod.rs:
legacy/config.rs:
legacy/core/mod.rs:
legacy/core/access.rs:
legacy/core/handshake.rs:
legacy/core/identity.rs:
legacy/core/journal.rs:
legacy/core/life.rs:
legacy/core/regs.rs:
legacy/core/ring.rs:
legacy/core/status.rs:
legacy/core/vectors.rs:
legacy/counters.rs:
legacy/debugfs.rs:
legacy/device.rs:
legacy/driver.rs:
legacy/hw.rs:
legacy/irqs.rs:
legacy/life.rs:
legacy/lint.rs:
legacy/log.rs:
legacy/messages.rs:
legacy/negotiate.rs:
legacy/ops.rs:
legacy/pm.rs:
legacy/queues.rs:
legacy/quirks.rs:
legacy/recovery.rs:
legacy/state.rs:
legacy/vqs.rs:
bindings/virtio_generated.rs:
/root/.cache/virtio_pci_rs/stock/7.3.4+deb13-amd64_7.3.4-1~bpo13+1/build/rust/libcore.rmeta:
/root/.cache/virtio_pci_rs/stock/7.3.4+deb13-amd64_7.3.4-1~bpo13+1/build/rust/libcompiler_builtins.rmeta:
/root/.cache/virtio_pci_rs/stock/7.3.4+deb13-amd64_7.3.4-1~bpo13+1/build/rust/libkernel.rmeta:
/root/.cache/virtio_pci_rs/stock/7.3.4+deb13-amd64_7.3.4-1~bpo13+1/build/rust/libffi.rmeta:
/root/.cache/virtio_pci_rs/stock/7.3.4+deb13-amd64_7.3.4-1~bpo13+1/build/rust/libpin_init.rmeta:
/root/.cache/virtio_pci_rs/stock/7.3.4+deb13-amd64_7.3.4-1~bpo13+1/build/rust/libpin_init_internal.so:
/root/.cache/virtio_pci_rs/stock/7.3.4+deb13-amd64_7.3.4-1~bpo13+1/build/rust/libmacros.so:
/root/.cache/virtio_pci_rs/stock/7.3.4+deb13-amd64_7.3.4-1~bpo13+1/build/rust/libbuild_error.rmeta:
/root/.cache/virtio_pci_rs/stock/7.3.4+deb13-amd64_7.3.4-1~bpo13+1/build/rust/libzerocopy.rmeta:
/root/.cache/virtio_pci_rs/stock/7.3.4+deb13-amd64_7.3.4-1~bpo13+1/build/rust/libbindings.rmeta:
/root/.cache/virtio_pci_rs/stock/7.3.4+deb13-amd64_7.3.4-1~bpo13+1/build/rust/libzerocopy_derive.so:
/root/.cache/virtio_pci_rs/stock/7.3.4+deb13-amd64_7.3.4-1~bpo13+1/build/rust/libuapi.rmeta:

# env-dep:CLIPPY_ARGS
# env-dep:CLIPPY_CONF_DIR=/root/.cache/virtio_pci_rs/stock/7.3.4+deb13-amd64_7.3.4-1~bpo13+1/source
