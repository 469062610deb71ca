//! `GET …/destination/aws-trust-info`.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use barndoor_tests::controller_process::{Controller, Options};
use barndoor_tests::strict_aws::{Dialect, Fault, Operation, Policy, REGION, StrictAws};
use serde_json::{Value, json};

use super::{Api, odd, problem, role};

const CONTROLLER: &str = "arn:aws:iam::111122223333:user/barndoor";

async fn trust_info(api: &Api, organization: &str, name: &str) -> Value {
    api.get(&format!("exports/{organization}/{name}/destination/aws-trust-info")).await.expect(200)
}

#[tokio::test(flavor = "multi_thread")]
async fn trust_info_is_there_before_anything_else_and_the_same_for_ever() {
    let aws = StrictAws::start(Dialect::Aws).await;
    let identity = aws.create_identity(CONTROLLER, Policy::nothing());
    let mut controller = Controller::start(Options::loopback().aws(aws.endpoint(), REGION, &identity)).await;
    let api = Api::of(&controller).await;
    let first = trust_info(&api, "a-nobody", "siem").await;
    assert_eq!(first["principal_arn"], CONTROLLER);
    let external_id = first["external_id"].as_str().expect("an External ID");
    assert!(
        external_id.len() == 64 && external_id.bytes().all(|byte| byte.is_ascii_hexdigit()),
        "{external_id}"
    );
    assert_eq!(api.get("exports/a-nobody").await.expect(200)["items"], json!([]), "asking creates nothing");

    api.put("exports/a-nobody/siem/destination", &role()).await.expect(200);
    let destination = api.get("exports/a-nobody/siem/destination").await.expect(200);
    assert_eq!(destination["external_id"], first["external_id"]);
    api.put("exports/a-nobody/siem/destination", &odd()).await.expect(200);
    assert_eq!(trust_info(&api, "a-nobody", "siem").await, first);
    assert!([204, 404].contains(&api.delete("exports/a-nobody/siem/destination").await.status));
    assert_eq!(trust_info(&api, "a-nobody", "siem").await, first);
    controller.kill9();
    controller.restart().await;
    assert_eq!(trust_info(&api, "a-nobody", "siem").await, first);

    let mut ids = BTreeSet::from([first["external_id"].to_string()]);
    for (organization, name) in [("a-nobody", "other"), ("a-else", "siem"), ("a-nobody", "sie")] {
        ids.insert(trust_info(&api, organization, name).await["external_id"].to_string());
    }
    assert_eq!(ids.len(), 4, "each destination has its own");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_status_of_a_role_has_policies_ready_to_paste() {
    let aws = StrictAws::start(Dialect::Aws).await;
    let identity = aws.create_identity(CONTROLLER, Policy::nothing());
    let controller = Controller::start(Options::loopback().aws(aws.endpoint(), REGION, &identity)).await;
    let api = Api::of(&controller).await;
    api.put("exports/a-status/siem/destination", &role()).await.expect(200);
    let trust = api.get("exports/a-status/siem/status").await.expect(200)["trust"].clone();
    let info = trust_info(&api, "a-status", "siem").await;
    assert_eq!(
        (&trust["principal_arn"], &trust["external_id"]),
        (&info["principal_arn"], &info["external_id"])
    );
    let policy = |name: &str| -> Value {
        serde_json::from_str(trust[name].as_str().expect("a text"))
            .unwrap_or_else(|error| panic!("{name}: {error}"))
    };
    let statement = &policy("trust_policy")["Statement"][0];
    assert_eq!(
        (&statement["Action"], &statement["Principal"]["AWS"]),
        (&json!("sts:AssumeRole"), &json!(CONTROLLER))
    );
    assert_eq!(statement["Condition"]["StringEquals"]["sts:ExternalId"], info["external_id"]);
    let permissions = policy("permissions_policy").to_string();
    for word in ["s3:PutObject", "s3:ListBucket", "s3:GetBucketLocation", "arn:aws:s3:::acme-audit"] {
        assert!(permissions.contains(word), "{word} in {permissions}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_controller_without_any_aws_identity_answers_404_with_its_reason() {
    let api = Api::shared().await;
    let reply = api.get("exports/a-none/siem/destination/aws-trust-info").await;
    let message = problem(&reply, 404, "NoControllerIdentity");
    assert!(message.contains("access keys"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn while_sts_cannot_be_reached_it_is_503_with_retry_after() {
    let aws = StrictAws::start(Dialect::Aws).await;
    let identity = aws.create_identity(CONTROLLER, Policy::nothing());
    let controller = Controller::start(Options::loopback().aws(aws.endpoint(), REGION, &identity)).await;
    let api = Api::of(&controller).await;
    for fault in [Fault::HangUp, Fault::Hang] {
        aws.heal();
        aws.fail(Operation::GetCallerIdentity, fault);
        let started = Instant::now();
        let reply = api.get("exports/a-sts/siem/destination/aws-trust-info").await;
        problem(&reply, 503, "StsUnreachable");
        assert!(reply.headers["retry-after"].to_str().is_ok_and(|text| text.parse::<u32>().is_ok()));
        assert!(started.elapsed() < Duration::from_secs(20), "clients wait 30 s: {:?}", started.elapsed());
    }
    aws.heal();
    assert_eq!(trust_info(&api, "a-sts", "siem").await["principal_arn"], CONTROLLER);
}
