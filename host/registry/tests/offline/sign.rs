//! What cosign writes is read, what is written is what cosign writes, and nothing else is
//! taken for it.

use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use darkroom_registry::sign::{
    Bundle, BundleError, COSIGN_PREDICATE_TYPE, Claims, KeyError, LegacySignature, Password,
    PrivateKey, PublicKey, Statement, Subject, VerifyError,
};
use serde_json::{Value, json};

use crate::{
    cosign_password, cosign_public, fixture, fixture_text, legacy_signature, manifest, new_key,
    new_pem,
};

fn claims() -> Claims {
    Claims::new("acme:hardening", "1.2.0")
}

/// The payload of a bundle.
fn payload(bundle: &[u8]) -> Vec<u8> {
    let bundle: Value = serde_json::from_slice(bundle).unwrap();
    let payload = bundle["dsseEnvelope"]["payload"].as_str().unwrap();
    STANDARD.decode(payload).unwrap()
}

fn legacy() -> LegacySignature {
    LegacySignature {
        payload: fixture("legacy.json"),
        signature: fixture_text("legacy.sig"),
    }
}

#[test]
fn cosigns_key_file_opens_with_its_password_only() {
    let file = fixture_text("cosign.key");
    assert!(PrivateKey::is_encrypted(&file));
    let key = PrivateKey::from_pem(&file, Some(&cosign_password())).unwrap();
    assert_eq!(*key.public(), cosign_public());
    assert_eq!(key.public().to_pem().unwrap(), fixture_text("cosign.pub"));
    let wrong = PrivateKey::from_pem(&file, Some(&Password::new("Throwaway password")));
    assert_eq!(wrong.unwrap_err(), KeyError::WrongPassword);
    let none = PrivateKey::from_pem(&file, None);
    assert_eq!(none.unwrap_err(), KeyError::NoPassword);
}

#[test]
fn a_key_is_the_same_in_each_form() {
    let sealed = fixture_text("cosign.key");
    let key = PrivateKey::from_pem(&sealed, Some(&cosign_password())).unwrap();
    // cosign 1 wrote the same under another label.
    let old = sealed.replace("SIGSTORE", "COSIGN");
    let again = PrivateKey::from_pem(&old, Some(&cosign_password())).unwrap();
    assert_eq!(again.public(), key.public());
    assert_eq!(again.sign(b"text"), key.sign(b"text"));
    // Not encrypted: a password isn't looked at.
    let plain = new_pem();
    let key = PrivateKey::from_pem(&plain, None).unwrap();
    let again = PrivateKey::from_pem(&plain, Some(&cosign_password())).unwrap();
    assert_eq!(again.sign(b"text"), key.sign(b"text"));
}

#[test]
fn nothing_shows_a_private_key_or_a_password() {
    let key = new_key();
    let shown = format!("{key:?} {:?}", Password::new("hunter2"));
    assert_eq!(
        shown,
        format!("PrivateKey(… of {}) Password(…)", key.public().id())
    );
}

#[test]
fn a_sealed_key_cant_ask_for_any_amount_of_work() {
    let file = fixture_text("cosign.key");
    let body: String = file.lines().filter(|line| !line.starts_with('-')).collect();
    let sealed: Value = serde_json::from_slice(&STANDARD.decode(body).unwrap()).unwrap();
    let open = |change: &dyn Fn(&mut Value)| {
        let mut sealed = sealed.clone();
        change(&mut sealed);
        let body = STANDARD.encode(sealed.to_string());
        let lines: Vec<_> = body
            .as_bytes()
            .chunks(64)
            .map(|line| std::str::from_utf8(line).unwrap())
            .collect();
        let label = "ENCRYPTED SIGSTORE PRIVATE KEY";
        let file = format!(
            "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
            lines.join("\n")
        );
        PrivateKey::from_pem(&file, Some(&cosign_password())).unwrap_err()
    };
    let work = KeyError::Sealed("its scrypt parameters are none of cosign's");
    assert_eq!(
        open(&|key| key["kdf"]["params"]["N"] = json!(1u64 << 40)),
        work
    );
    assert_eq!(
        open(&|key| key["kdf"]["params"]["r"] = json!(1 << 20)),
        work
    );
    assert_eq!(open(&|key| key["kdf"]["params"]["N"] = json!(65_537)), work);
    let nonce = KeyError::Sealed("its nonce hasn't 24 bytes");
    assert_eq!(open(&|key| key["cipher"]["nonce"] = json!("AAAA")), nonce);
    let kind = KeyError::Sealed("it isn't encrypted with scrypt and nacl/secretbox");
    assert_eq!(open(&|key| key["kdf"]["name"] = json!("none")), kind);
}

