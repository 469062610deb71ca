//! The served OpenAPI description, and whether an answer is what it describes. The judgement is pure.

use barndoor_tests::controller_process::Controller;
use barndoor_tests::rest::{Reply, http_client};
use reqwest::Method;
use serde_json::Value;

use super::{Api, outside, shared, whole};

/// Every route there is, as a reader of the contract knows them.
const ROUTES: [(&str, &[&str]); 18] = [
    ("/exports/{org}", &["get"]),
    ("/exports/{org}/{name}", &["get"]),
    ("/exports/{org}/{name}/destination", &["delete", "get", "put"]),
    ("/exports/{org}/{name}/destination/aws-trust-info", &["get"]),
    ("/exports/{org}/{name}/settings", &["patch"]),
    ("/exports/{org}/{name}/start", &["post"]),
    ("/exports/{org}/{name}/pause", &["post"]),
    ("/exports/{org}/{name}/check", &["post"]),
    ("/exports/{org}/{name}/status", &["get"]),
    ("/exports/{org}/{name}/preview", &["get"]),
    ("/events/{org}", &["post"]),
    ("/clients", &["get", "post"]),
    ("/clients/{client_id}", &["delete"]),
    ("/oauth2/token", &["post"]),
    ("/livez", &["get"]),
    ("/readyz", &["get"]),
    ("/metrics", &["get"]),
    ("/openapi.json", &["get"]),
];

/// The description as a client reads it.
pub(super) struct Description(Value);

impl Description {
    /// What this controller serves.
    pub(super) async fn of(controller: &Controller) -> Self {
        let answer = http_client().get(outside(controller, "/openapi.json")).send().await;
        Self(answer.expect("an answer").json().await.expect("JSON"))
    }

    /// Demands that the description has this answer.
    #[track_caller]
    pub(super) fn assert_describes(&self, method: &Method, path: &str, reply: &Reply) {
        let described = if *method == Method::HEAD { "get" } else { &method.as_str().to_ascii_lowercase() };
        let what = format!("{method} {path} answered {}", reply.status);
        let operation =
            self.operation(described, path).unwrap_or_else(|| panic!("{what}, which is not described"));
        let answer = &operation["responses"][reply.status.to_string()];
        assert!(answer.is_object(), "{what}, which is not described: {}", reply.raw);
        let Some(content) = answer["content"].as_object().filter(|_| *method != Method::HEAD) else {
            return;
        };
        let sent =
            reply.headers.get("content-type").and_then(|value| value.to_str().ok()).unwrap_or_default();
        let media = content
            .iter()
            .find(|(name, _)| sent == name.as_str() || sent.starts_with(&format!("{name};")))
            .unwrap_or_else(|| panic!("{what} as {sent}, described as {:?}", content.keys()));
        let mut complaints = Vec::new();
        self.judge(&media.1["schema"], &reply.body, "$", &mut complaints);
        assert!(complaints.is_empty(), "{what}: {complaints:?} in {}", reply.raw);
    }

    fn operation(&self, method: &str, path: &str) -> Option<&Value> {
        let paths = self.0["paths"].as_object()?;
        let (_, item) = paths.iter().find(|(template, _)| matches(template, path))?;
        item.get(method)
    }

    /// One schema with the members of all of these.
    fn merged(&self, parts: &[Value]) -> Value {
        let (mut properties, mut required) = (serde_json::Map::new(), Vec::new());
        for part in parts {
            let part = self.resolved(part);
            properties.extend(
                part["properties"].as_object().into_iter().flatten().map(|(n, s)| (n.clone(), s.clone())),
            );
            required.extend(part["required"].as_array().into_iter().flatten().cloned());
        }
        serde_json::json!({ "type": "object", "properties": properties, "required": required })
    }

    fn resolved<'a>(&'a self, schema: &'a Value) -> &'a Value {
        let Some(name) = schema["$ref"].as_str() else { return schema };
        let target = self.0.pointer(name.trim_start_matches('#'));
        target.unwrap_or_else(|| panic!("{name} in the description"))
    }

