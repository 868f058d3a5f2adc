//! Random calls, compared with a model that knows only which circuits are busy.

use std::collections::{BTreeSet, VecDeque};

use proptest::collection::vec;
use proptest::prelude::{Strategy, any, prop_oneof};
use proptest::test_runner::TestCaseError;
use proptest::{prop_assert, prop_assert_eq, proptest};
use tower_breaker::keyed::CircuitBreakerRegistry;
use tower_breaker::{Permit, State};

use crate::numbered;

const CAPACITY: u32 = 6;

#[derive(Debug, Clone)]
enum Step {
    /// A call that succeeds at once.
    Call(u32),
    /// The beginning of a call that is still in flight afterwards.
    Begin(u32),
    /// The end of the oldest call in flight, and whether it fails.
    End(bool),
    /// Trips the circuit of a key, if the registry has it.
    Trip(u32),
    /// Resets the circuit of a key, if the registry has it.
    Reset(u32),
}

fn step() -> impl Strategy<Value = Step> {
    let key = || 0..20_u32;
    prop_oneof![
        4 => key().prop_map(Step::Call),
        2 => key().prop_map(Step::Begin),
        2 => any::<bool>().prop_map(Step::End),
        1 => key().prop_map(Step::Trip),
        2 => key().prop_map(Step::Reset),
    ]
}

/// A call in flight.
struct Begun {
    key: u32,
    permit: Permit,
    /// Whether the state of its circuit has changed since, so that its result does not count.
    is_stale: bool,
}

struct Model {
    circuits: CircuitBreakerRegistry<u32>,
    open: BTreeSet<u32>,
    begun: VecDeque<Begun>,
}

impl Model {
    fn busy(&self) -> BTreeSet<u32> {
        self.open.iter().copied().chain(self.begun.iter().map(|call| call.key)).collect()
    }

    /// Asks for admission. Returns `None` if the call is rejected or its circuit is not kept.
    fn ask(&self, key: u32) -> Result<Option<Permit>, TestCaseError> {
        let (busy, is_new) = (self.busy(), self.circuits.get(&key).is_none());
        let admitted = self.circuits.get_or_create(&key).try_acquire();
        prop_assert_eq!(admitted.is_err(), self.open.contains(&key));
        let is_kept = !is_new || busy.len() < CAPACITY as usize;
        prop_assert_eq!(self.circuits.get(&key).is_some(), is_kept);
        Ok(admitted.ok().filter(|_| is_kept))
    }

    /// Notes that the circuit of a key has opened or closed.
    fn change(&mut self, key: u32, is_open: bool) {
        self.begun.iter_mut().filter(|call| call.key == key).for_each(|call| call.is_stale = true);
        if is_open {
            self.open.insert(key)
        } else {
            self.open.remove(&key)
        };
    }

    fn take(&mut self, step: &Step) -> Result<(), TestCaseError> {
        match *step {
            Step::Call(key) => self.ask(key)?.into_iter().for_each(Permit::success),
            Step::Begin(key) => {
                let permit = self.ask(key)?;
                self.begun.extend(permit.map(|permit| Begun { key, permit, is_stale: false }));
            }
            Step::End(fails) => match self.begun.pop_front() {
                Some(Begun { key, permit, is_stale }) if fails => {
                    permit.failure();
                    if !is_stale {
                        self.change(key, true);
                    }
                }
                call => call.into_iter().for_each(|call| call.permit.success()),
            },
            Step::Trip(key) => {
                if let Some(breaker) = self.circuits.get(&key) {
                    breaker.trip();
                    self.change(key, true);
                }
            }
            Step::Reset(key) => {
                if let Some(breaker) = self.circuits.get(&key) {
                    breaker.reset();
                    self.change(key, false);
                }
            }
        }
        Ok(())
    }

    fn check(&self) -> Result<(), TestCaseError> {
        prop_assert!(self.circuits.len() <= CAPACITY as usize);
        for key in self.busy() {
            let breaker = self.circuits.get(&key);
            let expected = if self.open.contains(&key) { State::Open } else { State::Closed };
            prop_assert_eq!(breaker.map(|breaker| breaker.state()), Some(expected), "{}", key);
        }
        Ok(())
    }
}

proptest! {
    #[test]
    fn busy_circuits_stay_and_new_ones_share_the_rest_of_the_capacity(steps in vec(step(), 1..200)) {
        let circuits = numbered(CAPACITY);
        let mut model = Model { circuits, open: BTreeSet::new(), begun: VecDeque::new() };
        for step in &steps {
            model.take(step)?;
            model.check()?;
        }
    }
}
