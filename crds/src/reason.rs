//! One enum is the source of every reason word: conditions, REST, metrics, Terraform and the docs.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

macro_rules! reasons {
    ($($variant:ident : $doc:literal,)*) => {
        /// Why a destination is in the state it is in.
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema, ToSchema,
        )]
        pub enum Reason {
            $(#[doc = $doc] $variant,)*
        }

        impl Reason {
            /// Every reason, in the order of the docs table.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The constant that users see, such as `HeadBucketDenied`.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => stringify!($variant),)* }
            }

            /// One sentence for the docs table.
            pub const fn description(self) -> &'static str {
                match self { $(Self::$variant => $doc,)* }
            }
        }
    };
}

reasons! {
    Healthy: "Every step of the last check passed.",
    NotChecked: "No check has run since the destination was declared or changed.",
    AssumeRoleDenied: "STS refused to let the controller assume the role.",
    ExternalIdNotEnforced: "The role can be assumed without the External ID: its trust policy lacks the condition.",
    BucketNotFound: "The store says that the bucket does not exist.",
    WrongRegion: "The bucket is in another region than the one declared.",
    HeadBucketDenied: "The store refused HeadBucket: s3:ListBucket or s3:GetBucketLocation is missing.",
    WriteDenied: "The store refused PutObject under the path prefix.",
    KmsDenied: "The bucket's KMS key may not be used by this identity.",
    InvalidAccessKey: "The store does not accept the access key or its signature.",
    SecretNotFound: "The destination uses access keys, and none are stored.",
    SecretNotUsable: "The stored access keys cannot be read: wrong kind, missing field, or sealed with another master key.",
    EndpointForbidden: "The endpoint's address, scheme or kind is not allowed by the operator.",
    EndpointUnreachable: "The endpoint's name does not resolve, or nothing answers there in time.",
    TlsFailed: "The endpoint's certificate is not trusted or does not match its name.",
    ClockSkewed: "The store rejects the signature because the clocks differ too much.",
    Throttled: "The store or STS asks to slow down.",
    ObjectLockRefused: "The bucket's Object Lock settings refuse the upload.",
    BufferFull: "The event log is at or near its size limit.",
    LogDamaged: "The event log cannot be read where events of this destination are.",
    LogReplaced: "The event log is not the one that this destination's place was recorded in.",
    StoreError: "The store answered with an error of its own, or one that is not in the table.",
    StreamingActive: "Streaming, and the last delivery succeeded.",
    Paused: "Declared paused: events are kept up to the retention and sent on resume.",
    Starting: "Streaming was declared; the first delivery has not happened yet.",
    Retrying: "The last delivery failed; it is tried again with growing pauses, and nothing is dropped.",
    NoEvents: "Streaming, and nothing has been accepted since Start: no traffic yet.",
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
