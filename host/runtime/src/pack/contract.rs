//! The contract of this program, as text and as a package that registries carry.

use wit_parser::Resolve;

use super::PackError;

/// The contract that components are embedded against, as WIT text.
pub const WIT: &str = include_str!("../../../../wit/component.wit");

/// The name and the version of [`WIT`], as registries know it.
pub const CONTRACT_PACKAGE: &str = "darkroom:component@0.1.0";

/// The contract as a WIT package in WebAssembly's binary form, as `wkg` publishes and
/// fetches it; name, version and comments are in it.
///
/// # Errors
/// [`PackError::Encode`]; a test holds that there is none.
pub fn wit_package() -> Result<Vec<u8>, PackError> {
    let refused = |error: String| PackError::Encode(error);
    let mut resolve = Resolve::default();
    let package = resolve
        .push_str("component.wit", WIT)
        .map_err(|error| refused(format!("{error:#}")))?;
    wit_component::encode(&resolve, package, false).map_err(|error| refused(format!("{error:#}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use wit_component::{DecodedWasm, WitPrinter};

    fn printed(resolve: &Resolve, package: wit_parser::PackageId) -> String {
        let mut printer = WitPrinter::default();
        printer.print(resolve, package, &[]).unwrap();
        printer.output.to_string()
    }

    #[test]
    fn the_package_is_the_text_with_its_comments() {
        let bytes = wit_package().unwrap();
        assert_eq!(bytes, wit_package().unwrap());
        let DecodedWasm::WitPackage(decoded, package) = wit_component::decode(&bytes).unwrap()
        else {
            panic!("it is no package");
        };
        assert_eq!(decoded.packages[package].name.to_string(), CONTRACT_PACKAGE);
        let mut resolve = Resolve::default();
        let text = resolve.push_str("component.wit", WIT).unwrap();
        let (ours, theirs) = (printed(&resolve, text), printed(&decoded, package));
        assert_eq!(ours, theirs);
        assert!(
            theirs.contains("/// A reboot. It succeeds when"),
            "{theirs}"
        );
    }
}
