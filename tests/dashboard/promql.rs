//! The part of PromQL that is needed to find the names in a query.

use std::collections::BTreeSet;

use crate::scrape::{Scrape, Series};

/// Words that are neither metrics nor labels.
const WORDS: [&str; 14] = [
    "and",
    "clamp_max",
    "clamp_min",
    "count",
    "increase",
    "max",
    "min",
    "or",
    "rate",
    "round",
    "sum",
    "time",
    "unless",
    "vector",
];

/// Labels that every series has once Prometheus has scraped it, if a part of the fleet has them.
const TARGET_LABELS: [&str; 4] = ["cluster", "namespace", "job", "instance"];

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Word(String),
    Text(String),
    Sign(char),
}

fn tokens(query: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = query.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '"' => rest[1..].find('"').expect("the text ends") + 2,
            '[' => rest.find(']').expect("the range ends") + 1,
            _ => rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len()),
        };
        let (token, after) = rest.split_at(length.max(first.len_utf8()));
        match first {
            '"' => tokens.push(Token::Text(token.trim_matches('"').to_owned())),
            '[' | '0'..='9' => {}
            _ if length == 0 => tokens.push(Token::Sign(first)),
            _ => tokens.push(Token::Word(token.to_owned())),
        }
        rest = after.trim_start();
    }
    tokens
}

/// The names in a query: metrics with the values that their labels must have, labels that all metrics must have, and
/// labels that one of them must have.
#[derive(Debug, Default)]
struct Names {
    metrics: Vec<(String, Vec<Matcher>)>,
    by: BTreeSet<String>,
    without: BTreeSet<String>,
}

#[derive(Debug, Clone)]
struct Matcher {
    label: String,
    values: Vec<String>,
    negated: bool,
}

impl Names {
    fn of(query: &str) -> Self {
        let mut names = Self::default();
        if let Some(arguments) = query.strip_prefix("label_values(") {
            let (query, label) = arguments.trim_end_matches(')').rsplit_once(',').unwrap();
            let mut names = Self::of(query);
            names.by.insert(label.trim().to_owned());
            return names;
        }
        let mut tokens = tokens(query).into_iter().peekable();
        while let Some(token) = tokens.next() {
            let Token::Word(word) = token else { continue };
            match &*word {
                "by" | "on" | "without" => {
                    let list = tokens.by_ref().take_while(|token| *token != Token::Sign(')'));
                    let labels = if word == "without" { &mut names.without } else { &mut names.by };
                    labels.extend(list.filter_map(word_of));
                }
                word if WORDS.contains(&word) => {}
                metric => {
                    let mut matchers = Vec::new();
                    if tokens.next_if_eq(&Token::Sign('{')).is_some() {
                        let selector: Vec<_> = tokens
                            .by_ref()
                            .take_while(|token| *token != Token::Sign('}'))
                            .collect();
                        matchers =
                            selector.split(|t| *t == Token::Sign(',')).map(matcher).collect();
                    }
                    names.metrics.push((metric.to_owned(), matchers));
                }
            }
        }
        names
    }
}

fn word_of(token: Token) -> Option<String> {
    if let Token::Word(word) = token { Some(word) } else { None }
}

fn matcher(tokens: &[Token]) -> Matcher {
    let [Token::Word(label), signs @ .., Token::Text(text)] = tokens else {
        panic!("not a matcher: {tokens:?}");
    };
    // A variable of the dashboard may have any value.
    let values = if text.starts_with('$') { "" } else { text };
    let values = values.split('|').filter(|value| !value.is_empty()).map(str::to_owned).collect();
    Matcher { label: label.clone(), values, negated: signs.contains(&Token::Sign('!')) }
}

/// Checks that everything in the query exists in the scrape: each metric, each value of a label on its metric, and
/// on every metric the labels that are grouped by or `shown`.
pub(crate) fn check(query: &str, shown: &[&str], scrape: &Scrape) -> Result<(), String> {
    let names = Names::of(query);
    if names.metrics.is_empty() {
        return Err(format!("no metric in `{query}`"));
    }
    let has = |metric: &str, label: &str| {
        TARGET_LABELS.contains(&label)
            || scrape.of(metric, &[]).any(|series| series.labels.contains_key(label))
    };
    for label in &names.without {
        if !names.metrics.iter().any(|(metric, _)| has(metric, label)) {
            return Err(format!("no metric has the label `{label}`"));
        }
    }
    for (metric, matchers) in &names.metrics {
        if scrape.of(metric, &[]).next().is_none() {
            return Err(format!("no metric `{metric}`"));
        }
        let labels = names.by.iter().map(|label| &**label).chain(shown.iter().copied());
        for label in labels.chain(matchers.iter().map(|matcher| &*matcher.label)) {
            if !has(metric, label) {
                return Err(format!("`{metric}` has no label `{label}`"));
            }
        }
        for Matcher { label, values, .. } in matchers {
            for value in values {
                if scrape.of(metric, &[(label, value)]).next().is_none() {
                    return Err(format!("no `{metric}` has `{label}=\"{value}\"`"));
                }
            }
        }
        if !scrape.of(metric, &[]).any(|series| matchers.iter().all(|m| m.matches(series))) {
            return Err(format!("`{query}` selects no `{metric}`"));
        }
    }
    Ok(())
}

impl Matcher {
    fn matches(&self, series: &Series) -> bool {
        self.values.is_empty() || self.values.contains(&series.labels[&self.label]) != self.negated
    }
}
