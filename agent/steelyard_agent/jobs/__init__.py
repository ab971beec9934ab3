"""Jobs on the device: the lease, staging, rounds of blocks, and the delivery of results. No gRPC in here."""
