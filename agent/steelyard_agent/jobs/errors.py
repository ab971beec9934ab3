"""Why a job cannot go on."""

from __future__ import annotations

from steelyard_agent.errors import AgentError


class JobError(AgentError):
    """Ends a job; its reason and sentence travel to the controller in a JobFailed."""


class InvalidPlanError(JobError):
    """The controller sent a plan or a grant that makes no sense."""

    def __init__(self, message: str) -> None:
        super().__init__("invalid_plan", message)


class LinkDownError(AgentError):
    """The controller cannot be reached now; what was asked may be tried again once it can."""

    def __init__(self, message: str) -> None:
        super().__init__("link_down", message)


class ControllerFullError(AgentError):
    """The controller has no room for a blob now; it may have some in a while."""

    def __init__(self, message: str) -> None:
        super().__init__("controller_full", message)


class TransferRefusedError(JobError):
    """The controller does not give or take a blob; another try would not help."""
