"""Adapters of runtimes behind the contract of steelyard_agent.worker.contract, each imported on use."""
