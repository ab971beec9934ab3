"""How a controller grows with its agents, beside bare grpc.aio: server and clients are processes of their own."""
