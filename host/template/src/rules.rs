//! Rules for single values: names, image families, regions, accounts, tags.
//!
//! Each is a pure function that says what to write instead. The limits are those of
//! Alibaba Cloud ECS, so that a template that is accepted here isn't refused there
//! for its spelling. Whether a thing of that name exists is the cloud's to say.

use std::path::{Component, Path};

use crate::nearest::nearest;

/// Regions for "did you mean". A region that isn't listed is valid all the same.
const REGIONS: &[&str] = &[
    "cn-hangzhou",
    "cn-shanghai",
    "cn-beijing",
    "cn-shenzhen",
    "cn-qingdao",
    "cn-zhangjiakou",
    "cn-huhehaote",
    "cn-wulanchabu",
    "cn-heyuan",
    "cn-guangzhou",
    "cn-chengdu",
    "cn-nanjing",
    "cn-fuzhou",
    "cn-hongkong",
    "ap-southeast-1",
    "ap-southeast-3",
    "ap-southeast-5",
    "ap-southeast-6",
    "ap-southeast-7",
    "ap-northeast-1",
    "ap-northeast-2",
    "us-east-1",
    "us-west-1",
    "eu-central-1",
    "eu-west-1",
    "me-east-1",
    "me-central-1",
];

/// What values look like, for the schema. A rule may be stricter than its pattern; a
/// test sees to it that it is never looser.
pub(crate) mod pattern {
    pub(crate) const TEMPLATE_NAME: &str = "^[a-z][a-z0-9-]{1,63}$";
    pub(crate) const PARAMETER_NAME: &str = "^[A-Za-z][A-Za-z0-9_-]{0,63}$";
    pub(crate) const SECRET_NAME: &str = "^[a-z][a-z0-9-]{0,63}$";
    pub(crate) const VARIABLE: &str = "^[A-Za-z_][A-Za-z0-9_]{0,127}$";
    pub(crate) const SOURCE_FAMILY: &str = "^[A-Za-z][A-Za-z0-9_.:-]{1,127}$";
    pub(crate) const IMAGE_ID: &str = "^[A-Za-z][A-Za-z0-9_.-]{2,127}$";
    pub(crate) const INSTANCE_ID: &str = "^i-[A-Za-z0-9-]+$";
    pub(crate) const SNAPSHOT_ID: &str = "^s-[A-Za-z0-9-]+$";
    pub(crate) const VSWITCH: &str = "^vsw-[A-Za-z0-9-]+$";
    pub(crate) const SECURITY_GROUP: &str = "^sg-[A-Za-z0-9-]+$";
    pub(crate) const INSTANCE_TYPE: &str = "^ecs(\\.[A-Za-z0-9-]+){2,}$";
    pub(crate) const DISK_CATEGORY: &str = "^cloud(_[A-Za-z0-9_]+)?$";
    pub(crate) const IMAGE_PATH: &str = "^(/|[A-Za-z]:[/\\\\])";
    pub(crate) const REGION: &str = "^[a-z0-9]{2}(-[a-z0-9]+)+$";
    pub(crate) const ACCOUNT: &str = "^[0-9]{16}$";
    pub(crate) const USES: &str = "^([a-z][a-z0-9-]*:[a-z]|\\./)";
}

/// How many tags an image may be given. ECS allows 20; the others are ours.
pub(crate) const MOST_TAGS: usize = 12;

type Rule = Result<(), String>;

fn when(valid: bool, instead: &str) -> Rule {
    if valid {
        Ok(())
    } else {
        Err(instead.to_owned())
    }
}

fn only(text: &str, extra: &str) -> bool {
    text.chars()
        .all(|c| c.is_ascii_alphanumeric() || extra.contains(c))
}

fn starts_with_letter(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
}

/// The template's own name.
pub(crate) fn template_name(text: &str) -> Rule {
    let plain = text
        .chars()
        .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
    when(
        plain && starts_with_letter(text) && (2..=64).contains(&text.len()),
        "2 to 64 characters of a to z, 0 to 9 and `-`, a letter first",
    )
}

