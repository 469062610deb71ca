//! The one HTTP client for everything a tenant's endpoint leads to: guarded at connect time, no proxy, no redirects.
//!
//! It must not know S3; it sees requests and addresses.

use std::net::{IpAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode};
use aws_smithy_http_client::{Builder, Connector};
use aws_smithy_runtime_api::client::connection::CaptureSmithyConnection;
use aws_smithy_runtime_api::client::dns::{DnsFuture, ResolveDns, ResolveDnsError};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use barndoor_crds::place::Place;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::failure::{Failure, Sent, Transport, TransportError, TransportKind};
use super::guard::{AllowedEndpoints, Cause, Forbidden, Reach, judge};

/// How long resolving, connecting and the TLS handshake may take together: the SDK's own default.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(3_100);
/// How long an unused connection is kept: shorter than stores and balancers keep theirs, since one that the other side
/// just closed costs an attempt.
const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(15);

/// Certificates that cannot be trusted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CaCertificatesError {
    /// No PEM block of a certificate in the file.
    #[error("the CA file holds no PEM certificate: it must contain -----BEGIN CERTIFICATE-----")]
    Empty,
    /// A block that is not a certificate.
    #[error("a certificate in the CA file cannot be read: {0}")]
    Malformed(String),
}

/// The system's roots, and the operator's.
///
/// # Errors
/// When the operator's are not certificates.
pub(crate) fn trust(ca_certificates_pem: Option<&[u8]>) -> Result<TlsContext, CaCertificatesError> {
    let mut store = TrustStore::default();
    if let Some(pem) = ca_certificates_pem {
        // The connector panics on what it cannot parse, so it is parsed here first.
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.map_err(|e| CaCertificatesError::Malformed(e.to_string()))?;
            roots.add(certificate).map_err(|e| CaCertificatesError::Malformed(e.to_string()))?;
        }
        if roots.is_empty() {
            return Err(CaCertificatesError::Empty);
        }
        store.add_pem_certificate(pem);
    }
    Ok(TlsContext::builder().with_trust_store(store).build().expect("building a context has no failing path"))
}

const fn provider() -> Provider {
    Provider::Rustls(CryptoMode::AwsLc)
}

/// The operator's own client, for STS: not guarded.
pub(crate) fn operators_client(tls: TlsContext) -> SharedHttpClient {
    Builder::new().tls_provider(provider()).tls_context(tls).build_https()
}

/// The tenants' clients, one per reach, each with its own connections: a connection opened under one rule is never
/// used under another.
#[derive(Clone, Debug)]
pub(crate) struct TenantClients {
    allowed: Arc<AllowedEndpoints>,
    public: SharedHttpClient,
    plain_http: SharedHttpClient,
    role_outside_aws: SharedHttpClient,
}

impl TenantClients {
    pub(crate) fn new(allowed: &Arc<AllowedEndpoints>, tls: &TlsContext) -> Self {
        let client = |reach| SharedHttpClient::new(Guarded::new(Arc::clone(allowed), reach, tls.clone()));
        Self {
            allowed: Arc::clone(allowed),
            public: client(Reach::Public),
            plain_http: client(Reach::OnlyAllowed(Cause::PlainHttp)),
            role_outside_aws: client(Reach::OnlyAllowed(Cause::RoleOutsideAws)),
        }
    }

    /// Whether the endpoint leads only to addresses out of reach; to be asked before credentials are minted for it.
    ///
    /// # Errors
    /// The guard's refusal.
    pub(crate) async fn preflight(&self, place: &Place, reach: Reach) -> Result<(), Failure> {
        let refusal = match place.endpoint.host() {
            url::Host::Ipv4(address) => judge(&self.allowed, reach, IpAddr::V4(*address)).err(),
            url::Host::Ipv6(address) => judge(&self.allowed, reach, IpAddr::V6(*address)).err(),
            url::Host::Domain(name) => {
                let resolver = GuardedResolver { allowed: Arc::clone(&self.allowed), reach };
                let refused = resolver.resolve_dns(name).await.err();
                refused.and_then(|error| match TransportError::classify(&error, Sent::No).kind {
                    TransportKind::Forbidden(forbidden) => Some(forbidden),
                    TransportKind::Unresolved
                    | TransportKind::ConnectFailed
                    | TransportKind::Tls
                    | TransportKind::TimedOut
                    | TransportKind::Broken => None,
                })
            }
        };
        refusal.map_or(Ok(()), |forbidden| {
            Err(Failure::Transport(Transport {
                kind: TransportKind::Forbidden(forbidden),
                sent: Sent::No,
                words: String::new(),
            }))
        })
    }

    /// The client that goes no further than this.
    pub(crate) fn of(&self, reach: Reach) -> SharedHttpClient {
        match reach {
            Reach::Public => self.public.clone(),
            Reach::OnlyAllowed(Cause::PlainHttp) => self.plain_http.clone(),
            Reach::OnlyAllowed(Cause::RoleOutsideAws) => self.role_outside_aws.clone(),
        }
    }
}

/// One connector, built once. The SDK's own client would load all root certificates for every SDK client made.
#[derive(Clone, Debug)]
struct Guarded {
    connector: SharedHttpConnector,
}

