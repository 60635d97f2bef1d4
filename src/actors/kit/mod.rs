//! The actor kit: what every actor kind needs and actix 0.13 does not give.
//!
//! An actor is a plain actix actor (`impl Actor`, `impl Handler<M>`) that also says how it is loaded from durable
//! state ([`KitActor`]). Callers never hold an address; they ask a [`Directory`] by key:
//!
//! ```text
//! ask(key, message) -> Directory -> Slot { gate: lane of parcels } -> Courier (in the actor's context) -> Handler<M>
//!                                     ^ outlives the actor             ^ dies with it
//! ```
//!
//! The lane belongs to the key, not to the incarnation, so a message that was not started when the actor died is
//! handled by the next incarnation. docs/adr/0001-actix-and-what-the-kit-adds.md says why.

mod actor;
mod again;
mod control;
mod dead_letters;
mod directory;
mod events;
mod gate;
mod host;
mod life;
mod parcel;
mod pulse;
mod recent;
mod room;
mod slot;
mod supervision;
mod vitals;
mod watch;

pub use actor::{AskError, KindLimits, KitActor, KitMessage, LoadError};
pub use again::waiting_since;
pub use control::{AnyDirectory, ControlError, Inspection, Kinds, Order, Selected, ShutdownReport, Target};
pub use dead_letters::{DeadLetter, DeadLetterReason, DeadLetters, ReplayError};
pub use directory::Directory;
pub use events::{ActorEvent, ActorEventKind, NumberedEvent};
pub use host::Host;
pub use recent::{MessageOutcome, RecentMessage};
pub use vitals::{ActorState, Vitals, VitalsSnapshot};
