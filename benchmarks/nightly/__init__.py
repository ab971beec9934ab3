"""A simulated fleet over many nights, judged by the analysis that real nights use."""
