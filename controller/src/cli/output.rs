//! What people see: tables, marks, colours on a terminal only; nothing that a server sent can move the cursor.

use std::fmt::Write;
use std::io::IsTerminal;

use anstyle::{AnsiColor, Style};
use clap::ValueEnum;
use serde_json::Value;

/// Something good.
pub(super) const GOOD: Style = AnsiColor::Green.on_default();
/// Something to look at.
pub(super) const WARNING: Style = AnsiColor::Yellow.on_default();
/// Something bad.
pub(super) const BAD: Style = AnsiColor::Red.on_default();
/// A heading.
pub(super) const HEADING: Style = Style::new().bold();

/// How an answer is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum OutputFormat {
    /// For people.
    Human,
    /// The controller's answer, as it came.
    Json,
}

/// Prints what `human` makes of the answer, or the answer itself.
pub(super) fn print_answer(format: OutputFormat, answer: &Value, human: impl FnOnce() -> String) {
    match format {
        OutputFormat::Human => anstream::print!("{}", human()),
        // Alternate Display is serde_json's indented form.
        OutputFormat::Json => anstream::println!("{answer:#}"),
    }
}

/// Says what is being waited for, to a person who is looking.
pub(super) fn print_progress(words: &str) {
    if std::io::stderr().is_terminal() {
        anstream::eprintln!("{words}");
    }
}

/// Prints an error the way clap does.
pub(super) fn print_error(message: &str) {
    let bad = BAD.bold();
    anstream::eprintln!("{bad}error:{bad:#} {}", plain(message));
}

/// The words in this style.
pub(super) fn styled(style: Style, words: &str) -> String {
    format!("{style}{words}{style:#}")
}

/// The text without control characters.
pub(super) fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' { ' ' } else { c }).collect()
}

/// The text or number at this JSON pointer; `None` when there is none, or an empty one.
pub(super) fn text_at(value: &Value, pointer: &str) -> Option<String> {
    match value.pointer(pointer)? {
        Value::String(text) if text.is_empty() => None,
        Value::String(text) => Some(plain(text)),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// The list at this JSON pointer; empty when there is none.
pub(super) fn list_at<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// Rows under a heading, columns aligned by characters; the last column is not padded.
pub(super) fn table<const COLUMNS: usize>(heading: [&str; COLUMNS], rows: &[[String; COLUMNS]]) -> String {
    let widths: [usize; COLUMNS] = std::array::from_fn(|column| {
        rows.iter().map(|row| row[column].chars().count()).chain([heading[column].len()]).max().unwrap_or(0)
    });
    let line = |cells: [&str; COLUMNS]| {
        let mut line = String::new();
        for (column, cell) in cells.iter().enumerate() {
            let gap = if column == 0 { "" } else { "  " };
            // Writing to a String cannot fail.
            let _ = write!(line, "{gap}{cell:<width$}", width = widths[column]);
        }
        line.truncate(line.trim_end().len());
        line
    };
    let mut text = styled(HEADING, &line(heading));
    text.push('\n');
    for row in rows {
        text.push_str(&line(row.each_ref().map(String::as_str)));
        text.push('\n');
    }
    text
}

/// Named values below each other, the values aligned; those that are absent are left out.
pub(super) fn facts(facts: &[(&str, Option<String>)]) -> String {
    let width = facts.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let mut text = String::new();
    for (name, value) in facts {
        if let Some(value) = value {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "  {name:<width$}  {value}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn columns_line_up_and_lines_have_no_tail() {
        let rows = [["a".to_owned(), "first".to_owned()], ["längst".to_owned(), String::new()]];
        let text = anstream::adapter::strip_str(&table(["Name", "What"], &rows)).to_string();
        assert_eq!(text, "Name    What\na       first\nlängst\n");
    }

    #[test]
    fn facts_that_are_absent_are_left_out() {
        let text = facts(&[("one", Some("1".to_owned())), ("absent", None)]);
        assert_eq!(text, "  one     1\n");
    }

    #[test]
    fn a_servers_text_cannot_move_the_cursor() {
        let value = json!({ "message": "a\u{1b}[2Jb\r", "empty": "" });
        assert_eq!(text_at(&value, "/message").as_deref(), Some("a [2Jb "));
        assert_eq!(text_at(&value, "/empty"), None);
        assert_eq!(text_at(&value, "/absent/deeper"), None);
    }
}
