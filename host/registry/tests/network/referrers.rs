//! What is attached: signatures in both forms, SBOMs and marks, on a registry without the
//! referrers API and behind a proxy that has it.

use crate::proxy::{Fault, Proxy};
use crate::server::{Kind, Server, anybody, component, metadata};
use bytes::Bytes;
use darkroom_registry::publish::With;
use darkroom_registry::referrers::{Attachment, Referrer};
use darkroom_registry::sign::{
    Bundle, Claims, LEGACY_SIGNATURE_ANNOTATION, LegacySignature, PrivateKey,
    SIMPLE_SIGNING_MEDIA_TYPE, Signature, Statement,
};

#[tokio::test]
async fn attachments_are_kept_under_the_fallback_tag() {
    let Some(server) = Server::start(&Kind::default()) else {
        return;
    };
    let client = anybody();
    let place = server.at("acme/x");
    let published = client
        .publish(
            &place,
            component(9),
            &metadata("acme:x", "1.0.0"),
            &With::default(),
        )
        .await;
    let published = published.expect("published");
    let (digest, size) = (published.manifest_digest, published.manifest_size);
    let none = client.referrers(&place, &digest).await.expect("listed");
    assert!(none.is_empty());

    let mut sbom = Attachment::new("application/spdx+json", "{\"spdxVersion\":\"SPDX-2.3\"}");
    sbom.annotations.insert("a".into(), "b".into());
    client
        .attach(&place, &digest, size, &sbom)
        .await
        .expect("attached");
    client
        .attach(&place, &digest, size, &sbom)
        .await
        .expect("the same again");
    let key = PrivateKey::generate().expect("a key");
    let claims = Claims::new("acme:x", "1.0.0");
    let statement = Statement::of_package(&digest, &claims);
    let bundle = Bundle::sign(&key, &statement);
    let signature = Attachment::bundle(&bundle, &statement, None);
    client
        .attach(&place, &digest, size, &signature)
        .await
        .expect("attached");

    let referrers = client.referrers(&place, &digest).await.expect("listed");
    let kinds: Vec<&str> = referrers.iter().map(Referrer::artifact_type).collect();
    assert_eq!(
        kinds,
        [
            "application/spdx+json",
            "application/vnd.dev.sigstore.bundle.v0.3+json"
        ]
    );
    let back = client
        .attachment(&place, &referrers[0])
        .await
        .expect("read");
    assert_eq!(back, sbom);
    let signatures = client
        .signatures(&place, &digest, &referrers)
        .await
        .expect("read");
    assert_eq!(signatures.len(), 1);
    assert_eq!(
        signatures[0].to_signature(),
        Some(Signature::Bundle(bundle.to_json()))
    );

    // The older form beside it, twice with different keys.
    for _ in 0..2 {
        let legacy = LegacySignature::sign(
            &PrivateKey::generate().expect("a key"),
            &digest,
            &place.to_string(),
            &claims,
        );
        let mut attachment = Attachment::new(SIMPLE_SIGNING_MEDIA_TYPE, legacy.payload.clone());
        attachment
            .layer_annotations
            .insert(LEGACY_SIGNATURE_ANNOTATION.into(), legacy.signature);
        client
            .attach_legacy(&place, &digest, &attachment)
            .await
            .expect("attached");
        client
            .attach_legacy(&place, &digest, &attachment)
            .await
            .expect("the same again");
    }
    let signatures = client
        .signatures(&place, &digest, &referrers)
        .await
        .expect("read");
    assert_eq!(signatures.len(), 3);
    // Tags of signatures are no versions.
    assert_eq!(client.versions(&place).await.expect("listed").len(), 1);
}