#[test]
fn what_is_no_key_is_told_apart() {
    let public = fixture_text("cosign.pub");
    let private = new_pem();
    // Of Ed25519: RFC 8410, section 10.1.
    let ed25519 = "-----BEGIN PUBLIC KEY-----\n\
                   MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n\
                   -----END PUBLIC KEY-----\n";
    for (text, wanted) in [
        ("", KeyError::NotPem),
        ("ssh-ed25519 AAAA", KeyError::NotPem),
        (&private, KeyError::Private),
        (ed25519, KeyError::Kind),
        (&public.replace("MFkw", "MFkx"), KeyError::Kind),
        (
            &public.replace("PUBLIC KEY", "CERTIFICATE"),
            KeyError::Label("CERTIFICATE".into()),
        ),
    ] {
        let error = PublicKey::from_pem(text).unwrap_err();
        assert_eq!(error, wanted, "{text}");
        assert!(!error.hint().is_empty());
    }
    let error = PrivateKey::from_pem(&public, None).unwrap_err();
    assert_eq!(error, KeyError::Public);
    let error = PrivateKey::from_pem(&private.replace("PRIVATE", "EC PRIVATE"), None);
    assert_eq!(error.unwrap_err(), KeyError::Sec1);
    // As editors and clipboards leave it.
    let pasted = format!("\n  \n{}\n\n", public.replace('\n', "\r\n"));
    assert_eq!(PublicKey::from_pem(&pasted).unwrap(), cosign_public());
}

#[test]
fn cosigns_bundles_are_read() {
    let key = cosign_public();
    let bundle = Bundle::parse(&fixture("bundle.json")).unwrap();
    assert_eq!(bundle.key_id(), Some(key.id()));
    let statement = bundle.verify(&key).unwrap();
    assert_eq!(statement, Statement::of_package(&manifest(), &claims()));
    assert_eq!(statement.predicate_type, COSIGN_PREDICATE_TYPE);
    let plain = Bundle::parse(&fixture("bundle-plain.json")).unwrap();
    let statement = plain.verify(&key).unwrap();
    assert!(statement.subject(&manifest()).is_some());
    assert_eq!(
        bundle.verify(new_key().public()).unwrap_err(),
        VerifyError::Signature
    );
}

#[test]
fn a_bundle_is_written_as_cosign_does() {
    let key = PrivateKey::from_pem(&fixture_text("cosign.key"), Some(&cosign_password())).unwrap();
    for (file, claims) in [
        ("bundle.json", claims()),
        ("bundle-plain.json", Claims::default()),
    ] {
        let ours = Bundle::sign(&key, &Statement::of_package(&manifest(), &claims)).to_json();
        assert_eq!(payload(&ours), payload(&fixture(file)), "{file}");
        // Byte for byte but for the signature, which cosign draws a random number for.
        let mut theirs: Value = serde_json::from_slice(&fixture(file)).unwrap();
        let mut bundle: Value = serde_json::from_slice(&ours).unwrap();
        let signature = bundle["dsseEnvelope"]["signatures"][0]["sig"].take();
        assert_ne!(
            theirs["dsseEnvelope"]["signatures"][0]["sig"].take(),
            signature
        );
        assert_eq!(bundle.to_string(), theirs.to_string(), "{file}");
        let read = Bundle::parse(&ours).unwrap();
        assert_eq!(read.to_json(), ours);
        read.verify(key.public()).unwrap();
    }
}

