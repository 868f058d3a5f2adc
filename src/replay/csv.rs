//! Traces as CSV.

use std::collections::HashSet;
use std::fmt;
use std::io::{self, BufRead, Write};
use std::sync::Arc;
use std::time::Duration;

use csv_core::{ReadRecordResult, Reader, ReaderBuilder};

use super::call::{Call, LONGEST};
use super::trace::Trace;
use crate::observe::Ending;

const HEADER: [&str; 5] = ["at_us", "key", "outcome", "duration_us", "retry_after_us"];
const REJECTED: &str = "rejected";
const ENDINGS: [Ending; 5] =
    [Ending::Success, Ending::Failure, Ending::SoftFailure, Ending::Ignored, Ending::Abandoned];

/// A longer record is an error, so that a file without line breaks is not read into memory.
const LONGEST_RECORD: usize = 64 * 1024;

/// Traces as CSV: one line for each call, in the order in which they began.
///
/// ```text
/// at_us,key,outcome,duration_us,retry_after_us
/// 0,payments,success,20000,
/// 250000,payments,failure,1000000,5000000
/// ```
///
/// * `at_us`: when the call began, in microseconds since the beginning of the trace.
/// * `key`: which circuit it belongs to. May be empty.
/// * `outcome`: the [name](Ending::name) of an [`Ending`] (`success`, `failure`, `soft_failure`, `ignored` or `abandoned`),
///   or `rejected` if a breaker turned the call away and nobody knows how it would have ended.
/// * `duration_us`: how long the call took.
/// * `retry_after_us`: for how long the dependency asked not to be called again. This column may be missing or empty.
///
/// A time is a decimal number, such as `12.345`, of which three decimals count. It is 20 years at most.
impl Trace {
    /// Reads a trace from CSV. The file is read once, in pieces.
    ///
    /// # Errors
    /// Returns an error with the line and the column if the file does not have this form: if a time is missing, negative, out
    /// of range or earlier than that of the line before, if an outcome has no such name, or if a line is longer than
    /// 64 KiB or not UTF-8. Also returns an error if the file cannot be read.
    ///
    /// # Example
    /// ```
    /// use tower_breaker::replay::Trace;
    ///
    /// let file = "at_us,key,outcome,duration_us\n0,search,success,20000\n50000,search,failed,1\n";
    /// let error = Trace::read_csv(file.as_bytes()).unwrap_err();
    /// assert!(error.to_string().starts_with("line 3, column 3 (outcome): \"failed\" is none of"));
    /// ```
    pub fn read_csv(file: impl BufRead) -> Result<Self, TraceError> {
        let mut records = Records::new(file);
        let Some(header) = records.next()? else {
            return Err(TraceError::at(1, None, "the file is empty".into()));
        };
        let has_retry_after = header.is_header()?;
        let mut calls: Vec<Call> = Vec::new();
        let mut keys: HashSet<Arc<str>> = HashSet::new();
        while let Some(record) = records.next()? {
            let call = record.call(has_retry_after, &mut keys)?;
            if calls.last().is_some_and(|last| call.at < last.at) {
                return Err(record.error(0, "is earlier than that of the line before"));
            }
            calls.push(call);
        }
        Ok(calls.into_iter().collect())
    }

    /// Writes the trace as CSV.
    ///
    /// # Errors
    /// Returns an error if it cannot be written.
    pub fn write_csv(&self, mut file: impl Write) -> io::Result<()> {
        writeln!(file, "{}", HEADER.join(","))?;
        for call in self.calls().iter() {
            let Call { at, key, ending, duration, retry_after } = call;
            let outcome = ending.map_or(REJECTED, Ending::name);
            let (at, duration) = (Micros(*at), Micros(*duration));
            write!(file, "{at},{},{outcome},{duration},", Quoted(key))?;
            match retry_after {
                Some(retry_after) => writeln!(file, "{}", Micros(*retry_after))?,
                None => writeln!(file)?,
            }
        }
        file.flush()
    }
}

