//! What `trust.yaml` may say, and what is decided by it, in the words people read.

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use darkroom_registry::digest::Digest;
use darkroom_registry::sign::{
    Bundle, Claims, LegacySignature, PrivateKey, Signature, Statement, Subject,
};
use darkroom_registry::trust::{Candidate, Pattern, Policy, Require, Verdict, Why};
use semver::Version;
use serde_json::{Value, json};

use crate::{cosign_public, fixture, fixture_text, legacy_signature, manifest, new_key};

/// A folder with keys, and the folder's handle.
fn folder() -> (tempfile::TempDir, Dir) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("keys")).unwrap();
    std::fs::write(folder.path().join("keys/acme.pub"), fixture("cosign.pub")).unwrap();
    std::fs::write(folder.path().join("acme.key"), fixture("cosign.key")).unwrap();
    std::fs::write(folder.path().join("binary"), [0xff; 20]).unwrap();
    std::fs::write(folder.path().join("large"), "x".repeat(70_000)).unwrap();
    std::os::unix::fs::symlink("/etc/hostname", folder.path().join("link")).unwrap();
    let dir = Dir::open_ambient_dir(folder.path(), ambient_authority()).unwrap();
    (folder, dir)
}

fn parse(text: &str) -> Result<Policy, String> {
    let (_folder, dir) = folder();
    Policy::parse(text, "trust.yaml", Some(&dir)).map_err(|mistakes| mistakes.to_string())
}

fn rule(text: &str) -> String {
    format!("version: 1\nrules:\n  - {}\n", text.replace('\n', "\n    "))
}

const SIGNED: &str = "package: 'acme:*'\nrequire: signed\nkeys: [keys/acme.pub]";

#[test]
fn a_policy_is_read_in_its_order() {
    let inline = fixture_text("cosign.pub").replace('\n', "\n          ");
    let text = format!(
        "# ours\nversion: 1\nrules:\n  - package: 'acme:hardening'\n    require: signed\n    \
         keys:\n      - keys/acme.pub\n  - package: 'acme:*'\n    require: warn\n    keys:\n      \
         - |\n          {inline}\n  - package: '*'\n    require: none\n"
    );
    let policy = parse(&text).unwrap();
    let rules = policy.rules();
    let seen: Vec<_> = rules
        .iter()
        .map(|rule| (rule.line, rule.pattern.to_string(), rule.require))
        .collect();
    assert_eq!(
        seen,
        [
            (4, "acme:hardening".into(), Require::Signed),
            (8, "acme:*".into(), Require::Warn),
            (17, "*".into(), Require::None),
        ]
    );
    assert_eq!(rules[0].keys[0].name, "keys/acme.pub");
    assert_eq!(rules[1].keys[0].name, "the key on line 12");
    assert_eq!(rules[1].keys[0].key, cosign_public());
    assert!(policy.is_checked() && !Policy::unchecked().is_checked());
}

#[test]
fn a_pattern_fits_whole_names() {
    let fits = |pattern: &Pattern, name: &str| pattern.fits(Some(&name.parse().unwrap()));
    let namespace = Pattern::Namespace("acme".into());
    assert!(fits(&namespace, "acme:a"));
    assert!(!fits(&namespace, "acme2:a"));
    assert!(!namespace.fits(None));
    let package = Pattern::Package("acme:a".parse().unwrap());
    assert!(fits(&package, "acme:a"));
    assert!(!fits(&package, "acme:ab"));
    assert!(!package.fits(None));
    assert!(fits(&Pattern::All, "x:y") && Pattern::All.fits(None));
}

