//! A JSON reader that checks and skips (RFC 8259): one pass, nothing allocated, values stay bytes.
//!
//! It exists because producers' events are delivered as the bytes they came in: only three members of each are ever
//! looked at. It must not know what an event is.

use std::borrow::Cow;

/// Where and why bytes are not the JSON that is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum JsonError {
    /// Not JSON.
    #[error("{what} at column {column}")]
    Syntax {
        /// Counted in bytes, from 1.
        column: usize,
        /// What was expected.
        what: &'static str,
    },
    /// Objects and arrays inside one another beyond the limit.
    #[error("nested deeper than the limit")]
    TooDeep,
}

/// A string's bytes between its quotes, as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Text<'a> {
    raw: &'a [u8],
    escaped: bool,
}

impl<'a> Text<'a> {
    /// What the string says; `None` when it holds half of a surrogate pair, or the bytes are not UTF-8.
    pub(super) fn decoded(self) -> Option<Cow<'a, str>> {
        if !self.escaped {
            return std::str::from_utf8(self.raw).ok().map(Cow::Borrowed);
        }
        let quoted = [b"\"", self.raw, b"\""].concat();
        serde_json::from_slice::<String>(&quoted).ok().map(Cow::Owned)
    }
}

/// Reads one JSON text from front to back.
pub(super) struct Reader<'a> {
    text: &'a [u8],
    at: usize,
    depth_left: usize,
}

impl<'a> Reader<'a> {
    /// A reader that refuses more than `depth_max` objects and arrays inside one another.
    pub(super) fn new(text: &'a [u8], depth_max: usize) -> Self {
        Self { text, at: 0, depth_left: depth_max }
    }

    /// The next byte that is not white space.
    pub(super) fn peek(&mut self) -> Option<u8> {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.text.get(self.at) {
            self.at += 1;
        }
        self.text.get(self.at).copied()
    }

    /// Reads an object; `member` must read the value of each key it is given.
    pub(super) fn object(
        &mut self,
        mut member: impl FnMut(&mut Self, Text<'a>) -> Result<(), JsonError>,
    ) -> Result<(), JsonError> {
        self.expect(b'{', "expected \"{\"")?;
        self.enter()?;
        if self.peek() == Some(b'}') {
            self.leave();
            return Ok(());
        }
        loop {
            self.peek();
            let key = self.string()?;
            self.peek();
            self.expect(b':', "expected \":\"")?;
            member(self, key)?;
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => break,
                Some(_) | None => return Err(self.syntax("expected \",\" or \"}\"")),
            }
        }
        self.leave();
        Ok(())
    }

    /// Skips a value of any kind.
    pub(super) fn value(&mut self) -> Result<(), JsonError> {
        match self.peek() {
            Some(b'{') => self.object(|reader, _| reader.value()),
            Some(b'[') => self.array(),
            Some(b'"') => self.string().map(drop),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.literal(b"true"),
            Some(b'f') => self.literal(b"false"),
            Some(b'n') => self.literal(b"null"),
            Some(_) | None => Err(self.syntax("expected a value")),
        }
    }

