//! What a component imports and exports, against the contract: names, versions, and the
//! types of all functions.
//!
//! wasmtime finds a wrong type too, at the first one and in its own words; here each is
//! shown beside what the contract says.

use std::collections::BTreeMap;

use darkroom_contract::Role;
use wit_component::DecodedWasm;
use wit_parser::{Function, Resolve, Type, TypeDefKind, WorldItem};

use super::finding::{Finding, Topic};
use super::remedy;
use crate::imports;
use crate::load::LoadProblem;
use crate::pack;
use crate::sections::Outline;

/// Functions by their names, each written as WIT.
type Functions = BTreeMap<String, String>;

/// Compares the surface with the contract.
pub(super) fn examine(bytes: &[u8], outline: &Outline<'_>, findings: &mut Vec<Finding>) {
    for import in &outline.imports {
        if let Some(problem) = imports::judge(import) {
            findings.push(Finding::of(Topic::Imports, &problem).hint(remedy(import)));
        }
    }
    let contract = contract();
    exported(outline, &contract, findings);
    let decoded = match wit_component::decode(bytes) {
        Ok(DecodedWasm::Component(resolve, world)) => {
            let world = &resolve.worlds[world];
            (
                interfaces(&resolve, &world.imports),
                interfaces(&resolve, &world.exports),
            )
        }
        Ok(DecodedWasm::WitPackage(..)) => return,
        Err(error) => {
            let message = format!("its interfaces can't be read: {error:#}");
            return findings.push(Finding::wrong(Topic::World, message));
        }
    };
    for (name, functions) in &decoded.0 {
        typed(Topic::Imports, name, functions, &contract, false, findings);
    }
    for (name, functions) in &decoded.1 {
        typed(Topic::World, name, functions, &contract, true, findings);
    }
}

/// The names of exported interfaces: `about`, and at least one role.
fn exported(
    outline: &Outline<'_>,
    contract: &BTreeMap<String, Functions>,
    findings: &mut Vec<Finding>,
) {
    let mut known = Vec::new();
    for (name, (interface, version)) in outline
        .exports
        .iter()
        .filter_map(|name| Some((name, imports::interface(name)?)))
    {
        if !imports::is_compatible(version) {
            let interface = name.clone();
            findings.push(Finding::of(
                Topic::World,
                &LoadProblem::OtherContract { interface },
            ));
        } else if !contract.contains_key(interface) {
            let message = format!("it exports {name}, which the contract doesn't have");
            let hint = "export `about` and some of `builder`, `tester` and `repairer`";
            findings.push(Finding::wrong(Topic::World, message).hint(hint));
        }
        known.push(interface);
    }
    if !known.contains(&"about") {
        findings.push(Finding::of(Topic::World, &LoadProblem::NotOurs));
    }
    if !Role::ALL.iter().any(|role| known.contains(&role.name())) {
        findings.push(Finding::of(Topic::World, &LoadProblem::NoRole));
    }
}

/// The functions of one interface; of an exported one all must be there.
fn typed(
    topic: Topic,
    name: &str,
    functions: &Functions,
    contract: &BTreeMap<String, Functions>,
    all: bool,
    findings: &mut Vec<Finding>,
) {
    let Some((interface, version)) = imports::interface(name) else {
        return;
    };
    let Some(wanted) = contract
        .get(interface)
        .filter(|_| imports::is_compatible(version))
    else {
        return;
    };
    for (function, is) in functions {
        match wanted.get(function) {
            Some(should) if should == is => {}
            Some(should) => {
                let message = format!(
                    "{name} has `{function}: {is}`, and the contract says `{function}: {should}`"
                );
                findings.push(
                    Finding::wrong(topic, message)
                        .hint("build it against the files of `darkroom component wit -o wit`"),
                );
            }
            None if all => {}
            None => {
                let missing = format!("{name}#{function}");
                let needs = version.to_owned();
                findings.push(Finding::of(
                    topic,
                    &LoadProblem::NewerContract { missing, needs },
                ));
            }
        }
    }
    for function in wanted
        .keys()
        .filter(|name| all && !functions.contains_key(*name))
    {
        findings.push(Finding::wrong(
            topic,
            format!("{name} has no function `{function}`"),
        ));
    }
}

/// The contract's interfaces, by their bare names.
fn contract() -> BTreeMap<String, Functions> {
    let mut resolve = Resolve::default();
    // A test holds that it parses.
    let Ok(package) = resolve.push_str("component.wit", pack::WIT) else {
        return BTreeMap::new();
    };
    let of = |(name, id): (&String, &wit_parser::InterfaceId)| {
        let functions = &resolve.interfaces[*id].functions;
        (
            name.clone(),
            functions
                .iter()
                .map(|one| written(&resolve, one.0, one.1))
                .collect(),
        )
    };
    resolve.packages[package]
        .interfaces
        .iter()
        .map(of)
        .collect()
}

/// The interfaces of one side of a world, by their full names.
fn interfaces<'a>(
    resolve: &Resolve,
    items: impl IntoIterator<Item = (&'a wit_parser::WorldKey, &'a WorldItem)>,
) -> BTreeMap<String, Functions> {
    items
        .into_iter()
        .filter_map(|(key, item)| {
            let WorldItem::Interface { id, .. } = item else {
                return None;
            };
            let functions = &resolve.interfaces[*id].functions;
            let functions = functions.iter().map(|one| written(resolve, one.0, one.1));
            Some((resolve.name_world_key(key), functions.collect()))
        })
        .collect()
}

/// A function as WIT: `func(of: u32, seconds: u32)`.
fn written(resolve: &Resolve, name: &str, function: &Function) -> (String, String) {
    let parameters: Vec<_> = function
        .params
        .iter()
        .map(|one| format!("{}: {}", one.name, kind(resolve, &one.ty)))
        .collect();
    let waits = if function.kind.is_async() {
        "async "
    } else {
        ""
    };
    let result = function.result.as_ref();
    let result = result.map_or(String::new(), |result| {
        format!(" -> {}", kind(resolve, result))
    });
    (
        name.to_owned(),
        format!("{waits}func({}){result}", parameters.join(", ")),
    )
}

/// A type as WIT, with the types that names stand for.
fn kind(resolve: &Resolve, of: &Type) -> String {
    let part = |part: &Option<Type>| match part {
        Some(part) => kind(resolve, part),
        None => "_".to_owned(),
    };
    let Type::Id(id) = of else {
        return format!("{of:?}").to_lowercase();
    };
    let named = &resolve.types[*id];
    match &named.kind {
        TypeDefKind::Type(inner) => kind(resolve, inner),
        TypeDefKind::List(inner) => format!("list<{}>", kind(resolve, inner)),
        TypeDefKind::Option(inner) => format!("option<{}>", kind(resolve, inner)),
        TypeDefKind::Result(result) => match (&result.ok, &result.err) {
            (None, None) => "result".to_owned(),
            (ok, None) => format!("result<{}>", part(ok)),
            (ok, err) => format!("result<{}, {}>", part(ok), part(err)),
        },
        other => named
            .name
            .clone()
            .unwrap_or_else(|| other.as_str().to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_contract_is_read_with_the_types_that_names_stand_for() {
        let contract = contract();
        assert_eq!(contract.len(), 8);
        assert_eq!(contract["steps"]["timeout"], "func(of: u32, seconds: u32)");
        assert_eq!(
            contract["inputs"]["text"],
            "func(name: string) -> option<string>"
        );
        assert_eq!(contract["builder"]["build"], "func() -> result<_, string>");
    }
}
