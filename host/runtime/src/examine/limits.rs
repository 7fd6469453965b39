//! What a component asks for before its first instruction, against a call's limits.
//!
//! Everything is counted once, as it is written: what is instantiated twice asks twice,
//! which the call itself finds.

use wasmparser::{Instance, Parser, Payload};

use super::finding::{Finding, Topic};
use crate::config::Limits;

/// What a component declares.
#[derive(Default)]
struct Declared {
    memories: usize,
    bytes: u64,
    tables: usize,
    elements: u64,
    instances: usize,
}

/// Compares what is declared with what is allowed.
pub(super) fn examine(bytes: &[u8], limits: &Limits, findings: &mut Vec<Finding>) {
    // The bytes have been validated, so that nothing fails here.
    let declared = count(bytes).unwrap_or_default();
    let number = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
    let rows = [
        (
            "bytes of memory at its start",
            declared.bytes,
            limits.memory_bytes,
        ),
        (
            "elements in tables",
            declared.elements,
            limits.table_elements,
        ),
        ("memories", number(declared.memories), limits.memories),
        ("tables", number(declared.tables), limits.tables),
        (
            "instances of modules",
            number(declared.instances),
            limits.instances,
        ),
    ];
    for (what, has, allowed) in rows {
        if has > number(allowed) {
            let message = format!("it has {has} {what}; {allowed} are allowed");
            findings.push(Finding::wrong(Topic::Limits, message));
        }
    }
}

fn count(bytes: &[u8]) -> wasmparser::Result<Declared> {
    let mut declared = Declared::default();
    for payload in Parser::new(0).parse_all(bytes) {
        match payload? {
            Payload::MemorySection(memories) => {
                for memory in memories {
                    let memory = memory?;
                    let page = memory.page_size_log2.unwrap_or(16).min(63);
                    declared.memories += 1;
                    let size = memory.initial.saturating_mul(1 << page);
                    declared.bytes = declared.bytes.saturating_add(size);
                }
            }
            Payload::TableSection(tables) => {
                for table in tables {
                    declared.tables += 1;
                    let initial = table?.ty.initial;
                    declared.elements = declared.elements.saturating_add(initial);
                }
            }
            Payload::InstanceSection(instances) => {
                for instance in instances {
                    declared.instances +=
                        usize::from(matches!(instance?, Instance::Instantiate { .. }));
                }
            }
            _ => {}
        }
    }
    Ok(declared)
}
