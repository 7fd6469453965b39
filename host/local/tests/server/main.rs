//! The local cloud seen through its wire: signed requests, sim driver.

#[cfg(test)]
mod accounts;
#[cfg(test)]
mod admin;
#[cfg(test)]
mod agents;
#[cfg(test)]
mod commands;
#[cfg(test)]
mod disks;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod http;
#[cfg(test)]
mod images;
#[cfg(test)]
mod instances;
#[cfg(test)]
mod networks;
#[cfg(test)]
mod older;
#[cfg(test)]
mod restart;
#[cfg(test)]
mod sandbox;
#[cfg(test)]
mod signatures;
#[cfg(test)]
mod support;
