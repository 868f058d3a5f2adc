//! The page: HTML with pictures, in one file, without network access.

mod chart;
pub(crate) mod scatter;
mod states;
mod timeline;

use std::fmt::{self, Write};

use tower_breaker::Config;
use tower_breaker::replay::{Call, Report};

use self::timeline::Timeline;
use crate::text::visible;

const STYLE: &str = include_str!("page/style.css");

/// A page that is being written.
pub(crate) struct Page(String);

impl Page {
    pub(crate) fn new(title: &str) -> Self {
        let title = Escaped(title);
        // The policy forbids the page to load anything, whatever a key contains.
        Self(format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n\
            <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n\
            <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\"/>\n\
            <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n"
        ))
    }

    pub(crate) fn heading(&mut self, text: &str) {
        _ = writeln!(self.0, "<h2>{}</h2>", Escaped(text));
    }

    pub(crate) fn paragraph(&mut self, text: &str) {
        _ = writeln!(self.0, "<p>{}</p>", Escaped(text));
    }

    /// Text to read or to copy, line by line.
    pub(crate) fn text(&mut self, text: &str) {
        _ = writeln!(self.0, "<pre>{}</pre>", Escaped(text.trim_end()));
    }

    pub(crate) fn table(&mut self, head: &[String], rows: impl Iterator<Item = Vec<String>>) {
        let cells = |tag: &str, cells: &[String]| -> String {
            cells.iter().map(|cell| format!("<{tag}>{}</{tag}>", Escaped(cell))).collect()
        };
        _ = writeln!(self.0, "<div class=\"wide\"><table>\n<tr>{}</tr>", cells("th", head));
        for row in rows {
            _ = writeln!(self.0, "<tr>{}</tr>", cells("td", &row));
        }
        self.0 += "</table></div>\n";
    }

    /// What each colour means.
    fn legend(&mut self, colours: &[(&str, plotters::style::RGBColor)]) {
        self.0 += "<p class=\"legend\">";
        for (meaning, colour) in colours {
            let plotters::style::RGBColor(r, g, b) = colour;
            _ = write!(
                self.0,
                "<span><i style=\"background:rgb({r},{g},{b})\"></i>{}</span> ",
                Escaped(meaning)
            );
        }
        self.0 += "</p>\n";
    }

    /// The same picture in two widths, of which the page shows the one that fits.
    fn picture(&mut self, about: &str, draw: impl Fn(u32) -> String) {
        for (class, width) in [("large", 960), ("small", 400)] {
            let about = Escaped(about);
            let svg = draw(width);
            _ = writeln!(
                self.0,
                "<figure class=\"{class}\" role=\"img\" aria-label=\"{about}\">{svg}</figure>"
            );
        }
    }

    /// The traffic, the failure rate, the state and what was shed, over time.
    pub(crate) fn replay(&mut self, settings: &Config, report: &Report, calls: &[Call]) {
        let timeline = Timeline::new(settings, report, calls);
        self.legend(&timeline::CALLS);
        self.legend(&states::STATES);
        self.picture("The calls, the share that fails and the states, over time", |width| {
            timeline.draw(width)
        });
        if let Some(more) = timeline.left_out() {
            self.paragraph(&more);
        }
    }

    /// All tried settings as points.
    pub(crate) fn scatter(&mut self, scatter: &scatter::Scatter) {
        self.legend(&scatter::POINTS);
        self.picture("The time to open and the good calls shed, of all tried settings", |width| {
            scatter.draw(width)
        });
    }

    pub(crate) fn finish(mut self) -> String {
        self.0 += "</body>\n</html>\n";
        self.0
    }
}

/// Text that comes from strangers, in HTML.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '&' => f.write_str("&amp;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                '\n' => f.write_char('\n')?,
                c => f.write_char(visible(c))?,
            }
        }
        Ok(())
    }
}
