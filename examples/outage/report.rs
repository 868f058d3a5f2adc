//! Prints the results.

use std::fmt::Display;
use std::time::Duration;

use tower_breaker::{State, Transition};

use crate::args::{Mode, Plan};
use crate::client::TIMEOUT;
use crate::load::{Call, End};
use crate::run::{Run, Side};
use crate::terminal::Terminal;

pub(crate) fn heading(terminal: Terminal, plan: &Plan) {
    println!("{}\n", terminal.bold("An outage, without and with a circuit breaker"));
    println!(
        "\
HTTP backends on 127.0.0.1 go through the same {} phases, which take {} s. Each of them receives
{} calls/s, whether or not earlier calls have ended. One is called by a bare client, which has only a
timeout of {}. Another one is called by a client with a retry, a circuit breaker and the same timeout,
and a third one by such a client with a simpler breaker, which appears only near the end.
There is a line for each change of the backends and of the circuit, and a comparison at the end.
",
        plan.phases.len(),
        plan.length().as_secs_f64(),
        plan.rate,
        time(TIMEOUT),
    );
}

pub(crate) fn phase(terminal: Terminal, at: Duration, mode: Mode) {
    let what = match mode {
        Mode::Healthy => "are healthy",
        Mode::Error => "answer 500",
        Mode::Hang => "hang: they accept requests and never answer",
        Mode::Refuse => "refuse connections",
        Mode::Slow => "are slow: they answer after 100 ms",
        Mode::Cold => "are cold: they take little load at first, and fall over if they get more",
    };
    println!("{:>7.2} s  {}", at.as_secs_f64(), terminal.bold(format!("backends {what}")));
}

pub(crate) fn transition(terminal: Terminal, at: Duration, transition: &Transition) {
    let wait = match transition.open_duration() {
        Some(wait) => format!("; next probe in {}", time(wait)),
        None => String::new(),
    };
    println!(
        "{:>7.2} s    circuit {:>9} → {} {}{wait}",
        at.as_secs_f64(),
        transition.from(),
        paint(terminal, transition.to()),
        transition.cause(),
    );
}

fn paint(terminal: Terminal, state: State) -> String {
    let padded = format!("{state:<10}");
    match state {
        State::Closed => terminal.green(padded),
        State::Open => terminal.red(padded),
        State::HalfOpen => terminal.yellow(padded),
    }
}

/// Prints a table with a row for each phase. The bare client is on the left, the protected one on the right.
pub(crate) fn table(terminal: Terminal, run: &Run) {
    println!("\n{:<35}{}{:<30}{}", "", terminal.bold("bare"), "", terminal.bold("protected"));
    println!(
        "{}",
        terminal.dim(format!(
            "{:<12}{:>7} │ {:>5}{:>8}{:>8}{:>8} │ {:>5}{:>10}{:>8}{:>8}{:>8}",
            "phase",
            "calls",
            "ok",
            "reached",
            "p50",
            "p99",
            "ok",
            "rejected",
            "reached",
            "p50",
            "p99"
        ))
    );
    for (number, phase) in run.phases.iter().enumerate() {
        row(run, phase.mode, |other| other == number);
    }
    let outages = |number: usize| run.phases[number].mode.is_outage();
    if run.outages().len() > 1 {
        println!("{}", terminal.dim(format!("{:─<20}┼{:─<31}┼{:─<40}", "", "", "")));
        row(run, "all outages", outages);
    }
    println!();
    println!(
        "ok: calls that succeeded.  rejected: calls that the breaker rejected, most of them at once."
    );
    println!("reached: requests that the backend received, including retries.");
    println!("p50, p99: latency of all calls, from the first attempt to the end of the last one.");
    if run.outages().is_empty() {
        return;
    }
    println!(
        "In the outages, callers of the bare client waited {:.1} s for calls that failed, and callers of \
         the protected one {:.1} s.",
        run.bare.wasted(|call| outages(call.phase)).as_secs_f64(),
        run.protected.wasted(|call| outages(call.phase)).as_secs_f64(),
    );
}

fn row(run: &Run, label: impl Display, phases: impl Fn(usize) -> bool) {
    let (bare, protected) = (Row::new(&run.bare, &phases), Row::new(&run.protected, &phases));
    println!(
        "{label:<12}{:>7} │ {:>5}{:>8}{:>8}{:>8} │ {:>5}{:>10}{:>8}{:>8}{:>8}",
        bare.calls,
        bare.ok,
        bare.reached,
        time(bare.p50),
        time(bare.p99),
        protected.ok,
        protected.rejected,
        protected.reached,
        time(protected.p50),
        time(protected.p99),
    );
}

