// SPDX-License-Identifier: GPL-2.0

//! The rules. Sections of 1.4 are those of its draft of April 2026.

use super::{Clause, Example, Level, Party, Rule, Seen};

/// A reset that is seen complete.
macro_rules! reset {
    ($rest:literal) => {
        concat!("STATUS=0 STATUS?0", $rest)
    };
}

/// As far as DRIVER.
macro_rules! driver {
    ($rest:literal) => {
        concat!("STATUS=0 STATUS?0 STATUS=1 STATUS=3", $rest)
    };
}

/// As far as the accepted features.
macro_rules! features {
    ($rest:literal) => {
        concat!(
            "STATUS=0 STATUS?0 STATUS=1 STATUS=3 HOST_FEATURES?0x30000000 ",
            "GUEST_FEATURES=0x10000000",
            $rest
        )
    };
}

/// As far as a virtqueue with a ring.
macro_rules! queue {
    ($rest:literal) => {
        concat!(
            "STATUS=0 STATUS?0 STATUS=1 STATUS=3 HOST_FEATURES?0x30000000 ",
            "GUEST_FEATURES=0x10000000 QUEUE_SEL=0 QUEUE_NUM?256 QUEUE_PFN=0x1000",
            $rest
        )
    };
}

const fn clause(level: Level, section: &'static str, argument: &'static str) -> Clause {
    Clause {
        level,
        section,
        argument,
    }
}

const fn must(section: &'static str, argument: &'static str) -> Clause {
    clause(Level::Must, section, argument)
}

const fn should(section: &'static str, argument: &'static str) -> Clause {
    clause(Level::Should, section, argument)
}

const fn convention(section: &'static str, argument: &'static str) -> Clause {
    clause(Level::Convention, section, argument)
}

const fn silent(section: &'static str, argument: &'static str) -> Clause {
    clause(Level::Silent, section, argument)
}

const fn example(after: &'static str, right: &'static str, wrong: &'static str) -> Option<Example> {
    Some(Example {
        after,
        right,
        wrong,
    })
}

const STATUS: &str = "2.1.1 Device Status Field";
const FEATURES: &str = "2.2.1 Feature Bits";
const INIT: &str = "3.1.1 Device Initialization";
const LEGACY_INIT: &str = "3.1.2 Legacy Interface: Device Initialization";
const CLEANUP: &str = "3.3.1 Device Cleanup";
const LAYOUT_SECTION: &str = "4.1.4.10 Legacy Interfaces: A Note on PCI Device Layout";
const VECTORS: &str = "4.1.5.1.2.2 MSI-X Vector Configuration";
const LEGACY_QUEUE: &str = "4.1.5.1.3.1 Legacy Interface: A Note on Virtqueue Configuration";
const NOTIFICATIONS: &str = "4.1.5.2.1 Available Buffer Notifications";
const ISR_SECTION: &str = "4.1.4.5.2 ISR status capability";

const OLD_INIT: &str = "2.2.1 Device Initialization Sequence";
const OLD_HEADER: &str = "2.2.2 Virtio Header";
const OLD_STATUS: &str = "2.2.2.1 Device Status";
const OLD_FEATURES: &str = "2.2.2.2 Feature Bits";
const OLD_VECTORS: &str = "2.2.2.3 Configuration/Queue Vectors";
const OLD_QUEUE: &str = "2.3 Virtqueue Configuration";
const OLD_NOTIFY: &str = "2.4.1.4 Notifying The Device";

const OLD_FOOTNOTE: &str =
    "a footnote allows use before steps 5 and 6 if no accepted feature would alter it";
const OLD_ORDER: &str =
    "the order is the other one: virtqueues are discovered in step 4, features written in step 5";

macro_rules! rules {
    ($($name:ident { $($field:ident: $value:expr),* $(,)? })*) => {
        $(
            #[doc = concat!("The rule ", stringify!($name), ".")]
            pub const $name: &Rule = &Rule { $($field: $value),* };
        )*

        /// All rules, in the order in which a driver meets them.
        pub const RULES: &[&Rule] = &[$($name),*];
    };
}

