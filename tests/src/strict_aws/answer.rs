//! Answers and refusals in the XML of S3 and of STS.

use bytes::Bytes;
use http::{Method, Response, StatusCode};
use http_body_util::Full;

use super::fault::Operation;

/// Why a request is not served.
#[derive(Clone, Debug)]
pub(super) struct Refusal {
    status: u16,
    code: String,
    message: String,
    /// Named in `x-amz-bucket-region`.
    region: Option<String>,
}

impl Refusal {
    pub(super) fn new(status: u16, code: &str, message: &str) -> Self {
        Self { status, code: code.to_owned(), message: message.to_owned(), region: None }
    }

    /// Another region's bucket.
    pub(super) fn elsewhere(region: &str) -> Self {
        Self {
            region: Some(region.to_owned()),
            ..Self::new(
                301,
                "PermanentRedirect",
                "The bucket you are attempting to access must be addressed using the specified endpoint. Please send all future requests to this endpoint.",
            )
        }
    }

    pub(super) fn response(&self, operation: Operation, method: &Method) -> Response<Full<Bytes>> {
        let (code, message) = (escape(&self.code), escape(&self.message));
        let body = match operation {
            Operation::AssumeRole | Operation::GetCallerIdentity => format!(
                "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error><RequestId>00000000-0000-4000-8000-000000000000</RequestId></ErrorResponse>"
            ),
            Operation::PutObject
            | Operation::GetObject
            | Operation::DeleteObject
            | Operation::HeadBucket
            | Operation::GetBucketLocation
            | Operation::ListObjects
            | Operation::Unknown => format!(
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{message}</Message><RequestId>0000000000000000</RequestId></Error>"
            ),
        };
        // S3 API reference, HeadBucket: no body, so no code and no message.
        let body = if method == Method::HEAD { String::new() } else { body };
        let status = StatusCode::from_u16(self.status).expect("refusals have HTTP's statuses");
        let mut response = response(status, "application/xml", body);
        if let Some(region) = &self.region {
            response
                .headers_mut()
                .insert("x-amz-bucket-region", region.parse().expect("regions are header values"));
        }
        response
    }
}

pub(super) fn response(status: StatusCode, content_type: &str, body: String) -> Response<Full<Bytes>> {
    Response::builder()
        .status(status)
        .header("content-type", content_type)
        .header("x-amz-request-id", "0000000000000000")
        .body(Full::new(body.into()))
        .expect("the parts are valid")
}

pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
