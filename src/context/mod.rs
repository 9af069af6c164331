//! What the model sees: the window around the cursor and what it needs of other files, laid out as a
//! prompt that fits.

mod infer;
pub mod layout;
pub mod map;
mod outline;
pub mod prompt;
pub mod rank;
pub mod recall;
mod scene;
pub mod shelf;
pub mod trail;
mod weights;
pub mod window;
