//! The builds that a template with a matrix is, for verbs that do something with each.

use darkroom_template::{ResolveWith, parse};

use crate::args::TemplateArgs;
use crate::failure::Failure;
use crate::places::template_file::TemplateFile;
use crate::settings::Settings;

/// The arguments that choose each build of a template: one for each cell of its matrix
/// that the given parameters choose, and the given ones alone for a template without a
/// matrix, or with mistakes, which whoever checks it reports with others.
///
/// # Errors
/// Two cells whose images would have the same name, and a choice that no cell is.
pub(crate) fn of(
    file: &TemplateFile,
    given: &TemplateArgs,
    settings: &Settings,
) -> Result<Vec<TemplateArgs>, Failure> {
    let Ok(template) = parse(&file.text, &file.name) else {
        return Ok(vec![given.clone()]);
    };
    if !template.has_matrix() {
        return Ok(vec![given.clone()]);
    }
    let cells = template.cells(ResolveWith {
        cloud: settings.cloud,
        parameters: &given.parameters,
        region: settings.region.as_deref(),
    })?;
    let arguments = cells.into_iter().map(|cell| TemplateArgs {
        template: given.template.clone(),
        parameters: cell.given,
    });
    Ok(arguments.collect())
}
