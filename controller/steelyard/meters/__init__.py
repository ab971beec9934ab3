"""External power meters: read by the controller while a device runs its energy pass, then aligned with its clock."""
