//! The component `files`: puts a file, a folder or a link in place, with mode and owner,
//! or sees to it that nothing is there.
//!
//! A builder. Content is a text of the template, a Jinja template of its own with
//! `values`, or an asset that ships with the component. It goes to the machine's memory
//! first, readable by root only, and takes its place in one move if something differs;
//! so a file with a secret in it is compared like any other, on the machine, where alone
//! the secret is known. It must not follow a symbolic link: the link itself is replaced.

use darkroom::{
    About, Builder, Description, Parameter, Step, component, inputs, machine, write, write_asset,
};

mod template;

struct Files;

/// What ships in `assets/`.
const ASSETS: [&str; 1] = ["motd"];

/// Where content waits on the machine: in memory, and gone with the step that uses it.
const STAGED: &str = "/run/darkroom-files/content";

impl About for Files {
    fn describe() -> Description {
        Description::new("Puts a file, a folder or a link in place, or takes it away")
            .parameter(
                Parameter::text("path", "Where, absolute")
                    .required()
                    .pattern("^/[^\0]*[^/\0]$"),
            )
            .parameter(
                Parameter::text("kind", "What is to be there; `absent` is nothing")
                    .one_of(["file", "folder", "link", "absent"])
                    .default("file"),
            )
            .parameter(Parameter::text(
                "text",
                "What is in the file, as it stands; secrets go by `template` and `values`",
            ))
            .parameter(Parameter::text(
                "template",
                "Instead of `text`: a Jinja template (minijinja) of what is in the file, in \
                 which the members of `values` are variables; one that is not there is a \
                 mistake",
            ))
            .parameter(
                Parameter::any(
                    "values",
                    "An object with what the template may use: texts (also secrets), numbers, \
                     flags, lists and objects",
                )
                .keyword("type", "object")
                .secret(),
            )
            .parameter(
                Parameter::text(
                    "asset",
                    "Instead of a text: a file that ships with the component",
                )
                .one_of(ASSETS),
            )
            .parameter(Parameter::text(
                "target",
                "Where a link leads, as it is written",
            ))
            .parameter(
                Parameter::text(
                    "mode",
                    "Its permission bits, octal; 0644 for a file and 0755 for a folder where \
                     nothing is said",
                )
                .pattern("^[0-7]{3,4}$"),
            )
            .parameter(
                Parameter::text("owner", "`user` or `user:group`")
                    .default("root")
                    .pattern("^[A-Za-z0-9_.-]+(:[A-Za-z0-9_.-]+)?$"),
            )
            .parameter(
                Parameter::flag(
                    "recursive",
                    "With `absent`: also a folder that is not empty, with all that is in it",
                )
                .default(false),
            )
            .family("linux")
    }
}

impl Builder for Files {
    fn build() -> Result<(), String> {
        let path = inputs::text("path").ok_or("`path` is missing")?;
        if path.split('/').any(|part| part == "..") {
            return Err(format!("`path` {path} must not hold `..`"));
        }
        let kind = inputs::text("kind").unwrap_or_default();
        let content = Content::read()?;
        if kind != "file" && content.is_some() {
            return Err(format!(
                "a {kind} has no content; leave out what is in the file"
            ));
        }
        let steps = match &*kind {
            "folder" => vec![place(
                "make the folder",
                &path,
                include_str!("folder.sh"),
                "0755",
            )],
            "link" => vec![link(&path)?],
            "absent" => vec![absent(&path)?],
            _ => file(&path, content)?,
        };
        change::of(&steps[steps.len() - 1..]);
        Ok(())
    }
}

/// What is to be in a file.
enum Content {
    Text(String),
    Asset(String),
}

impl Content {
    fn read() -> Result<Option<Self>, String> {
        let template = inputs::text("template");
        let values = inputs::json("values");
        if values.is_some() && template.is_none() {
            return Err("`values` are those of a `template`, and there is none".to_owned());
        }
        match (inputs::text("text"), template, inputs::text("asset")) {
            (None, None, None) => Ok(None),
            (Some(text), None, None) => Ok(Some(Self::Text(text))),
            (None, Some(template), None) => {
                template::render(&template, values.as_ref()).map(|text| Some(Self::Text(text)))
            }
            (None, None, Some(asset)) => Ok(Some(Self::Asset(asset))),
            _ => Err("give one of `text`, `template` and `asset`".to_owned()),
        }
    }
}

/// Brings the content, then puts it in its place.
fn file(path: &str, content: Option<Content>) -> Result<Vec<Step>, String> {
    let name = change::named("bring what is in", path);
    let bring = match content {
        Some(Content::Text(text)) => write(name, STAGED, text),
        Some(Content::Asset(asset)) => write_asset(name, STAGED, asset),
        None => return Err("give `text`, `template` or `asset`: what is to be in the file".into()),
    };
    let settle = place("put in place", path, include_str!("file.sh"), "0644");
    Ok(vec![
        bring.mode(0o600),
        settle.environment("STAGED", STAGED),
    ])
}

fn link(path: &str) -> Result<Step, String> {
    let target = inputs::text("target").filter(|target| !target.is_empty());
    let target = target.ok_or("give `target`: where the link leads")?;
    Ok(place("link", path, include_str!("link.sh"), "").environment("TARGET", target))
}

fn absent(path: &str) -> Result<Step, String> {
    let recursive = inputs::flag("recursive") == Some(true);
    // `//etc` and `/./etc` are `/etc` too.
    let depth = path
        .split('/')
        .filter(|part| !part.is_empty() && *part != ".")
        .count();
    if recursive && depth < 2 {
        return Err(format!(
            "{path} is a folder of the system, and is not taken away with all in it"
        ));
    }
    let step = place("take away", path, include_str!("absent.sh"), "");
    Ok(step.environment("RECURSIVE", if recursive { "yes" } else { "no" }))
}

/// A script about the path.
fn place(verb: &str, path: &str, body: &str, mode: &str) -> Step {
    change::script(change::named(verb, path), body)
        .environment("FILE", machine::path(path))
        .environment(
            "MODE",
            inputs::text("mode").unwrap_or_else(|| mode.to_owned()),
        )
        .environment(
            "OWNER",
            inputs::text("owner").unwrap_or_else(|| "root".to_owned()),
        )
}

component!(Files: builder);

#[cfg(test)]
mod tests;
