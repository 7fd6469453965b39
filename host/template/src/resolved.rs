//! What comes out of a template: [`Resolved`] and everything in it.
//!
//! The engine plans and builds from these types, so each value that only the cloud can
//! judge carries its place, and nothing here is checked again. How they are filled is
//! `section`'s and `resolve`'s to say; this file only holds them.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::mistake::Mistake;
use crate::read::{Reader, shortened};
use crate::resolve::Cloud;
use crate::section::repair::Repair;
use crate::section::source::Source;
use crate::section::uses::{SpanTree, UsesRef};
use crate::span::{SourceFile, Span, Spanned};

/// A template with nothing left to decide. See [`Template::resolve`](crate::Template::resolve).
#[derive(Clone, Debug)]
pub struct Resolved {
    /// The template's name.
    pub name: Spanned<String>,
    /// The cloud that it was resolved for.
    pub cloud: Cloud,
    /// The region in which the image is built: the one asked for, else the first of
    /// `distribute.regions`, else `cn-hangzhou`.
    pub region: String,
    /// The value of every parameter.
    pub parameters: Map<String, Value>,
    /// The values of the cell of the matrix; none without one.
    pub matrix: Map<String, Value>,
    /// Where secrets come from, in the order of the file. Their values are nowhere here.
    pub secrets: Vec<Secret>,
    /// The image that the build starts from.
    pub source: Source,
    /// What is repaired in it.
    pub repair: Spanned<Repair>,
    /// What is done, in order.
    pub build: Vec<BuildItem>,
    /// The tests of the finished image, in order.
    pub test: Vec<TestItem>,
    /// The instances that it is built and tested on.
    pub instance: Instance,
    /// How the image is named.
    pub image: ImageSettings,
    /// Where it goes.
    pub distribute: Distribute,
    /// What becomes of an image that fails its tests.
    pub on_test_failure: OnTestFailure,
    /// How many images of this template are kept; without it, all.
    pub retain: Option<Retain>,
    /// How old an unchanged build may be to be taken for this one, if it depends on the
    /// outside; without it, one day.
    pub rebuild: Option<Rebuild>,
    /// Whether what each item of `build` has come to is kept as an image; without it only
    /// where that costs next to nothing.
    pub checkpoint: Option<bool>,
    pub(crate) source_file: Arc<SourceFile>,
}

/// One item of `build`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BuildItem {
    /// A component.
    Uses(Uses),
    /// Files of the template's folder.
    Copy(Copy),
    /// A script.
    Run(Run),
    /// A reboot.
    Reboot {
        /// Where the template asks for it.
        span: Span,
    },
}

impl BuildItem {
    /// What to mark when something is wrong with the item as a whole.
    pub fn span(&self) -> Span {
        match self {
            Self::Uses(uses) => uses.span,
            Self::Copy(copy) => copy.span,
            Self::Run(run) => run.span,
            Self::Reboot { span } => *span,
        }
    }
}

/// One item of `test`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TestItem {
    /// A component.
    Uses(Uses),
    /// A script: exit code 0 is a passed case.
    Run(Run),
}

impl TestItem {
    /// What to mark when something is wrong with the item as a whole.
    pub fn span(&self) -> Span {
        match self {
            Self::Uses(uses) => uses.span,
            Self::Run(run) => run.span,
        }
    }
}

/// A secret: its name and where its value is asked for, at every build and resume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Secret {
    /// Its name, as in `${{ secrets.name }}`.
    pub name: Spanned<String>,
    /// Where it comes from.
    pub from: SecretFrom,
}

/// Where a secret comes from. Only the command line looks there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SecretFrom {
    /// A variable of the environment.
    Environment(String),
    /// A file, relative to the template's folder, as written. It has no `..` and is not
    /// absolute; whether a symbolic link leads out is seen when it is opened.
    File(PathBuf),
    /// What a program prints: the program and its arguments, never a shell's line.
    /// There is at least the program.
    Command(Vec<String>),
}

/// A component with its arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uses {
    /// What is named.
    pub reference: UsesRef,
    /// The arguments, as yet without the component's defaults.
    pub with: Map<String, Value>,
    /// Where the component is named.
    pub span: Span,
    /// The whole item.
    pub item: Span,
    pub(crate) arguments: Option<SpanTree>,
}

impl Uses {
    /// Where an argument stands, by its path in JSON (`["install", "0"]`), or the
    /// nearest value around it that the file has. Without `with` it is the name of
    /// the component.
    pub fn argument_span<S: AsRef<str>>(&self, path: &[S]) -> Span {
        match &self.arguments {
            Some(tree) if !path.is_empty() => match tree.find(path) {
                // An argument that is missing is reported where the component is named.
                span if span == tree.span => self.span,
                span => span,
            },
            _ => self.span,
        }
    }

