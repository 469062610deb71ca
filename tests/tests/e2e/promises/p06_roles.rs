//! Promise 6: Role credentials are minted for every batch with the External ID and a session policy for this bucket; nothing
//! outlives a change on the AWS side.

use std::collections::BTreeSet;

use barndoor_tests::bucket::Bucket;
use barndoor_tests::controller_process::{Controller, Options};
use barndoor_tests::events::EventSource;
use barndoor_tests::minio::{guide_policy, policy};
use barndoor_tests::moto::{self, Moto, trust_policy};
use barndoor_tests::strict_aws::{Dialect, Operation, Policy, REGION, Role, StrictAws};

use crate::e2e::export::{Export, FLOW_LIMIT, PREFIX, RECOVERY_LIMIT, assert_names, with_role};

const CONTROLLER: &str = "arn:aws:iam::111122223333:user/barndoor";
const ROLE: &str = "arn:aws:iam::444455556666:role/audit-export";

#[tokio::test(flavor = "multi_thread")]
async fn promise_06_credentials_are_minted_for_every_batch_and_outlive_no_change() {
    let aws = StrictAws::start(Dialect::Aws).await;
    aws.create_bucket("acme", REGION);
    aws.create_bucket("other", REGION);
    let identity = aws.create_identity(CONTROLLER, Policy::nothing());
    let controller = Controller::start(Options::loopback().aws(aws.endpoint(), REGION, &identity)).await;
    let export = Export::new(&controller, "p06-roles", "siem", Bucket::new(aws.client(), "acme"));
    let trust = controller.rest().trust_info("p06-roles", "siem").await.expect(200);
    let external_id = trust["external_id"].as_str().expect("an External ID").to_owned();
    assert_eq!(external_id.len(), 64);
    let role = |external_id: &str, permissions: &serde_json::Value| {
        Role::new(ROLE, CONTROLLER, Some(external_id), Policy::of(permissions).expect("a policy"))
    };
    // The customer's role may do much more than this one export needs.
    aws.put_role(role(&external_id, &guide_policy("*")));
    export.put(&with_role(aws.endpoint(), "acme", REGION, ROLE)).await.expect(200);
    export.flush_quickly().await;
    export.start().await.ok();
    let mut events = EventSource::new("p06");
    let mut accepted = Vec::new();
    for batch in 1..=3 {
        accepted.extend(export.accept(&events.take(10)).await);
        export.wait_for(batch * 10, FLOW_LIMIT).await;
    }

    let destination = export.bucket.delivered(PREFIX).await[0].name.destination.clone();
    let uploads: Vec<_> =
        aws.recorded_of(Operation::PutObject).into_iter().filter(|put| put.status == 200).collect();
    let keys: BTreeSet<&str> = uploads.iter().map(|put| put.access_key_id.as_str()).collect();
    assert_eq!(keys.len(), uploads.len(), "each object was put with credentials of its own");
    for call in
        aws.recorded_of(Operation::AssumeRole).iter().filter(|call| call.form.contains_key("ExternalId"))
    {
        assert_eq!(call.form["ExternalId"], external_id);
        assert_eq!(call.form["RoleSessionName"], format!("barndoor-{destination}"));
        let session = Policy::parse(&call.form["Policy"]).expect("a session policy");
        assert_ne!(session, Policy::everything());
        assert_names(&call.form["Policy"].as_str().into(), &["arn:aws:s3:::acme/audit-events/*"]);
        assert!(!call.form["Policy"].contains(":::other"));
    }

    aws.put_role(role(&external_id, &policy("acme", &[], &["s3:ListBucket", "s3:GetBucketLocation"])));
    accepted.extend(export.accept(&events.take(10)).await);
    let issue = export.wait_for_issue("PutObject").await;
    assert_eq!(
        (&issue["reason"], &issue["code"]),
        (&"WriteDenied".into(), &"AccessDenied".into()),
        "{issue}"
    );
    assert_names(&issue["message"], &["not authorized to perform: s3:PutObject"]);
    assert_names(&issue["remedy"], &["s3:PutObject"]);

    aws.put_role(role("a-changed-external-id", &guide_policy("acme")));
    let issue = export.wait_for_issue("AssumeRole").await;
    assert_names(&issue["message"], &["not authorized to perform: sts:AssumeRole"]);
    assert_names(&issue["remedy"], &[CONTROLLER, &external_id]);

    aws.put_role(role(&external_id, &guide_policy("acme")));
    export.wait_for(40, RECOVERY_LIMIT).await;
    assert!(
        export.wait_until_drained(FLOW_LIMIT).await["last_issue"].is_null(),
        "a success clears the banner"
    );
    export.account(&accepted).await.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn promise_06_another_implementation_of_iam_lets_the_role_in_and_out_and_in_again() {
    let moto = Moto::shared().await;
    moto.create_bucket("p06-moto").await;
    let (identity, principal) = moto.create_controller("p06-controller").await;
    let options =
        Options::loopback().switch("--allow-own-account-roles").aws(moto.endpoint(), moto::REGION, &identity);
    let controller = Controller::start(options).await;
    let export = Export::new(&controller, "p06-moto", "siem", Bucket::new(moto.client(), "p06-moto"));
    let trust = controller.rest().trust_info("p06-moto", "siem").await.expect(200);
    assert_eq!(trust["principal_arn"], principal);
    let external_id = trust["external_id"].as_str().expect("an External ID");
    // Not the guide's policy: moto ignores Content-MD5 and so stores the write probe, which must then be deleted.
    let permissions =
        policy("p06-moto", &["s3:PutObject", "s3:DeleteObject"], &["s3:ListBucket", "s3:GetBucketLocation"]);
    let role = moto.create_role("p06-role", &trust_policy(&principal, external_id), &permissions).await;
    export.put(&with_role(moto.endpoint(), "p06-moto", moto::REGION, &role.arn)).await.expect(200);
    export.flush_quickly().await;
    export.start().await.ok();
    let mut events = EventSource::new("p06-moto");
    let mut accepted = export.accept(&events.take(10)).await;
    export.wait_for(10, FLOW_LIMIT).await;

    moto.set_trust(&role, &trust_policy(&principal, "another-external-id")).await;
    accepted.extend(export.accept(&events.take(10)).await);
    export.wait_for_issue("AssumeRole").await;
    moto.set_trust(&role, &trust_policy(&principal, external_id)).await;
    export.wait_for(20, RECOVERY_LIMIT).await;
    export.account(&accepted).await.assert_clean();
}
