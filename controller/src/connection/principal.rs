//! Who the controller is to AWS: the principal that customers name in their trust policies. Pure but for the error
//! type's use elsewhere.

/// Why the principal is not known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PrincipalError {
    /// The controller runs without AWS credentials: role mode is not available.
    #[error("the controller has no AWS identity, so IAM roles are not available")]
    NoControllerIdentity,
    /// STS did not answer, or not with an identity; another attempt may succeed.
    #[error("the controller cannot ask AWS STS who it is: {0}")]
    Unreachable(String),
}

/// The ARN to trust: a session of an assumed role stands for its role, everything else for itself. The session's ARN
/// does not tell a role's path; such roles need `--principal-arn`.
pub(crate) fn trusted_arn(caller_arn: &str) -> String {
    role_of_session(caller_arn).unwrap_or_else(|| caller_arn.to_owned())
}

fn role_of_session(caller_arn: &str) -> Option<String> {
    let parts: Vec<&str> = caller_arn.splitn(6, ':').collect();
    let [arn, partition, "sts", _, account, resource] = parts[..] else {
        return None;
    };
    let (role, _session) = resource.strip_prefix("assumed-role/")?.split_once('/')?;
    Some(format!("{arn}:{partition}:iam::{account}:role/{role}"))
}

/// The account and partition inside an ARN; `None` when it is not one.
pub(crate) fn home(arn: &str) -> Option<Home<'_>> {
    let mut parts = arn.splitn(6, ':');
    let (_arn, partition, _service, _region, account) =
        (parts.next()?, parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    Some(Home { partition, account })
}

/// Where a principal lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Home<'a> {
    /// Such as `aws`.
    pub(crate) partition: &'a str,
    /// 12 digits.
    pub(crate) account: &'a str,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_stands_for_its_role_in_every_partition() {
        for (caller, trusted) in [
            ("arn:aws:sts::111122223333:assumed-role/Ctl/i-0abc", "arn:aws:iam::111122223333:role/Ctl"),
            ("arn:aws-cn:sts::111122223333:assumed-role/Ctl/s", "arn:aws-cn:iam::111122223333:role/Ctl"),
            (
                "arn:aws-us-gov:sts::111122223333:assumed-role/Ctl/s",
                "arn:aws-us-gov:iam::111122223333:role/Ctl",
            ),
            ("arn:aws:iam::111122223333:user/path/ctl", "arn:aws:iam::111122223333:user/path/ctl"),
            ("arn:aws:iam::111122223333:root", "arn:aws:iam::111122223333:root"),
            ("arn:aws:sts::111122223333:federated-user/x", "arn:aws:sts::111122223333:federated-user/x"),
            ("nonsense", "nonsense"),
        ] {
            assert_eq!(trusted_arn(caller), trusted);
        }
    }

    #[test]
    fn a_principals_home_is_its_partition_and_account() {
        let expected = Home { partition: "aws", account: "111122223333" };
        assert_eq!(home("arn:aws:iam::111122223333:role/a/b"), Some(expected));
        assert_eq!(home("nonsense"), None);
    }
}
