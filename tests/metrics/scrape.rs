//! Parses what an exporter serves.

use std::collections::BTreeMap;

/// A line of the exporter's output.
#[derive(Debug, Clone)]
pub(crate) struct Series {
    pub(crate) name: String,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) value: f64,
}

impl Series {
    /// Parses `name{key="value",key="value"} number`. The values in these tests contain no quotes or commas.
    fn parse(line: &str) -> Self {
        let (series, value) = line.rsplit_once(' ').expect(line);
        let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
        let labels = labels.strip_suffix('}').expect(line).split(',').filter(|l| !l.is_empty());
        let label = |label: &str| {
            let (key, value) = label.split_once('=').expect(line);
            (key.to_owned(), value.trim_matches('"').to_owned())
        };
        Self {
            name: name.to_owned(),
            labels: labels.map(label).collect(),
            value: value.parse().expect(line),
        }
    }

    pub(crate) fn has(&self, name: &str, labels: &[(&str, &str)]) -> bool {
        self.name == name
            && labels.iter().all(|(key, value)| self.labels.get(*key).is_some_and(|v| v == value))
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Scrape(pub(crate) Vec<Series>);

impl Scrape {
    pub(crate) fn parse(text: &str) -> Self {
        let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        Self(lines.map(Series::parse).collect())
    }

    /// Returns the value of the series with exactly these labels.
    #[track_caller]
    pub(crate) fn value(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let mut found = self.of(name, labels).filter(|series| series.labels.len() == labels.len());
        match (found.next(), found.next()) {
            (Some(series), None) => series.value,
            (None, _) => panic!("there is no {name} {labels:?}"),
            _ => panic!("there are several {name} {labels:?}"),
        }
    }

    /// Returns the sum of all series that have these labels.
    pub(crate) fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.of(name, labels).map(|series| series.value).sum()
    }

    pub(crate) fn of(&self, name: &str, labels: &[(&str, &str)]) -> impl Iterator<Item = &Series> {
        self.0.iter().filter(move |series| series.has(name, labels))
    }
}
