//! No count is lost and nothing is counted twice, whatever many threads do at once.

use std::collections::BTreeMap;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use tower_breaker::{
    CircuitBreakerError, Event, EventKind, Interest, Listener, RejectReason, Rejected, State,
    Transition,
};

use crate::http::{scrape, serve};
use crate::scrape::{Scrape, Series};
use crate::*;

const THREADS: u64 = 4;
const CALLS_EACH: usize = 25_000;
const OUTCOMES: [&str; 4] = ["success", "failure", "ignored", "abandoned"];
const MICROS: Duration = Duration::from_micros(1);

/// Counts what the callers see.
#[derive(Debug, Clone, Default, PartialEq)]
struct Seen {
    /// The calls that were made.
    made: u64,
    /// success, failure, ignored, abandoned
    ended: [u64; 4],
    /// Those of them that were let through although the circuit had turned them away. Of calls that panic, only the
    /// breaker knows that.
    shadows: [u64; 4],
    panicked: u64,
    /// open, half-open, forced open
    rejected: [u64; 3],
    /// The operator actions.
    actions: u64,
}

impl Seen {
    fn add(&mut self, other: &Self) {
        self.made += other.made;
        self.panicked += other.panicked;
        self.actions += other.actions;
        self.ended.iter_mut().zip(other.ended).for_each(|(sum, n)| *sum += n);
        self.shadows.iter_mut().zip(other.shadows).for_each(|(sum, n)| *sum += n);
        self.rejected.iter_mut().zip(other.rejected).for_each(|(sum, n)| *sum += n);
    }

    fn end(&mut self, permit: &Permit, ending: usize) {
        self.ended[ending] += 1;
        self.shadows[ending] += u64::from(permit.is_shadow());
    }

    fn reject(&mut self, rejected: &Rejected) {
        self.rejected[match rejected.reason() {
            RejectReason::Open => 0,
            RejectReason::HalfOpen => 1,
            RejectReason::ForcedOpen => 2,
            other => panic!("a reason that this test does not know: {other}"),
        }] += 1;
    }
}

/// A caller that does everything that is possible, at random.
fn caller(breaker: &CircuitBreaker, seed: u64) -> Seen {
    let mut random = seed;
    let mut next = move |n: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963);
        (random >> 33) % n
    };
    let mut seen = Seen::default();
    let mut held = Vec::new();
    for _ in 0..CALLS_EACH {
        let choice = next(1000);
        seen.actions += u64::from(choice < 20);
        match choice {
            0 => breaker.trip(),
            1 => breaker.reset(),
            2 => breaker.force_open(),
            3 => breaker.force_closed(),
            4 => breaker.set_enforcement(0.5).unwrap(),
            5..8 => breaker.set_enforcement(1.0).unwrap(),
            8..20 => breaker.resume(),
            20..30 => panicking_call(breaker, &mut seen),
            _ => match breaker.try_acquire() {
                Err(rejected) => seen.reject(&rejected),
                Ok(permit) => {
                    seen.made += 1;
                    held.push(permit);
                }
            },
        }
        // Some permits are held for a while, so that their results are stale.
        while held.len() as u64 > next(4) {
            let permit = held.swap_remove(next(held.len() as u64) as usize);
            let ending = [0, 0, 0, 0, 0, 1, 1, 2, 3][next(9) as usize];
            seen.end(&permit, ending);
            match ending {
                0 => permit.success(),
                1 => permit.failure(),
                2 => permit.ignore(),
                _ => drop(permit),
            }
        }
    }
    held.iter().for_each(|permit| seen.end(permit, 3));
    seen
}

fn panicking_call(breaker: &CircuitBreaker, seen: &mut Seen) {
    let call = breaker.call(async { resume_unwind(Box::new("the inner service")) });
    let call: std::pin::Pin<Box<dyn Future<Output = Result<(), CircuitBreakerError<()>>>>> =
        Box::pin(call);
    match catch_unwind(AssertUnwindSafe(|| tokio_test::block_on(call))) {
        Err(_) => {
            seen.made += 1;
            seen.ended[1] += 1;
            seen.panicked += 1;
        }
        Ok(result) => {
            seen.reject(result.unwrap_err().rejected().expect("it panics if it is called"));
        }
    }
}

/// A listener that keeps transitions and counts other events. If it is too slow, events are dropped and counted.
#[derive(Clone, Default)]
struct Log {
    transitions: Arc<Mutex<Vec<Transition>>>,
    others: Arc<AtomicU64>,
    missed: Arc<AtomicU64>,
}

impl Listener for Log {
    fn on_event(&self, event: &Event<'_>) {
        match event.kind() {
            EventKind::Transition(transition) => {
                self.transitions.lock().unwrap().push(transition.clone());
            }
            EventKind::Lagged { missed } => _ = self.missed.fetch_add(missed, Ordering::Relaxed),
            _ => _ = self.others.fetch_add(1, Ordering::Relaxed),
        }
    }

    fn interest(&self) -> Interest {
        Interest::Transitions
    }
}

/// What callers saw, and what a listener received.
struct Run {
    breaker: CircuitBreaker,
    seen: Seen,
    log: Log,
    began: Instant,
}

