//! One bucket, entered with credentials minted for one batch: single requests, no retry, every outcome classified by
//! whether the store can have taken the object.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::{RetryConfig, RetryPartition};
use aws_sdk_s3::config::{
    BehaviorVersion, IdentityCache, Region, RequestChecksumCalculation, ResponseChecksumValidation,
    SharedCredentialsProvider, StalledStreamProtectionConfig,
};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::ByteStream;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use barndoor_crds::place::Endpoint;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use md5::{Digest, Md5};

use super::credentials::{Entry, Party};
use super::diagnose::Operation;
use super::failure::{Answer, Failure, Sent, Transport};
use crate::exporter::store::{Issue, Listing, Object, PutOutcome, Session, put_timeout};

/// How long a listing may take, in seconds.
const LIST_TIMEOUT_SECONDS: u64 = 15;
/// How long any answer at all may take, in seconds.
const REACH_TIMEOUT_SECONDS: u64 = 10;
/// Endpoints remembered for refusing conditional PUTs; each costs one more request after it is forgotten.
const REFUSING_ENDPOINTS_MAX: usize = 1024;
/// The write check's object, under the effective prefix.
const WRITE_CHECK_NAME: &str = ".barndoor-write-check";

/// Which stores refuse `If-None-Match`, as learnt from their answers.
#[derive(Debug, Default)]
pub(crate) struct ConditionalPuts {
    refusing: Mutex<HashSet<String>>,
}

/// Whether a PUT asks that the key is free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Precondition {
    KeyIsFree,
    None,
}

impl ConditionalPuts {
    fn precondition_for(&self, endpoint: &Endpoint) -> Precondition {
        // The set is only inserted into and cleared under the lock, so a poisoned one is still a set of endpoints.
        let refusing = self.refusing.lock().unwrap_or_else(PoisonError::into_inner);
        if endpoint.is_google() || refusing.contains(&endpoint.to_string()) {
            Precondition::None
        } else {
            Precondition::KeyIsFree
        }
    }

    fn learn_refusal(&self, endpoint: &Endpoint) {
        let mut refusing = self.refusing.lock().unwrap_or_else(PoisonError::into_inner);
        if refusing.len() >= REFUSING_ENDPOINTS_MAX {
            refusing.clear();
        }
        refusing.insert(endpoint.to_string());
    }
}

/// Access to one bucket. No `Debug`: it holds what may not be shown.
pub(crate) struct Bucket {
    client: Client,
    party: Party,
    conditional: Arc<ConditionalPuts>,
    /// What a store might echo and nobody may see.
    hidden: Vec<String>,
}

