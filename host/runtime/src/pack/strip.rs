//! Leaving out what only a debugger or a linker wants, at every depth.
//!
//! `package` is the user. Code and data are copied as they are: optimizing them is the
//! compiler's business, and `cargo.rs` of the command line tells it to. Binaryen's wasm-opt
//! was left out: it takes no components, as a crate it is C++ in everybody's first build, and
//! one that happens to be installed would make other bytes of the same input.

use wasm_encoder::{ComponentSectionId, Encode as _, RawSection, Section as _};
use wasmparser::{Encoding, Parser, Payload};

/// What is left out of a package.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Strip {
    /// Nothing.
    Nothing,
    /// Debug information, what linkers left behind, and which tools made the modules
    /// inside. A trap still names functions.
    #[default]
    Debug,
    /// The names of functions too, so that a trap names places by number.
    Names,
}

impl Strip {
    /// Whether a custom section goes; `inside` of the outermost component or module.
    fn drops(self, name: &str, inside: bool) -> bool {
        let debug = name.starts_with(".debug_")
            || name.starts_with("reloc.")
            || ["linking", "target_features", "sourceMappingURL", "external_debug_info"]
                .contains(&name)
            // The component has the same for all its modules.
            || (inside && name == "producers");
        match self {
            Self::Nothing => false,
            Self::Debug => debug,
            Self::Names => debug || (inside && (name == "name" || name == "component-name")),
        }
    }
}

/// The component without what is to be left out; the outermost layer keeps its name.
///
/// # Errors
/// In words, where the bytes are damaged.
pub(super) fn strip(component: &[u8], what: Strip) -> Result<Vec<u8>, String> {
    if what == Strip::Nothing {
        return Ok(component.to_vec());
    }
    let mut around = Vec::new();
    let mut output = Vec::with_capacity(component.len());
    for payload in Parser::new(0).parse_all(component) {
        let payload = payload.map_err(|error| error.to_string())?;
        match &payload {
            Payload::Version { encoding, .. } => output.extend_from_slice(match encoding {
                Encoding::Module => &wasm_encoder::Module::HEADER,
                Encoding::Component => &wasm_encoder::Component::HEADER,
            }),
            Payload::ModuleSection { .. } => {
                around.push((ComponentSectionId::CoreModule, std::mem::take(&mut output)));
                continue;
            }
            Payload::ComponentSection { .. } => {
                around.push((ComponentSectionId::Component, std::mem::take(&mut output)));
                continue;
            }
            Payload::End(_) => {
                let Some((kind, mut parent)) = around.pop() else {
                    break;
                };
                parent.push(kind.into());
                output.encode(&mut parent);
                output = parent;
            }
            Payload::CustomSection(section) if what.drops(section.name(), !around.is_empty()) => {
                continue;
            }
            _ => {}
        }
        if let Some((id, range)) = payload.as_section() {
            let bounds = usize::try_from(range.start)
                .ok()
                .zip(usize::try_from(range.end).ok());
            let data = bounds.and_then(|(start, end)| component.get(start..end));
            let data = data.ok_or_else(|| "a section is cut off".to_owned())?;
            RawSection { id, data }.append_to(&mut output);
        }
    }
    Ok(output)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn component() -> Vec<u8> {
        wat::parse_str(
            r#"(component
                (core module $inner (func $named (export "f"))
                  (@custom ".debug_info" "dwarf") (@custom "producers" "\00") (@custom "kept" "x"))
                (core instance (instantiate $inner))
                (@custom ".debug_line" "dwarf") (@custom "producers" "\00"))"#,
        )
        .unwrap()
    }

    fn has(bytes: &[u8], text: &str) -> usize {
        bytes
            .windows(text.len())
            .filter(|part| *part == text.as_bytes())
            .count()
    }

    #[test]
    fn debug_information_goes_at_every_depth() {
        let whole = component();
        assert_eq!(strip(&whole, Strip::Nothing).unwrap(), whole);
        let small = strip(&whole, Strip::Debug).unwrap();
        assert_eq!(has(&small, "dwarf"), 0);
        assert_eq!((has(&small, "kept"), has(&small, "named")), (1, 1));
        assert_eq!((has(&whole, "producers"), has(&small, "producers")), (2, 1));
        let bare = strip(&small, Strip::Names).unwrap();
        assert_eq!((has(&bare, "kept"), has(&bare, "named")), (1, 0));
        // Nothing is left to do.
        assert_eq!(strip(&bare, Strip::Names).unwrap(), bare);
        assert_eq!(strip(&small, Strip::Debug).unwrap(), small);
        wasmparser::Validator::new().validate_all(&bare).unwrap();
    }

    #[test]
    fn damage_is_an_error() {
        let whole = component();
        for cut in 8..whole.len() - 1 {
            let cut = &whole[..cut];
            // A cut between two sections leaves a smaller component.
            if let Ok(small) = strip(cut, Strip::Debug) {
                assert!(small.len() <= cut.len());
            }
        }
        assert!(strip(&whole[..whole.len() / 2], Strip::Debug).is_err());
    }
}
