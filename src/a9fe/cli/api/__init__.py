"""Commands that call the API: networks, ports, routers, VMs, agents, tokens, keys."""