rules! {
    WIDTH {
        id: "width",
        text: "a register is accessed in its own width",
        party: Party::Driver,
        seen: Seen::Trace,
        v1_4: must(LAYOUT_SECTION, "the driver MUST use the structure as documented, with its \
            widths; any width is allowed in the device configuration alone"),
        v0_9_5: convention(OLD_HEADER, "the table gives the widths; the text says nothing of \
            others"),
        needs: "an access to a register outside of the device configuration",
        why: "hypervisors decode a register by its offset and its width, and drop or split what \
            they do not expect",
        example: example("", "STATUS=0", "STATUS=0/4"),
    }
    LAYOUT {
        id: "layout",
        text: "an access begins at the start of a register",
        party: Party::Driver,
        seen: Seen::Trace,
        v1_4: must(LAYOUT_SECTION, "the driver MUST use the structure as documented"),
        v0_9_5: convention(OLD_HEADER, "the table gives the offsets; the text says nothing of \
            others"),
        needs: "an access below the device configuration",
        why: "there is no register in the middle of another, so the value is whatever the \
            hypervisor makes of it",
        example: example("", "STATUS=0 STATUS?0", "inside+2?0/2"),
    }
    READ_ONLY {
        id: "read-only",
        text: "HOST_FEATURES and ISR are not written",
        party: Party::Driver,
        seen: Seen::Trace,
        v1_4: must(LAYOUT_SECTION, "the driver MUST use the structure as documented: R, not R+W"),
        v0_9_5: convention(OLD_HEADER, "the table marks them R; the text says nothing of writes"),
        needs: "an access to HOST_FEATURES or ISR",
        why: "a device may ignore the write or take it for a fault, and features that are written \
            there are not accepted",
        example: example(driver!(""), "HOST_FEATURES?0", "HOST_FEATURES=0"),
    }
    QUEUE_NUM_WRITTEN {
        id: "queue-num-written",
        text: "QUEUE_NUM is not written: there is no way to ask for a smaller virtqueue",
        party: Party::Driver,
        seen: Seen::Trace,
        v1_4: must(LEGACY_QUEUE, "QUEUE_NUM is R in 4.1.4.10, and there was no mechanism to \
            negotiate the queue size"),
        v0_9_5: convention(OLD_HEADER, "the table marks it R; the text says nothing of writes"),
        needs: "an access to QUEUE_NUM",
        why: "the device goes on with its own size, and finds the rings where the driver did not \
            put them",
        example: example(features!(" QUEUE_SEL=0"), "QUEUE_NUM?256", "QUEUE_NUM=128"),
    }
    CONFIG_OFFSET {
        id: "config-offset",
        text: "while MSI-X is enabled there are vectors at 20, else the device configuration is there",
        party: Party::Driver,
        seen: Seen::Trace,
        v1_4: must(LAYOUT_SECTION, "the driver MUST access it immediately after the general \
            headers, which are 4 bytes longer while MSI-X is enabled"),
        v0_9_5: must(OLD_VECTORS, "it starts at 24 when MSI-X is enabled, else at 20"),
        needs: "an access at 20 to 23 while MSI-X is known to be enabled, or, where nothing tells of \
            MSI-X, a vector that reads, directly after its write, as neither that nor NO_VECTOR",
        why: "a driver that takes the wrong offset reads vectors as a capacity or an address and \
            unmaps its interrupts, or writes vectors over the beginning of the configuration",
        example: example(concat!("[msix] ", features!("")), "CONFIG_VECTOR=0 CONFIG_VECTOR?0",
            "CONFIG_VECTOR?0/1"),
    }
    RESET_FIRST {
        id: "reset-first",
        text: "the device is reset before anything but its status is touched",
        party: Party::Driver,
        seen: Seen::Trace,
        v1_4: must(INIT, "step 1 of the sequence that MUST be followed"),
        v0_9_5: silent(OLD_INIT, "step 1 says that it is not required on initial start up"),
        needs: "the first access to the device",
        why: "firmware or an earlier driver may have left the device live, with virtqueues in \
            memory that now belongs to others",
        example: example("", "STATUS=0 STATUS?0 STATUS=1", "STATUS=1"),
    }
    RESET_COMPLETE {
        id: "reset-complete",
        text: "after a reset the driver goes on only when the status was read as 0",
        party: Party::Driver,
        seen: Seen::Trace,
        v1_4: should("2.4.2 Device Reset", "a reset is complete when the status reads 0; what \
            comes before belongs to the device as it was"),
        v0_9_5: silent(OLD_STATUS, "writing 0 resets the device; when that is complete is not \
            said"),
        needs: "an access after a reset",
        why: "a device may need time to stop its queues, and loses what is written until then",
        example: example("STATUS=0", "STATUS?0 STATUS=1", "STATUS=1"),
    }
    STATUS_CLEARED {
        id: "status-cleared",
        text: "no status bit is cleared but by a reset",
        party: Party::Driver,
        seen: Seen::Trace,
        v1_4: must(STATUS, "the driver MUST NOT clear a status bit"),
        v0_9_5: convention(OLD_STATUS, "the text says that the field shows progress, not that bits \
            stay"),
        needs: "a status written over another",
        why: "to take DRIVER_OK back is no way to stop a device, and a device need not notice",
        example: example(queue!(" STATUS=7"), "STATUS=0x87", "STATUS=0x80"),
    }
    STATUS_BITS {
        id: "status-bits",
        text: "a driver sets no status bits that are reserved or the device's",
        party: Party::Driver,
        seen: Seen::Trace,
        v1_4: convention(STATUS, "bits show completed steps; the text does not forbid others"),
        v0_9_5: convention(OLD_STATUS, "four bits are defined; the text does not forbid others"),
        needs: "a status written",
        why: "devices that know later versions read the bits as DEVICE_NEEDS_RESET or SUSPEND",
        example: example(reset!(""), "STATUS=1", "STATUS=0x41"),
    }
    FEATURES_OK {
        id: "features-ok",
        text: "FEATURES_OK is not set on the legacy interface",
        party: Party::Driver,
        seen: Seen::Trace,
        v1_4: must(LEGACY_INIT, "the sequence MUST be executed without steps 5 and 6"),
        v0_9_5: convention(OLD_STATUS, "the text does not have the bit"),
        needs: "a status written",
        why: "a legacy device does not keep the bit, so a driver that reads it back gives up",
        example: example(features!(""), "STATUS=3", "STATUS=0xb"),
    }
    STATUS_LOST {
        id: "status-lost",
        text: "the device still has the status bits that the driver set",
        party: Party::Device,
        seen: Seen::Trace,
        v1_4: convention("2.1 Device Status Field", "the text lets only a reset clear the field"),
        v0_9_5: convention(OLD_STATUS, "the text lets only a reset clear the field"),
        needs: "a status read after one was written",
        why: "a device that forgot its status was reset behind the driver's back",
        example: example(driver!(""), "STATUS?3", "STATUS?0"),
    }
    FAILED_CONTINUES {
        id: "failed-continues",
        text: "a driver that set FAILED resets the device before it goes on",
        party: Party::Driver,
        seen: Seen::Trace,
        v1_4: must(STATUS, "a driver that sets FAILED MUST reset the device before it initializes \
            it again"),
        v0_9_5: must(OLD_STATUS, "the device must be reset before attempting to re-initialize"),
        needs: "a status written after FAILED",
        why: "FAILED says that the driver has given up, and hypervisors stop serving the device",
        example: example(driver!(" STATUS=0x83"), "STATUS=0 STATUS?0 STATUS=1", "STATUS=0x87"),
    }
    ACK_BEFORE_DRIVER {
        id: "ack-before-driver",
        text: "DRIVER is not set without ACKNOWLEDGE",
        party: Party::Driver,
        seen: Seen::Trace,
        v1_4: must(INIT, "step 2 comes before step 3 of the sequence that MUST be followed"),
        v0_9_5: must(OLD_INIT, "step 2 comes before step 3"),
        needs: "DRIVER set",
        why: "a reset clears ACKNOWLEDGE too, so a driver that sets it before the reset has not \
            set it",
        example: example(reset!(""), "STATUS=1 STATUS=3", "STATUS=2"),
    }
    ACK_AND_DRIVER_APART {
        id: "ack-and-driver-apart",
        text: "ACKNOWLEDGE and DRIVER are set by two writes",
        party: Party::Driver,
        seen: Seen::Trace,
        v1_4: convention(INIT, "the text has two steps, and does not say that one write cannot do \
            both"),
        v0_9_5: convention(OLD_INIT, "the text has two steps, and does not say that one write \
            cannot do both"),
        needs: "DRIVER set",
        why: "devices that follow the steps one by one, as Firecracker, refuse the second \
            without the first",
        example: example(reset!(""), "STATUS=1 STATUS=3", "STATUS=3"),
    }
    DRIVER_BEFORE_FEATURES {
        id: "driver-before-features",
        text: "DRIVER is set before features are read or written",
        party: Party::Driver,
        seen: Seen::Trace,
        v1_4: must(INIT, "step 3 comes before step 4 of the sequence that MUST be followed"),
        v0_9_5: must(OLD_INIT, "step 3 comes before steps 4 and 5"),
        needs: "HOST_FEATURES read or GUEST_FEATURES written",
        why: "strict hypervisors refuse features of a driver that has not said that it is one",
        example: example(reset!(" STATUS=1"), "STATUS=3 HOST_FEATURES?0", "HOST_FEATURES?0"),
    }
    DRIVER_BEFORE_CONFIG {
        id: "driver-before-config",
        text: "DRIVER is set before the device configuration is read or written",
        party: Party::Driver,
        seen: Seen::Trace,
        v1_4: convention(INIT, "the text names reads in step 4 only, but 2.5.2 makes devices \
            answer \
            before; writes are another rule's"),
        v0_9_5: convention(OLD_INIT, "the text names accesses in step 4 only, and forbids none"),
        needs: "an access to the device configuration",
        why: "devices may fill their configuration when a driver is there, so what is read before \
            may be old",
        example: example(reset!(" STATUS=1"), "STATUS=3 config+0?0", "config+0?0"),
    }
    FEATURES_BEFORE_CONFIG_WRITE {
        id: "features-before-config-write",
        text: "features are accepted before the device configuration is written",
        party: Party::Driver,
        seen: Seen::Trace,
        v1_4: must(INIT, "in step 4 the driver MUST NOT write it; 3.1.2 makes transitional devices \
            bear it"),
        v0_9_5: silent(OLD_INIT, "step 4, before features, may write it"),
        needs: "the device configuration written",
        why: "what a field means, and whether it can be written, depends on the features",
        example: example(driver!(" HOST_FEATURES?0"), "GUEST_FEATURES=0 config+0=1", "config+0=1"),
    }
    FEATURES_OFFERED {
        id: "features-offered",
        text: "only features that were read as offered are accepted",
        party: Party::Driver,
        seen: Seen::Trace,
        v1_4: must(FEATURES, "the driver MUST NOT accept a feature that was not offered, and MUST \
            validate what is"),
        v0_9_5: must(OLD_FEATURES, "the guest writes the subset of the listed features that it \
            understands"),
        needs: "GUEST_FEATURES written, and HOST_FEATURES read before if any feature is accepted",
        why: "the device goes on without the feature, and the driver as if it had it",
        example: example(driver!(" HOST_FEATURES?0x10"), "GUEST_FEATURES=0x10",
            "GUEST_FEATURES=0x30"),
    }
    FEATURES_READ {
        id: "features-read",
        text: "the offered features have been read before any are accepted or refused",
        party: Party::Driver,
        seen: Seen::Trace,
        v1_4: must(INIT, "step 4 reads the feature bits and writes a subset; even of none"),
        v0_9_5: must(OLD_INIT, "reading them is in step 4, before they are written in step 5"),
        needs: "GUEST_FEATURES written",
        why: "a driver that does not look cannot see a feature that it must not go without",
        example: example(driver!(""), "HOST_FEATURES?0 GUEST_FEATURES=0", "GUEST_FEATURES=0"),
    }
    BIT_30 {
        id: "bit-30",
        text: "bit 30 is not accepted",
        party: Party::Driver,
        seen: Seen::Trace,
        v1_4: should("6.3 Legacy Interface: Reserved Feature Bits", "bit 30 SHOULD NOT be \
            negotiated"),
        v0_9_5: silent("Appendix B: Reserved Feature Bits", "the bit is not described"),
        needs: "GUEST_FEATURES written",
        why: "QEMU offers it to find drivers that copy all features without understanding them",
        example: example(driver!(" HOST_FEATURES?0x40000000"), "GUEST_FEATURES=0",
            "GUEST_FEATURES=0x40000000"),
    }
    DRIVER_BEFORE_QUEUES {
        id: "driver-before-queues",
        text: "DRIVER is set before virtqueues and vectors are set up",
        party: Party::Driver,
        seen: Seen::Trace,
        v1_4: must(INIT, "step 3 comes before step 7 of the sequence that MUST be followed"),
        v0_9_5: must(OLD_INIT, "step 3 comes before step 4"),
        needs: "QUEUE_PFN or a vector written",
        why: "strict hypervisors ignore virtqueues of a driver that has not said that it is one",
        example: example(reset!(" STATUS=1 QUEUE_SEL=0 QUEUE_NUM?256"),
            "STATUS=3 HOST_FEATURES?0 GUEST_FEATURES=0 QUEUE_PFN=0x1000", "QUEUE_PFN=0x1000"),
    }
    FEATURES_BEFORE_QUEUES {
        id: "features-before-queues",
        text: "features are accepted before virtqueues and vectors are set up",
        party: Party::Driver,
        seen: Seen::Trace,
        v1_4: must(INIT, "step 4 comes before step 7 of the sequence that MUST be followed, on the \
            legacy interface too"),
        v0_9_5: silent(OLD_INIT, OLD_ORDER),
        needs: "QUEUE_PFN or a vector written",
        why: "features say how the rings are used, and a device may fix them when the first \
            virtqueue is set up",
        example: example(driver!(" QUEUE_SEL=0 QUEUE_NUM?256"),
            "HOST_FEATURES?0 GUEST_FEATURES=0 QUEUE_PFN=0x1000", "QUEUE_PFN=0x1000"),
    }
    FEATURES_LATE {
        id: "features-late",
        text: "features are not written after a virtqueue has got a ring",
        party: Party::Driver,
        seen: Seen::Trace,
        v1_4: must(INIT, "step 4 comes before step 7 of the sequence that MUST be followed"),
        v0_9_5: silent(OLD_INIT, OLD_ORDER),
        needs: "GUEST_FEATURES written before DRIVER_OK",
        why: "the device has set the virtqueue up for the features that it knew",
        example: example(queue!(""), "QUEUE_SEL=1", "GUEST_FEATURES=0x10000000"),
    }
    FEATURES_AFTER_OK {
        id: "features-after-ok",
        text: "features are not written after DRIVER_OK",
        party: Party::Driver,
        seen: Seen::Trace,
        v1_4: must(INIT, "step 4 comes before step 8, and a reset is the only way to negotiate \
            again (2.2)"),
        v0_9_5: must(OLD_FEATURES, "the only way to renegotiate is to reset the device"),
        needs: "GUEST_FEATURES written, or DRIVER_OK set",
        why: "the device works on its virtqueues by the features that it knew at DRIVER_OK",
        example: example(queue!(""), "STATUS=7", "STATUS=7 GUEST_FEATURES=0x10000000"),
    }
    QUEUE_SELECT {
        id: "queue-select",
        text: "QUEUE_SEL is written, since the reset, before a virtqueue is accessed",
        party: Party::Driver,
        seen: Seen::Trace,
        v1_4: convention("4.1.5.1.3 Virtqueue Configuration", "the text says what drivers \
            typically \
            do, not what they must"),
        v0_9_5: must(OLD_QUEUE, "step 1 of what is done for each virtqueue"),
        needs: "QUEUE_NUM, QUEUE_PFN or QUEUE_VECTOR accessed",
        why: "which virtqueue is selected after a reset is not said, so it may be any",
        example: example(features!(""), "QUEUE_SEL=0 QUEUE_NUM?256", "QUEUE_NUM?256"),
    }
    QUEUE_SIZE {
        id: "queue-size",
        text: "the size of a virtqueue is read, and is not 0, before it is given a ring",
        party: Party::Driver,
        seen: Seen::Trace,
        v1_4: must("2.7.2 Legacy Interfaces: A Note on Virtqueue Layout", "the driver MUST \
            retrieve \
            the Queue Size from the device; one of size 0 does not exist"),
        v0_9_5: must(OLD_QUEUE, "step 2 of what is done for each virtqueue; one of size 0 does not \
            exist"),
        needs: "QUEUE_PFN written",
        why: "the size tells where the rings are in memory, and the device goes by its own",
        example: example(features!(" QUEUE_SEL=0"), "QUEUE_NUM?256 QUEUE_PFN=0x1000",
            "QUEUE_NUM?0 QUEUE_PFN=0x1000"),
    }
    PFN_RANGE {
        id: "pfn-range",
        text: "a ring ends at page 0x100000000 or below it",
        party: Party::Driver,
        seen: Seen::Trace,
        v1_4: must(LEGACY_QUEUE, "the register holds the physical address divided by 4096 in 32 \
            bits, and all parts of the ring follow it"),
        v0_9_5: must(OLD_QUEUE, "step 3: the physical address divided by 4096, in 32 bits"),
        needs: "QUEUE_PFN written for a virtqueue whose size was read",
        why: "a driver that cuts the address off lets the device write into the memory of others",
        example: example(features!(" QUEUE_SEL=0 QUEUE_NUM?256"), "QUEUE_PFN=0xfffffffc",
            "QUEUE_PFN=0xffffffff"),
    }
    QUEUE_LIVE {
        id: "queue-live",
        text: "a virtqueue that has a ring is not given another",
        party: Party::Driver,
        seen: Seen::Trace,
        v1_4: convention(CLEANUP, "the text wants a reset before buffers are taken back; a ring \
            that was not used yet is not named"),
        v0_9_5: convention(OLD_QUEUE, "the text sets each virtqueue up once; Linux refuses \
            another"),
        needs: "QUEUE_PFN written",
        why: "the device may still use the first ring, whose memory the driver now takes for free",
        example: example(features!(" QUEUE_SEL=0 QUEUE_NUM?256"), "QUEUE_PFN=0x1000",
            "QUEUE_PFN=0x1000 QUEUE_PFN=0x1004"),
    }
    VECTOR_READ_BACK {
        id: "vector-read-back",
        text: "a vector is read back after it is written, before DRIVER_OK and before another",
        party: Party::Driver,
        seen: Seen::Trace,
        v1_4: must(VECTORS, "after mapping an event the driver MUST verify success by reading"),
        v0_9_5: must(OLD_VECTORS, "the driver must verify success by reading the field"),
        needs: "a vector written",
        why: "a device may have no room for it, and then no interrupt ever comes",
        example: example(queue!(""), "QUEUE_VECTOR=1 QUEUE_VECTOR?1 STATUS=7",
            "QUEUE_VECTOR=1 STATUS=7"),
    }
    VECTOR_REFUSED {
        id: "vector-refused",
        text: "the device is not set live with a vector that it refused",
        party: Party::Driver,
        seen: Seen::Trace,
        v1_4: convention(VECTORS, "the text lists what the driver MAY do: fewer vectors, no MSI-X, \
            or report failure; to go on is not in the list"),
        v0_9_5: convention(OLD_VECTORS, "the text lists fewer vectors or no MSI-X"),
        needs: "DRIVER_OK set after a vector was read back",
        why: "the virtqueue works, but its interrupts never come, which looks like a hang",
        example: example(queue!(""), "QUEUE_VECTOR=1 QUEUE_VECTOR?1 STATUS=7",
            "QUEUE_VECTOR=1 QUEUE_VECTOR?0xffff STATUS=7"),
    }
    DRIVER_BEFORE_OK {
        id: "driver-before-ok",
        text: "DRIVER is set before DRIVER_OK",
        party: Party::Driver,
        seen: Seen::Trace,
        v1_4: must(INIT, "step 3 comes before step 8 of the sequence that MUST be followed"),
        v0_9_5: must(OLD_INIT, "step 3 comes before step 6"),
        needs: "DRIVER_OK set",
        why: "the device is told that a driver is ready which it has not been told of",
        example: example(queue!(""), "STATUS=7", "STATUS=0 STATUS?0 STATUS=1 STATUS=5"),
    }
    FEATURES_BEFORE_OK {
        id: "features-before-ok",
        text: "features are accepted before DRIVER_OK, if only none",
        party: Party::Driver,
        seen: Seen::Trace,
        v1_4: must(INIT, "step 4 comes before step 8 of the sequence that MUST be followed"),
        v0_9_5: must(OLD_INIT, "step 5 comes before step 6"),
        needs: "DRIVER_OK set",
        why: "a device that waits for the features to begin does not begin",
        example: example(driver!(" HOST_FEATURES?0 QUEUE_SEL=0 QUEUE_NUM?256"),
            "GUEST_FEATURES=0 QUEUE_PFN=0x1000 STATUS=7", "STATUS=7"),
    }
    QUEUES_BEFORE_OK {
        id: "queues-before-ok",
        text: "there is a virtqueue with a ring at DRIVER_OK",
        party: Party::Driver,
        seen: Seen::Trace,
        v1_4: must(INIT, "step 7 comes before step 8 of the sequence that MUST be followed; \
            devices \
            of all legacy types have virtqueues"),
        v0_9_5: must(OLD_INIT, "step 4 comes before step 6"),
        needs: "DRIVER_OK set",
        why: "hypervisors start their threads at DRIVER_OK, for the virtqueues that are there then",
        example: example(features!(" QUEUE_SEL=0 QUEUE_NUM?256"), "QUEUE_PFN=0x1000 STATUS=7",
            "STATUS=7"),
    }
    QUEUES_LATE {
        id: "queues-late",
        text: "no virtqueue or vector is set up after DRIVER_OK",
        party: Party::Driver,
        seen: Seen::Trace,
        v1_4: must(INIT, "step 7 comes before step 8 of the sequence that MUST be followed"),
        v0_9_5: must(OLD_INIT, "step 4 comes before step 6"),
        needs: "QUEUE_PFN or a vector written, or DRIVER_OK set",
        why: "hypervisors that start their threads at DRIVER_OK never look at the virtqueue",
        example: example(queue!(" QUEUE_SEL=1 QUEUE_NUM?256"), "QUEUE_PFN=0x2000 STATUS=7",
            "STATUS=7 QUEUE_PFN=0x2000"),
    }
    NOTIFY_EARLY {
        id: "notify-early",
        text: "no notification before DRIVER_OK",
        party: Party::Driver,
        seen: Seen::Trace,
        v1_4: must(INIT, "the driver MUST NOT notify before DRIVER_OK; 3.1.2 makes transitional \
            devices bear it"),
        v0_9_5: convention(OLD_INIT, OLD_FOOTNOTE),
        needs: "QUEUE_NOTIFY written",
        why: "a device that is not live yet may lose the notification, and the buffer waits for \
            ever",
        example: example(queue!(""), "STATUS=7 QUEUE_NOTIFY=0", "QUEUE_NOTIFY=0"),
    }
    NOTIFY_ABSENT {
        id: "notify-absent",
        text: "no notification of a virtqueue that the device does not have",
        party: Party::Driver,
        seen: Seen::Trace,
        v1_4: must(NOTIFICATIONS, "the value MUST be the index of a virtqueue"),
        v0_9_5: must(OLD_NOTIFY, "the index of the virtqueue is written"),
        needs: "QUEUE_NOTIFY written after DRIVER_OK",
        why: "a device may use the value as an index, and hypervisors take such a guest for \
            hostile",
        example: example(queue!(" QUEUE_SEL=1 QUEUE_NUM?0 STATUS=7"), "QUEUE_NOTIFY=0",
            "QUEUE_NOTIFY=1"),
    }
    NOTIFY_DEAD {
        id: "notify-dead",
        text: "no notification of a virtqueue that has no ring",
        party: Party::Driver,
        seen: Seen::Trace,
        v1_4: convention(NOTIFICATIONS, "the text says that buffers are available, which there \
            cannot be"),
        v0_9_5: convention(OLD_NOTIFY, "the text allows gratuitous notifications of virtqueues \
            that \
            are set up"),
        needs: "QUEUE_NOTIFY written after DRIVER_OK",
        why: "the driver waits for buffers that the device cannot see",
        example: example(queue!(" QUEUE_SEL=1 QUEUE_NUM?64 STATUS=7"), "QUEUE_NOTIFY=0",
            "QUEUE_NOTIFY=1"),
    }
    ISR_MSIX {
        id: "isr-with-msix",
        text: "ISR is not read while the device is live with MSI-X",
        party: Party::Driver,
        seen: Seen::Trace,
        v1_4: should(ISR_SECTION, "the driver SHOULD NOT access it upon a queue interrupt"),
        v0_9_5: convention(OLD_VECTORS, "the text says that the field is unused"),
        needs: "an access after DRIVER_OK while MSI-X is known to be enabled",
        why: "each read is an exit from the guest for a value that says nothing",
        example: example(concat!("[msix] ", queue!(" STATUS=7")), "QUEUE_NOTIFY=0", "ISR?1"),
    }
    TEARDOWN_LIVE {
        id: "teardown-live",
        text: "the device is reset before its virtqueues are taken down",
        party: Party::Driver,
        seen: Seen::Trace,
        v1_4: must(CLEANUP, "a virtqueue MUST be made not live, by a reset, before exposed buffers \
            are taken back"),
        v0_9_5: convention(OLD_QUEUE, "the text has no way to take one down; QEMU takes a ring \
            address of 0 for a reset"),
        needs: "QUEUE_PFN written with 0, or a reset",
        why: "the device may be about to write to the buffers that the driver frees",
        example: example(queue!(" STATUS=7"), "STATUS=0 STATUS?0 QUEUE_SEL=0 QUEUE_PFN=0",
            "QUEUE_PFN=0"),
    }
    VECTOR_OFF_LIVE {
        id: "vector-off-live",
        text: "the device is reset before its interrupts are unmapped",
        party: Party::Driver,
        seen: Seen::Trace,
        v1_4: convention("4.1.5.1.2 MSI-X Vector Configuration", "the text allows to unmap an \
            event \
            at any time; Linux resets first"),
        v0_9_5: convention(OLD_VECTORS, "the text allows to unmap an event at any time"),
        needs: "a vector written with NO_VECTOR, or a reset",
        why: "buffers that are used in between are never told of",
        example: example(queue!(" STATUS=7"), "STATUS=0 STATUS?0 CONFIG_VECTOR=0xffff",
            "CONFIG_VECTOR=0xffff"),
    }
    PFN_ZERO {
        id: "no-reset-after-pfn-0",
        text: "after a ring address of 0 the handshake begins again with a reset",
        party: Party::Driver,
        seen: Seen::Trace,
        v1_4: convention(CLEANUP, "the text does not give 0 a meaning; QEMU resets the whole \
            device"),
        v0_9_5: convention(OLD_QUEUE, "the text does not give 0 a meaning; QEMU resets the whole \
            device"),
        needs: "QUEUE_PFN written with 0 in the midst of a handshake",
        why: "on QEMU the status, the features and all other virtqueues are gone, silently",
        example: example(queue!(" QUEUE_PFN=0"), "STATUS=0 STATUS?0 STATUS=1", "STATUS=7"),
    }
    FROZEN {
        id: "frozen",
        text: "between freeze and restore the device is left alone, but for its teardown",
        party: Party::Driver,
        seen: Seen::Trace,
        v1_4: convention("2.4 Device Reset", "the text does not know sleep; Linux expects devices \
            that are frozen to be quiet"),
        v0_9_5: convention(OLD_STATUS, "the text does not know sleep"),
        needs: "an access after a freeze, which the trace must mark",
        why: "what is done to the device between the image and the power-off is lost or done twice",
        example: example(concat!(queue!(" STATUS=7"), " [freeze] STATUS=0 STATUS?0"),
            "CONFIG_VECTOR=0xffff", "QUEUE_NOTIFY=0"),
    }
    BUS_MASTER {
        id: "bus-master",
        text: "bus mastering is on when DRIVER_OK is set and when a virtqueue is notified",
        party: Party::Driver,
        seen: Seen::Device,
        v1_4: must("4.1 Virtio Over PCI Bus", "a PCI device accesses memory only with bus \
            mastering (PCI Local Bus 3.0, 6.2.2)"),
        v0_9_5: must("1 Purpose and Description", "virtio devices use normal PCI mechanisms of \
            DMA"),
        needs: "the command register of the function",
        why: "a device that keeps to PCI cannot read its virtqueues without it",
        example: None,
    }
    CONFIG_LENGTH {
        id: "config-length",
        text: "the device configuration is accessed as far as it goes",
        party: Party::Driver,
        seen: Seen::Device,
        v1_4: must("2.5.1 Device Configuration Space", "fields are accessed only if their feature \
            is offered, and the space must be large enough for them"),
        v0_9_5: must(OLD_FEATURES, "a new field is indicated by a feature bit that is checked \
            before"),
        needs: "how long the device configuration is",
        why: "behind it may be nothing, or registers of another device",
        example: None,
    }
    VECTOR_RANGE {
        id: "vector-range",
        text: "a vector is one of those in the MSI-X table",
        party: Party::Driver,
        seen: Seen::Device,
        v1_4: must(VECTORS, "the driver MUST NOT map an event to a vector outside of the table"),
        v0_9_5: must(OLD_VECTORS, "a valid entry number of the table is written"),
        needs: "how many vectors the table has",
        why: "the device has nowhere to send the interrupt",
        example: None,
    }
    RING_MEMORY {
        id: "ring-memory",
        text: "all parts of a ring are in memory",
        party: Party::Driver,
        seen: Seen::Device,
        v1_4: must("2.7.2 Legacy Interfaces: A Note on Virtqueue Layout", "the driver MUST \
            allocate \
            all bytes of the virtqueue"),
        v0_9_5: must(OLD_QUEUE, "step 3 allocates the virtqueue in contiguous physical memory"),
        needs: "the guest's memory",
        why: "the device reads and writes there without asking",
        example: None,
    }
    BUFFER_MEMORY {
        id: "buffer-memory",
        text: "the descriptors of a buffer are in their table and the buffer is in memory",
        party: Party::Driver,
        seen: Seen::Device,
        v1_4: must("2.7.5 The Virtqueue Descriptor Table", "descriptors hold guest-physical \
            addresses, and chains stay in the table"),
        v0_9_5: must("2.3.1 Descriptor Table", "addresses are physical, and chains go by the next \
            field in the table"),
        needs: "the guest's memory",
        why: "the device reads and writes there without asking",
        example: None,
    }
    AVAILABLE_AFTER_RESET {
        id: "available-after-reset",
        text: "no buffer is made available between a reset and the read that shows it complete",
        party: Party::Driver,
        seen: Seen::Device,
        v1_4: should("2.4.2 Device Reset", "until the status reads 0 the device is not reset, and \
            its virtqueues are those of before"),
        v0_9_5: silent(OLD_STATUS, "when a reset is complete is not said"),
        needs: "the guest's memory",
        why: "the device may take the buffer, or not, as it finds time",
        example: None,
    }
}
