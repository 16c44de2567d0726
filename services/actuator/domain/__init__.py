"""What a careful electrician would insist on: decisions about mains loads, with both clocks as inputs."""
