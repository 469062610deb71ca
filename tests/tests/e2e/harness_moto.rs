//! moto as the harness starts it enforces trust and permissions.

use aws_sdk_s3::primitives::ByteStream;
use barndoor_tests::minio::{guide_policy, policy};
use barndoor_tests::moto::{Moto, REGION, trust_policy};
use barndoor_tests::s3_client::{Keys, client, refusal, sts_client};

#[tokio::test(flavor = "multi_thread")]
async fn a_role_is_assumed_by_its_principal_with_its_external_id_only() {
    let moto = Moto::shared().await;
    moto.create_bucket("harness-roles").await;
    let (controller, principal) = moto.create_controller("harness-controller").await;
    let (stranger, _) = moto.create_controller("harness-stranger").await;
    let trust = trust_policy(&principal, "the-external-id");
    let role = moto.create_role("harness-role", &trust, &guide_policy("harness-roles")).await;
    let assume = |keys: &Keys, external_id: &str| {
        let call = sts_client(moto.endpoint(), REGION, keys).assume_role();
        call.role_arn(&role.arn).role_session_name("harness").external_id(external_id).send()
    };
    // The status only: moto's STS words its refusals in XML that the SDK finds no code in.
    let stranger = assume(&stranger, "the-external-id").await.expect_err("another principal");
    assert_eq!(refusal(&stranger).0, 403);
    let mistyped = assume(&controller, "another").await.expect_err("another External ID");
    assert_eq!(refusal(&mistyped).0, 403);

    let session = assume(&controller, "the-external-id").await.expect("trusted");
    let session = session.credentials().expect("credentials");
    let mut keys = Keys::new(session.access_key_id(), session.secret_access_key());
    keys.session_token = Some(session.session_token().to_owned());
    let store = client(moto.endpoint(), REGION, &keys);
    let put = || {
        let body = ByteStream::from_static(b"x");
        store.put_object().bucket("harness-roles").key("k").body(body).send()
    };
    put().await.expect("the role may upload");

    moto.set_permissions(&role, &policy("harness-roles", &[], &["s3:ListBucket"])).await;
    let denied = put().await.expect_err("the permission is gone");
    assert_eq!(refusal(&denied), (403, "AccessDenied".to_owned()));
    moto.set_trust(&role, &trust_policy(&principal, "a-new-external-id")).await;
    let denied = assume(&controller, "the-external-id").await.expect_err("the trust is gone");
    assert_eq!(refusal(&denied).0, 403);
}