#[test]
fn each_mistake_has_its_place_and_its_words() {
    let cases = [
        ("", "1:1: the policy is empty"),
        ("version: 1\nrules: [\n", "3:1: this is not YAML: "),
        ("- a", "1:1: a policy must be a mapping"),
        ("rules: []", "1:1: the policy has no `version`"),
        ("version: 1", "1:1: the policy has no `rules`"),
        (
            "version: 2\nrules: []",
            "1:10: the policy has version 2; version 1 is understood",
        ),
        ("version: '1'\nrules: []", "1:10: `version` must be 1"),
        (
            "version: 1\nrules: []\nrule: []",
            "3:1: unknown key `rule` in a policy",
        ),
        ("version: 1\nrules: {}", "2:8: `rules` must be a list"),
        (
            "version: 1\nrules: []\n---\na: 1",
            "4:1: a policy is one document",
        ),
        (
            "version: 1\nversion: 1\nrules: []",
            "2:1: this is not YAML: ",
        ),
        (&rule("text"), "3:5: a rule must be a mapping"),
        (&rule("require: none"), "3:5: the rule has no `package`"),
        (&rule("package: '*'"), "3:5: the rule has no `require`"),
        (
            &rule("package: '*'\nrequire: none\nkey: x"),
            "5:5: unknown key `key` in a rule",
        ),
        (
            &rule("package: acme\nrequire: none"),
            "3:14: `acme` can't be `package`",
        ),
        (
            &rule("package: 'Acme:*'\nrequire: none"),
            "3:14: `Acme:*` can't be `package`",
        ),
        (
            &rule("package: 'a:b*'\nrequire: none"),
            "3:14: `a:b*` can't be `package`",
        ),
        (
            &rule("package: '*:b'\nrequire: none"),
            "3:14: `*:b` can't be `package`",
        ),
        (
            &rule("package: 'acme:'\nrequire: none"),
            "3:14: `acme:` can't be `package`",
        ),
        (
            &rule("package: 1\nrequire: none"),
            "3:14: `1` can't be `package`",
        ),
        (
            &rule("package: '*'\nrequire: yes"),
            "4:14: `yes` can't be `require`",
        ),
        (
            &rule("package: '*'\nrequire: true"),
            "4:14: `true` can't be `require`",
        ),
        (
            &rule("package: '*'\nrequire: signed"),
            "3:5: the rule has no `keys`, which `require: signed` needs",
        ),
        (
            &rule("package: '*'\nrequire: none\nkeys: [keys/acme.pub]"),
            "5:11: `keys` has no effect with `require: none`",
        ),
        (
            &rule("package: '*'\nrequire: warn\nkeys: []"),
            "5:11: `keys` is empty",
        ),
        (
            &rule("package: '*'\nrequire: warn\nkeys: a.pub"),
            "5:11: `keys` must be a list",
        ),
        (
            &rule("package: '*'\nrequire: warn\nkeys: [1]"),
            "5:12: `1` can't be a key",
        ),
        (
            &rule("package: '*'\nrequire: warn\nkeys: [keys/acme.pub, ./keys/acme.pub]"),
            "5:27: this is the same key as keys/acme.pub",
        ),
        (
            &rule("package: '*'\nrequire: warn\nkeys: [keys/none.pub]"),
            "5:12: the key `keys/none.pub`: there is no such file",
        ),
        (
            &rule("package: '*'\nrequire: warn\nkeys: [/etc/acme.pub]"),
            "5:12: the key `/etc/acme.pub`: it must lie in the folder of trust.yaml",
        ),
        (
            &rule("package: '*'\nrequire: warn\nkeys: [../acme.pub]"),
            "5:12: the key `../acme.pub`: it must lie in the folder of trust.yaml",
        ),
        (
            &rule("package: '*'\nrequire: warn\nkeys: [link]"),
            "5:12: the key `link`: it must lie in the folder of trust.yaml",
        ),
        (
            &rule("package: '*'\nrequire: warn\nkeys: [keys]"),
            "5:12: the key `keys`: it can't be read: Is a directory (os error 21)",
        ),
        (
            &rule("package: '*'\nrequire: warn\nkeys: [large]"),
            "5:12: the key `large`: it is larger than 64 KiB",
        ),
        (
            &rule("package: '*'\nrequire: warn\nkeys: [binary]"),
            "5:12: the key `binary`: it is not a key in PEM form",
        ),
        (
            &rule("package: '*'\nrequire: warn\nkeys: [acme.key]"),
            "5:12: the key `acme.key`: it is a private key; a public one belongs here",
        ),
        (
            &rule("package: '*'\nrequire: warn\nkeys: ['-----BEGIN PUBLIC KEY-----']"),
            "5:12: the key that stands here: it is not a key in PEM form",
        ),
        (
            &rule(
                &format!("{SIGNED}\n")
                    .replace("\nk", "\n# é\nk")
                    .replace("acme.pub", "ä.pub"),
            ),
            "6:12: the key `keys/ä.pub`: there is no such file",
        ),
        (
            "version: 1\nrules:\n  - package: 'acme:*'\n    require: none\n  - package: 'acme:a'\n    require: none\n",
            "5:14: this rule is never reached: 'acme:*' on line 3 fits first",
        ),
    ];
    let mut other = Vec::new();
    for (text, wanted) in cases {
        let said = parse(text).unwrap_err();
        let wanted = format!("trust.yaml:{wanted}");
        // What the YAML library says is its own affair.
        let fits = said == wanted || wanted.ends_with(": ") && said.starts_with(&wanted);
        if !fits {
            other.push(format!("{text}\nwanted: {wanted}\nsaid:   {said}\n"));
        }
    }
    assert!(other.is_empty(), "{}", other.join("\n"));
}

