// SPDX-License-Identifier: GPL-2.0

//! The life cycle: each event in each state, and each sequence of events.

use std::collections::HashSet;

use crate::legacy::life::{Cause, Driver, Held, Life, LifeEvent};

const CAUSES: [Cause; 2] = [Cause::Sleep, Cause::Reset];

const HELD: [Held; 5] = [
    Held::Idle,
    Held::Frozen,
    Held::InReset,
    Held::Live,
    Held::Unprepared,
];

/// Sequences of events are tried up to this length.
const LENGTH: usize = 9;

fn states() -> Vec<Life> {
    let mut states = vec![
        Life::New,
        Life::AwaitingReset(0),
        Life::AwaitingReset(7),
        Life::Working,
        Life::Suspect(3),
        Life::Leaving,
    ];
    for cause in CAUSES {
        states.push(Life::Stopping(cause));
        for held in HELD {
            states.push(Life::Stopped(cause, held));
            states.push(Life::Starting(cause, held));
        }
    }
    for driver in [
        Driver::Running,
        Driver::Frozen(Cause::Sleep),
        Driver::Frozen(Cause::Reset),
    ] {
        for stopped in [None, Some(Cause::Sleep), Some(Cause::Reset)] {
            states.push(Life::Detached(driver, stopped));
        }
    }
    states
}

fn events() -> Vec<LifeEvent> {
    let mut events = vec![
        LifeEvent::ResetSlow(7),
        LifeEvent::ResetComplete,
        LifeEvent::Alarm(3),
        LifeEvent::AlarmWithdrawn,
        LifeEvent::Lost,
        LifeEvent::StopFailed,
        LifeEvent::Start,
        LifeEvent::DriverRestored,
        LifeEvent::Started,
        LifeEvent::Leave,
    ];
    events.extend(CAUSES.map(LifeEvent::Stop));
    events.extend(HELD.map(LifeEvent::Stopped));
    events
}

/// What the drawing says, state by state: a second opinion to [`Life::after`].
fn drawn(state: Life, event: LifeEvent) -> Option<Life> {
    use LifeEvent as E;
    let frozen = |held, cause| match held {
        Held::Frozen => Driver::Frozen(cause),
        _ => Driver::Running,
    };
    let next = match state {
        Life::New => match event {
            E::ResetSlow(now) => Life::AwaitingReset(now),
            E::ResetComplete => Life::Working,
            E::Lost => Life::Detached(Driver::Running, None),
            E::Leave => Life::Leaving,
            _ => return None,
        },
        Life::AwaitingReset(_) => match event {
            E::ResetComplete => Life::Working,
            E::Stop(cause) => Life::Stopping(cause),
            E::Lost => Life::Detached(Driver::Running, None),
            E::Leave => Life::Leaving,
            _ => return None,
        },
        Life::Working => match event {
            E::Alarm(now) => Life::Suspect(now),
            // After a sleep or a reset of a device whose first reset was not complete.
            E::ResetSlow(now) => Life::AwaitingReset(now),
            E::Stop(cause) => Life::Stopping(cause),
            E::Lost => Life::Detached(Driver::Running, None),
            E::Leave => Life::Leaving,
            _ => return None,
        },
        Life::Suspect(_) => match event {
            E::AlarmWithdrawn => Life::Working,
            E::Stop(cause) => Life::Stopping(cause),
            E::Lost => Life::Detached(Driver::Running, None),
            E::Leave => Life::Leaving,
            _ => return None,
        },
        Life::Stopping(cause) => match event {
            E::Stopped(held) => Life::Stopped(cause, held),
            E::StopFailed => Life::Working,
            E::Lost => Life::Detached(Driver::Running, Some(cause)),
            _ => return None,
        },
        Life::Stopped(cause, held) => match event {
            E::Start => Life::Starting(cause, held),
            E::Lost => Life::Detached(frozen(held, cause), Some(cause)),
            _ => return None,
        },
        Life::Starting(cause, held) => match event {
            E::Started => Life::Working,
            E::DriverRestored if held == Held::Frozen => Life::Starting(cause, Held::Idle),
            E::Lost => Life::Detached(frozen(held, cause), Some(cause)),
            _ => return None,
        },
        Life::Detached(driver, None) => match event {
            E::Stop(cause) => Life::Detached(driver, Some(cause)),
            E::DriverRestored if driver != Driver::Running => Life::Detached(Driver::Running, None),
            E::Lost => state,
            E::Leave => Life::Leaving,
            _ => return None,
        },
        Life::Detached(driver, Some(cause)) => match event {
            E::Stopped(Held::Frozen) => Life::Detached(Driver::Frozen(cause), Some(cause)),
            E::Stopped(_) | E::Lost => state,
            E::Start => match driver {
                Driver::Frozen(cause) => Life::Starting(cause, Held::Frozen),
                Driver::Running => state,
            },
            E::StopFailed | E::Started => Life::Detached(driver, None),
            E::DriverRestored if driver != Driver::Running => {
                Life::Detached(Driver::Running, Some(cause))
            }
            E::Leave => Life::Leaving,
            _ => return None,
        },
        Life::Leaving => match event {
            E::Lost | E::Stop(_) | E::Start | E::Leave => Life::Leaving,
            _ => return None,
        },
    };
    Some(next)
}

