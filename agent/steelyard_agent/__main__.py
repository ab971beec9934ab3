"""``python -m steelyard_agent``: the same as the command ``steelyard-agent``."""

import sys

if __name__ == "__main__":
    if sys.argv[1:2] == ["idle"]:
        # What `run` has become, see there.
        from steelyard_agent.late_module import load_late

        load_late("ipaddress")
        from steelyard_agent.cli.idle import main as serve

        raise SystemExit(serve(sys.argv[2]))
    from steelyard_agent.cli import main

    raise SystemExit(main())