#[test]
fn a_signature_of_a_file_is_none_of_a_package() {
    let error = Bundle::parse(&fixture("blob.json")).unwrap_err();
    assert!(matches!(error, BundleError::File), "{error}");
}

/// Each byte of what is signed, and of the signature, counts.
#[test]
fn every_altered_byte_of_an_envelope_is_noticed() {
    let key = new_key();
    let statement = Statement::of_package(&manifest(), &claims());
    let bundle = Bundle::sign(&key, &statement).to_json();
    let wire: Value = serde_json::from_slice(&bundle).unwrap();
    let envelope = &wire["dsseEnvelope"];
    let mut tried = 0;
    for place in ["/dsseEnvelope/payload", "/dsseEnvelope/signatures/0/sig"] {
        let bytes = STANDARD
            .decode(wire.pointer(place).unwrap().as_str().unwrap())
            .unwrap();
        for index in (0..bytes.len()).step_by(5) {
            let mut altered = bytes.clone();
            altered[index] ^= 1;
            let mut wire = wire.clone();
            *wire.pointer_mut(place).unwrap() = STANDARD.encode(altered).into();
            let bundle = Bundle::parse(wire.to_string().as_bytes()).unwrap();
            let verified = bundle.verify(key.public());
            assert_eq!(
                verified.unwrap_err(),
                VerifyError::Signature,
                "{place} {index}"
            );
            tried += 1;
        }
    }
    assert!(tried > 50, "{tried}");
    // The same payload as another type: what PAE is for.
    let mut other = wire.clone();
    other["dsseEnvelope"]["payloadType"] = json!("application/json");
    let other = Bundle::parse(other.to_string().as_bytes()).unwrap();
    assert_eq!(
        other.verify(key.public()).unwrap_err(),
        VerifyError::Signature
    );
    // A signature of the bare payload, without DSSE's header.
    let bare = STANDARD
        .decode(envelope["payload"].as_str().unwrap())
        .unwrap();
    let mut other = wire.clone();
    other["dsseEnvelope"]["signatures"][0]["sig"] = STANDARD.encode(key.sign(&bare)).into();
    let other = Bundle::parse(other.to_string().as_bytes()).unwrap();
    assert_eq!(
        other.verify(key.public()).unwrap_err(),
        VerifyError::Signature
    );
}

#[test]
fn what_is_no_bundle_is_told_apart() {
    let good: Value = serde_json::from_slice(&fixture("bundle.json")).unwrap();
    let parse = |change: &dyn Fn(&mut Value)| {
        let mut bundle = good.clone();
        change(&mut bundle);
        Bundle::parse(bundle.to_string().as_bytes()).map_err(|error| error.to_string())
    };
    assert!(parse(&|_| {}).is_ok());
    let error = |change: &dyn Fn(&mut Value)| parse(change).unwrap_err();
    assert_eq!(
        error(&|bundle| bundle["mediaType"] =
            json!("application/vnd.dev.sigstore.bundle+json;version=0.1")),
        "it is a bundle of the type `application/vnd.dev.sigstore.bundle+json;version=0.1`; \
         `application/vnd.dev.sigstore.bundle.v0.3+json` is understood"
    );
    assert_eq!(
        error(&|bundle| bundle["verificationMaterial"] = json!({"certificate": {"rawBytes": ""}})),
        "it is signed with a certificate, not with a key"
    );
    let two = json!([{ "sig": "" }, { "sig": "" }]);
    assert_eq!(
        error(&|bundle| bundle["dsseEnvelope"]["signatures"] = two.clone()),
        "`dsseEnvelope.signatures` in it is damaged"
    );
    assert_eq!(
        error(&|bundle| bundle["dsseEnvelope"]["payload"] = json!("%")),
        "`dsseEnvelope.payload` in it is damaged"
    );
    let json = Bundle::parse(b"{}").unwrap_err();
    assert!(matches!(json, BundleError::Json(_)), "{json}");
    assert!(Bundle::parse(&b"[".repeat(100_000)).is_err());
}

