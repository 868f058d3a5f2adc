//! Whether the cost of a call grows with the number of calls in the window.
//!
//! ```sh
//! cd benches && cargo bench --bench growth
//! ```

use tower_breaker_benches::{
    INNER, Inner, behind, call, count_window, criterion, measure, print_ratios, time_window,
};

const GROUP: &str = "calls in the window";

fn main() {
    let mut criterion = criterion();
    let mut group = criterion.benchmark_group(GROUP);
    let mut names = Vec::new();
    for calls in [10, 1_000, 1_000_000] {
        for (what, half_fails) in [("healthy", false), ("half failing", true)] {
            let mut service = behind(&count_window(calls), Inner { half_fails });
            (0..calls).for_each(|n| call(&mut service, n)); // fills it
            let name = format!("count window of {calls}, {what}");
            measure(&mut group, &name, service);
            names.push(name);
        }
    }
    for calls in [10, 1_000, 1_000_000] {
        let mut service = behind(&time_window(), INNER);
        (0..calls).for_each(|n| call(&mut service, n));
        let name = format!("time window after {calls}, healthy");
        measure(&mut group, &name, service);
        names.push(name);
    }
    group.finish();
    criterion.final_summary();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    for baseline in [0, 1, 6] {
        let same_kind: Vec<_> = match baseline {
            6 => names[6..].to_vec(),
            first => names[..6].iter().copied().skip(first).step_by(2).collect(),
        };
        print_ratios(GROUP, names[baseline], &same_kind);
    }
}
