pub mod answer;
pub mod imports;
pub mod target;
