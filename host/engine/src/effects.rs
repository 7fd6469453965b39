//! The one table of effect classes: how each mutating ECS action may be repeated.
//!
//! The class is the journal's idea, the action is ECS's, and they meet here only. An
//! action that isn't in the table can't be an operation, and a test holds the table
//! against the list of all actions, so that a new one can't be forgotten.

use darkroom_ecs::action;
use darkroom_journal::Class;

use crate::operation::Operation;

/// ClientToken = `UUIDv5(run, key)`: a replay asks for the same thing, and gets it.
const TOKEN: &[&str] = &[
    "CopyImage",
    "CreateImage",
    "CreateInstance",
    "CreateSecurityGroup",
    "CreateSnapshot",
    "CreateVSwitch",
    "CreateVpc",
    "RunCommand",
    "RunInstances",
    "SendFile",
];

/// Brings about a state. Looked at first when repeated; 'already so' is success.
const STATE: &[&str] = action::IDEMPOTENT;

/// Neither: what was there before is compared with what is there now.
const WITNESS: &[&str] = &["RebootInstance"];

/// The class of an ECS action; none for an action that nobody knows.
pub fn of_action(name: &str) -> Option<Class> {
    let table = [
        (TOKEN, Class::Token),
        (STATE, Class::State),
        (WITNESS, Class::Witness),
    ];
    table
        .iter()
        .find(|(names, _)| names.contains(&name))
        .map(|(_, class)| *class)
        .or_else(|| {
            action::info(name)
                .filter(|info| !info.mutating)
                .map(|_| Class::Read)
        })
}

/// The class of an operation. An ECS action that nobody knows is taken for the most
/// careful one.
pub fn of(operation: &Operation) -> Class {
    match operation {
        Operation::Ecs { action, .. } => of_action(action).unwrap_or(Class::State),
        Operation::SendSlice { .. } | Operation::SendSecret { .. } => Class::Token,
        Operation::Reboot { .. } => Class::Witness,
        Operation::Call { .. } => Class::Pure,
        Operation::Fetch { .. }
        | Operation::FetchMasked { .. }
        | Operation::Now
        | Operation::Survey { .. } => Class::Read,
        Operation::ReleaseInstances { .. }
        | Operation::RemoveNetwork { .. }
        | Operation::DiscardImages { .. }
        | Operation::DiscardImagesOnly { .. } => Class::State,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mutating_action_is_in_exactly_one_class_and_no_other_is() {
        for info in action::ACTIONS {
            let rows = [TOKEN, STATE, WITNESS]
                .iter()
                .flat_map(|names| names.iter())
                .filter(|name| **name == info.name)
                .count();
            assert_eq!(rows, usize::from(info.mutating), "{}", info.name);
        }
        for name in [TOKEN, STATE, WITNESS].concat() {
            assert!(action::info(name).is_some(), "{name} is no action");
        }
    }
}
