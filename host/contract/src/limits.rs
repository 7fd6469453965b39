//! How much one call of a role may ask for.

/// The limits that are a matter of the contract; those of the machine that runs
/// the guest (time, memory, stack) belong to `runtime`.
///
/// A guest is foreign code. Each number stops one way to make the host work or
/// remember without end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Steps declared (256). Stops a loop that declares steps for ever, each of
    /// which would cost minutes of a paid instance.
    pub steps: usize,
    /// Questions asked (4096). One-byte reads of an answered step cost nothing on
    /// the machine, so that a limit on steps alone leaves the transcript unbounded.
    pub questions: usize,
    /// Refinements (4096), for the same reason.
    pub refinements: usize,
    /// Bytes of all answers of `output` and `read` (4 MiB). Each replay copies all of
    /// them into the guest again, so that they make a component quadratic.
    pub answer_bytes: usize,
    /// Bytes of one answer of `read` (1 MiB); a longer one is cut to it.
    pub read_bytes: usize,
    /// Bytes of all that steps and refinements say (16 MiB). 256 scripts and 4096
    /// variables of a megabyte each would be four gigabytes of host memory and of
    /// journal.
    pub declared_bytes: usize,
    /// Bytes of one script or file (1 MiB).
    pub text_bytes: usize,
    /// Bytes of one variable or argument of a script (120 KiB). Linux refuses to start
    /// a program with one of 128 KiB, long after the component could be told so.
    pub passed_bytes: usize,
    /// Bytes of one path, user, address, pattern or expected text (64 KiB).
    pub path_bytes: usize,
    /// Bytes of one message (64 KiB).
    pub message_bytes: usize,
    /// Bytes of all messages (256 KiB). Hostcall fuel counts a single call only: a
    /// loop of messages passed two gigabytes in 200 ms.
    pub messages_bytes: usize,
    /// Published outputs, cases and items (4096), because empty ones cost no bytes.
    pub results: usize,
    /// Bytes of all published outputs, cases and items (1 MiB).
    pub results_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        const KIB: usize = 1024;
        const MIB: usize = 1024 * KIB;
        Self {
            steps: 256,
            questions: 4096,
            refinements: 4096,
            answer_bytes: 4 * MIB,
            read_bytes: MIB,
            declared_bytes: 16 * MIB,
            text_bytes: MIB,
            passed_bytes: 120 * KIB,
            path_bytes: 64 * KIB,
            message_bytes: 64 * KIB,
            messages_bytes: 256 * KIB,
            results: 4096,
            results_bytes: MIB,
        }
    }
}
