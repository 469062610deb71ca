//! Reads a bucket back, as its owner would: list, get, gunzip, split into lines.

use std::collections::BTreeMap;
use std::io::Read;

use aws_sdk_s3::Client;
use bytes::Bytes;
use flate2::bufread::GzDecoder;
use serde_json::Value;

use crate::crypto::sha256_hex;
use crate::object_name::ObjectName;

/// The largest object that a test delivers, uncompressed, in bytes: a fence against a decompression bomb of our own.
const UNCOMPRESSED_LIMIT_BYTES: u64 = 512 * 1024 * 1024;

/// An object as the store holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredObject {
    /// Its key.
    pub key: String,
    /// Its bytes.
    pub body: Bytes,
    /// Its Content-Type.
    pub content_type: Option<String>,
    /// Its Content-Encoding.
    pub content_encoding: Option<String>,
    /// User metadata, names without `x-amz-meta-`.
    pub metadata: BTreeMap<String, String>,
}

/// An object taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveredObject {
    /// Its key.
    pub key: String,
    /// Its key, taken apart.
    pub name: ObjectName,
    /// SHA-256 of the uncompressed bytes, in hexadecimal.
    pub uncompressed_sha256: String,
    /// The lines, byte for byte, without their ends.
    pub lines: Vec<String>,
    /// User metadata.
    pub metadata: BTreeMap<String, String>,
}

impl DeliveredObject {
    /// The ids of the events, in order; of Datadog's format too, which has the event inside.
    ///
    /// # Errors
    /// The line that has none.
    pub fn event_ids(&self) -> Result<Vec<String>, String> {
        self.lines
            .iter()
            .enumerate()
            .map(|(index, line)| {
                event_id(line)
                    .ok_or_else(|| format!("{}: line {} has no event id: {line}", self.key, index + 1))
            })
            .collect()
    }
}

/// The id wherever the format puts the event: at the top, or one level down.
fn event_id(line: &str) -> Option<String> {
    let value: Value = serde_json::from_str(line).ok()?;
    let of = |value: &Value| value.get("id").and_then(Value::as_str).map(str::to_owned);
    of(&value).or_else(|| value.as_object()?.values().find_map(of))
}

/// A bucket and who reads it.
#[derive(Clone, Debug)]
pub struct Bucket {
    client: Client,
    name: String,
}

impl Bucket {
    /// The bucket of this name through this client, which must be allowed to list and read.
    pub fn new(client: Client, name: &str) -> Self {
        Self { client, name: name.to_owned() }
    }

    /// The bucket's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Every key under the prefix, in the store's order.
    ///
    /// # Panics
    /// When the store does not answer.
    pub async fn keys(&self, prefix: &str) -> Vec<String> {
        let mut keys = Vec::new();
        let mut pages =
            self.client.list_objects_v2().bucket(&self.name).prefix(prefix).into_paginator().send();
        while let Some(page) = pages.next().await {
            let page = page.unwrap_or_else(|error| panic!("{} cannot be listed: {error:?}", self.name));
            keys.extend(page.contents().iter().filter_map(|object| object.key().map(str::to_owned)));
        }
        keys
    }

    /// One object.
    ///
    /// # Panics
    /// When it cannot be read.
    pub async fn get(&self, key: &str) -> StoredObject {
        let answer = self
            .client
            .get_object()
            .bucket(&self.name)
            .key(key)
            .send()
            .await
            .unwrap_or_else(|error| panic!("{key} cannot be read: {error:?}"));
        StoredObject {
            key: key.to_owned(),
            content_type: answer.content_type().map(str::to_owned),
            content_encoding: answer.content_encoding().filter(|text| !text.is_empty()).map(str::to_owned),
            metadata: answer
                .metadata()
                .into_iter()
                .flatten()
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
            body: answer.body.collect().await.expect("the store sends what it announced").into_bytes(),
        }
    }

    /// Every object under the prefix.
    pub async fn objects(&self, prefix: &str) -> Vec<StoredObject> {
        let mut objects = Vec::new();
        for key in self.keys(prefix).await {
            objects.push(self.get(&key).await);
        }
        objects
    }

    /// Every object under the prefix, taken apart, in delivery order.
    ///
    /// # Panics
    /// When one is not what design.md promises.
    pub async fn delivered(&self, prefix: &str) -> Vec<DeliveredObject> {
        let mut delivered: Vec<DeliveredObject> = self
            .objects(prefix)
            .await
            .iter()
            .map(|object| take_apart(prefix, object).unwrap_or_else(|wrong| panic!("{wrong}")))
            .collect();
        delivered.sort_by(|one, other| one.name.cmp(&other.name));
        delivered
    }

    /// The ids of all delivered events in delivery order.
    ///
    /// # Panics
    /// When an object is not what design.md promises.
    pub async fn event_ids(&self, prefix: &str) -> Vec<String> {
        self.delivered(prefix)
            .await
            .iter()
            .flat_map(|object| object.event_ids().unwrap_or_else(|wrong| panic!("{wrong}")))
            .collect()
    }
}

