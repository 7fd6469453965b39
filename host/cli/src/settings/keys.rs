//! The table of all settings. Reading and deciding is done elsewhere; nothing here looks
//! at a file or the environment.

/// One setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    On,
    Region,
    Account,
    OnFailure,
    Color,
    Progress,
    Driver,
    Mirror,
    Components,
    Examples,
    State,
    Local,
    Cache,
    Trust,
}

/// Which files may set it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// The project's and the user's.
    Project,
    /// The user's alone: it is about the machine, and must be the same for every
    /// project that shares the local cloud and the runs.
    User,
}

/// What is known of a setting.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) key: Key,
    /// Its name in files.
    pub(crate) name: &'static str,
    pub(crate) flag: Option<&'static str>,
    pub(crate) variable: &'static str,
    pub(crate) scope: Scope,
    /// All that it can be; anything if empty.
    pub(crate) values: &'static [&'static str],
    /// What a value is, for "`x` is not …".
    pub(crate) noun: &'static str,
    /// What is so when nobody says anything.
    pub(crate) default: &'static str,
    pub(crate) about: &'static str,
}

impl Key {
    /// Its row of the table.
    pub(crate) fn known(self) -> &'static Known {
        // The test below says that every key is there.
        KEYS.iter()
            .find(|known| known.key == self)
            .unwrap_or(&KEYS[0])
    }
}

/// Every setting.
pub(crate) const KEYS: &[Known] = &[
    Known {
        key: Key::On,
        name: "on",
        flag: Some("--on"),
        variable: "DARKROOM_ON",
        scope: Scope::Project,
        values: &["local", "aliyun"],
        noun: "a cloud",
        default: "local",
        about: "the cloud: this machine, or Alibaba Cloud ECS",
    },
    Known {
        key: Key::Region,
        name: "region",
        flag: Some("--region"),
        variable: "DARKROOM_REGION",
        scope: Scope::Project,
        values: &[],
        noun: "a region",
        default: "the first of `distribute.regions`, else cn-hangzhou",
        about: "the region in which images are built and looked for",
    },
    Known {
        key: Key::Account,
        name: "account",
        flag: Some("--account"),
        variable: "DARKROOM_ACCOUNT",
        scope: Scope::Project,
        values: &[],
        noun: "an account",
        default: "local: `first`; aliyun: the environment's keys, else the current profile",
        about: "whose keys: an account of the local cloud, or a profile of ~/.aliyun/config.json",
    },
    Known {
        key: Key::OnFailure,
        name: "on-failure",
        flag: Some("--on-failure"),
        variable: "DARKROOM_ON_FAILURE",
        scope: Scope::Project,
        values: &["cleanup", "keep", "ask"],
        noun: "something to do after a failure",
        default: "cleanup",
        about: "what becomes of the instance of a build that failed",
    },
    Known {
        key: Key::Color,
        name: "color",
        flag: Some("--color"),
        variable: "DARKROOM_COLOR",
        scope: Scope::Project,
        values: &["auto", "always", "never"],
        noun: "a time for colours",
        default: "auto",
        about: "colours; auto: on a terminal, and as NO_COLOR and CLICOLOR_FORCE say",
    },
    Known {
        key: Key::Progress,
        name: "progress",
        flag: Some("--progress"),
        variable: "DARKROOM_PROGRESS",
        scope: Scope::Project,
        values: &["auto", "tree", "plain", "json"],
        noun: "a kind of progress",
        default: "auto",
        about: "how a run is shown; auto: a tree on a terminal, plain lines elsewhere or with CI=true",
    },
    Known {
        key: Key::Driver,
        name: "driver",
        flag: Some("--driver"),
        variable: "DARKROOM_DRIVER",
        scope: Scope::User,
        values: &["sandbox", "sim"],
        noun: "a driver",
        default: "sandbox",
        about: "what runs the local cloud's instances, when its server is started",
    },
    Known {
        key: Key::Mirror,
        name: "mirror",
        flag: Some("--mirror"),
        variable: "DARKROOM_MIRROR",
        scope: Scope::User,
        values: &[],
        noun: "a mirror",
        default: "this machine's own package source",
        about: "where `local bootstrap` takes packages from",
    },
    Known {
        key: Key::Components,
        name: "components",
        flag: None,
        variable: "DARKROOM_COMPONENTS",
        scope: Scope::User,
        values: &[],
        noun: "a folder",
        default: "beside the program",
        about: "the folder of the system components",
    },
    Known {
        key: Key::Examples,
        name: "examples",
        flag: None,
        variable: "DARKROOM_EXAMPLES",
        scope: Scope::User,
        values: &[],
        noun: "a folder",
        default: "beside the program",
        about: "the folder of the examples of `darkroom init`",
    },
    Known {
        key: Key::State,
        name: "state",
        flag: None,
        variable: "DARKROOM_STATE",
        scope: Scope::User,
        values: &[],
        noun: "a folder",
        default: "root: /var/lib/darkroom, else $XDG_STATE_HOME/darkroom",
        about: "where runs are kept",
    },
    Known {
        key: Key::Local,
        name: "local",
        flag: None,
        variable: "DARKROOM_LOCAL",
        scope: Scope::User,
        values: &[],
        noun: "a folder",
        default: "`local` in the folder of `state`",
        about: "where the local cloud is kept",
    },
    Known {
        key: Key::Cache,
        name: "cache",
        flag: None,
        variable: "DARKROOM_CACHE",
        scope: Scope::User,
        values: &[],
        noun: "a folder",
        default: "root: /var/cache/darkroom, else $XDG_CACHE_HOME/darkroom",
        about: "where compiled components, packages and bootstrapped systems are kept",
    },
    Known {
        key: Key::Trust,
        name: "trust",
        flag: None,
        variable: "DARKROOM_TRUST",
        scope: Scope::User,
        values: &[],
        noun: "a file",
        default: "`trust.yaml` beside the user's file, if it is there",
        about: "the policy that says which signatures packages must have",
    },
];

