//! `GET exports/{org}`.

use serde_json::{Value, json};

use super::{Api, odd, problem, role};

fn names(page: &Value) -> Vec<String> {
    let items = page["items"].as_array().expect("items");
    items.iter().map(|item| item["export_type"].as_str().expect("a name").to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_holds_export_objects_in_name_order_and_is_empty_where_nothing_is() {
    let api = Api::shared().await;
    assert_eq!(api.get("exports/v-list").await.expect(200), json!({"items": [], "next_cursor": null}));
    for name in ["siem", "datadog-json", "archive"] {
        api.put(&format!("exports/v-list/{name}/destination"), &role()).await.expect(200);
    }
    let page = api.get("exports/v-list").await.expect(200);
    assert_eq!(names(&page), ["archive", "datadog-json", "siem"]);
    assert_eq!(page["next_cursor"], Value::Null);
    assert_eq!(page["items"][2], api.get("exports/v-list/siem").await.expect(200));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_leads_through_every_page_once_also_while_the_list_changes() {
    let api = Api::shared().await;
    for index in 0..7 {
        api.put(&format!("exports/v-pages/d{index}/destination"), &odd()).await.expect(200);
    }
    let (mut seen, mut query) = (Vec::new(), "?limit=3".to_owned());
    for _ in 0..4 {
        let page = api.get(&format!("exports/v-pages{query}")).await.expect(200);
        seen.extend(names(&page));
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        query = format!("?limit=3&cursor={cursor}");
        // What was seen already may go without disturbing the rest.
        assert_eq!(api.delete(&format!("exports/v-pages/{}/destination", seen[0])).await.status, 204);
    }
    assert_eq!(seen, ["d0", "d1", "d2", "d3", "d4", "d5", "d6"]);
    let exact = api.get("exports/v-pages?limit=6").await.expect(200);
    assert_eq!((names(&exact).len(), &exact["next_cursor"]), (6, &Value::Null), "no empty last page");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_cursor_limit_or_parameter_is_refused() {
    let api = Api::shared().await;
    for (query, field) in [
        ("?cursor=%21", "cursor"),
        ("?limit=0", "limit"),
        ("?limit=501", "limit"),
        ("?limit=many", "limit"),
        ("?page=2", "query"),
    ] {
        let refused = api.get(&format!("exports/v-query{query}")).await;
        problem(&refused, 400, "InvalidField");
        assert_eq!(refused.body["field"], field, "{query}");
    }
    api.get("exports/v-query?cursor=&limit=500").await.expect(200);
}
