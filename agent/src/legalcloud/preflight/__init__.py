"""Preflight: what the nodes are, judged before anything is changed."""
