//! MinIO as the harness starts it enforces what the tests rely on.

use aws_sdk_s3::primitives::ByteStream;
use barndoor_tests::minio::{Minio, REGION, guide_policy, policy};
use barndoor_tests::s3_client::{Keys, client, refusal};

#[tokio::test(flavor = "multi_thread")]
async fn a_user_may_do_what_the_policy_says_and_nothing_else() {
    let minio = Minio::shared().await;
    minio.create_bucket("harness-permissions").await;
    let keys = minio.create_user("harness-uploader", &guide_policy("harness-permissions")).await;
    let restricted = client(minio.endpoint(), REGION, &keys);
    let put = |key: &str| {
        restricted
            .put_object()
            .bucket("harness-permissions")
            .key(key)
            .body(ByteStream::from_static(b"x"))
            .send()
    };
    put("a").await.expect("PutObject is allowed");
    restricted.head_bucket().bucket("harness-permissions").send().await.expect("ListBucket is allowed");
    let denied = restricted
        .get_object()
        .bucket("harness-permissions")
        .key("a")
        .send()
        .await
        .expect_err("no GetObject");
    assert_eq!(refusal(&denied), (403, "AccessDenied".to_owned()));

    minio.set_user_policy("harness-uploader", &policy("harness-permissions", &[], &["s3:ListBucket"])).await;
    let denied = put("b").await.expect_err("PutObject was taken away");
    assert_eq!(refusal(&denied), (403, "AccessDenied".to_owned()));

    minio.remove_user("harness-uploader").await;
    let unknown = put("c").await.expect_err("the keys are gone");
    assert_eq!(refusal(&unknown), (403, "InvalidAccessKeyId".to_owned()));
    let wrong = client(minio.endpoint(), REGION, &Keys::new(&minio.root().access_key_id, "wrong-secret"));
    let wrong = wrong.list_buckets().send().await.expect_err("a wrong secret");
    assert_eq!(refusal(&wrong), (403, "SignatureDoesNotMatch".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_key_is_refused_when_the_precondition_asks_for_it() {
    let minio = Minio::shared().await;
    minio.create_bucket("harness-preconditions").await;
    let client = minio.client();
    let put = || {
        let body = ByteStream::from_static(b"x");
        client.put_object().bucket("harness-preconditions").key("k").if_none_match("*").body(body).send()
    };
    put().await.expect("the key is free");
    let taken = put().await.expect_err("the key is taken");
    assert_eq!(refusal(&taken), (412, "PreconditionFailed".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_bucket_keeps_its_objects_and_a_killed_server_its_data() {
    let mut minio = Minio::start().await;
    minio.create_locked_bucket("harness-locked").await;
    let client = minio.client();
    let body = ByteStream::from_static(b"x");
    let put = client
        .put_object()
        .bucket("harness-locked")
        .key("k")
        .content_md5("nUEYLVUgkT7dRM/cNFYZzg==")
        .body(body);
    let wrong_digest = put.send().await.expect_err("the MD5 of something else");
    assert_eq!(refusal(&wrong_digest), (400, "BadDigest".to_owned()));
    let body = ByteStream::from_static(b"x");
    let md5 = barndoor_tests::crypto::md5_base64(b"x");
    let stored =
        client.put_object().bucket("harness-locked").key("k").content_md5(md5).body(body).send().await;
    let version = stored.expect("a proper upload").version_id.expect("locked buckets are versioned");

    minio.kill();
    minio.restart().await;
    let delete = client.delete_object().bucket("harness-locked").key("k").version_id(version);
    delete.send().await.expect_err("the lock refuses");
}
