//! The local cloud seen through its wire: signed requests, sim driver.

mod admin;
mod commands;
mod http;
mod images;
mod instances;
mod restart;
mod signatures;
mod support;
