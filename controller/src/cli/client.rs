//! `client add|list|remove`: the OAuth2 clients of organizations.

use barndoor_crds::name::OrganizationName;
use barndoor_crds::rest::{NewClient, Scope};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{ArgGroup, Args, Subcommand};
use reqwest::Method;
use serde_json::Value;

use super::Verdict;
use super::output::{OutputFormat, facts, list_at, print_answer, table, text_at};
use super::rest_client::{ConnectionOptions, NO_BODY, RestClient, RestError};

/// Manages OAuth2 clients: what Terraform, scripts and event producers sign in as.
///
/// A client belongs to one organization, or to the operator of all, and may do what its scopes say. The client that
/// signs in here needs the scope admin; admin-client.json in the data folder has it.
///
/// Example: barndoor-export client add --organization acme --scope events:write
#[derive(Args, Debug)]
pub(super) struct ClientOptions {
    #[command(subcommand)]
    command: ClientCommand,
}

#[derive(Debug, Subcommand)]
enum ClientCommand {
    /// Makes a client and shows its secret, this once.
    ///
    /// With --output json the answer is a client file, for --client-file: keep it where only you may read it.
    ///
    /// Example: barndoor-export client add --organization acme --scope exports:read,exports:write
    #[command(group = ArgGroup::new("reach").args(["organization", "every_organization"]).required(true))]
    Add {
        /// The only organization that the client may touch.
        #[arg(long, value_name = "ORG")]
        organization: Option<OrganizationName>,

        /// Lets the client touch every organization: for an event gateway, or for operators.
        #[arg(long)]
        every_organization: bool,

        /// What the client may do; repeat it, or separate by commas.
        #[arg(long = "scope", value_name = "SCOPE", value_parser = scope_parser(),
            value_delimiter = ',',
            required = true
        )]
        scopes: Vec<Scope>,

        /// How to print the answer.
        #[arg(long, value_enum, value_name = "FORMAT", default_value_t = OutputFormat::Human)]
        output: OutputFormat,

        #[command(flatten)]
        connection: ConnectionOptions,
    },
    /// Lists the clients, without secrets.
    ///
    /// Example: barndoor-export client list --output json
    List {
        /// How to print the answer.
        #[arg(long, value_enum, value_name = "FORMAT", default_value_t = OutputFormat::Human)]
        output: OutputFormat,

        #[command(flatten)]
        connection: ConnectionOptions,
    },
    /// Removes a client; it gets no more tokens.
    ///
    /// Example: barndoor-export client remove 01k0example
    Remove {
        /// The client's id, from `client list`.
        client_id: String,

        #[command(flatten)]
        connection: ConnectionOptions,
    },
}

fn scope_parser() -> impl TypedValueParser<Value = Scope> {
    PossibleValuesParser::new(Scope::ALL.map(Scope::name)).try_map(|name| name.parse::<Scope>())
}

pub(super) async fn execute(options: ClientOptions) -> Result<Verdict, RestError> {
    match options.command {
        // Without an organization the flag for every one was given: clap asks for one of the two.
        ClientCommand::Add { organization, every_organization: _, scopes, output, connection } => {
            let client = RestClient::sign_in(&connection).await?;
            let body = NewClient { organization: organization.map(String::from), scopes };
            let added = client.call(Method::POST, &["clients"], Some(&body)).await?;
            print_answer(output, &added, || render_added(&added, client.token_url().as_str()));
        }
        ClientCommand::List { output, connection } => {
            let client = RestClient::sign_in(&connection).await?;
            let listed = client.call(Method::GET, &["clients"], NO_BODY).await?;
            print_answer(output, &listed, || render_list(&listed));
        }
        ClientCommand::Remove { client_id, connection } => {
            let client = RestClient::sign_in(&connection).await?;
            client.call(Method::DELETE, &["clients", &client_id], NO_BODY).await?;
            anstream::println!("{client_id} is removed: it gets no more tokens.");
        }
    }
    Ok(Verdict::Well)
}

fn render_added(added: &Value, token_url: &str) -> String {
    let facts = facts(&[
        ("client_id", text_at(added, "/client_id")),
        ("client_secret", text_at(added, "/client_secret")),
        ("token_url", Some(token_url.to_owned())),
        ("organization", Some(organization(added))),
        ("scopes", Some(scopes(added))),
    ]);
    format!("{facts}\nThe secret is shown this once and kept nowhere in clear: store it now.\n")
}

fn render_list(listed: &Value) -> String {
    let rows: Vec<[String; 4]> = list_at(listed, "/items")
        .iter()
        .map(|client| {
            let at = |pointer| text_at(client, pointer).unwrap_or_default();
            [at("/client_id"), organization(client), scopes(client), at("/created_at")]
        })
        .collect();
    table(["Client", "Organization", "Scopes", "Created"], &rows)
}

fn organization(client: &Value) -> String {
    text_at(client, "/organization").unwrap_or_else(|| "(every one)".to_owned())
}

fn scopes(client: &Value) -> String {
    let scopes: Vec<&str> = list_at(client, "/scopes").iter().filter_map(Value::as_str).collect();
    super::output::plain(&scopes.join(" "))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_new_client_is_shown_with_its_secret_and_a_warning() {
        let added = json!({ "client_id": "c1", "client_secret": "s", "organization": "acme",
            "scopes": ["exports:read", "events:write"] });
        assert_eq!(
            render_added(&added, "http://h/oauth2/token"),
            "  client_id      c1\n\
            \x20 client_secret  s\n\
            \x20 token_url      http://h/oauth2/token\n\
            \x20 organization   acme\n\
            \x20 scopes         exports:read events:write\n\
            \nThe secret is shown this once and kept nowhere in clear: store it now.\n"
        );
    }

    #[test]
    fn the_list_shows_no_secret_even_if_one_came() {
        let listed = json!({ "items": [
            { "client_id": "c1", "client_secret": "s3cr3t", "organization": null, "scopes": ["admin"],
              "created_at": "2026-01-02T03:04:05Z" },
            { "client_id": "c2", "organization": "acme", "scopes": ["exports:read", "events:write"],
              "created_at": "2026-01-02T03:04:06Z" } ] });
        let text = anstream::adapter::strip_str(&render_list(&listed)).to_string();
        assert_eq!(
            text,
            "Client  Organization  Scopes                     Created\n\
            c1      (every one)   admin                      2026-01-02T03:04:05Z\n\
            c2      acme          exports:read events:write  2026-01-02T03:04:06Z\n"
        );
    }

    #[test]
    fn a_client_of_every_organization_is_never_made_by_leaving_something_out() {
        let add = |flags: &[&str]| {
            ClientOptions::augment_args(clap::Command::new("client"))
                .try_get_matches_from(["client", "add", "--scope", "admin"].iter().chain(flags))
                .is_ok()
        };
        assert!(!add(&[]));
        assert!(add(&["--organization", "acme"]) && add(&["--every-organization"]));
        assert!(!add(&["--organization", "acme", "--every-organization"]));
    }
}