#[test]
fn all_mistakes_are_told_at_once_each_with_help_and_its_bytes() {
    let (_folder, dir) = folder();
    let text = rule("package: é:x\nrequire: maybe\nkeys: [none.pub]\nmore: 1");
    let mistakes = Policy::parse(&text, "t", Some(&dir)).unwrap_err().0;
    let marked: Vec<_> = mistakes
        .iter()
        .map(|mistake| &text[mistake.span.clone()])
        .collect();
    assert_eq!(marked, ["é:x", "maybe", "none.pub", "more"]);
    assert!(mistakes.iter().all(|mistake| !mistake.help.is_empty()));
    let without = Policy::parse(&rule(SIGNED), "t", None).unwrap_err();
    assert_eq!(
        without.to_string(),
        "t:5:12: the key `keys/acme.pub`: this policy can't name files"
    );
}

/// A policy that trusts `key` for `acme:*` and asks for nothing of `free:*`.
fn policy(key: &PrivateKey, require: &str) -> Policy {
    let (folder, dir) = folder();
    let pem = key.public().to_pem().unwrap();
    std::fs::write(folder.path().join("keys/ours.pub"), pem).unwrap();
    let text = format!(
        "version: 1\nrules:\n  - package: 'acme:*'\n    require: {require}\n    \
         keys: [keys/ours.pub, keys/acme.pub]\n  - package: 'free:*'\n    require: none\n"
    );
    Policy::parse(&text, "trust.yaml", Some(&dir)).unwrap()
}

fn judge(policy: &Policy, package: &str, signatures: &[Signature]) -> Verdict {
    let called = format!("{package}@1.2.0");
    policy.judge(&Candidate {
        called: &called,
        package: Some(&package.parse().unwrap()),
        version: Some(&Version::new(1, 2, 0)),
        manifest: manifest(),
        signatures,
    })
}

fn bundle(key: &PrivateKey, digest: &Digest, claims: &Claims) -> Signature {
    Signature::Bundle(Bundle::sign(key, &Statement::of_package(digest, claims)).to_json())
}

/// The older form, with the same claims.
fn legacy(key: &PrivateKey, digest: &Digest) -> LegacySignature {
    let said = json!({
        "dev.darkroom.package": "acme:hardening", "dev.darkroom.version": "1.2.0"
    });
    legacy_signature(key, digest, "ghcr.io/acme", &said)
}

/// A bundle with something changed in its JSON.
fn changed(signature: &Signature, change: impl Fn(&mut Value)) -> Signature {
    let Signature::Bundle(bytes) = signature else {
        unreachable!()
    };
    let mut bundle = serde_json::from_slice(bytes).unwrap();
    change(&mut bundle);
    Signature::Bundle(bundle.to_string().into_bytes())
}

fn cosigns_legacy() -> Signature {
    Signature::Legacy(LegacySignature {
        payload: fixture("legacy.json"),
        signature: fixture_text("legacy.sig"),
    })
}

