//! Which circuits are shown, and in which order.

use std::cmp::Ordering;
use std::sync::Arc;

use axum::extract::Query;
use axum::http::Uri;
use serde::{Deserialize, Serialize};

use super::circuits::Circuits;
use super::error::Error;
use super::row::Row;
use crate::breaker::CircuitBreaker;
use crate::circuit::Circuit;
use crate::machine::State;
use crate::snapshot::{Snapshot, TripRule};

/// What is asked for.
pub(super) struct Choice {
    pub(super) state: Option<State>,
    pub(super) limit: usize,
    /// The number of the circuit that is shown in full. Only the page has this.
    pub(super) circuit: Option<u64>,
}

#[derive(Deserialize)]
struct Asked {
    state: Option<String>,
    limit: Option<String>,
    circuit: Option<String>,
}

#[derive(Serialize)]
pub(super) struct Listing {
    pub(super) circuits: Vec<Row>,
    pub(super) counts: Counts,
    pub(super) operations: bool,
}

/// How many circuits there are in each state, listed or not.
#[derive(Default, Serialize)]
pub(super) struct Counts {
    pub(super) closed: usize,
    pub(super) open: usize,
    pub(super) half_open: usize,
}

const MOST: usize = 1000;

impl Choice {
    pub(super) fn read(uri: &Uri) -> Result<Self, Error> {
        let Query(asked) = Query::<Asked>::try_from_uri(uri)
            .map_err(|error| Error::bad_request(error.body_text()))?;
        let state = match asked.state.as_deref() {
            None | Some("") => None,
            Some(name) => {
                let states = [State::Closed, State::Open, State::HalfOpen];
                let found = states.into_iter().find(|state| state.name() == name);
                let error = || Error::bad_request("`state` is `closed`, `open` or `half_open`");
                Some(found.ok_or_else(error)?)
            }
        };
        let limit = match asked.limit.as_deref() {
            None => 100,
            Some(text) => text
                .parse()
                .ok()
                .filter(|limit| (1..=MOST).contains(limit))
                .ok_or_else(|| Error::bad_request("`limit` is a number from 1 to 1000"))?,
        };
        Ok(Self { state, limit, circuit: asked.circuit.and_then(|number| number.parse().ok()) })
    }
}

/// How much a circuit needs attention. The greatest comes first.
#[derive(Clone, Copy, PartialEq, PartialOrd)]
struct Need {
    group: Group,
    /// Within its group, the greater the more.
    degree: f64,
}

#[derive(Clone, Copy, PartialEq, PartialOrd)]
enum Group {
    AtRest,
    Failing,
    /// An operator holds it closed, so nothing protects its callers.
    HeldClosed,
    /// It is not closed and turns nobody away.
    Shadow,
    HalfOpen,
    Open,
}

impl Need {
    const NONE: Self = Self { group: Group::AtRest, degree: 0.0 };

    fn of(snapshot: &Snapshot) -> Self {
        let near = snapshot.trip_rules().next().as_ref().map_or(0.0, TripRule::progress);
        // What has just happened comes before what is known already.
        let recent = -snapshot.age().as_secs_f64();
        let enforced = snapshot.enforcement() > 0.0 || snapshot.is_forced();
        let (group, degree) = match snapshot.state() {
            State::Closed if snapshot.is_forced() => (Group::HeldClosed, near),
            State::Closed if snapshot.failures() + snapshot.slow_calls() > 0 => {
                (Group::Failing, near)
            }
            State::Closed if snapshot.consecutive_failures() > 0 => (Group::Failing, near),
            State::Closed => return Self::NONE,
            _ if !enforced => (Group::Shadow, recent),
            State::HalfOpen => (Group::HalfOpen, recent),
            State::Open => (Group::Open, recent),
        };
        Self { group, degree }
    }
}

struct Candidate {
    need: Need,
    /// The place in the order in which the circuits were found, so that the list does not jump.
    place: usize,
    breaker: CircuitBreaker,
    registry: Option<Arc<str>>,
}

impl Candidate {
    fn compare(&self, other: &Self) -> Ordering {
        let by_need = other.need.partial_cmp(&self.need).unwrap_or(Ordering::Equal);
        by_need.then(self.place.cmp(&other.place))
    }
}

/// Returns the state of a circuit, and how much it needs attention. Almost all circuits of a large registry are healthy,
/// and a snapshot of each would take most of the time.
fn look(breaker: &CircuitBreaker, circuit: &Circuit) -> (State, Need) {
    if circuit.is_known_to_be_healthy() {
        return (State::Closed, Need::NONE);
    }
    let snapshot = breaker.snapshot();
    (snapshot.state(), Need::of(&snapshot))
}

/// Looks at all circuits, a few at a time.
pub(super) async fn list(circuits: &Circuits, choice: &Choice, operations: bool) -> Listing {
    let mut counts = Counts::default();
    let mut candidates: Vec<Candidate> = Vec::new();
    let mut place = 0;
    for source in circuits.sources() {
        let registry = source.registry();
        let mut from = Some(0);
        while let Some(at) = from {
            from = source.some_circuits(at, &mut |breaker, circuit| {
                let (state, need) = look(breaker, circuit);
                counts.count(state);
                place += 1;
                // Of those at rest, the first ones are shown.
                let may_be_shown = need.group > Group::AtRest || candidates.len() < choice.limit;
                if may_be_shown && choice.state.is_none_or(|asked| asked == state) {
                    let (breaker, registry) = (breaker.clone(), registry.clone());
                    candidates.push(Candidate { need, place, breaker, registry });
                }
            });
            if candidates.len() > 2 * choice.limit + 64 {
                candidates.select_nth_unstable_by(choice.limit, Candidate::compare);
                candidates.truncate(choice.limit);
            }
            // A registry may be large, and others use the thread as well.
            tokio::task::yield_now().await;
        }
    }
    candidates.sort_unstable_by(Candidate::compare);
    candidates.truncate(choice.limit);
    let numbers = &circuits.numbers;
    let rows = candidates
        .into_iter()
        .map(|candidate| Row::new(numbers.number(candidate.breaker, candidate.registry.as_ref())));
    Listing { circuits: rows.collect(), counts, operations }
}

impl Counts {
    fn count(&mut self, state: State) {
        match state {
            State::Closed => self.closed += 1,
            State::Open => self.open += 1,
            State::HalfOpen => self.half_open += 1,
        }
    }
}
