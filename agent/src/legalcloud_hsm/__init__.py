"""What a person or a playbook does with an HSM's tokens: look, make keys, sign, and clone the lab's SoftHSM."""