impl Bucket {
    pub(crate) fn new(entry: Entry, http: SharedHttpClient, conditional: Arc<ConditionalPuts>) -> Self {
        let Entry { credentials, party } = entry;
        let place = &party.place;
        let hidden = [Some(credentials.access_key_id()), credentials.session_token()]
            .into_iter()
            .flatten()
            .map(str::to_owned)
            .collect();
        // Nothing here reads the environment: AWS_ENDPOINT_URL and the like are the operator's, not a tenant's.
        let config = aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(place.region.for_signing().to_owned()))
            .endpoint_url(place.endpoint.to_string())
            .force_path_style(place.uses_path_style())
            .disable_s3_express_session_auth(true)
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .identity_cache(IdentityCache::no_cache())
            .http_client(http)
            .retry_config(RetryConfig::disabled())
            // The SDK's own partitions are shared by all clients of a region: one broken store would starve the rest.
            .retry_partition(RetryPartition::custom("barndoor-batch").build())
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            // The default checksums are refused by Google Cloud Storage, older SeaweedFS and Ceph.
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
            .build();
        Self { client: Client::from_conf(config), party, conditional, hidden }
    }

    pub(crate) fn party(&self) -> &Party {
        &self.party
    }

    fn name(&self) -> &str {
        self.party.place.bucket.as_str()
    }

    fn failure<E>(&self, error: &SdkError<E, HttpResponse>) -> Failure
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let hidden: Vec<&str> = self.hidden.iter().map(String::as_str).collect();
        Failure::from_sdk(error).without(&hidden)
    }

    /// HeadBucket; a refusal comes without words, and the code that the SDK makes up for a 404 is not the store's.
    pub(crate) async fn head(&self) -> Result<(), Failure> {
        let sent = self.client.head_bucket().bucket(self.name()).send().await;
        sent.map(drop).map_err(|error| match self.failure(&error) {
            Failure::Answered(answer) => Failure::Answered(Answer { code: None, message: None, ..answer }),
            other @ (Failure::Transport(_) | Failure::NotSendable(_)) => other,
        })
    }

    /// GetBucketLocation: its answer is XML, so a web server that says 200 to everything fails here.
    pub(crate) async fn location(&self) -> Result<(), Failure> {
        let sent = self.client.get_bucket_location().bucket(self.name()).send().await;
        sent.map(drop).map_err(|error| self.failure(&error))
    }

    /// The first key that begins so; with an empty prefix, the bucket's first.
    pub(crate) async fn first_key(&self, prefix: &str) -> Result<Option<String>, Failure> {
        let sent = self.client.list_objects_v2().bucket(self.name()).prefix(prefix).max_keys(1).send().await;
        sent.map(|page| page.contents().first().and_then(|object| object.key()).map(str::to_owned))
            .map_err(|error| self.failure(&error))
    }

    /// The write check: a PUT whose Content-MD5 is wrong on purpose, so that a store that allows it takes nothing.
    pub(crate) async fn put_with_wrong_md5(&self) -> Result<(), Failure> {
        let sent = self
            .client
            .put_object()
            .bucket(self.name())
            .key(self.write_check_key())
            .content_type("text/plain")
            .content_md5(content_md5(b"not these bytes"))
            .body(ByteStream::from_static(b"Barndoor's write check; safe to delete.\n"))
            .send()
            .await;
        sent.map(drop).map_err(|error| self.failure(&error))
    }

    /// Removes what a store took from [`Self::put_with_wrong_md5`] all the same.
    pub(crate) async fn delete_write_check(&self) -> Result<(), Failure> {
        let sent = self.client.delete_object().bucket(self.name()).key(self.write_check_key()).send().await;
        sent.map(drop).map_err(|error| self.failure(&error))
    }

    /// Where the write check's object would be.
    pub(crate) fn write_check_key(&self) -> String {
        format!("{}{WRITE_CHECK_NAME}", self.party.place.prefix)
    }

    async fn put_once(&self, object: &Object, precondition: Precondition) -> Result<(), Failure> {
        let mut request = self
            .client
            .put_object()
            .bucket(self.name())
            .key(&object.key)
            .content_type("application/gzip")
            .content_md5(content_md5(&object.body))
            .body(ByteStream::from(Bytes::clone(&object.body)));
        for (name, value) in &object.metadata {
            request = request.metadata(*name, value);
        }
        if precondition == Precondition::KeyIsFree {
            request = request.if_none_match("*");
        }
        request.send().await.map(drop).map_err(|error| self.failure(&error))
    }

    async fn put_or_learn(&self, object: &Object) -> PutOutcome {
        let endpoint = &self.party.place.endpoint;
        let precondition = self.conditional.precondition_for(endpoint);
        let first = self.put_once(object, precondition).await;
        let refused_condition = precondition == Precondition::KeyIsFree
            && matches!(&first, Err(Failure::Answered(answer)) if refuses_conditions(answer));
        if !refused_condition {
            return self.outcome(first, precondition);
        }
        let second = self.put_once(object, Precondition::None).await;
        if second.is_ok() {
            self.conditional.learn_refusal(endpoint);
        }
        self.outcome(second, Precondition::None)
    }

    fn outcome(&self, result: Result<(), Failure>, precondition: Precondition) -> PutOutcome {
        let Err(failure) = result else {
            return PutOutcome::Stored;
        };
        let issue = || self.party.diagnose(Operation::PutObject, &failure);
        match fate(&failure, precondition) {
            Fate::AlreadyThere => PutOutcome::AlreadyThere,
            Fate::NotTaken => PutOutcome::Refused(issue()),
            Fate::PerhapsTaken => PutOutcome::Undecided(issue()),
            Fate::PerhapsUnderWay => PutOutcome::Unanswered(issue()),
        }
    }
}

/// What a failed PUT says about the object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    AlreadyThere,
    NotTaken,
    PerhapsTaken,
    PerhapsUnderWay,
}

fn fate(failure: &Failure, precondition: Precondition) -> Fate {
    match failure {
        Failure::Answered(Answer { status, .. }) => match (status, precondition) {
            (412, Precondition::KeyIsFree) => Fate::AlreadyThere,
            // 2xx: an answer that began well and could not be read to its end.
            // A gateway gave up on a store that may go on.
            (502 | 504, _) => Fate::PerhapsUnderWay,
            (0..=299 | 409 | 429 | 500.., _) => Fate::PerhapsTaken,
            (300..=499, _) => Fate::NotTaken,
        },
        Failure::Transport(Transport { sent: Sent::No, .. }) | Failure::NotSendable(_) => Fate::NotTaken,
        Failure::Transport(Transport { sent: Sent::Perhaps, .. }) => Fate::PerhapsUnderWay,
    }
}

/// Whether an answer says that the store does not know conditional PUTs, rather than that the condition failed.
fn refuses_conditions(answer: &Answer) -> bool {
    let lower = answer.message.as_deref().unwrap_or_default().to_ascii_lowercase();
    let speaks_of_it =
        ["if-none-match", "conditional", "precondition"].iter().any(|word| lower.contains(word));
    match (answer.status, answer.code.as_deref()) {
        (501, _) | (_, Some("NotImplemented")) => true,
        (400 | 405 | 422, _) => speaks_of_it,
        (_, _) => false,
    }
}

