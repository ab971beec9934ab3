"""Who may speak to the controller: its authority, certificates, join codes, roles. Pure; the clock is an argument."""
