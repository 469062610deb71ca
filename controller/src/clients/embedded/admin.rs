//! The first client: every scope in every organization, handed to whoever may read the data folder.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Row, secret};
use crate::clients::{Client, ClientId, ClientSecret, Clients, Scope};
use crate::destinations::StorageError;
use crate::embedded::tables::{CLIENTS, encode};
use crate::embedded::{Embedded, replace_private_file};

const ADMIN_CLIENT_FILE: &str = "admin-client.json";
const ADMIN_CLIENT_ID: &str = "barndoor-admin";

/// Why there is no admin client's file.
#[derive(Debug, thiserror::Error)]
pub enum AdminClientError {
    /// The file cannot be read or written.
    #[error("{} cannot be written: {source}", file.display())]
    File {
        /// Which file.
        file: PathBuf,
        /// The operating system's words.
        source: io::Error,
    },
    /// The storage below failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// The file's content: all that a program needs to get a token.
#[derive(Serialize, Deserialize)]
struct AdminClientFile {
    client_id: String,
    client_secret: String,
    token_url: String,
}

impl Embedded {
    /// Makes sure that `<data_dir>/admin-client.json` opens the admin client at this absolute URL. The client stays
    /// the same across restarts; who deletes the file gets a new secret at the next start, and the old one ends.
    ///
    /// # Errors
    /// When the file or the database cannot be written.
    pub async fn write_admin_client(&self, token_url: &str) -> Result<PathBuf, AdminClientError> {
        let file = self.inner().data_dir.join(ADMIN_CLIENT_FILE);
        let known = read(&file).map_err(|source| AdminClientError::File { file: file.clone(), source })?;
        let client_secret = match known {
            Some(known) if self.opens(&known).await? => {
                if known.token_url == token_url {
                    return Ok(file);
                }
                known.client_secret
            }
            // The database first: a kill in between leaves a file that does not match, which the next start replaces.
            Some(_) | None => self.new_admin_secret().await?.reveal().to_owned(),
        };
        let content = AdminClientFile {
            client_id: ADMIN_CLIENT_ID.to_owned(),
            client_secret,
            token_url: token_url.to_owned(),
        };
        let mut json = encode(&content);
        json.push(b'\n');
        replace_private_file(&file, &json)
            .map_err(|source| AdminClientError::File { file: file.clone(), source })?;
        Ok(file)
    }

    async fn opens(&self, known: &AdminClientFile) -> Result<bool, StorageError> {
        let secret = ClientSecret::new(known.client_secret.as_str());
        let id = ClientId::new(ADMIN_CLIENT_ID);
        Ok(known.client_id == ADMIN_CLIENT_ID && self.verify(&id, &secret).await?.is_some())
    }

    async fn new_admin_secret(&self) -> Result<ClientSecret, StorageError> {
        let (secret, hash) = secret::generate();
        let client = Client {
            id: ClientId::new(ADMIN_CLIENT_ID),
            organization: None,
            scopes: Scope::ALL.into(),
            created_at: self.inner().clock.now(),
            description: format!("made at the first start; its secret is in {ADMIN_CLIENT_FILE}"),
        };
        let row = encode(&Row { client, secret: hash });
        let stored = self.inner().database.write(
            0,
            move |writing| {
                writing.table(CLIENTS)?.insert(ADMIN_CLIENT_ID, row.as_slice())?;
                Ok(())
            },
            |()| {},
        );
        stored.await?;
        Ok(secret)
    }
}

/// The file's content; `None` when there is none, or it is not one that this program wrote.
fn read(file: &Path) -> io::Result<Option<AdminClientFile>> {
    match fs::read(file) {
        Ok(bytes) => Ok(serde_json::from_slice(&bytes).ok()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