/// A package's namespace, or its name in it: words as WIT has them.
pub(crate) fn package_label(text: &str) -> Rule {
    let word = |word: &str| {
        !word.is_empty()
            && word
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
    };
    when(
        text.split('-').all(word) && starts_with_letter(text) && text.len() <= 64,
        "words of a to z and 0 to 9 with `-` between them, a letter first",
    )
}

/// The name of a parameter.
pub(crate) fn parameter_name(text: &str) -> Rule {
    when(
        only(text, "-_") && starts_with_letter(text) && text.len() <= 64,
        "at most 64 letters, digits, `-` and `_`, a letter first",
    )
}

/// An environment variable.
pub(crate) fn variable(text: &str) -> Rule {
    let first = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    when(
        first && only(text, "_") && text.len() <= 128,
        "letters, digits and `_`, not a digit first",
    )
}

/// The name of a secret.
pub(crate) fn secret_name(text: &str) -> Rule {
    when(
        darkroom_contract::secret::Marker::is_name(text),
        "at most 64 characters of a to z, 0 to 9 and `-`, a letter first",
    )
}

/// A relative path without `..`, as it is written in a template.
fn inside(text: &str) -> bool {
    let escapes = Path::new(text)
        .components()
        .any(|part| !matches!(part, Component::CurDir | Component::Normal(_)));
    !text.is_empty() && !escapes && !text.starts_with('~') && !text.contains(['\\', '\0'])
}

/// A file or folder that is copied.
pub(crate) fn inner_path(text: &str) -> Rule {
    when(
        inside(text),
        "it lies in the template's folder: `./site`, without `..` and not beginning with `/` or `~`",
    )
}

/// The file of a secret.
pub(crate) fn secret_file(text: &str) -> Rule {
    when(
        inside(text) && Path::new(text).file_name().is_some(),
        "a file lies in the template's folder: `./path`; for one elsewhere write \
         `command: [cat, /path]`",
    )
}

/// An absolute path in the image.
pub(crate) fn image_path(text: &str) -> Rule {
    let bytes = text.as_bytes();
    let drive = bytes.len() > 2
        && bytes[0].is_ascii_alphabetic()
        && bytes[1] == b':'
        && matches!(bytes[2], b'/' | b'\\');
    let climbs = text.split(['/', '\\']).any(|part| part == "..");
    when(
        (text.starts_with('/') || drive) && !climbs && !text.chars().any(char::is_control),
        "it is absolute and without `..`: `/var/www/html`",
    )
}

/// The owner of files: a user, or a user and a group.
pub(crate) fn owner(text: &str) -> Rule {
    let name = |name: &str| {
        (1..=32).contains(&name.len()) && only(name, "_.-") && !name.starts_with(['-', '.'])
    };
    let (user, group) = text
        .split_once(':')
        .map_or((text, None), |(user, group)| (user, Some(group)));
    when(
        name(user) && group.is_none_or(name),
        "write a user, or a user and a group: `www-data` or `root:www-data`",
    )
}

/// A pattern of files that are left out.
pub(crate) fn ignore_pattern(text: &str) -> Rule {
    when(
        !text.trim().is_empty() && !text.chars().any(char::is_control),
        "write a pattern such as '*.tmp' or `node_modules`",
    )
}

/// The name of a step or an item, for people.
pub(crate) fn title(text: &str) -> Rule {
    let length = text.chars().count();
    when(
        (1..=100).contains(&length) && !text.chars().any(char::is_control),
        "1 to 100 characters on one line",
    )
}

/// The name of an image.
pub(crate) fn image_name(text: &str) -> Rule {
    let length = text.chars().count();
    let first = text.starts_with(char::is_alphabetic);
    let plain = text
        .chars()
        .all(|c| c.is_alphanumeric() || "-_.:".contains(c));
    when(
        (2..=128).contains(&length) && first && plain && !reserved(text),
        "2 to 128 letters, digits, `-`, `_`, `.` and `:`, a letter first, \
         not beginning with `acs:` or `aliyun`",
    )
}

/// An image's description.
pub(crate) fn description(text: &str) -> Rule {
    let length = text.chars().count();
    let address = text.starts_with("http://") || text.starts_with("https://");
    when(
        (2..=256).contains(&length) && !address,
        "2 to 256 characters, not beginning with `http://` or `https://`",
    )
}

