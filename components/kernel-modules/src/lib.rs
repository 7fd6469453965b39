//! The component `kernel-modules`: says which kernel modules are loaded at boot, which are
//! kept out, and with which options.
//!
//! A builder. It writes two files, `/etc/modules-load.d/NAME.conf` and
//! `/etc/modprobe.d/NAME.conf`, which hold what this use says and nothing else; a file
//! with nothing in it is removed. The initial RAM disk holds a copy of the second one, so
//! it is made anew where that changes and a tool for it is there. It loads and unloads
//! nothing: the machine that builds the image is not the one that uses it.

use darkroom::{About, Builder, Description, Parameter, component, inputs};
use std::fmt::Write as _;

struct KernelModules;

/// The name of a module; `-` and `_` are the same to the kernel.
const MODULE: &str = "^[A-Za-z0-9_][A-Za-z0-9_-]*$";

impl About for KernelModules {
    fn describe() -> Description {
        let modules = |name, about| Parameter::texts(name, about).pattern(MODULE);
        Description::new("Says which kernel modules are loaded, kept out, and with which options")
            .parameter(modules("load", "Modules that are loaded at every boot"))
            .parameter(modules(
                "blacklist",
                "Modules that no device loads; they can still be loaded by name",
            ))
            .parameter(modules("forbid", "Modules that can't be loaded at all"))
            .parameter(
                Parameter::map(
                    "options",
                    "Modules with their options, as `nf_conntrack: hashsize=32768`",
                )
                .pattern("^[^\\n\\r]*$"),
            )
            .parameter(
                Parameter::text("name", "The files' name, without `.conf`")
                    .default("darkroom")
                    .pattern("^[A-Za-z0-9_][A-Za-z0-9_.-]*$"),
            )
            .parameter(
                Parameter::flag(
                    "initramfs",
                    "Make the initial RAM disk anew where something for modprobe changed",
                )
                .default(true),
            )
            .family("linux")
    }
}

impl Builder for KernelModules {
    fn build() -> Result<(), String> {
        let name = inputs::text("name").unwrap_or_else(|| "darkroom".to_owned());
        let step = change::script("set up kernel modules", include_str!("set.sh"))
            .environment("LOAD_FILE", format!("/etc/modules-load.d/{name}.conf"))
            .environment("LOAD", lines("", &inputs::texts("load"), ""))
            .environment("PROBE_FILE", format!("/etc/modprobe.d/{name}.conf"))
            .environment("PROBE", modprobe()?)
            .environment(
                "INITRAMFS",
                if inputs::flag("initramfs") == Some(false) {
                    "no"
                } else {
                    "yes"
                },
            )
            .timeout(1800);
        change::of(&[step]);
        Ok(())
    }
}

/// What modprobe is told.
fn modprobe() -> Result<String, String> {
    let forbidden = inputs::texts("forbid");
    let mut text = lines("blacklist ", &inputs::texts("blacklist"), "");
    text += &lines("install ", &forbidden, " /bin/false");
    for (module, options) in inputs::map("options") {
        let is_module = module.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
            && module
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "_-".contains(c));
        if !is_module {
            return Err(format!("{module:?} in `options` is no name of a module"));
        }
        let _ = writeln!(text, "options {module} {options}");
    }
    if let Some(module) = inputs::texts("load")
        .iter()
        .find(|load| forbidden.contains(load))
    {
        return Err(format!("{module} stands in `load` and in `forbid`"));
    }
    Ok(text)
}

/// One line for each module, sorted, each once.
fn lines(before: &str, modules: &[String], after: &str) -> String {
    let mut modules: Vec<_> = modules.iter().collect();
    modules.sort();
    modules.dedup();
    modules.iter().fold(String::new(), |text, module| {
        text + before + module + after + "\n"
    })
}

component!(KernelModules: builder);

#[cfg(test)]
mod tests;
