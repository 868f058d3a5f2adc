//! Measurements that run in turn with others, in short rounds, so that whatever else the machine does
//! affects all of them alike.

use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use tower::Service;

use crate::Shape;

/// Calls between two looks at the clock.
const BATCH: u64 = 5000;

/// Million calls per second through clones of a service, one clone for each thread, all together.
pub fn throughput<S: Service<u32> + Clone + Send>(
    shape: Shape,
    threads: u32,
    length: Duration,
    service: &S,
) -> f64 {
    let start = Barrier::new(threads as usize);
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
        let spawn = |_| {
            let (run, service) = (&run, service.clone());
            scope.spawn(move || run(service))
        };
        let threads: Vec<_> = (0..threads).map(spawn).collect();
        threads.into_iter().map(|thread| thread.join().expect("no call panics")).sum()
    })
}

/// Nanoseconds per call, of so many calls. As many are made before, because others have used the
/// caches of the processor.
pub fn nanoseconds<S: Service<u32> + Clone>(shape: Shape, calls: u64, service: &mut S) -> f64 {
    shape.time(service, 0..calls);
    shape.time(service, calls..2 * calls).as_secs_f64() * 1e9 / calls as f64
}

/// The quartiles; the one in the middle is the median.
pub fn quartiles(mut values: Vec<f64>) -> [f64; 3] {
    values.sort_by(f64::total_cmp);
    [1, 2, 3].map(|quarter| values[values.len() * quarter / 4])
}
