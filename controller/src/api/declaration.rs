//! From a PUT body to a declaration: which fields go together, each refusal naming its field. Pure.

use barndoor_crds::aws::RoleArn;
use barndoor_crds::place::{BucketName, Endpoint, InvalidPlace, PathPrefix, Place, Region, Scheme};
use barndoor_crds::rest::destination::AuthMethod;
use barndoor_crds::rest::{PROVIDER_S3, PutDestination, Secret};

use crate::destinations::{AccessKeys, AsSent, Declaration, DeclaredAuth};

/// The longest access key id, in bytes (AWS documents 128).
const ACCESS_KEY_ID_MAX_BYTES: usize = 128;
/// The longest secret access key, in bytes: generous towards stores with longer ones than AWS's 40.
const SECRET_ACCESS_KEY_MAX_BYTES: usize = 256;
/// How much of an unknown provider's name is repeated, in characters.
const PROVIDER_SHOWN_MAX: usize = 64;

/// A body that declares nothing usable.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(super) struct InvalidDeclaration {
    /// The field to change.
    pub(super) field: &'static str,
    /// What is wrong with it and what to write instead.
    pub(super) message: String,
}

fn invalid(field: &'static str, message: impl Into<String>) -> InvalidDeclaration {
    InvalidDeclaration { field, message: message.into() }
}

impl From<InvalidPlace> for InvalidDeclaration {
    fn from(error: InvalidPlace) -> Self {
        invalid(error.field, error.to_string())
    }
}

