//! How long thirty packages take, cold and warm. Printed; what is kept must pay, however
//! slow the machine is.

use std::sync::Arc;
use std::time::Instant;

use crate::server::{Kind, Server, anybody, component, metadata};
use darkroom_registry::cache::{Cache, Limit};
use darkroom_registry::client::{Client, Settings};
use darkroom_registry::config::Registries;
use darkroom_registry::publish::With;
use darkroom_registry::resolve::{Locked, Mode, Resolver, Wanted};
use darkroom_registry::trust::Policy;

const PACKAGES: usize = 30;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thirty_packages_cold_and_warm() {
    let Some(server) = Server::start(&Kind::default()) else {
        return;
    };
    let mut wanted = Vec::new();
    let publisher = anybody();
    for at in 0..PACKAGES {
        let name = format!("acme:p{at}");
        let place = server.at(&format!("acme/p{at}"));
        let said = metadata(&name, "1.0.0");
        publisher
            .publish(&place, component(200_000 + at), &said, &With::default())
            .await
            .expect("published");
        wanted.push(Wanted {
            name: name.parse().expect("a name"),
            requirement: None,
            locked: None,
        });
    }
    let folder = tempfile::tempdir().expect("a folder");
    let resolver = || {
        let mut registries = Registries::new();
        registries.map("acme", &server.host).expect("mapped");
        let cache = Cache::open(folder.path(), Limit::default()).expect("a cache");
        let client = Client::new(registries, Settings::default());
        Resolver::new(client, Arc::new(cache), Arc::new(Policy::unchecked()))
    };
    let since = Instant::now();
    let mut locked = Vec::new();
    for (package, wanted) in resolver()
        .resolve_all(&wanted, Mode::Normal)
        .await
        .into_iter()
        .zip(&wanted)
    {
        let package = package.expect("resolved");
        let entry = Locked {
            version: package.version,
            digest: package.digest,
            located: Some(package.located),
            signer: None,
        };
        locked.push(Wanted {
            locked: Some(entry),
            ..wanted.clone()
        });
    }
    let cold = since.elapsed();
    let since = Instant::now();
    for package in resolver().resolve_all(&locked, Mode::Normal).await {
        assert!(!package.expect("kept").pulled);
    }
    let warm = since.elapsed();
    println!("{PACKAGES} packages of 200 kB: {cold:?} cold, {warm:?} warm");
    assert!(warm * 2 < cold, "{warm:?}, {cold:?}");
}
