//! Replays traffic through a circuit: what would these settings have done? Requires the feature `replay`.
//!
//! Whether a breaker opens in the next outage depends on its settings and on the traffic: a rate that is judged from 20
//! calls on never trips the circuit of a client that makes 10 calls per window. This module answers the question
//! before the outage does. It runs the same state machine as a [`CircuitBreaker`](crate::CircuitBreaker), in virtual
//! time: without a clock, without a runtime, and at some millions of calls per second.
//!
//! There are three sources of traffic:
//!
//! * A [`Scenario`] is made up: a black hole, a brown-out, one lost connection, ...
//! * A [`Recorder`] records what your program calls. It is a [`Listener`](crate::Listener).
//! * [`Trace::read_csv`] reads a file. The program `tower-breaker-tune` also converts access logs.
//!
//! # Testing settings
//! An assertion for your own tests takes one line, and its message says why the circuit stayed closed:
//!
//! ```
//! use std::time::Duration;
//! use tower_breaker::CircuitBreaker;
//! use tower_breaker::replay::{Scenario, assert_opens_within, assert_recovers_within, assert_sheds_at_most};
//!
//! let settings = CircuitBreaker::builder("payments")
//!     .consecutive_failures(5)
//!     .failure_rate_threshold(0.5);
//!
//! // 50 calls per second, none of which is answered within 1 s.
//! let outage = Scenario::black_hole(50, Duration::from_secs(1));
//! assert_opens_within(&settings, &outage, Duration::from_secs(5));
//! assert_recovers_within(&settings, &outage, Duration::from_secs(30));
//!
//! // The three calls on one lost connection fail. No other call is turned away because of that.
//! assert_sheds_at_most(&settings, &Scenario::one_lost_connection(50, 3), 0.0);
//! ```
//!
//! # What a replay does
//! Every call of the traffic asks for admission at the time at which it began. If it is admitted, its recorded result
//! is reported after its recorded duration. If not, it is *shed*, and its recorded result says what shedding it was
//! worth. At equal times, results come before admissions, and earlier calls before later ones. Each
//! [key](Call::key) has a circuit of its own. Time windows begin at the time 0 of the trace. The
//! [enforcement](crate::CircuitBreakerBuilder::enforcement) is not looked at: the replay of a breaker in shadow mode
//! shows what it would do if it were enforced. Listeners receive no events.
//!
//! The same calls through [`CircuitBreaker::try_acquire`](crate::CircuitBreaker::try_acquire), with a paused clock and
//! without jitter, make the same transitions at the same nanosecond.
//!
//! # What a replay cannot show
//! A recorded call has the result that it had, however many calls are shed before it. So the replay of a trace does not
//! show a dependency that recovers because it receives fewer calls. [`Scenario::overload`] does.
//!
//! A trace that was recorded while a breaker rejected calls has holes, because nobody knows how the rejected calls would
//! have ended. [`Report::unknown`] is their number. A breaker in
//! [shadow mode](crate::docs::introducing) leaves no holes.

mod assertions;
mod call;
mod circuit;
mod csv;
mod hints;
mod incidents;
mod recorder;
mod recording;
mod report;
mod scenario;
mod trace;
mod traffic;

pub use self::assertions::{assert_opens_within, assert_recovers_within, assert_sheds_at_most};
pub use self::call::Call;
pub use self::circuit::{Fate, Transition};
pub use self::csv::TraceError;
pub use self::hints::{Hint, hints};
pub use self::incidents::Incident;
pub use self::recorder::Recorder;
pub use self::report::{Report, run, run_with_seed};
pub use self::scenario::Scenario;
pub use self::trace::Trace;
pub use self::traffic::Traffic;
