//! Prints the results and the checks.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tower_breaker::Ending;

use crate::clients::Scene;
use crate::findings::Check;
use crate::ledger::{Ledger, Ledgers};
use crate::memory;

/// The results of a run.
pub(crate) struct Run {
    pub(crate) ledgers: Ledgers,
    /// How long after the end of the faults each circuit closed, or `None` if it was too late.
    pub(crate) closed_after: Vec<Option<Duration>>,
    /// The memory in KiB after a third of the run and at the end of the faults.
    pub(crate) resident: Option<(u64, u64)>,
}

/// Prints a table of the circuits.
pub(crate) fn table(run: &Run) {
    println!(
        "{:<30} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8} {:>7} {:>7} {:>7} {:>8}",
        "circuit",
        "admitted",
        "success",
        "failure",
        "ignored",
        "abandon.",
        "rejected",
        "periods",
        "blurred",
        "probes",
        "at backend"
    );
    for ledger in &*run.ledgers.0 {
        let totals = ledger.totals();
        println!(
            "{:<30} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8} {:>7} {:>7} {:>7} {:>8}",
            ledger.name,
            ledger.admitted(),
            ledger.ended(Ending::Success),
            ledger.ended(Ending::Failure),
            ledger.ended(Ending::Ignored),
            ledger.ended(Ending::Abandoned),
            ledger.rejected(),
            totals.half_open,
            totals.blurred,
            totals.probes,
            totals.arrived,
        );
    }
}

/// Prints what the clients did.
pub(crate) fn scene(scene: &Scene) {
    let of = |number: &std::sync::atomic::AtomicU64| number.load(Ordering::Relaxed);
    println!(
        "\n{} calls, {} aborted, {} panicked; the longest took {} ms",
        of(&scene.made),
        of(&scene.aborted),
        of(&scene.panicked),
        of(&scene.longest)
    );
}

/// Prints the checks. Returns whether none has failed.
pub(crate) fn checks(run: &Run) -> bool {
    let ledgers = &run.ledgers.0;
    let mut passed = true;
    let mut check = |what: &str, wrong: Vec<String>| {
        println!("{} {what}", if wrong.is_empty() { "ok    " } else { "FAILED" });
        wrong.iter().for_each(|wrong| println!("         {wrong}"));
        passed &= wrong.is_empty();
    };
    let each = |wrong: &dyn Fn(&Ledger) -> Option<String>| -> Vec<String> {
        let named = |ledger: &Ledger| wrong(ledger).map(|it| format!("{}: {it}", ledger.name));
        ledgers.iter().filter_map(|ledger| named(ledger)).collect()
    };

    println!();
    check(
        "every call that was admitted was settled",
        each(&|ledger| {
            let endings = [Ending::Success, Ending::Failure, Ending::Ignored, Ending::Abandoned];
            let settled: u64 = endings.map(|ending| ledger.ended(ending)).iter().sum();
            let admitted = ledger.admitted();
            (admitted != settled).then(|| format!("{admitted} admitted, {settled} settled"))
        }),
    );
    check(
        "no probe is in flight",
        each(&|ledger| {
            let probes = ledger.breaker().snapshot().probes_in_flight();
            (probes > 0).then(|| format!("{probes}"))
        }),
    );
    for (kind, what) in Check::ALL {
        check(what, ledgers.iter().flat_map(|ledger| ledger.findings.of(kind)).collect());
    }
    check(
        "every circuit was tripped and probed",
        each(&|ledger| {
            let totals = ledger.totals();
            let happened = totals.half_open > 0 && totals.arrived > 0;
            (!happened).then(|| format!("{totals:?}"))
        }),
    );
    check(
        "few half-open periods were blurred",
        each(&|ledger| {
            let totals = ledger.totals();
            (totals.blurred > 1 + totals.half_open / 20).then(|| format!("{totals:?}"))
        }),
    );
    check("after the faults every circuit closed in time", {
        let after = ledgers.iter().zip(&run.closed_after);
        let late = after.filter(|(_, after)| after.is_none());
        late.map(|(ledger, _)| format!("{}: {}", ledger.name, ledger.breaker().snapshot()))
            .collect()
    });
    check(
        "memory does not grow",
        match run.resident {
            Some((before, after)) if !memory::is_flat(before, after) => {
                vec![format!("{before} KiB, then {after} KiB")]
            }
            _ => Vec::new(),
        },
    );
    if let Some((before, after)) = run.resident {
        println!("\nresident: {before} KiB after a third, {after} KiB at the end of the faults");
    }
    let slowest = run.closed_after.iter().flatten().max();
    println!("the last circuit closed {slowest:?} after the faults");
    passed
}
