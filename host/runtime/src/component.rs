//! A loaded component: compiled, linked, and known to fit the contract.

use std::fmt;
use std::sync::Arc;

use darkroom_contract::{Description, Role};
use wasmtime::component::{Instance, InstancePre};
use wasmtime::{Result, Store};

use crate::assets::Assets;
use crate::bindings::exports::darkroom::component::{about, builder, repairer, tester};
use crate::state::State;

/// A component that can be called. Clones share everything.
#[derive(Clone)]
pub struct Component {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub origin: String,
    pub digest: String,
    /// `None` only while the component is packed.
    pub description: Option<Description>,
    pub roles: Vec<Role>,
    pub assets: Assets,
    pub asset_names: Arc<[String]>,
    pub reused: bool,
    pub pre: InstancePre<State>,
    pub exports: Exports,
}

impl Component {
    /// The SHA-256 of the component with all its sections, in lower-case
    /// hexadecimal digits.
    pub fn digest(&self) -> &str {
        &self.inner.digest
    }

    /// Where it came from, in the words of whoever loaded it.
    pub fn origin(&self) -> &str {
        &self.inner.origin
    }

    /// What it says of itself.
    pub fn description(&self) -> &Description {
        static NONE: std::sync::LazyLock<Description> = std::sync::LazyLock::new(|| Description {
            summary: String::new(),
            parameters: serde_json::json!({ "type": "object" }),
            volatile: false,
            internet: false,
            families: Vec::new(),
        });
        // One without is not handed out: `load` refuses it.
        self.inner.description.as_ref().unwrap_or(&NONE)
    }

    /// Its roles; at least one.
    pub fn roles(&self) -> &[Role] {
        &self.inner.roles
    }

    /// The asset of this name.
    pub fn asset(&self, name: &str) -> Option<&[u8]> {
        self.inner.assets.get(name)
    }

    /// The names of all assets, in order.
    pub fn asset_names(&self) -> &[String] {
        &self.inner.asset_names
    }

    /// Whether its compiled code came from the cache.
    pub fn reused(&self) -> bool {
        self.inner.reused
    }
}

impl fmt::Debug for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Component")
            .field("origin", &self.inner.origin)
            .field("digest", &self.inner.digest)
            .field("roles", &self.inner.roles)
            .finish_non_exhaustive()
    }
}

/// The exports, each looked up by itself: a component need not have all roles. The
/// generated look-up finds any compatible version.
pub(crate) struct Exports {
    about: about::GuestIndices,
    builder: Option<builder::GuestIndices>,
    tester: Option<tester::GuestIndices>,
    repairer: Option<repairer::GuestIndices>,
}

impl Exports {
    /// # Errors
    /// Where an interface that is exported has other functions than in the contract.
    pub fn find(pre: &InstancePre<State>, roles: &[Role]) -> Result<Self> {
        let has = |role| roles.contains(&role);
        let builder = has(Role::Builder).then(|| builder::GuestIndices::new(pre));
        let tester = has(Role::Tester).then(|| tester::GuestIndices::new(pre));
        let repairer = has(Role::Repairer).then(|| repairer::GuestIndices::new(pre));
        Ok(Self {
            about: about::GuestIndices::new(pre)?,
            builder: builder.transpose()?,
            tester: tester.transpose()?,
            repairer: repairer.transpose()?,
        })
    }

    /// Calls `about.describe`.
    pub fn describe(&self, store: &mut Store<State>, instance: &Instance) -> Result<String> {
        self.about.load(&mut *store, instance)?.call_describe(store)
    }

    /// Calls the one function of a role; `None` where it hasn't got the role.
    pub fn call(
        &self,
        role: Role,
        store: &mut Store<State>,
        instance: &Instance,
    ) -> Option<Result<Result<(), String>>> {
        // Each interface has a type of its own, so that one body can't do for all.
        match role {
            Role::Builder => self.builder.as_ref().map(|indices| {
                let guest = indices.load(&mut *store, instance)?;
                guest.call_build(store)
            }),
            Role::Tester => self.tester.as_ref().map(|indices| {
                let guest = indices.load(&mut *store, instance)?;
                guest.call_test(store)
            }),
            Role::Repairer => self.repairer.as_ref().map(|indices| {
                let guest = indices.load(&mut *store, instance)?;
                guest.call_repair(store)
            }),
        }
    }
}
