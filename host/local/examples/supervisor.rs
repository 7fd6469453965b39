//! The executable of supervisors in this crate's own tests: it does nothing but
//! supervise the instance in the folder that it is given. The product's is the CLI.

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    match std::env::args_os().nth(1) {
        Some(folder) => darkroom_local::sandbox::supervise(Path::new(&folder)),
        None => ExitCode::FAILURE,
    }
}
