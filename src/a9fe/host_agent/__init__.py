"""The loop of both host agents: follow the feed, plan, observe, apply the difference, report.

l3_agent and dhcp_agent are roles of it (role.py). It decides nothing about what a host should look
like: that is `plan`. May import `replica`, `linux`, and the rooms below them.

    process       the tasks of an agent, put together
    role          what differs between the two agents
    converge      one pass: observe, apply the difference
    converger     the loop of passes; pace decides when the next one comes
    convergence_log                 the log lines after a pass
    reports                         the port states and the problems sent after a pass
    hooks, port_events              the operator's programs, run on events of ports
"""
