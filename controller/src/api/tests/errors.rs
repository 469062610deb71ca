use super::*;

#[tokio::test]
async fn every_error_is_a_problem() {
    let world = World::new().await;
    assert_eq!(world.get("nothing/here").await.problem(), (404, "NotFound"));
    let method = world.call_as(&world.admin, Method::PUT, "exports/acme", None).await;
    assert_eq!(method.problem(), (405, "MethodNotAllowed"));
    assert!(method.header("allow").contains("GET"));
    let root = Request::get("/").body(Body::empty()).expect("a request");
    assert_eq!(world.send(root).await.problem().0, 404);
    assert!(!method.header("x-request-id").is_empty());
}

#[tokio::test]
async fn a_bad_body_is_refused_in_words_that_help() {
    let world = World::new().await;
    let put = |content_type: &'static str, body: String| {
        let request = Request::put(format!("{PREFIX}/exports/acme/audit/destination"))
            .header(AUTHORIZATION, format!("Bearer {}", world.admin))
            .header(CONTENT_TYPE, content_type)
            .body(Body::from(body));
        world.send(request.expect("a request"))
    };
    let malformed = put("application/json", "{\"endpoint\":\n oops}".to_owned()).await;
    assert_eq!(malformed.problem(), (400, "InvalidBody"));
    assert!(malformed.text.contains("line 2 column"), "{}", malformed.text);
    assert_eq!(put("text/plain", "{}".to_owned()).await.problem(), (415, "UnsupportedMediaType"));
    let long = format!("{{\"endpoint\":\"{}\"}}", "x".repeat(70_000));
    let too_large = put("application/json", long).await;
    assert_eq!(too_large.problem(), (413, "BodyTooLarge"));
    assert!(too_large.text.contains("65536"));
}

#[tokio::test]
async fn a_malformed_name_is_named() {
    let world = World::new().await;
    for (path, field) in
        [("exports/Acme", "organization_id"), ("exports/acme/a_b", "name"), ("exports/acme/%ff", "name")]
    {
        let refused = world.get(path).await;
        assert_eq!((refused.problem().0, &refused.body["field"]), (400, &json!(field)), "{path}");
    }
}

#[tokio::test]
async fn a_short_plain_request_id_is_taken_over_and_another_is_not() {
    let world = World::new().await;
    for (sent, taken) in [("trace-1.a_b", true), ("a b", false), (&"x".repeat(65), false)] {
        let request = Request::get("/livez").header("x-request-id", sent).body(Body::empty());
        let answered = world.send(request.expect("a request")).await;
        assert_eq!(answered.header("x-request-id") == sent, taken, "{sent}");
    }
}

#[tokio::test]
async fn what_machines_ask_needs_no_token() {
    let world = World::new().await;
    let get = |path: &'static str| world.send(Request::get(path).body(Body::empty()).expect("a request"));
    assert_eq!(get("/livez").await.status, StatusCode::OK);
    assert_eq!(get("/readyz").await.problem(), (503, "NotReady"));
    world.readiness.mark_ready();
    assert_eq!(get("/readyz").await.status, StatusCode::OK);
    let metrics = get("/metrics").await;
    assert!(metrics.text.contains("http_requests_total{method=\"GET\",route=\"/livez\",status=\"200\"} 1"));
    let paths = get("/openapi.json").await.body["paths"].as_object().map(serde_json::Map::len);
    assert_eq!(paths, Some(18));
}
