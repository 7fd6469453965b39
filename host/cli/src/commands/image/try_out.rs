//! `darkroom image try`: a throwaway instance of an image, with a shell or a command in it.

use std::sync::Arc;

use clap::Args;
use darkroom_engine::carry::wrap::quote;
use darkroom_engine::manifest::Manifest;
use darkroom_engine::verb::{ImageVerb, TryImage};
use darkroom_engine::{Outcome, Tried};
use darkroom_template::Cloud;

use super::doing::{ImageArgs, Risk};
use crate::cloud::access::Access;
use crate::driving::Driving;
use crate::exit::{self, Exit};
use crate::failure::Failure;
use crate::places::roots::Roots;
use crate::settings::Settings;
use crate::shell::{self, Machine};
use crate::terminal::{Screen, Terminal};
use crate::workshop;

/// Try an image: a shell or a command on an instance that is gone afterwards
///
/// The exit code is that of the command, which root runs. One word after `--` is a line for
/// sh; several are a program and its arguments, each as it is.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    darkroom image try m-bp1abc\n  \
    darkroom image try m-bp1abc -- systemctl is-active nginx\n  \
    darkroom image try m-bp1abc --internet 5 -- 'curl -sI https://example.com | head -1'")]
pub(crate) struct Try {
    #[command(flatten)]
    image: ImageArgs,
    /// The instance type; by default the cheapest in stock that fits
    #[arg(long = "type", value_name = "TYPE")]
    instance_type: Option<String>,
    /// The instance's way to the internet in Mbit/s
    #[arg(long, value_name = "MBIT")]
    internet: Option<u32>,
    /// A command instead of a shell
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
}

impl Try {
    pub(crate) async fn run(self, terminal: &Terminal) -> Result<Exit, Failure> {
        let doing = self.image.decide()?;
        let command = line(&self.command);
        let place = doing.place();
        let question = format!("Start an instance in {place}, which is billed while it is there?");
        let driving = match &command {
            Some(_) => Driving::default(),
            None => looking(doing.settings.clone(), terminal.clone()),
        };
        let verb = ImageVerb::Try(TryImage {
            image: doing.image.clone(),
            command: command.clone(),
            instance_type: self.instance_type,
            internet: self.internet,
        });
        let asked = (Risk::Billed, question.as_str());
        let Some(outcome) = doing.run(verb, asked, driving, terminal).await? else {
            return Ok(exit::CANCELLED);
        };
        match (command, exit_code(&outcome.manifest)) {
            (Some(_), Some(code)) => {
                print(&outcome, terminal);
                Ok(code)
            }
            _ => workshop::tell(&outcome, terminal),
        }
    }
}

/// What sh runs: one word as it is, several as a program and its arguments.
fn line(words: &[String]) -> Option<String> {
    match words {
        [] => None,
        [line] => Some(line.clone()).filter(|line| !line.is_empty()),
        words => {
            let words: Vec<_> = words.iter().map(|word| quote(word)).collect();
            Some(words.join(" "))
        }
    }
}

/// Lets somebody into the instance while the run waits.
fn looking(settings: Settings, terminal: Terminal) -> Driving {
    let look = move |screen: Screen| -> darkroom_engine::LookInto {
        Arc::new(move |tried: Tried| {
            let (settings, terminal, screen) = (settings.clone(), terminal.clone(), screen.clone());
            Box::pin(async move {
                let taken = screen.take();
                if let Err(failure) = enter(&settings, &tried, &terminal).await {
                    terminal.failure(&failure);
                }
                drop(taken);
            })
        })
    };
    Driving {
        look: Some(Box::new(look)),
        ..Driving::default()
    }
}

async fn enter(settings: &Settings, tried: &Tried, terminal: &Terminal) -> Result<(), Failure> {
    let roots = Roots::of_process()?;
    let access = Access::open(settings, &roots).await?;
    let machine = Machine {
        client: access.client(),
        region: tried.region.clone(),
        instance: tried.instance.parse().map_err(Failure::user)?,
    };
    let local = (settings.cloud == Cloud::Local).then_some(&roots);
    shell::enter(&machine, local, terminal).await.map(drop)
}

/// The exit code of the command, if it came to one.
fn exit_code(manifest: &Manifest) -> Option<Exit> {
    let steps = manifest.roles.iter().flat_map(|role| &role.steps);
    let code = steps.last()?.last()?.exit_code?;
    Some(Exit(u8::try_from(code).unwrap_or(u8::MAX)))
}

/// The command's output, as it was.
fn print(outcome: &Outcome, terminal: &Terminal) {
    let manifest = &outcome.manifest;
    let steps = manifest.roles.iter().flat_map(|role| &role.steps);
    let Some((step, attempt)) = steps.last().and_then(|step| Some((step, step.last()?))) else {
        return;
    };
    if terminal.is_json() {
        terminal.json(&serde_json::json!({
            "result": {
                "run": manifest.run,
                "status": manifest.status,
                "exit_code": attempt.exit_code,
                "manifest": outcome.file,
            }
        }));
        return;
    }
    let logs = outcome.file.with_file_name("logs").join(&step.path);
    let log = logs.join(format!("{}.log", step.attempts.len()));
    if let Ok(mut log) = std::fs::File::open(log) {
        // A log that can't be printed whole is no reason for another exit code.
        drop(Terminal::copy(&mut log));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_words_stay_what_they_are() {
        let of = |words: &[&str]| line(&words.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(of(&[]), None);
        assert_eq!(of(&["a | b"]).unwrap(), "a | b");
        let several = of(&["sh", "-c", "exit 9; echo \"x\""]).unwrap();
        assert_eq!(several, r#"'sh' '-c' 'exit 9; echo "x"'"#);
    }
}
