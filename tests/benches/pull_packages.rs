//! Thirty packages out of a registry on this machine, each by a process of its own, against
//! `wkg get` of the same in the same run; as one template's; and what a signature costs.
//!
//! `make bench`, or after `cargo build --release -p darkroom-cli`:
//! `cargo bench -p darkroom-tests --bench pull_packages`. It needs docker-registry, and wkg
//! on the path to be measured against it.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark speaks to a person, and ends where something fails"
)]

#[expect(dead_code, reason = "what is guarded is the tests'")]
#[path = "../../host/registry/tests/network/daemon.rs"]
mod daemon;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use daemon::{Daemon as Registry, Kind};
use darkroom_registry::cache::{Cache, Limit};
use darkroom_registry::client::{Client, Settings};
use darkroom_registry::config::Registries;
use darkroom_registry::layout::Metadata;
use darkroom_registry::publish::With;
use darkroom_registry::resolve::{Locked, Mode, Resolver, Wanted};
use darkroom_registry::sign::PrivateKey;
use darkroom_registry::trust::Policy;
use darkroom_tests::house::{Driver, House, binary};

const PACKAGES: usize = 30;
const KEY: &str = include_str!("../tests/packages/key.pem");
const PUBLIC: &str = include_str!("../tests/packages/key.pub");

fn name(number: usize) -> String {
    format!("acme:p{number}")
}

fn client(registry: &Registry) -> Client {
    let mut registries = Registries::new();
    registries.map("acme", &registry.host).unwrap();
    Client::new(registries, Settings::default())
}

/// A system component that is another one each time, by a section that nobody reads.
fn component(number: usize) -> Vec<u8> {
    let file = binary().with_file_name("../components/sysctl.wasm");
    let mut bytes = std::fs::read(file).unwrap();
    let number = u8::try_from(number).unwrap();
    bytes.extend([0, 3, 1, b'n', number]);
    bytes
}

async fn publish(registry: &Registry) {
    let client = client(registry);
    let key = PrivateKey::from_pem(KEY, None).unwrap();
    for number in 0..PACKAGES {
        let name = name(number).parse().unwrap();
        let place = client.locate(&name).await.unwrap();
        let metadata = Metadata::new(name, "1.0.0".parse().unwrap());
        let with = With {
            key: Some(&key),
            ..With::default()
        };
        let published = client.publish(&place, component(number).into(), &metadata, &with);
        published.await.unwrap();
    }
}

/// How long it takes until each has ended well, one after the other.
fn timed(commands: impl Iterator<Item = Command>) -> Duration {
    let since = Instant::now();
    for mut command in commands {
        let output = command.stdin(Stdio::null()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command:?}: {said}");
    }
    since.elapsed()
}

fn wkg() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let mut folders = std::env::split_paths(&path);
    folders.find_map(|folder| Some(folder.join("wkg")).filter(|file| file.is_file()))
}

/// wkg, cold and warm.
fn theirs(wkg: &Path, house: &House, host: &str) -> [Duration; 2] {
    let config = format!(
        "[namespace_registries]\nacme = \"{host}\"\n[registry.\"{host}\".oci]\nprotocol = \"http\"\n"
    );
    let config = house.write("wkg.toml", &config);
    let once = || {
        timed((0..PACKAGES).map(|number| {
            let mut command = Command::new(wkg);
            command
                .current_dir(house.path(""))
                .args(["get", &name(number), "--format", "wasm", "--overwrite"])
                .args(["--output", "./theirs.wasm", "--cache", "wkg-cache"])
                .arg("--config")
                .arg(&config);
            command
        }))
    };
    [once(), once()]
}

/// Ours; `component pull` keeps nothing, so that the second time is the first again.
fn ours(house: &House) -> [Duration; 2] {
    let once =
        || {
            timed((0..PACKAGES).map(|number| {
                house.command(&["component", "pull", &name(number), "-o", "ours.wasm"])
            }))
        };
    [once(), once()]
}

