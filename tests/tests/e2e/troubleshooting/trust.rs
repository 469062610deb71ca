//! Trust: who may assume the customer's role, and AWS's own words when nobody may.

use barndoor_tests::bucket::Bucket;
use barndoor_tests::controller_process::{Controller, Options};
use barndoor_tests::events::EventSource;
use barndoor_tests::minio::{guide_policy, policy};
use barndoor_tests::moto::{self, Moto, trust_policy};
use barndoor_tests::strict_aws::{Dialect, Operation, Policy, REGION, Role, StrictAws};
use serde_json::Value;

use super::{Finding, check, controller};
use crate::e2e::export::{Export, FLOW_LIMIT, RECOVERY_LIMIT, assert_names, with_role};

const CONTROLLER: &str = "arn:aws:iam::111122223333:user/barndoor";
const ROLE: &str = "arn:aws:iam::444455556666:role/audit-export";
const ASSUME: &str = "AssumeRole";

fn role(trusted: &str, external_id: Option<&str>) -> Role {
    Role::new(ROLE, trusted, external_id, Policy::of(&guide_policy("*")).expect("a policy"))
}

async fn external_id(export: &Export) -> String {
    let trust = export.rest.trust_info(&export.organization, &export.name).await.expect(200);
    trust["external_id"].as_str().expect("an External ID").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn awss_own_words_come_with_the_principal_and_the_external_id_to_check() {
    let aws = StrictAws::start(Dialect::Aws).await;
    aws.create_bucket("acme", REGION);
    let identity = aws.create_identity(CONTROLLER, Policy::nothing());
    let controller = Controller::start(Options::loopback().aws(aws.endpoint(), REGION, &identity)).await;
    let export = Export::new(&controller, "t-trust", "siem", Bucket::new(aws.client(), "acme"));
    let id = external_id(&export).await;
    let destination = with_role(aws.endpoint(), "acme", REGION, ROLE);
    let denied = || {
        let words =
            format!("User: {CONTROLLER} is not authorized to perform: sts:AssumeRole on resource: {ROLE}");
        Finding::failed("AssumeRoleDenied", ASSUME).says("AccessDenied", &words).advises(&[
            "trust policy",
            "Principal",
            CONTROLLER,
            "sts:ExternalId",
            &id,
            ROLE,
        ])
    };
    denied().assert(&check(&export.rest, "t-trust", &destination).await);
    aws.put_role(role("arn:aws:iam::111122223333:user/somebody-else", Some(&id)));
    denied().assert(&check(&export.rest, "t-trust", &destination).await);
    aws.put_role(role(CONTROLLER, Some(&id.to_uppercase())));
    denied().assert(&check(&export.rest, "t-trust", &destination).await);
    aws.put_role(role(CONTROLLER, None));
    Finding::warned("ExternalIdNotEnforced", ASSUME)
        .advises(&["sts:ExternalId", &id, ROLE])
        .assert(&check(&export.rest, "t-trust", &destination).await);

    for (arn, words, remedy) in [
        ("arn:aws:iam::111122223333:role/admin", "operator's own AWS account", "--allow-own-account-roles"),
        ("arn:aws-cn:iam::444455556666:role/x", "aws-cn", "access keys"),
    ] {
        let destination = with_role(aws.endpoint(), "acme", REGION, arn);
        Finding::failed("AssumeRoleDenied", ASSUME)
            .tells(words)
            .advises(&[remedy])
            .assert(&check(&export.rest, "t-trust", &destination).await);
    }
    // The controller's own key is gone: that is the operator's to repair, and says so.
    aws.put_role(role(CONTROLLER, Some(&id)));
    aws.remove_identity(&identity);
    Finding::failed("AssumeRoleDenied", ASSUME)
        .says("InvalidClientTokenId", "security token")
        .advises(&["operator", "nothing in your account needs to change"])
        .assert(&check(&export.rest, "t-trust", &destination).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_controller_without_an_identity_says_that_roles_are_not_to_be_had() {
    let rest = controller().await.administrator().await;
    let trust = rest.trust_info("t-nobody", "siem").await;
    assert_eq!((trust.status, trust.text("reason")), (404, "NoControllerIdentity"), "{}", trust.body);
    let aws = StrictAws::start(Dialect::Aws).await;
    let destination = with_role(aws.endpoint(), "acme", REGION, ROLE);
    Finding::failed("AssumeRoleDenied", ASSUME)
        .tells("no AWS identity")
        .advises(&["operator", "access keys"])
        .assert(&check(&rest, "t-nobody", &destination).await);
}

/// Streams, loses the trust, shows it, gets it back, and goes on by itself.
async fn broken_and_repaired<B, R>(
    export: &Export,
    destination: &Value,
    words: &[&str],
    break_it: B,
    repair_it: R,
) where
    B: AsyncFnOnce(),
    R: AsyncFnOnce(),
{
    export.put(destination).await.expect(200);
    export.flush_quickly().await;
    export.start().await.ok();
    let mut events = EventSource::new(&export.organization);
    let mut accepted = export.accept(&events.take(20)).await;
    export.wait_for(20, FLOW_LIMIT).await;
    assert!(export.delivery("last_issue").await.is_null());

    break_it().await;
    accepted.extend(export.accept(&events.take(20)).await);
    let issue = export.wait_for_issue("AssumeRole").await;
    assert_eq!(issue["reason"], "AssumeRoleDenied", "{issue}");
    assert_names(&issue["message"], words);
    assert_names(
        &issue["remedy"],
        &["trust policy", "Principal", "sts:ExternalId", &external_id(export).await],
    );
    let status = export.status().await;
    assert_eq!((&status["state"], &status["paused"]), (&"Retrying".into(), &false.into()), "{status}");
    assert_eq!(
        export.bucket.event_ids("audit-events/").await.len(),
        20,
        "nothing cached outlives the change"
    );

    repair_it().await;
    export.wait_until_drained(RECOVERY_LIMIT).await;
    let status = export.wait_for_state("StreamingActive", FLOW_LIMIT).await;
    assert!(status["delivery"]["last_issue"].is_null(), "{status}");
    export.account(&accepted).await.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trust_broken_while_streaming_shows_awss_words_and_heals_without_a_restart() {
    let aws = StrictAws::start(Dialect::Aws).await;
    aws.create_bucket("acme", REGION);
    let identity = aws.create_identity(CONTROLLER, Policy::nothing());
    let controller = Controller::start(Options::loopback().aws(aws.endpoint(), REGION, &identity)).await;
    let export = Export::new(&controller, "t-broken", "siem", Bucket::new(aws.client(), "acme"));
    let id = external_id(&export).await;
    aws.put_role(role(CONTROLLER, Some(&id)));
    let destination = with_role(aws.endpoint(), "acme", REGION, ROLE);
    let words = ["is not authorized to perform: sts:AssumeRole", ROLE, CONTROLLER];
    let break_it = async || aws.put_role(role(CONTROLLER, Some("another")));
    let repair_it = async || aws.put_role(role(CONTROLLER, Some(&id)));
    broken_and_repaired(&export, &destination, &words, break_it, repair_it).await;
    assert!(aws.recorded_of(Operation::AssumeRole).iter().all(|call| call.status != 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trust_broken_while_streaming_heals_on_moto_too() {
    let moto = Moto::shared().await;
    moto.create_bucket("t-moto").await;
    let (identity, principal) = moto.create_controller("t-moto").await;
    let options =
        Options::loopback().aws(moto.endpoint(), moto::REGION, &identity).switch("--allow-own-account-roles");
    let controller = Controller::start(options).await;
    let export = Export::new(&controller, "t-moto", "siem", Bucket::new(moto.client(), "t-moto"));
    let trust = trust_policy(&principal, &external_id(&export).await);
    // moto stores the write check's object; only who may delete it leaves none.
    let permissions =
        policy("t-moto", &["s3:PutObject", "s3:DeleteObject"], &["s3:ListBucket", "s3:GetBucketLocation"]);
    let role = moto.create_role("t-moto", &trust, &permissions).await;
    let destination = with_role(moto.endpoint(), "t-moto", moto::REGION, &role.arn);
    let words = ["AccessDenied"];
    let break_it = async || moto.set_trust(&role, &trust_policy(&principal, "another")).await;
    let repair_it = async || moto.set_trust(&role, &trust).await;
    broken_and_repaired(&export, &destination, &words, break_it, repair_it).await;
}
