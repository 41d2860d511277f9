"""Processes and programs: starting and ending them, users, capabilities, the state's lock.

May import linux.kernel.
"""
