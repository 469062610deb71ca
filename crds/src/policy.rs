//! IAM policy documents: what a customer pastes, and what the controller narrows its own sessions with.
//!
//! Built as data and written as JSON, so that no name can break out of its place. It must not know STS or S3 clients.

use serde::Serialize;

use crate::aws::{ExternalId, Partition};
use crate::place::{BucketName, PathPrefix};

/// The most characters that STS takes as an inline session policy.
pub const SESSION_POLICY_MAX: usize = 2_048;

/// The version of the policy language; there is no newer one.
const LANGUAGE_VERSION: &str = "2012-10-17";

/// A policy document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Policy {
    version: &'static str,
    statement: Vec<Statement>,
}

impl Policy {
    fn of(statement: Vec<Statement>) -> Self {
        Self { version: LANGUAGE_VERSION, statement }
    }

    /// The document on one line, for a request.
    pub fn to_compact_json(&self) -> String {
        serde_json::to_string(self).expect("a policy is text, lists and maps with text keys: always JSON")
    }

    /// The document over several lines, for a person to paste.
    pub fn to_pretty_json(&self) -> String {
        serde_json::to_string_pretty(self)
            .expect("a policy is text, lists and maps with text keys: always JSON")
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Statement {
    #[serde(skip_serializing_if = "Option::is_none")]
    sid: Option<&'static str>,
    effect: Effect,
    #[serde(skip_serializing_if = "Option::is_none")]
    principal: Option<Principal>,
    action: OneOrMany,
    #[serde(skip_serializing_if = "Option::is_none")]
    resource: Option<OneOrMany>,
    #[serde(skip_serializing_if = "Option::is_none")]
    condition: Option<Condition>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
enum Effect {
    Allow,
    Deny,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Principal {
    #[serde(rename = "AWS")]
    aws: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
enum Condition {
    StringEquals(Equal),
    StringLike(Like),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Equal {
    #[serde(rename = "sts:ExternalId")]
    external_id: OneOrMany,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Like {
    #[serde(rename = "kms:ViaService")]
    via_service: String,
}

/// Text when there is one, a list otherwise: the shape that AWS's own console writes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl OneOrMany {
    fn one(text: &str) -> Self {
        Self::One(text.to_owned())
    }

    fn of<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        let mut texts: Vec<String> = texts.into_iter().map(str::to_owned).collect();
        match texts.len() {
            1 => Self::One(texts.remove(0)),
            _ => Self::Many(texts),
        }
    }
}

/// The trust policy of a customer's role: this principal may assume it, with one of these External IDs. Several IDs are
/// for a role that serves several destinations.
pub fn trust_policy(principal_arn: &str, external_ids: &[ExternalId]) -> Policy {
    let external_id = OneOrMany::of(external_ids.iter().map(ExternalId::as_str));
    Policy::of(vec![Statement {
        sid: Some("BarndoorAuditExport"),
        effect: Effect::Allow,
        principal: Some(Principal { aws: principal_arn.to_owned() }),
        action: OneOrMany::one("sts:AssumeRole"),
        resource: None,
        condition: Some(Condition::StringEquals(Equal { external_id })),
    }])
}

/// The permissions policy of a customer's role, or of the IAM user whose access keys are stored: uploads under the
/// prefix, what the check needs on the bucket, and the bucket's KMS key when it has one.
pub fn write_policy(
    partition: Partition,
    bucket: &BucketName,
    prefix: &PathPrefix,
    kms_key_arn: Option<&str>,
) -> Policy {
    let mut statements = s3_statements(partition, bucket, prefix, Sids::Shown);
    if let Some(kms_key_arn) = kms_key_arn {
        statements.push(Statement {
            sid: Some("EncryptWithTheBucketsKey"),
            effect: Effect::Allow,
            principal: None,
            action: OneOrMany::of(KMS_ACTIONS),
            resource: Some(OneOrMany::one(kms_key_arn)),
            condition: None,
        });
    }
    Policy::of(statements)
}

/// What a session may do at most, whatever the customer's role allows: this bucket, this prefix, and any KMS key, but
/// only through S3 (SSE-KMS buckets need it, and the key's own policy still decides).
pub fn session_policy(partition: Partition, bucket: &BucketName, prefix: &PathPrefix) -> Policy {
    let mut statements = s3_statements(partition, bucket, prefix, Sids::LeftOut);
    statements.push(Statement {
        sid: None,
        effect: Effect::Allow,
        principal: None,
        action: OneOrMany::of(KMS_ACTIONS),
        resource: Some(OneOrMany::one("*")),
        // kms:ViaService names a service by its host: the regions' and partitions' all begin like this.
        condition: Some(Condition::StringLike(Like { via_service: "s3.*".to_owned() })),
    });
    Policy::of(statements)
}

/// What the session of a probe may do: nothing. AssumeRole is tried without the External ID only to see it refused.
pub fn deny_all_session_policy() -> Policy {
    Policy::of(vec![Statement {
        sid: None,
        effect: Effect::Deny,
        principal: None,
        action: OneOrMany::one("*"),
        resource: Some(OneOrMany::one("*")),
        condition: None,
    }])
}

const KMS_ACTIONS: [&str; 2] = ["kms:GenerateDataKey", "kms:Decrypt"];

/// Whether statements carry names: good for a person, a waste of a session policy's space.
#[derive(Clone, Copy)]
enum Sids {
    Shown,
    LeftOut,
}

fn s3_statements(
    partition: Partition,
    bucket: &BucketName,
    prefix: &PathPrefix,
    sids: Sids,
) -> Vec<Statement> {
    let bucket_arn = format!("arn:{}:s3:::{bucket}", partition.name());
    let statement = |sid, action, resource: &str| Statement {
        sid: match sids {
            Sids::Shown => Some(sid),
            Sids::LeftOut => None,
        },
        effect: Effect::Allow,
        principal: None,
        action,
        resource: Some(OneOrMany::one(resource)),
        condition: None,
    };
    // A prefix may hold "*", which in a resource means "anything": the policy is then wider, never narrower.
    let objects = format!("{bucket_arn}/{prefix}*");
    vec![
        statement("UploadObjects", OneOrMany::one("s3:PutObject"), &objects),
        statement("CheckTheBucket", OneOrMany::of(["s3:ListBucket", "s3:GetBucketLocation"]), &bucket_arn),
    ]
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn bucket(name: &str) -> BucketName {
        name.parse().expect("a bucket")
    }

    fn prefix(text: &str) -> PathPrefix {
        text.parse().expect("a prefix")
    }

    fn value(policy: &Policy) -> Value {
        serde_json::from_str(&policy.to_pretty_json()).expect("json")
    }

    #[test]
    fn a_trust_policy_names_the_principal_and_demands_the_external_id() {
        let id = ExternalId::from_bytes([1; 32]);
        let principal = "arn:aws:iam::111122223333:role/barndoor";
        let one = value(&trust_policy(principal, std::slice::from_ref(&id)));
        assert_eq!(
            one,
            json!({"Version": "2012-10-17", "Statement": [{
                "Sid": "BarndoorAuditExport",
                "Effect": "Allow",
                "Principal": {"AWS": principal},
                "Action": "sts:AssumeRole",
                "Condition": {"StringEquals": {"sts:ExternalId": id.as_str()}},
            }]})
        );
        let other = ExternalId::from_bytes([2; 32]);
        let several = value(&trust_policy(principal, &[id.clone(), other.clone()]));
        assert_eq!(
            several["Statement"][0]["Condition"]["StringEquals"]["sts:ExternalId"],
            json!([id.as_str(), other.as_str()])
        );
    }

    #[test]
    fn a_write_policy_allows_uploads_under_the_prefix_and_the_check_on_the_bucket() {
        let policy = write_policy(Partition::Aws, &bucket("acme-audit"), &prefix("audit-events"), None);
        assert_eq!(
            value(&policy),
            json!({"Version": "2012-10-17", "Statement": [
                {"Sid": "UploadObjects", "Effect": "Allow", "Action": "s3:PutObject",
                 "Resource": "arn:aws:s3:::acme-audit/audit-events/*"},
                {"Sid": "CheckTheBucket", "Effect": "Allow", "Action": ["s3:ListBucket", "s3:GetBucketLocation"],
                 "Resource": "arn:aws:s3:::acme-audit"},
            ]})
        );
    }

    #[test]
    fn a_write_policy_names_the_kms_key_when_there_is_one() {
        let key = "arn:aws:kms:us-east-1:123456789012:key/1";
        let policy = write_policy(Partition::Aws, &bucket("acme-audit"), &prefix(""), Some(key));
        let statement = &value(&policy)["Statement"][2];
        assert_eq!(statement["Resource"], key);
        assert_eq!(statement["Action"], json!(["kms:GenerateDataKey", "kms:Decrypt"]));
    }

    #[test]
    fn arns_are_of_the_buckets_partition() {
        for (partition, name) in
            [(Partition::Aws, "aws"), (Partition::AwsCn, "aws-cn"), (Partition::AwsUsGov, "aws-us-gov")]
        {
            let text = session_policy(partition, &bucket("acme"), &prefix("")).to_compact_json();
            assert!(text.contains(&format!("\"arn:{name}:s3:::acme/*\"")), "{text}");
        }
    }

    #[test]
    fn a_session_policy_fits_into_a_request_at_the_longest_bucket_and_prefix() {
        let longest =
            session_policy(Partition::AwsUsGov, &bucket(&"b".repeat(63)), &prefix(&"p".repeat(200)));
        let text = longest.to_compact_json();
        assert!(text.len() <= SESSION_POLICY_MAX, "{}", text.len());
    }

    #[test]
    fn a_session_policy_grants_nothing_beyond_uploads_the_check_and_kms_through_s3() {
        let policy = value(&session_policy(Partition::Aws, &bucket("acme"), &prefix("a/b/")));
        assert_eq!(
            policy["Statement"],
            json!([
                {"Effect": "Allow", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::acme/a/b/*"},
                {"Effect": "Allow", "Action": ["s3:ListBucket", "s3:GetBucketLocation"],
                 "Resource": "arn:aws:s3:::acme"},
                {"Effect": "Allow", "Action": ["kms:GenerateDataKey", "kms:Decrypt"], "Resource": "*",
                 "Condition": {"StringLike": {"kms:ViaService": "s3.*"}}},
            ])
        );
    }

    #[test]
    fn a_probes_session_may_do_nothing() {
        assert_eq!(
            deny_all_session_policy().to_compact_json(),
            r#"{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*"}]}"#
        );
    }
}
