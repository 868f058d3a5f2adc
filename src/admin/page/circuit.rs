//! A single circuit, with all that is known about it.

use std::fmt::{self, Formatter};
use std::time::Duration;

use super::Link;
use super::row::{Badge, class, per_second};
use crate::admin::html::{Html, Name};
use crate::admin::list::Choice;
use crate::admin::row::Detail;
use crate::machine::State;
use crate::snapshot::Length;

/// The actions that have a button, the label, and what the question says. Those that may cut off traffic are marked.
const ACTIONS: [(&str, &str, bool, &str); 7] = [
    (
        "force_open",
        "Force open",
        true,
        "All calls are rejected until somebody resumes, or for the time that you choose.",
    ),
    ("trip", "Trip", true, "Calls are rejected until the probes succeed."),
    (
        "force_closed",
        "Force closed",
        false,
        "All calls are admitted, whatever fails, until somebody resumes, or for the time that you choose.",
    ),
    ("resume", "Resume", false, "The circuit decides by itself again."),
    ("reset", "Reset", false, "The circuit closes and forgets what it has counted."),
    (
        "enforcement",
        "Enforcement…",
        true,
        "This share of the rejections is enforced: 0 is shadow mode, 1 is all of them.",
    ),
    ("reconfigure", "Settings…", true, "The next result is judged by these settings."),
];

pub(super) fn panel(
    f: &mut Formatter<'_>,
    detail: &Detail,
    choice: &Choice,
    operations: bool,
) -> fmt::Result {
    let Detail { row, settings, transitions } = detail;
    let (number, name, snapshot) = (row.number, Name(row.name()), &row.snapshot);
    let close = Link { state: choice.state, limit: choice.limit, circuit: None };
    write!(f, "<aside id=\"panel\" class=\"{}\" aria-label=\"Circuit\">", class(snapshot))?;
    write!(f, "<a id=\"close\" class=\"close\" href=\"{close}\" aria-label=\"Close\">×</a>")?;
    write!(f, "<h2>{name}</h2><p>{}</p>", Badge(snapshot))?;
    write!(f, "<p class=\"sentence\">{}</p>", Html(&row.sentence))?;
    let json = serde_json::to_string_pretty(settings).unwrap_or_default();
    if operations {
        write!(f, "<p class=\"actions\" data-circuit=\"{number}\" data-name=\"{name}\">")?;
        for (action, label, cuts, text) in ACTIONS {
            // A circuit that is forced already may be so for another time.
            let is_useful = action != "resume" || snapshot.is_forced();
            let (cuts, off) = (
                if cuts { " class=\"cuts\"" } else { "" },
                if is_useful { "" } else { " disabled" },
            );
            let share = snapshot.enforcement();
            let share = if action == "enforcement" {
                format!(" data-share=\"{share}\"")
            } else {
                String::new()
            };
            write!(
                f,
                "<button id=\"b-{action}\" data-action=\"{action}\" data-text=\"{text}\"{cuts}{off}{share}>{label}</button>"
            )?;
        }
        f.write_str("</p>")?;
    }
    f.write_str("<dl>")?;
    let mut fact =
        |label: &str, value: String| write!(f, "<dt>{label}</dt><dd>{}</dd>", Html(value));
    fact("Calls counted", snapshot.calls().to_string())?;
    fact("Failed", snapshot.failures().to_string())?;
    fact("Slow", snapshot.slow_calls().to_string())?;
    fact("Failures in a row", snapshot.consecutive_failures().to_string())?;
    if snapshot.state() == State::HalfOpen {
        fact("Probes in flight", snapshot.probes_in_flight().to_string())?;
    }
    if let Some(last) = &row.last_failure {
        fact("Last failure", format!("{last} ({} ago)", Length(last.at().elapsed())))?;
    }
    if let Some(rate) = row.rejections_per_second {
        fact("Rejected", per_second(rate))?;
    }
    if let Some(registry) = &row.registry {
        fact("Registry", registry.clone())?;
    }
    for rule in snapshot.trip_rules() {
        fact("Trips at", rule.to_string())?;
    }
    f.write_str("</dl><h3>Transitions</h3>")?;
    if transitions.is_empty() {
        f.write_str("<p class=\"empty\">None so far.</p>")?;
    } else {
        f.write_str("<ol>")?;
        for (transition, past) in transitions.iter().zip(&row.history).rev() {
            let ago = Length(Duration::from_secs_f64(past.ago_seconds));
            let (from, to) = (transition.from(), transition.to());
            let cause = Html(transition.cause());
            write!(
                f,
                "<li><time>{ago} ago</time><div>{from} → <b class=\"{}\">{to}</b> <span>{cause}</span>",
                to.name()
            )?;
            if let Some(last) = transition.last_failure() {
                write!(f, "<q>{}</q>", Html(last))?;
            }
            f.write_str("</div></li>")?;
        }
        f.write_str("</ol>")?;
    }
    write!(f, "<h3>Settings</h3><pre id=\"settings\">{}</pre></aside>", Html(json))
}
