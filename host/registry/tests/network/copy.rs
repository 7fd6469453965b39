//! Copies between two registries, with signatures and what is attached to attachments.

use crate::older::{attach_legacy, legacy_signature, put_layers};
use crate::proxy::Proxy;
use crate::server::{Kind, Server, anybody, component, metadata, new_key, shown};
use darkroom_registry::publish::{Before, With};
use darkroom_registry::referrers::Attachment;
use darkroom_registry::sign::{Bundle, Claims, Statement, Subject};

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
    let key = new_key();
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
    let older = legacy_signature(&key, &digest, &from.to_string());
    attach_legacy(&client, &from, &digest, &older).await;

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
async fn a_mirror_keeps_what_its_owner_has_signed() {
    let (Some(first), Some(second)) = (
        Server::start(&Kind::default()),
        Server::start(&Kind::default()),
    ) else {
        return;
    };
    let client = anybody();
    let source = Proxy::start(&first.host).await;
    let mut from = first.at("acme/x");
    from.registry.clone_from(&source.host);
    let to = second.at("acme/x");
    let said = metadata("acme:x", "1.0.0");
    let mut digest = None;
    for place in [&from, &to] {
        let published = client
            .publish(place, component(9), &said, &With::default())
            .await
            .expect("published");
        let key = new_key();
        let legacy = legacy_signature(&key, &published.manifest_digest, &place.to_string());
        attach_legacy(&client, place, &published.manifest_digest, &legacy).await;
        digest = Some(published.manifest_digest);
    }
    let digest = digest.expect("published");
    let signatures = async || {
        let found = client.signatures(&to, &digest, &[]).await.expect("read");
        found.into_iter().map(|one| one.bytes).collect::<Vec<_>>()
    };
    let own = signatures().await;
    assert_eq!(own.len(), 1);
    source.forget();
    let before = source.count("GET /v2/acme/x/blobs");
    for _ in ["copies", "has copied"] {
        client
            .copy(&from.tagged("1.0.0"), &to.tagged("1.0.0"), false)
            .await
            .expect("copied");
        let both = signatures().await;
        assert_eq!((both.len(), &both[0]), (2, &own[0]));
    }
    // The target had the package itself: of the source only the other payload was read.
    assert_eq!(source.count("GET /v2/acme/x/blobs") - before, 1);

    // An SBOM in the older form is one thing, and not replaced unless that is asked for.
    for (place, text) in [(&from, "theirs"), (&to, "ours")] {
        let tag = format!("sha256-{}.sbom", digest.hex());
        let sbom = Attachment::new("text/spdx", text);
        put_layers(&client, &place.tagged(tag), &[sbom]).await;
    }
    let copy = async |force| {
        client
            .copy(&from.tagged("1.0.0"), &to.tagged("1.0.0"), force)
            .await
    };
    let error = copy(false).await.expect_err("another SBOM");
    assert!(error.to_string().contains("with other content"), "{error}");
    copy(true).await.expect("forced");
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
