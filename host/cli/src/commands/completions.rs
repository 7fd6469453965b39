//! `darkroom completions`: completion scripts for shells.

use clap::{Args, ValueEnum};

use crate::completion;
use crate::exit::{self, Exit};
use crate::failure::Failure;
use crate::terminal::Terminal;

/// Print a script that makes a shell complete commands, runs and images
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    echo 'source <(darkroom completions bash)' >> ~/.bashrc\n  \
    echo 'source <(darkroom completions zsh)' >> ~/.zshrc\n  \
    echo 'darkroom completions fish | source' > ~/.config/fish/completions/darkroom.fish\n  \
    echo 'eval (darkroom completions elvish | slurp)' >> ~/.elvish/rc.elv\n  \
    darkroom completions powershell | Out-String | Invoke-Expression\n\n\
    The script asks this very program, so that it is best made anew by each shell, as above.")]
pub(crate) struct Completions {
    /// The shell
    shell: Shell,
}

#[derive(ValueEnum, Debug, Clone, Copy)]
enum Shell {
    Bash,
    Elvish,
    Fish,
    Powershell,
    Zsh,
}

impl Completions {
    pub(crate) fn run(&self) -> Result<Exit, Failure> {
        let name = match self.shell {
            Shell::Bash => "bash",
            Shell::Elvish => "elvish",
            Shell::Fish => "fish",
            Shell::Powershell => "powershell",
            Shell::Zsh => "zsh",
        };
        let script = completion::script(name)
            .ok_or_else(|| Failure::internal(format!("there is no script for {name}")))?;
        Terminal::raw(&script);
        Ok(exit::DONE)
    }
}
