//! The bindings that wasmtime generates from `wit/`: the one place that calls
//! `bindgen!`. Only `adapter` and `component` use them.
//!
//! The world `all-roles` is the host's own view. Its exports are looked up one
//! interface at a time, because a component has one role or several.

wasmtime::component::bindgen!({
    path: "../../wit",
    world: "all-roles",
    imports: { default: trappable },
});