/// All of them as one template's: what a build waits for.
fn fetched(house: &House) -> [Duration; 2] {
    let uses = |number| {
        let name = name(number);
        format!("  - uses: {name}\n    with: {{ settings: {{ a.b: 1 }} }}\n")
    };
    let uses: Vec<_> = (0..PACKAGES).map(uses).collect();
    let uses = uses.concat();
    let template = format!("name: thirty\nsource: {{ family: debian-12 }}\nbuild:\n{uses}");
    house.write("t/image.yaml", &template);
    let once = || timed(std::iter::once(house.command(&["fetch", "t"])));
    [once(), once()]
}

/// Out of the cache, judged by a policy and by none: the difference is the verification.
async fn verified(registry: &Registry, folder: &Path) -> [Duration; 2] {
    let key = PUBLIC.trim_end().replace('\n', "\n        ");
    let policy = format!(
        "version: 1\nrules:\n  - package: 'acme:*'\n    require: signed\n    keys:\n      - |\n        {key}\n"
    );
    let policy = Arc::new(Policy::parse(&policy, "trust.yaml", None).unwrap());
    let cache = Arc::new(Cache::open(folder, Limit::default()).unwrap());
    let resolver = |policy| Resolver::new(client(registry), Arc::clone(&cache), policy);
    let mut wanted: Vec<Wanted> = (0..PACKAGES)
        .map(|number| Wanted {
            name: name(number).parse().unwrap(),
            requirement: None,
            locked: None,
        })
        .collect();
    let first = resolver(Arc::clone(&policy));
    let pulled = first.resolve_all(&wanted, Mode::Normal).await;
    for (one, package) in wanted.iter_mut().zip(pulled) {
        let package = package.unwrap();
        assert!(package.signer.is_some());
        one.locked = Some(Locked {
            version: package.version,
            digest: package.digest,
            located: Some(package.located),
            signer: None,
        });
    }
    let mut times = [Duration::MAX; 2];
    for _ in 0..5 {
        for (time, policy) in times
            .iter_mut()
            .zip([Policy::unchecked(), (*policy).clone()])
        {
            let resolver = resolver(Arc::new(policy));
            let since = Instant::now();
            for one in &wanted {
                resolver.resolve(one, Mode::Offline).await.unwrap();
            }
            *time = (*time).min(since.elapsed());
        }
    }
    times
}

fn line(what: &str, [cold, warm]: [Duration; 2], floor: Option<[Duration; 2]>) {
    let ratio = |ours: Duration, theirs: Duration| ours.as_secs_f64() / theirs.as_secs_f64();
    let against = floor.map_or(String::new(), |[first, second]| {
        format!(
            "   {:.2} and {:.2} of wkg's time",
            ratio(cold, first),
            ratio(warm, second)
        )
    });
    let (cold, warm) = (cold.as_secs_f64(), warm.as_secs_f64());
    println!("  {what:<34} {cold:>7.3} s {warm:>7.3} s{against}");
}

fn main() {
    let Some(registry) = Registry::serve(&Kind::default()) else {
        return;
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(publish(&registry));
    let house = House::new(Driver::Sim);
    house.make("cache");
    let config = format!("[registries]\nacme = \"{}\"\n", registry.host);
    house.write("home/.config/darkroom/config.toml", &config);

    println!(
        "{PACKAGES} signed packages of {} bytes: first and second time",
        component(0).len()
    );
    let theirs = wkg().map(|wkg| theirs(&wkg, &house, &registry.host));
    match theirs {
        Some(theirs) => line("wkg get, a process each", theirs, None),
        None => println!("  not run: there is no wkg on the path"),
    }
    line("component pull, a process each", ours(&house), theirs);
    line(
        "fetch of one template, compiled too",
        fetched(&house),
        theirs,
    );
    let folder = tempfile::tempdir().unwrap();
    let [plain, judged] = runtime.block_on(verified(&registry, folder.path()));
    let each =
        |time: Duration| time.as_secs_f64() * 1e3 / f64::from(u8::try_from(PACKAGES).unwrap());
    println!(
        "  out of the cache, a package        {:>7.3} ms, {:.3} ms of it for the signature",
        each(judged),
        each(judged.saturating_sub(plain))
    );
}
