//! [`TokenService`]: gives docker-registry's tokens to Ada, and tokens to read to anybody.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{Signature, SigningKey};
use p256::pkcs8::DecodePrivateKey as _;
use serde_json::json;

use crate::server::{PASSWORD, USER, certificate, certificate_key};

/// What it was asked: scope and whether somebody asked.
type Asked = Arc<Mutex<Vec<(String, bool)>>>;

pub struct TokenService {
    pub realm: String,
    asked: Asked,
}

impl TokenService {
    pub async fn start() -> Self {
        let asked = Asked::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port");
        let port = listener.local_addr().expect("its address").port();
        let app = Router::new()
            .route("/token", get(token))
            .with_state(Arc::clone(&asked));
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self {
            realm: format!("http://127.0.0.1:{port}/token"),
            asked,
        }
    }

    pub fn asked(&self) -> Vec<(String, bool)> {
        self.asked.lock().expect("not poisoned").clone()
    }
}

async fn token(
    State(asked): State<Asked>,
    Query(query): Query<Vec<(String, String)>>,
    headers: HeaderMap,
) -> Result<String, (StatusCode, String)> {
    let expected = format!("Basic {}", STANDARD.encode(format!("{USER}:{PASSWORD}")));
    let said = headers
        .get("authorization")
        .map(|value| value.to_str().expect("text").to_owned());
    let ada = said.as_deref() == Some(expected.as_str());
    let scope = query.iter().find(|(key, _)| key == "scope");
    let scope = scope.map(|(_, scope)| scope.clone()).unwrap_or_default();
    asked
        .lock()
        .expect("not poisoned")
        .push((scope.clone(), ada));
    if let Some(said) = said.filter(|_| !ada) {
        // A bad service repeats what it was told.
        return Err((StatusCode::UNAUTHORIZED, format!("who is {said}?")));
    }
    let mut parts = scope.splitn(3, ':').skip(1);
    let (name, actions) = (
        parts.next().unwrap_or_default(),
        parts.next().unwrap_or_default(),
    );
    let actions: Vec<&str> = actions
        .split(',')
        .filter(|one| ada || *one == "pull")
        .collect();
    let access = json!([{ "type": "repository", "name": name, "actions": actions }]);
    Ok(json!({ "token": jwt(&access), "expires_in": 300 }).to_string())
}

/// As the registry's `rootcertbundle` verifies it (RFC 7515, `x5c`).
fn jwt(access: &serde_json::Value) -> String {
    let der: String = certificate()
        .lines()
        .filter(|line| !line.starts_with("---"))
        .collect();
    let now = jiff::Timestamp::now().as_second();
    let header = json!({ "typ": "JWT", "alg": "ES256", "x5c": [der] });
    let claims = json!({
        "iss": "test", "sub": "x", "aud": "registry", "exp": now + 300, "nbf": now - 10,
        "iat": now, "jti": now.to_string(), "access": access,
    });
    let text = |json: &serde_json::Value| URL_SAFE_NO_PAD.encode(json.to_string());
    let signed = format!("{}.{}", text(&header), text(&claims));
    let key = SigningKey::from_pkcs8_pem(certificate_key()).expect("a key");
    let signature: Signature = key.sign(signed.as_bytes());
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.to_bytes()))
}