#[test]
fn what_a_trusted_key_signed_is_trusted() {
    let key = new_key();
    let policy = policy(&key, "signed");
    let claims = Claims::new("acme:hardening", "1.2.0");
    let ours = bundle(&key, &manifest(), &claims);
    let legacy = legacy(&key, &manifest());
    let stranger = bundle(&new_key(), &manifest(), &claims);
    let junk = Signature::Bundle(b"junk".to_vec());
    let cosign = Signature::Bundle(fixture("bundle.json"));
    let plain = Signature::Bundle(fixture("bundle-plain.json"));
    for (signatures, name) in [
        (vec![ours.clone()], "keys/ours.pub"),
        (
            vec![bundle(&key, &manifest(), &Claims::default())],
            "keys/ours.pub",
        ),
        (vec![Signature::Legacy(legacy)], "keys/ours.pub"),
        (vec![cosign], "keys/acme.pub"),
        (vec![plain], "keys/acme.pub"),
        (vec![cosigns_legacy()], "keys/acme.pub"),
        // One good one is enough, wherever it stands.
        (vec![junk, stranger, ours], "keys/ours.pub"),
    ] {
        let verdict = judge(&policy, "acme:hardening", &signatures);
        let signer = verdict.signer().unwrap_or_else(|| panic!("{verdict:?}"));
        assert_eq!(signer.name, name);
        let id = if name == "keys/ours.pub" {
            key.public().id()
        } else {
            cosign_public().id()
        };
        assert_eq!(signer.id, id);
    }
    assert_eq!(judge(&policy, "free:a", &[]), Verdict::Unchecked);
    assert_eq!(
        judge(&Policy::unchecked(), "acme:a", &[]),
        Verdict::Unchecked
    );
}

#[test]
fn a_hint_is_only_a_hint() {
    let key = new_key();
    let policy = policy(&key, "signed");
    let good = bundle(&key, &manifest(), &Claims::default());
    let unnamed = changed(&good, |bundle| {
        bundle["verificationMaterial"]["publicKey"] = json!({});
    });
    assert!(judge(&policy, "acme:a", &[unnamed]).signer().is_some());
}

#[test]
fn each_refusal_says_which_rule_failed_and_why() {
    let key = new_key();
    let policy = policy(&key, "signed");
    let stranger = new_key();
    let other = Digest::of(b"another manifest");
    let claims = Claims::new("acme:hardening", "1.2.0");
    let good = bundle(&key, &manifest(), &claims);
    let (name, found) = (stranger.public().id(), manifest());
    let provenance = Statement::new(
        Subject::of(&manifest()),
        "https://slsa.dev/provenance/v1",
        json!({}),
    );
    let provenance = Signature::Bundle(Bundle::sign(&key, &provenance).to_json());
    let of_file = Signature::Bundle(fixture("blob.json"));
    let altered = changed(&good, |bundle| {
        let payload = bundle["dsseEnvelope"]["payload"].as_str().unwrap();
        bundle["dsseEnvelope"]["payload"] = payload.replacen("eyJ", "eyI", 1).into();
    });
    let by_another = legacy(&stranger, &manifest());
    let moved = legacy(&key, &other);
    let unsigned = "it isn't signed".to_owned();
    let cases = [
        (vec![], unsigned.clone()),
        (vec![provenance], unsigned),
        (
            vec![bundle(&stranger, &manifest(), &claims)],
            format!("it isn't signed by keys/ours.pub or keys/acme.pub, but by {name}"),
        ),
        (
            vec![Signature::Legacy(by_another)],
            "it isn't signed by keys/ours.pub or keys/acme.pub, but by somebody else".into(),
        ),
        (
            vec![bundle(&key, &other, &claims)],
            format!(
                "its signature is of other content: keys/ours.pub signed {other}, this is {found}"
            ),
        ),
        (
            vec![Signature::Legacy(moved)],
            format!(
                "its signature is of other content: keys/ours.pub signed {other}, this is {found}"
            ),
        ),
        (
            vec![bundle(
                &key,
                &manifest(),
                &Claims::new("acme:hardening", "1.0.0"),
            )],
            "it was re-tagged: keys/ours.pub signed it as acme:hardening@1.0.0".into(),
        ),
        (
            vec![bundle(
                &key,
                &manifest(),
                &Claims::new("acme:other", "1.2.0"),
            )],
            "it was re-tagged: keys/ours.pub signed it as acme:other@1.2.0".into(),
        ),
        (
            vec![altered.clone()],
            "its signature names keys/ours.pub, and was altered: that key didn't sign this".into(),
        ),
        (
            vec![Signature::Bundle(b"{}".to_vec())],
            "its signature can't be read: it is not a Sigstore bundle".into(),
        ),
        (
            vec![of_file],
            "its signature can't be read: it signs a file, not a statement".into(),
        ),
        // Of several the one that says most.
        (
            vec![
                bundle(&stranger, &manifest(), &claims),
                altered,
                Signature::Bundle(b"{}".to_vec()),
            ],
            "its signature names keys/ours.pub, and was altered: that key didn't sign this".into(),
        ),
    ];
    for (signatures, why) in cases {
        let Verdict::Refused(refusal) = judge(&policy, "acme:hardening", &signatures) else {
            panic!("not refused: {why}");
        };
        assert_eq!(
            refusal.to_string(),
            format!("acme:hardening@1.2.0 fails the rule 'acme:*' (trust.yaml:3): {why}")
        );
        assert!(!refusal.hint().is_empty());
    }
}

