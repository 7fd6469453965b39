//! What is attached: signatures in both forms, SBOMs and marks, on a registry without the
//! referrers API and behind a proxy that has it.

use crate::older::{legacy_signature, put_layers};
use crate::proxy::{Fault, Proxy};
use crate::server::{Kind, Server, anybody, component, metadata, new_key};
use bytes::Bytes;
use darkroom_registry::layout::{Descriptor, IMAGE_MANIFEST};
use darkroom_registry::publish::With;
use darkroom_registry::referrers::{Attachment, Referrer};
use darkroom_registry::sign::{Bundle, Claims, Signature, Statement, Subject};
use darkroom_registry::yank::YANKED;
use serde_json::json;

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
    let key = new_key();
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

    // The older form beside it, with different keys.
    let older = [(); 2].map(|()| legacy_signature(&new_key(), &digest, &place.to_string()));
    let tag = place.tagged(format!("sha256-{}.sig", digest.hex()));
    put_layers(&client, &tag, &older).await;
    let signatures = client
        .signatures(&place, &digest, &referrers)
        .await
        .expect("read");
    assert_eq!(signatures.len(), 3);
    // Tags of signatures are no versions.
    assert_eq!(client.versions(&place).await.expect("listed").len(), 1);
}

#[tokio::test]
async fn those_who_attach_at_once_are_all_listed() {
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
    // They write over each other's index, which has no 'put if unchanged', and see it.
    let all: Vec<Attachment> = (0..3)
        .map(|at| Attachment::new("text/plain", format!("{at}")))
        .collect();
    let attached = all
        .iter()
        .map(|one| client.attach(&place, &digest, size, one));
    for one in futures::future::join_all(attached).await {
        one.expect("attached");
    }
    let listed = client.referrers(&place, &digest).await.expect("listed");
    assert_eq!(listed.len(), 3);
}

/// What a registry with the referrers API answers.
fn listed<'d>(all: impl IntoIterator<Item = &'d Descriptor>) -> &'static str {
    let all: Vec<_> = all.into_iter().collect();
    json!({ "schemaVersion": 2, "manifests": all })
        .to_string()
        .leak()
}

#[tokio::test]
async fn notes_without_end_hide_no_signature_and_no_mark() {
    let Some(server) = Server::start(&Kind::default()) else {
        return;
    };
    let proxy = Proxy::start(&server.host).await;
    let client = anybody();
    let mut place = server.at("acme/x");
    place.registry.clone_from(&proxy.host);
    let key = new_key();
    let with = With {
        key: Some(&key),
        ..With::default()
    };
    let published = client
        .publish(&place, component(9), &metadata("acme:x", "1.0.0"), &with)
        .await
        .expect("published");
    let (digest, size) = (published.manifest_digest, published.manifest_size);
    let spdx = "https://spdx.dev/Document";
    let statement = Statement::new(Subject::of(&digest), spdx, json!({}));
    let sbom = Attachment::bundle(&Bundle::sign(&key, &statement), &statement, None);
    let sbom = client.attach(&place, &digest, size, &sbom).await;
    for yanked in [true, false] {
        let marked = if yanked {
            client.yank(&place, &digest, size, None).await
        } else {
            client.unyank(&place, &digest, size).await
        };
        assert!(marked.expect("marked"));
    }
    let right = client.referrers(&place, &digest).await.expect("listed");
    let mark = right.iter().find(|one| one.artifact_type() == YANKED);
    // Before those that matter a hundred of other kinds, and of theirs.
    let mut note = Descriptor::of(IMAGE_MANIFEST, b"nothing");
    note.artifact_type = Some("text/plain".into());
    let (sbom, mark) = (sbom.expect("attached").descriptor, mark.expect("a mark"));
    let many = [&note, &sbom, &mark.descriptor];
    let many = many
        .into_iter()
        .flat_map(|one| std::iter::repeat_n(one, 100));
    let all = listed(many.chain(right.iter().map(|one| &one.descriptor)));
    proxy.breaks("/referrers/", Fault::Status(200, None, all), 1);
    let referrers = client.referrers(&place, &digest).await.expect("listed");
    assert_eq!(referrers.len(), 300 + right.len());
    let found = client.signatures(&place, &digest, &referrers).await;
    let found: Vec<_> = found
        .expect("read")
        .into_iter()
        .map(|one| one.bytes)
        .collect();
    let statement = Statement::of_package(&digest, &Claims::new("acme:x", "1.0.0"));
    let ours = Bundle::sign(&key, &statement).to_json();
    assert!(found.len() <= 64 && found.iter().any(|one| *one == ours));
    assert_eq!(client.yanked(&place, &referrers).await.expect("read"), None);
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
    let index = listed([&referrer.descriptor]);
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
    proxy.breaks("/referrers/", Fault::Status(200, None, index), 1);
    let one = client.referrers(&before, &digest).await.expect("listed");
    assert_eq!(one, std::slice::from_ref(&referrer));
    // A product that lists the config's type in its place.
    let config = "application/vnd.oci.empty.v1+json";
    let mut unnamed = referrer.descriptor.clone();
    unnamed.artifact_type = Some(config.into());
    let unnamed = Fault::Status(200, None, listed([&unnamed]));
    proxy.breaks("/referrers/", unnamed, 2);
    let named = client.referrers(&before, &digest).await.expect("listed");
    assert_eq!(named, [referrer]);
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

    // A number after which there is no other marks nothing.
    for number in [u64::MAX, 1 << 33] {
        let last = json!({ "number": number, "yanked": false }).to_string();
        let mut mark = Attachment::new(YANKED, last);
        let annotation = "dev.darkroom.yank.number".to_owned();
        mark.annotations.insert(annotation, number.to_string());
        client
            .attach(&place, &digest, size, &mark)
            .await
            .expect("attached");
    }
    assert_eq!(state().await, Some(None));
    let unyanked = client.unyank(&place, &digest, size).await;
    assert!(unyanked.expect("taken back"));
    assert_eq!(state().await, None);
    let version = "1.0.0".parse().expect("a version");
    let all = client.yanked_of(&place, &[version]).await.expect("read");
    assert_eq!(all, [None]);
}
