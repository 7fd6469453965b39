//! The keys of each section of a template: those that are understood, and those
//! that belong to the template's language but aren't supported yet, each with what
//! to do until then.
//!
//! Flat tables, read by `read`; no logic about meaning.

/// The keys of one section.
pub(crate) struct Keys {
    /// How messages call the section: "in a template".
    pub(crate) title: &'static str,
    known: &'static [&'static str],
    unsupported: &'static [(&'static str, &'static str)],
}

impl Keys {
    pub(crate) fn known(&self, key: &str) -> bool {
        self.known.contains(&key)
    }

    /// What to do instead of using a key that isn't supported yet.
    pub(crate) fn unsupported(&self, key: &str) -> Option<&'static str> {
        self.unsupported
            .iter()
            .find(|(name, _)| *name == key)
            .map(|(_, instead)| *instead)
    }

    /// The names that a wrong key may have been meant for.
    pub(crate) fn candidates(&self) -> impl Iterator<Item = &'static str> {
        self.known.iter().copied()
    }

    pub(crate) fn list(&self) -> String {
        crate::read::quoted(self.candidates())
    }
}

/// The top of the file.
pub(crate) const TEMPLATE: Keys = Keys {
    title: "the template",
    known: &[
        "name",
        "source",
        "parameters",
        "secrets",
        "repair",
        "build",
        "test",
        "instance",
        "image",
        "distribute",
        "on-test-failure",
        "retain",
        "rebuild",
        "on",
    ],
    unsupported: &[
        (
            "schedule",
            "remove it; start `darkroom build` from cron or a CI system",
        ),
        (
            "network",
            "use `instance.vswitch` and `instance.security-group`",
        ),
        (
            "timeout",
            "remove it; each step has its own time limit, set by its component",
        ),
    ],
};

/// `source`.
pub(crate) const SOURCE: Keys = Keys {
    title: "`source`",
    known: &["family", "image", "instance", "snapshot"],
    unsupported: &[("file", "import the file as an image and write `image: m-…`")],
};

/// One parameter.
pub(crate) const PARAMETER: Keys = Keys {
    title: "a parameter",
    known: &[
        "type",
        "default",
        "description",
        "pattern",
        "enum",
        "minimum",
        "maximum",
        "min-length",
        "max-length",
    ],
    unsupported: &[(
        "secret",
        "name it in `secrets`; parameters stand in the journal",
    )],
};

/// One secret.
pub(crate) const SECRET: Keys = Keys {
    title: "a secret",
    known: &["env", "file", "command"],
    unsupported: &[
        (
            "value",
            "a template never holds a secret; write `env`, `file` or `command`",
        ),
        (
            "parameter-store",
            "ask for it with `command: [aliyun, oos, GetSecretParameter, …]`",
        ),
        ("kms", "ask for it with `command: [aliyun, kms, …]`"),
    ],
};

/// One item of `build`.
pub(crate) const BUILD_ITEM: Keys = Keys {
    title: "a build item",
    known: &["uses", "with", "copy", "run", "env", "name", "reboot"],
    unsupported: &[
        ("if", "build two templates, or decide inside the script"),
        (
            "timeout",
            "begin the command with `timeout 600`, the program of that name",
        ),
        ("retry", "remove it; repeat inside the script"),
        (
            "user",
            "remove it; `run` works as root, so use `su` or `runuser` in the script",
        ),
        ("directory", "remove it and begin the script with `cd`"),
        (
            "shell",
            "remove it and begin the script with `#!` and the program",
        ),
    ],
};

/// `copy`.
pub(crate) const COPY: Keys = Keys {
    title: "`copy`",
    known: &["from", "to", "mode", "owner", "ignore"],
    unsupported: &[
        ("group", "write it with the owner: `owner: 'root:www-data'`"),
        ("name", "write `name` beside `copy`"),
        (
            "include",
            "name a folder in `from` and leave files out by `ignore`",
        ),
    ],
};

/// One item of `test`.
pub(crate) const TEST_ITEM: Keys = Keys {
    title: "a test item",
    known: &["uses", "with", "run", "env", "name"],
    unsupported: &[
        ("copy", "tests look, they don't change; copy in `build`"),
        ("reboot", "a test runs on an instance that has just booted"),
        (
            "timeout",
            "begin the command with `timeout 600`, the program of that name",
        ),
    ],
};

/// `instance`.
pub(crate) const INSTANCE: Keys = Keys {
    title: "`instance`",
    known: &[
        "type",
        "internet",
        "vswitch",
        "security-group",
        "disk",
        "disks",
        "spot",
    ],
    unsupported: &[
        ("zone", "name a `vswitch` of the zone"),
        ("role", "remove it; instances run without a RAM role"),
        ("ram-role", "remove it; instances run without a RAM role"),
        ("user-data", "do it in `build`"),
        (
            "key-pair",
            "remove it; commands arrive by Cloud Assistant, nobody logs in",
        ),
        ("tags", "remove it; instances carry the tag `darkroom:run`"),
    ],
};

/// One of `instance.disks`.
pub(crate) const DISK: Keys = Keys {
    title: "a disk",
    known: &["size", "category", "snapshot"],
    unsupported: &[
        ("encrypted", "remove it; data disks are not encrypted"),
        ("mount", "make a file system and mount it in `build`"),
    ],
};

/// `image`.
pub(crate) const IMAGE: Keys = Keys {
    title: "`image`",
    known: &["name", "family", "description", "tags"],
    unsupported: &[
        (
            "encrypted",
            "remove it; copy the image with encryption afterwards",
        ),
        (
            "encrypt",
            "remove it; copy the image with encryption afterwards",
        ),
        ("version", "use `image.tags`"),
    ],
};

/// `distribute`.
pub(crate) const DISTRIBUTE: Keys = Keys {
    title: "`distribute`",
    known: &["regions", "accounts"],
    unsupported: &[
        ("public", "share with `accounts`"),
        ("export", "export the finished image yourself"),
        ("organizations", "share with `accounts`"),
    ],
};

/// `on`: the clouds.
pub(crate) const ON: Keys = Keys {
    title: "`on`",
    known: &["local", "aliyun"],
    unsupported: &[],
};

/// What can be said for one cloud only.
pub(crate) const OVERLAY: Keys = Keys {
    title: "an overlay",
    known: &["source", "instance", "image", "distribute"],
    unsupported: &[
        (
            "build",
            "builds are the same in every cloud; use a parameter",
        ),
        ("test", "tests are the same in every cloud; use a parameter"),
        ("repair", "repair is the same in every cloud"),
        ("parameters", "give the value with `-p name=value`"),
        ("secrets", "secrets are the same in every cloud"),
        ("retain", "write it at the top; it holds in every cloud"),
        ("rebuild", "write it at the top; it holds in every cloud"),
        (
            "on-test-failure",
            "write it at the top; it holds in every cloud",
        ),
    ],
};

/// `retain`.
pub(crate) const RETAIN: Keys = Keys {
    title: "`retain`",
    known: &["keep"],
    unsupported: &[("days", "say how many images are kept: `keep: 3`")],
};

/// `rebuild`.
pub(crate) const REBUILD: Keys = Keys {
    title: "`rebuild`",
    known: &["max-age"],
    unsupported: &[],
};
