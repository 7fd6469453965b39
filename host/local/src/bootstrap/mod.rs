//! Makes a base root file system with mmdebstrap.
