//! What travels: the batch a sender sent, the event decoded from it, the record parsed from that.

mod batch;
mod event;
mod fields;
mod identity;
mod stream;
pub mod time;
mod when;

pub use batch::{Batch, BatchHeaderError, Wire};
pub use event::{Event, GrammarRef, Record};
pub use fields::{Field, Fields, PATH_SEPARATOR, Role, Value};
pub use identity::{WHOLE, identity};
pub use stream::{Stream, StreamKey, lookup as lookup_path};
pub use when::{When, fits as glob};
