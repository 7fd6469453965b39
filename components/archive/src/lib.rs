//! The component `archive`: fetches an archive, verifies it and unpacks it.
//!
//! A builder for tar (plain, gzip, xz, zstd, bzip2) and zip. The machine fetches the file
//! itself, or it is there already because a `copy` of the template brought it. It is
//! unpacked into a folder of its own beside the place where it belongs and looked at
//! there: a name, a link or a device that would reach out of the place is an error before
//! anything is put there. Rights to run as somebody else are taken away.
//!
//! What was unpacked where is noted below `/var/lib/darkroom-archive`, with the names of
//! all files; the second application sees that it is all there and fetches nothing.

use darkroom::{
    About, Builder, Description, Parameter, Step, component, download, inputs, machine,
};

struct Archive;

/// Where notes are kept.
const NOTES: &str = "/var/lib/darkroom-archive";

/// Formats with the ends of names that tell them.
const FORMATS: [(&str, &[&str]); 6] = [
    ("tar.gz", &[".tar.gz", ".tgz"]),
    ("tar.xz", &[".tar.xz", ".txz"]),
    ("tar.zst", &[".tar.zst", ".tzst"]),
    ("tar.bz2", &[".tar.bz2", ".tbz", ".tbz2"]),
    ("tar", &[".tar"]),
    ("zip", &[".zip", ".jar", ".war"]),
];

impl About for Archive {
    fn describe() -> Description {
        Description::new("Fetches an archive, verifies it and unpacks it")
            .parameter(
                Parameter::text("url", "Where the machine fetches it: https, http or oss")
                    .pattern(r"^(https?|oss)://[^\s]+$"),
            )
            .parameter(
                Parameter::text(
                    "path",
                    "Instead of `url`: where it lies on the machine already",
                )
                .pattern("^/[^\0]*[^/\0]$"),
            )
            .parameter(
                Parameter::text("sha256", "Its digest, hexadecimal; required with `url`")
                    .pattern("^[0-9a-fA-F]{64}$"),
            )
            .parameter(
                Parameter::text("to", "The folder that its content goes to; made if missing")
                    .required()
                    .pattern("^/[^\0]*[^/\0]$"),
            )
            .parameter(
                Parameter::text("format", "By default what the name says")
                    .one_of(["tar.gz", "tar.xz", "tar.zst", "tar.bz2", "tar", "zip"]),
            )
            .parameter(
                Parameter::integer(
                    "strip",
                    "How many leading folders of each name are left out",
                )
                .default(0)
                .minimum(0)
                .maximum(20),
            )
            .parameter(
                Parameter::text(
                    "owner",
                    "`user` or `user:group` of everything that is unpacked",
                )
                .default("root:root")
                .pattern("^[A-Za-z0-9_.-]+(:[A-Za-z0-9_.-]+)?$"),
            )
            .parameter(
                Parameter::flag(
                    "clean",
                    "Take away first what other archives brought to the same folder, such as an \
                     older version",
                )
                .default(false),
            )
            .family("linux")
    }
}

/// Where the archive comes from.
enum Source {
    Url {
        url: String,
        sha256: String,
    },
    Path {
        path: String,
        sha256: Option<String>,
    },
}

impl Source {
    fn read() -> Result<Self, String> {
        let sha256 = inputs::text("sha256").map(|digest| digest.to_ascii_lowercase());
        match (inputs::text("url"), inputs::text("path")) {
            (Some(_), Some(_)) => Err("give either `url` or `path`, not both".to_owned()),
            (None, None) => Err("give `url` or `path`: where the archive is".to_owned()),
            (None, Some(path)) => Ok(Self::Path { path, sha256 }),
            (Some(url), None) => {
                let sha256 = sha256.ok_or(
                    "give `sha256`: whatever is fetched is compared with the digest that you \
                     know it has",
                )?;
                Ok(Self::Url { url, sha256 })
            }
        }
    }

    /// The name that its format is told by, without what a server is asked.
    fn name(&self) -> &str {
        match self {
            Self::Url { url, .. } => url.split(['?', '#']).next().unwrap_or(url),
            Self::Path { path, .. } => path,
        }
    }
}

impl Builder for Archive {
    fn build() -> Result<(), String> {
        let to = inputs::text("to").ok_or("`to` is missing")?;
        if to.split('/').any(|part| part == "..") {
            return Err(format!("`to` {to} must not hold `..`"));
        }
        let source = Source::read()?;
        let format = format(source.name())?;
        let owner = inputs::text("owner").unwrap_or_default();
        let strip = inputs::integer("strip").unwrap_or(0);
        let script = |name: String, body: &str| {
            change::script(name, &format!("{}{body}", include_str!("note.sh")))
                .environment("TO", machine::path(&to))
                .environment("NOTES", machine::path(NOTES))
                .environment("FORMAT", &format)
                .environment("STRIP", strip.to_string())
                .environment("OWNER", &owner)
        };
        let unpack = |from: &str, sha256: &str, brought: bool| -> Step {
            let clean = inputs::flag("clean") == Some(true);
            script(change::named("unpack into", &to), include_str!("unpack.sh"))
                .environment("FROM", from)
                .environment("SHA256", sha256)
                .environment("BROUGHT", if brought { "yes" } else { "no" })
                .environment("CLEAN", if clean { "yes" } else { "no" })
                .timeout(3600)
        };
        match source {
            Source::Path { path, sha256 } => {
                let from = machine::path(&path);
                change::of(&[unpack(&from, &sha256.unwrap_or_default(), false)]);
            }
            Source::Url { url, sha256 } => {
                let look = script(change::named("look at", &to), include_str!("look.sh"))
                    .environment("SHA256", &sha256);
                if look.output().lines().next() == Some("all is there") {
                    change::tell(false);
                    return Ok(());
                }
                let from = format!("/var/tmp/darkroom-archive-{}", &sha256[..16]);
                download(change::named("fetch", &url), &from, &url, &sha256)
                    .mode(0o600)
                    .timeout(3600)
                    .attempts(3);
                change::of(&[unpack(&from, &sha256, true)]);
            }
        }
        Ok(())
    }
}

/// The format that was given, or that the name tells.
fn format(name: &str) -> Result<String, String> {
    if let Some(format) = inputs::text("format") {
        return Ok(format);
    }
    let name = name.to_ascii_lowercase();
    FORMATS
        .iter()
        .find(|(_, ends)| ends.iter().any(|end| name.ends_with(end)))
        .map(|(format, _)| (*format).to_owned())
        .ok_or_else(|| "the name does not say what kind of archive it is: give `format`".to_owned())
}

component!(Archive: builder);

#[cfg(test)]
mod tests;
