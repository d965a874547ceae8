// SPDX-License-Identifier: GPL-2.0

//! Whether KVM can be used, found out by using it.

use std::time::Duration;

use crate::driver::Accel;
use crate::failure::Outcome;
use crate::layout::{Board, Interrupts, Layout};
use crate::runner::fresh_folder;
use crate::setup::Setup;
use crate::vm::Vm;

/// How long a guest may take that only has to boot, on KVM.
const PROBE: Duration = Duration::from_secs(20);

/// Boots a guest on KVM and hears it answer.
fn probe(setup: &Setup) -> Outcome {
    let mut setup = setup.clone();
    setup.accel = Accel::Kvm;
    let dir = fresh_folder(&setup.logs, "kvm-probe")?;
    let layout = Layout::new(Board::Pc, Interrupts::PerQueue, 1).with_kinds(&[]);
    let mut vm = Vm::boot(&setup, &layout, &dir, PROBE)?;
    vm.ok_within("uname -r", PROBE)?;
    drop(vm);
    Vm::tidy(&dir);
    Ok(())
}

/// Takes what was wished for if it works, else TCG, and says why.
pub fn choose(setup: &mut Setup, wish: Accel) {
    setup.accel = wish;
    if wish == Accel::Kvm {
        if let Err(failure) = probe(setup) {
            eprintln!("no KVM, going on with TCG: the probe guest did not answer: {failure}");
            setup.accel = Accel::Tcg;
        }
    }
}
