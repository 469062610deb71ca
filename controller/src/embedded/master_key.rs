//! The master key and what is sealed under it. Sealed bytes open only where they were put: each is bound to a context.

use std::fs;
use std::io;
use std::path::Path;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::private_file;

/// Bytes of every key here.
pub(crate) const KEY_BYTES: usize = 32;
/// The first byte of sealed bytes: nonce, ciphertext and tag of AES-256-GCM follow.
const SEALED_AES_256_GCM: u8 = 1;

/// Text that is no master key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a master key is 32 random bytes as 64 hexadecimal characters or base64; make one with: openssl rand -hex 32"
)]
pub struct InvalidMasterKey;

/// The key under which everything secret in the data folder is sealed.
pub struct MasterKey(RandomizedNonceKey);

impl std::fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MasterKey(..)")
    }
}

/// The sealed bytes were sealed under another key, for another context, or changed since.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotSealedHere;

impl MasterKey {
    /// Reads the key from 64 hexadecimal characters or base64; space around it does not matter.
    ///
    /// # Errors
    /// When it is not base64 of 32 bytes.
    pub fn parse(text: &str) -> Result<Self, InvalidMasterKey> {
        let bytes = from_hexadecimal(text.trim())
            .or_else(|| STANDARD.decode(text.trim()).ok())
            .ok_or(InvalidMasterKey)?;
        let bytes: [u8; KEY_BYTES] = bytes.try_into().map_err(|_| InvalidMasterKey)?;
        Ok(Self::from_bytes(&bytes))
    }

    fn from_bytes(bytes: &[u8; KEY_BYTES]) -> Self {
        Self(RandomizedNonceKey::new(&AES_256_GCM, bytes).expect("AES-256-GCM takes 32 bytes"))
    }

    /// Reads the key file; `None` when there is none.
    pub(super) fn read(path: &Path) -> io::Result<Option<Result<Self, InvalidMasterKey>>> {
        match fs::read_to_string(path) {
            Ok(text) => Ok(Some(Self::parse(&text))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => Ok(Some(Err(InvalidMasterKey))),
            Err(error) => Err(error),
        }
    }

    /// Makes a new key and writes its file.
    pub(super) fn create(path: &Path) -> io::Result<Self> {
        let bytes = random();
        private_file::replace(path, format!("{}\n", STANDARD.encode(bytes)).as_bytes())?;
        Ok(Self::from_bytes(&bytes))
    }

    /// Seals bytes for this context.
    pub(crate) fn seal(&self, context: &[&str], secret: &[u8]) -> Vec<u8> {
        let mut sealed = secret.to_vec();
        let nonce = self
            .0
            .seal_in_place_append_tag(Aad::from(bound(context)), &mut sealed)
            .expect("AES-256-GCM seals anything below 64 GiB");
        let mut value = Vec::with_capacity(1 + NONCE_LEN + sealed.len());
        value.push(SEALED_AES_256_GCM);
        value.extend_from_slice(nonce.as_ref());
        value.extend_from_slice(&sealed);
        value
    }

    /// Opens bytes sealed for this context.
    pub(crate) fn open(&self, context: &[&str], value: &[u8]) -> Result<Vec<u8>, NotSealedHere> {
        let (&SEALED_AES_256_GCM, rest) = value.split_first().ok_or(NotSealedHere)? else {
            return Err(NotSealedHere);
        };
        let (nonce, sealed) = rest.split_at_checked(NONCE_LEN).ok_or(NotSealedHere)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| NotSealedHere)?;
        let mut opened = sealed.to_vec();
        let length = self
            .0
            .open_in_place(nonce, Aad::from(bound(context)), &mut opened)
            .map_err(|_| NotSealedHere)?
            .len();
        opened.truncate(length);
        Ok(opened)
    }
}

/// Random bytes from the operating system's generator.
pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes)
        .expect("the operating system's generator never fails once it is seeded");
    bytes
}

/// The context's parts, each behind its length so that no two contexts read the same.
fn bound(context: &[&str]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for part in context {
        bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
        bytes.extend_from_slice(part.as_bytes());
    }
    bytes
}

fn from_hexadecimal(text: &str) -> Option<Vec<u8>> {
    if text.len() != KEY_BYTES * 2 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sealed_bytes_open_only_under_the_same_key_and_context() {
        let key = MasterKey::from_bytes(&[7; KEY_BYTES]);
        let sealed = key.seal(&["acme", "secret"], b"hush");
        assert_eq!(key.open(&["acme", "secret"], &sealed).as_deref(), Ok(&b"hush"[..]));
        assert_eq!(key.open(&["acmes", "ecret"], &sealed), Err(NotSealedHere));
        assert_eq!(
            MasterKey::from_bytes(&[8; KEY_BYTES]).open(&["acme", "secret"], &sealed),
            Err(NotSealedHere)
        );
        for cut in 0..sealed.len() {
            assert_eq!(key.open(&["acme", "secret"], &sealed[..cut]), Err(NotSealedHere));
        }
        assert_ne!(key.seal(&["acme", "secret"], b"hush"), sealed);
    }

    #[test]
    fn a_master_key_is_base64_of_32_bytes_and_never_shown() {
        let key = MasterKey::parse(&format!(" {}\n", STANDARD.encode([1; KEY_BYTES]))).expect("a key");
        assert_eq!(format!("{key:?}"), "MasterKey(..)");
        for bad in ["", "abc", &STANDARD.encode([1; 31])] {
            assert_eq!(MasterKey::parse(bad).err(), Some(InvalidMasterKey));
        }
    }
}
