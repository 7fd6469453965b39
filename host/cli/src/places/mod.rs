//! Where files lie: the roots that this program keeps things in, what came with the
//! program, and the template that it was given; how one is put in another's place; and in
//! which namespace they are seen.

pub(crate) mod lock_file;
pub(crate) mod namespace;
pub(crate) mod replace;
pub(crate) mod roots;
pub(crate) mod shipped;
pub(crate) mod template_file;