/// The family of a source image: ours, or one of the cloud's with its prefix.
pub(crate) fn source_family(text: &str) -> Rule {
    when(
        only(text, "-_.:") && starts_with_letter(text) && (2..=128).contains(&text.len()),
        "a family is a name like `debian-12`",
    )
}

/// The id of a source image. Public images have ids that read like file names.
pub(crate) fn image_id(text: &str) -> Rule {
    when(
        only(text, "-_.") && starts_with_letter(text) && (3..=128).contains(&text.len()),
        "an image id looks like `m-bp1abc…`; for the newest of a family write `family:`",
    )
}

/// An instance that is the source of an image.
pub(crate) fn instance_id(text: &str) -> Rule {
    when(id(text, "i-"), "an instance id looks like `i-bp1abc…`")
}

/// A snapshot.
pub(crate) fn snapshot_id(text: &str) -> Rule {
    when(id(text, "s-"), "a snapshot id looks like `s-bp1abc…`")
}

/// The category of a disk.
pub(crate) fn disk_category(text: &str) -> Rule {
    when(
        text == "cloud"
            || text
                .strip_prefix("cloud_")
                .is_some_and(|rest| !rest.is_empty() && only(rest, "_")),
        "a category looks like `cloud_essd` or `cloud_efficiency`",
    )
}

/// An instance type.
pub(crate) fn instance_type(text: &str) -> Rule {
    let parts: Vec<_> = text.split('.').collect();
    let valid = parts.len() >= 3
        && parts.first() == Some(&"ecs")
        && parts.iter().all(|part| !part.is_empty() && only(part, "-"));
    when(valid, "an instance type looks like `ecs.g7.large`")
}

fn id(text: &str, prefix: &str) -> bool {
    text.strip_prefix(prefix)
        .is_some_and(|rest| !rest.is_empty() && only(rest, "-") && text.len() <= 64)
}

/// A vSwitch.
pub(crate) fn vswitch(text: &str) -> Rule {
    when(id(text, "vsw-"), "a vSwitch id looks like `vsw-bp1abc…`")
}

/// A security group.
pub(crate) fn security_group(text: &str) -> Rule {
    when(
        id(text, "sg-"),
        "a security group id looks like `sg-bp1abc…`",
    )
}

/// A region id: plausible, not necessarily existing.
pub(crate) fn region(text: &str) -> Rule {
    let mut parts = text.split('-');
    let area = parts.next().unwrap_or("");
    let rest: Vec<_> = parts.collect();
    let lower = |part: &str| {
        !part.is_empty()
            && part
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
    };
    let place = rest
        .first()
        .is_some_and(|place| place.starts_with(|c: char| c.is_ascii_lowercase()));
    if area.len() == 2 && lower(area) && place && rest.iter().all(|part| lower(part)) {
        return Ok(());
    }
    Err(match nearest(text, REGIONS.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "a region id looks like `cn-hangzhou` or `ap-southeast-1`".into(),
    })
}

/// An Alibaba Cloud account id.
pub(crate) fn account(text: &str) -> Rule {
    when(
        text.len() == 16 && text.bytes().all(|b| b.is_ascii_digit()),
        "an account id has 16 digits, like '1234567890123456'",
    )
}

fn reserved(text: &str) -> bool {
    let text = text.to_lowercase();
    text.starts_with("acs:") || text.starts_with("aliyun")
}

/// The key of a tag.
pub(crate) fn tag_key(text: &str) -> Rule {
    let length = text.chars().count();
    let address = text.contains("http://") || text.contains("https://");
    let ours = text.to_lowercase().starts_with("darkroom:");
    when(
        (1..=128).contains(&length) && !address && !reserved(text) && !ours,
        "1 to 128 characters, not beginning with `acs:`, `aliyun` or `darkroom:`, \
         without `http://` and `https://`",
    )
}

