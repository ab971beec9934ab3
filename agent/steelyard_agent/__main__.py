"""``python -m steelyard_agent``: the same as the command ``steelyard-agent``."""

from steelyard_agent.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
