"""Distributing: versions are brought to targets by carriers, looked after there, and withdrawn.

reading (what documents say) and desk (where all that is needed lies) <- stocking (what is carried)
<- delivering (step by step, many at once); inspecting (what is where) <- withdrawing; distributing.
"""
