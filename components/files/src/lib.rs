//! The component `files`: puts one file in place, with its content, mode and owner.
//!
//! A builder. It looks first, and a file that is as it should be is neither written nor
//! reported as changed. It must not follow a symbolic link: the link itself is replaced.
//!
//! Content is a text of the template or an asset that ships with the component. A text
//! with a secret in it is written every time, because only the host knows its digest.

use darkroom::{
    About, Builder, Description, Parameter, component, inputs, machine, report, shell, write,
    write_asset,
};
use sha2::{Digest, Sha256};

struct Files;

/// What ships in `assets/`: name and content, which is here for its digest.
const ASSETS: [(&str, &[u8]); 1] = [("motd", include_bytes!("../assets/motd"))];

impl About for Files {
    fn describe() -> Description {
        Description::new("Puts a file in place, with its content, mode and owner")
            .parameter(
                Parameter::text("path", "Where, absolute")
                    .required()
                    .pattern("^/[^\0]*[^/\0]$"),
            )
            .parameter(Parameter::text("text", "What is in it; may hold a secret"))
            .parameter(
                Parameter::text(
                    "asset",
                    "Instead of a text: a file that ships with the component",
                )
                .one_of(["motd"]),
            )
            .parameter(
                Parameter::text("mode", "Its permission bits, octal")
                    .default("0644")
                    .pattern("^[0-7]{3,4}$"),
            )
            .parameter(
                Parameter::text("owner", "`user` or `user:group`")
                    .default("root")
                    .pattern("^[A-Za-z0-9_.-]+(:[A-Za-z0-9_.-]+)?$"),
            )
            .family("linux")
    }
}

/// What is to be in the file.
enum Content {
    Text(String),
    Asset(&'static str, &'static [u8]),
}

impl Builder for Files {
    fn build() -> Result<(), String> {
        let wanted = inputs::text("path").ok_or("`path` is missing")?;
        let path = machine::path(&wanted);
        let content = content()?;
        let mode = inputs::text("mode").unwrap_or_else(|| "0644".to_owned());
        let bits =
            u32::from_str_radix(&mode, 8).map_err(|_| format!("`mode` {mode} is not octal"))?;
        let owner = inputs::text("owner").unwrap_or_else(|| "root".to_owned());

        let look =
            shell(named("look at", &wanted), include_str!("look.sh")).environment("FILE", &path);
        let found = look.output();
        if found.trim() == "folder" {
            return Err(format!(
                "{wanted} is a folder; it would have to be removed for the file"
            ));
        }
        if is_as_wanted(&found, &content, bits, &owner) {
            report::info(format!("{wanted} is as it should be"));
            report::publish("changed", false);
            return Ok(());
        }
        let name = named("write", &wanted);
        let step = match content {
            Content::Text(text) => write(name, path, text),
            Content::Asset(asset, _) => write_asset(name, path, asset),
        };
        step.mode(bits).owner(owner);
        report::publish("changed", true);
        Ok(())
    }
}

fn content() -> Result<Content, String> {
    match (inputs::text("text"), inputs::text("asset")) {
        (Some(text), None) => Ok(Content::Text(text)),
        (None, Some(asset)) => ASSETS
            .iter()
            .find(|(name, _)| *name == asset)
            .map(|&(name, bytes)| Content::Asset(name, bytes))
            .ok_or_else(|| format!("no asset {asset:?} ships with the component")),
        (None, None) => Err("give `text` or `asset`: what is to be in the file".to_owned()),
        (Some(_), Some(_)) => Err("give either `text` or `asset`, not both".to_owned()),
    }
}

/// Compares the answer of `look.sh` with what is wanted.
fn is_as_wanted(found: &str, content: &Content, mode: u32, owner: &str) -> bool {
    let digest = match content {
        Content::Text(text) => Sha256::digest(text),
        Content::Asset(_, bytes) => Sha256::digest(bytes),
    };
    let hex = digest
        .iter()
        .fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
    let mut fields = found.split_whitespace();
    let same_owner = |is: &str| {
        let is = if owner.contains(':') {
            Some(is)
        } else {
            is.split(':').next()
        };
        is == Some(owner)
    };
    fields.next() == Some("file")
        && fields.next() == Some(&hex)
        && fields
            .next()
            .is_some_and(|is| u32::from_str_radix(is, 8) == Ok(mode))
        && fields.next().is_some_and(same_owner)
}

/// The name of a step: the path, cut in the middle of nowhere where it is too long.
fn named(verb: &str, path: &str) -> String {
    let name: String = format!("{verb} {path}").chars().take(100).collect();
    name.replace(char::is_control, "?")
}

component!(Files: builder);

#[cfg(test)]
mod tests;
