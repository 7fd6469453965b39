//! The sandbox driver: real Linux root file systems in namespaces.
