//! The page, as HTML. The script fetches it again and again and puts what has changed in place, so there is one
//! description of a row, and the page is the same without the script.

mod circuit;
mod row;

use std::fmt::{self, Display};

use axum::response::Html as Page;

use super::html::Html;
use super::list::{Choice, Counts, Listing};
use super::row::Detail;
use crate::machine::State;

/// The parts of the page that never change: their types and their texts.
pub(super) const STYLE: (&str, &str) =
    ("text/css; charset=utf-8", include_str!("assets/admin.css"));
pub(super) const SCRIPT: (&str, &str) =
    ("text/javascript; charset=utf-8", include_str!("assets/admin.js"));
pub(super) const ICON: (&str, &str) = ("image/svg+xml", include_str!("assets/icon.svg"));

const HEAD: &str = include_str!("assets/head.html");
const FOOT: &str = include_str!("assets/foot.html");

/// Returns the page. `detail` is `Some(None)` if the circuit that is asked for exists no more.
pub(super) fn page(
    listing: &Listing,
    choice: &Choice,
    detail: Option<Option<&Detail>>,
) -> Page<String> {
    let main = Main { listing, choice, detail };
    Page(format!("{HEAD}{main}{FOOT}"))
}

/// Returns a page that says what is wrong with the request.
pub(super) fn error(text: &str) -> Page<String> {
    Page(format!("{HEAD}<p class=\"empty\">{}</p>{FOOT}", Html(text)))
}

struct Main<'a> {
    listing: &'a Listing,
    choice: &'a Choice,
    detail: Option<Option<&'a Detail>>,
}

impl Display for Main<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { listing, choice, detail } = self;
        let Listing { circuits, counts, operations } = listing;
        f.write_str("<nav aria-label=\"States\">")?;
        for (state, n) in [
            (None, counts.all()),
            (Some(State::Open), counts.open),
            (Some(State::HalfOpen), counts.half_open),
            (Some(State::Closed), counts.closed),
        ] {
            let (class, label) =
                state.map_or(("all", "circuits".into()), |s| (s.name(), s.to_string()));
            let current = if choice.state == state { " aria-current=\"true\"" } else { "" };
            let link = Link { state, limit: choice.limit, circuit: None };
            let some = if n > 0 { " some" } else { "" };
            write!(
                f,
                "<a class=\"{class}{some}\" href=\"{link}\"{current}><b>{n}</b> {label}</a>"
            )?;
        }
        f.write_str("</nav><div class=\"columns\"><div class=\"list\">")?;
        if circuits.is_empty() {
            f.write_str("<p class=\"empty\">There is no circuit to show.</p>")?;
        } else {
            row::table(f, circuits, choice)?;
            let in_question = counts.of(choice.state);
            if circuits.len() < in_question {
                let shown = circuits.len();
                write!(
                    f,
                    "<p class=\"more\">The {shown} that need attention most, of {in_question}.</p>"
                )?;
            }
        }
        f.write_str("</div>")?;
        match detail {
            None => {}
            Some(Some(detail)) => circuit::panel(f, detail, choice, *operations)?,
            Some(None) => f.write_str(
                "<aside id=\"panel\"><p class=\"empty\">This circuit exists no more.</p></aside>",
            )?,
        }
        f.write_str("</div>")
    }
}

impl Counts {
    fn all(&self) -> usize {
        self.closed + self.open + self.half_open
    }

    fn of(&self, state: Option<State>) -> usize {
        match state {
            None => self.all(),
            Some(State::Closed) => self.closed,
            Some(State::Open) => self.open,
            Some(State::HalfOpen) => self.half_open,
        }
    }
}

/// The address of the page with another choice.
struct Link {
    state: Option<State>,
    limit: usize,
    circuit: Option<u64>,
}

impl Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "./?limit={}", self.limit)?;
        if let Some(state) = self.state {
            write!(f, "&amp;state={}", state.name())?;
        }
        self.circuit.map_or(Ok(()), |number| write!(f, "&amp;circuit={number}"))
    }
}
