//! What the tests have in common.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part of it")]

pub mod client;
pub mod fake_cloud;
pub mod fake_model;
pub mod random;
