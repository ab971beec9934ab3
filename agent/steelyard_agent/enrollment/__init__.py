"""How this device comes to a certificate of a controller, keeps it, and has it renewed."""
