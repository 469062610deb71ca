//! The OpenAPI description, generated from the handlers and committed.

use std::sync::LazyLock;

use barndoor_crds::rest::PREFIX;
use barndoor_crds::rest::problem::PROBLEM_JSON;
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{ClientCredentials, Flow, OAuth2, Scopes, SecurityScheme};
use utoipa::openapi::{Content, PathItem, Ref, RefOr, Response};
use utoipa::{Modify, OpenApi};

use super::{clients, exports, ingest, operations, settings, status, streaming, token};

/// The description, ending with a line feed; the committed `openapi.json` is the same text.
pub(super) static DESCRIPTION: LazyLock<String> = LazyLock::new(|| {
    let mut text = Description::openapi().to_pretty_json().expect("a description is plain data");
    text.push('\n');
    text
});

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Barndoor Audit Log Export",
        description = "Streams audit events into buckets that customers own. Errors are application/problem+json.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    paths(
        exports::list,
        exports::get,
        exports::get_destination,
        exports::put_destination,
        exports::delete_destination,
        settings::patch,
        streaming::start,
        streaming::pause,
        streaming::check,
        status::get,
        status::preview,
        status::aws_trust_info,
        ingest::post,
        clients::list,
        clients::add,
        clients::remove,
        token::issue,
        operations::livez,
        operations::readyz,
        operations::metrics,
        operations::openapi,
    ),
    modifiers(&Tokens, &Refusals),
    security(("oauth2" = [])),
)]
struct Description;

struct Tokens;

impl Modify for Tokens {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let scopes =
            Scopes::from_iter(barndoor_crds::rest::Scope::ALL.map(|scope| (scope.name(), scope.name())));
        let flow = Flow::ClientCredentials(ClientCredentials::new("/oauth2/token", scopes));
        let components = openapi.components.get_or_insert_default();
        components.add_security_scheme("oauth2", SecurityScheme::OAuth2(OAuth2::new([flow])));
    }
}

/// What is refused before a handler is asked, the same for every call of a kind; and how a refusal is sent.
struct Refusals;

const WITH_TOKEN: [(&str, &str); 3] = [
    ("401", "No token, or one that is not valid"),
    ("403", "The client does not have the scope"),
    ("503", "The storage below failed: come back after Retry-After"),
];
const IN_ORGANIZATION: [(&str, &str); 2] =
    [("400", "A name or field that is unfit"), ("404", "It is not there, or another organization's")];
const WITH_BODY: [(&str, &str); 4] = [
    ("400", "The body is not what is expected"),
    ("408", "The body did not arrive in time"),
    ("413", "The body is too long"),
    ("415", "The body is of another kind"),
];

impl Modify for Refusals {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        for (path, item) in &mut openapi.paths.paths {
            for operation in operations(item) {
                describe_refusals(path, operation);
            }
        }
    }
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let PathItem { get, put, post, delete, patch, .. } = item;
    [get, put, post, delete, patch].into_iter().flatten()
}

fn describe_refusals(path: &str, operation: &mut Operation) {
    let with_token = if path.starts_with(PREFIX) { &WITH_TOKEN[..] } else { &[] };
    let in_organization = if path.contains("{org}") { &IN_ORGANIZATION[..] } else { &[] };
    let with_body = if operation.request_body.is_some() { &WITH_BODY[..] } else { &[] };
    let responses = &mut operation.responses.responses;
    for (status, description) in [with_token, in_organization, with_body].concat() {
        responses.entry(status.to_owned()).or_insert_with(|| RefOr::T(Response::new(description)));
    }
    let errors = responses.iter_mut().filter(|(status, _)| status.starts_with(['4', '5']));
    for (_, response) in errors {
        if let RefOr::T(response) = response
            && response.content.values().all(is_problem)
        {
            let schema = RefOr::Ref(Ref::from_schema_name("Problem"));
            response.content.clear();
            response.content.insert(PROBLEM_JSON.to_owned(), RefOr::T(Content::new(Some(schema))));
        }
    }
}

fn is_problem(content: &RefOr<Content>) -> bool {
    let RefOr::T(content) = content else { return false };
    matches!(&content.schema, Some(RefOr::Ref(schema)) if *schema == Ref::from_schema_name("Problem"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_description_is_what_the_handlers_say() {
        if std::env::var_os("UPDATE_GENERATED").is_some_and(|value| value == "1") {
            let path = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");
            std::fs::write(path, DESCRIPTION.as_str()).expect("writable");
            return;
        }
        let committed = include_str!("../../openapi.json");
        assert!(*DESCRIPTION == committed, "openapi.json has drifted: run the tests with UPDATE_GENERATED=1");
    }
}
