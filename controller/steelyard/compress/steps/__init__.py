"""The steps that come with Steelyard, one module each; their libraries are imported when a step is applied."""
