//! What verifying and keeping cost a package. Printed, and held to generous floors.

use std::time::{Duration, Instant};

use darkroom_registry::cache::{Cache, Found, Limit};
use darkroom_registry::sign::Signature;
use darkroom_registry::trust::{Candidate, Policy};

use crate::{contents, fixture, fixture_text, key, manifest};

/// The mean of this many runs.
fn mean(runs: u32, mut one: impl FnMut()) -> Duration {
    let begun = Instant::now();
    for _ in 0..runs {
        one();
    }
    begun.elapsed() / runs
}

#[test]
fn a_package_is_verified_and_read_in_milliseconds() {
    let pem = fixture_text("cosign.pub").replace('\n', "\n          ");
    let text = format!(
        "version: 1\nrules:\n  - package: 'acme:*'\n    require: signed\n    keys:\n      - |\n          {pem}"
    );
    let policy = Policy::parse(&text, "trust.yaml", None).unwrap();
    let signatures = [Signature::Bundle(fixture("bundle.json"))];
    let candidate = Candidate {
        called: "acme:hardening@1.2.0",
        package: Some(&"acme:hardening".parse().unwrap()),
        version: Some(&"1.2.0".parse().unwrap()),
        manifest: manifest(),
        signatures: &signatures,
    };
    let verified = mean(100, || {
        assert!(policy.judge(&candidate).signer().is_some());
    });
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::open(folder.path(), Limit::default()).unwrap();
    cache
        .store(&key("1.0.0"), &contents("1.0.0", 1 << 20))
        .unwrap();
    let read = mean(20, || {
        let found = cache.find(&key("1.0.0"), None).unwrap();
        assert!(matches!(found, Found::Kept(_)));
    });
    println!("verification of a package: {verified:?}; 1 MiB from the cache: {read:?}");
    // A hundred times what a quiet machine needs.
    assert!(verified < Duration::from_millis(70), "{verified:?}");
    assert!(read < Duration::from_millis(200), "{read:?}");
}