    /// Where the name of an argument stands, for arguments that shouldn't be there.
    pub fn argument_key_span(&self, name: &str) -> Option<Span> {
        self.arguments.as_ref()?.key(name)
    }
}

/// A script of the template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// The script for the machine's shell.
    pub script: String,
    /// Variables and their values, in the order of the file.
    pub env: Vec<(String, String)>,
    /// What the template calls it.
    pub name: Option<String>,
    /// Where the script stands.
    pub span: Span,
    /// The whole item.
    pub item: Span,
}

impl Run {
    /// What to call it: its name, or the first line of the script.
    pub fn title(&self) -> String {
        let line = self
            .script
            .lines()
            .map(str::trim)
            .find(|line| !line.is_empty());
        match &self.name {
            Some(name) => name.clone(),
            None => shortened(line.unwrap_or("run")),
        }
    }
}

/// Files of the template's folder that go into the image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copy {
    /// A file or folder, relative to the template's folder, as written. It has no `..`
    /// and is not absolute; whether a symbolic link leads out is seen when it is opened.
    pub from: Spanned<String>,
    /// The absolute path in the image.
    pub to: Spanned<String>,
    /// The permissions of the files, such as `0o644`.
    pub mode: Option<u32>,
    /// The owner of files and folders, `user` or `user:group`.
    pub owner: Option<String>,
    /// Patterns of what is left out.
    pub ignore: Vec<String>,
    /// What the template calls it.
    pub name: Option<String>,
    /// Where the template asks for it.
    pub span: Span,
}

impl Copy {
    /// What to call it: its name, or what goes where.
    pub fn title(&self) -> String {
        match &self.name {
            Some(name) => name.clone(),
            None => shortened(&format!("copy {} to {}", self.from, self.to)),
        }
    }
}

/// The instances of a build.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Instance {
    /// The types, tried in order; without one the cheapest that fits is chosen.
    pub types: Vec<Spanned<String>>,
    /// Bandwidth to the internet in Mbit/s; without it there is no way out.
    pub internet: Option<Spanned<u32>>,
    /// The vSwitch.
    pub vswitch: Option<Spanned<String>>,
    /// The security group.
    pub security_group: Option<Spanned<String>>,
    /// The size of the system disk in GiB; without it the image's own.
    pub disk: Option<Spanned<u32>>,
    /// Whether spot instances are used.
    pub spot: bool,
    /// Disks beside the system disk, in the order of the file. They are part of the
    /// image.
    pub disks: Vec<DataDisk>,
}

/// A disk beside the system disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DataDisk {
    /// Its size in GiB.
    pub size: Spanned<u32>,
    /// Its category, such as `cloud_essd`.
    pub category: Option<Spanned<String>>,
    /// The snapshot that it is made from.
    pub snapshot: Option<Spanned<String>>,
    /// Where the template asks for it.
    pub span: Span,
}

/// How the finished image is named and described.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImageSettings {
    /// Its name, which must be free; without one it is `{name}-{run}`.
    pub name: Option<Spanned<String>>,
    /// The family that it joins after its tests.
    pub family: Option<Spanned<String>>,
    /// Its description.
    pub description: Option<Spanned<String>>,
    /// Its tags, in the order of the file.
    pub tags: Vec<(String, Spanned<String>)>,
}

/// Where the finished image goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Distribute {
    /// The regions that have it in the end, in the order of the file.
    pub regions: Vec<Spanned<String>>,
    /// The accounts that may use it.
    pub accounts: Vec<Spanned<String>>,
}

/// What becomes of an image that fails its tests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnTestFailure {
    /// It is kept, in no family, so that somebody can look into it. The default.
    #[default]
    Keep,
    /// It is deleted.
    Delete,
}

/// What is kept of earlier builds of this template.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Retain {
    /// The newest images that are kept in each region, the new one included.
    pub keep: u32,
}

/// When nothing need be built.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Rebuild {
    /// The oldest unchanged build that is taken for this one.
    pub max_age: Duration,
}

impl Resolved {
    /// The file and its text.
    pub fn source_file(&self) -> &Arc<SourceFile> {
        &self.source_file
    }

    /// A mistake in the template that only others can find: a component that doesn't
    /// exist, an argument that it doesn't take.
    pub fn mistake_at(
        &self,
        span: Span,
        message: impl Into<String>,
        help: Option<String>,
    ) -> Mistake {
        let reader = Reader::new(&self.source_file);
        let mistake = reader.mistake(span, message);
        help.into_iter().fold(mistake, Mistake::help)
    }
}
