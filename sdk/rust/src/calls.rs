//! The seam between the SDK and whoever answers: one function for each function of the
//! contract. In WebAssembly it is the host's, through the generated bindings; on other
//! targets it is the session of a unit test ([`crate::testing`]). The rest of the crate
//! calls only these and must not know the difference. `publish-text` is not among them:
//! [`publish`](crate::report::publish()) makes JSON of a text by itself.

macro_rules! interface {
    ($interface:ident: $(fn $name:ident($($argument:ident: $type:ty),*) $(-> $result:ty)?;)*) => {
        pub(crate) mod $interface {
            $(
                pub(crate) fn $name($($argument: $type),*) $(-> $result)? {
                    #[cfg(target_arch = "wasm32")]
                    { crate::bindings::imports::darkroom::component::$interface::$name($($argument),*) }
                    #[cfg(not(target_arch = "wasm32"))]
                    { crate::testing::call(|session| session.$name($($argument),*)) }
                }
            )*
        }
    };
}

interface! { steps:
    fn shell(name: &str, script: &str) -> u32;
    fn powershell(name: &str, script: &str) -> u32;
    fn cmd(name: &str, script: &str) -> u32;
    fn write(name: &str, path: &str, text: &str) -> u32;
    fn write_bytes(name: &str, path: &str, bytes: &[u8]) -> u32;
    fn write_asset(name: &str, path: &str, asset: &str) -> u32;
    fn download(name: &str, path: &str, address: &str, sha256: &str) -> u32;
    fn collect(name: &str, path: &str, limit: u64) -> u32;
    fn reboot(name: &str) -> u32;
    fn run_as(of: u32, user: &str);
    fn directory(of: u32, path: &str);
    fn argument(of: u32, value: &str);
    fn environment(of: u32, name: &str, value: &str);
    fn timeout(of: u32, seconds: u32);
    fn attempts(of: u32, count: u32);
    fn mode(of: u32, bits: u32);
    fn owner(of: u32, owner: &str);
    fn tolerate(of: u32);
    fn expect_exit_codes(of: u32, codes: &[i32]);
    fn expect_output(of: u32, text: &str);
    fn expect_no_output(of: u32, text: &str);
    fn expect_match(of: u32, pattern: &str);
    fn succeeded(of: u32) -> bool;
    fn exit_code(of: u32) -> i32;
    fn output(of: u32) -> String;
    fn size(of: u32) -> u64;
    fn read(of: u32, offset: u64, length: u32) -> Vec<u8>;
}

interface! { inputs:
    fn json_object() -> String;
    fn text(name: &str) -> Option<String>;
    fn integer(name: &str) -> Option<i64>;
    fn number(name: &str) -> Option<f64>;
    fn flag(name: &str) -> Option<bool>;
    fn texts(name: &str) -> Vec<String>;
    fn json_text(name: &str) -> Option<String>;
}

interface! { machine:
    fn family() -> String;
    fn distribution() -> String;
    fn release() -> String;
    fn architecture() -> String;
    fn root() -> String;
}

interface! { report:
    fn debug(message: &str);
    fn info(message: &str);
    fn warning(message: &str);
    fn publish(name: &str, value: &str);
    fn passed(test_case: &str);
    fn failed(test_case: &str, message: &str);
    fn skipped(test_case: &str, message: &str);
    fn repaired(item: &str, message: &str);
    fn unrepaired(item: &str, risk: &str, message: &str);
    fn intact(item: &str);
}
