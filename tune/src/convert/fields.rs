//! The fields of a line: words, "quoted" or [in brackets]; or those of a JSON object.

use std::borrow::Cow;
use std::{fmt, io};

use serde_json::Value;

/// What is wrong with a line.
#[derive(Debug)]
pub(super) struct Problem {
    /// From 1 on, in bytes. 0 if the file cannot be read.
    column: usize,
    text: String,
}

impl Problem {
    pub(super) fn at(column: usize, text: impl fmt::Display) -> Self {
        Self { column, text: text.to_string() }
    }

    pub(super) fn reading(error: &io::Error) -> Self {
        Self { column: 0, text: format!("cannot be read: {error}") }
    }

    /// Whether other lines may be right.
    pub(super) fn is_about_line(&self) -> bool {
        self.column > 0
    }

    pub(super) fn at_line(&self, line: u64) -> String {
        match self.column {
            0 => self.text.clone(),
            column => format!("line {line}, column {column}: {}", self.text),
        }
    }
}

/// A field, and where it is.
pub(super) struct Field<'a> {
    pub(super) text: Cow<'a, str>,
    pub(super) column: usize,
}

impl Field<'_> {
    /// The field is not what it should be.
    pub(super) fn problem(&self, problem: &str) -> Problem {
        // A field may be long.
        let text: String = self.text.chars().take(40).collect();
        Problem::at(self.column, format_args!("{text:?} {problem}"))
    }
}

/// Divides a line into fields.
pub(super) fn split(line: &str) -> Vec<Field<'_>> {
    let mut fields = Vec::new();
    let mut rest = line;
    loop {
        rest = rest.trim_start_matches([' ', '\t']);
        let Some(first) = rest.bytes().next() else { return fields };
        let start = line.len() - rest.len();
        let (text, length) = match first {
            b'"' => quoted(rest),
            b'[' => closed(rest, rest.find(']')),
            _ => {
                let end = rest.find([' ', '\t']).unwrap_or(rest.len());
                (&rest[..end], end)
            }
        };
        fields.push(Field { text: text.into(), column: start + 1 });
        rest = &rest[length..];
    }
}

/// Divides a line of Envoy into fields. Envoy escapes nothing, so a quote in a path or a user agent is no end of a field. A
/// path has no space. From the user agent on, all fields are quoted, up to the field with the number `last`, and of these
/// only the user agent can have what looks like an end. A line that is not like this is divided as others are.
pub(super) fn split_envoy(line: &str, last: usize) -> Vec<Field<'_>> {
    split_default_envoy(line, last).unwrap_or_else(|| split(line))
}

fn split_default_envoy(line: &str, last: usize) -> Option<Vec<Field<'_>>> {
    let field = |text| Field { text: Cow::Borrowed(text), column: column(line, text) };
    let (time, rest) = line.strip_prefix('[')?.split_once("] \"")?;
    let (end, _) = rest.match_indices(' ').nth(2)?;
    let request = rest[..end].strip_suffix('"')?;
    let (words, quoted) = rest[end + 1..].split_once(" \"")?;
    let mut fields: Vec<_> =
        [time, request].into_iter().chain(words.split(' ')).map(field).collect();
    let quoted = quoted.strip_suffix('"')?;
    let mut parts: Vec<&str> = quoted.split("\" \"").collect();
    let too_many = (fields.len() + parts.len()).saturating_sub(last);
    if too_many > 0 {
        let agent = column(quoted, parts.get(1)?) - 1;
        let end = column(quoted, parts.get(1 + too_many)?) - 1 + parts[1 + too_many].len();
        parts.splice(1..=1 + too_many, [&quoted[agent..end]]);
    }
    fields.extend(parts.into_iter().map(field));
    Some(fields)
}

/// Where a part of a line begins, from 1 on.
fn column(line: &str, part: &str) -> usize {
    part.as_ptr().addr() - line.as_ptr().addr() + 1
}

/// The text between quotes. A backslash escapes a quote.
fn quoted(text: &str) -> (&str, usize) {
    let mut is_escaped = false;
    let end = text.bytes().skip(1).position(|byte| {
        let is_end = byte == b'"' && !is_escaped;
        is_escaped = byte == b'\\' && !is_escaped;
        is_end
    });
    closed(text, end.map(|end| end + 1))
}

/// The text between the first byte and this one, or up to the end of the line.
fn closed(text: &str, end: Option<usize>) -> (&str, usize) {
    let end = end.unwrap_or(text.len());
    (&text[1..end], (end + 1).min(text.len()))
}

/// Returns the field of a JSON object with this name, or in an object in it: `a.b`.
pub(super) fn named(object: &Value, name: &str) -> Option<Field<'static>> {
    let value = match object.get(name) {
        Some(value) => value,
        None => name.split('.').try_fold(object, |object, part| object.get(part))?,
    };
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Null | Value::Array(_) | Value::Object(_) => return None,
        value => value.to_string(),
    };
    // The reader does not know where the value is.
    Some(Field { text: text.into(), column: 1 })
}
