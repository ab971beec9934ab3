"""Whether a block may begin, and whether its figures may be used: gate before it, verdict after it.

Nothing in here looks at how long inferences took: choosing rounds by their latency would bias what is estimated.
"""
