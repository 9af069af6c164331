//! What the model sees: the window around the cursor, laid out as a prompt that fits.

pub mod layout;
pub mod prompt;
pub mod window;
