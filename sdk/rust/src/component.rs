//! The role traits and [`component!`](crate::component!), which makes a WebAssembly
//! component of a type that has them.
//!
//! For component authors. Nothing but the macro may name the generated exports.

use crate::Description;

/// What the component is. Every component has this, whatever its roles.
pub trait About {
    /// The description. It is asked once, when the component is packed, and must call
    /// neither steps nor inputs nor anything else that the host answers.
    fn describe() -> Description;
}

/// The role that changes a machine into what the image should hold.
pub trait Builder {
    /// Builds.
    ///
    /// # Errors
    /// One or two sentences for the person who started the build; they end it.
    fn build() -> Result<(), String>;
}

/// The role that looks at a machine started from the finished image. It changes nothing
/// and starts nothing. Its steps are test cases by their names, unless tolerated.
pub trait Tester {
    /// Tests.
    ///
    /// # Errors
    /// The test could not be done. An image that is not as it should be is a failed
    /// step or a [`report::failed`](crate::report::failed) case, never an error.
    fn test() -> Result<(), String>;
}

/// The role that makes a foreign image fit for the cloud: it looks first and repairs
/// what it found, below [`machine::root`](crate::machine::root).
pub trait Repairer {
    /// Repairs.
    ///
    /// # Errors
    /// The repair could not be done.
    fn repair() -> Result<(), String>;
}

/// Exports a type as a component with the named roles:
/// `component!(Packages: builder, tester);`. Once a crate.
#[macro_export]
macro_rules! component {
    ($type:ident: $($role:ident),+ $(,)?) => {
        #[cfg(target_arch = "wasm32")]
        mod darkroom_exports {
            struct Exported;

            impl $crate::bindings::about::exports::darkroom::component::about::Guest for Exported {
                fn describe() -> ::std::string::String {
                    $crate::private::describe::<super::$type>(
                        env!("CARGO_PKG_NAME"),
                        env!("CARGO_PKG_VERSION"),
                    )
                }
            }
            $crate::bindings::about::export_about!(Exported);
            $($crate::component_role!($type $role);)+
        }

        #[cfg(not(target_arch = "wasm32"))]
        const _: fn() = || {
            $crate::private::about::<$type>();
            $($crate::private::$role::<$type>();)+
        };
    };
}

/// One role of [`component!`](crate::component!).
#[doc(hidden)]
#[macro_export]
macro_rules! component_role {
    ($type:ident builder) => {
        impl $crate::bindings::builder::exports::darkroom::component::builder::Guest for Exported {
            fn build() -> ::std::result::Result<(), ::std::string::String> {
                $crate::private::run(<super::$type as $crate::Builder>::build)
            }
        }
        $crate::bindings::builder::export_builder!(Exported);
    };
    ($type:ident tester) => {
        impl $crate::bindings::tester::exports::darkroom::component::tester::Guest for Exported {
            fn test() -> ::std::result::Result<(), ::std::string::String> {
                $crate::private::run(<super::$type as $crate::Tester>::test)
            }
        }
        $crate::bindings::tester::export_tester!(Exported);
    };
    ($type:ident repairer) => {
        impl $crate::bindings::repairer::exports::darkroom::component::repairer::Guest
            for Exported
        {
            fn repair() -> ::std::result::Result<(), ::std::string::String> {
                $crate::private::run(<super::$type as $crate::Repairer>::repair)
            }
        }
        $crate::bindings::repairer::export_repairer!(Exported);
    };
    ($type:ident $other:ident) => {
        compile_error!(concat!(
            "a component has the roles builder, tester and repairer, not ",
            stringify!($other)
        ));
    };
}

/// What [`component!`](crate::component!) expands to; not for authors.
#[doc(hidden)]
pub mod private {
    use super::{About, Builder, Repairer, Tester};

    /// The description of a component as the contract's JSON text.
    pub fn describe<T: About>(package: &str, version: &str) -> String {
        T::describe().to_json(package, version)
    }

    /// Runs a role. A panic has no other way to people here than a message: plain
    /// WebAssembly has no standard error.
    pub fn run(role: fn() -> Result<(), String>) -> Result<(), String> {
        #[cfg(target_arch = "wasm32")]
        std::panic::set_hook(Box::new(|panic| {
            crate::report::warning(format!("the component panicked: {panic}"));
        }));
        role()
    }

    /// Checks at compile time that a type has the traits that it exports.
    pub fn about<T: About>() {}
    /// See [`about`].
    pub fn builder<T: Builder>() {}
    /// See [`about`].
    pub fn tester<T: Tester>() {}
    /// See [`about`].
    pub fn repairer<T: Repairer>() {}
}
