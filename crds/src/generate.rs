//! The files that are made from the types and committed: the CRD as YAML, its schema as JSON.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;
use serde_json::{Value, json};

use crate::destination::ExportDestination;

/// Why a file could not be made; it cannot happen for the types as they are, and a test sees to it.
#[derive(Debug, thiserror::Error)]
pub enum GenerateError {
    /// The definition is not JSON.
    #[error("the definition cannot be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// The definition is not YAML.
    #[error("the definition cannot be written as YAML: {0}")]
    Yaml(#[from] serde_yaml_ng::Error),
}

/// The CustomResourceDefinition to install. A fresh object's status says that nothing was looked at yet, so that
/// GitOps tools wait instead of taking silence for readiness.
///
/// # Errors
/// See [`GenerateError`].
pub fn crd() -> Result<CustomResourceDefinition, GenerateError> {
    let mut definition = serde_json::to_value(ExportDestination::crd())?;
    if let Some(status) = definition
        .pointer_mut("/spec/versions/0/schema/openAPIV3Schema/properties/status")
        .and_then(Value::as_object_mut)
    {
        status.insert("default".to_owned(), json!({"observedGeneration": -1}));
    }
    Ok(serde_json::from_value(definition)?)
}

/// The CustomResourceDefinition as a YAML document.
///
/// # Errors
/// See [`GenerateError`].
pub fn crd_yaml() -> Result<String, GenerateError> {
    let head = "# Made from crds/src/destination.rs by `make generate`; do not edit.\n";
    // Through a JSON value, which sorts the keys.
    let definition = serde_json::to_value(crd()?)?;
    Ok(format!("{head}{}", serde_yaml_ng::to_string(&definition)?))
}

/// The object's JSON schema, for editors and for checking manifests without a cluster.
///
/// # Errors
/// See [`GenerateError`].
pub fn json_schema() -> Result<String, GenerateError> {
    let definition = serde_json::to_value(crd()?)?;
    let mut schema = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone();
    schema["$schema"] = json!("http://json-schema.org/draft-07/schema#");
    schema["properties"]["apiVersion"] = json!({"type": "string", "enum": ["export.barndoor.ai/v1"]});
    schema["properties"]["kind"] = json!({"type": "string", "enum": ["ExportDestination"]});
    schema["properties"]["metadata"] = json!({"type": "object"});
    Ok(format!("{}\n", serde_json::to_string_pretty(&schema)?))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn keep_in_step(file: &str, made: &str) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
        if std::env::var_os("UPDATE_GENERATED").is_some_and(|value| value == "1") {
            std::fs::write(&path, made).expect("the committed file can be written");
        }
        let committed = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            committed == made,
            "crds/{file} is not what the types say: run `make generate` and commit it"
        );
    }

    #[test]
    fn the_committed_definition_is_made_from_the_types() {
        keep_in_step("yaml/exportdestinations.export.barndoor.ai.yaml", &crd_yaml().expect("yaml"));
    }

    #[test]
    fn the_committed_json_schema_is_made_from_the_types() {
        keep_in_step("json/exportdestination-v1.json", &json_schema().expect("json"));
    }

    /// Calls `visit` with every schema below `schema` and its path.
    fn walk(path: &str, schema: &Value, visit: &mut impl FnMut(&str, &Value)) {
        visit(path, schema);
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            walk(&format!("{path}.{name}"), property, visit);
        }
        if schema["items"].is_object() {
            walk(&format!("{path}[]"), &schema["items"], visit);
        }
    }

    fn schema() -> Value {
        serde_json::to_value(crd().expect("a definition")).expect("json")["spec"]["versions"][0]["schema"]
            ["openAPIV3Schema"]
            .clone()
    }

    #[test]
    fn every_list_and_text_is_bounded_and_every_field_described() {
        walk("", &schema(), &mut |path, schema| {
            let bounded = match schema["type"].as_str() {
                Some("string") => {
                    schema["maxLength"].is_u64()
                        || schema["enum"].is_array()
                        || schema["format"] == "date-time"
                }
                Some("array") => schema["maxItems"].is_u64(),
                _ => true,
            };
            assert!(bounded, "{path} has no limit: {schema}");
            let described = schema["description"].is_string() || path.ends_with("[]");
            assert!(described || path == ".apiVersion" || path == ".kind", "{path} has no description");
        });
    }

    #[test]
    fn no_number_has_a_format_that_kubernetes_does_not_know() {
        walk("", &schema(), &mut |path, schema| {
            if let Some(format) = schema["format"].as_str() {
                assert!(["int32", "int64", "date-time"].contains(&format), "{path}: {format}");
            }
        });
    }

    #[test]
    fn every_rule_has_a_message_for_a_person() {
        let mut rules = 0;
        walk("", &schema(), &mut |path, schema| {
            for rule in schema["x-kubernetes-validations"].as_array().into_iter().flatten() {
                assert!(rule["message"].is_string(), "{path}: {rule}");
                rules += 1;
            }
        });
        assert!(rules >= 12, "{rules}");
    }
}
