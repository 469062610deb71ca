//! Flags of `run` that cannot be: refused before anything is made, by flag, with an example.

use std::net::TcpListener;

use barndoor_tests::tls_front::SelfSigned;
use tempfile::TempDir;

use super::{assert_says, refused, refused_at};

#[test]
fn a_flag_with_nonsense_is_refused_by_name_with_an_example() {
    let folder = TempDir::new().expect("a temporary folder");
    let data = folder.path().join("barndoor-data");
    for address in ["8080", "localhost", "127.0.0.1:99999"] {
        assert_says(&refused_at(address, &data, &[], &[]), &["--listen", "invalid socket address"]);
    }
    for (flag, value, words) in [
        ("--allow-endpoint", "everything", "10.1.0.0/16"),
        ("--allow-endpoint", "10.0.0.0/33", "10.1.0.0/16"),
        ("--retention", "30", "such as 30d"),
        ("--retention", "0d", "such as 30d"),
        ("--event-log-limit", "1KiB", "such as 20GiB"),
        ("--organization-share", "0", "such as 50%"),
        ("--organization-share", "101%", "such as 50%"),
        ("--principal-arn", "arn:aws:iam::1:root", "arn:aws:iam::123456789012:role/"),
        ("--public-url", "audit.example.com", "https://audit.example.com"),
        ("--log-level", "loud,,=", "info"),
        ("--log-format", "xml", "json"),
        ("--event-log", "nats", "embedded"),
    ] {
        assert_says(&refused(&data, &[flag, value], &[]), &[flag, words]);
        let variable = format!("BARNDOOR_{}", flag[2..].to_ascii_uppercase().replace('-', "_"));
        assert_says(&refused(&data, &[], &[(&variable, value)]), &[words]);
    }
    assert_says(&refused(&data, &["--retain", "30d"], &[]), &["--retain", "--retention"]);
    assert!(!data.exists(), "nothing was made");
}

#[test]
fn an_address_that_is_taken_is_named() {
    let folder = TempDir::new().expect("a temporary folder");
    let taken = TcpListener::bind(("127.0.0.1", 0)).expect("loopback has a free port");
    let address = taken.local_addr().expect("an address").to_string();
    // A flag may be given once only, so the harness's own --listen gives way.
    let output = refused_at(&address, folder.path(), &[], &[]);
    assert_says(&output, &["cannot listen on", &address, "--listen"]);
}

#[test]
fn tls_files_that_do_not_fit_are_refused_by_flag_and_file() {
    let folder = TempDir::new().expect("a temporary folder");
    let (data, text) = (folder.path().join("barndoor-data"), folder.path().join("text.pem"));
    std::fs::write(&text, "hello").expect("writable");
    let (one, other) = (SelfSigned::make(), SelfSigned::make());
    let missing = folder.path().join("missing.pem");
    let utf8 = |path: &std::path::Path| path.to_str().expect("ASCII").to_owned();
    let (text, missing) = (utf8(&text), utf8(&missing));
    let (certificate, key) = (utf8(&one.certificate()), utf8(&one.key()));
    let foreign_key = utf8(&other.key());
    let rows: Vec<(Vec<&str>, Vec<&str>)> = vec![
        (vec!["--tls-cert", &certificate], vec!["--tls-key"]),
        (vec!["--tls-key", &key], vec!["--tls-cert"]),
        (
            vec!["--tls-cert", &missing, "--tls-key", &key],
            vec!["--tls-cert", "missing.pem", "cannot be read"],
        ),
        (vec!["--tls-cert", &certificate, "--tls-key", &missing], vec!["--tls-key", "missing.pem"]),
        (vec!["--tls-cert", &text, "--tls-key", &key], vec!["--tls-cert", "text.pem", "BEGIN CERTIFICATE"]),
        (vec!["--tls-cert", &certificate, "--tls-key", &text], vec!["--tls-cert and --tls-key", "PEM"]),
        (
            vec!["--tls-cert", &certificate, "--tls-key", &foreign_key],
            vec!["--tls-cert and --tls-key", "own"],
        ),
        (vec!["--ca-certificate", &missing], vec!["--ca-certificate", "missing.pem"]),
        (vec!["--ca-certificate", &text], vec!["--ca-certificate", "text.pem", "BEGIN CERTIFICATE"]),
    ];
    for (flags, words) in rows {
        assert_says(&refused(&data, &flags, &[]), &words);
    }
}
