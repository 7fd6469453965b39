//! What each section of a template may hold, as tables: the keys that are understood,
//! what they are for, what their values look like, and the keys that people try that
//! aren't supported, each with what to do instead.
//!
//! `read` refuses what isn't in them, `section` reads the values, and `schema` makes the
//! JSON Schema of them, so that no two of these can know different keys. No logic about
//! meaning is here.

mod shape;

pub(crate) use shape::{Key, Keys, Shape};

use crate::rules;
use crate::section::{instance, keeping};

/// The top of the file.
pub(crate) const TEMPLATE: Keys = Keys {
    title: "the template",
    required: &["name"],
    one_of: &[],
    known: &[
        Key {
            name: "name",
            about: "What the image is called: it becomes `{name}-{run}`, and the template's tag. \
                    With a matrix it has a `${{ matrix.… }}` for what the cells differ in.",
            shape: Shape::Either(&[
                Shape::Text(rules::pattern::TEMPLATE_NAME),
                Shape::Text(r"\$\{\{"),
            ]),
        },
        Key {
            name: "matrix",
            about: "The builds that this template is: axes with their values, of which every \
                    combination is one, or a list of builds; used as `${{ matrix.name }}`.",
            shape: Shape::Either(&[
                Shape::Map(
                    rules::pattern::PARAMETER_NAME,
                    &Shape::List(&MATRIX_VALUE, 1),
                ),
                Shape::List(
                    &Shape::Map(rules::pattern::PARAMETER_NAME, &MATRIX_VALUE),
                    1,
                ),
            ]),
        },
        Key {
            name: "source",
            about: "The image that the build starts from.",
            shape: Shape::Section(&SOURCE),
        },
        Key {
            name: "parameters",
            about: "Values that differ from build to build; used as `${{ parameters.name }}`. Not for secrets.",
            shape: Shape::Map(rules::pattern::PARAMETER_NAME, &Shape::Section(&PARAMETER)),
        },
        Key {
            name: "secrets",
            about: "Where values come from that nothing may hold; used as `${{ secrets.name }}`.",
            shape: Shape::Map(rules::pattern::SECRET_NAME, &Shape::Section(&SECRET)),
        },
        Key {
            name: "repair",
            about: "What is repaired in the source image first.",
            shape: Shape::Either(&[
                Shape::Words(&["none", "standard", "all"]),
                Shape::List(&Shape::Text(rules::pattern::TEMPLATE_NAME), 1),
            ]),
        },
        Key {
            name: "build",
            about: "What is done, in order.",
            shape: Shape::List(&Shape::Section(&BUILD_ITEM), 0),
        },
        Key {
            name: "test",
            about: "How the finished image is tested, on a fresh instance.",
            shape: Shape::List(&Shape::Section(&TEST_ITEM), 0),
        },
        Key {
            name: "instance",
            about: "The instances that the image is built and tested on.",
            shape: Shape::Section(&INSTANCE),
        },
        Key {
            name: "image",
            about: "How the finished image is named and described.",
            shape: Shape::Section(&IMAGE),
        },
        Key {
            name: "distribute",
            about: "Where the finished image goes.",
            shape: Shape::Section(&DISTRIBUTE),
        },
        Key {
            name: "on-test-failure",
            about: "What becomes of an image that fails its tests.",
            shape: Shape::Words(&["keep", "delete"]),
        },
        Key {
            name: "retain",
            about: "How many images of this template are kept.",
            shape: Shape::Section(&RETAIN),
        },
        Key {
            name: "rebuild",
            about: "How long an unchanged build is good that depends on the outside.",
            shape: Shape::Section(&REBUILD),
        },
        Key {
            name: "checkpoint",
            about: "Whether what each item of `build` has come to is kept as an image, so that \
                    a later build with the same first items begins there; without it only the \
                    local cloud does it.",
            shape: Shape::Boolean,
        },
        Key {
            name: "on",
            about: "What holds in one cloud only, on top of everything else.",
            shape: Shape::Section(&ON),
        },
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

/// A value of `matrix`.
const MATRIX_VALUE: Shape =
    Shape::Either(&[Shape::Written(""), Shape::List(&Shape::Written(""), 0)]);

/// `source`.
pub(crate) const SOURCE: Keys = Keys {
    title: "`source`",
    required: &[],
    one_of: &["family", "image", "instance", "snapshot"],
    known: &[
        Key {
            name: "family",
            about: "The newest image of a family, such as `debian-12`.",
            shape: Shape::Text(rules::pattern::SOURCE_FAMILY),
        },
        Key {
            name: "image",
            about: "One image, by its id.",
            shape: Shape::Text(rules::pattern::IMAGE_ID),
        },
        Key {
            name: "instance",
            about: "An instance, by its id.",
            shape: Shape::Text(rules::pattern::INSTANCE_ID),
        },
        Key {
            name: "snapshot",
            about: "A snapshot of a system disk, by its id.",
            shape: Shape::Text(rules::pattern::SNAPSHOT_ID),
        },
    ],
    unsupported: &[("file", "import the file as an image and write `image: m-…`")],
};

/// One parameter.
pub(crate) const PARAMETER: Keys = Keys {
    title: "a parameter",
    required: &[],
    one_of: &[],
    known: &[
        Key {
            name: "type",
            about: "Its type; a text unless said.",
            shape: Shape::Words(&["string", "integer", "number", "boolean", "list"]),
        },
        Key {
            name: "default",
            about: "The value when none is given; without it one must be.",
            shape: Shape::Any,
        },
        Key {
            name: "description",
            about: "What it is for.",
            shape: Shape::Text(""),
        },
        Key {
            name: "pattern",
            about: "What a text must match, a regular expression.",
            shape: Shape::Text(""),
        },
        Key {
            name: "enum",
            about: "The values that it can have.",
            shape: Shape::List(&Shape::Any, 1),
        },
        Key {
            name: "minimum",
            about: "The least number.",
            shape: Shape::Number,
        },
        Key {
            name: "maximum",
            about: "The greatest number.",
            shape: Shape::Number,
        },
        Key {
            name: "min-length",
            about: "The fewest characters.",
            shape: Shape::Integer((0, 1_000_000)),
        },
        Key {
            name: "max-length",
            about: "The most characters.",
            shape: Shape::Integer((0, 1_000_000)),
        },
    ],
    unsupported: &[(
        "secret",
        "name it in `secrets`; parameters stand in the journal",
    )],
};

/// One secret.
pub(crate) const SECRET: Keys = Keys {
    title: "a secret",
    required: &[],
    one_of: &["env", "file", "command"],
    known: &[
        Key {
            name: "env",
            about: "A variable of the environment of `darkroom`.",
            shape: Shape::Text(rules::pattern::VARIABLE),
        },
        Key {
            name: "file",
            about: "A file of the template's folder.",
            shape: Shape::Text(""),
        },
        Key {
            name: "command",
            about: "A program and its arguments, whose output is the value.",
            shape: Shape::List(&Shape::Written(""), 1),
        },
    ],
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
    required: &[],
    one_of: &["uses", "copy", "run", "reboot"],
    known: &[
        Key {
            name: "uses",
            about: "A component: `darkroom:name`, a package `namespace:name@1.2`, or a file `./component.wasm`.",
            shape: Shape::Text(rules::pattern::USES),
        },
        Key {
            name: "with",
            about: "The arguments of the component.",
            shape: Shape::Map("", &Shape::Any),
        },
        Key {
            name: "copy",
            about: "Files of the template's folder that go into the image.",
            shape: Shape::Section(&COPY),
        },
        Key {
            name: "run",
            about: "A script for the machine's shell, as root. Values come by `env`.",
            shape: Shape::Script,
        },
        Key {
            name: "env",
            about: "Variables of the script.",
            shape: Shape::Map(rules::pattern::VARIABLE, &Shape::Written("")),
        },
        Key {
            name: "name",
            about: "What people see.",
            shape: Shape::Text(""),
        },
        Key {
            name: "reboot",
            about: "A reboot: `{}`.",
            shape: Shape::Nothing,
        },
    ],
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
    required: &["from", "to"],
    one_of: &[],
    known: &[
        Key {
            name: "from",
            about: "A file or folder of the template's folder.",
            shape: Shape::Text(""),
        },
        Key {
            name: "to",
            about: "The absolute path in the image.",
            shape: Shape::Text(rules::pattern::IMAGE_PATH),
        },
        Key {
            name: "mode",
            about: "The permissions of the files, such as `0644`.",
            shape: Shape::Written("^(0o)?[0-7]{3,4}$"),
        },
        Key {
            name: "owner",
            about: "`user` or `user:group`.",
            shape: Shape::Written(""),
        },
        Key {
            name: "ignore",
            about: "Patterns of what is left out.",
            shape: Shape::List(&Shape::Text(""), 0),
        },
    ],
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
    required: &[],
    one_of: &["uses", "run"],
    known: &[
        Key {
            name: "uses",
            about: "A component with the role `tester`.",
            shape: Shape::Text(rules::pattern::USES),
        },
        Key {
            name: "with",
            about: "The arguments of the component.",
            shape: Shape::Map("", &Shape::Any),
        },
        Key {
            name: "run",
            about: "A script; exit code 0 is a passed test.",
            shape: Shape::Script,
        },
        Key {
            name: "env",
            about: "Variables of the script.",
            shape: Shape::Map(rules::pattern::VARIABLE, &Shape::Written("")),
        },
        Key {
            name: "name",
            about: "What people see.",
            shape: Shape::Text(""),
        },
    ],
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
    required: &[],
    one_of: &[],
    known: &[
        Key {
            name: "type",
            about: "The type, or several that are tried in order; without it the cheapest that fits.",
            shape: Shape::Either(&[
                Shape::Text(rules::pattern::INSTANCE_TYPE),
                Shape::List(&Shape::Text(rules::pattern::INSTANCE_TYPE), 1),
            ]),
        },
        Key {
            name: "internet",
            about: "The way to the internet in Mbit/s; without it there is none.",
            shape: Shape::Integer(instance::INTERNET_MBITS),
        },
        Key {
            name: "vswitch",
            about: "The vSwitch; without it a network is made and removed.",
            shape: Shape::Text(rules::pattern::VSWITCH),
        },
        Key {
            name: "security-group",
            about: "The security group.",
            shape: Shape::Text(rules::pattern::SECURITY_GROUP),
        },
        Key {
            name: "disk",
            about: "The size of the system disk in GiB.",
            shape: Shape::Integer(instance::SYSTEM_DISK_GIB),
        },
        Key {
            name: "disks",
            about: "Disks beside the system disk.",
            shape: Shape::List(&Shape::Section(&DISK), 0),
        },
        Key {
            name: "spot",
            about: "Whether spot instances are used.",
            shape: Shape::Boolean,
        },
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
    required: &["size"],
    one_of: &[],
    known: &[
        Key {
            name: "size",
            about: "Its size in GiB.",
            shape: Shape::Integer(instance::DATA_DISK_GIB),
        },
        Key {
            name: "category",
            about: "Its category, such as `cloud_essd`.",
            shape: Shape::Text(rules::pattern::DISK_CATEGORY),
        },
        Key {
            name: "snapshot",
            about: "The snapshot that it is made from.",
            shape: Shape::Text(rules::pattern::SNAPSHOT_ID),
        },
    ],
    unsupported: &[
        ("encrypted", "remove it; data disks are not encrypted"),
        ("mount", "make a file system and mount it in `build`"),
    ],
};

/// `image`.
pub(crate) const IMAGE: Keys = Keys {
    title: "`image`",
    required: &[],
    one_of: &[],
    known: &[
        Key {
            name: "name",
            about: "Its name, which must be free; without it `{name}-{run}`.",
            shape: Shape::Text(""),
        },
        Key {
            name: "family",
            about: "The family that it joins after its tests.",
            shape: Shape::Text(""),
        },
        Key {
            name: "description",
            about: "Its description.",
            shape: Shape::Text(""),
        },
        Key {
            name: "tags",
            about: "Its tags.",
            shape: Shape::Map("", &Shape::Written("")),
        },
    ],
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
    required: &[],
    one_of: &[],
    known: &[
        Key {
            name: "regions",
            about: "The regions that have it in the end; it is built in the first.",
            shape: Shape::List(&Shape::Text(rules::pattern::REGION), 0),
        },
        Key {
            name: "accounts",
            about: "The accounts that may use it.",
            shape: Shape::List(&Shape::Written(rules::pattern::ACCOUNT), 0),
        },
    ],
    unsupported: &[
        ("public", "share with `accounts`"),
        ("export", "export the finished image yourself"),
        ("organizations", "share with `accounts`"),
    ],
};

/// `on`: the clouds.
pub(crate) const ON: Keys = Keys {
    title: "`on`",
    required: &[],
    one_of: &[],
    known: &[
        Key {
            name: "local",
            about: "In the local cloud.",
            shape: Shape::Section(&OVERLAY),
        },
        Key {
            name: "aliyun",
            about: "In Alibaba Cloud.",
            shape: Shape::Section(&OVERLAY),
        },
    ],
    unsupported: &[],
};

/// What can be said for one cloud only.
pub(crate) const OVERLAY: Keys = Keys {
    title: "an overlay",
    required: &[],
    one_of: &[],
    known: &[
        Key {
            name: "source",
            about: "The image that the build starts from.",
            shape: Shape::Section(&SOURCE),
        },
        Key {
            name: "instance",
            about: "The instances that the image is built and tested on.",
            shape: Shape::Section(&INSTANCE),
        },
        Key {
            name: "image",
            about: "How the finished image is named and described.",
            shape: Shape::Section(&IMAGE),
        },
        Key {
            name: "distribute",
            about: "Where the finished image goes.",
            shape: Shape::Section(&DISTRIBUTE),
        },
    ],
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
        ("checkpoint", "write it at the top; it holds in every cloud"),
        (
            "on-test-failure",
            "write it at the top; it holds in every cloud",
        ),
    ],
};

/// `retain`.
pub(crate) const RETAIN: Keys = Keys {
    title: "`retain`",
    required: &["keep"],
    one_of: &[],
    known: &[Key {
        name: "keep",
        about: "The newest images that are kept in each region, the new one included.",
        shape: Shape::Integer((1, keeping::MOST_KEPT)),
    }],
    unsupported: &[("days", "say how many images are kept: `keep: 3`")],
};

/// `rebuild`.
pub(crate) const REBUILD: Keys = Keys {
    title: "`rebuild`",
    required: &["max-age"],
    one_of: &[],
    known: &[Key {
        name: "max-age",
        about: "The oldest build with volatile parts that is taken for this one, such as `7d`; \
                without it `1d`.",
        shape: Shape::Text(keeping::DURATION_PATTERN),
    }],
    unsupported: &[],
};
