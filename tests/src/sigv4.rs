//! AWS Signature Version 4, both ways: signing what no SDK here signs, and checking what a client signed.
//!
//! After "Signature Version 4 signing process" in the IAM user guide. Pure: time and keys come in as values.

use std::collections::BTreeMap;

use http::HeaderMap;

use crate::crypto::{hex, hmac_sha256, sha256_hex};

/// What of a request is signed.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// `GET`, `PUT`, …
    pub method: &'a str,
    /// The path as on the wire.
    pub path: &'a str,
    /// The query as on the wire, without `?`.
    pub query: &'a str,
    /// Every header.
    pub headers: &'a HeaderMap,
    /// The payload's hash as the canonical request has it.
    pub payload: &'a str,
}

/// The parsed `Authorization` header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authorization {
    /// Whose key.
    pub access_key_id: String,
    /// The day, `20260102`.
    pub date: String,
    /// The region.
    pub region: String,
    /// The service, `s3` or `sts`.
    pub service: String,
    /// The names of the signed headers, in lower case and order.
    pub signed_headers: Vec<String>,
    /// In hexadecimal.
    pub signature: String,
}

impl Authorization {
    /// The header's parts; `None` when it is not a version 4 signature.
    pub fn parse(header: &str) -> Option<Self> {
        let fields: BTreeMap<&str, &str> = header
            .strip_prefix("AWS4-HMAC-SHA256 ")?
            .split(',')
            .filter_map(|field| field.trim().split_once('='))
            .collect();
        let scope: Vec<&str> = fields.get("Credential")?.split('/').collect();
        let [access_key_id, date, region, service, "aws4_request"] = scope[..] else {
            return None;
        };
        Some(Self {
            access_key_id: access_key_id.to_owned(),
            date: date.to_owned(),
            region: region.to_owned(),
            service: service.to_owned(),
            signed_headers: fields.get("SignedHeaders")?.split(';').map(str::to_owned).collect(),
            signature: (*fields.get("Signature")?).to_owned(),
        })
    }

    fn scope(&self) -> String {
        format!("{}/{}/{}/aws4_request", self.date, self.region, self.service)
    }

    /// Whether the signature is this secret's over this request.
    pub fn is_by(&self, secret: &str, request: Request<'_>) -> bool {
        self.sign(secret, request) == self.signature
    }

    fn sign(&self, secret: &str, request: Request<'_>) -> String {
        let timestamp =
            request.headers.get("x-amz-date").and_then(|value| value.to_str().ok()).unwrap_or_default();
        let text = format!(
            "AWS4-HMAC-SHA256\n{timestamp}\n{}\n{}",
            self.scope(),
            sha256_hex(canonical(request, &self.signed_headers).as_bytes())
        );
        let key = [self.date.as_str(), &self.region, &self.service, "aws4_request"]
            .iter()
            .fold(format!("AWS4{secret}").into_bytes(), |key, part| hmac_sha256(&key, part.as_bytes()));
        hex(&hmac_sha256(&key, text.as_bytes()))
    }
}

/// The `Authorization` header for the request, which must hold `host` and `x-amz-date` already.
pub fn authorize(
    access_key_id: &str,
    secret: &str,
    region: &str,
    service: &str,
    request: Request<'_>,
) -> String {
    let timestamp =
        request.headers.get("x-amz-date").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut signed_headers: Vec<String> =
        request.headers.keys().map(|name| name.as_str().to_owned()).collect();
    signed_headers.sort();
    let mut authorization = Authorization {
        access_key_id: access_key_id.to_owned(),
        date: timestamp.chars().take(8).collect(),
        region: region.to_owned(),
        service: service.to_owned(),
        signed_headers,
        signature: String::new(),
    };
    authorization.signature = authorization.sign(secret, request);
    format!(
        "AWS4-HMAC-SHA256 Credential={access_key_id}/{}, SignedHeaders={}, Signature={}",
        authorization.scope(),
        authorization.signed_headers.join(";"),
        authorization.signature
    )
}

fn canonical(request: Request<'_>, signed_headers: &[String]) -> String {
    let mut query: Vec<(String, String)> = query_pairs(request.query)
        .into_iter()
        .map(|(name, value)| (encode(&name, ""), encode(&value, "")))
        .collect();
    query.sort();
    let query: Vec<String> = query.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    let mut headers = String::new();
    for name in signed_headers {
        let values: Vec<String> = request
            .headers
            .get_all(name)
            .iter()
            .map(|value| {
                String::from_utf8_lossy(value.as_bytes()).split_whitespace().collect::<Vec<_>>().join(" ")
            })
            .collect();
        headers.extend([name.as_str(), ":", &values.join(","), "\n"]);
    }
    format!(
        "{}\n{}\n{}\n{headers}\n{}\n{}",
        request.method,
        encode(&decode(request.path), "/"),
        query.join("&"),
        signed_headers.join(";"),
        request.payload
    )
}

/// The decoded names and values of a query or form, in order; `+` stays itself, as AWS's clients write `%20`.
pub fn query_pairs(query: &str) -> Vec<(String, String)> {
    query
        .split('&')
        .filter(|part| !part.is_empty())
        .map(|part| part.split_once('=').unwrap_or((part, "")))
        .map(|(name, value)| (decode(name), decode(value)))
        .collect()
}

/// Undoes percent-encoding; what is not valid UTF-8 then is replaced.
pub fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let escaped = (bytes[at] == b'%')
            .then(|| text.get(at + 1..at + 3))
            .flatten()
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        decoded.push(escaped.unwrap_or(bytes[at]));
        at += if escaped.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

/// Percent-encodes all but the unreserved characters and those in `keep`.
pub fn encode(text: &str, keep: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        let character = char::from(byte);
        if byte.is_ascii_alphanumeric()
            || "-_.~".contains(character)
            || (byte.is_ascii() && keep.contains(character))
        {
            encoded.push(character);
        } else {
            encoded.extend(["%", &hex(&[byte]).to_ascii_uppercase()]);
        }
        encoded
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers() -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("host", "examplebucket.s3.amazonaws.com"),
            ("range", "bytes=0-9"),
            ("x-amz-content-sha256", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
            ("x-amz-date", "20130524T000000Z"),
        ] {
            headers.insert(name, value.parse().expect("a header value"));
        }
        headers
    }

    #[test]
    fn the_published_example_of_amazon_s3_has_its_published_signature() {
        let headers = headers();
        let request = Request {
            method: "GET",
            path: "/test.txt",
            query: "",
            headers: &headers,
            payload: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        };
        let secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
        let header = authorize("AKIAIOSFODNN7EXAMPLE", secret, "us-east-1", "s3", request);
        let parsed = Authorization::parse(&header).expect("our own header");
        assert_eq!(parsed.signature, "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
        assert!(parsed.is_by(secret, request) && !parsed.is_by("another", request));
    }

    #[test]
    fn percent_encoding_goes_both_ways() {
        assert_eq!(encode("a b/é=", "/"), "a%20b/%C3%A9%3D");
        assert_eq!(decode("a%20b/%C3%A9%3D%zz"), "a b/é=%zz");
        assert_eq!(
            query_pairs("list-type=2&prefix=a%2Fb&location"),
            [
                ("list-type".into(), "2".into()),
                ("prefix".into(), "a/b".into()),
                ("location".into(), String::new()),
            ]
        );
    }
}
