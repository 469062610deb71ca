//! TLS in front of a store on loopback, with a certificate that nobody trusts unless told to.
//!
//! Bytes pass unchanged, so the Host header and with it every signature stay valid.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tempfile::TempDir;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use crate::crypto::install_tls_provider;

/// For 127.0.0.1 and not for localhost; not an authority, since webpki takes no authority's certificate for a server's.
const REQUEST: &str = "[req]
prompt = no
distinguished_name = name
x509_extensions = extensions
[name]
CN = barndoor harness
[extensions]
basicConstraints = critical, CA:FALSE
subjectAltName = IP:127.0.0.1
";

/// A self-signed certificate and its key, as PEM files.
#[derive(Debug)]
pub struct SelfSigned {
    folder: TempDir,
}

impl SelfSigned {
    /// Makes a new one, valid for a day.
    ///
    /// # Panics
    /// Without the program `openssl`.
    pub fn make() -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let request = folder.path().join("request.cnf");
        std::fs::write(&request, REQUEST).expect("the folder is writable");
        let made = Self { folder };
        let output = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"])
            .args(["-days", "1", "-config"])
            .arg(&request)
            .arg("-out")
            .arg(made.certificate())
            .arg("-keyout")
            .arg(made.key())
            .output()
            .expect("the program openssl is installed");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        made
    }

    /// The certificate's file.
    pub fn certificate(&self) -> PathBuf {
        self.folder.path().join("server.pem")
    }

    /// The key's file.
    pub fn key(&self) -> PathBuf {
        self.folder.path().join("server.key")
    }
}

/// A running front; gone when dropped.
#[derive(Debug)]
pub struct TlsFront {
    port: u16,
    identity: SelfSigned,
    stop: CancellationToken,
}

impl TlsFront {
    /// Starts one in front of `http://<address>:<port>`.
    ///
    /// # Panics
    /// When it cannot.
    pub async fn start(store: &str) -> Self {
        install_tls_provider();
        let identity = SelfSigned::make();
        let certificate =
            CertificateDer::from_pem_file(identity.certificate()).expect("openssl wrote a certificate");
        let key = PrivateKeyDer::from_pem_file(identity.key()).expect("openssl wrote a key");
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .expect("the key is the certificate's");
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("loopback has a free port");
        let port = listener.local_addr().expect("a bound socket has an address").port();
        let stop = CancellationToken::new();
        let store = store.trim_start_matches("http://").to_owned();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        tokio::spawn(stop.clone().run_until_cancelled_owned(serve(listener, acceptor, store)));
        Self { port, identity, stop }
    }

    /// `https://127.0.0.1:<port>`.
    pub fn endpoint(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The certificate to trust, as a PEM file.
    pub fn certificate(&self) -> PathBuf {
        self.identity.certificate()
    }
}

impl Drop for TlsFront {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn serve(listener: TcpListener, acceptor: TlsAcceptor, store: String) {
    while let Ok((client, _)) = listener.accept().await {
        let (acceptor, store) = (acceptor.clone(), store.clone());
        tokio::spawn(async move {
            // An error is a client that does not trust us, or one that went away.
            let Ok(mut client) = acceptor.accept(client).await else { return };
            let Ok(mut store) = TcpStream::connect(store).await else { return };
            let _ = copy_bidirectional(&mut client, &mut store).await;
        });
    }
}
