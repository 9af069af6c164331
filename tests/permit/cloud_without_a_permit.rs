use hearth::{
    egress::Parcel,
    model::cloud::{Cloud, CloudError},
};

async fn unexamined(cloud: &Cloud, parcel: &Parcel) -> Result<(), CloudError> {
    cloud.call(parcel, None).await.map(drop)
}

fn main() {
    let _ = unexamined;
}