/// Takes an object apart and checks everything that it must be by itself: name, headers, one gzip member, whole
/// lines, its own hash in name and metadata.
///
/// # Errors
/// What is wrong with it.
pub fn take_apart(prefix: &str, object: &StoredObject) -> Result<DeliveredObject, String> {
    let key = &object.key;
    let name = ObjectName::parse(prefix, key)?;
    if object.content_type.as_deref() != Some("application/gzip") {
        return Err(format!("{key}: Content-Type is {:?}", object.content_type));
    }
    if object.content_encoding.is_some() {
        return Err(format!("{key}: Content-Encoding is {:?}", object.content_encoding));
    }
    let bytes = gunzip_one_member(&object.body).map_err(|wrong| format!("{key}: {wrong}"))?;
    let uncompressed_sha256 = sha256_hex(&bytes);
    if !uncompressed_sha256.starts_with(&name.sha256) {
        return Err(format!("{key}: the content's SHA-256 is {uncompressed_sha256}"));
    }
    if object.metadata.get("uncompressed-sha256") != Some(&uncompressed_sha256) {
        return Err(format!(
            "{key}: metadata {:?} do not hold the SHA-256 {uncompressed_sha256}",
            object.metadata
        ));
    }
    let text = String::from_utf8(bytes).map_err(|_| format!("{key}: not UTF-8"))?;
    let whole = text.strip_suffix('\n').ok_or_else(|| format!("{key}: the last line has no end"))?;
    let lines: Vec<String> = whole.split('\n').map(str::to_owned).collect();
    let room = name.last - name.first + 1;
    if lines.len() as u64 > room {
        return Err(format!("{key}: {} lines in a range of {room}", lines.len()));
    }
    Ok(DeliveredObject {
        key: key.clone(),
        name,
        uncompressed_sha256,
        lines,
        metadata: object.metadata.clone(),
    })
}

fn gunzip_one_member(body: &[u8]) -> Result<Vec<u8>, String> {
    let mut decoder = GzDecoder::new(body);
    let mut bytes = Vec::new();
    decoder
        .by_ref()
        .take(UNCOMPRESSED_LIMIT_BYTES)
        .read_to_end(&mut bytes)
        .map_err(|error| format!("not gzip: {error}"))?;
    let rest = decoder.into_inner().len();
    if rest == 0 { Ok(bytes) } else { Err(format!("{rest} bytes after the first gzip member")) }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).expect("memory takes every write");
        encoder.finish().expect("memory takes every write")
    }

    /// A faultless object of these lines.
    pub(crate) fn object(first: u64, last: u64, lines: &[&str], previous: Option<&str>) -> StoredObject {
        let bytes: String = lines.iter().flat_map(|line| [line, "\n"]).collect();
        let sha256 = sha256_hex(bytes.as_bytes());
        let metadata = [("uncompressed-sha256", Some(sha256.as_str())), ("previous-sha256", previous)]
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned())))
            .collect();
        StoredObject {
            key: format!(
                "p/date=2026-07-01/hour=09/01a-{first:020}-{last:020}-0123abcd-{}.jsonl.gz",
                &sha256[..16]
            ),
            body: gzip(bytes.as_bytes()).into(),
            content_type: Some("application/gzip".to_owned()),
            content_encoding: None,
            metadata,
        }
    }

    #[test]
    fn a_faultless_object_is_taken_apart() {
        let taken = take_apart("p/", &object(1, 2, &[r#"{"id":"a"}"#, r#"{"event":{"id":"b"}}"#], None));
        assert_eq!(taken.and_then(|object| object.event_ids()), Ok(vec!["a".to_owned(), "b".to_owned()]));
    }

    type Change = fn(&mut StoredObject);

    #[test]
    fn what_an_object_must_not_be_is_noticed() {
        let good = object(1, 2, &[r#"{"id":"a"}"#], None);
        let changes: [(&str, Change); 6] = [
            ("a second member", |object| {
                object.body = [&object.body[..], &gzip(b"{}\n")].concat().into();
            }),
            ("a cut member", |object| {
                object.body = object.body.slice(..object.body.len() - 4);
            }),
            ("other bytes", |object| {
                object.body = gzip(b"{\"id\":\"b\"}\n").into();
            }),
            ("a type", |object| {
                object.content_type = Some("application/json".to_owned());
            }),
            ("an encoding", |object| {
                object.content_encoding = Some("gzip".to_owned());
            }),
            ("no hash", |object| object.metadata.clear()),
        ];
        for (what, change) in changes {
            let mut bad = good.clone();
            change(&mut bad);
            assert!(take_apart("p/", &bad).is_err(), "{what}");
        }
        assert!(take_apart("p/", &object(1, 1, &["{}", "{}"], None)).is_err(), "more lines than the range");
    }
}
