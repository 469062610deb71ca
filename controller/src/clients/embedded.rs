//! OAuth2 clients in the embedded database.

mod admin;
mod secret;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use async_trait::async_trait;
use redb::{ReadableTable, ReadableTableMetadata};
use serde::{Deserialize, Serialize};
use ulid::Ulid;

pub use self::admin::AdminClientError;
use self::secret::SecretHash;
use super::{AddClientError, Client, ClientId, ClientSecret, Clients, MAX_CLIENTS, NewClient};
use crate::destinations::StorageError;
use crate::embedded::tables::{CLIENTS, decode, encode};
use crate::embedded::{Embedded, Fault, random};

const WHAT: &str = "client";

/// A client as it is stored.
#[derive(Serialize, Deserialize)]
struct Row {
    client: Client,
    secret: SecretHash,
}

fn find(
    table: &impl ReadableTable<&'static str, &'static [u8]>,
    id: &ClientId,
) -> Result<Option<Row>, Fault> {
    table.get(id.as_str())?.map(|row| decode(WHAT, row.value())).transpose()
}

#[async_trait]
impl Clients for Embedded {
    async fn add(&self, client: NewClient) -> Result<(Client, ClientSecret), AddClientError> {
        let clock = Arc::clone(&self.inner().clock);
        let (secret, hash) = secret::generate();
        let added = self.inner().database.write(
            0,
            move |writing| {
                let mut table = writing.table(CLIENTS)?;
                if usize::try_from(table.len()?).is_ok_and(|clients| clients >= MAX_CLIENTS) {
                    writing.wrote_nothing();
                    return Ok(Err(AddClientError::TooMany { limit: MAX_CLIENTS }));
                }
                let NewClient { organization, scopes, description } = client;
                let created_at = clock.now();
                let now = u64::try_from(created_at.as_millisecond()).unwrap_or(0);
                let ulid = Ulid::from_parts(now, u128::from_be_bytes(random()));
                let id = ClientId::new(ulid.to_string().to_ascii_lowercase());
                let client = Client { id, organization, scopes, created_at, description };
                let row = Row { client, secret: hash };
                table.insert(row.client.id.as_str(), encode(&row).as_slice())?;
                Ok(Ok(row.client))
            },
            |_| {},
        );
        let client = added.await.map_err(StorageError::from)??;
        Ok((client, secret))
    }

    async fn list(&self, after: Option<&ClientId>, limit: usize) -> Result<Vec<Client>, StorageError> {
        let after = after.map_or_else(String::new, |after| after.as_str().to_owned());
        let listed = self.inner().database.read(move |transaction| {
            let mut clients = Vec::new();
            for row in transaction.open_table(CLIENTS)?.range(after.as_str()..)? {
                let (id, value) = row?;
                if clients.len() == limit {
                    break;
                }
                if id.value() != after {
                    let row: Row = decode(WHAT, value.value())?;
                    clients.push(row.client);
                }
            }
            Ok(clients)
        });
        Ok(listed.await?)
    }

    async fn find(&self, id: &ClientId) -> Result<Option<Client>, StorageError> {
        let id = id.clone();
        let found =
            self.inner().database.read(move |transaction| find(&transaction.open_table(CLIENTS)?, &id));
        Ok(found.await?.map(|row| row.client))
    }

    async fn remove(&self, id: &ClientId) -> Result<Option<Client>, StorageError> {
        let id = id.clone();
        let removed = self.inner().database.write(
            0,
            move |writing| {
                let mut table = writing.table(CLIENTS)?;
                let Some(row) = find(&table, &id)? else {
                    writing.wrote_nothing();
                    return Ok(None);
                };
                table.remove(id.as_str())?;
                Ok(Some(row.client))
            },
            |_| {},
        );
        Ok(removed.await?)
    }

    async fn verify(&self, id: &ClientId, secret: &ClientSecret) -> Result<Option<Client>, StorageError> {
        let id = id.clone();
        let found =
            self.inner().database.read(move |transaction| find(&transaction.open_table(CLIENTS)?, &id));
        Ok(found.await?.filter(|row| row.secret.is_of(secret)).map(|row| row.client))
    }
}
