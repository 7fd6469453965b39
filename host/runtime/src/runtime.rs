//! The runtime: wasmtime's engine, the linker, the pool, the ticker and the cache,
//! one of each for the whole process.

use std::fmt;
use std::io;
use std::sync::Arc;

use darkroom_contract::{Description, Ended, sha256};
use wasmtime::component::{HasSelf, Linker};
use wasmtime::{Engine, Strategy, WasmBacktraceDetails};

use crate::bindings::AllRoles;
use crate::cache::Cache;
use crate::call::{self, Call};
use crate::component::{Component, Exports, Inner};
use crate::config::{Config, Limits};
use crate::failure::{CallError, Failure};
use crate::imports;
use crate::load::{self, LoadError, LoadProblem, Seen};
use crate::pool::Pool;
use crate::state::State;
use crate::ticker::Ticker;
use crate::wasi;

/// Why a runtime can't be started.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// wasmtime refused its settings; this machine is not supported.
    #[error("WebAssembly can't run on this machine: {0}")]
    Engine(String),
    /// A thread could not be started.
    #[error("a thread for components can't be started")]
    Thread(#[source] io::Error),
}

/// Loads components and calls them. Cheap to share behind an [`Arc`].
pub struct Runtime {
    limits: Arc<Limits>,
    engine: Engine,
    linker: Linker<State>,
    cache: Option<Cache>,
    pool: Pool,
    ticker: Ticker,
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runtime")
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

impl Runtime {
    /// Starts a runtime. A cache that can't be used is left out with a warning.
    ///
    /// # Errors
    /// [`RuntimeError`], where wasmtime or a thread can't be started.
    pub fn new(config: Config) -> Result<Self, RuntimeError> {
        let not_here = |error: wasmtime::Error| RuntimeError::Engine(format!("{error:#}"));
        let engine = engine(&config.limits).map_err(not_here)?;
        let linker = linker(&engine).map_err(not_here)?;
        let cache = config.cwasm_cache.and_then(|folder| {
            Cache::open(folder.clone(), &engine)
                .inspect_err(|error| {
                    tracing::warn!(folder = %folder.display(), %error, "no cache of compiled code");
                })
                .ok()
        });
        let pool =
            Pool::start(config.threads, config.limits.stack_bytes).map_err(RuntimeError::Thread)?;
        let ticker = Ticker::start(engine.clone()).map_err(RuntimeError::Thread)?;
        Ok(Self {
            limits: Arc::new(config.limits),
            engine,
            linker,
            cache,
            pool,
            ticker,
        })
    }

    /// Loads a packed component; `origin` names it in errors. It compiles, so call it
    /// where blocking is allowed.
    ///
    /// # Errors
    /// [`LoadError`]: what is wrong with it and what to do.
    pub fn load(&self, bytes: &[u8], origin: &str) -> Result<Component, LoadError> {
        self.prepare(bytes, origin, true)
    }

    /// Loads a component that need not have been packed yet.
    pub(crate) fn prepare(
        &self,
        bytes: &[u8],
        origin: &str,
        packed: bool,
    ) -> Result<Component, LoadError> {
        self.try_prepare(bytes, origin, packed)
            .map_err(|problem| LoadError {
                origin: origin.into(),
                problem,
            })
    }

    fn try_prepare(
        &self,
        bytes: &[u8],
        origin: &str,
        packed: bool,
    ) -> Result<Component, LoadProblem> {
        let allowed = self.limits.component_bytes;
        if bytes.len() > allowed {
            return Err(LoadProblem::TooLarge {
                bytes: bytes.len(),
                allowed,
            });
        }
        let Seen {
            roles,
            description,
            assets,
        } = load::look(bytes, packed)?;
        let digest = sha256(bytes);
        let (compiled, reused) = self.compile(bytes, &digest)?;
        imports::check_functions(&self.engine, &compiled)?;
        let fits = |error: wasmtime::Error| LoadProblem::Interfaces(format!("{error:#}"));
        let pre = self.linker.instantiate_pre(&compiled).map_err(fits)?;
        let exports = Exports::find(&pre, &roles).map_err(fits)?;
        let asset_names: Arc<[String]> = assets.names().map(ToOwned::to_owned).collect();
        Ok(Component {
            inner: Arc::new(Inner {
                origin: origin.into(),
                digest,
                description,
                roles,
                assets,
                asset_names,
                reused,
                pre,
                exports,
            }),
        })
    }

    /// The limits of a call.
    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    fn compile(
        &self,
        bytes: &[u8],
        digest: &str,
    ) -> Result<(wasmtime::component::Component, bool), LoadProblem> {
        let kept = self
            .cache
            .as_ref()
            .and_then(|cache| cache.find(&self.engine, digest));
        if let Some(kept) = kept {
            return Ok((kept, true));
        }
        let compiled = wasmtime::component::Component::from_binary(&self.engine, bytes)
            .map_err(|error| LoadProblem::Compile(format!("{error:#}")))?;
        if let Some(cache) = &self.cache {
            cache.keep(&compiled, digest);
        }
        Ok((compiled, false))
    }

    /// Calls a role once, on a thread of the pool. Dropping the future does not end
    /// the call, which its limits do.
    ///
    /// # Errors
    /// [`CallError`]: the component made a mistake, ran into a limit, or trapped.
    pub async fn call(&self, component: &Component, call: Call) -> Result<Ended, CallError> {
        let limits = Arc::clone(&self.limits);
        let export = format!("{}.{}", call.role.name(), call.role.function());
        let ticking = self.ticker.tick();
        let called = component.clone();
        let ended = self
            .pool
            .run(move || {
                let ended = call::run(&called, call, &limits);
                drop(ticking);
                ended
            })
            .await;
        ended.unwrap_or_else(|lost| {
            let failure = Failure::Host(lost.to_string());
            Err(CallError::new(&component.inner, export, failure))
        })
    }

    /// Calls `describe` once. It blocks.
    pub(crate) fn describe_once(&self, component: &Component) -> Result<String, CallError> {
        let limits = Arc::clone(&self.limits);
        let ticking = self.ticker.tick();
        let called = component.clone();
        let text = self.pool.run_blocking(move || {
            let text = call::describe(&called, &limits);
            drop(ticking);
            text
        });
        let failed = |failure| CallError::new(&component.inner, "about.describe", failure);
        let text = text.unwrap_or_else(|lost| Err(failed(Failure::Host(lost.to_string()))))?;
        if let Err(error) = Description::parse(&text) {
            return Err(failed(Failure::Garbage(error.to_string())));
        }
        Ok(text)
    }
}

/// Everything that could make two runs differ, or read the environment, is set.
fn engine(limits: &Limits) -> wasmtime::Result<Engine> {
    let mut config = wasmtime::Config::new();
    config
        .strategy(Strategy::Cranelift)
        .wasm_component_model(true)
        .epoch_interruption(true)
        .max_wasm_stack(limits.stack_bytes)
        // The default asks an environment variable.
        .wasm_backtrace_details(WasmBacktraceDetails::Enable)
        .cranelift_nan_canonicalization(true)
        .relaxed_simd_deterministic(true);
    Engine::new(&config)
}

fn linker(engine: &Engine) -> wasmtime::Result<Linker<State>> {
    let mut linker = Linker::new(engine);
    wasi::add_to_linker(&mut linker)?;
    AllRoles::add_to_linker::<State, HasSelf<State>>(&mut linker, |state| state)?;
    Ok(linker)
}
