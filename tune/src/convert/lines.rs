//! The lines of a log, one at a time.

use std::io::{BufRead, ErrorKind};

use super::fields::Problem;

/// A longer line is an error, so that a file without line breaks is not read into memory.
const LONGEST_LINE: usize = 64 * 1024;

pub(super) struct Lines {
    file: Box<dyn BufRead>,
    line: Vec<u8>,
    number: u64,
}

impl Lines {
    pub(super) fn new(file: Box<dyn BufRead>) -> Self {
        Self { file, line: Vec::new(), number: 0 }
    }

    /// Returns how many lines have been read.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Returns the next line that is not empty, and its number.
    pub(super) fn next(&mut self) -> Result<Option<(u64, &str)>, Problem> {
        while self.read()? {
            if !self.line.trim_ascii().is_empty() {
                return self.text().map(|line| Some((self.number, line)));
            }
        }
        Ok(None)
    }

    fn text(&self) -> Result<&str, Problem> {
        let line = self.line.strip_suffix(b"\r").unwrap_or(&self.line);
        match std::str::from_utf8(line) {
            Ok(line) => Ok(line),
            Err(error) => Err(Problem::at(error.valid_up_to() + 1, "this is not UTF-8")),
        }
    }

    /// Reads a line, or the beginning of one that is too long. Returns whether there is one.
    fn read(&mut self) -> Result<bool, Problem> {
        self.line.clear();
        let (mut length, mut has_read) = (0_usize, false);
        loop {
            let bytes = match self.file.fill_buf() {
                Ok(bytes) => bytes,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(Problem::reading(&error)),
            };
            if bytes.is_empty() {
                break;
            }
            has_read = true;
            let end = bytes.iter().position(|byte| *byte == b'\n');
            let part = &bytes[..end.unwrap_or(bytes.len())];
            length += part.len();
            let room = LONGEST_LINE.saturating_sub(self.line.len());
            self.line.extend_from_slice(&part[..part.len().min(room)]);
            let read = part.len() + usize::from(end.is_some());
            self.file.consume(read);
            if end.is_some() {
                break;
            }
        }
        self.number += u64::from(has_read);
        if length > LONGEST_LINE {
            return Err(Problem::at(LONGEST_LINE + 1, "the line is longer than 64 KiB"));
        }
        Ok(has_read)
    }
}
