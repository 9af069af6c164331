use hearth::egress::{Destination, Permit};

fn forged(destination: Destination) -> Permit {
    Permit { destination, turns: Vec::new() }
}

fn main() {
    let _ = forged;
}
