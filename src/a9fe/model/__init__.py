"""What exists: networks, subnets, ports, routers, instances, agents, and the rules over them.

Pure: frozen values in, values or errors out. Field names and rules are Neutron's (API v2.0).
"""
