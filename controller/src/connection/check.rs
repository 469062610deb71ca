//! Check Connection: assume the role, see the bucket, prove that objects may be written; leave nothing behind and
//! answer in time whatever the store does.

use std::time::Duration;

use barndoor_crds::reason::Reason;
use barndoor_crds::status::{CheckReport, CheckStep, StepName, StepResult};
use jiff::Timestamp;
use tokio::time::Instant;

use super::Connection;
use super::credentials::{Enforcement, KeySource, Party};
use super::diagnose::Operation;
use super::failure::{Answer, Failure};
use super::guard::Reach;
use super::s3::Bucket;
use super::sts::Turn;
use crate::destinations::{Auth, Destination};
use crate::exporter::store::Issue;

/// How long a whole check may take, in seconds: 20 are promised, the answer's own way included.
const CHECK_SECONDS: u64 = 18;
/// How long one request of a check may take, in seconds.
const REQUEST_SECONDS: u64 = 6;
/// How long credentials may take, in seconds: the controller's own, the principal and AssumeRole.
const CREDENTIALS_SECONDS: u64 = 10;

/// The check's end.
#[derive(Clone, Copy, Debug)]
struct Deadline(Instant);

impl Deadline {
    /// Boxes the call: the SDK's futures are tens of kilobytes each, and a check holds many.
    fn bound<T>(
        self,
        seconds: u64,
        call: impl Future<Output = T>,
    ) -> impl Future<Output = Result<T, Failure>> {
        let call = Box::pin(call);
        let own_end = Instant::now() + Duration::from_secs(seconds);
        async move {
            tokio::time::timeout_at(own_end.min(self.0), call).await.map_err(|_| Failure::timed_out(seconds))
        }
    }

    fn request<T>(
        self,
        call: impl Future<Output = Result<T, Failure>>,
    ) -> impl Future<Output = Result<T, Failure>> {
        let bounded = self.bound(REQUEST_SECONDS, call);
        async move { bounded.await? }
    }
}

/// Runs the check.
pub(super) async fn check(
    connection: &Connection,
    destination: &Destination,
    keys: &KeySource,
) -> CheckReport {
    let at = connection.clock.now();
    let deadline = Deadline(Instant::now() + Duration::from_secs(CHECK_SECONDS));
    let steps = run(connection, destination, keys, deadline).await;
    report(at, destination.generation, steps)
}

async fn run(
    connection: &Connection,
    destination: &Destination,
    keys: &KeySource,
    deadline: Deadline,
) -> Vec<CheckStep> {
    let place = &destination.place;
    let reach = Reach::of(place, &destination.auth);
    if let Err(failure) = connection.preflight(destination, place, reach).await {
        let party = Party { place: place.clone(), role: None };
        return vec![
            skipped(StepName::AssumeRole, "not tried: the endpoint is not allowed"),
            failed(StepName::HeadBucket, party.diagnose(Operation::HeadBucket, &failure)),
            skipped(StepName::WritePermission, EARLIER),
        ];
    }
    let mint = connection.mint();
    let entering = mint.enter(destination, place, keys, Turn::Check);
    let entered = deadline.bound(CREDENTIALS_SECONDS, entering).await;
    match (&destination.auth, entered) {
        (Auth::AccessKeys, entered) => {
            let mut steps = vec![skipped(StepName::AssumeRole, "not needed with access keys")];
            match entered {
                Ok(Ok(entry)) => steps.extend(store_steps(&connection.bucket(entry, reach), deadline).await),
                Ok(Err(issue)) => steps.extend(no_store_steps(issue)),
                Err(late) => {
                    let party = Party { place: place.clone(), role: None };
                    steps.extend(no_store_steps(party.diagnose(Operation::HeadBucket, &late)));
                }
            }
            steps
        }
        (Auth::IamRole(arn), Ok(Ok(entry))) => {
            let bucket = connection.bucket(entry, reach);
            let probe = deadline.bound(REQUEST_SECONDS, mint.enforces_external_id(destination, arn));
            let (enforcement, store) = tokio::join!(probe, store_steps(&bucket, deadline));
            let assumed = match enforcement {
                Ok(Enforcement::Missing) => external_id_warning(bucket.party()),
                Ok(Enforcement::NotDisproved) | Err(_) => {
                    passed(StepName::AssumeRole, format!("{arn} was assumed with the External ID"))
                }
            };
            std::iter::once(assumed).chain(store).collect()
        }
        (Auth::IamRole(_), Ok(Err(issue))) => no_role_steps(issue),
        (Auth::IamRole(_), Err(late)) => {
            let party = Party { place: place.clone(), role: None };
            no_role_steps(party.diagnose(Operation::AssumeRole, &late))
        }
    }
}

