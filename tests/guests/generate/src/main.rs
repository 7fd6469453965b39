//! `generate c|go|adapter OUT`: what a C or Go component needs that is made of `/wit`.
//!
//! `../build` runs it; an author would run `wit-bindgen c` and `wit-bindgen go` of
//! `wit-bindgen-cli`, which give the same files. It must write nothing but into `OUT`,
//! and compiles nothing.

use std::error::Error;
use std::fs;
use std::path::Path;
use std::process::Command;

use wit_bindgen_core::wit_parser::Resolve;
use wit_bindgen_core::{Files, WorldGenerator};

const CONTRACT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../wit/component.wit");

/// This program's own manifest, which leads to the crates' sources.
const CRATES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");

/// The world of the fixtures, which have every role.
const WORLD: &str = "all-roles";

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [what, out] = arguments.as_slice() else {
        return Err("usage: generate c|go|adapter OUT".into());
    };
    let out = Path::new(out);
    match what.as_str() {
        // Without a name of its own the world's stands before every type.
        "c" => {
            let options = wit_bindgen_c::Opts {
                rename_world: Some("darkroom".into()),
                ..Default::default()
            };
            bindings(&mut *options.build(), out)
        }
        "go" => {
            bindings(&mut *wit_bindgen_go::Opts::default().build(), out)?;
            go_runtime(&out.join("pkg"))
        }
        "adapter" => Ok(fs::write(
            out,
            wasi_preview1_component_adapter_provider::WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER,
        )?),
        other => Err(format!("there is nothing to generate for {other}").into()),
    }
}

fn bindings(generator: &mut dyn WorldGenerator, out: &Path) -> Result<(), Box<dyn Error>> {
    let mut resolve = Resolve::default();
    let package = resolve.push_str("component.wit", &fs::read_to_string(CONTRACT)?)?;
    let world = resolve.select_world(&[package], Some(WORLD))?;
    let mut files = Files::default();
    generator.generate(&mut resolve, world, &mut files)?;
    for (name, bytes) in files.iter() {
        let path = out.join(name);
        fs::create_dir_all(path.parent().unwrap_or(out))?;
        fs::write(path, bytes)?;
    }
    Ok(())
}

/// The module that the bindings for Go import, `go.bytecodealliance.org/pkg`. It ships
/// with the generator and asks for a newer Go than it needs.
fn go_runtime(out: &Path) -> Result<(), Box<dyn Error>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let asked = Command::new(cargo)
        .args(["metadata", "--format-version=1", "--locked", "--offline"])
        .args(["--manifest-path", CRATES])
        .output()?;
    let text = String::from_utf8(asked.stdout)?;
    let manifest = text
        .split('"')
        .find(|word| word.contains("/wit-bindgen-go-") && word.ends_with("/Cargo.toml"))
        .ok_or("cargo doesn't say where wit-bindgen-go is")?;
    let source = Path::new(manifest).with_file_name("src").join("pkg");
    copy(&source.join("wit"), &out.join("wit"))?;
    let module = fs::read_to_string(source.join("go.mod"))?;
    let lines = module.lines().map(|line| match line.strip_prefix("go ") {
        Some(_) => "go 1.25\n".to_owned(),
        None => format!("{line}\n"),
    });
    Ok(fs::write(out.join("go.mod"), lines.collect::<String>())?)
}

fn copy(from: &Path, to: &Path) -> Result<(), Box<dyn Error>> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
