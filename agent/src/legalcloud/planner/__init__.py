"""The planner: a register and a failure goal become a layout, what it costs and why it was chosen."""
