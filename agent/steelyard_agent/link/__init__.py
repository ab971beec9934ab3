"""The link to the controller over gRPC: dialling, the control session, blobs. Nothing else imports gRPC."""