fn content_md5(bytes: &[u8]) -> String {
    BASE64_STANDARD.encode(Md5::digest(bytes))
}

#[async_trait]
impl Session for Bucket {
    async fn put(&self, object: Object) -> PutOutcome {
        let limit = put_timeout(object.body.len());
        match tokio::time::timeout(limit, self.put_or_learn(&object)).await {
            Ok(outcome) => outcome,
            Err(_) => self.outcome(Err(Failure::timed_out(limit.as_secs())), Precondition::None),
        }
    }

    async fn reach(&self) -> Result<(), Issue> {
        let limit = Duration::from_secs(REACH_TIMEOUT_SECONDS);
        let failure = match tokio::time::timeout(limit, self.head()).await {
            Ok(Ok(()) | Err(Failure::Answered(_))) => return Ok(()),
            Ok(Err(failure)) => failure,
            Err(_) => Failure::timed_out(REACH_TIMEOUT_SECONDS),
        };
        Err(self.party.diagnose(Operation::HeadBucket, &failure))
    }

    async fn list(&self, key: &str) -> Listing {
        let limit = Duration::from_secs(LIST_TIMEOUT_SECONDS);
        let listed = tokio::time::timeout(limit, self.first_key(key))
            .await
            .unwrap_or_else(|_| Err(Failure::timed_out(LIST_TIMEOUT_SECONDS)));
        match listed {
            Ok(Some(first)) if first == key => Listing::Present,
            Ok(Some(_) | None) => Listing::Absent,
            Err(failure) => Listing::Unavailable(self.party.diagnose(Operation::ListObjects, &failure)),
        }
    }
}

#[cfg(test)]
mod tests {
    use barndoor_crds::place::Scheme;

    use super::super::failure::TransportKind;
    use super::*;

    fn answered(status: u16) -> Failure {
        Failure::Answered(Answer { status, ..Answer::default() })
    }

    #[test]
    fn only_an_answer_or_no_connection_proves_that_an_object_was_not_taken() {
        for (status, expected) in [
            (200, Fate::PerhapsTaken),
            (301, Fate::NotTaken),
            (400, Fate::NotTaken),
            (403, Fate::NotTaken),
            (404, Fate::NotTaken),
            (409, Fate::PerhapsTaken),
            (412, Fate::AlreadyThere),
            (429, Fate::PerhapsTaken),
            (500, Fate::PerhapsTaken),
            (502, Fate::PerhapsUnderWay),
            (504, Fate::PerhapsUnderWay),
            (503, Fate::PerhapsTaken),
        ] {
            assert_eq!(fate(&answered(status), Precondition::KeyIsFree), expected, "{status}");
        }
        assert_eq!(fate(&answered(412), Precondition::None), Fate::NotTaken);
        let transport = |sent| {
            Failure::Transport(Transport { kind: TransportKind::TimedOut, sent, words: String::new() })
        };
        assert_eq!(fate(&transport(Sent::No), Precondition::None), Fate::NotTaken);
        assert_eq!(fate(&transport(Sent::Perhaps), Precondition::None), Fate::PerhapsUnderWay);
    }

    #[test]
    fn a_store_without_conditional_puts_is_told_from_a_failed_condition() {
        let answer = |status, code: &str, message: &str| Answer {
            status,
            code: Some(code.to_owned()),
            message: Some(message.to_owned()),
            bucket_region: None,
        };
        assert!(refuses_conditions(&answer(501, "NotImplemented", "A header you provided…")));
        assert!(refuses_conditions(&answer(400, "InvalidArgument", "If-None-Match is not supported")));
        assert!(!refuses_conditions(&answer(412, "PreconditionFailed", "a precondition failed")));
        assert!(!refuses_conditions(&answer(400, "InvalidRequest", "Content-MD5 is required")));
    }

    #[test]
    fn refusing_endpoints_are_remembered_one_by_one_and_bounded() {
        let endpoint = |host: &str| Endpoint::parse(host, Scheme::Https).expect("endpoint");
        let puts = ConditionalPuts::default();
        assert_eq!(puts.precondition_for(&endpoint("storage.googleapis.com")), Precondition::None);
        puts.learn_refusal(&endpoint("a.example"));
        assert_eq!(puts.precondition_for(&endpoint("a.example")), Precondition::None);
        assert_eq!(puts.precondition_for(&endpoint("b.example")), Precondition::KeyIsFree);
        for number in 0..REFUSING_ENDPOINTS_MAX * 2 {
            puts.learn_refusal(&endpoint(&format!("s{number}.example")));
        }
        assert!(puts.refusing.lock().expect("not poisoned").len() <= REFUSING_ENDPOINTS_MAX);
    }
}