struct Micros(Duration);

impl fmt::Display for Micros {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.0.subsec_nanos() % 1000;
        write!(f, "{}", self.0.as_micros())?;
        if nanos == 0 { Ok(()) } else { write!(f, ".{nanos:03}") }
    }
}

/// A field that may need quotes.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.contains(['"', ',', '\n', '\r']) {
            write!(f, "\"{}\"", self.0.replace('"', "\"\""))
        } else {
            f.write_str(self.0)
        }
    }
}

/// A file that is no trace, or cannot be read.
///
/// `Display` prints where and why: `line 3, column 4 (duration_us): "-1" is no time in microseconds`.
#[derive(Debug)]
pub struct TraceError {
    line: u64,
    column: Option<usize>,
    problem: String,
    source: Option<io::Error>,
}

impl TraceError {
    fn at(line: u64, column: Option<usize>, problem: String) -> Self {
        Self { line, column, problem, source: None }
    }

    fn io(line: u64, error: io::Error) -> Self {
        let problem = "the file cannot be read".into();
        Self { line, column: None, problem, source: Some(error) }
    }

    /// Returns the number of the line, from 1 on.
    #[must_use]
    pub fn line(&self) -> u64 {
        self.line
    }

    /// Returns the number of the column, from 1 on, if it is about one.
    #[must_use]
    pub fn column(&self) -> Option<usize> {
        self.column
    }
}

impl fmt::Display for TraceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}", self.line)?;
        if let Some(column) = self.column {
            write!(f, ", column {column}")?;
            if let Some(name) = HEADER.get(column - 1) {
                write!(f, " ({name})")?;
            }
        }
        write!(f, ": {}", self.problem)
    }
}

impl std::error::Error for TraceError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|error| error as _)
    }
}

/// The records of a file, one at a time.
struct Records<R> {
    file: R,
    reader: Reader,
    /// The fields of a record, one after the other, and where they end.
    text: Box<[u8]>,
    ends: [usize; HEADER.len() + 1],
}

/// The fields of a line.
struct Record<'a> {
    line: u64,
    text: &'a [u8],
    ends: &'a [usize],
}

impl<R: BufRead> Records<R> {
    fn new(file: R) -> Self {
        let reader = ReaderBuilder::new().build();
        Self { file, reader, text: vec![0; LONGEST_RECORD].into(), ends: Default::default() }
    }

    fn next(&mut self) -> Result<Option<Record<'_>>, TraceError> {
        self.skip_line_ends()?;
        let line = self.reader.line();
        let (mut text_len, mut ends_len) = (0, 0);
        loop {
            let input = self.file.fill_buf().map_err(|error| TraceError::io(line, error))?;
            let (text, ends) = (&mut self.text[text_len..], &mut self.ends[ends_len..]);
            let (result, read, written, ended) = self.reader.read_record(input, text, ends);
            self.file.consume(read);
            text_len += written;
            ends_len += ended;
            let problem = match result {
                ReadRecordResult::InputEmpty => continue,
                ReadRecordResult::End => return Ok(None),
                ReadRecordResult::Record => {
                    let (text, ends) = (&self.text[..text_len], &self.ends[..ends_len]);
                    return Ok(Some(Record { line, text, ends }));
                }
                ReadRecordResult::OutputFull => format!("is longer than {LONGEST_RECORD} bytes"),
                ReadRecordResult::OutputEndsFull => {
                    format!("has more than {} fields", self.ends.len())
                }
            };
            return Err(TraceError::at(line, None, problem));
        }
    }
}

impl<R: BufRead> Records<R> {
    /// Reads what ends the line before, and blank lines, so that the next record begins on the line that is counted.
    fn skip_line_ends(&mut self) -> Result<(), TraceError> {
        loop {
            let line = self.reader.line();
            let input = self.file.fill_buf().map_err(|error| TraceError::io(line, error))?;
            let ends = input.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
            if ends == 0 {
                return Ok(());
            }
            let (_, read, ..) =
                self.reader.read_record(&input[..ends], &mut self.text, &mut self.ends);
            self.file.consume(read);
        }
    }
}

