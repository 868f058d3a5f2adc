//! The result of a sweep: as a table, as JSON and as a page.

use std::fmt::Write;

use serde_json::{Value, json};
use tower_breaker::replay::Report;

use super::rank::{Ranking, Tried};
use super::vary::Combinations;
use crate::failure::{Failure, Result};
use crate::output::Output;
use crate::page::Page;
use crate::page::scatter::{Point, Scatter};
use crate::settings::Format;
use crate::text::{count, length, percent};
use crate::traffic::Traffic;

/// On the page, the table of the Pareto front has at most this many rows.
const MOST_ROWS: usize = 200;

pub(super) struct Sweep<'a> {
    pub(super) ranking: Ranking,
    pub(super) combinations: Combinations,
    pub(super) traffic: &'a Traffic,
    pub(super) top: usize,
}

impl Sweep<'_> {
    pub(super) fn show(&self, output: &Output) -> Result<()> {
        let report = self.traffic.replay(&self.ranking.chosen().config).map_err(Failure::bad)?;
        output.show(&self.table(), &self.json(&report), || self.page(&report))
    }

    fn introduction(&self) -> String {
        let tried = count(self.ranking.tried.len() as u64, "combination");
        let mut text = format!("{tried} of settings. Chosen: {}.\n", self.ranking.rule);
        if let Some((number, why)) = &self.combinations.invalid {
            let are = if *number == 1 { "is" } else { "are" };
            _ = writeln!(text, "{number} more {are} not valid: {why}");
        }
        text
    }

    fn head(&self) -> Vec<String> {
        let fixed = ["opens after", "missed", "good shed", "closes after", "openings", "the same"];
        let varied = self.combinations.settings.iter().cloned();
        varied.chain(fixed.map(String::from)).collect()
    }

    /// Settings that do the same share a row.
    fn row(same: &[Tried]) -> Vec<String> {
        let tried = &same[0];
        let mut row = tried.values.clone();
        row.extend([
            length(tried.time_to_open),
            tried.missed.to_string(),
            percent(tried.shed_share),
            tried.time_to_close.map_or("never".into(), length),
            tried.openings.to_string(),
            format!("+{}", same.len() - 1),
        ]);
        row
    }

    fn table(&self) -> String {
        let mut text = self.introduction();
        let head = self.head();
        // Settings that do the same are next to each other.
        let all: Vec<&[Tried]> = self.ranking.tried.chunk_by(Tried::does_the_same).collect();
        let shown = &all[..all.len().min(self.top)];
        let rows: Vec<Vec<String>> = shown.iter().map(|same| Self::row(same)).collect();
        let width = |i: usize| {
            rows.iter().map(|row| row[i].chars().count()).chain([head[i].len()]).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..head.len()).map(width).collect();
        let line = |cells: &[String]| {
            let cells = cells.iter().zip(&widths).map(|(cell, width)| format!("  {cell:>width$}"));
            cells.collect::<String>()
        };
        _ = writeln!(text, "\n   {}", line(&head));
        for (i, (same, row)) in shown.iter().zip(&rows).enumerate() {
            let chosen = if i == 0 { '>' } else { ' ' };
            let front = if same[0].is_on_front { '*' } else { ' ' };
            _ = writeln!(text, "{chosen}{front} {}", line(row));
        }
        let more: usize = all[shown.len()..].iter().map(|same| same.len()).sum();
        if more > 0 {
            _ = writeln!(text, "   and {more} more combinations");
        }
        text += "\n> chosen   * on the Pareto front: no other opens sooner without shedding more good calls\n\n";
        text + &self.settings()
    }

    /// The chosen settings as a file.
    fn settings(&self) -> String {
        Format::Toml.text(&self.ranking.chosen().config)
    }

    fn json(&self, report: &Report) -> Value {
        let invalid = self.combinations.invalid.as_ref();
        let values = |tried: &Tried| {
            let pairs = self
                .combinations
                .settings
                .iter()
                .cloned()
                .zip(tried.values.iter().map(|it| json!(it)));
            Value::Object(pairs.collect())
        };
        let entry = |tried: &Tried| {
            let mut entry = json!(tried);
            entry["values"] = values(tried);
            entry
        };
        json!({
            "rule": self.ranking.rule,
            "invalid": invalid.map_or(0, |(number, _)| *number),
            "chosen": entry(self.ranking.chosen()),
            "report": report,
            "tried": self.ranking.tried.iter().map(entry).collect::<Vec<_>>(),
        })
    }

    fn page(&self, report: &Report) -> String {
        let mut page = Page::new("Which settings fit the traffic");
        page.paragraph(&self.introduction());
        page.scatter(&self.scatter());
        page.heading("The chosen settings");
        page.text(&self.settings());
        page.heading("What they would have done");
        page.replay(&self.ranking.chosen().config, report, &self.traffic.calls(report));
        page.text(&report.to_string());
        page.heading("The Pareto front");
        let front =
            self.ranking.tried.chunk_by(Tried::does_the_same).filter(|same| same[0].is_on_front);
        page.table(&self.head(), front.take(MOST_ROWS).map(Self::row));
        page.finish()
    }

    fn scatter(&self) -> Scatter {
        let point = |tried: &Tried| Point {
            time_to_open: tried.time_to_open,
            shed: tried.shed_share,
            is_on_front: tried.is_on_front,
        };
        Scatter {
            points: self.ranking.tried.iter().map(point).collect(),
            chosen: point(self.ranking.chosen()),
        }
    }
}
