//! Tenants side by side: one role for several, one bucket for several, and nothing of one in the hands of another.

use barndoor_tests::account::{Accepted, account};
use barndoor_tests::bucket::{Bucket, DeliveredObject};
use barndoor_tests::controller_process::{Controller, Options};
use barndoor_tests::events::{EventSource, ndjson};
use barndoor_tests::minio::{self, Minio, guide_policy};
use barndoor_tests::moto::{self, Moto, trust_policy};
use barndoor_tests::rest::{ClientCredentials, Ingest, Reply, Rest};
use barndoor_tests::strict_aws::{Dialect, Operation, Policy, REGION, Role, StrictAws};
use reqwest::Method;
use serde_json::json;

use crate::e2e::export::{Export, PREFIX, RECOVERY_LIMIT, with_keys, with_role};

const CONTROLLER: &str = "arn:aws:iam::111122223333:user/barndoor";
const ROLE: &str = "arn:aws:iam::444455556666:role/audit-export";

async fn external_id(rest: &Rest, organization: &str, name: &str) -> String {
    let trust = rest.trust_info(organization, name).await.expect(200);
    trust["external_id"].as_str().expect("an External ID").to_owned()
}

/// The objects that hold events of this organization; every one must hold such events only.
async fn objects_of(export: &Export) -> Vec<DeliveredObject> {
    let label = format!("{}-", export.organization);
    let mut delivered = export.bucket.delivered(PREFIX).await;
    delivered.retain(|object| {
        let ids = object.event_ids().expect("every line has an id");
        let own = ids.iter().filter(|id| id.starts_with(&label)).count();
        assert!(own == 0 || own == ids.len(), "{} mixes organizations", object.key);
        own > 0
    });
    delivered
}

