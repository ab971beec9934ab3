"""What the controller keeps: the database, the blobs, and the lock on the state directory. Imports nothing heavy."""
