//! Settings: what can be said by a flag, an environment variable, the project's file or
//! the user's file, in that order, and what is so when nobody says anything.
//!
//! The project's file is `darkroom.toml` beside the template (or in the current folder
//! for verbs without one); the user's is `$XDG_CONFIG_HOME/darkroom/config.toml`, else
//! `~/.config/darkroom/config.toml`. Every key is in one table ([`KEYS`]), which the
//! files, the environment, `darkroom config show` and `darkroom help configuration`
//! share, so that none of them can know a key that another doesn't.
//!
//! Secrets have no place in either file. Nor has `--yes`: a template's folder that comes
//! from somebody else must not be able to say that money may be spent without a question.

mod config;
mod file;
mod keys;
mod place;

pub(crate) use config::{Config, Origin, Value};
pub(crate) use file::user_file;
pub(crate) use keys::{KEYS, Key, Known, table};
pub(crate) use place::Settings;

/// The name of a project's file.
pub(crate) const PROJECT_FILE: &str = "darkroom.toml";
