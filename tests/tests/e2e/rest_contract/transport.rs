//! Rows "requests", "retries", "errors" and "statuses".

use barndoor_tests::rest::{Rest, http_client};
use reqwest::Method;
use serde_json::json;

use super::{Api, MESSAGE_SHOWN_BYTES, changed, odd, outside, problem, shared};

#[tokio::test(flavor = "multi_thread")]
async fn start_and_pause_take_no_body_with_or_without_a_content_type() {
    let api = Api::shared().await;
    api.put("exports/t-empty/siem/destination", &odd()).await.expect(200);
    for path in ["exports/t-empty/siem/pause", "exports/t-empty/siem/start"] {
        let expected = if path.ends_with("start") { 422 } else { 200 };
        assert_eq!(api.post(path).await.status, expected);
        let typed = api.request(Method::POST, path).header("content-type", "application/json");
        assert_eq!(api.send(typed).await.status, expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_may_say_its_charset_and_come_in_chunks() {
    let api = Api::shared().await;
    let text = odd().to_string();
    let charset = api
        .request(Method::PUT, "exports/t-charset/siem/destination")
        .header("content-type", "application/json; charset=utf-8")
        .body(text.clone());
    api.send(charset).await.expect(200);
    let (start, end) = text.split_at(20);
    let chunks = [Ok::<_, std::io::Error>(start.to_owned()), Ok(end.to_owned())];
    let chunked = api
        .request(Method::PUT, "exports/t-charset/siem/destination")
        .header("content-type", "application/json")
        .body(reqwest::Body::wrap_stream(futures_util::stream::iter(chunks)));
    Rest::send(chunked).await.expect("an answer").expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn put_and_delete_may_be_repeated_with_the_same_answer() {
    let api = Api::shared().await;
    let path = "exports/t-repeat/siem/destination";
    let first = api.put(path, &odd()).await;
    let again = api.put(path, &odd()).await;
    assert_eq!((again.status, &again.raw), (200, &first.raw));
    for _ in 0..3 {
        let gone = api.delete(path).await;
        assert!([204, 404].contains(&gone.status), "{}", gone.raw);
    }
    assert_eq!(api.delete("exports/t-repeat/never-there/destination").await.status, 204);
    let created_again = api.put(path, &odd()).await;
    assert_eq!((created_again.status, &created_again.raw), (200, &first.raw));
}

#[tokio::test(flavor = "multi_thread")]
async fn head_answers_what_get_answers_without_a_body() {
    let api = Api::shared().await;
    api.put("exports/t-head/siem/destination", &odd()).await.expect(200);
    let there = api.call(Method::HEAD, "exports/t-head/siem", None).await;
    assert_eq!((there.status, there.raw.as_str()), (200, ""));
    assert_eq!(api.call(Method::HEAD, "exports/t-head/other", None).await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_error_is_a_problem_whose_message_is_the_detail_with_its_remedy() {
    let api = Api::shared().await;
    let destination = "exports/t-errors/siem/destination";
    problem(&api.get("exports/t-errors/siem").await, 404, "NotFound");
    problem(&api.post("exports/t-errors/siem/start").await, 400, "NoDestination");
    problem(&api.put(destination, &json!({})).await, 400, "InvalidField");
    problem(
        &api.put(destination, &changed(&odd(), &json!({"provider": "gcs"}))).await,
        403,
        "UnsupportedProvider",
    );
    api.put(destination, &odd()).await.expect(200);
    let refused = api.post("exports/t-errors/siem/start").await;
    assert!(problem(&refused, 422, refused.text("reason")).contains(": "), "{}", refused.raw);
    problem(
        &api.patch("exports/t-errors/siem/settings", &json!({"batch_size": -1})).await,
        400,
        "InvalidField",
    );
    let typed = |content_type: &str, body: &str| {
        let request = api.request(Method::PUT, destination).header("content-type", content_type);
        api.send(request.body(body.to_owned()))
    };
    problem(&typed("application/json", "{\"endpoint\":").await, 400, "InvalidBody");
    problem(&typed("application/json", "[]").await, 400, "InvalidBody");
    problem(&typed("text/plain", "endpoint").await, 415, "UnsupportedMediaType");
    problem(&typed("application/json", &" ".repeat(70_000)).await, 413, "BodyTooLarge");
    problem(&api.get("exports/Not_A_Name/siem").await, 400, "InvalidField");

    let bare = |method: Method, path: &str| Rest::send(api.request(method, path));
    problem(&bare(Method::POST, "exports/t-errors/siem").await.expect("an answer"), 405, "MethodNotAllowed");
    problem(&bare(Method::GET, "nothing-here").await.expect("an answer"), 404, "NotFound");
    let elsewhere = http_client().get(outside(shared().await, "/nothing-here"));
    problem(&Rest::send(elsewhere).await.expect("an answer"), 404, "NotFound");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_whole_within_what_clients_show() {
    let api = Api::shared().await;
    let path = "exports/t-message/siem/destination";
    let long = "x".repeat(600);
    for members in [
        json!({"endpoint": format!("https://{long}")}),
        json!({"endpoint": format!("ftp://{long}")}),
        json!({"bucket": long}),
        json!({"region": long}),
        json!({"path_prefix": long}),
        json!({"provider": long}),
        json!({"auth_method": long}),
        json!({"access_key_id": long}),
        json!({"auth_method": "iam_role", "iam_role_arn": long, "access_key_id": null, "secret_access_key": null}),
        json!({"addressing": long}),
    ] {
        let reply = api.put(path, &changed(&odd(), &members)).await;
        assert!([400, 403].contains(&reply.status), "{members}: {}", reply.raw);
        let message = problem(&reply, reply.status, reply.text("reason"));
        assert!(message.len() <= MESSAGE_SHOWN_BYTES, "{message}");
    }
}
