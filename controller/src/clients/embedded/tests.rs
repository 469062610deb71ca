//! What clients can count on.

use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::clients::Scope;
use crate::embedded::fixture::{open, organization};

fn producer() -> NewClient {
    NewClient {
        organization: Some(organization("acme")),
        scopes: [Scope::EventsWrite].into(),
        description: "the gateway".to_owned(),
    }
}

#[tokio::test]
async fn a_client_opens_with_its_own_secret_until_it_is_removed() {
    let folder = tempfile::tempdir().expect("a folder");
    let embedded = open(folder.path());
    let (client, secret) = embedded.add(producer()).await.expect("adds");
    let (other, other_secret) = embedded.add(producer()).await.expect("adds");
    assert_ne!(client.id, other.id);
    assert_eq!((client.organization.as_ref(), client.scopes.len()), (Some(&organization("acme")), 1));
    drop(embedded);

    let embedded = open(folder.path());
    assert_eq!(embedded.verify(&client.id, &secret).await.expect("reads"), Some(client.clone()));
    assert_eq!(embedded.verify(&client.id, &other_secret).await.expect("reads"), None);
    assert_eq!(embedded.verify(&ClientId::new("nobody"), &secret).await.expect("reads"), None);

    let both = Clients::list(&embedded, None, 9).await.expect("reads");
    assert_eq!(both.len(), 2);
    assert_eq!(Clients::list(&embedded, Some(&both[0].id), 9).await.expect("reads"), both[1..]);
    assert_eq!(Clients::list(&embedded, None, 1).await.expect("reads"), both[..1]);

    assert_eq!(Clients::remove(&embedded, &client.id).await.expect("removes"), Some(client.clone()));
    assert_eq!(Clients::remove(&embedded, &client.id).await.expect("removes"), None);
    assert_eq!(Clients::find(&embedded, &client.id).await.expect("reads"), None);
    assert_eq!(embedded.verify(&client.id, &secret).await.expect("reads"), None);
}

async fn written(embedded: &Embedded, url: &str) -> (ClientId, ClientSecret, Option<Client>) {
    let file = embedded.write_admin_client(url).await.expect("writes");
    assert_eq!(file.metadata().expect("is there").permissions().mode() & 0o777, 0o600);
    let content: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&file).expect("reads")).expect("json");
    assert_eq!(content["token_url"], url);
    let text = |name: &str| content[name].as_str().expect("text").to_owned();
    let (id, secret) = (ClientId::new(text("client_id")), ClientSecret::new(text("client_secret")));
    let client = embedded.verify(&id, &secret).await.expect("reads");
    (id, secret, client)
}

#[tokio::test]
async fn the_admin_client_stays_the_same_until_its_file_is_deleted() {
    let folder = tempfile::tempdir().expect("a folder");
    let embedded = open(folder.path());
    let (id, first, admin) = written(&embedded, "http://127.0.0.1:8080/oauth2/token").await;
    let admin = admin.expect("opens");
    assert_eq!((admin.organization, admin.scopes.len()), (None, Scope::ALL.len()));
    drop(embedded);

    let embedded = open(folder.path());
    let (_, again, _) = written(&embedded, "http://127.0.0.1:8080/oauth2/token").await;
    assert_eq!(again, first);
    let (_, moved, admin) = written(&embedded, "http://127.0.0.1:9090/oauth2/token").await;
    assert_eq!(moved, first);
    assert!(admin.is_some());

    std::fs::remove_file(folder.path().join("admin-client.json")).expect("removes");
    let (_, renewed, admin) = written(&embedded, "http://127.0.0.1:9090/oauth2/token").await;
    assert_ne!(renewed, first);
    assert!(admin.is_some());
    assert_eq!(embedded.verify(&id, &first).await.expect("reads"), None, "the old secret has ended");
    assert_eq!(Clients::list(&embedded, None, 9).await.expect("reads").len(), 1);
}
