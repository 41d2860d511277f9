"""Rules over the model: addresses, ports, scheduling, subnet pools, text. Pure."""
