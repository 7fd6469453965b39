//! Signatures in the form of the older cosign, which are read and copied, and made by
//! nothing but these tests.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use darkroom_registry::client::Client;
use darkroom_registry::digest::Digest;
use darkroom_registry::layout::{Descriptor, IMAGE_MANIFEST};
use darkroom_registry::name::{Located, OciReference};
use darkroom_registry::referrers::Attachment;
use darkroom_registry::sign::{LEGACY_SIGNATURE_ANNOTATION, PrivateKey, SIMPLE_SIGNING_MEDIA_TYPE};
use serde_json::json;

/// What `cosign sign` makes without its new form.
pub fn legacy_signature(key: &PrivateKey, manifest: &Digest, reference: &str) -> Attachment {
    let payload = json!({
        "critical": {
            "identity": { "docker-reference": reference },
            "image": { "docker-manifest-digest": manifest },
            "type": "cosign container image signature",
        },
        "optional": null,
    });
    let payload = payload.to_string().into_bytes();
    let signature = STANDARD.encode(key.sign(&payload));
    let mut attachment = Attachment::new(SIMPLE_SIGNING_MEDIA_TYPE, payload);
    attachment
        .layer_annotations
        .insert(LEGACY_SIGNATURE_ANNOTATION.into(), signature);
    attachment
}

/// Puts a signature under the tag of a manifest's.
pub async fn attach_legacy(client: &Client, place: &Located, to: &Digest, signature: &Attachment) {
    let tag = place.tagged(format!("sha256-{}.sig", to.hex()));
    put_layers(client, &tag, std::slice::from_ref(signature)).await;
}

/// Writes these under a tag, in place of what is there.
pub async fn put_layers(client: &Client, tag: &OciReference, all: &[Attachment]) {
    let config = b"{}".as_slice();
    let layers: Vec<Descriptor> = all
        .iter()
        .map(|one| Descriptor {
            annotations: one.layer_annotations.clone(),
            ..Descriptor::of(one.media_type.clone(), &one.bytes)
        })
        .collect();
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": IMAGE_MANIFEST,
        "config": Descriptor::of("application/vnd.oci.image.config.v1+json", config),
        "layers": layers,
    });
    let blobs = all.iter().map(|one| one.bytes.clone());
    for blob in blobs.chain([config.into()]) {
        client
            .put_blob(&tag.located, &blob)
            .await
            .expect("uploaded");
    }
    let manifest = manifest.to_string().into_bytes().into();
    let written = client.put_manifest(tag, &manifest, IMAGE_MANIFEST).await;
    written.expect("written");
}
