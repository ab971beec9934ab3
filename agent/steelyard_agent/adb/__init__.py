"""A phone on a cable: an agent on this machine that stands for it and runs a benchmark program there over adb."""