#[test]
fn each_event_in_each_state_is_as_drawn() {
    for state in states() {
        for event in events() {
            assert_eq!(
                state.after(event).ok(),
                drawn(state, event),
                "{event:?} in {state:?}"
            );
        }
    }
}

#[test]
fn an_illegal_event_names_itself_and_the_state() {
    let illegal = Life::New.after(LifeEvent::Started).unwrap_err();
    assert_eq!(illegal.to_string(), "event Started in state New");
}

/// What is true of the device outside of the life cycle.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
struct World {
    is_frozen: bool,
    is_lost: bool,
    is_stopped: bool,
    has_left: bool,
}

impl World {
    /// What `event` changes, in `state`.
    fn after(mut self, state: Life, event: LifeEvent) -> Self {
        match event {
            LifeEvent::Stop(_) => self.is_stopped = true,
            LifeEvent::Start => self.is_lost &= !self.is_frozen,
            LifeEvent::StopFailed => self.is_stopped = false,
            LifeEvent::Stopped(Held::Frozen) => self.is_frozen = true,
            LifeEvent::DriverRestored => self.is_frozen = false,
            LifeEvent::Started => {
                self.is_stopped = false;
                // Without a restore, no driver was bound any more.
                self.is_frozen &= self.is_lost;
            }
            LifeEvent::Lost if state != Life::Leaving => self.is_lost = true,
            LifeEvent::Leave => self.has_left = true,
            _ => {}
        }
        self
    }

    fn check(self, state: Life) {
        if self.has_left {
            assert_eq!(state, Life::Leaving, "what has left stays so");
            return;
        }
        assert_eq!(
            self.is_lost,
            state.is_detached(),
            "what is lost stays so: {state:?}"
        );
        if let Life::Detached(driver, stopped) = state {
            assert_eq!(self.is_frozen, driver != Driver::Running, "{state:?}");
            assert_eq!(self.is_stopped, stopped.is_some(), "{state:?}");
            let may_leave = !self.is_frozen && !self.is_stopped;
            assert_eq!(state.may_leave(), may_leave, "{state:?}");
            assert_eq!(state.frozen().is_some(), self.is_frozen, "{state:?}");
        }
        if self.is_stopped {
            assert!(!state.has_registers(), "{state:?}");
        }
    }
}

#[test]
fn no_sequence_of_events_contradicts_the_world() {
    let mut reached = HashSet::from([("New".to_owned(), World::default())]);
    let mut last = vec![(Life::New, World::default())];
    for _ in 0..LENGTH {
        let mut next = Vec::new();
        for (state, world) in last {
            for event in events() {
                // A driver that is frozen cannot be frozen again.
                if event == LifeEvent::Stopped(Held::Frozen) && world.is_frozen {
                    continue;
                }
                let Ok(state_after) = state.after(event) else {
                    continue;
                };
                let world_after = world.after(state, event);
                world_after.check(state_after);
                if reached.insert((format!("{state_after:?}"), world_after)) {
                    next.push((state_after, world_after));
                }
            }
        }
        last = next;
    }
}

#[test]
fn every_state_but_the_last_can_end() {
    for state in states() {
        let mut state = state;
        for event in [
            LifeEvent::Lost,
            LifeEvent::Started,
            LifeEvent::DriverRestored,
            LifeEvent::Leave,
        ] {
            state = state.after(event).unwrap_or(state);
        }
        assert_eq!(state, Life::Leaving);
    }
}
