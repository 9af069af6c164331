//! Whether a text holds. Knows source text, trees and the tools of this machine, not models.
//!
//! Three ways in. A completion is made fit to show by its [`Surroundings`]: comparisons of lines, and
//! one more parse of the item around it, a few milliseconds at the most. A new text for a whole item,
//! a [`Proposal`], climbs the ladder of a [`Checker`]: parsed, compared with what it replaces,
//! formatted, compiled, tested. A generated test is put to a [`Trial`]: it must pass time after time,
//! and fail where the function it is for is broken.
//!
//! Nothing here ever writes into the user's tree: what is compiled and run is a copy, and compiling
//! or running it takes a permission that only trust and settings can mint ([`Rights`]).

mod bed;
mod cargo;
mod compile;
mod condition;
mod coverage;
pub mod fit;
mod format;
mod gate;
mod harness;
pub mod ladder;
mod manifest;
mod mutate;
mod operators;
mod overlay;
pub mod permission;
mod process;
pub mod proposal;
pub mod report;
mod runner;
mod sandbox;
mod shape;
mod toolchain;
pub mod trial;
mod workshop;

pub use fit::{Place, Surroundings, Unfit};
pub use ladder::{Checker, Limits, Progress, Step};
pub use permission::{Answer, MayCompile, MayRun, Refusal, Rights, Trust};
pub use proposal::{Buffer, Insertion, Keeps, Proposal};
pub use report::{Failure, Isolation, Outcome, Report, Rung, Skip, Verdict};
pub use trial::{Dropped, Judgement, Mutant, Ruling, Target, Trial};

use gate::Gate;
