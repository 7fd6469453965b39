//! The wrapper around a script of Windows: PowerShell for both languages, PowerShell's own
//! and that of `cmd.exe`.
//!
//! `request` is its user; what `wrap` is for `/bin/sh` this is for Windows, and like there
//! everything is a pure function, so that `plan` shows the very text that is sent.
//!
//! **How values travel.** A line of `cmd.exe` can't hold any text: it has no way to write a
//! line break, reads `%` twice, ends quotes at quotes, and is cut at 8191 characters. So
//! no value ever stands in a line of it: PowerShell sets the variables and the directory
//! and starts it, and a variable is inherited as it is. In PowerShell's own text a value
//! of printable ASCII is a literal between single quotes, where only the quote itself
//! means something. Anything else (line breaks, other letters, the typographic quotes
//! which PowerShell takes for its own) is UTF-8 in base64: the agent writes a command to a
//! file in whatever code page the machine has.
//!
//! It leaves no receipt: this module is what a Windows script looks like on its way, and
//! must not be taken for the machinery that carries one through a power cut.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use darkroom_contract::Language;
use sha2::{Digest, Sha256};

use super::wrap::{Place, Script, Secrets, Wrapped, hex};

/// Where scripts and slices are kept in the instance; no part of it needs quotes.
const ROOT: &str = r"C:\ProgramData\darkroom";

/// The wrapper of a script in `language`, which is one of Windows.
pub(super) fn wrap(place: &Place, script: &Script<'_>, language: Language) -> Wrapped {
    let digest = hex(&Sha256::digest(script.text.as_bytes()));
    let mut body = format!("# darkroom {} {}\n", place.step, place.attempt);
    body.push_str(BEGINNING);
    let is_cmd = language == Language::Cmd;
    let (extension, mark) = if is_cmd {
        ("cmd", "$false")
    } else {
        // Without the mark PowerShell 5 reads a file in the machine's code page.
        ("ps1", "$true")
    };
    let _ = writeln!(
        body,
        "$script = {} + \"\\$run\" + '-{}.{extension}'",
        literal(ROOT),
        &digest[..12]
    );
    let text = if is_cmd {
        lines_of_windows(script.text)
    } else {
        script.text.to_owned()
    };
    let _ = writeln!(
        body,
        "[IO.File]::WriteAllText($script, {}, (New-Object Text.UTF8Encoding {mark}))",
        literal(&text)
    );
    if script.secrets != Secrets::None {
        body.push_str("throw 'darkroom: a script of Windows can not be given secrets'\n");
    }
    for (name, value) in script.environment {
        let value = literal(value);
        let _ = writeln!(
            body,
            "[Environment]::SetEnvironmentVariable('{name}', {value}, 'Process')"
        );
    }
    if let Some(directory) = script.directory {
        let _ = writeln!(body, "Set-Location -LiteralPath {}", literal(directory));
    }
    let arguments: Vec<_> = script.arguments.iter().map(|one| literal(one)).collect();
    let _ = writeln!(body, "$arguments = @({})", arguments.join(", "));
    body.push_str(if is_cmd { RUN_CMD } else { RUN_POWERSHELL });
    Wrapped::power_shell(body)
}

/// The folder to which a text is sent that doesn't fit into a command.
pub(super) fn command_folder(place: &Place) -> String {
    let step = place.step.replace('/', "\\");
    format!("{ROOT}\\{}\\{step}\\{}.command", place.run, place.attempt)
}

/// The command that puts the slices in `folder` together and runs them for `run`.
pub(super) fn joined(folder: &str, run: &str) -> String {
    let (folder, run) = (literal(folder), literal(run));
    format!(
        "$ErrorActionPreference = 'Stop'\n\
         $folder = {folder}\n\
         $command = [IO.File]::Create((Join-Path $folder 'command.ps1'))\n\
         foreach ($slice in Get-ChildItem -LiteralPath $folder -Filter '??????' | Sort-Object Name) {{\n\
         \x20 $bytes = [IO.File]::ReadAllBytes($slice.FullName)\n\
         \x20 $command.Write($bytes, 0, $bytes.Length)\n\
         }}\n\
         $command.Close()\n\
         & (Join-Path $folder 'command.ps1') {run}\n\
         exit $LASTEXITCODE\n"
    )
}

/// An expression of PowerShell that is exactly this text, in ASCII.
pub(super) fn literal(text: &str) -> String {
    if text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        format!("'{}'", text.replace('\'', "''"))
    } else {
        format!("(Text '{}')", STANDARD.encode(text))
    }
}

/// `cmd.exe` misses labels in a file whose lines end without a carriage return.
fn lines_of_windows(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\n', "\r\n")
}

const BEGINNING: &str = r"$ErrorActionPreference = 'Stop'
[Console]::OutputEncoding = New-Object Text.UTF8Encoding $false
function Text($base64) { [Text.Encoding]::UTF8.GetString([Convert]::FromBase64String($base64)) }
New-Item -ItemType Directory -Force -Path 'C:\ProgramData\darkroom' | Out-Null
";

/// In the same process, because an argument on PowerShell 5's way to a program loses its
/// quotes.
const RUN_POWERSHELL: &str = r"$ErrorActionPreference = 'Continue'
$global:LASTEXITCODE = 0
& $script @arguments
exit $LASTEXITCODE
";

/// With UTF-8 as its code page, without what the registry would have it run first, and
/// without delayed expansion, which would read `!` in the author's text.
const RUN_CMD: &str = r#"& $env:ComSpec /d /q /v:off /c "chcp 65001 >nul & call $script"
exit $LASTEXITCODE
"#;

#[cfg(test)]
mod tests;
