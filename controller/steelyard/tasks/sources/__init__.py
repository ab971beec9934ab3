"""Where the samples of a task come from: each kind of file is one small module."""
