//! Builds of one line: flags instead of a template. They stand for a template, which is
//! shown and then built like any other.

use clap::Args;
use clap_complete::ArgValueCandidates;
use darkroom_template::{OneLine, one_line};

use crate::completion;

/// The flags of a build without a template.
#[derive(Args, Debug, Clone, Default)]
#[command(next_help_heading = "Builds of one line")]
pub(crate) struct OneLineArgs {
    /// Build from this instead of a template: a family such as `debian-12`, or an image,
    /// an instance or a snapshot by its id
    #[arg(
        long,
        value_name = "SOURCE",
        requires_all = ["run", "name"],
        conflicts_with_all = ["template", "parameters"],
        add = ArgValueCandidates::new(completion::families)
    )]
    from: Option<String>,
    /// A script to run; can be given for each, in order
    #[arg(long, value_name = "SCRIPT", requires = "from")]
    run: Vec<String>,
    /// The name; the image is called NAME-RUN
    #[arg(long, value_name = "NAME", requires = "from")]
    name: Option<String>,
    /// The instance's way to the internet in Mbit/s; 0 for none [default: 10]
    #[arg(long, value_name = "MBIT", requires = "from")]
    internet: Option<u32>,
    /// The instance type; by default the smallest in stock that fits
    #[arg(long = "type", value_name = "TYPE", requires = "from")]
    instance_type: Option<String>,
    /// The system disk in GiB
    #[arg(long, value_name = "GIB", requires = "from")]
    disk: Option<u32>,
    /// The family that the tested image shall be the newest of
    #[arg(long, value_name = "NAME", requires = "from")]
    family: Option<String>,
    /// Only print the template that this stands for
    #[arg(long, requires = "from")]
    pub(crate) print: bool,
}

impl OneLineArgs {
    /// The template's text; none where a template is named.
    pub(crate) fn template(&self) -> Option<String> {
        let from = self.from.as_deref()?;
        Some(one_line(&OneLine {
            from,
            run: &self.run,
            name: self.name.as_deref().unwrap_or_default(),
            internet: self.internet,
            instance_type: self.instance_type.as_deref(),
            disk: self.disk,
            family: self.family.as_deref(),
        }))
    }
}