async fn store_steps(bucket: &Bucket, deadline: Deadline) -> [CheckStep; 2] {
    let head = head_step(bucket, deadline).await;
    if head.result == StepResult::Failed {
        return [head, skipped(StepName::WritePermission, EARLIER)];
    }
    let write = write_step(bucket, deadline).await;
    [head, write]
}

async fn head_step(bucket: &Bucket, deadline: Deadline) -> CheckStep {
    let name = StepName::HeadBucket;
    let issue = |operation, failure: &Failure| bucket.party().diagnose(operation, failure);
    match deadline.request(bucket.head()).await {
        Ok(()) => {}
        Err(Failure::Answered(head)) if head.status >= 300 => {
            // HEAD answers have no body: another call is asked for the store's own words. Like HEAD it names no prefix.
            let listed = deadline.request(bucket.first_key("")).await;
            // Some stores ask more for HeadBucket than for a listing; a bucket that can be listed is there.
            if !(head.status == 403 && listed.is_ok()) {
                let words = match listed {
                    Err(words @ Failure::Answered(Answer { code: Some(_), .. })) => Some(words),
                    Ok(_) | Err(_) => deadline.request(bucket.location()).await.err(),
                };
                let failure = Failure::Answered(explained(head, words));
                return failed(name, issue(Operation::HeadBucket, &failure));
            }
        }
        Err(failure) => return failed(name, issue(Operation::HeadBucket, &failure)),
    }
    match deadline.request(bucket.location()).await {
        Err(failure @ Failure::Answered(Answer { status: 0..=299, .. })) => {
            failed(name, issue(Operation::GetBucketLocation, &failure))
        }
        Err(failure @ Failure::Answered(Answer { status: 403, .. })) => {
            warning(name, issue(Operation::GetBucketLocation, &failure))
        }
        // The bucket was seen; a store without this call delivers all the same.
        Ok(()) | Err(_) => passed(name, format!("the bucket {} is there", bucket.party().place.bucket)),
    }
}

/// A bodyless answer with the words that the same store gave to another call.
fn explained(head: Answer, words: Option<Failure>) -> Answer {
    match words {
        Some(Failure::Answered(Answer { status, code: Some(code), message, bucket_region })) => {
            Answer { status, code: Some(code), message, bucket_region: head.bucket_region.or(bucket_region) }
        }
        Some(_) | None => head,
    }
}

async fn write_step(bucket: &Bucket, deadline: Deadline) -> CheckStep {
    let name = StepName::WritePermission;
    let prefix = &bucket.party().place.prefix;
    match deadline.request(bucket.put_with_wrong_md5()).await {
        Err(failure) if refused_the_digest_only(&failure) => {
            passed(name, format!("objects may be written under \"{prefix}\""))
        }
        Err(failure) => failed(name, bucket.party().diagnose(Operation::PutObject, &failure)),
        // The store did not look at Content-MD5.
        Ok(()) => match deadline.request(bucket.delete_write_check()).await {
            Ok(()) => passed(
                name,
                format!("objects may be written under \"{prefix}\"; the check's own was removed"),
            ),
            Err(failure) => {
                let issue = bucket.party().diagnose(Operation::DeleteObject, &failure);
                let key = bucket.write_check_key();
                let Issue { operation: _, reason: _, code, message, remedy: _ } = issue;
                CheckStep {
                    name,
                    result: StepResult::Warning,
                    reason: Reason::Healthy,
                    code,
                    message: format!(
                        "objects may be written, but the check's own object {key} could not be removed: {message}"
                    ),
                    remedy: format!("Remove {key} by hand; events are delivered all the same."),
                }
            }
        },
    }
}

/// A store looks at the digest after it allowed the write. Most say `BadDigest`; Alibaba's says `InvalidDigest`.
fn refused_the_digest_only(failure: &Failure) -> bool {
    matches!(failure, Failure::Answered(Answer { status: 400, code: Some(code), .. })
        if code == "BadDigest" || code == "InvalidDigest")
}

const EARLIER: &str = "not tried: an earlier step failed";

