//! An S3 store inside this process, so that the demonstration needs no account: s3s over a folder.
//!
//! Its quirks: a PUT into a missing bucket succeeds, and a key of more than about 155 bytes does not fit the name of
//! the file beside it.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s_fs::FileSystem;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

/// The only key pair that the store accepts.
#[derive(Clone)]
pub struct StoreKeys {
    /// The key's id.
    pub access_key_id: String,
    /// The key's secret.
    pub secret_access_key: String,
}

/// A running store; it ends when this is dropped.
pub struct Store {
    address: SocketAddr,
    folder: PathBuf,
    serving: JoinHandle<()>,
}

/// Why there is no store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The folder cannot be used.
    #[error("the store's folder cannot be used: {0}")]
    Folder(String),
    /// No port.
    #[error("the store cannot listen on the loopback address: {0}")]
    Listen(#[from] io::Error),
}

impl Store {
    /// Serves this folder on a free loopback port.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn start(folder: &Path, keys: StoreKeys) -> Result<Self, StoreError> {
        let files = FileSystem::new(folder).map_err(|error| StoreError::Folder(format!("{error:?}")))?;
        let mut builder = S3ServiceBuilder::new(files);
        builder.set_auth(SimpleAuth::from_single(keys.access_key_id, keys.secret_access_key));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let serving = tokio::spawn(serve(listener, builder.build()));
        Ok(Self { address, folder: folder.to_owned(), serving })
    }

    /// What a destination's `endpoint` must say.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Creates a bucket; the owner of a store does that, not the product.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn create_bucket(&self, bucket: &str) -> Result<(), StoreError> {
        std::fs::create_dir(self.bucket_folder(bucket)).map_err(|error| StoreError::Folder(error.to_string()))
    }

    /// Where the bucket's objects are: files named like their keys.
    pub fn bucket_folder(&self, bucket: &str) -> PathBuf {
        self.folder.join(bucket)
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        // Drops the set of connections with it, which ends them too.
        self.serving.abort();
    }
}

async fn serve(listener: TcpListener, service: S3Service) {
    let http = Arc::new(auto::Builder::new(TokioExecutor::new()));
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    let (http, service) = (Arc::clone(&http), service.clone());
                    connections.spawn(async move {
                        // A broken connection is its client's to report.
                        let _ = http.serve_connection(TokioIo::new(stream), service).await;
                    });
                }
                // Out of file descriptors, most likely: let some connections end first.
                Err(_) => tokio::time::sleep(std::time::Duration::from_millis(50)).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys() -> StoreKeys {
        StoreKeys { access_key_id: "AKIADEMO".into(), secret_access_key: "demo-secret".into() }
    }

    #[tokio::test]
    async fn a_request_without_the_key_is_refused_and_buckets_are_folders() {
        crate::rest::install_tls_provider();
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::start(folder.path(), keys()).await.expect("a store");
        store.create_bucket("acme-audit").expect("a bucket");
        assert!(store.bucket_folder("acme-audit").is_dir());
        let answer = reqwest::get(format!("{}/acme-audit/x", store.endpoint())).await.expect("an answer");
        assert_eq!(answer.status().as_u16(), 403);
    }

    #[tokio::test]
    async fn a_dropped_store_no_longer_listens() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::start(folder.path(), keys()).await.expect("a store");
        let address = store.address;
        drop(store);
        for _ in 0..100 {
            if tokio::net::TcpStream::connect(address).await.is_err() {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        panic!("the store still listens");
    }
}
