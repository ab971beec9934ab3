"""What a controller shows of itself to programs that watch it."""
