"""The process that runs one model for the numeric check: reads one line, writes one, and owns its standard output."""

from __future__ import annotations

import sys

from steelyard.child import bound_memory, end_with_parent, own_stdout
from steelyard.errors import EXIT_FINE, SteelyardError
from steelyard.numeric.messages import ReferenceAnswer, parse_request


def main() -> int:
    """Serve one request; that a model cannot be run here is an answer, not an error."""
    end_with_parent()
    answers = own_stdout()
    request = parse_request(sys.stdin.readline())
    try:
        bound_memory()
        from steelyard.numeric.host import run_reference

        answer = ReferenceAnswer(runtime=run_reference(request))
    except SteelyardError as error:
        answer = ReferenceAnswer(reason=str(error))
    except MemoryError:
        answer = ReferenceAnswer(reason="the controller has not enough memory to run the model")
    answers.write(answer.to_line())
    answers.flush()
    return EXIT_FINE


if __name__ == "__main__":
    sys.exit(main())
