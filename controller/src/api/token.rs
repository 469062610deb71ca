//! Access tokens: how they are made, what they prove, and the endpoint that hands them out.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use barndoor_crds::rest::{Problem, Secret, TokenAnswer, TokenRequest};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, StatusCode};
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::AppState;
use super::body;
use super::refusal::Refusal;
use crate::clients::{ClientId, ClientSecret};

/// How long a token is valid, in seconds.
const TOKEN_VALID_SECONDS: i64 = 60 * 60;
/// The longest body of a token request, in bytes.
const FORM_MAX_BYTES: usize = 16 * 1024;
const ISSUER: &str = "barndoor-export";

/// Makes and reads tokens (JWT, HS256). A token only says who; what a client may do is looked up at every request.
pub struct Tokens {
    encoding: EncodingKey,
    decoding: DecodingKey,
}

#[derive(Serialize, Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    iat: i64,
    exp: i64,
}

impl Tokens {
    /// Tokens signed with this key.
    pub fn new(signing_key: &[u8]) -> Self {
        Self {
            encoding: EncodingKey::from_secret(signing_key),
            decoding: DecodingKey::from_secret(signing_key),
        }
    }

    fn issue(
        &self,
        client_id: &ClientId,
        now: Timestamp,
    ) -> Result<TokenAnswer, jsonwebtoken::errors::Error> {
        let iat = now.as_second();
        let claims = Claims {
            iss: ISSUER.to_owned(),
            sub: client_id.to_string(),
            iat,
            exp: iat + TOKEN_VALID_SECONDS,
        };
        let token = jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &self.encoding)?;
        Ok(TokenAnswer {
            access_token: Secret::new(token),
            expires_in: TOKEN_VALID_SECONDS.unsigned_abs(),
            token_type: "Bearer".to_owned(),
        })
    }

    /// The id of the client that the token was issued to, if it is ours and still valid.
    pub(super) fn client_id(&self, token: &str, now: Timestamp) -> Option<ClientId> {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_issuer(&[ISSUER]);
        // Judged below by the clock port, without leeway.
        validation.validate_exp = false;
        let claims = jsonwebtoken::decode::<Claims>(token, &self.decoding, &validation).ok()?.claims;
        (now.as_second() < claims.exp).then(|| ClientId::new(claims.sub))
    }
}

/// Gets a token for a client's id and secret, from the form or as Basic authentication.
#[utoipa::path(
    post, path = "/oauth2/token", tag = "access",
    request_body(content = TokenRequest, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, body = TokenAnswer),
        (status = 400, body = OauthError, description = "No client_credentials request"),
        (status = 401, body = OauthError, description = "Unknown client or wrong secret"),
        (status = 503, body = Problem, description = "The storage below failed: come back after Retry-After"),
    ),
    security(())
)]
pub(super) async fn issue(State(state): State<AppState>, headers: HeaderMap, body: Body) -> Response {
    match request(&headers, body).await {
        Ok((client_id, secret)) => answer(&state, &client_id, &secret).await,
        Err(refusal) => refusal,
    }
}

async fn answer(state: &AppState, client_id: &ClientId, secret: &ClientSecret) -> Response {
    match state.clients.verify(client_id, secret).await {
        Ok(Some(client)) => match state.tokens.issue(&client.id, state.clock.now()) {
            Ok(token) => Json(token).into_response(),
            Err(error) => {
                tracing::error!(%error, "a token could not be signed");
                Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "Internal", "the token could not be signed")
                    .into_response()
            }
        },
        Ok(None) => wrong_client(),
        Err(error) => Refusal::from(error).into_response(),
    }
}

/// The id and secret of the request, or the answer to a request without.
async fn request(headers: &HeaderMap, body: Body) -> Result<(ClientId, ClientSecret), Response> {
    body::require_content_type(headers, &["application/x-www-form-urlencoded"])
        .map_err(IntoResponse::into_response)?;
    let bytes = body::read(body, FORM_MAX_BYTES).await.map_err(IntoResponse::into_response)?;
    let form = parse_form(&bytes);
    if form.grant_type != "client_credentials" {
        return Err(oauth_error(
            StatusCode::BAD_REQUEST,
            "unsupported_grant_type",
            "UnsupportedGrantType",
            "grant_type must be client_credentials, in a form-encoded body",
        ));
    }
    match (basic(headers), form.client_id, form.client_secret) {
        (Some(basic), _, _) => Ok(basic),
        (None, Some(id), Some(secret)) => Ok((ClientId::new(id), ClientSecret::new(secret.expose()))),
        (None, _, _) => Err(wrong_client()),
    }
}

