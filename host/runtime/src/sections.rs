//! What stands in a component's own sections, read without compiling it.
//!
//! Only nesting depth 0 counts: a component that contains another one must not
//! take over its description. Nested modules and components are stepped over.

use std::ops::Range;

use wasmparser::{Chunk, Parser, Payload};

/// The name of the section with what `describe` answered.
pub(crate) const DESCRIPTION: &str = "darkroom:description";

/// What a binary is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Module,
    Component,
}

/// The outer layer of a component or module.
#[derive(Debug)]
pub(crate) struct Outline<'a> {
    pub kind: Kind,
    /// Names of imports; those of modules are the names of the modules they want.
    pub imports: Vec<String>,
    pub exports: Vec<String>,
    /// All custom sections in order.
    pub custom: Vec<Custom<'a>>,
}

/// A custom section and where all of it stands, its header included.
#[derive(Debug)]
pub(crate) struct Custom<'a> {
    pub name: &'a str,
    pub data: &'a [u8],
    pub range: Range<usize>,
}

impl<'a> Outline<'a> {
    /// The content of a custom section that may be there once.
    pub fn section(&self, name: &str) -> Result<Option<&'a [u8]>, Twice> {
        let mut found = self.custom.iter().filter(|section| section.name == name);
        let first = found.next().map(|section| section.data);
        match found.next() {
            None => Ok(first),
            Some(_) => Err(Twice(name.into())),
        }
    }
}

/// A section of ours is there twice; either could be the one that was meant.
#[derive(Debug)]
pub(crate) struct Twice(pub String);

/// Reads the outer layer.
///
/// # Errors
/// In words, where the bytes are damaged.
pub(crate) fn outline(bytes: &[u8]) -> Result<Outline<'_>, String> {
    let mut outline = Outline {
        kind: Kind::Module,
        imports: Vec::new(),
        exports: Vec::new(),
        custom: Vec::new(),
    };
    let mut parser = Parser::new(0);
    let mut at = 0;
    loop {
        let rest = bytes.get(at..).unwrap_or_default();
        let start = at;
        let payload = match parser.parse(rest, true) {
            Err(error) => return Err(error.to_string()),
            Ok(Chunk::NeedMoreData(_)) => return Err("it is cut off".into()),
            Ok(Chunk::Parsed { consumed, payload }) => {
                at += consumed;
                payload
            }
        };
        match payload {
            Payload::End(_) => return Ok(outline),
            // The nested binary would come next; the parser is not told about it.
            Payload::ModuleSection {
                unchecked_range, ..
            }
            | Payload::ComponentSection {
                unchecked_range, ..
            } => {
                at = usize::try_from(unchecked_range.end).unwrap_or(usize::MAX);
                if at > bytes.len() {
                    return Err("it is cut off".into());
                }
            }
            Payload::CodeSectionStart { size, .. } => {
                // Only modules have code at depth 0, and nothing is wanted of it.
                parser.skip_section();
                at = at.saturating_add(usize::try_from(size).unwrap_or(usize::MAX));
                if at > bytes.len() {
                    return Err("it is cut off".into());
                }
            }
            Payload::CustomSection(section) => outline.custom.push(Custom {
                name: section.name(),
                data: section.data(),
                range: start..at,
            }),
            other => outline.note(other).map_err(|error| error.to_string())?,
        }
    }
}

impl Outline<'_> {
    fn note(&mut self, payload: Payload<'_>) -> wasmparser::Result<()> {
        match payload {
            Payload::Version { encoding, .. } => {
                self.kind = match encoding {
                    wasmparser::Encoding::Module => Kind::Module,
                    wasmparser::Encoding::Component => Kind::Component,
                };
            }
            Payload::ComponentImportSection(imports) => {
                for import in imports {
                    self.imports.push(import?.name.name.to_owned());
                }
            }
            Payload::ComponentExportSection(exports) => {
                for export in exports {
                    self.exports.push(export?.name.name.to_owned());
                }
            }
            Payload::ImportSection(imports) => {
                for import in imports.into_imports() {
                    self.imports.push(import?.module.to_owned());
                }
            }
            Payload::ExportSection(exports) => {
                for export in exports {
                    self.exports.push(export?.name.to_owned());
                }
            }
            _ => {}
        }
        Ok(())
    }
}
