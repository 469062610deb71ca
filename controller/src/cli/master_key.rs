//! The master key that seals stored credentials, when it comes from the environment instead of a file.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Where the key is read. There is no flag: a flag's value can be seen in the process list.
pub const MASTER_KEY_VARIABLE: &str = "BARNDOOR_MASTER_KEY";

/// The key's length, in bytes.
pub const MASTER_KEY_BYTES: usize = 32;

/// A master key. Its `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct MasterKey([u8; MASTER_KEY_BYTES]);

impl MasterKey {
    /// The key itself.
    pub const fn bytes(&self) -> &[u8; MASTER_KEY_BYTES] {
        &self.0
    }

    /// Parses 64 hexadecimal characters or standard base64 of 32 bytes.
    ///
    /// # Errors
    /// Never repeats the text.
    pub fn parse(text: &str) -> Result<Self, InvalidMasterKey> {
        let text = text.trim();
        let bytes = from_hexadecimal(text).or_else(|| STANDARD.decode(text).ok()).ok_or(InvalidMasterKey)?;
        bytes.try_into().map(Self).map_err(|_| InvalidMasterKey)
    }

    /// The key in the environment; `None` when the variable is unset or empty.
    ///
    /// # Errors
    /// The variable holds something else than a key.
    pub fn from_environment() -> Result<Option<Self>, InvalidMasterKey> {
        match std::env::var(MASTER_KEY_VARIABLE) {
            Ok(text) if text.trim().is_empty() => Ok(None),
            Ok(text) => Self::parse(&text).map(Some),
            Err(std::env::VarError::NotPresent) => Ok(None),
            Err(std::env::VarError::NotUnicode(_)) => Err(InvalidMasterKey),
        }
    }
}

fn from_hexadecimal(text: &str) -> Option<Vec<u8>> {
    if text.len() != MASTER_KEY_BYTES * 2 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect()
}

impl std::fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MasterKey(..)")
    }
}

/// The variable does not hold a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{MASTER_KEY_VARIABLE} is not a key: it takes 32 random bytes as 64 hexadecimal characters or base64; make one with `openssl rand -hex 32`"
)]
pub struct InvalidMasterKey;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_thirty_two_bytes_in_hexadecimal_or_base64() {
        let key = MasterKey::parse(&"a5".repeat(32)).expect("hexadecimal");
        assert_eq!(key.bytes(), &[0xa5; 32]);
        assert_eq!(MasterKey::parse(&format!("{}\n", STANDARD.encode([0xa5; 32]))), Ok(key));
    }

    #[test]
    fn neither_a_refusal_nor_debug_shows_the_key() {
        for bad in ["", "secret", &"a5".repeat(31), &"a5".repeat(33), &"zz".repeat(32)] {
            let refusal = MasterKey::parse(bad).expect_err("not a key");
            assert!(bad.is_empty() || !refusal.to_string().contains(bad), "{refusal}");
        }
        assert_eq!(format!("{:?}", MasterKey([0xa5; 32])), "MasterKey(..)");
    }
}
