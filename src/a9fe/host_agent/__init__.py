"""The loop of both host agents: follow the feed, plan, observe, apply the difference, report.

l3_agent and dhcp_agent are roles of it. May import `replica`, `linux` and the rooms below them.
"""