impl Guarded {
    fn new(allowed: Arc<AllowedEndpoints>, reach: Reach, tls: TlsContext) -> Self {
        let settings = HttpConnectorSettings::builder().connect_timeout(CONNECT_TIMEOUT).build();
        let inner = Connector::builder()
            .connector_settings(settings)
            .pool_idle_timeout(POOL_IDLE_TIMEOUT)
            .tls_provider(provider())
            .tls_context(tls)
            .build_with_resolver(GuardedResolver { allowed: Arc::clone(&allowed), reach });
        let connector = GuardedConnector { inner: Arc::new(inner), allowed, reach };
        Self { connector: SharedHttpConnector::new(connector) }
    }
}

impl HttpClient for Guarded {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        self.connector.clone()
    }
}

#[derive(Clone, Debug)]
struct GuardedConnector {
    inner: Arc<Connector>,
    allowed: Arc<AllowedEndpoints>,
    reach: Reach,
}

impl HttpConnector for GuardedConnector {
    fn call(&self, mut request: HttpRequest) -> HttpConnectorFuture {
        // A literal address never comes to the resolver.
        if let Some(address) = literal_address(request.uri())
            && let Err(forbidden) = judge(&self.allowed, self.reach, address)
        {
            let error = TransportError::classify(&forbidden, Sent::No);
            return HttpConnectorFuture::ready(Err(ConnectorError::other(error.into(), None)));
        }
        let capture = request.extension::<CaptureSmithyConnection>().cloned().unwrap_or_else(|| {
            let capture = CaptureSmithyConnection::new();
            request.add_extension(capture.clone());
            capture
        });
        let inner = Arc::clone(&self.inner);
        HttpConnectorFuture::new(async move {
            inner.call(request).await.map_err(|error| {
                // hyper names the connection before it writes to it: without one, nothing was sent.
                let sent = if capture.get().is_some() { Sent::Perhaps } else { Sent::No };
                ConnectorError::other(TransportError::classify(&error, sent).into(), None)
            })
        })
    }
}

fn literal_address(uri: &str) -> Option<IpAddr> {
    let uri: http::Uri = uri.parse().ok()?;
    let host = uri.host()?;
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host).parse().ok()
}

/// Resolves through the system and lets through only what the guard allows.
#[derive(Clone, Debug)]
struct GuardedResolver {
    allowed: Arc<AllowedEndpoints>,
    reach: Reach,
}

impl ResolveDns for GuardedResolver {
    fn resolve_dns<'a>(&'a self, name: &'a str) -> DnsFuture<'a> {
        let Self { allowed, reach } = self.clone();
        let name = name.to_owned();
        DnsFuture::new(async move {
            let looked_up = tokio::task::spawn_blocking(move || {
                (name.as_str(), 0)
                    .to_socket_addrs()
                    .map(|found| found.map(|address| address.ip()).collect::<Vec<_>>())
            })
            .await
            .map_err(ResolveDnsError::new)?;
            let addresses = looked_up.map_err(|error| match reach {
                Reach::Public => ResolveDnsError::new(error),
                Reach::OnlyAllowed(cause) => ResolveDnsError::new(Forbidden::Unresolved(cause)),
            })?;
            let mut refusal = None;
            let mut good = Vec::with_capacity(addresses.len());
            for address in addresses {
                match judge(&allowed, reach, address) {
                    Ok(()) => good.push(address),
                    Err(forbidden) => refusal = Some(forbidden),
                }
            }
            match refusal {
                Some(forbidden) if good.is_empty() => Err(ResolveDnsError::new(forbidden)),
                Some(_) | None => Ok(good),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literal_addresses_are_seen_in_every_spelling_a_request_can_have() {
        assert_eq!(literal_address("http://127.0.0.1:9000/b?x"), "127.0.0.1".parse().ok());
        assert_eq!(literal_address("https://[::1]:9000/b"), "::1".parse().ok());
        assert_eq!(literal_address("https://minio.example/b"), None);
    }

    #[test]
    fn a_ca_file_without_certificates_is_refused_by_name() {
        assert_eq!(trust(Some(b"hello")).err(), Some(CaCertificatesError::Empty));
        let broken = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert!(matches!(trust(Some(broken)), Err(CaCertificatesError::Malformed(_))));
        assert!(trust(None).is_ok());
    }

    #[tokio::test]
    async fn a_name_that_leads_only_to_forbidden_addresses_does_not_resolve() {
        let resolver = |allowed: &[&str]| GuardedResolver {
            allowed: Arc::new(
                allowed
                    .iter()
                    .map(|v| v.parse::<super::super::guard::AllowedEndpoint>().expect("a value"))
                    .collect(),
            ),
            reach: Reach::Public,
        };
        let refusal = resolver(&[]).resolve_dns("localhost").await.expect_err("loopback");
        let kind = TransportError::classify(&refusal, Sent::No).kind;
        assert!(matches!(kind, super::super::failure::TransportKind::Forbidden(_)), "{kind:?}");
        let plain =
            GuardedResolver { reach: Reach::OnlyAllowed(Cause::PlainHttp), ..resolver(&["loopback"]) };
        let refusal = plain.resolve_dns("no-such-host.invalid").await.expect_err("unresolved");
        let kind = TransportError::classify(&refusal, Sent::No).kind;
        assert_eq!(kind, TransportKind::Forbidden(Forbidden::Unresolved(Cause::PlainHttp)));
        assert!(!resolver(&["loopback"]).resolve_dns("localhost").await.expect("allowed").is_empty());
    }
}
