//! What a runtime can be told, and how much a guest may use.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

/// How a [`Runtime`](crate::Runtime) is set up. By default: the default limits, no
/// cache, two threads.
#[derive(Debug, Clone)]
pub struct Config {
    /// How much one call may use.
    pub limits: Limits,
    /// The folder for compiled code; it is made (0700) where it is missing. It must
    /// be one that nobody else writes to: what lies in it is executed.
    pub cwasm_cache: Option<PathBuf>,
    /// Calls that run at the same time; others wait.
    pub threads: NonZeroUsize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            cwasm_cache: None,
            threads: NonZeroUsize::MIN.saturating_add(1),
        }
    }
}

/// The limits of one call that are a matter of the machine; those of the contract
/// (steps, questions, answers, messages) are in `contract`.
///
/// A component is foreign code that may come from anywhere. Each limit names the
/// attack, or the accident, that it stops.
#[derive(Debug, Clone)]
pub struct Limits {
    /// The limits of the contract.
    pub contract: darkroom_contract::Limits,
    /// Wall time of one call (10 s). Stops `loop {}`. It is looked at between
    /// instructions of the guest (epochs); no function of ours or of the empty WASI
    /// waits, so that none can outlast it.
    pub wall_time: Duration,
    /// Bytes of all linear memories of a call together (256 MiB). Stops a guest that
    /// allocates for ever, or declares four gigabytes. Python needs 13 MiB.
    pub memory_bytes: usize,
    /// Elements of all tables of a call together (500 000), each a pointer of the
    /// host: tables are memory that the limit above doesn't see.
    pub table_elements: usize,
    /// Core instances (64), memories (16) and tables (64) of one component: each
    /// costs address space and bookkeeping before a single instruction runs.
    pub instances: usize,
    /// Memories; see `instances`.
    pub memories: usize,
    /// Tables; see `instances`.
    pub tables: usize,
    /// Handles of resources that a guest holds (10 000): pollables and streams of
    /// WASI that are made and never dropped are memory of the host.
    pub handles: usize,
    /// Bytes that one call between guest and host may copy (8 MiB). Stops lists of
    /// millions of empty texts, whose elements cost the host more than the guest.
    pub copied_bytes: usize,
    /// Bytes of WebAssembly stack (1 MiB). Stops endless recursion before the
    /// thread's own stack ends, which would end the process.
    pub stack_bytes: usize,
    /// Bytes of standard error that are kept, half from its beginning and half from its
    /// end (16 KiB). Stops a guest that writes for ever; how much was dropped is said.
    pub stderr_bytes: usize,
    /// Bytes of a component with its assets (256 MiB). Stops a file that fills the
    /// memory before it is looked at; assets may have 64 MiB.
    pub component_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        const KIB: usize = 1024;
        const MIB: usize = 1024 * KIB;
        Self {
            contract: darkroom_contract::Limits::default(),
            wall_time: Duration::from_secs(10),
            memory_bytes: 256 * MIB,
            table_elements: 500_000,
            instances: 64,
            memories: 16,
            tables: 64,
            handles: 10_000,
            copied_bytes: 8 * MIB,
            stack_bytes: MIB,
            stderr_bytes: 16 * KIB,
            component_bytes: 256 * MIB,
        }
    }
}
