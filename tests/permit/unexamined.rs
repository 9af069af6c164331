use hearth::egress::{Border, Destination, Examined, Parcel, Permit};

fn hasty(border: &Border, parcel: Parcel, destination: Destination) -> Permit {
    let examined = Examined { permit: Permit::new(destination, parcel), standing: border };
    examined.permit
}

fn main() {
    let _ = hasty;
}