    /// Collects what the value is that its schema does not say: members beyond the described ones too.
    fn judge(&self, schema: &Value, value: &Value, at: &str, complaints: &mut Vec<String>) {
        let schema = self.resolved(schema);
        if let Some(choices) = schema["oneOf"].as_array().or_else(|| schema["anyOf"].as_array()) {
            let fits = choices.iter().any(|choice| {
                let mut wrong = Vec::new();
                self.judge(choice, value, at, &mut wrong);
                wrong.is_empty()
            });
            if !fits {
                complaints.push(format!("{at}: none of the choices"));
            }
            return;
        }
        if let Some(parts) = schema["allOf"].as_array() {
            return self.judge(&self.merged(parts), value, at, complaints);
        }
        if !of_type(&schema["type"], value) {
            complaints.push(format!("{at}: not {}", schema["type"]));
        }
        if schema["enum"].as_array().is_some_and(|words| !words.contains(value)) {
            complaints.push(format!("{at}: {value} is not a described word"));
        }
        for (index, item) in value.as_array().into_iter().flatten().enumerate() {
            self.judge(&schema["items"], item, &format!("{at}[{index}]"), complaints);
        }
        if let (Some(members), Some(described)) = (value.as_object(), schema["properties"].as_object()) {
            let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
            complaints.extend(
                required
                    .filter(|name| !members.contains_key(*name))
                    .map(|name| format!("{at}.{name}: missing")),
            );
            for (name, member) in members {
                match described.get(name) {
                    Some(schema) => self.judge(schema, member, &format!("{at}.{name}"), complaints),
                    None => complaints.push(format!("{at}.{name}: not described")),
                }
            }
        }
    }
}

fn matches(template: &str, path: &str) -> bool {
    let (template, path): (Vec<&str>, Vec<&str>) = (template.split('/').collect(), path.split('/').collect());
    template.len() == path.len()
        && template.iter().zip(path).all(|(wanted, found)| wanted.starts_with('{') || *wanted == found)
}

fn of_type(described: &Value, value: &Value) -> bool {
    let is = |name: &Value| match name.as_str() {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("boolean") => value.is_boolean(),
        Some("integer") => value.is_i64() || value.is_u64(),
        Some("number") => value.is_number(),
        Some("null") => value.is_null(),
        _ => true,
    };
    described.as_array().map_or_else(|| is(described), |names| names.iter().any(is))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_is_described_and_every_described_route_is_there() {
    let controller = shared().await;
    let Description(text) = Description::of(controller).await;
    let mut described: Vec<(String, Vec<String>)> = text["paths"]
        .as_object()
        .expect("paths")
        .iter()
        .map(|(path, item)| {
            let mut methods: Vec<String> = item.as_object().expect("methods").keys().cloned().collect();
            methods.sort();
            (path.trim_start_matches(whole("").trim_end_matches('/')).to_owned(), methods)
        })
        .collect();
    let mut known: Vec<(String, Vec<String>)> = ROUTES
        .iter()
        .map(|(path, methods)| {
            ((*path).to_owned(), methods.iter().map(|&method| method.to_owned()).collect())
        })
        .collect();
    described.sort();
    known.sort();
    assert_eq!(described, known);

    let api = Api::shared().await;
    for (path, item) in text["paths"].as_object().expect("paths") {
        let address = outside(controller, &path.replace("{org}", "described").replace("{name}", "siem"));
        for method in item.as_object().expect("methods").keys() {
            let method: Method = method.to_uppercase().parse().expect("a method");
            let reply =
                barndoor_tests::rest::Rest::send(http_client().request(method.clone(), &address)).await;
            let reply = reply.expect("an answer");
            assert!(reply.status != 405, "{method} {path}: {}", reply.raw);
            assert!(!reply.raw.contains("nothing at this path"), "{method} {path}: {}", reply.raw);
            api.description.assert_describes(
                &method,
                reqwest::Url::parse(&address).expect("a URL").path(),
                &reply,
            );
        }
    }
}

#[test]
fn what_is_not_described_is_noticed() {
    let description = Description(serde_json::json!({
        "components": {"schemas": {"Thing": {
            "type": "object", "required": ["count"],
            "properties": {"count": {"type": "integer"}, "name": {"type": ["string", "null"]}}
        }}},
    }));
    let complaints = |value: Value| {
        let mut complaints = Vec::new();
        let schema = serde_json::json!({"$ref": "#/components/schemas/Thing"});
        description.judge(&schema, &value, "$", &mut complaints);
        complaints
    };
    assert!(complaints(serde_json::json!({"count": 1, "name": null})).is_empty());
    assert_eq!(complaints(serde_json::json!({"name": "x"})), ["$.count: missing"]);
    assert_eq!(complaints(serde_json::json!({"count": 1.5})), ["$.count: not \"integer\""]);
    assert_eq!(complaints(serde_json::json!({"count": 1, "more": 2})), ["$.more: not described"]);
}
