//! Client secrets: 32 random bytes, kept only as a salted HMAC-SHA-256.
//!
//! A slow hash protects what people choose. These secrets are chosen by the operating system's generator: with 256
//! bits there is nothing to guess, whatever one guess costs, and a token request must not cost 100 ms of CPU.

use aws_lc_rs::{constant_time, hmac};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use crate::clients::ClientSecret;
use crate::embedded::random;

const SECRET_BYTES: usize = 32;
const SALT_BYTES: usize = 16;
const HASH_BYTES: usize = 32;

/// What is stored of a secret.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct SecretHash {
    salt: [u8; SALT_BYTES],
    hash: [u8; HASH_BYTES],
}

/// Makes a secret and what is stored of it.
pub(super) fn generate() -> (ClientSecret, SecretHash) {
    let secret = ClientSecret::new(URL_SAFE_NO_PAD.encode(random::<SECRET_BYTES>()));
    let salt = random();
    let hash = hash(salt, &secret);
    (secret, SecretHash { salt, hash })
}

fn hash(salt: [u8; SALT_BYTES], secret: &ClientSecret) -> [u8; HASH_BYTES] {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &salt), secret.reveal().as_bytes());
    tag.as_ref().try_into().expect("HMAC-SHA-256 is 32 bytes")
}

impl SecretHash {
    /// Whether this secret was the one; takes the same time however much of it is right.
    pub(super) fn is_of(&self, secret: &ClientSecret) -> bool {
        constant_time::verify_slices_are_equal(&self.hash, &hash(self.salt, secret)).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_secret_itself_matches() {
        let (secret, stored) = generate();
        assert_eq!(secret.reveal().len(), 43);
        assert!(stored.is_of(&secret));
        let (other, other_stored) = generate();
        assert!(!stored.is_of(&other) && !other_stored.is_of(&secret));
        assert!(!stored.is_of(&ClientSecret::new("")));
        let kept = serde_json::to_string(&stored).expect("plain data");
        assert!(!kept.contains(secret.reveal()));
    }
}