fn run() -> Run {
    let log = Log::default();
    let began = Instant::now();
    let breaker = CircuitBreaker::builder("test")
        .consecutive_failures(4)
        .failure_rate_threshold(0.5)
        .open_duration(MICROS * 50)
        .probe_timeout(MICROS * 500)
        .half_open(HalfOpen::consecutive_successes(2))
        .listener(log.clone())
        .build()
        .unwrap();
    let done = AtomicBool::new(false);
    let mut seen = Seen::default();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                tower_breaker::metrics::refresh();
            }
        });
        let callers: Vec<_> = (1..=THREADS)
            .map(|seed| {
                scope.spawn({
                    let breaker = &breaker;
                    move || caller(breaker, seed)
                })
            })
            .collect();
        callers.into_iter().for_each(|caller| seen.add(&caller.join().unwrap()));
        done.store(true, Ordering::Relaxed);
    });
    Run { breaker, seen, log, began }
}

/// `after` is a time after the scrape.
fn assert_conserved(run: &Run, scrape: &Scrape, after: Instant) {
    let Run { breaker, seen, log, began } = run;
    let transitions = log.transitions.lock().unwrap();
    let counts = |name, key, values: &[&str]| -> Vec<u64> {
        values.iter().map(|v| scrape.value(name, &of_test(&[(key, v)])) as u64).collect()
    };
    let [calls, shadows] = [CALLS, WOULD_REJECT].map(|name| counts(name, "outcome", &OUTCOMES));
    for outcome in 0..OUTCOMES.len() {
        assert_eq!(calls[outcome] + shadows[outcome], seen.ended[outcome]);
        let panicked = if OUTCOMES[outcome] == "failure" { seen.panicked } else { 0 };
        let known = seen.shadows[outcome];
        assert!((known..=known + panicked).contains(&shadows[outcome]));
    }
    assert_eq!((scrape.sum(CALLS, &[]) + scrape.sum(WOULD_REJECT, &[])) as u64, seen.made);
    assert!(seen.shadows.iter().all(|n| *n > 0), "the run let no calls through");
    assert_eq!(counts(REJECTIONS, "reason", &["open", "half_open", "forced_open"]), seen.rejected);

    let mut received: BTreeMap<_, u64> = BTreeMap::new();
    for transition in transitions.iter() {
        let labels = (label(transition.from()), label(transition.to()), transition.cause().name());
        *received.entry(labels).or_default() += 1;
    }
    let shown: BTreeMap<_, u64> = scrape
        .of(TRANSITIONS, &[])
        .filter(|series| series.value > 0.0)
        .map(|Series { labels, value, .. }| {
            ((&*labels["from"], &*labels["to"], &*labels["cause"]), *value as u64)
        })
        .collect();
    assert!(received.iter().all(|(labels, n)| *n <= shown[labels]), "{received:?} of {shown:?}");
    assert_eq!(breaker.history().last(), transitions.last());
    let timeouts = scrape.sum(TRANSITIONS, &[("cause", "probe_timed_out")]) as u64;
    let received = [transitions.len() as u64, value(&log.others), value(&log.missed)];
    let happened = [scrape.sum(TRANSITIONS, &[]) as u64, seen.actions, timeouts];
    assert_eq!(received.iter().sum::<u64>(), happened.iter().sum::<u64>());

    let states = counts(STATE, "state", &["closed", "open", "half_open"]);
    assert_eq!(states.iter().sum::<u64>(), 1);
    assert_eq!(scrape.value(STATE, &of_test(&[("state", label(breaker.state()))])), 1.0);

    let age = after - *began;
    let seconds = scrape.sum(STATE_SECONDS, &[]);
    assert!(seconds <= age.as_secs_f64(), "{seconds} s of {age:?}");
    assert!(scrape.value(STALE_RESULTS, &of_test(&[])) > 0.0, "the run had no late results");
    assert!(transitions.len() > 100, "the run had only {} transitions", transitions.len());
}

#[tokio::test]
async fn whatever_many_threads_do_the_exporter_serves_what_they_have_seen() {
    let exporter = Exporter::new();
    let run = run();
    let addr = serve(exporter.handle.clone()).await;
    let scrape = scrape(addr).await;
    assert_conserved(&run, &scrape, Instant::now());
}

#[test]
fn whatever_many_threads_do_a_debugging_recorder_has_what_they_have_seen() {
    let _alone = Exporter::new();
    let recorder = DebuggingRecorder::new();
    metrics::with_local_recorder(&recorder, || {
        let run = run();
        let _ = run.breaker.snapshot();
        let now = Instant::now();
        let recorded = recorder.snapshotter().snapshot().into_vec();
        let series = recorded.into_iter().map(|(key, _, _, value)| Series {
            name: key.key().name().to_owned(),
            labels: key.key().labels().map(|l| (l.key().into(), l.value().into())).collect(),
            value: match value {
                DebugValue::Counter(n) => n as f64,
                DebugValue::Gauge(x) => x.into_inner(),
                DebugValue::Histogram(_) => unreachable!("nobody asked for it"),
            },
        });
        assert_conserved(&run, &Scrape(series.collect()), now);
    });
}

fn value(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

fn label(state: State) -> &'static str {
    match state {
        State::Closed => "closed",
        State::Open => "open",
        State::HalfOpen => "half_open",
    }
}
