//! What a store holds during one call, and the limiter of its memory.

use darkroom_contract::Session;
use wasmtime::component::ResourceTable;
use wasmtime::{ResourceLimiter, Result};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use crate::config::Limits;
use crate::wasi::{Clock, Stderr};

/// The state of one call; made anew for each.
pub(crate) struct State {
    pub session: Session,
    pub limiter: Limiter,
    pub wasi: WasiCtx,
    pub table: ResourceTable,
    pub clock: Clock,
    pub stderr: Stderr,
}

impl State {
    pub fn new(session: Session, limits: &Limits) -> Self {
        let clock = Clock::default();
        let stderr = Stderr::keeping(limits.stderr_bytes);
        let mut table = ResourceTable::new();
        table.set_max_capacity(limits.handles);
        Self {
            session,
            limiter: Limiter::new(limits),
            wasi: crate::wasi::context(&clock, &stderr),
            table,
            clock,
            stderr,
        }
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

/// Counts memory and table elements over the whole store, and remembers that it
/// refused: a guest that is out of memory ends in a bare `unreachable`, which alone
/// says nothing.
pub(crate) struct Limiter {
    memory_bytes: usize,
    table_elements: usize,
    instances: usize,
    memories: usize,
    tables: usize,
    used_bytes: usize,
    used_elements: usize,
    pub refused_memory: bool,
    pub refused_table: bool,
}

impl Limiter {
    fn new(limits: &Limits) -> Self {
        Self {
            memory_bytes: limits.memory_bytes,
            table_elements: limits.table_elements,
            instances: limits.instances,
            memories: limits.memories,
            tables: limits.tables,
            used_bytes: 0,
            used_elements: 0,
            refused_memory: false,
            refused_table: false,
        }
    }
}

/// Grows `used` from `current` to `desired`; false where that is beyond `most`.
fn grow(used: &mut usize, most: usize, current: usize, desired: usize) -> bool {
    let total = used.saturating_add(desired.saturating_sub(current));
    let fits = total <= most;
    if fits {
        *used = total;
    }
    fits
}

impl ResourceLimiter for Limiter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> Result<bool> {
        // A guest's own maximum is not ours: it finds that out by itself.
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        let fits = grow(&mut self.used_bytes, self.memory_bytes, current, desired);
        self.refused_memory |= !fits;
        Ok(fits)
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> Result<bool> {
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        let fits = grow(
            &mut self.used_elements,
            self.table_elements,
            current,
            desired,
        );
        self.refused_table |= !fits;
        Ok(fits)
    }

    fn instances(&self) -> usize {
        self.instances
    }

    fn tables(&self) -> usize {
        self.tables
    }

    fn memories(&self) -> usize {
        self.memories
    }
}
