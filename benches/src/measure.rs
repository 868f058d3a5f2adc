//! Measurements in short rounds. What is compared takes turns, so that whatever else the machine does
//! affects all of it alike; and the median of many rounds, each shorter than a time slice of the
//! scheduler, is mostly one that nothing interrupted.

use std::hint::black_box;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use tower::Service;

use crate::Shape;

/// Measures something once: nanoseconds per call.
pub type Measure<'a> = Box<dyn FnMut() -> f64 + 'a>;

/// How long a round takes.
const ROUND: Duration = Duration::from_micros(300);

/// Measures calls through a service.
pub fn service<'a, S>(shape: Shape, mut service: S) -> Measure<'a>
where
    S: Service<u32> + Clone + 'a,
{
    let mut next = 0;
    measure(move |calls| {
        let first = next;
        next += calls;
        shape.time(&mut service, first..next)
    })
}

/// Measures anything else.
pub fn action<'a, T>(mut action: impl FnMut() -> T + 'a) -> Measure<'a> {
    measure(move |calls| {
        let begin = Instant::now();
        for _ in 0..calls {
            black_box(action());
        }
        begin.elapsed()
    })
}

/// `time` makes so many calls and returns how long they took together.
fn measure<'a>(mut time: impl FnMut(u64) -> Duration + 'a) -> Measure<'a> {
    // The first calls set up what is set up once, and fill the windows.
    const FIRST: u32 = 10_000;
    let per_call = time(FIRST.into()) / FIRST;
    let calls = ROUND.as_nanos() / per_call.as_nanos().max(1);
    // Half of them are an even number: where every second call fails, two failures never meet.
    let calls = u64::try_from(calls / 4).expect("a small number").max(25) * 4;
    Box::new(move || {
        time(calls / 2); // the others have used the caches of the processor
        time(calls).as_secs_f64() * 1e9 / calls as f64
    })
}

/// Million calls per second through clones of a service, one clone for each thread, all together.
pub fn throughput<S: Service<u32> + Clone + Send>(
    shape: Shape,
    threads: u32,
    length: Duration,
    service: &S,
) -> f64 {
    throughput_of_each(shape, length, (0..threads).map(|_| service.clone()).collect())
}

/// Million calls per second through these services, one for each thread, all together.
pub fn throughput_of_each<S: Service<u32> + Clone + Send>(
    shape: Shape,
    length: Duration,
    services: Vec<S>,
) -> f64 {
    /// Calls between two looks at the clock.
    const BATCH: u64 = 5000;
    let start = Barrier::new(services.len());
    let run = |mut service: S| {
        shape.time(&mut service, 0..BATCH);
        start.wait();
        let begin = Instant::now();
        let mut calls = 0;
        while begin.elapsed() < length {
            shape.time(&mut service, calls..calls + BATCH);
            calls += BATCH;
        }
        calls as f64 / begin.elapsed().as_secs_f64() / 1e6
    };
    thread::scope(|scope| {
        let run = &run;
        let spawn = |service| scope.spawn(move || run(service));
        let threads: Vec<_> = services.into_iter().map(spawn).collect();
        threads.into_iter().map(|thread| thread.join().expect("no call panics")).sum()
    })
}

/// The quartiles; the one in the middle is the median.
pub fn quartiles(mut values: Vec<f64>) -> [f64; 3] {
    values.sort_by(f64::total_cmp);
    [1, 2, 3].map(|quarter| values[values.len() * quarter / 4])
}

pub fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    quartiles(values.into_iter().collect())[1]
}
