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
        "repair",
        "build",
        "test",
        "instance",
        "image",
        "distribute",
        "on",
    ],
    unsupported: &[
        (
            "retain",
            "remove it; until then delete old images and their snapshots yourself",
        ),
        ("rebuild", "remove it; every `darkroom build` builds"),
        (
            "secrets",
            "remove it; don't put secrets into parameters, they stand in the journal",
        ),
        (
            "on-test-failure",
            "remove it; an image that fails its tests is kept and belongs to no family",
        ),
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
    known: &["family", "image"],
    unsupported: &[
        (
            "instance",
            "create an image of the instance and write `image: m-…`",
        ),
        (
            "snapshot",
            "create an image of the snapshot and write `image: m-…`",
        ),
        ("file", "import the file as an image and write `image: m-…`"),
    ],
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
        "remove it; don't put secrets into parameters, they stand in the journal",
    )],
};

/// One item of `build`.
pub(crate) const BUILD_ITEM: Keys = Keys {
    title: "a build item",
    known: &["uses", "with", "run", "env", "name", "reboot"],
    unsupported: &[
        (
            "copy",
            "use the component `darkroom:files`, or a component by path with the files as assets",
        ),
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

/// One item of `test`.
pub(crate) const TEST_ITEM: Keys = Keys {
    title: "a test item",
    known: &["uses", "with"],
    unsupported: &[(
        "run",
        "use the component `darkroom:service`, or a component of your own with the role `tester`",
    )],
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
        (
            "retain",
            "remove it; until then delete old images and their snapshots yourself",
        ),
    ],
};
