"""What makes a device steadier: offered by the doctor, done only when asked for, and undone again."""
