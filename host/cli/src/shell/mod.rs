//! A person in an instance: a real terminal where there is one on both sides, else one
//! line after the other over Cloud Assistant.

mod machine;
mod pty;

use crate::exit::Exit;
use crate::failure::Failure;
use crate::places::roots::Roots;
use crate::terminal::Terminal;

pub(crate) use machine::Machine;

/// Lets a person into an instance until he leaves. `local` are the roots of the local
/// cloud, if the instance is one of its; whose driver has no real instances has no
/// terminals either.
pub(crate) async fn enter(
    machine: &Machine,
    local: Option<&Roots>,
    terminal: &Terminal,
) -> Result<Exit, Failure> {
    let instance = machine.instance.to_string();
    match local {
        Some(roots) if terminal.is_interactive() && pty::is_there(&roots.local, &instance) => {
            pty::session(roots.local.clone(), instance).await
        }
        _ => machine.lines(terminal).await,
    }
}
