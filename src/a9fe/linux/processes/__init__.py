"""Processes and programs: starting and ending them, users, capabilities, locks, dnsmasq."""
