//! The OpenAPI description, generated from the handlers and committed.

use std::sync::LazyLock;

use utoipa::openapi::security::{ClientCredentials, Flow, OAuth2, Scopes, SecurityScheme};
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
    modifiers(&Tokens),
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
