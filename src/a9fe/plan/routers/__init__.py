"""The L3 agent's plan: router namespaces and their iptables rules.

May import plan.filters and the modules of plan, but not plan.dhcp.
"""
