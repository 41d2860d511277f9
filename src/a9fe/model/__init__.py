"""The resources (networks, subnets, ports, routers, instances, agents) and the rules over them.

Pure: functions take frozen values and return values or raise errors. Field names and rules are
Neutron's (API v2.0).
"""
