//! Where packages come from and whom to trust: files and variables of the user, read and
//! handed to `darkroom_registry`.
//!
//! | what | where |
//! |---|---|
//! | places of packages | `[registries]` of config.toml and darkroom.toml, then wkg's config.toml (`WKG_CONFIG_FILE`) |
//! | credentials | `WKG_REGISTRY_…_AUTH_BEARER`, wkg's config.toml, then docker's config.json (`DOCKER_CONFIG`) and its programs |
//! | whom to trust | trust.yaml beside the user's config.toml, or `trust` |
//! | proxies | `HTTPS_PROXY`, `ALL_PROXY`, `NO_PROXY`, also in small letters |
//!
//! A project's file says neither whom to trust nor who logs in.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use darkroom_registry::cache::{Cache, Limit};
use darkroom_registry::client::{Client, Settings};
use darkroom_registry::config::Registries;
use darkroom_registry::config::docker::Docker;
use darkroom_registry::config::wkg::Wkg;
use darkroom_registry::trust::Policy;

use crate::failure::Failure;
use crate::places::roots::Roots;
use crate::settings::{Config, Key, user_file};

/// A file of the user can't be read.
#[derive(Debug, thiserror::Error)]
#[error("{path} can't be read")]
struct Unreadable {
    path: PathBuf,
    #[source]
    source: io::Error,
}

/// A client for all registries that are configured.
pub(crate) fn client(config: &Config) -> Result<Client, Failure> {
    let mut registries = Registries::new();
    for (key, place) in config.registries() {
        registries.map(key, place)?;
    }
    let wkg = path_of("WKG_CONFIG_FILE").or_else(|| {
        let home = path_of("XDG_CONFIG_HOME").filter(|path| path.is_absolute());
        let home = home.or_else(|| Some(path_of("HOME")?.join(".config")))?;
        Some(home.join("wasm-pkg/config.toml"))
    });
    if let Some((name, text)) = read(wkg)? {
        registries = registries.with_wkg(Wkg::parse(&text, &name)?);
    }
    for (name, value) in std::env::vars_os() {
        if let (Some(name), Some(value)) = (name.to_str(), value.to_str()) {
            registries.take_variable(name, value);
        }
    }
    let docker = path_of("DOCKER_CONFIG").or_else(|| Some(path_of("HOME")?.join(".docker")));
    if let Some((name, text)) = read(docker.map(|folder| folder.join("config.json")))? {
        let search = std::env::var_os("PATH").unwrap_or_default();
        let search = std::env::split_paths(&search).collect();
        registries = registries.with_docker(Docker::parse(&text, &name, search)?);
    }
    let variable = |names: [&str; 2]| names.into_iter().find_map(|name| std::env::var(name).ok());
    let proxy = variable(["HTTPS_PROXY", "https_proxy"]);
    let settings = Settings {
        proxy: proxy.or_else(|| variable(["ALL_PROXY", "all_proxy"])),
        no_proxy: variable(["NO_PROXY", "no_proxy"]),
        ..Settings::default()
    };
    Ok(Client::new(registries, settings))
}

/// The policy of the user; without a file nothing is checked.
pub(crate) fn policy(config: &Config) -> Result<Arc<Policy>, Failure> {
    let said = config.text(Key::Trust, None)?.map(PathBuf::from);
    let is_said = said.is_some();
    let beside = || {
        let file = user_file(&|name| std::env::var_os(name).map(PathBuf::from))?;
        Some(file.with_file_name("trust.yaml"))
    };
    let Some(path) = said.or_else(beside) else {
        return Ok(Arc::new(Policy::unchecked()));
    };
    let Some((name, text)) = read(Some(path.clone()))? else {
        if is_said {
            // A policy that was asked for and isn't there must not check nothing.
            let source = io::ErrorKind::NotFound.into();
            return Err(Failure::config(Unreadable { path, source })
                .hint("`trust` names the file: write it, or remove the setting"));
        }
        return Ok(Arc::new(Policy::unchecked()));
    };
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let dir = Dir::open_ambient_dir(folder, ambient_authority()).ok();
    let policy = Policy::parse(&text, &name, dir.as_ref()).map_err(|mistakes| {
        let help = mistakes.0.first().map(|mistake| mistake.help.clone());
        let failure = Failure::config(mistakes);
        help.into_iter().fold(failure, Failure::hint)
    })?;
    Ok(Arc::new(policy))
}

/// The cache of this user.
pub(crate) fn cache(roots: &Roots) -> Result<Arc<Cache>, Failure> {
    let folder = roots.cache_folder()?.join("packages");
    Ok(Arc::new(Cache::open(&folder, Limit::default())?))
}

fn path_of(variable: &str) -> Option<PathBuf> {
    let value = std::env::var_os(variable)?;
    (!value.is_empty()).then(|| value.into())
}

/// A file's name and text; none if it isn't there.
fn read(path: Option<PathBuf>) -> Result<Option<(String, String)>, Failure> {
    let Some(path) = path else {
        return Ok(None);
    };
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(Some((path.display().to_string(), text))),
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            Ok(None)
        }
        Err(source) => {
            let failure = Failure::config(Unreadable { path, source });
            Err(failure.hint("make it readable, or remove it"))
        }
    }
}
