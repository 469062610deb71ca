//! PEM files given by flags, read once at the start; errors name the flag and the file.

use std::io;
use std::path::{Path, PathBuf};

use axum_server::tls_rustls::RustlsConfig;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

/// A PEM file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsFileError {
    /// It cannot be read.
    #[error("{flag} {} cannot be read: {source}", .path.display())]
    Unreadable {
        /// The flag.
        flag: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It holds no certificate.
    #[error("{flag} {} holds no PEM certificate: it must contain -----BEGIN CERTIFICATE-----", .path.display())]
    NoCertificate {
        /// The flag.
        flag: &'static str,
        /// The file.
        path: PathBuf,
    },
    /// The pair cannot be served with.
    #[error(
        "--tls-cert and --tls-key cannot be used together: {0}; the key must be the certificate's own, as unencrypted PEM"
    )]
    Pair(#[source] io::Error),
}

/// What HTTPS is served with.
pub(super) async fn server(certificate: &Path, key: &Path) -> Result<RustlsConfig, TlsFileError> {
    let chain = certificates("--tls-cert", certificate)?;
    let key = read("--tls-key", key)?;
    RustlsConfig::from_pem(chain, key).await.map_err(TlsFileError::Pair)
}

/// A file of at least one certificate, as the PEM text it is.
pub(super) fn certificates(flag: &'static str, path: &Path) -> Result<Vec<u8>, TlsFileError> {
    let pem = read(flag, path)?;
    let mut found = CertificateDer::pem_slice_iter(&pem);
    if matches!(found.next(), Some(Ok(_))) && found.all(|certificate| certificate.is_ok()) {
        Ok(pem)
    } else {
        Err(TlsFileError::NoCertificate { flag, path: path.to_owned() })
    }
}

fn read(flag: &'static str, path: &Path) -> Result<Vec<u8>, TlsFileError> {
    std::fs::read(path).map_err(|source| TlsFileError::Unreadable { flag, path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_a_certificate_is_refused_by_flag_and_name() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("ca.pem");
        let missing = certificates("--ca-certificate", &file).expect_err("missing").to_string();
        assert!(missing.starts_with("--ca-certificate") && missing.contains("ca.pem"), "{missing}");
        std::fs::write(&file, "not a certificate").expect("written");
        let empty = certificates("--ca-certificate", &file).expect_err("empty").to_string();
        assert!(empty.contains("BEGIN CERTIFICATE"), "{empty}");
    }
}
