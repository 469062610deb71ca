//! The destination object, a test for each row of its table.

use barndoor_tests::minio::{Minio, REGION};
use serde_json::{Value, json};

use super::{Api, changed, odd, role};
use crate::e2e::export::with_keys;

/// The answers that hold the destination object, after a PUT of this body.
async fn answered(api: &Api, path: &str, body: &Value) -> [Value; 3] {
    let put = api.put(&format!("{path}/destination"), body).await.expect(200);
    let got = api.get(&format!("{path}/destination")).await.expect(200);
    let export = api.get(path).await.expect(200);
    [put, got, export["destination"].clone()]
}

#[tokio::test(flavor = "multi_thread")]
async fn endpoint_bucket_prefix_and_region_are_echoed_byte_for_byte() {
    let api = Api::shared().await;
    for (member, spellings) in [
        (
            "endpoint",
            vec![
                "MinIO.Example:9000",
                "minio.example",
                "http://minio.example:80",
                "https://minio.example:443",
                "HTTPS://S3.us-east-1.amazonaws.com",
                "https://s3.us-east-1.amazonaws.com/",
                "10.1.2.3:9000",
                "[2001:db8::1]:9000",
            ],
        ),
        ("bucket", vec!["acme-audit", "acme.audit.logs", "123"]),
        ("path_prefix", vec!["audit", "audit/", "a/b/c", "Tenant=1/x_y.z/", "audit-events/"]),
        ("region", vec!["us-east-1", "auto", "", "eu-central-1"]),
    ] {
        for spelling in spellings {
            for answer in
                answered(&api, "exports/d-echo/siem", &changed(&odd(), &json!({member: spelling}))).await
            {
                assert_eq!(answer[member], spelling, "{answer}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_left_out_is_null_and_no_default_is_filled_in() {
    let api = Api::shared().await;
    let body = changed(
        &odd(),
        &json!({"path_prefix": null, "region": null, "use_ssl": null, "use_path_style": null}),
    );
    for answer in answered(&api, "exports/d-absent/siem", &body).await {
        assert_eq!(answer["path_prefix"], Value::Null);
        assert!(answer["region"].is_null() || answer["region"] == "", "{answer}");
        assert_eq!((&answer["use_ssl"], &answer["use_path_style"]), (&json!(true), &json!(false)));
    }
    let preview = api.get("exports/d-absent/siem/preview").await.expect(200);
    assert_eq!(preview["prefix"], "audit-events/", "the effective prefix is another matter");
    answered(&api, "exports/d-absent/siem", &changed(&body, &json!({"path_prefix": "audit"}))).await;
    let preview = api.get("exports/d-absent/siem/preview").await.expect(200);
    assert_eq!(preview["prefix"], "audit/", "the missing slash is added when keys are made");
}

#[tokio::test(flavor = "multi_thread")]
async fn use_ssl_and_use_path_style_are_echoed_also_where_a_scheme_says_otherwise() {
    let api = Api::shared().await;
    for (endpoint, use_ssl, use_path_style) in [
        ("http://minio.example:9000", true, false),
        ("https://minio.example", false, true),
        ("minio.example", false, false),
    ] {
        let members = json!({"endpoint": endpoint, "use_ssl": use_ssl, "use_path_style": use_path_style});
        for answer in answered(&api, "exports/d-flags/siem", &changed(&odd(), &members)).await {
            assert_eq!(answer["use_ssl"], use_ssl);
            assert_eq!(answer["use_path_style"], use_path_style);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scheme_beats_use_ssl_and_without_one_use_ssl_decides() {
    let api = Api::shared().await;
    let minio = Minio::shared().await;
    minio.create_bucket("d-scheme").await;
    let plain = minio.endpoint().trim_start_matches("http://").to_owned();
    let body = with_keys(minio.endpoint(), "d-scheme", REGION, &minio.root());
    for (endpoint, use_ssl, healthy) in [
        (minio.endpoint().to_owned(), json!(true), true),
        (plain.clone(), json!(false), true),
        (plain.clone(), json!(true), false),
        (plain.clone(), Value::Null, false),
        (format!("https://{plain}"), json!(false), false),
    ] {
        let body = changed(&body, &json!({"endpoint": endpoint, "use_ssl": use_ssl}));
        api.put("exports/d-scheme/siem/destination", &body).await.expect(200);
        let report = api.post("exports/d-scheme/siem/check").await.expect(200);
        assert_eq!(report["healthy"], healthy, "{endpoint} {use_ssl}: {report}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn auth_method_is_access_keys_also_when_sent_empty_or_not_at_all() {
    let api = Api::shared().await;
    for sent in [json!("access_keys"), json!(""), Value::Null] {
        for answer in
            answered(&api, "exports/d-auth/siem", &changed(&odd(), &json!({"auth_method": sent}))).await
        {
            assert_eq!(
                (&answer["auth_method"], &answer["has_credentials"]),
                (&json!("access_keys"), &json!(true))
            );
            assert!(answer["iam_role_arn"].is_null() && answer["external_id"].is_null(), "{answer}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_is_answered_with_its_arn_and_external_id_and_without_credentials() {
    let api = Api::shared().await;
    let mut external_ids = Vec::new();
    for answer in answered(&api, "exports/d-role/siem", &role()).await {
        assert_eq!((&answer["auth_method"], &answer["has_credentials"]), (&json!("iam_role"), &json!(false)));
        assert_eq!(answer["iam_role_arn"], role()["iam_role_arn"]);
        let external_id = answer["external_id"].as_str().expect("an External ID").to_owned();
        assert!(external_id.len() == 64 && external_id.bytes().all(|byte| byte.is_ascii_hexdigit()));
        external_ids.push(external_id);
    }
    external_ids.dedup();
    assert_eq!(external_ids.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn provider_is_answered_as_s3_and_addressing_always() {
    let api = Api::shared().await;
    for (members, addressing) in [
        (json!({"use_path_style": true}), "path"),
        (json!({"use_path_style": false, "provider": "s3"}), "auto"),
        (json!({"use_path_style": null}), "auto"),
        (json!({"use_path_style": true, "addressing": "virtual"}), "virtual"),
        (json!({"use_path_style": true, "addressing": "auto"}), "auto"),
        (json!({"use_path_style": false, "addressing": "path"}), "path"),
    ] {
        for answer in answered(&api, "exports/d-provider/siem", &changed(&odd(), &members)).await {
            assert_eq!(
                (&answer["provider"], &answer["addressing"]),
                (&json!("s3"), &json!(addressing)),
                "{members}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_answer_ever_holds_a_secret() {
    let api = Api::shared().await;
    let (path, sent) = ("exports/d-secret/siem", odd());
    let replies = [
        api.put(&format!("{path}/destination"), &sent).await,
        api.get(&format!("{path}/destination")).await,
        api.get(path).await,
        api.get("exports/d-secret").await,
        api.get(&format!("{path}/status")).await,
        api.get(&format!("{path}/preview")).await,
        api.post(&format!("{path}/check")).await,
        api.post(&format!("{path}/start")).await,
        api.patch(&format!("{path}/settings"), &json!({})).await,
        api.post_json(&format!("{path}/check"), &sent).await,
        api.put(&format!("{path}/destination"), &changed(&sent, &json!({"iam_role_arn": "x"}))).await,
        api.put(
            &format!("{path}/destination"),
            &changed(&sent, &json!({"use_ssl": sent["secret_access_key"]})),
        )
        .await,
    ];
    for reply in replies {
        for secret in ["access_key_id", "secret_access_key"] {
            let value = sent[secret].as_str().expect("a text");
            assert!(!reply.raw.contains(value), "{}", reply.raw);
        }
    }
}
