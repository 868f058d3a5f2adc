//! The table of circuits.

use std::fmt::{self, Display, Formatter};

use super::Link;
use crate::admin::html::{Html, Name};
use crate::admin::list::Choice;
use crate::admin::row::Row;
use crate::machine::State;
use crate::snapshot::{Length, Snapshot, TripRule};

const HEADINGS: &str = "<table><thead><tr><th>State</th><th>Circuit</th><th>Since</th><th>Why</th><th>Next</th>\
    <th>Near</th><th class=\"n\">Failed</th><th class=\"n\">Probes in flight</th><th class=\"n\">Rejected</th>\
    <th>Last 10 min</th></tr></thead><tbody>";

pub(super) fn table(f: &mut Formatter<'_>, rows: &[Row], choice: &Choice) -> fmt::Result {
    f.write_str(HEADINGS)?;
    for row in rows {
        let Row { number, snapshot, .. } = row;
        let (name, state) = (Name(row.name()), snapshot.state().name());
        let short_name = Name(row.short_name());
        let current = if choice.circuit == Some(*number) { " aria-current=\"true\"" } else { "" };
        let link = Link { state: choice.state, limit: choice.limit, circuit: Some(*number) };
        write!(f, "<tr id=\"r{number}\" class=\"{}\"{current}>", class(snapshot))?;
        write!(f, "<td class=\"state\">{}</td>", Badge(snapshot))?;
        write!(
            f,
            "<td class=\"name\"><a id=\"a{number}\" href=\"{link}\" title=\"{name}\">{short_name}</a>"
        )?;
        if let Some(registry) = &row.registry {
            write!(f, "<small>in {}</small>", Name(registry))?;
        }
        write!(f, "</td><td class=\"since\">{}</td>", Length(snapshot.age()))?;
        let why = snapshot.cause().map(|cause| cause.to_string()).unwrap_or_default();
        write!(f, "<td class=\"why\">{}", Html(why))?;
        if let Some(last) = row.last_failure.as_ref().filter(|_| snapshot.state() != State::Closed)
        {
            write!(f, "<small title=\"The last failure\">{}</small>", Html(last))?;
        }
        write!(f, "</td><td class=\"next\">{}</td>", Html(Next(snapshot)))?;
        let near = snapshot.trip_rules().next().as_ref().map(TripRule::progress);
        write!(f, "<td class=\"near\">{}</td>", Near(near))?;
        let failed = snapshot.failure_rate().map(|rate| format!("{:.0} %", 100.0 * rate));
        write!(f, "<td class=\"n failed\" data-label=\"failed\">{}</td>", Or(failed))?;
        let probes = snapshot.probes_in_flight();
        let probes = (snapshot.state() == State::HalfOpen).then(|| probes.to_string());
        write!(f, "<td class=\"n probes\" data-label=\"probes in flight\">{}</td>", Or(probes))?;
        let rejected = row.rejections_per_second.filter(|rate| *rate > 0.0).map(per_second);
        write!(f, "<td class=\"n rejected\" data-label=\"rejected\">{}</td>", Or(rejected))?;
        write!(f, "<td class=\"past {state}\">{}</td></tr>", Picture(row))?;
    }
    f.write_str("</tbody></table>")
}

pub(super) fn per_second(rate: f64) -> String {
    if rate < 10.0 { format!("{rate:.1}/s") } else { format!("{rate:.0}/s") }
}

/// What decides about the colours of a row.
pub(super) fn class(snapshot: &Snapshot) -> String {
    let is_near = snapshot.trip_rules().next().is_some_and(|rule| rule.progress() >= 0.5);
    let near = if is_near { " near" } else { "" };
    let shadow =
        if snapshot.enforcement() == 0.0 && !snapshot.is_forced() { " shadow" } else { "" };
    format!("{}{near}{shadow}", snapshot.state().name())
}

/// The state, and what makes it unusual.
pub(super) struct Badge<'a>(pub(super) &'a Snapshot);

impl Display for Badge<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let snapshot = self.0;
        let state = snapshot.state();
        write!(f, "<span class=\"badge {}\">{state}</span>", state.name())?;
        if snapshot.is_forced() {
            f.write_str("<span class=\"tag\">held</span>")?;
        }
        match snapshot.enforcement() {
            1.0 => Ok(()),
            0.0 => f.write_str("<span class=\"tag\">shadow</span>"),
            share => write!(f, "<span class=\"tag\">{:.0} % enforced</span>", 100.0 * share),
        }
    }
}

/// What would change the state.
struct Next<'a>(&'a Snapshot);

impl Display for Next<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let snapshot = self.0;
        if let Some(time) = snapshot.forced_for() {
            return write!(f, "resumed in {}", Length(time));
        }
        if snapshot.is_forced() {
            return f.write_str("until an operator resumes it");
        }
        match (snapshot.state(), snapshot.retry_after(), snapshot.probes_to_close()) {
            (State::Closed, ..) => snapshot.trip_rules().next().map_or(Ok(()), |rule| rule.fmt(f)),
            (State::Open, Some(wait), _) if !wait.is_zero() => {
                write!(f, "probe in {}", Length(wait))
            }
            (State::Open, ..) => f.write_str("the next call is a probe"),
            (State::HalfOpen, _, None) => {
                write!(
                    f,
                    "recovering, {:.0} % of calls admitted",
                    100.0 * snapshot.admitted_share()
                )
            }
            (State::HalfOpen, _, Some(1)) => f.write_str("1 more probe decides"),
            (State::HalfOpen, _, Some(missing)) => write!(f, "{missing} more probes decide"),
        }
    }
}

/// How near a closed circuit is to tripping.
struct Near(Option<f64>);

impl Display for Near {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Some(near) = self.0 else { return Ok(()) };
        let label = format!("{:.0} % of the way to tripping", 100.0 * near);
        write!(
            f,
            "<meter min=\"0\" max=\"1\" low=\"0.5\" high=\"0.8\" optimum=\"0\" value=\"{near:.3}\" title=\"{label}\">{label}</meter>"
        )
    }
}

/// A text, or a dash if there is none.
struct Or(Option<String>);

impl Display for Or {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_deref().unwrap_or("<i>–</i>"))
    }
}

/// The states of the last ten minutes, oldest on the left: 600 units, one for each second.
struct Picture<'a>(&'a Row);

impl Display for Picture<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        const SECONDS: f64 = 600.0;
        let Row { history, snapshot, .. } = self.0;
        f.write_str(
            "<svg viewBox=\"0 0 600 12\" preserveAspectRatio=\"none\" aria-hidden=\"true\">",
        )?;
        let mut state = history.first().map_or(snapshot.state(), |past| past.from);
        let mut from = 0.0;
        let mut part = |f: &mut Formatter<'_>, state: State, until: f64| {
            // Even a short outage is visible.
            let width = (until - from).max(2.0);
            if until > 0.0 {
                write!(
                    f,
                    "<rect class=\"{}\" x=\"{from:.1}\" width=\"{width:.1}\" height=\"12\"/>",
                    state.name()
                )?;
                from = until;
            }
            Ok(())
        };
        for past in history {
            part(f, state, SECONDS - past.ago_seconds)?;
            state = past.to;
        }
        part(f, state, SECONDS)?;
        f.write_str("</svg>")
    }
}