    /// Reads a value and gives its bytes if it is a string.
    pub(super) fn text_or_skip(&mut self) -> Result<Option<Text<'a>>, JsonError> {
        if self.peek() == Some(b'"') { self.string().map(Some) } else { self.value().map(|()| None) }
    }

    /// Only white space may follow.
    pub(super) fn end(&mut self) -> Result<(), JsonError> {
        if self.peek().is_none() { Ok(()) } else { Err(self.syntax("expected the end of the line")) }
    }

    fn array(&mut self) -> Result<(), JsonError> {
        self.expect(b'[', "expected \"[\"")?;
        self.enter()?;
        if self.peek() == Some(b']') {
            self.leave();
            return Ok(());
        }
        loop {
            self.value()?;
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => break,
                Some(_) | None => return Err(self.syntax("expected \",\" or \"]\"")),
            }
        }
        self.leave();
        Ok(())
    }

    fn enter(&mut self) -> Result<(), JsonError> {
        self.depth_left = self.depth_left.checked_sub(1).ok_or(JsonError::TooDeep)?;
        Ok(())
    }

    /// Steps over the closing bracket that was just seen.
    fn leave(&mut self) {
        self.at += 1;
        self.depth_left += 1;
    }

    fn string(&mut self) -> Result<Text<'a>, JsonError> {
        self.expect(b'"', "expected a string")?;
        let start = self.at;
        let mut escaped = false;
        loop {
            self.at += plain_run(&self.text[self.at..]);
            match self.text.get(self.at) {
                Some(b'"') => {
                    let raw = &self.text[start..self.at];
                    self.at += 1;
                    return Ok(Text { raw, escaped });
                }
                Some(b'\\') => {
                    escaped = true;
                    self.escape()?;
                }
                Some(_) => return Err(self.syntax("expected control characters in strings to be escaped")),
                None => return Err(self.syntax("expected the end of the string")),
            }
        }
    }

    fn escape(&mut self) -> Result<(), JsonError> {
        self.at += 1;
        let digits = match self.text.get(self.at) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => 0,
            Some(b'u') => 4,
            Some(_) | None => return Err(self.syntax("expected an escape")),
        };
        self.at += 1;
        for _ in 0..digits {
            if !self.text.get(self.at).is_some_and(u8::is_ascii_hexdigit) {
                return Err(self.syntax("expected four hexadecimal digits"));
            }
            self.at += 1;
        }
        Ok(())
    }

    fn number(&mut self) -> Result<(), JsonError> {
        if self.text.get(self.at) == Some(&b'-') {
            self.at += 1;
        }
        if self.text.get(self.at) == Some(&b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.text.get(self.at) == Some(&b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.text.get(self.at) {
            self.at += 1;
            if let Some(b'+' | b'-') = self.text.get(self.at) {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), JsonError> {
        let count = self.text[self.at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        if count == 0 {
            return Err(self.syntax("expected a digit"));
        }
        self.at += count;
        Ok(())
    }

    fn literal(&mut self, word: &'static [u8]) -> Result<(), JsonError> {
        if !self.text[self.at..].starts_with(word) {
            return Err(self.syntax("expected a value"));
        }
        self.at += word.len();
        Ok(())
    }

    fn expect(&mut self, byte: u8, what: &'static str) -> Result<(), JsonError> {
        if self.text.get(self.at) != Some(&byte) {
            return Err(self.syntax(what));
        }
        self.at += 1;
        Ok(())
    }

    fn syntax(&self, what: &'static str) -> JsonError {
        JsonError::Syntax { column: self.at + 1, what }
    }
}

/// How many bytes come before the first quote, backslash or control character; eight at a time.
fn plain_run(bytes: &[u8]) -> usize {
    const ONES: u64 = u64::from_ne_bytes([0x01; 8]);
    const HIGH: u64 = u64::from_ne_bytes([0x80; 8]);
    // The lowest marked byte is right; those above it may be marked wrongly by the borrow.
    let below = |word: u64, limit: u64| word.wrapping_sub(ONES * limit) & !word & HIGH;
    let equal = |word: u64, byte: u64| below(word ^ (ONES * byte), 1);
    let (words, rest) = bytes.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let found = below(word, 0x20) | equal(word, u64::from(b'"')) | equal(word, u64::from(b'\\'));
        if found != 0 {
            return index * 8 + (found.trailing_zeros() / 8) as usize;
        }
    }
    let plain = |byte: &&u8| !matches!(**byte, 0..0x20 | b'"' | b'\\');
    bytes.len() - rest.len() + rest.iter().take_while(plain).count()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn accepts(text: &[u8]) -> bool {
        let mut reader = Reader::new(text, 64);
        reader.value().and_then(|()| reader.end()).is_ok()
    }

    #[test]
    fn what_json_allows_is_accepted_and_nothing_else() {
        for good in [
            "{}",
            "[]",
            " [ 1 , -0.5e+10 , true,false,null ] ",
            r#"{"a":{"b":[{}]}}"#,
            r#""\u00e9\n\"é""#,
            "1e999",
            r#""\ud800""#,
        ] {
            assert!(accepts(good.as_bytes()), "{good}");
        }
        for bad in [
            "",
            "{",
            "}",
            "[1,]",
            "{\"a\":1,}",
            "{a:1}",
            "01",
            "1.",
            ".5",
            "+1",
            "1e",
            "nul",
            "\"a",
            "\"\\x\"",
            "\"\\u12g4\"",
            "\"\t\"",
            "[1 2]",
            "{} {}",
            "\u{feff}{}",
            "'a'",
            "NaN",
            "[1]]",
        ] {
            assert!(!accepts(bad.as_bytes()), "{bad}");
        }
    }

    #[test]
    fn an_error_says_where_and_what_was_expected() {
        let mut reader = Reader::new(br#"{"a":1 "b":2}"#, 64);
        let refusal = reader.value().expect_err("no comma");
        assert_eq!(refusal.to_string(), "expected \",\" or \"}\" at column 8");
    }

    #[test]
    fn depth_is_counted_in_brackets_open_at_once() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(accepts(nested(64).as_bytes()) && accepts(format!("[{0},{0}]", nested(63)).as_bytes()));
        assert_eq!(Reader::new(nested(65).as_bytes(), 64).value(), Err(JsonError::TooDeep));
    }

    proptest! {
        #[test]
        fn it_agrees_with_serde_json_on_anything(text in r#"[\[\]{}:,"\\ntruefals0-9.eE+ u\-]{0,24}"#) {
            let theirs = serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok();
            prop_assert_eq!(accepts(text.as_bytes()), theirs, "{}", text);
        }

        #[test]
        fn a_run_of_plain_bytes_ends_where_it_must(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let expected = bytes.iter().position(|b| *b < 0x20 || *b == b'"' || *b == b'\\').unwrap_or(bytes.len());
            prop_assert_eq!(plain_run(&bytes), expected);
        }
    }
}
