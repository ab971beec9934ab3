"""Who belongs to a controller: enrollment, renewal, standing, people, and the change of the authority. No gRPC here."""
