//! Copies between two registries, with signatures and what is attached to attachments.

use crate::server::{Kind, Server, anybody, component, metadata, shown};
use darkroom_registry::publish::{Before, With};
use darkroom_registry::referrers::Attachment;
use darkroom_registry::sign::{
    Bundle, Claims, LEGACY_SIGNATURE_ANNOTATION, LegacySignature, PrivateKey,
    SIMPLE_SIGNING_MEDIA_TYPE, Statement, Subject,
};

#[tokio::test]
async fn a_mirror_has_the_same_digests_and_signatures() {
    let Some(first) = Server::start(&Kind::default()) else {
        return;
    };
    let Some(second) = Server::start(&Kind::default()) else {
        return;
    };
    let client = anybody();
    let (from, to) = (first.at("acme/x"), second.at("mirror/acme/x"));
    let published = client
        .publish(
            &from,
            component(5000),
            &metadata("acme:x", "1.0.0"),
            &With::default(),
        )
        .await;
    let published = published.expect("published");
    let (digest, size) = (published.manifest_digest, published.manifest_size);
    let key = PrivateKey::generate().expect("a key");
    let statement = Statement::of_package(&digest, &Claims::new("acme:x", "1.0.0"));
    let signature = Attachment::bundle(&Bundle::sign(&key, &statement), &statement, None);
    client
        .attach(&from, &digest, size, &signature)
        .await
        .expect("attached");
    let sbom = Attachment::new("application/spdx+json", "{}");
    let sbom = client
        .attach(&from, &digest, size, &sbom)
        .await
        .expect("attached");
    // The SBOM is signed itself.
    let (under, length) = (sbom.descriptor.digest, sbom.descriptor.size);
    let statement = Statement::new(
        Subject::of(&under),
        "https://spdx.dev/Document",
        serde_json::json!({}),
    );
    let signed = Attachment::bundle(&Bundle::sign(&key, &statement), &statement, None);
    client
        .attach(&from, &under, length, &signed)
        .await
        .expect("attached");
    let legacy = LegacySignature::sign(&key, &digest, &from.to_string(), &Claims::default());
    let mut older = Attachment::new(SIMPLE_SIGNING_MEDIA_TYPE, legacy.payload.clone());
    older
        .layer_annotations
        .insert(LEGACY_SIGNATURE_ANNOTATION.into(), legacy.signature);
    client
        .attach_legacy(&from, &digest, &older)
        .await
        .expect("attached");

    let target = to.tagged("1.0.0");
    let copied = client
        .copy(&published.reference, &target, false)
        .await
        .expect("copied");
    assert_eq!(
        (copied.manifest_digest, copied.attachments, copied.before),
        (digest, 4, Before::Nothing)
    );
    drop(first);
    let pulled = client.pull(&target).await.expect("pulled");
    assert_eq!(
        (pulled.component, pulled.manifest_digest),
        (component(5000), digest)
    );
    let referrers = client.referrers(&to, &digest).await.expect("listed");
    assert_eq!(referrers.len(), 2);
    assert_eq!(
        client
            .signatures(&to, &digest, &referrers)
            .await
            .expect("read")
            .len(),
        2
    );
    assert_eq!(
        client.referrers(&to, &under).await.expect("listed").len(),
        1
    );
}

#[tokio::test]
async fn a_copy_replaces_nothing_unless_forced() {
    let Some(server) = Server::start(&Kind::default()) else {
        return;
    };
    let client = anybody();
    let (from, to) = (server.at("a/x"), server.at("b/x"));
    let said = metadata("acme:x", "1.0.0");
    let source = client
        .publish(&from, component(1), &said, &With::default())
        .await
        .expect("published");
    client
        .publish(&to, component(2), &said, &With::default())
        .await
        .expect("published");
    let target = to.tagged("1.0.0");
    let error = client
        .copy(&source.reference, &target, false)
        .await
        .expect_err("something else");
    assert!(shown(&error, &error.hint()).contains("is published already, with other content"));
    let copied = client
        .copy(&source.reference, &target, true)
        .await
        .expect("forced");
    assert!(matches!(copied.before, Before::Other(_)));
    let again = client
        .copy(&source.reference, &target, false)
        .await
        .expect("nothing to do");
    assert_eq!(again.before, Before::Same);
    let missing = from.tagged("9.9.9");
    let error = client
        .copy(&missing, &target, false)
        .await
        .expect_err("not there");
    assert!(shown(&error, "").contains("no such thing (404)"));
}
