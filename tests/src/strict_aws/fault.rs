//! Faults on order: which calls there are, and what may be done to them.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use http::Method;

/// The calls that an export makes, and one for all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// sts:AssumeRole.
    AssumeRole,
    /// sts:GetCallerIdentity.
    GetCallerIdentity,
    /// Upload.
    PutObject,
    /// Download.
    GetObject,
    /// Delete.
    DeleteObject,
    /// Is the bucket there?
    HeadBucket,
    /// Which region is it in?
    GetBucketLocation,
    /// ListObjectsV2.
    ListObjects,
    /// Anything else.
    Unknown,
}

impl Operation {
    pub(super) fn of(method: &Method, bucket: &str, key: &str, query: &str, action: Option<&str>) -> Self {
        let asks =
            |name: &str| query.split('&').any(|part| part == name || part.starts_with(&format!("{name}=")));
        match (method, bucket, key, action) {
            (&Method::POST, "", "", Some("AssumeRole")) => Self::AssumeRole,
            (&Method::POST, "", "", Some("GetCallerIdentity")) => Self::GetCallerIdentity,
            (_, "", _, _) => Self::Unknown,
            (&Method::HEAD, _, "", _) => Self::HeadBucket,
            (&Method::GET, _, "", _) if asks("location") => Self::GetBucketLocation,
            (&Method::GET, _, "", _) if asks("list-type") => Self::ListObjects,
            (_, _, "", _) => Self::Unknown,
            (&Method::PUT, ..) if !asks("uploadId") => Self::PutObject,
            (&Method::GET, ..) => Self::GetObject,
            (&Method::DELETE, ..) => Self::DeleteObject,
            _ => Self::Unknown,
        }
    }
}

/// What happens to a request instead of a proper answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is refused unjudged, and nothing is done.
    Answer {
        /// The HTTP status.
        status: u16,
        /// The error's code.
        code: &'static str,
        /// The error's message.
        message: &'static str,
    },
    /// 200 with a page that is no S3 answer; nothing is done.
    Garbage,
    /// 301 to another region.
    Elsewhere {
        /// Named in `x-amz-bucket-region`.
        region: String,
    },
    /// No answer, ever; nothing is done.
    Hang,
    /// The proper answer, late.
    Delay(Duration),
    /// The connection is closed; nothing is done.
    HangUp,
    /// It is done, and the connection is closed without an answer.
    DoAndHangUp,
}

#[derive(Debug, Default)]
pub(super) struct Script {
    next: HashMap<Operation, VecDeque<Fault>>,
    always: HashMap<Operation, Fault>,
}

impl Script {
    pub(super) fn next(&mut self, operation: Operation, times: usize, fault: &Fault) {
        self.next.entry(operation).or_default().extend(std::iter::repeat_n(fault.clone(), times));
    }

    pub(super) fn always(&mut self, operation: Operation, fault: Fault) {
        self.always.insert(operation, fault);
    }

    pub(super) fn take(&mut self, operation: Operation) -> Option<Fault> {
        let next = self.next.get_mut(&operation).and_then(VecDeque::pop_front);
        next.or_else(|| self.always.get(&operation).cloned())
    }
}