#[tokio::test]
async fn two_who_attach_at_once_lose_nothing() {
    let Some(server) = Server::start(&Kind::default()) else {
        return;
    };
    let client = anybody();
    let place = server.at("acme/x");
    let published = client
        .publish(
            &place,
            component(9),
            &metadata("acme:x", "1.0.0"),
            &With::default(),
        )
        .await;
    let published = published.expect("published");
    let (digest, size) = (published.manifest_digest, published.manifest_size);
    let all: Vec<Attachment> = (0..3)
        .map(|at| Attachment::new("text/plain", format!("{at}")))
        .collect();
    let attached = all
        .iter()
        .map(|one| client.attach(&place, &digest, size, one));
    for one in futures::future::join_all(attached).await {
        one.expect("attached");
    }
    let listed = client
        .referrers(&place, &digest)
        .await
        .expect("listed")
        .len();
    // Two that look, write and look again in the same moments can still miss each other,
    // but one who attaches again always ends up in the list.
    for one in &all {
        client
            .attach(&place, &digest, size, one)
            .await
            .expect("attached");
    }
    assert!(listed >= 1);
    assert_eq!(
        client
            .referrers(&place, &digest)
            .await
            .expect("listed")
            .len(),
        3
    );
}

#[tokio::test]
async fn a_registry_with_the_api_is_asked_by_it() {
    let Some(server) = Server::start(&Kind::default()) else {
        return;
    };
    let proxy = Proxy::start(&server.host).await;
    let client = anybody();
    let place = server.at("acme/x");
    let published = client
        .publish(
            &place,
            component(9),
            &metadata("acme:x", "1.0.0"),
            &With::default(),
        )
        .await;
    let published = published.expect("published");
    let attachment = Attachment::new("text/plain", Bytes::from_static(b"hello"));
    let (digest, size) = (published.manifest_digest, published.manifest_size);
    let referrer = client
        .attach(&place, &digest, size, &attachment)
        .await
        .expect("attached");

    let mut before = place.clone();
    before.registry.clone_from(&proxy.host);
    let descriptor = serde_json::to_string(&referrer.descriptor).expect("JSON");
    let index: &'static str =
        format!("{{\"schemaVersion\":2,\"manifests\":[{descriptor}]}}").leak();
    let first = "{\"schemaVersion\":2,\"manifests\":[{\"mediaType\":\"text/plain\",\"digest\":\"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\",\"size\":0,\"annotations\":null}]}";
    let more = format!("</v2/acme/x/referrers/{digest}?page=2>; rel=\"next\"");
    proxy.breaks(
        "/referrers/",
        Fault::Status(200, Some(("link", more)), first),
        1,
    );
    proxy.breaks("?page=2", Fault::Status(200, None, index), 1);
    let both = client.referrers(&before, &digest).await.expect("listed");
    assert_eq!((both.len(), &both[1]), (2, &referrer));
    proxy.breaks("/referrers/", Fault::Status(200, None, index), 2);
    assert_eq!(
        client.referrers(&before, &digest).await.expect("listed"),
        [referrer]
    );
    // With the API there, no index is written.
    client
        .attach(&before, &digest, size, &attachment)
        .await
        .expect("attached");
    assert_eq!(proxy.count("/manifests/sha256-"), 0);
}

#[tokio::test]
async fn a_yanked_version_can_come_back() {
    let Some(server) = Server::start(&Kind::default()) else {
        return;
    };
    let client = anybody();
    let place = server.at("acme/x");
    let published = client
        .publish(
            &place,
            component(9),
            &metadata("acme:x", "1.0.0"),
            &With::default(),
        )
        .await;
    let published = published.expect("published");
    let (digest, size) = (published.manifest_digest, published.manifest_size);
    let state = async || {
        let referrers = client.referrers(&place, &digest).await.expect("listed");
        let yanked = client.yanked(&place, &referrers).await.expect("read");
        yanked.map(|yanked| yanked.reason)
    };
    assert_eq!(state().await, None);
    assert!(
        !client
            .unyank(&place, &digest, size)
            .await
            .expect("nothing to do")
    );
    assert!(
        client
            .yank(&place, &digest, size, Some("it is broken"))
            .await
            .expect("yanked")
    );
    assert!(
        !client
            .yank(&place, &digest, size, None)
            .await
            .expect("it is already")
    );
    assert_eq!(state().await, Some(Some("it is broken".into())));
    assert!(
        client
            .unyank(&place, &digest, size)
            .await
            .expect("taken back")
    );
    assert_eq!(state().await, None);
    assert!(
        client
            .yank(&place, &digest, size, None)
            .await
            .expect("again")
    );
    assert_eq!(state().await, Some(None));
}
