"""The bridges' filters: which devices are known, and which frames they may send.

May import the modules of plan, but not plan.dhcp or plan.routers.
"""