fn passed(name: StepName, message: String) -> CheckStep {
    let (result, reason) = (StepResult::Passed, Reason::Healthy);
    CheckStep { name, result, reason, code: None, message, remedy: String::new() }
}

fn skipped(name: StepName, message: &str) -> CheckStep {
    let (result, reason) = (StepResult::Skipped, Reason::NotChecked);
    CheckStep { name, result, reason, code: None, message: message.to_owned(), remedy: String::new() }
}

fn failed(name: StepName, issue: Issue) -> CheckStep {
    told(name, StepResult::Failed, issue)
}

fn warning(name: StepName, issue: Issue) -> CheckStep {
    told(name, StepResult::Warning, issue)
}

fn told(name: StepName, result: StepResult, issue: Issue) -> CheckStep {
    let Issue { operation, reason, code, message, remedy } = issue;
    CheckStep { name, result, reason, code, message: format!("{operation}: {message}"), remedy }
}

fn external_id_warning(party: &Party) -> CheckStep {
    let remedy = party.role.as_ref().map_or_else(String::new, |role| {
        format!(
            "Add the condition {{\"StringEquals\": {{\"sts:ExternalId\": \"{}\"}}}} to the trust policy of {}: without it anybody who can make Barndoor name this role could use it.",
            role.external_id, role.arn
        )
    });
    CheckStep {
        name: StepName::AssumeRole,
        result: StepResult::Warning,
        reason: Reason::ExternalIdNotEnforced,
        code: None,
        message: "the role was assumed, but it can be assumed without the External ID too".to_owned(),
        remedy,
    }
}

fn no_store_steps(issue: Issue) -> [CheckStep; 2] {
    [failed(StepName::HeadBucket, issue), skipped(StepName::WritePermission, EARLIER)]
}

fn no_role_steps(issue: Issue) -> Vec<CheckStep> {
    vec![
        failed(StepName::AssumeRole, issue),
        skipped(StepName::HeadBucket, EARLIER),
        skipped(StepName::WritePermission, EARLIER),
    ]
}

/// The steps' sum: the first failure speaks for the check, else the first warning.
fn report(at: Timestamp, generation: u64, steps: Vec<CheckStep>) -> CheckReport {
    let first = |result| steps.iter().find(|step| step.result == result);
    let failure = first(StepResult::Failed);
    let healthy = failure.is_none();
    let (reason, message, remedy) = match failure.or_else(|| first(StepResult::Warning)) {
        Some(step) => (step.reason, step.message.clone(), step.remedy.clone()),
        None => (Reason::Healthy, "every step passed: events can be delivered".to_owned(), String::new()),
    };
    CheckReport { at, generation, healthy, reason, message, remedy, steps }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(name: StepName, result: StepResult, reason: Reason) -> CheckStep {
        CheckStep { name, result, reason, code: None, message: format!("{reason}"), remedy: String::new() }
    }

    #[test]
    fn a_failure_speaks_for_the_check_and_a_warning_leaves_it_healthy() {
        let warned = step(StepName::AssumeRole, StepResult::Warning, Reason::ExternalIdNotEnforced);
        let denied = step(StepName::WritePermission, StepResult::Failed, Reason::WriteDenied);
        let both = report(Timestamp::UNIX_EPOCH, 7, vec![warned.clone(), denied]);
        assert_eq!((both.healthy, both.reason, both.generation), (false, Reason::WriteDenied, 7));
        let only = report(Timestamp::UNIX_EPOCH, 7, vec![warned]);
        assert_eq!((only.healthy, only.reason), (true, Reason::ExternalIdNotEnforced));
        assert!(report(Timestamp::UNIX_EPOCH, 7, vec![passed(StepName::HeadBucket, String::new())]).healthy);
    }

    #[test]
    fn a_bodyless_refusal_borrows_the_words_of_another_call() {
        let head =
            || Answer { status: 403, bucket_region: Some("eu-west-1".to_owned()), ..Answer::default() };
        let words = Failure::Answered(Answer {
            status: 404,
            code: Some("NoSuchBucket".to_owned()),
            message: Some("gone".to_owned()),
            bucket_region: None,
        });
        let joined = explained(head(), Some(words));
        assert_eq!((joined.status, joined.code.as_deref()), (404, Some("NoSuchBucket")));
        assert_eq!(joined.bucket_region.as_deref(), Some("eu-west-1"));
        assert_eq!(explained(head(), None), head());
    }
}