fn parse_form(bytes: &[u8]) -> TokenRequest {
    let mut form = TokenRequest::default();
    for (name, value) in url::form_urlencoded::parse(bytes) {
        match &*name {
            "grant_type" => form.grant_type = value.into_owned(),
            "client_id" => form.client_id = Some(value.into_owned()),
            "client_secret" => form.client_secret = Some(Secret::new(value)),
            _ => {}
        }
    }
    form
}

fn basic(headers: &HeaderMap) -> Option<(ClientId, ClientSecret)> {
    let (scheme, encoded) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(BASE64_STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (id, secret) = decoded.split_once(':')?;
    Some((ClientId::new(id), ClientSecret::new(secret)))
}

/// The same for an unknown client and for a wrong secret.
fn wrong_client() -> Response {
    let mut response = oauth_error(
        StatusCode::UNAUTHORIZED,
        "invalid_client",
        "InvalidClient",
        "client_id or client_secret is wrong, or the client was removed",
    );
    response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"barndoor\""));
    response
}

/// What RFC 6749 asks for, its media type too, and the members of a problem beside it.
#[derive(Serialize, ToSchema)]
struct OauthError {
    /// The constant of RFC 6749, section 5.2.
    error: &'static str,
    /// What happened.
    error_description: &'static str,
    #[serde(flatten)]
    problem: Problem,
}

fn oauth_error(
    status: StatusCode,
    error: &'static str,
    reason: &'static str,
    text: &'static str,
) -> Response {
    let title = status.canonical_reason().unwrap_or("Error");
    let problem = Problem::new(status.as_u16(), title, reason, text, "");
    (status, Json(OauthError { error, error_description: text, problem })).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time")
    }

    #[test]
    fn a_token_proves_its_client_for_an_hour_and_to_its_own_key_only() {
        let tokens = Tokens::new(&[1; 32]);
        let answer = tokens.issue(&ClientId::new("client-1"), at(1_000_000)).expect("signed");
        let token = answer.access_token.expose();
        assert_eq!(answer.expires_in, 3_600);
        assert_eq!(tokens.client_id(token, at(1_003_599)), Some(ClientId::new("client-1")));
        assert_eq!(tokens.client_id(token, at(1_003_600)), None);
        assert_eq!(Tokens::new(&[2; 32]).client_id(token, at(1_000_000)), None);
        assert_eq!(Tokens::new(&[1; 32]).client_id(token, at(1_000_001)), Some(ClientId::new("client-1")));
    }

    #[test]
    fn a_token_that_names_no_algorithm_or_another_is_worth_nothing() {
        let tokens = Tokens::new(&[1; 32]);
        let answer = tokens.issue(&ClientId::new("client-1"), at(1_000_000)).expect("signed");
        let (_, rest) = answer.access_token.expose().split_once('.').expect("three parts");
        for header in [r#"{"alg":"none"}"#, r#"{"alg":"HS384","typ":"JWT"}"#] {
            let forged = format!("{}.{rest}", base64::prelude::BASE64_URL_SAFE_NO_PAD.encode(header));
            assert_eq!(tokens.client_id(&forged, at(1_000_000)), None, "{header}");
        }
        assert_eq!(tokens.client_id("", at(0)), None);
    }

    #[test]
    fn basic_authentication_is_read_and_anything_else_ignored() {
        let with = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(AUTHORIZATION, value.parse().expect("a header"));
            basic(&headers).map(|(id, secret)| (id.to_string(), secret.reveal().to_owned()))
        };
        let expected = Some(("id".to_owned(), "se:cret".to_owned()));
        assert_eq!(with(&format!("Basic {}", BASE64_STANDARD.encode("id:se:cret"))), expected);
        assert_eq!(with("Bearer abc"), None);
        assert_eq!(with("Basic ???"), None);
    }
}
