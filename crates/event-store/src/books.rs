//! How events add up, whichever database keeps them: no I/O in here.
//!
//! [`plan`] takes what is on record about the tasks of some commits, gives their events their [`stamp`]s
//! and says what else is to be written; [`recount`] says from the events alone what should be there. Both
//! go through the same steps of [`call`] and [`task`], so a rebuilt projection can not differ from one
//! that grew.

pub(crate) mod answer;
pub(crate) mod audit;
pub(crate) mod call;
pub(crate) mod chain;
pub(crate) mod cover;
pub(crate) mod ending;
pub(crate) mod facts;
pub(crate) mod grid;
pub(crate) mod kind;
pub(crate) mod plan;
pub(crate) mod pointers;
pub(crate) mod prune;
pub(crate) mod recount;
pub(crate) mod stamp;
pub(crate) mod sums;
pub(crate) mod task;
