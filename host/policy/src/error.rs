//! What is wrong with a grants file, and where.

use std::{fmt, ops::Range};

use nshost_plan::show;

/// Why a grants file was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantsError {
    /// The file, as the operator named it.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The character in the line, from 1.
    pub column: usize,
    /// What is wrong, and what would be right; one line, safe on a terminal.
    pub what: String,
}

impl GrantsError {
    /// The file's text may be anything; `what` may quote it.
    pub(crate) fn new(text: &str, file: &str, span: Option<Range<usize>>, what: &str) -> Self {
        const MAX: usize = 600;
        let (line, column) = position(text, span.map_or(0, |span| span.start));
        let what = what.split_whitespace().collect::<Vec<_>>().join(" ");
        let mut short: String = what.chars().take(MAX).collect();
        if short.len() < what.len() {
            short.push('…');
        }
        GrantsError { file: show::log_line(file), line, column, what: show::log_line(&short) }
    }
}

fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = &text.as_bytes()[..offset.min(text.len())];
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    let start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    (line, String::from_utf8_lossy(&before[start..]).chars().count() + 1)
}

impl fmt::Display for GrantsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}", self.file, self.line, self.column, self.what)
    }
}

impl std::error::Error for GrantsError {}