#[test]
fn any_statement_is_signed_by_the_same_means() {
    let key = new_key();
    let predicate = json!({ "buildDefinition": { "buildType": "https://example.com/rust" } });
    let mut subject = Subject::of(&manifest());
    subject.name = Some("acme:hardening".into());
    let statement = Statement::new(subject, "https://slsa.dev/provenance/v1", predicate.clone());
    let bytes = Bundle::sign(&key, &statement).to_json();
    let read = Bundle::parse(&bytes).unwrap();
    assert_eq!(read.unverified_statement().unwrap(), statement);
    let read = read.verify(key.public()).unwrap();
    assert_eq!(read, statement);
    assert_eq!(read.predicate, predicate);
    // The same key and statement, the same bytes.
    assert_eq!(Bundle::sign(&key, &statement).to_json(), bytes);
}

#[test]
fn the_older_form_is_read() {
    let said = legacy().verify(&cosign_public()).unwrap();
    assert_eq!(said.manifest, manifest());
    assert_eq!(said.reference, "127.0.0.1:5971/acme/hardening");
    assert!(said.annotations.is_empty());
    let stranger = new_key();
    assert_eq!(
        legacy().verify(stranger.public()),
        Err(VerifyError::Signature)
    );

    // What the tests make is what cosign makes, with what `-a` adds.
    let reference = "127.0.0.1:5971/acme/hardening";
    let sign = |said| legacy_signature(&stranger, &manifest(), reference, &said);
    let plain = sign(Value::Null).payload;
    assert_eq!(plain, fixture("legacy.json"));
    let ours = sign(json!({ "dev.darkroom.version": "1.2.0" }));
    let said = ours.verify(stranger.public()).unwrap();
    assert_eq!(said.annotations["dev.darkroom.version"], "1.2.0");

    let altered = LegacySignature {
        payload: fixture_text("legacy.json").replace("cb3f", "cb3e").into(),
        ..legacy()
    };
    assert_eq!(
        altered.verify(&cosign_public()),
        Err(VerifyError::Signature)
    );
    // Something else that the same key has signed is no signature of a package.
    let payload = b"{\"critical\":{\"type\":\"a letter\"}}".to_vec();
    let letter = LegacySignature {
        signature: STANDARD.encode(stranger.sign(&payload)),
        payload,
    };
    let error = letter.verify(stranger.public()).unwrap_err();
    assert!(matches!(error, VerifyError::Kind { .. }), "{error}");
}

/// `cosign` itself, where it is installed, on what is written here.
#[test]
fn cosign_accepts_what_is_written_here() {
    if std::env::var_os("DARKROOM_LONG").is_none() {
        println!("long tier: cosign_accepts_what_is_written_here");
        return;
    }
    if Command::new("cosign").arg("version").output().is_err() {
        println!("not run: cosign is not installed");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let key = new_key();
    let file = fixture("manifest.json");
    std::fs::write(path("k.pub"), key.public().to_pem().unwrap()).unwrap();
    std::fs::write(path("file"), &file).unwrap();
    let statement = Statement::of_package(&manifest(), &claims());
    std::fs::write(path("sign.json"), Bundle::sign(&key, &statement).to_json()).unwrap();
    let run = |arguments: &[&str]| {
        let output = Command::new("cosign")
            .args(arguments)
            .current_dir(folder.path())
            .env("HOME", folder.path())
            .output()
            .unwrap();
        (
            output.status.success(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )
    };
    let attested = [
        "verify-blob-attestation",
        "--key",
        "k.pub",
        "--insecure-ignore-tlog",
        "--type",
        COSIGN_PREDICATE_TYPE,
        "--bundle",
        "sign.json",
        "file",
    ];
    let (good, said) = run(&attested);
    assert!(good, "{said}");
    std::fs::write(path("file"), b"another file").unwrap();
    assert!(!run(&attested).0);
}
