//! The way to a cloud: keys and clients, and finding or starting the local one. Nothing
//! else in this program knows where a cloud is.

pub(crate) mod access;
pub(crate) mod keys;
pub(crate) mod local_admin;
pub(crate) mod local_cloud;