/// The value of a tag.
pub(crate) fn tag_value(text: &str) -> Rule {
    let address = text.contains("http://") || text.contains("https://");
    when(
        text.chars().count() <= 128 && !address,
        "at most 128 characters, without `http://` and `https://`",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    type RuleFn = fn(&str) -> Rule;

    #[test]
    fn no_rule_is_looser_than_its_pattern() {
        let rules: [(RuleFn, &str); 15] = [
            (template_name, pattern::TEMPLATE_NAME),
            (parameter_name, pattern::PARAMETER_NAME),
            (secret_name, pattern::SECRET_NAME),
            (variable, pattern::VARIABLE),
            (source_family, pattern::SOURCE_FAMILY),
            (image_id, pattern::IMAGE_ID),
            (instance_id, pattern::INSTANCE_ID),
            (snapshot_id, pattern::SNAPSHOT_ID),
            (vswitch, pattern::VSWITCH),
            (security_group, pattern::SECURITY_GROUP),
            (instance_type, pattern::INSTANCE_TYPE),
            (disk_category, pattern::DISK_CATEGORY),
            (image_path, pattern::IMAGE_PATH),
            (region, pattern::REGION),
            (account, pattern::ACCOUNT),
        ];
        let stems = [
            "a",
            "ab",
            "web-1",
            "A_b",
            "_x",
            "debian-12",
            "acs:x_1.2",
            "m-bp1",
            "i-1",
            "s-1",
            "vsw-1-2",
            "sg-x",
            "ecs.g7.large",
            "ecs.t5-lc1m2.small",
            "cloud",
            "cloud_essd",
            "/var/www",
            "C:\\x",
            "c:/x",
            "cn-hangzhou",
            "ap-southeast-1",
            "cn-shanghai-finance-1",
            "1234567890123456",
        ];
        for (rule, pattern) in rules {
            let regex = regex::Regex::new(pattern).expect("a pattern");
            let mut accepted = 0;
            for stem in stems {
                for text in [
                    stem.to_owned(),
                    format!("{stem}-x"),
                    format!("{stem}.9"),
                    stem.repeat(9),
                ] {
                    accepted += usize::from(rule(&text).is_ok());
                    assert!(
                        rule(&text).is_err() || regex.is_match(&text),
                        "{pattern} {text}"
                    );
                }
            }
            assert!(accepted > 0, "{pattern}");
        }
    }

    #[test]
    fn names_at_their_limits() {
        assert!(template_name("ab").is_ok());
        assert!(template_name(&"a".repeat(64)).is_ok());
        for bad in ["a", "1a", "-a", "Ab", "a_b", "a b", "", &"a".repeat(65)] {
            assert!(template_name(bad).is_err(), "{bad}");
        }
        assert!(image_name("web-1.0:x_y").is_ok());
        assert!(image_name("镜像-1").is_ok());
        for bad in ["w", "1w", "acs:web", "Aliyun-web", "a/b"] {
            assert!(image_name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn regions_are_plausible_or_corrected() {
        for good in [
            "cn-hangzhou",
            "ap-southeast-1",
            "cn-shanghai-finance-1",
            "cn-new",
        ] {
            assert!(region(good).is_ok(), "{good}");
        }
        assert_eq!(
            region("mars").unwrap_err(),
            "a region id looks like `cn-hangzhou` or `ap-southeast-1`"
        );
        assert_eq!(
            region("cn_hangzhou").unwrap_err(),
            "did you mean `cn-hangzhou`?"
        );
        assert!(region("cn-").is_err());
        assert!(region("cn-1").is_err());
    }

    #[test]
    fn accounts_have_sixteen_digits() {
        assert!(account("1234567890123456").is_ok());
        assert!(account("0234567890123456").is_ok());
        assert!(account("123").is_err());
        assert!(account("12345678901234ab").is_err());
    }

    #[test]
    fn ids_have_their_prefix() {
        assert!(vswitch("vsw-bp1").is_ok());
        assert!(vswitch("vsw-").is_err());
        assert!(security_group("vsw-bp1").is_err());
        assert!(instance_type("ecs.g7.large").is_ok());
        assert!(instance_type("ecs.t5-lc1m2.small").is_ok());
        assert!(instance_type("g7.large").is_err());
        assert!(instance_type("ecs..large").is_err());
    }
}