#[test]
fn a_policy_that_says_nothing_of_a_package_refuses_it() {
    let policy = policy(&new_key(), "signed");
    let signatures = [Signature::Bundle(fixture("bundle.json"))];
    let Verdict::Refused(refusal) = judge(&policy, "other:thing", &signatures) else {
        panic!("not refused");
    };
    assert_eq!(refusal.why, Why::NoRule);
    assert_eq!(
        refusal.to_string(),
        "other:thing@1.2.0 is not trusted: no rule fits it in trust.yaml"
    );
}

#[test]
fn a_warning_lets_pass_and_says_the_same() {
    let key = new_key();
    let policy = policy(&key, "warn");
    let Verdict::Warned(refusal) = judge(&policy, "acme:hardening", &[]) else {
        panic!("no warning");
    };
    assert_eq!(refusal.why, Why::Unsigned);
    let good = bundle(&key, &manifest(), &Claims::default());
    assert!(judge(&policy, "acme:a", &[good]).signer().is_some());
}

/// Asked for by its place in a registry, there is no name and no version to compare.
#[test]
fn a_package_without_a_name_is_judged_by_the_rule_for_all() {
    let pem = fixture_text("cosign.pub").replace('\n', "\n          ");
    let text = format!(
        "version: 1\nrules:\n  - package: 'acme:*'\n    require: none\n  - package: '*'\n    \
         require: signed\n    keys:\n      - |\n          {pem}"
    );
    let policy = parse(&text).unwrap();
    let judge = |signatures: &[Signature]| {
        policy.judge(&Candidate {
            called: "ghcr.io/acme/hardening@sha256:cb3f",
            package: None,
            version: None,
            manifest: manifest(),
            signatures,
        })
    };
    let signed = [Signature::Bundle(fixture("bundle.json"))];
    assert!(judge(&signed).signer().is_some());
    let Verdict::Refused(refusal) = judge(&[]) else {
        panic!("not refused");
    };
    assert_eq!(
        refusal.to_string(),
        "ghcr.io/acme/hardening@sha256:cb3f fails the rule '*' (trust.yaml:5): it isn't signed"
    );
}

/// Whoever may write to a repository can attach as much as they like.
#[test]
fn signatures_without_end_are_not_all_looked_at() {
    let key = new_key();
    let policy = policy(&key, "signed");
    let mut many = vec![bundle(&new_key(), &manifest(), &Claims::default()); 64];
    many.push(bundle(&key, &manifest(), &Claims::default()));
    assert!(judge(&policy, "acme:a", &many).signer().is_none());
    assert!(judge(&policy, "acme:a", &many[1..]).signer().is_some());
}