struct Row {
    calls: usize,
    ok: usize,
    rejected: usize,
    reached: u64,
    p50: Duration,
    p99: Duration,
}

impl Row {
    fn new(side: &Side, phases: impl Fn(usize) -> bool) -> Self {
        let calls: Vec<&Call> = side.calls.iter().filter(|call| phases(call.phase)).collect();
        let count = |end| calls.iter().filter(|call| call.end == end).count();
        let mut latencies: Vec<Duration> = calls.iter().map(|call| call.took).collect();
        latencies.sort_unstable();
        let reached = side.reached.iter().enumerate().filter(|(number, _)| phases(*number));
        Self {
            calls: calls.len(),
            ok: count(End::Success),
            rejected: count(End::Rejection),
            reached: reached.map(|(_, reached)| reached).sum(),
            p50: percentile(&latencies, 0.50),
            p99: percentile(&latencies, 0.99),
        }
    }
}

/// Returns a percentile of sorted times.
pub(crate) fn percentile(times: &[Duration], part: f64) -> Duration {
    let rank = (times.len() as f64 * part).ceil() as usize;
    times.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

/// Prints how fast the circuit tripped and recovered.
pub(crate) fn circuit(terminal: Terminal, run: &Run) {
    if run.outages().is_empty() {
        return;
    }
    println!("\n{}", terminal.bold("The circuit"));
    println!(
        "{}",
        terminal.dim(format!(
            "{:<12}{:>14}  {:<28}{:>16}{:>18}",
            "outage", "tripped after", "because", "times half-open", "closed after"
        ))
    );
    for outage in run.outages() {
        let phase = &run.phases[outage.phase];
        let (tripped, because) = match outage.tripped {
            _ if phase.state_before != State::Closed => {
                ("–".into(), "it was not closed before".into())
            }
            Some((after, cause)) => (seconds(after), cause.to_string()),
            None => ("never".into(), String::new()),
        };
        println!(
            "{:<12}{tripped:>14}  {because:<28}{:>16}{:>18}",
            phase.mode,
            outage.probings,
            outage.recovered.map_or("–".into(), seconds),
        );
    }
}

/// Prints what `hung_after` and the ramp change.
pub(crate) fn two_settings(terminal: Terminal, run: &Run) {
    if !run.has(Mode::Hang) && !run.has(Mode::Cold) {
        return;
    }
    println!("\n{}", terminal.bold("What `hung_after` and the ramp change"));
    let head = ["bare", "breaker without them", "breaker with them"];
    println!("{}", terminal.dim(line("", head)));
    let sides = [&run.bare, &run.simple, &run.protected];
    if run.has(Mode::Hang) {
        let hangs = run.is(Mode::Hang);
        let waited = |side: &Side| seconds(side.wasted(|call| hangs(call.phase)));
        println!("{}", line("hangs: callers waited in vain for", sides.map(waited)));
    }
    if run.has(Mode::Cold) {
        let is_cold = run.is(Mode::Cold);
        let ok = |side: &Side| Row::new(side, &is_cold).ok;
        println!("{}", line("cold: the backend fell over", sides.map(|side| times(side.falls))));
        println!("{}", line("cold: calls that succeeded", sides.map(ok)));
    }
}

fn line(what: &str, values: [impl Display; 3]) -> String {
    let [bare, without, with] = values;
    format!("{what:<34}{bare:>14}{without:>24}{with:>20}")
}

fn times(count: u32) -> String {
    match count {
        0 => "never".into(),
        1 => "once".into(),
        _ => format!("{count} times"),
    }
}

/// Prints the last line.
pub(crate) fn goodbye(terminal: Terminal) {
    let example = "cargo run --example outage -- --rate 200 --phases healthy=1,hang=4,healthy=3";
    println!("\nTry other settings: {}", terminal.dim(example));
}

fn seconds(time: Duration) -> String {
    format!("{:.2} s", time.as_secs_f64())
}

/// Formats a duration with its unit and about three digits.
pub(crate) fn time(time: Duration) -> String {
    let millis = time.as_secs_f64() * 1e3;
    match millis {
        0.0 => "–".into(),
        ..1.0 => format!("{:.0} µs", millis * 1e3),
        ..10.0 => format!("{millis:.1} ms"),
        _ => format!("{millis:.0} ms"),
    }
}
