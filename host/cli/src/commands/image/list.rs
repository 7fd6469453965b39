//! `darkroom image list`.

use clap::Args;
use darkroom_ecs::action::{DescribeImages, Image};
use serde_json::json;

use super::{Target, every_status, owner};
use crate::args::Where;
use crate::exit::{self, Exit};
use crate::failure::Failure;
use crate::terminal::{Table, Terminal};

/// The largest page of ECS.
const PAGE: u32 = 100;

/// List the images of a region that are yours or shared with you
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    darkroom image list\n  \
    darkroom image list --all --region ap-southeast-1\n  \
    darkroom image list --account second")]
pub(crate) struct List {
    #[command(flatten)]
    place: Where,
    /// Images of one family only
    #[arg(long, value_name = "NAME")]
    family: Option<String>,
    /// Also the cloud's own images
    #[arg(long)]
    all: bool,
}

impl List {
    pub(crate) async fn run(self, terminal: &Terminal) -> Result<Exit, Failure> {
        let target = Target::open(&self.place).await?;
        let mut images = Vec::new();
        let owners: &[_] = if self.all {
            &["self", "others", "system"]
        } else {
            &["self", "others"]
        };
        for owner in owners {
            images.extend(self.of_owner(&target, owner).await?);
        }
        let list: Vec<_> = images.iter().map(as_json).collect();
        terminal.json(&json!({ "place": target.place, "images": list }));
        if images.is_empty() {
            terminal.note(format!("no images in {}", target.place));
            return Ok(exit::DONE);
        }
        let mut table = Table::new(&[
            "IMAGE", "NAME", "FAMILY", "STATUS", "OWNER", "SIZE", "CREATED",
        ]);
        for image in &images {
            table.row([
                image.image_id.to_string(),
                image.image_name.clone(),
                image.image_family.clone(),
                image.status.to_string(),
                owner_of(image),
                format!("{} GiB", image.size),
                image.creation_time.clone(),
            ]);
        }
        for line in table.lines() {
            terminal.line(line);
        }
        terminal.note(format!("in {}", target.place));
        Ok(exit::DONE)
    }

    async fn of_owner(&self, target: &Target, owner: &str) -> Result<Vec<Image>, Failure> {
        let mut images = Vec::new();
        for page in 1.. {
            let request = DescribeImages {
                region_id: target.region.clone(),
                image_owner_alias: Some(owner.to_owned()),
                image_family: self.family.clone(),
                status: Some(every_status()),
                page_number: Some(page),
                page_size: Some(PAGE),
                ..DescribeImages::default()
            };
            let answer = target.client.call(&target.region, &request).await?;
            let got = answer.images.image.len();
            images.extend(answer.images.image);
            if got < PAGE as usize {
                break;
            }
        }
        Ok(images)
    }
}

fn owner_of(image: &Image) -> String {
    owner(image).to_owned()
}

fn as_json(image: &Image) -> serde_json::Value {
    json!({
        "image": image.image_id,
        "name": image.image_name,
        "family": image.image_family,
        "status": image.status,
        "owner": owner(image),
        "size_gib": image.size,
        "created": image.creation_time,
    })
}
