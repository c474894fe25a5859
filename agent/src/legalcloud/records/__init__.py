"""Records of what was done to keys and data, signed in the HSM, for people who must not have to trust the operator."""