/// The sentence that refuses another provider than S3; `None` when it is S3.
pub(super) fn refused_provider(provider: Option<&serde_json::Value>) -> Option<String> {
    let written = match provider {
        None | Some(serde_json::Value::Null) => return None,
        Some(serde_json::Value::String(text)) if text.is_empty() || text == PROVIDER_S3 => return None,
        Some(serde_json::Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    let shown: String = written.chars().filter(|c| !c.is_control()).take(PROVIDER_SHOWN_MAX).collect();
    Some(format!(
        "provider \"{shown}\" is not supported: only \"{PROVIDER_S3}\" is, for Amazon S3 and every S3-compatible store"
    ))
}

/// What the body declares.
///
/// # Errors
/// The first field that is unfit.
pub(super) fn parse(body: PutDestination) -> Result<Declaration, InvalidDeclaration> {
    let addressing = body.effective_addressing();
    let PutDestination {
        provider: _,
        endpoint,
        bucket,
        region,
        path_prefix,
        use_ssl,
        use_path_style,
        addressing: _,
        auth_method,
        access_key_id,
        secret_access_key,
        iam_role_arn,
    } = body;
    let use_ssl = use_ssl.unwrap_or(true);
    let place = Place {
        endpoint: Endpoint::parse(&endpoint, Scheme::from_use_ssl(use_ssl))?,
        region: region.as_deref().unwrap_or_default().parse::<Region>()?,
        bucket: bucket.parse::<BucketName>()?,
        prefix: path_prefix.as_deref().map_or_else(|| Ok(PathPrefix::default()), str::parse)?,
        addressing,
    };
    let auth = parse_auth(&Credentials {
        method: auth_method.unwrap_or_default(),
        access_key_id: access_key_id.filter(|key| !key.is_empty()),
        secret_access_key: secret_access_key.filter(|key| !key.is_empty()),
        iam_role_arn: iam_role_arn.filter(|arn| !arn.is_empty()),
    })?;
    let use_path_style = use_path_style.unwrap_or(false);
    let as_sent = AsSent { endpoint, bucket, region, path_prefix, use_ssl, use_path_style };
    Ok(Declaration { place, as_sent, auth })
}

/// The credential fields; a text that is empty was not sent.
struct Credentials {
    method: String,
    access_key_id: Option<Secret>,
    secret_access_key: Option<Secret>,
    iam_role_arn: Option<String>,
}

fn parse_auth(sent: &Credentials) -> Result<DeclaredAuth, InvalidDeclaration> {
    let method: AuthMethod =
        sent.method.parse().map_err(|error| invalid("auth_method", format!("{error}")))?;
    match method {
        AuthMethod::IamRole => parse_role(sent).map(DeclaredAuth::IamRole),
        AuthMethod::AccessKeys => parse_keys(sent),
    }
}

fn parse_role(sent: &Credentials) -> Result<RoleArn, InvalidDeclaration> {
    for (field, sent) in
        [("access_key_id", &sent.access_key_id), ("secret_access_key", &sent.secret_access_key)]
    {
        if sent.is_some() {
            return Err(invalid(
                field,
                format!("{field} cannot be sent with auth_method iam_role: leave it out, or use access_keys"),
            ));
        }
    }
    let arn = sent.iam_role_arn.as_deref().ok_or_else(|| {
        invalid("iam_role_arn", "iam_role_arn is required with auth_method iam_role: the role that trusts the principal of aws-trust-info")
    })?;
    arn.parse().map_err(|error| invalid("iam_role_arn", format!("{error}")))
}

fn parse_keys(sent: &Credentials) -> Result<DeclaredAuth, InvalidDeclaration> {
    if sent.iam_role_arn.is_some() {
        return Err(invalid(
            "iam_role_arn",
            "iam_role_arn cannot be sent with auth_method access_keys: leave it out, or use iam_role",
        ));
    }
    match (&sent.access_key_id, &sent.secret_access_key) {
        (None, None) => Ok(DeclaredAuth::StoredAccessKeys),
        (Some(id), Some(secret)) => Ok(DeclaredAuth::NewAccessKeys(AccessKeys {
            access_key_id: parse_key("access_key_id", id, ACCESS_KEY_ID_MAX_BYTES)?,
            secret_access_key: parse_key("secret_access_key", secret, SECRET_ACCESS_KEY_MAX_BYTES)?,
        })),
        (Some(_), None) => {
            Err(invalid("secret_access_key", "secret_access_key is required together with access_key_id"))
        }
        (None, Some(_)) => {
            Err(invalid("access_key_id", "access_key_id is required together with secret_access_key"))
        }
    }
}

fn parse_key(field: &'static str, key: &Secret, max_bytes: usize) -> Result<String, InvalidDeclaration> {
    let text = key.expose();
    if text.len() <= max_bytes && text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(text.to_owned());
    }
    Err(invalid(
        field,
        format!(
            "{field} must be 1 to {max_bytes} ASCII characters without spaces or line ends: copy it again"
        ),
    ))
}

#[cfg(test)]
mod tests {
    use barndoor_crds::place::Addressing;
    use serde_json::json;

    use super::*;

    fn parsed(extra: &serde_json::Value) -> Result<Declaration, InvalidDeclaration> {
        let mut body = json!({"endpoint": "https://s3.us-east-1.amazonaws.com", "bucket": "acme-audit"});
        let members = body.as_object_mut().expect("an object");
        members.extend(extra.as_object().expect("an object").clone());
        parse(serde_json::from_value(body).expect("a body"))
    }

    #[test]
    fn only_s3_is_a_provider_and_another_is_repeated_in_the_refusal() {
        for s3 in [json!(null), json!(""), json!("s3")] {
            assert_eq!(refused_provider(Some(&s3)), None, "{s3}");
        }
        assert_eq!(refused_provider(None), None);
        for (other, shown) in
            [(json!("azure_blob"), "\"azure_blob\""), (json!(7), "\"7\""), (json!("S3"), "\"S3\"")]
        {
            let sentence = refused_provider(Some(&other)).expect("refused");
            assert!(sentence.contains(shown) && sentence.contains("S3-compatible"), "{sentence}");
        }
    }

    #[test]
    fn what_was_sent_is_kept_beside_what_it_means() {
        let declared = parsed(&json!({
            "endpoint": "minio.example:9000", "use_ssl": false, "use_path_style": true, "region": "", "path_prefix": "a"
        }))
        .expect("valid");
        assert_eq!(declared.place.endpoint.to_string(), "http://minio.example:9000");
        assert_eq!((declared.place.prefix.as_str(), declared.place.addressing), ("a/", Addressing::Path));
        assert_eq!(declared.as_sent.endpoint, "minio.example:9000");
        assert_eq!(declared.as_sent.region.as_deref(), Some(""));
        assert_eq!(declared.as_sent.path_prefix.as_deref(), Some("a"));
        let plain = parsed(&json!({})).expect("valid");
        assert_eq!((plain.place.prefix.as_str(), plain.as_sent.path_prefix), ("audit-events/", None));
        assert!(plain.as_sent.use_ssl && !plain.as_sent.use_path_style);
    }

    #[test]
    fn keys_and_roles_do_not_mix_and_the_refusal_names_the_field() {
        let role = "arn:aws:iam::123456789012:role/x";
        for (body, field) in [
            (json!({"endpoint": ""}), "endpoint"),
            (json!({"bucket": ""}), "bucket"),
            (json!({"path_prefix": "/a"}), "path_prefix"),
            (json!({"region": "US East"}), "region"),
            (json!({"auth_method": "password"}), "auth_method"),
            (json!({"iam_role_arn": role}), "iam_role_arn"),
            (json!({"auth_method": "iam_role"}), "iam_role_arn"),
            (json!({"auth_method": "iam_role", "iam_role_arn": "x"}), "iam_role_arn"),
            (json!({"auth_method": "iam_role", "iam_role_arn": role, "access_key_id": "A"}), "access_key_id"),
            (
                json!({"auth_method": "iam_role", "iam_role_arn": role, "secret_access_key": "A"}),
                "secret_access_key",
            ),
            (json!({"access_key_id": "A"}), "secret_access_key"),
            (json!({"secret_access_key": "A"}), "access_key_id"),
            (json!({"access_key_id": "A", "secret_access_key": "hunter2\n"}), "secret_access_key"),
        ] {
            let refusal = parsed(&body).expect_err("refused");
            assert_eq!(refusal.field, field, "{body}");
            assert!(refusal.message.contains(field) && !refusal.message.contains("hunter2"), "{refusal}");
        }
    }

    #[test]
    fn empty_texts_count_as_not_sent() {
        let keys = parsed(
            &json!({"auth_method": "", "iam_role_arn": "", "access_key_id": "A", "secret_access_key": "B"}),
        );
        assert!(matches!(keys.expect("valid").auth, DeclaredAuth::NewAccessKeys(_)));
        let stored =
            parsed(&json!({"auth_method": "access_keys", "access_key_id": "", "secret_access_key": ""}));
        assert!(matches!(stored.expect("valid").auth, DeclaredAuth::StoredAccessKeys));
        let role = parsed(
            &json!({"auth_method": "iam_role", "iam_role_arn": "arn:aws:iam::123456789012:role/x", "access_key_id": ""}),
        );
        assert!(matches!(role.expect("valid").auth, DeclaredAuth::IamRole(_)));
    }
}
