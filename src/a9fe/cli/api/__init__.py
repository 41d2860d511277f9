"""Commands that call the API: networks, ports, routers, VMs, agents, API tokens, identity keys."""
