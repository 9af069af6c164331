use hearth::egress::{ClearedTurn, Permit};

fn stuffed(permit: &mut Permit, turns: Vec<ClearedTurn>) {
    permit.turns = turns;
}

fn main() {
    let _ = stuffed;
}
