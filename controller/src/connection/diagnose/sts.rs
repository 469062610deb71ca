//! The table's rows for STS: whether the controller may act for the customer.

use barndoor_crds::reason::Reason;

use super::super::failure::{Answer, Transport, TransportKind};
use super::{CLOCK_OF_CONTROLLER, Context, RoleContext, Row, WAIT, is_throttling, row, words_of};

pub(super) fn transport(transport: &Transport) -> Row {
    let reason = match transport.kind {
        TransportKind::Tls => Reason::TlsFailed,
        TransportKind::Forbidden(_)
        | TransportKind::Unresolved
        | TransportKind::ConnectFailed
        | TransportKind::TimedOut
        | TransportKind::Broken => Reason::EndpointUnreachable,
    };
    row(
        reason,
        format!("AWS STS cannot be reached from the controller: {}", transport.words),
        "Ask the operator to check the controller's network; nothing in your account needs to change.",
    )
}

pub(super) fn answer(answer: &Answer, context: &Context<'_>) -> Row {
    const OPERATORS: &str = "Ask the operator to renew the controller's own AWS credentials; nothing in your account needs to change.";
    let message = words_of(answer);
    let lower = message.to_ascii_lowercase();
    match (answer.code.as_deref().unwrap_or_default(), answer.status) {
        ("RequestTimeTooSkewed" | "RequestExpired", _) => {
            row(Reason::ClockSkewed, message, CLOCK_OF_CONTROLLER)
        }
        ("SignatureDoesNotMatch", _) if lower.contains("expired") || lower.contains("not yet current") => {
            row(Reason::ClockSkewed, message, CLOCK_OF_CONTROLLER)
        }
        (
            "ExpiredToken"
            | "ExpiredTokenException"
            | "InvalidClientTokenId"
            | "SignatureDoesNotMatch"
            | "IncompleteSignature"
            | "MissingAuthenticationToken"
            | "UnrecognizedClientException",
            _,
        ) => row(Reason::AssumeRoleDenied, message, OPERATORS),
        (_, 429) => row(Reason::Throttled, message, WAIT),
        (code, _) if is_throttling(code) => row(Reason::Throttled, message, WAIT),
        (_, 500..) => row(Reason::StoreError, message, WAIT),
        ("RegionDisabledException", _) => row(
            Reason::AssumeRoleDenied,
            message,
            "Activate STS for this region in the account settings of IAM, in the account of the role.",
        ),
        ("MalformedPolicyDocument" | "PackedPolicyTooLarge", _) => row(
            Reason::StoreError,
            message,
            "Use a shorter bucket name or path prefix, and tell the operator.",
        ),
        (_, 0..=399) => row(Reason::StoreError, message, "Ask the operator to check AWS_ENDPOINT_URL_STS."),
        (_, 400..=499) => row(Reason::AssumeRoleDenied, message, trust_remedy(context, &lower)),
    }
}

/// AWS says the same for a wrong principal and for a wrong External ID, so the remedy names both.
fn trust_remedy(context: &Context<'_>, lower_message: &str) -> String {
    let Some(RoleContext { arn, principal_arn, external_id }) = context.role else {
        return String::new();
    };
    let principal = principal_arn.unwrap_or("the Barndoor principal shown with this destination");
    if lower_message.contains("invalid externalid") || lower_message.contains("invalid external id") {
        return format!(
            "In the trust policy of {arn}, set the condition StringEquals sts:ExternalId to {external_id} exactly; it is stable for this destination. The Principal must be {{\"AWS\": \"{principal}\"}}."
        );
    }
    format!(
        "Check both in the trust policy of {arn}: its Principal must be {{\"AWS\": \"{principal}\"}} exactly, allowed sts:AssumeRole, and its condition StringEquals sts:ExternalId must be {external_id}. AWS gives the same answer for either, and for a role that does not exist."
    )
}