impl Record<'_> {
    fn error(&self, field: usize, problem: &str) -> TraceError {
        let bytes = self.bytes(field).unwrap_or_default();
        // A field may be long, or no text at all.
        let text: String = String::from_utf8_lossy(bytes).chars().take(40).collect();
        TraceError::at(self.line, Some(field + 1), format!("{text:?} {problem}"))
    }

    fn bytes(&self, field: usize) -> Option<&[u8]> {
        let start = if field == 0 { 0 } else { *self.ends.get(field - 1)? };
        Some(&self.text[start..*self.ends.get(field)?])
    }

    fn field(&self, field: usize) -> Result<&str, TraceError> {
        let bytes = self.bytes(field).ok_or_else(|| {
            TraceError::at(self.line, Some(field + 1), "this field is missing".into())
        })?;
        std::str::from_utf8(bytes).map_err(|_| self.error(field, "is not UTF-8"))
    }

    /// Whether the header has all columns. The last one may be missing.
    fn is_header(&self) -> Result<bool, TraceError> {
        let has_retry_after = self.ends.len() == HEADER.len();
        for (i, name) in HEADER[..4 + usize::from(has_retry_after)].iter().enumerate() {
            if self.field(i)? != *name {
                return Err(self.error(
                    i,
                    &format!("is not `{name}`: the file needs the header `{}`", HEADER.join(",")),
                ));
            }
        }
        Ok(has_retry_after)
    }

    fn call(
        &self,
        has_retry_after: bool,
        keys: &mut HashSet<Arc<str>>,
    ) -> Result<Call, TraceError> {
        if self.ends.len() > HEADER.len() - usize::from(!has_retry_after) {
            return Err(self.error(self.ends.len() - 1, "is a field more than the header has"));
        }
        let retry_after = match self.bytes(4) {
            None | Some([]) => None,
            Some(_) => Some(self.time(4)?),
        };
        Ok(Call {
            at: self.time(0)?,
            key: self.key(keys)?,
            ending: self.ending()?,
            duration: self.time(3)?,
            retry_after,
        })
    }

    fn key(&self, keys: &mut HashSet<Arc<str>>) -> Result<Arc<str>, TraceError> {
        let key = self.field(1)?;
        if let Some(known) = keys.get(key) {
            return Ok(known.clone());
        }
        let new: Arc<str> = key.into();
        keys.insert(new.clone());
        Ok(new)
    }

    fn ending(&self) -> Result<Option<Ending>, TraceError> {
        let name = self.field(2)?;
        if name == REJECTED {
            return Ok(None);
        }
        let ending = ENDINGS.into_iter().find(|ending| ending.name() == name);
        ending.map(Some).ok_or_else(|| {
            let names = ENDINGS.map(Ending::name).join(", ");
            self.error(2, &format!("is none of {names}, {REJECTED}"))
        })
    }

    fn time(&self, field: usize) -> Result<Duration, TraceError> {
        let text = self.field(field)?;
        let time = micros(text)
            .ok_or_else(|| self.error(field, "is no time in microseconds, such as 1500 or 0.25"))?;
        if time > LONGEST {
            return Err(self.error(field, "is more than 20 years"));
        }
        Ok(time)
    }
}

/// Parses a decimal number of microseconds, to the nanosecond.
fn micros(text: &str) -> Option<Duration> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
    let is_number = |digits: &str| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    if !is_number(whole) || !is_number(decimals) {
        return None;
    }
    let nanos: u64 = format!("{decimals:0<3}")[..3].parse().ok()?;
    // A number that does not fit is out of range, not malformed.
    let micros = whole.parse().unwrap_or(u64::MAX);
    Duration::from_micros(micros).checked_add(Duration::from_nanos(nanos))
}