/// What the files can hold beside texts.
const TABLES: &str = "\n\
    [registries], both files, the user's first: where packages are\n\
    \x20   acme = \"ghcr.io/acme-corp\" has acme:web at ghcr.io/acme-corp/acme/web; a key can be\n\
    \x20   one package, \"acme:web\". What they don't name is looked up in the config.toml of wkg;\n\
    \x20   who logs in where is read from there and from docker's config.json.\n\
    \n\
    [override], the project's file: a file in place of a package, for its author\n\
    \x20   \"acme:web\" = \"./web.wasm\" is used in this folder's templates and never pinned.\n";

/// The table for people: `darkroom help configuration`.
pub(crate) fn table() -> String {
    let mut text = String::from(
        "A setting is what the flag says, else the environment, else the project's file, else\n\
         the user's file, else its default. The project's file is `darkroom.toml` beside the\n\
         template; the user's is `~/.config/darkroom/config.toml`. Both are TOML with the names\n\
         below as keys and texts as values; `darkroom config show` says what holds and why.\n",
    );
    for known in KEYS {
        let files = match known.scope {
            Scope::Project => "both files",
            Scope::User => "the user's file",
        };
        let flag = known.flag.map_or(String::new(), |flag| format!("{flag}, "));
        let mut lines = vec![
            format!("{}: {}", known.name, known.about),
            format!("    {flag}{}, {files}", known.variable),
        ];
        if !known.values.is_empty() {
            lines.push(format!("    one of {}", known.values.join(", ")));
        }
        lines.push(format!("    default: {}", known.default));
        text.push('\n');
        text.push_str(&lines.join("\n"));
        text.push('\n');
    }
    text.push_str(TABLES);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_has_its_own_row() {
        let all = [
            Key::On,
            Key::Region,
            Key::Account,
            Key::OnFailure,
            Key::Color,
            Key::Progress,
            Key::Driver,
            Key::Mirror,
            Key::Components,
            Key::Examples,
            Key::State,
            Key::Local,
            Key::Cache,
            Key::Trust,
        ];
        assert_eq!(KEYS.len(), all.len());
        for (key, known) in all.into_iter().zip(KEYS) {
            assert_eq!(key.known().key, key);
            assert_eq!(
                known.key, key,
                "the table is in the order of the enumeration"
            );
            let variable = known.name.to_uppercase().replace('-', "_");
            assert_eq!(known.variable, format!("DARKROOM_{variable}"));
            if let Some(flag) = known.flag {
                assert_eq!(flag, format!("--{}", known.name));
            }
        }
    }

    #[test]
    fn the_table_for_people() {
        insta::assert_snapshot!(table());
    }
}
