//! What the customer pastes into IAM, made from what the API knows.

use barndoor_crds::aws::{ExternalId, Partition};
use barndoor_crds::place::Place;
use barndoor_crds::rest::TrustObject;
use serde_json::json;

/// The trust policy and permissions policy for a destination.
pub(super) fn trust_object(principal_arn: String, external_id: &ExternalId, place: &Place) -> TrustObject {
    let partition = Partition::of_region(place.region.as_str()).name();
    let bucket = place.bucket.as_str();
    let trust_policy = json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Effect": "Allow",
            "Principal": { "AWS": principal_arn },
            "Action": "sts:AssumeRole",
            "Condition": { "StringEquals": { "sts:ExternalId": external_id } },
        }],
    });
    let permissions_policy = json!({
        "Version": "2012-10-17",
        "Statement": [
            { "Effect": "Allow", "Action": "s3:PutObject", "Resource": format!("arn:{partition}:s3:::{bucket}/*") },
            {
                "Effect": "Allow",
                "Action": ["s3:ListBucket", "s3:GetBucketLocation"],
                "Resource": format!("arn:{partition}:s3:::{bucket}"),
            },
        ],
    });
    TrustObject {
        principal_arn,
        external_id: external_id.to_string(),
        trust_policy: format!("{trust_policy:#}"),
        permissions_policy: format!("{permissions_policy:#}"),
    }
}
