//! Undoes a body's `Content-Encoding` while it arrives.

use std::io::Write;

use flate2::write::MultiGzDecoder;

use super::budget::Reservation;
use super::lines::{Lines, LinesError, Sorted};

/// How a body is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    /// As it is.
    Identity,
    /// gzip, of one or several members.
    Gzip,
}

/// Why a body could not be decoded.
#[derive(Debug, thiserror::Error)]
pub(super) enum ContentError {
    /// Its lines were not taken.
    #[error(transparent)]
    Lines(#[from] LinesError),
    /// Not gzip, damaged, or cut short.
    #[error("the body is not whole, valid gzip")]
    Corrupt,
}

impl From<std::io::Error> for ContentError {
    fn from(error: std::io::Error) -> Self {
        match error.downcast::<LinesError>() {
            Ok(refused) => Self::Lines(refused),
            Err(_damaged) => Self::Corrupt,
        }
    }
}

/// A body on its way in, in its encoding.
pub(super) enum Content {
    /// Lines as they are.
    Identity(Box<Lines>),
    /// Lines inside gzip.
    Gzip(Box<MultiGzDecoder<Lines>>),
}

impl Content {
    /// An empty body of these lines.
    pub(super) fn new(encoding: Encoding, lines: Lines) -> Self {
        match encoding {
            Encoding::Identity => Self::Identity(Box::new(lines)),
            Encoding::Gzip => Self::Gzip(Box::new(MultiGzDecoder::new(lines))),
        }
    }

    /// Takes the next bytes from the wire.
    pub(super) fn push(&mut self, chunk: &[u8]) -> Result<(), ContentError> {
        match self {
            Self::Identity(lines) => Ok(lines.push(chunk)?),
            Self::Gzip(decoder) => Ok(decoder.write_all(chunk)?),
        }
    }

    /// The body is complete.
    pub(super) fn finish(self) -> Result<(Sorted, Reservation), ContentError> {
        match self {
            Self::Identity(lines) => Ok(lines.finish()),
            Self::Gzip(decoder) => Ok(decoder.finish()?.finish()),
        }
    }
}

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::super::budget::tests::reservation;
    use super::super::lines::{DECODED_MAX_BYTES, Fingerprint};
    use super::*;

    const EVENT: &[u8] = br#"{"id":"1","type":"AUDIT","timestamp":"2026-01-31T12:00:00Z"}"#;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).expect("memory");
        encoder.finish().expect("memory")
    }

    fn decoded(wire: &[u8], chunk_bytes: usize) -> Result<usize, ContentError> {
        let mut content = Content::new(Encoding::Gzip, Lines::new(Fingerprint::None, reservation()));
        for chunk in wire.chunks(chunk_bytes) {
            content.push(chunk)?;
        }
        Ok(content.finish()?.0.events.len())
    }

    #[test]
    fn gzip_of_several_members_is_decoded_however_it_is_cut() {
        let two_lines = [EVENT, b"\n", EVENT, b"\n"].concat();
        let wire = [gzip(&two_lines), gzip(b""), gzip(&two_lines)].concat();
        for chunk_bytes in [1, 7, wire.len()] {
            assert_eq!(decoded(&wire, chunk_bytes).expect("valid"), 4, "{chunk_bytes}");
        }
    }

    #[test]
    fn gzip_that_is_damaged_cut_short_or_no_gzip_is_refused() {
        let good = gzip(EVENT);
        let mut flipped = good.clone();
        let crc = good.len() - 8;
        flipped[crc] ^= 1;
        let with_garbage = [good.as_slice(), b"garbage"].concat();
        for bad in [
            &good[..good.len() - 1],
            &good[..good.len() / 2],
            &good[..4],
            b"",
            b"plain text",
            &flipped,
            &with_garbage,
        ] {
            assert!(matches!(decoded(bad, 16), Err(ContentError::Corrupt)), "{bad:?}");
        }
    }

    #[test]
    fn a_small_body_that_decodes_to_too_much_is_refused() {
        let bomb = gzip(&vec![b'\n'; DECODED_MAX_BYTES + 1]);
        assert!(bomb.len() < 64 * 1024);
        assert!(matches!(decoded(&bomb, 1024), Err(ContentError::Lines(LinesError::TooManyBytes))));
    }
}