async fn assert_own_account_is_clean(export: &Export, accepted: &[Accepted]) {
    export.wait_until_drained(RECOVERY_LIMIT).await;
    account(accepted, &objects_of(export).await).assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn one_role_serves_two_organizations_each_with_its_own_external_id() {
    let aws = StrictAws::start(Dialect::Aws).await;
    aws.create_bucket("shared", REGION);
    let identity = aws.create_identity(CONTROLLER, Policy::nothing());
    let controller = Controller::start(Options::loopback().aws(aws.endpoint(), REGION, &identity)).await;
    let mut role = Role::new(ROLE, CONTROLLER, None, Policy::of(&guide_policy("shared")).expect("a policy"));
    let mut tenants = Vec::new();
    for organization in ["ten-east", "ten-west"] {
        let export = Export::new(&controller, organization, "siem", Bucket::new(aws.client(), "shared"));
        let id = external_id(&export.rest, organization, "siem").await;
        role.external_ids.push(id.clone());
        tenants.push((export, id));
    }
    aws.put_role(role.clone());
    for (export, id) in &tenants {
        export.put(&with_role(aws.endpoint(), "shared", REGION, ROLE)).await.expect(200);
        let report = export.check().await;
        assert_eq!((&report["healthy"], &report["reason"]), (&true.into(), &"Healthy".into()), "{report}");
        let assumed = aws.recorded_of(Operation::AssumeRole);
        assert!(assumed.iter().any(|call| call.status == 200 && call.form.get("ExternalId") == Some(id)));
        export.flush_quickly().await;
        export.start().await.ok();
    }
    for (export, _) in &tenants {
        let accepted = export.accept(&EventSource::new(&export.organization).take(20)).await;
        assert_own_account_is_clean(export, &accepted).await;
    }

    // Who is struck off the list is out, and nobody else.
    role.external_ids.retain(|id| *id != tenants[0].1);
    aws.put_role(role);
    let report = tenants[0].0.check().await;
    assert_eq!(report["reason"], "AssumeRoleDenied", "{report}");
    assert!(report["remedy"].as_str().is_some_and(|remedy| remedy.contains(&tenants[0].1)), "{report}");
    assert!(!report.to_string().contains(&tenants[1].1), "the other's External ID stays the other's");
    assert_eq!(tenants[1].0.check().await["healthy"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trust_policy_with_a_list_of_external_ids_works_on_moto() {
    let moto = Moto::shared().await;
    moto.create_bucket("ten-moto").await;
    let (identity, principal) = moto.create_controller("ten-moto").await;
    let options =
        Options::loopback().aws(moto.endpoint(), moto::REGION, &identity).switch("--allow-own-account-roles");
    let controller = Controller::start(options).await;
    let organizations = ["ten-moto-a", "ten-moto-b"];
    let mut ids = Vec::new();
    for organization in organizations {
        ids.push(external_id(controller.rest(), organization, "siem").await);
    }
    let trust = |ids: &[String]| {
        let mut trust = trust_policy(&principal, "");
        trust["Statement"]["Condition"]["StringEquals"]["sts:ExternalId"] = json!(ids);
        trust
    };
    let role = moto.create_role("ten-moto", &trust(&ids), &guide_policy("ten-moto")).await;
    let destination = with_role(moto.endpoint(), "ten-moto", moto::REGION, &role.arn);
    for organization in organizations {
        let report = controller.rest().check(organization, "siem", Some(&destination)).await.expect(200);
        assert_eq!(report["healthy"], true, "{report}");
    }
    moto.set_trust(&role, &trust(&ids[1..])).await;
    let denied = controller.rest().check(organizations[0], "siem", Some(&destination)).await.expect(200);
    assert_eq!(denied["reason"], "AssumeRoleDenied", "{denied}");
    let other = controller.rest().check(organizations[1], "siem", Some(&destination)).await.expect(200);
    assert_eq!(other["healthy"], true, "{other}");
}

#[tokio::test(flavor = "multi_thread")]
async fn same_name_bucket_and_prefix_and_still_apart() {
    let minio = Minio::shared().await;
    minio.create_bucket("ten-bucket").await;
    let mut controller = Controller::start(Options::loopback()).await;
    let mut tenants = Vec::new();
    for organization in ["ten-north", "ten-south"] {
        let bucket = Bucket::new(minio.client(), "ten-bucket");
        let export = Export::new(&controller, organization, "siem", bucket);
        export
            .put(&with_keys(minio.endpoint(), "ten-bucket", minio::REGION, &minio.root()))
            .await
            .expect(200);
        export.flush_quickly().await;
        export.start().await.ok();
        tenants.push((export, EventSource::new(organization), Vec::new()));
    }
    for round in 0..3 {
        for (export, events, accepted) in &mut tenants {
            accepted.extend(export.accept(&events.take(10 + round)).await);
        }
    }
    for (export, _, accepted) in &tenants {
        assert_own_account_is_clean(export, accepted).await;
    }
    let destinations = |objects: &[DeliveredObject]| {
        let mut names: Vec<String> = objects.iter().map(|object| object.name.destination.clone()).collect();
        names.dedup();
        names
    };
    let (north, south) = (objects_of(&tenants[0].0).await, objects_of(&tenants[1].0).await);
    assert_eq!((destinations(&north).len(), destinations(&south).len()), (1, 1));
    assert_ne!(destinations(&north), destinations(&south), "a name says whose object it is");

    // Removing one leaves the other, its place and its objects.
    let (gone, kept) = (0, 1);
    tenants[gone].0.rest.delete_destination("ten-north", "siem").await.expect(204);
    let accepted = tenants[kept].1.take(10);
    let accepted = tenants[kept].0.accept(&accepted).await;
    tenants[kept].2.extend(accepted);
    controller.kill9();
    controller.restart().await;
    assert_own_account_is_clean(&tenants[kept].0, &tenants[kept].2).await;
    assert_eq!(objects_of(&tenants[gone].0).await.len(), north.len(), "what was delivered is the customer's");
    let events = tenants[gone].1.take(5);
    tenants[gone].0.not_kept(&events).await;
}

async fn client_of(administrator: &Rest, organization: &str) -> ClientCredentials {
    let scopes = ["exports:read", "exports:write", "events:write"];
    let body = json!({ "organization": organization, "scopes": scopes });
    let made =
        administrator.try_call(Method::POST, "clients", Some(&body)).await.expect("an answer").expect(201);
    let text = |field: &str| made[field].as_str().expect("a text").to_owned();
    ClientCredentials {
        client_id: text("client_id"),
        client_secret: text("client_secret"),
        token_url: text("token_url"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_one_organization_finds_nothing_of_another() {
    let minio = Minio::shared().await;
    minio.create_bucket("ten-token").await;
    let controller = Controller::start(Options::loopback()).await;
    let bucket = Bucket::new(minio.client(), "ten-token");
    let export = Export::new(&controller, "ten-token", "siem", bucket);
    let destination = with_keys(minio.endpoint(), "ten-token", minio::REGION, &minio.root());
    export.put(&destination).await.expect(200);
    export.start().await.ok();
    let before = export.rest.export("ten-token", "siem").await.expect(200);
    let stranger = client_of(controller.rest(), "ten-stranger").await;
    let stranger = Rest::sign_in(&controller.base(), &stranger).await;
    stranger.list("ten-stranger").await.expect(200);

    let (org, name) = ("ten-token", "siem");
    let events = EventSource::new("ten-token").take(1);
    let replies: Vec<(&str, Reply)> = vec![
        ("list", stranger.list(org).await),
        ("export", stranger.export(org, name).await),
        ("destination", stranger.destination(org, name).await),
        ("put", stranger.put_destination(org, name, &destination).await),
        ("delete", stranger.delete_destination(org, name).await),
        ("settings", stranger.patch_settings(org, name, &json!({ "batch_size": 1 })).await),
        ("start", stranger.start(org, name).await),
        ("pause", stranger.pause(org, name).await),
        ("check", stranger.check(org, name, None).await),
        ("dry run", stranger.check(org, name, Some(&destination)).await),
        ("status", stranger.status(org, name).await),
        ("preview", stranger.preview(org, name).await),
        ("trust", stranger.trust_info(org, name).await),
        ("events", stranger.try_ingest(org, ndjson(&events), &Ingest::default()).await.expect("an answer")),
    ];
    for (call, reply) in replies {
        assert_eq!(reply.status, 404, "{call}: {}", reply.body);
        let nowhere = stranger.list("ten-nowhere").await;
        assert_eq!(
            reply.text("detail").replace(org, "ten-nowhere"),
            nowhere.text("detail"),
            "{call} tells no more than of an organization that never was"
        );
    }
    // An organization's client makes no client of another, and sees none.
    let body = json!({ "organization": org, "scopes": ["exports:read"] });
    let made = stranger.try_call(Method::POST, "clients", Some(&body)).await.expect("an answer");
    assert!([403, 404].contains(&made.status), "{}", made.body);
    assert_eq!(export.rest.export(org, name).await.expect(200), before, "nothing changed");
    assert_eq!(export.delivery("accepted").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_external_id_belongs_to_organization_and_name_for_ever() {
    let aws = StrictAws::start(Dialect::Aws).await;
    let identity = aws.create_identity(CONTROLLER, Policy::nothing());
    let mut controller = Controller::start(Options::loopback().aws(aws.endpoint(), REGION, &identity)).await;
    let rest = controller.rest().clone();
    let before = external_id(&rest, "ten-id", "siem").await;
    assert!(before.len() == 64 && before.bytes().all(|b| b.is_ascii_hexdigit()), "{before}");
    let others = [("ten-id", "other"), ("ten-id2", "siem"), ("ten", "id-siem"), ("ten-id-siem", "x")];
    let mut all = vec![before.clone()];
    for (organization, name) in others {
        all.push(external_id(&rest, organization, name).await);
    }
    all.sort();
    all.dedup();
    assert_eq!(all.len(), others.len() + 1, "every organization and name has its own");

    let destination = with_role(aws.endpoint(), "acme", REGION, ROLE);
    let saved = rest.put_destination("ten-id", "siem", &destination).await.expect(200);
    assert_eq!(saved["external_id"], before.as_str());
    rest.delete_destination("ten-id", "siem").await.expect(204);
    assert_eq!(external_id(&rest, "ten-id", "siem").await, before);
    let again = rest.put_destination("ten-id", "siem", &destination).await.expect(200);
    assert_eq!(again["external_id"], before.as_str());
    controller.kill9();
    controller.restart().await;
    assert_eq!(external_id(&rest, "ten-id", "siem").await, before);
}
