//! One call of one role: a fresh store, the limits set, the guest run, the end
//! made sense of.

use std::sync::Arc;

use darkroom_contract::{Ended, History, Inputs, Machine, Role, Session, Transcript};
use wasmtime::{Result, Store};

use crate::component::{Component, Inner};
use crate::config::Limits;
use crate::failure::{self, CallError, Failure};
use crate::state::State;
use crate::ticker::Ticker;

/// What a call is given.
#[derive(Debug, Clone)]
pub struct Call {
    /// The role.
    pub role: Role,
    /// Checked arguments; see [`Description::inputs`](darkroom_contract::Description::inputs).
    pub inputs: Inputs,
    /// The machine that is worked on.
    pub machine: Machine,
    /// What has been carried out so far.
    pub history: Arc<History>,
    /// The transcript of the call before, with which this one is compared.
    pub previous: Option<Transcript>,
}

/// Calls a role on this thread.
pub(crate) fn run(component: &Component, call: Call, limits: &Limits) -> Result<Ended, CallError> {
    let inner = &*component.inner;
    let Call {
        role,
        inputs,
        machine,
        history,
        previous,
    } = call;
    let export = format!("{}.{}", role.name(), role.function());
    if !inner.roles.contains(&role) {
        return Err(CallError::new(inner, export, Failure::NoRole));
    }
    let contract = limits.contract.clone();
    let session = Session::new(contract, role, inputs, machine, history, previous)
        .with_assets(Arc::clone(&inner.asset_names));
    let mut store = store(inner, session, limits);
    let mut started = false;
    let returned = inner.pre.instantiate(&mut store).and_then(|instance| {
        started = true;
        inner.exports.call(role, &mut store, &instance).transpose()
    });
    let (returned, error) = match returned {
        Ok(returned) => (returned, None),
        Err(error) => (None, Some(error)),
    };
    let suspended = matches!(
        store.data().session.fault(),
        Some(darkroom_contract::Fault::Suspend)
    );
    if let Some(error) = &error
        && !suspended
    {
        let failure = failure::classify(error, store.data(), limits, started);
        return Err(CallError::new(inner, export, failure).with_traces(Some(error), store.data()));
    }
    let state = store.data_mut();
    let session = std::mem::replace(&mut state.session, Session::describing());
    session.end(returned).map_err(|fault| {
        CallError::new(inner, export, Failure::Fault(fault)).with_traces(None, store.data())
    })
}

/// Calls `describe` on this thread.
pub(crate) fn describe(component: &Component, limits: &Limits) -> Result<String, CallError> {
    let inner = &*component.inner;
    let mut store = store(inner, Session::describing(), limits);
    let mut started = false;
    inner
        .pre
        .instantiate(&mut store)
        .and_then(|instance| {
            started = true;
            inner.exports.describe(&mut store, &instance)
        })
        .map_err(|error| {
            let failure = failure::classify(&error, store.data(), limits, started);
            CallError::new(inner, "about.describe", failure).with_traces(Some(&error), store.data())
        })
}

fn store(inner: &Inner, session: Session, limits: &Limits) -> Store<State> {
    let mut store = Store::new(inner.pre.engine(), State::new(session, limits));
    store.limiter(|state| &mut state.limiter);
    store.set_epoch_deadline(Ticker::epochs(limits.wall_time));
    store.set_hostcall_fuel(limits.copied_bytes);
    store.set_max_component_handles(limits.handles);
    store
}
